//! Pieces in, Bronze rows out.
//!
//! The common path: the record is read by `parse`, and only when every value fits its column is
//! anything appended. A record that does not pass is left to `exact`, whole: the two paths never share
//! a row.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::project::KeepRaw;
use crate::runtime::Timestamp;

use super::column::{StructColumn, finish_text, plain};
use super::parse::Parser;
use super::{Openings, Piece, Quarantined, Records, exact, recover};

/// Beyond this much JSON the rows so far should be taken: large batches make good row groups,
/// endless ones make no progress.
const ENOUGH: usize = 6 << 20;

/// The Bronze table of `columns`: they, and the system columns.
pub fn bronze_schema(columns: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = columns.fields().iter().map(|field| Arc::new(plain(field))).collect();
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for (name, data_type) in [
        ("_source", DataType::Utf8),
        ("_position", DataType::Int64),
        ("_batch", DataType::Int64),
        ("_ingested_at", instant),
        ("_rescued", DataType::Utf8),
        ("_raw", DataType::Utf8),
    ] {
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    Arc::new(Schema::new(fields))
}

/// What is the same for all rows of one ingestion.
#[derive(Clone, Copy, Debug)]
pub struct Lineage {
    /// The batch that the rows belong to.
    pub batch: i64,
    /// When it is landed.
    pub ingested_at: Timestamp,
}

/// Turns pieces into rows of one Bronze table; each core has its own.
pub struct Decoder {
    schema: SchemaRef,
    keep_raw: KeepRaw,
    lineage: Lineage,
    row: StructColumn,
    sources: StringBuilder,
    positions: Int64Builder,
    rescued: StringBuilder,
    raw: StringBuilder,
    rows: usize,
    pending_bytes: usize,
    quarantined: Vec<Quarantined>,
    parser: Parser,
}

impl Decoder {
    /// A decoder for the table that declares `columns`.
    pub fn new(columns: &SchemaRef, keep_raw: KeepRaw, lineage: Lineage) -> Result<Self> {
        Ok(Self {
            schema: bronze_schema(columns),
            keep_raw,
            lineage,
            row: StructColumn::new(columns.fields())?,
            sources: StringBuilder::new(),
            positions: Int64Builder::new(),
            rescued: StringBuilder::new(),
            raw: StringBuilder::new(),
            rows: 0,
            pending_bytes: 0,
            quarantined: Vec::new(),
            parser: Parser::default(),
        })
    }

    /// Decodes the records of `piece`.
    pub fn decode(&mut self, piece: &Piece) {
        match &piece.records {
            Records::Lines => self.lines(piece),
            Records::Ranges(ranges) => self.ranges(piece, ranges),
            Records::Unreadable(reason) => {
                self.quarantine(piece, 0..piece.bytes.len(), reason.clone())
            }
        }
    }

    /// Whether there are enough rows to be worth taking.
    pub fn is_full(&self) -> bool {
        self.pending_bytes >= ENOUGH
    }

    /// How many rows were decoded and not taken.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows decoded since the last time.
    pub fn take_rows(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.pending_bytes = 0;
        let (_, mut arrays, _) = self.row.finish()?.into_parts();
        let instant = self.lineage.ingested_at.timestamp_micros();
        let system: [ArrayRef; 6] = [
            Arc::new(finish_text(&mut self.sources)),
            Arc::new(self.positions.finish()),
            Arc::new(arrow::array::Int64Array::from_value(self.lineage.batch, rows)),
            Arc::new(TimestampMicrosecondArray::from_value(instant, rows).with_timezone("UTC")),
            Arc::new(self.rescued.finish()),
            Arc::new(self.raw.finish()),
        ];
        arrays.extend(system);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| Error::new(Kind::Bug, "cannot build a batch of Bronze rows").because(e))
    }

    /// The records since the last time that became no rows.
    pub fn take_quarantined(&mut self) -> Vec<Quarantined> {
        std::mem::take(&mut self.quarantined)
    }

    fn lines(&mut self, piece: &Piece) {
        let mut start = 0;
        while start < piece.bytes.len() {
            let rest = piece.bytes.get(start..).unwrap_or_default();
            let end =
                memchr::memchr(b'\n', rest).map_or(piece.bytes.len(), |offset| start + offset);
            self.line(piece, start..end);
            start = end + 1;
        }
    }

    fn line(&mut self, piece: &Piece, line: Range<usize>) {
        let bytes = piece.bytes.get(line.clone()).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return;
        }
        let range = line.start..line.start + bytes.len();
        if self.record(piece, range.clone()) {
            return;
        }
        match recover::objects_of_line(bytes) {
            Some(objects) => {
                for object in objects {
                    let range = range.start + object.start..range.start + object.end;
                    if !self.record(piece, range.clone()) {
                        self.give_up(piece, range);
                    }
                }
            }
            None => self.give_up(piece, range),
        }
    }

    fn ranges(&mut self, piece: &Piece, ranges: &[Range<usize>]) {
        let mut after_broken = false;
        for range in ranges {
            let bytes = piece.bytes.get(range.clone()).unwrap_or_default();
            // Behind a broken record may lie its own insides, as valid as records.
            if after_broken && !piece.openings.is_empty() && !piece.openings.begin(bytes) {
                self.give_up(piece, range.clone());
            } else if self.record(piece, range.clone()) {
                after_broken = false;
            } else {
                after_broken = true;
                self.recover(piece, range);
            }
        }
    }

    /// Looks for whole records in what is not one.
    fn recover(&mut self, piece: &Piece, range: &Range<usize>) {
        let bytes = piece.bytes.get(range.clone()).unwrap_or_default();
        let learnt;
        let openings = match piece.openings.is_empty() {
            true => {
                learnt = Openings::learn_within(bytes);
                &learnt
            }
            false => &*piece.openings,
        };
        for (index, part) in recover::parts(bytes, openings).into_iter().enumerate() {
            let part = range.start + part.start..range.start + part.end;
            let text = piece.bytes.get(part.clone()).unwrap_or_default();
            let may_be = index == 0 || openings.is_empty() || openings.begin(text);
            if !may_be || !self.record(piece, part.clone()) {
                self.give_up(piece, part);
            }
        }
    }

    /// Decodes one record; `false` when it is none.
    fn record(&mut self, piece: &Piece, range: Range<usize>) -> bool {
        let text = piece.bytes.get(range.clone()).unwrap_or_default();
        if let Some(parsed) = self.parser.parse(&self.row, text) {
            parsed.append(&mut self.row);
            self.rescued.append_null();
            let raw = (self.keep_raw == KeepRaw::Always).then(|| std::str::from_utf8(text));
            self.raw.append_option(raw.and_then(Result::ok).map(str::trim_ascii));
        } else {
            let Ok(record) = exact::parse(text) else { return false };
            let rescued = exact::append(&mut self.row, &record);
            if rescued.is_none() && self.keep_raw == KeepRaw::Rescued {
                self.raw.append_null();
            } else {
                self.raw.append_value(record.text);
                self.pending_bytes += record.text.len();
            }
            self.pending_bytes += rescued.as_ref().map_or(0, String::len);
            self.rescued.append_option(rescued);
        }
        self.sources.append_value(&piece.file);
        self.positions
            .append_value(i64::try_from(piece.start + range.start as u64).unwrap_or(i64::MAX));
        self.rows += 1;
        self.pending_bytes += text.len();
        true
    }

    /// Puts a record into quarantine, with the parser's own words for why.
    fn give_up(&mut self, piece: &Piece, range: Range<usize>) {
        let text = piece.bytes.get(range.clone()).unwrap_or_default();
        let inside = || "it lies behind a broken record and is no record of its own".to_owned();
        let reason = exact::parse(text).err().unwrap_or_else(inside);
        self.quarantine(piece, range, reason);
    }

    fn quarantine(&mut self, piece: &Piece, range: Range<usize>, reason: String) {
        self.quarantined.push(Quarantined {
            file: Arc::clone(&piece.file),
            position: piece.start + range.start as u64,
            reason,
            bytes: piece.bytes.get(range).unwrap_or_default().to_vec(),
        });
    }
}
