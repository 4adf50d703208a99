//! Reads a file of Parquet in bounded memory and hands out its rows as JSON objects.
//!
//! Columns are found by their names, and the position of a record is the number of its row. A group of
//! rows that is damaged goes to quarantine by reference: its first bytes, its place, its length. The
//! rows that were read of it before the damage showed stay, and so do the other groups.

mod json;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array as _, StructArray};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use crate::error::{Error, Result};
use crate::runtime::Stop;

use super::discover::is_as_planned;
use super::frame::PIECE;
use super::hash::hasher_behind;
use super::open::Ended;
use super::{InputFile, Piece, Placed, Records};

use json::{Node, widened};

/// How many rows are decoded at once at most: what a text takes in the file tells little about what
/// it takes in memory.
const MOST_ROWS: usize = 1024;
/// How much is kept of what cannot be read.
const KEPT: u64 = 1 << 20;

/// Reads one file from front to back.
pub(super) struct ParquetReader {
    file: InputFile,
    opened: File,
    columns: SchemaRef,
    /// The table of contents; None when it was read and is no use.
    metadata: Option<ArrowReaderMetadata>,
    /// The group that is read, or that is next.
    group: usize,
    rows: Option<ParquetRecordBatchReader>,
    /// Rows that were decoded and not handed out, and the number of the first of them.
    batch: Option<(StructArray, usize)>,
    /// The number of the next row in the file.
    row: u64,
    /// The number of the first row of the next group.
    next_group_row: u64,
    progress: Arc<AtomicU64>,
    unreadable: Option<String>,
}

/// Where a part of the file is: its beginning and its length.
type Part = (u64, u64);

