//! Pieces in, Bronze rows out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::project::{KeepRaw, RecordPath};

use super::bronze::{Found, Lineage, Place, Rows};
use super::csv::CsvTable;
use super::envelope::Envelopes;
use super::evidence::Evidence;
use super::walk::{Objects, Walk, Walker, add_sorted, walk};
use super::{Piece, Placed, Quarantined, Records, exact};

/// Beyond this much JSON the rows so far should be taken: large batches make good row groups,
/// endless ones make no progress.
const ENOUGH: usize = 6 << 20;

/// Turns pieces into rows of one Bronze table; each core has its own.
pub struct Decoder {
    rows: Rows,
    columns: SchemaRef,
    evidence: Evidence,
    /// How records are found in JSON values; None when each is one.
    envelopes: Option<Envelopes>,
}

impl Decoder {
    /// A decoder for the table that declares `columns`.
    pub fn new(columns: &SchemaRef, keep_raw: KeepRaw, lineage: Lineage) -> Result<Self> {
        Ok(Self {
            rows: Rows::new(columns, keep_raw, lineage)?,
            columns: Arc::clone(columns),
            evidence: Evidence::declared(columns.fields()),
            envelopes: None,
        })
    }

    /// The same for files whose records are inside of JSON values, at `records`.
    pub fn inside(self, records: Option<&RecordPath>) -> Self {
        let envelopes = records.map(|path| Envelopes::new(path, &self.columns));
        Self { envelopes, ..self }
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
            Records::Objects(rows) => self.objects(piece, rows),
            Records::Rejected { reason, length, is_uncut } => {
                self.rows.quarantined.push(Quarantined {
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
        self.rows.bytes >= ENOUGH
    }

    /// How many rows were decoded and not taken.
    pub fn rows(&self) -> usize {
        self.rows.count
    }

    /// The rows decoded since the last time.
    pub fn take_rows(&mut self) -> Result<RecordBatch> {
        self.rows.take()
    }

    /// The records since the last time that became no rows.
    pub fn take_quarantined(&mut self) -> Vec<Quarantined> {
        std::mem::take(&mut self.rows.quarantined)
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

    /// Decodes the records of a line that is no record. A carriage return ends a line for some writers,
    /// and is what is left of a line break whose other half was damaged.
    fn take_apart(&mut self, piece: &Piece, line: Range<usize>) {
        let bytes = piece.bytes.get(line.clone()).unwrap_or_default();
        let ends = memchr::memchr_iter(b'\r', bytes).map(|place| place + 1).chain([bytes.len()]);
        let (mut stretch, mut start) = (line.start, line.start);
        for end in ends.map(|end| line.start + end) {
            let part = piece.bytes.get(start..end).unwrap_or_default();
            let record = end - part.trim_ascii_start().len()..start + part.trim_ascii_end().len();
            if is_object(piece.bytes.get(record.clone()).unwrap_or_default()) {
                self.take_stretch_apart(piece, stretch..start);
                self.record_or_give_up(piece, record);
                stretch = end;
            }
            start = end;
        }
        self.take_stretch_apart(piece, stretch..line.end);
    }

    /// Decodes the records of a stretch that is no record: several whole ones, or something broken
    /// with whole ones behind it, as when a writer was interrupted and went on.
    fn take_stretch_apart(&mut self, piece: &Piece, stretch: Range<usize>) {
        let bytes = piece.bytes.get(stretch.clone()).unwrap_or_default();
        let records = records_at_end(bytes, &self.evidence);
        let end = records.first().map_or(bytes.len(), |first| first.start);
        let broken = bytes.get(..end).unwrap_or_default().trim_ascii_end().len();
        if broken > 0 {
            self.give_up(piece, stretch.start..stretch.start + broken, false);
        }
        for record in records {
            self.record_or_give_up(piece, stretch.start + record.start..stretch.start + record.end);
        }
    }

    fn record_or_give_up(&mut self, piece: &Piece, range: Range<usize>) {
        if !self.record(piece, range.clone()) {
            self.give_up(piece, range, false);
        }
    }

    /// Decodes one record, or those of one envelope; `false` when it is none.
    fn record(&mut self, piece: &Piece, range: Range<usize>) -> bool {
        let json = piece.bytes.get(range.clone()).unwrap_or_default();
        let place = (&piece.file, piece.start + range.start as u64);
        match &self.envelopes {
            Some(envelopes) => envelopes.decode(place, json, &self.evidence, &mut self.rows),
            None => self.rows.append(place, Found::new(json)),
        }
    }

    /// Decodes rows that are JSON objects.
    fn objects(&mut self, piece: &Piece, rows: &[Placed]) {
        for placed in rows {
            let json = piece.bytes.get(placed.range.clone()).unwrap_or_default();
            let place = (&piece.file, placed.position);
            if !self.rows.append(place, Found::new(json)) {
                let reason = exact::parse(json).err().unwrap_or_default();
                self.rows.reject(place, json.to_vec(), reason);
            }
        }
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
                self.rows.reject(place, table.original(row), reason);
            }
        }
    }

    /// Decodes one row of CSV; the error says why it is none.
    fn csv_row(&mut self, place: Place<'_>, row: &[u8], table: &CsvTable) -> Result<(), String> {
        let (object, raw) = table.read(row)?;
        let json = object.json.as_bytes();
        let found = Found { json, raw: Some(&raw), notes: object.notes };
        match self.rows.append(place, found) {
            true => Ok(()),
            false => Err(exact::parse(json).err().unwrap_or_default()),
        }
    }

    /// Puts a record into quarantine, with the parser's own words for why.
    fn give_up(&mut self, piece: &Piece, range: Range<usize>, is_uncut: bool) {
        let bytes = piece.bytes.get(range.clone()).unwrap_or_default();
        let inside = || "it lies behind a broken record and is no record of its own".to_owned();
        self.rows.quarantined.push(Quarantined {
            file: Arc::clone(&piece.file),
            position: piece.start + range.start as u64,
            reason: exact::parse(bytes).err().unwrap_or_else(inside),
            bytes: bytes.to_vec(),
            length: bytes.len() as u64,
            is_uncut,
        });
    }
}

/// Whether `text` is one whole object.
fn is_object(text: &[u8]) -> bool {
    text.starts_with(b"{") && walk(text, 0) == Walk::Whole(text.len())
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
    use arrow::datatypes::{DataType, Field};

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
