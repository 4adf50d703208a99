//! Rows into files of a table: those that are new, and those of replaced files that stay.
//!
//! The one way in which a table gets other files: a build, the quarantine and a compaction say
//! which files go ([`files_holding`] finds them), what stays of these and what is new; [`write()`]
//! does the rest. Invariant: what is written here belongs to no table until a commit names it.

mod holding;
mod streams;
mod write;

pub use holding::{files_holding, rows_of};
pub use streams::{Distribution, NewRows, RowFunction};
pub use write::{Destination, Gate, Outcome, Rows, write};