impl ParquetReader {
    /// Opens `file`, whose rows go into `columns`. Bytes taken from disk are added to `progress`.
    /// None when it is not the file any more that was planned.
    pub(super) fn open(
        file: InputFile,
        columns: &SchemaRef,
        progress: Arc<AtomicU64>,
    ) -> Result<Option<Self>> {
        // Opening a pipe would wait for somebody who writes into it.
        if std::fs::metadata(&file.path).is_ok_and(|found| !found.is_file()) {
            return Ok(None);
        }
        let opened = match File::open(&file.path) {
            Ok(opened) => opened,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&file, e)),
        };
        let now = opened.metadata().map_err(|e| failed(&file, e))?;
        if !is_as_planned(&file, &now) {
            return Ok(None);
        }
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata =
            guarded(|| ArrowReaderMetadata::load(&opened, options).map_err(|e| e.to_string()));
        let (metadata, unreadable) = match metadata {
            Ok(metadata) => (Some(metadata), None),
            Err(reason) => (None, Some(format!("this is no file of Parquet: {reason}"))),
        };
        Ok(Some(Self {
            file,
            opened,
            columns: Arc::clone(columns),
            metadata,
            group: 0,
            rows: None,
            batch: None,
            row: 0,
            next_group_row: 0,
            progress,
            unreadable,
        }))
    }

    /// What is known of the file at its end.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn ended(&self, stop: &Stop) -> Result<Ended> {
        let hash = match self.file.hash {
            Some(hash) => hash,
            None => {
                let hasher = hasher_behind(&self.opened, self.file.bytes, stop);
                stop.check()?;
                hasher.map_err(|e| failed(&self.file, e))?.finalize()
            }
        };
        Ok(Ended { hash, read_on: None, is_compressed: false })
    }

    /// The next piece, or None at the end of the file.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn next_piece(&mut self, stop: &Stop) -> Result<Option<Piece>> {
        if let Some(reason) = self.unreadable.take() {
            self.progress.fetch_add(self.file.bytes, Ordering::Relaxed);
            return self.damaged((0, self.file.bytes), reason).map(Some);
        }
        loop {
            stop.check()?;
            if let Some((rows, first)) = self.batch.take() {
                match guarded(|| self.piece(&rows, first)) {
                    Ok((piece, next)) => {
                        self.row += (next - first) as u64;
                        self.batch = (next < rows.len()).then_some((rows, next));
                        return Ok(Some(piece));
                    }
                    Err(reason) => return self.damaged_group(&reason).map(Some),
                }
            }
            let Some(metadata) = self.metadata.clone() else { return Ok(None) };
            if self.rows.is_none() && self.group >= metadata.metadata().num_row_groups() {
                return Ok(None);
            }
            match guarded(|| self.decode(metadata)) {
                Ok(Some(rows)) => self.batch = Some((rows, 0)),
                Ok(None) => self.end_group(),
                Err(reason) => return self.damaged_group(&reason).map(Some),
            }
        }
    }

    /// Decodes the next rows of the group; None at its end.
    fn decode(
        &mut self,
        metadata: ArrowReaderMetadata,
    ) -> std::result::Result<Option<StructArray>, String> {
        if self.rows.is_none() {
            self.begin_group(metadata)?;
        }
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let batch = rows.next().transpose().map_err(|e| e.to_string())?;
        Ok(batch.map(|batch| widened(StructArray::from(batch))))
    }

    fn begin_group(&mut self, metadata: ArrowReaderMetadata) -> std::result::Result<(), String> {
        let group = metadata.metadata().row_groups().get(self.group);
        let group = group.ok_or("there is no such group of rows")?;
        let count = u64::try_from(group.num_rows()).map_err(|e| e.to_string())?;
        self.next_group_row = self.row + count;
        let bytes = u64::try_from(group.total_byte_size()).unwrap_or_default();
        let bytes_a_row = bytes.checked_div(count).unwrap_or_default().max(1);
        let fitting = usize::try_from(PIECE as u64 / bytes_a_row).unwrap_or(MOST_ROWS);
        let twin = self.opened.try_clone().map_err(|e| e.to_string())?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(twin, metadata)
            .with_row_groups(vec![self.group])
            .with_batch_size(fitting.clamp(1, MOST_ROWS))
            .build();
        self.rows = Some(reader.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn end_group(&mut self) {
        let (_, length) = self.part_of_group();
        self.progress.fetch_add(length, Ordering::Relaxed);
        self.rows = None;
        self.batch = None;
        self.row = self.row.max(self.next_group_row);
        self.group += 1;
    }

    /// Where the group is in the file; all of the file when its table of contents does not say.
    fn part_of_group(&self) -> Part {
        let part = guarded(|| {
            let metadata = self.metadata.as_ref().ok_or("none")?.metadata();
            let columns = metadata.row_groups().get(self.group).ok_or("none")?.columns();
            let ranges = columns.iter().map(|column| column.byte_range());
            let (starts, ends): (Vec<u64>, Vec<u64>) =
                ranges.map(|(start, length)| (start, start.saturating_add(length))).unzip();
            let start = starts.into_iter().min().ok_or("none")?;
            let end = ends.into_iter().max().ok_or("none")?.min(self.file.bytes);
            Ok((start, end.saturating_sub(start)))
        });
        part.unwrap_or((0, self.file.bytes))
    }

    /// A piece of `rows` from `first` on, and which row is the first behind it.
    fn piece(
        &self,
        rows: &StructArray,
        first: usize,
    ) -> std::result::Result<(Piece, usize), String> {
        let node = Node::rows(rows, &self.columns).map_err(|e| e.to_string())?;
        let (mut json, mut placed, mut next) = (String::new(), Vec::new(), first);
        while next < rows.len() && json.len() < PIECE {
            let start = json.len();
            node.add(next, &mut json);
            let position = self.row + (next - first) as u64;
            placed.push(Placed { range: start..json.len(), position, broken: None });
            next += 1;
        }
        let records = Records::Objects(placed);
        Ok((self.of_bytes(0, json.into_bytes(), records), next))
    }

    /// What is said about the group, or the rest of it; the next one is next.
    fn damaged_group(&mut self, reason: &str) -> Result<Piece> {
        let reason = format!(
            "group {} of rows cannot be read from row {} on: {reason}",
            self.group, self.row
        );
        let piece = self.damaged(self.part_of_group(), reason);
        self.end_group();
        piece
    }

    fn damaged(&self, (start, length): Part, reason: String) -> Result<Piece> {
        let mut bytes = Vec::new();
        let mut file = &self.opened;
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.take(length.min(KEPT)).read_to_end(&mut bytes));
        read.map_err(|e| failed(&self.file, e))?;
        let records = Records::Rejected { reason, length, is_uncut: true };
        Ok(self.of_bytes(start, bytes, records))
    }

    fn of_bytes(&self, start: u64, bytes: Vec<u8>, records: Records) -> Piece {
        Piece { file: Arc::clone(&self.file.name), start, bytes, records }
    }
}

fn failed(file: &InputFile, error: std::io::Error) -> Error {
    Error::io("cannot read a file of the source", &file.path, error)
}

/// What `read` gives. The decoder asserts some of what damaged files get wrong, and a reader that
/// ended by that would look like one that is done.
fn guarded<T>(
    read: impl FnOnce() -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    let gave_up = || Err("the decoder gave up on what it found there".to_owned());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| gave_up())
}
