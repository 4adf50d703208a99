//! `ops.files`: what the files hold whose records are in Bronze.
//!
//! A row is written before the records of its file are committed, and counts only together with the
//! batch that they belong to (see `batches`). A file whose time or name changed, and whose bytes did
//! not, gets another row, so that it is not read again to find that out. One that was planned, and was
//! another or gone when it was to be read, gets a row without a hash: it is in the batch no more.

use blake3::Hash;

use crate::engine::Engine;
use crate::error::Result;
use crate::lake::{Lake, Wanted};
use crate::name::TableName;
use crate::runtime::Timestamp;
use crate::source::{InputFile, Place};

use super::record::{Record as _, append, read, record};

record! {
    /// One state of one file.
    pub(super) struct FileRow is "files":
        "One row per file that was landed, or that was found to hold what had been: its hash." {
        /// The source, as `<pipeline>/<source>`.
        source: String,
        /// The batch with which it came into Bronze.
        batch: i64,
        /// The file's name, as in `_source`.
        path: String,
        /// Its size.
        bytes: u64,
        /// When it was last changed.
        modified_at: Timestamp,
        /// The BLAKE3 hash of so many bytes of it; None when the batch left the file out.
        hash: Option<String>,
        /// From which byte to read on when it has grown; None when it has to be read as a whole.
        read_on_byte: Option<u64>,
        /// Where that is in its uncompressed content.
        read_on_position: Option<u64>,
        /// When this was written down.
        noted_at: Timestamp,
        /// The run that did so.
        run_id: String,
    }
}

/// What a file holds whose records are in Bronze.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The batch with which they came.
    pub batch: i64,
    /// How long it is.
    pub bytes: u64,
    /// What these bytes hash to.
    pub hash: Hash,
    /// From where to read on when there are more; None when all has to be read then.
    pub read_on: Option<Place>,
}

impl FileRow {
    /// The rows of which `own` says that they are wanted.
    pub(super) async fn of_source(engine: &Engine, lake: &Lake, own: Wanted) -> Result<Vec<Self>> {
        match lake.snapshot(&TableName::ops(Self::TABLE)).await? {
            Some(snapshot) => read(engine, &snapshot, &[own]).await,
            None => Ok(Vec::new()),
        }
    }

    /// What the row says about the content; None when another program wrote it, and it says nothing.
    pub(super) fn content(&self) -> Option<Content> {
        let place = |(byte, position)| Place { byte, position };
        Some(Content {
            batch: self.batch,
            bytes: self.bytes,
            hash: Hash::from_hex(self.hash.as_deref()?).ok()?,
            read_on: self.read_on_byte.zip(self.read_on_position).map(place),
        })
    }
}

/// Writes down what `files` of the source known as `application` hold.
pub async fn note_files(
    lake: &Lake,
    application: &str,
    files: &[(InputFile, Content)],
    stamp: (&str, Timestamp),
) -> Result<()> {
    let held = |(file, content): &(InputFile, Content)| FileRow {
        hash: Some(content.hash.to_hex().to_string()),
        read_on_byte: content.read_on.map(|place| place.byte),
        read_on_position: content.read_on.map(|place| place.position),
        bytes: content.bytes,
        ..row(application, content.batch, file, stamp)
    };
    append(lake, stamp.0, &files.iter().map(held).collect::<Vec<_>>()).await
}

/// Writes down that `batch` was planned with `files` and left them out.
pub async fn note_left_out(
    lake: &Lake,
    application: &str,
    batch: i64,
    files: &[InputFile],
    stamp: (&str, Timestamp),
) -> Result<()> {
    let rows: Vec<_> = files.iter().map(|file| row(application, batch, file, stamp)).collect();
    append(lake, stamp.0, &rows).await
}

/// A row about `file` that does not say what it holds.
fn row(
    application: &str,
    batch: i64,
    file: &InputFile,
    (run_id, noted_at): (&str, Timestamp),
) -> FileRow {
    FileRow {
        source: application.to_owned(),
        batch,
        path: file.name.to_string(),
        bytes: file.bytes,
        modified_at: file.modified_at,
        hash: None,
        read_on_byte: None,
        read_on_position: None,
        noted_at,
        run_id: run_id.to_owned(),
    }
}
