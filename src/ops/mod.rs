//! The tables of the layer `ops`: what clickwatch records about itself.
//!
//! | table | a row is |
//! |---|---|
//! | `batches` | a file of a source and the batch that it belongs to |
//! | `files` | a file whose records are in Bronze, and what its bytes hash to |
//! | `epochs` | a table and its version in one epoch |
//! | `quarantine` | a record or row that was rejected, with its exact bytes |
//! | `runs`, `writes`, `expectations` | what a run did |
//!
//! Rows go in and come out as values of types ([`Record`]): a column is named once, in its struct.

mod batches;
mod epochs;
mod files;
mod ledger;
mod quarantine;
mod record;

pub use batches::Batches;
pub use epochs::{Epoch, Published};
pub use files::{Content, note_files, note_left_out};
pub use ledger::{ExpectationRow, RunRow, WriteRow};
pub use quarantine::{Outdated, Quarantine, Rejected, quarantine_of};
pub use record::{Record, append, read};

/// The tables to which every run adds rows.
pub const GROWING: [&str; 6] = ["batches", "epochs", "expectations", "files", "runs", "writes"];
