//! Bytes become rows: files are found, opened, cut into records and decoded into Arrow batches.
//!
//! Invariant: every byte of an input that is not white space or a separator ends up either in a
//! row or in a [`Quarantined`] record; nothing is dropped and nothing is bent to fit.
//!
//! The way of a byte: [`discover`] finds the file, `open` undoes its compression, `frame` cuts it
//! into pieces of whole records (on reader threads, [`feed`]), and a [`Decoder`] turns pieces into
//! rows (on all cores). The decoder's common path is `parse`; whatever that path does not take as it
//! is goes to `exact`, which knows every rule and keeps what does not fit.

mod column;
mod decode;
mod discover;
mod exact;
mod feed;
mod frame;
mod open;
mod parse;
mod recover;
mod scan;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::runtime::Timestamp;

pub use decode::{Decoder, Lineage, bronze_schema};
pub use discover::{discover, look_at};
pub use feed::{Feed, feed};
pub use recover::Openings;

/// A file that holds records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name as it stands in `_source`: the path below the source's directory, with `/`.
    pub name: Arc<str>,
    /// Its size on disk.
    pub bytes: u64,
    /// When it was last changed.
    pub modified_at: Timestamp,
}

/// Whole records of one file, in the order of the file.
#[derive(Debug)]
pub struct Piece {
    /// The file's name.
    pub file: Arc<str>,
    /// Where `bytes` begins in the file's uncompressed content.
    pub start: u64,
    /// The content.
    pub bytes: Vec<u8>,
    /// Where in `bytes` the records are.
    pub records: Records,
    /// How records of the file begin, for finding the next record after a broken one.
    pub openings: Arc<Openings>,
}

/// Where the records of a piece are.
#[derive(Debug)]
pub enum Records {
    /// Each line holds a record, or several one after the other.
    Lines,
    /// Each range holds a record.
    Ranges(Vec<Range<usize>>),
    /// The content cannot be read to the end, for this reason; what could be is before it.
    Unreadable(String),
}

/// A record that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The file's name.
    pub file: Arc<str>,
    /// Where the record begins in the file's uncompressed content, in bytes.
    pub position: u64,
    /// Why it is no record.
    pub reason: String,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}
