//! Bytes become rows: files are found, opened, cut into records and decoded into Arrow batches.
//!
//! Invariant: every byte of an input that is not white space or a separator ends up either in a
//! row or in a [`Quarantined`] record; nothing is dropped and nothing is bent to fit.
//!
//! The way of a byte: [`discover`] finds the file, `open` undoes its compression (`verify` looks at
//! its checksums first), `frame` hands it out in pieces of whole records (on reader threads,
//! [`feed`]; `csv` and `parquet` do so for their formats), and a [`Decoder`] turns pieces into rows (on
//! all cores). `layout` tells whether each line is a record; otherwise `cut` finds the records by a
//! `walk` through their structure and, where that is broken, by `evidence`; those inside of larger
//! values are taken out by `envelope`. The decoder's common path is `parse`; whatever that path does not
//! take as it is goes to `exact`, which knows every rule and keeps what does not fit.

mod around;
mod bronze;
mod codec;
mod column;
mod csv;
mod cut;
mod decode;
mod discover;
mod envelope;
mod evidence;
mod exact;
mod feed;
mod frame;
mod hash;
mod layout;
mod open;
mod parquet;
mod parse;
mod pattern;
mod reader;
mod rebuilt;
mod redeclared;
mod verify;
mod walk;
mod wanted;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use blake3::Hash;

use crate::runtime::Timestamp;

pub use self::csv::CsvTable;
pub use bronze::{Lineage, bronze_schema};
pub use decode::Decoder;
pub use discover::{Discovered, discover, look_at, searches};
pub use feed::{Feed, Note, ReadFile, feed};
pub use hash::prefix_hashes;
pub use redeclared::{Redeclaration, json_places};

pub(crate) use exact::{Entries, exact_double, is_whole_number};

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
    /// From where it is read: what is before has landed.
    pub from: Place,
    /// What its bytes hash to, as far as that is known before it is read.
    pub hash: Option<Hash>,
}

impl InputFile {
    /// How much of it on disk is read.
    pub fn unread_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.from.byte)
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// In the file as it is on disk.
    pub byte: u64,
    /// The same in its content; something else only where the file is compressed.
    pub position: u64,
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
}

/// Where the records of a piece are.
#[derive(Debug)]
pub enum Records {
    /// Each line holds a record, or several one after the other.
    Lines,
    /// Records whose structure is whole, and what is between them and is no separator.
    Ranges {
        /// Where the records are.
        records: Vec<Range<usize>>,
        /// What is between them.
        broken: Vec<Broken>,
    },
    /// Rows of CSV, whose bytes are those of the file unless it is of UTF-16.
    Rows {
        /// Where the rows are, and what is broken between them.
        rows: Vec<Placed>,
        /// How they are read.
        table: Arc<CsvTable>,
    },
    /// Rows of another format as JSON objects, each with its number as its position.
    Objects(Vec<Placed>),
    /// The content is no record, or it cannot be read.
    Rejected {
        /// Why.
        reason: String,
        /// How long it is; the content may be its beginning only.
        length: u64,
        /// Whether it may be more than one record.
        is_uncut: bool,
    },
}

/// A row in a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it is in the piece.
    pub range: Range<usize>,
    /// Where it begins in the file's uncompressed content, in bytes; of Parquet, its number.
    pub position: u64,
    /// Why it is none; None when it is one.
    pub broken: Option<&'static str>,
}

/// A broken stretch between records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where it is.
    pub range: Range<usize>,
    /// Whether it is so long that it may be more than one record.
    pub is_uncut: bool,
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
    /// Its exact bytes; of one that is too large, or of a file that cannot be read, the first ones.
    pub bytes: Vec<u8>,
    /// How many bytes it has.
    pub length: u64,
    /// Whether it is a piece that could not be cut into records, and may be more than one of them.
    pub is_uncut: bool,
}
