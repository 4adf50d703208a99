//! Rows of a Bronze table under construction, and the records that became none.
//!
//! The common path: the record is read by `parse`, and only when every value fits its column is
//! anything appended. A record that does not pass is left to `exact`, whole: the two paths never share
//! a row.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::project::KeepRaw;
use crate::runtime::Timestamp;

use super::Quarantined;
use super::column::{StructColumn, finish_text, plain};
use super::exact::{self, Note};
use super::parse::Parser;

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
pub(super) struct Found<'a> {
    pub json: &'a [u8],
    /// How it stands in its file, if not as `json`.
    pub raw: Option<&'a str>,
    /// What of it is not in `json`.
    pub notes: Vec<Note>,
}

impl<'a> Found<'a> {
    /// A record that stands in its file as `json`.
    pub(super) fn new(json: &'a [u8]) -> Self {
        Self { json, raw: None, notes: Vec::new() }
    }
}

/// A file, and a place in its uncompressed content.
pub(super) type Place<'a> = (&'a Arc<str>, u64);

/// The rows so far.
pub(super) struct Rows {
    schema: SchemaRef,
    keep_raw: KeepRaw,
    lineage: Lineage,
    row: StructColumn,
    sources: StringBuilder,
    positions: Int64Builder,
    rescued: StringBuilder,
    raw: StringBuilder,
    /// How many there are.
    pub count: usize,
    /// How much JSON they were, about.
    pub bytes: usize,
    pub quarantined: Vec<Quarantined>,
    parser: Parser,
}

impl Rows {
    /// No rows of the table that declares `columns`.
    pub(super) fn new(columns: &SchemaRef, keep_raw: KeepRaw, lineage: Lineage) -> Result<Self> {
        Ok(Self {
            schema: bronze_schema(columns),
            keep_raw,
            lineage,
            row: StructColumn::new(columns.fields())?,
            sources: StringBuilder::new(),
            positions: Int64Builder::new(),
            rescued: StringBuilder::new(),
            raw: StringBuilder::new(),
            count: 0,
            bytes: 0,
            quarantined: Vec::new(),
            parser: Parser::default(),
        })
    }

    /// Adds one record; `false` when it is none.
    pub(super) fn append(&mut self, (file, position): Place<'_>, found: Found<'_>) -> bool {
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
                self.bytes += text.len();
            }
            self.bytes += rescued.as_ref().map_or(0, String::len);
            self.rescued.append_option(rescued);
        }
        self.sources.append_value(file);
        self.positions.append_value(i64::try_from(position).unwrap_or(i64::MAX));
        self.count += 1;
        self.bytes += json.len();
        true
    }

    /// Puts `bytes` into quarantine.
    pub(super) fn reject(&mut self, (file, position): Place<'_>, bytes: Vec<u8>, reason: String) {
        self.quarantined.push(Quarantined {
            file: Arc::clone(file),
            position,
            reason,
            length: bytes.len() as u64,
            bytes,
            is_uncut: false,
        });
    }

    /// Takes the rows; there are none afterwards.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.count);
        self.bytes = 0;
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
}
