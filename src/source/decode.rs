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
use super::csv::CsvTable;
use super::evidence::Evidence;
use super::exact::Note;
use super::parse::Parser;
use super::walk::{Objects, Walk, Walker, add_sorted};
use super::{Piece, Placed, Quarantined, Records, exact};

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

/// A record on its way into a row.
struct Found<'a> {
    json: &'a [u8],
    /// How it stands in its file, if not as `json`.
    raw: Option<&'a str>,
    /// What of it is not in `json`.
    notes: Vec<Note>,
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
    evidence: Evidence,
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
            evidence: Evidence::declared(columns.fields()),
        })
    }

    /// Decodes the records of `piece`.
    pub fn decode(&mut self, piece: &Piece) {
        match &piece.records {
            Records::Lines => self.lines(piece),
            Records::Ranges { records, broken } => {
                for range in records {
                    self.record_or_give_up(piece, range.clone());
                }
                for broken in broken {
                    self.give_up(piece, broken.range.clone(), broken.is_uncut);
                }
            }
            Records::Rows { rows, table } => self.csv_rows(piece, rows, table),
            Records::Rejected { reason, length, is_uncut } => {
                self.quarantined.push(Quarantined {
                    file: Arc::clone(&piece.file),
                    position: piece.start,
                    reason: reason.clone(),
                    bytes: piece.bytes.clone(),
                    length: *length,
                    is_uncut: *is_uncut,
                });
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
        let (mut start, mut broken) = (0, Vec::new());
        while start < piece.bytes.len() {
            let rest = piece.bytes.get(start..).unwrap_or_default();
            let end =
                memchr::memchr(b'\n', rest).map_or(piece.bytes.len(), |offset| start + offset);
            start = self.line(piece, start..end, &mut broken);
        }
    }

    /// Decodes what begins with a line; gives where the next one begins.
    fn line(&mut self, piece: &Piece, line: Range<usize>, broken: &mut Vec<usize>) -> usize {
        let bytes = piece.bytes.get(line.clone()).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        // A file that was put together of others may have their marks in its middle.
        let record = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|rest| rest.starts_with(b"{"));
        let record = record.unwrap_or(bytes);
        let end = line.start + bytes.len();
        let range = end - record.len()..end;
        let next = line.end + 1;
        if record.trim_ascii().is_empty() || self.record(piece, range.clone()) {
            return next;
        }
        if let Some(end) = self.record_over_lines(piece, range.clone(), broken) {
            return end;
        }
        self.take_apart(piece, range);
        next
    }

    /// Decodes a record that begins with the line `line` and ends with a later one; gives where the
    /// line behind it begins. `broken` are objects that are known not to end.
    fn record_over_lines(
        &mut self,
        piece: &Piece,
        line: Range<usize>,
        broken: &mut Vec<usize>,
    ) -> Option<usize> {
        let text = piece.bytes.get(line.clone())?;
        let start = line.start + text.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if piece.bytes.get(start) != Some(&b'{') || broken.binary_search(&start).is_ok() {
            return None;
        }
        let mut walker = Walker::new(start);
        let Walk::Whole(end) = walker.go_on(&piece.bytes) else {
            add_sorted(broken, start, walker.open_objects());
            return None;
        };
        let behind = piece.bytes.get(end..)?;
        let rest = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
        if end <= line.end || !behind.get(..rest)?.trim_ascii().is_empty() {
            return None;
        }
        self.record_or_give_up(piece, start..end);
        Some(end + rest + 1)
    }

    /// Decodes the records of a line that is no record: several whole ones, or something broken
    /// with whole ones behind it, as when a writer was interrupted and went on.
    fn take_apart(&mut self, piece: &Piece, line: Range<usize>) {
        let bytes = piece.bytes.get(line.clone()).unwrap_or_default();
        let records = records_at_end(bytes, &self.evidence);
        let end = records.first().map_or(bytes.len(), |first| first.start);
        let broken = bytes.get(..end).unwrap_or_default().trim_ascii_end().len();
        if broken > 0 {
            self.give_up(piece, line.start..line.start + broken, false);
        }
        for record in records {
            self.record_or_give_up(piece, line.start + record.start..line.start + record.end);
        }
    }

    fn record_or_give_up(&mut self, piece: &Piece, range: Range<usize>) {
        if !self.record(piece, range.clone()) {
            self.give_up(piece, range, false);
        }
    }

    /// Decodes one record; `false` when it is none.
    fn record(&mut self, piece: &Piece, range: Range<usize>) -> bool {
        let json = piece.bytes.get(range.clone()).unwrap_or_default();
        let position = piece.start + range.start as u64;
        self.append((&piece.file, position), Found { json, raw: None, notes: Vec::new() })
    }

    /// Decodes rows of CSV.
    fn csv_rows(&mut self, piece: &Piece, rows: &[Placed], table: &CsvTable) {
        for placed in rows {
            let row = piece.bytes.get(placed.range.clone()).unwrap_or_default();
            let place = (&piece.file, placed.position);
            let outcome = match placed.broken {
                Some(reason) => Err(reason.to_owned()),
                None => self.csv_row(place, row, table),
            };
            if let Err(reason) = outcome {
                let bytes = table.original(row);
                self.quarantined.push(Quarantined {
                    file: Arc::clone(&piece.file),
                    position: placed.position,
                    reason,
                    length: bytes.len() as u64,
                    bytes,
                    is_uncut: false,
                });
            }
        }
    }

    /// Decodes one row of CSV; the error says why it is none.
    fn csv_row(
        &mut self,
        place: (&Arc<str>, u64),
        row: &[u8],
        table: &CsvTable,
    ) -> Result<(), String> {
        let (object, raw) = table.read(row)?;
        let json = object.json.as_bytes();
        let found = Found { json, raw: Some(&raw), notes: object.notes };
        match self.append(place, found) {
            true => Ok(()),
            false => Err(exact::parse(json).err().unwrap_or_default()),
        }
    }

    /// Adds one record as a row; `false` when it is none.
    fn append(&mut self, (file, position): (&Arc<str>, u64), found: Found<'_>) -> bool {
        let Found { json, raw, notes } = found;
        let parsed = match notes.is_empty() {
            true => self.parser.parse(&self.row, json),
            false => None,
        };
        if let Some(parsed) = parsed {
            parsed.append(&mut self.row);
            self.rescued.append_null();
            let text = || raw.or_else(|| std::str::from_utf8(json).ok().map(str::trim_ascii));
            let kept = (self.keep_raw == KeepRaw::Always).then(text).flatten();
            self.raw.append_option(kept);
        } else {
            let Ok(record) = exact::parse(json) else { return false };
            let rescued = exact::append(&mut self.row, &record, notes);
            if rescued.is_none() && self.keep_raw == KeepRaw::Rescued {
                self.raw.append_null();
            } else {
                let text = raw.unwrap_or(record.text);
                self.raw.append_value(text);
                self.pending_bytes += text.len();
            }
            self.pending_bytes += rescued.as_ref().map_or(0, String::len);
            self.rescued.append_option(rescued);
        }
        self.sources.append_value(file);
        self.positions.append_value(i64::try_from(position).unwrap_or(i64::MAX));
        self.rows += 1;
        self.pending_bytes += json.len();
        true
    }

    /// Puts a record into quarantine, with the parser's own words for why.
    fn give_up(&mut self, piece: &Piece, range: Range<usize>, is_uncut: bool) {
        let bytes = piece.bytes.get(range.clone()).unwrap_or_default();
        let inside = || "it lies behind a broken record and is no record of its own".to_owned();
        self.quarantined.push(Quarantined {
            file: Arc::clone(&piece.file),
            position: piece.start + range.start as u64,
            reason: exact::parse(bytes).err().unwrap_or_else(inside),
            bytes: bytes.to_vec(),
            length: bytes.len() as u64,
            is_uncut,
        });
    }
}

/// The records with which `line`, which is not one record, ends: all that it holds, or those
/// behind something broken that cannot hold them.
fn records_at_end(line: &[u8], evidence: &Evidence) -> Vec<Range<usize>> {
    let mut records: Vec<Range<usize>> = Vec::new();
    for object in Objects::new(line, 0) {
        let last = records.last().map_or(0, |last| last.end);
        if !line.get(last..object.start).unwrap_or_default().trim_ascii().is_empty() {
            records.clear();
        }
        records.push(object);
    }
    let end = records.last().map_or(0, |last| last.end);
    let Some(first) = records.first() else { return records };
    let before = line.get(..first.start).unwrap_or_default().trim_ascii_end();
    let is_behind_broken = !matches!(before.last(), None | Some(b'{' | b'[' | b':' | b','));
    let is_at_end = line.get(end..).unwrap_or_default().trim_ascii().is_empty();
    let look_alike = || {
        let mut objects = records.iter().filter_map(|record| line.get(record.clone()));
        objects.all(|object| evidence.is_record(object, false))
    };
    let is_several = before.is_empty() && records.len() > 1;
    if is_at_end && (is_several || is_behind_broken && look_alike()) { records } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_only_at_whole_records() {
        let columns = ["a", "b"].map(|name| Field::new(name, DataType::Utf8, true));
        let evidence = Evidence::declared(&columns.into_iter().collect());
        let found = |line: &str| records_at_end(line.as_bytes(), &evidence);
        assert_eq!(found("{\"a\":1} {\"b\":2}"), [0..7, 8..15]);
        assert_eq!(found("{\"a\":1,\"b\":\"cut{\"a\":2}").first(), Some(&(15..22)));
        for line in [
            "{\"a\":1}}",
            "{\"a\":1}42",
            "{\"a\":1}",
            "{{\"a\":1}",
            "{\"a\":[{\"b\":1}",
            "{\"a\":\"x\" {\"other\":1}",
            "",
        ] {
            assert!(found(line).is_empty(), "{line}");
        }
    }
}
