//! The records of files, as a run sees them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{Schema, SchemaRef};

use crate::error::{Error, Kind, Result};
use crate::project::{Format, KeepRaw};
use crate::runtime::{Stop, now};
use crate::source::{CsvTable, Decoder, Entries, InputFile, Lineage, Piece, Placed, Records, feed};

use super::csv_record;
use super::record::{Record, last_of_each};

/// How much content a reader is ahead, in bytes.
const AHEAD: usize = 16 << 20;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many records.
    pub records: u64,
    /// How many broken stretches, which are no records.
    pub broken: u64,
    /// Why the first of them is none.
    pub first_broken: Option<String>,
    /// Whether that is all of the files.
    pub is_all: bool,
}

/// Gives the records of `files`, which are written as `format`, to `take`: all of them, or `most`, about
/// as many of each file.
pub(super) async fn read(
    (files, format): (&[InputFile], &Format),
    most: Option<u64>,
    stop: &Stop,
    take: &mut dyn FnMut(&Record<'_>),
) -> Result<Totals> {
    let mut reading =
        Reading { totals: Totals { is_all: true, ..Totals::default() }, left: 0, take };
    for (index, file) in files.iter().enumerate() {
        let files_left = (files.len() - index) as u64;
        let records_left = most.map(|most| most.saturating_sub(reading.totals.records));
        if records_left == Some(0) {
            reading.totals.is_all = false;
            break;
        }
        reading.left = records_left.map_or(u64::MAX, |left| left.div_ceil(files_left));
        reading.file(file, format, stop).await?;
    }
    Ok(reading.totals)
}

struct Reading<'a> {
    totals: Totals,
    /// How many records more are wanted of the file.
    left: u64,
    take: &'a mut dyn FnMut(&Record<'_>),
}

impl Reading<'_> {
    /// The decoder of a table without columns finds the records, and keeps the text of each.
    async fn file(&mut self, file: &InputFile, format: &Format, stop: &Stop) -> Result<()> {
        let columns: SchemaRef = Arc::new(Schema::empty());
        let lineage = Lineage { batch: 0, ingested_at: now() };
        let decoder = Decoder::new(&columns, KeepRaw::Always, lineage)?;
        let mut decoder = decoder.inside(format.records.as_ref());
        let pieces = feed(vec![file.clone()], (&columns, format), 1, AHEAD, stop);
        while let Some(piece) = pieces.next().await? {
            stop.check()?;
            if self.left == 0 {
                self.totals.is_all = false;
                return Ok(());
            }
            match &piece.records {
                Records::Rows { rows, table } => self.rows(&piece, rows, table),
                _ => self.piece(&mut decoder, &piece)?,
            }
        }
        Ok(())
    }

    fn piece(&mut self, decoder: &mut Decoder, piece: &Piece) -> Result<()> {
        decoder.decode(piece);
        let rows = decoder.take_rows()?;
        for rejected in decoder.take_quarantined() {
            self.broken(rejected.reason);
        }
        let texts = rows.column_by_name("_raw").and_then(|texts| texts.as_string_opt::<i32>());
        let texts = texts.ok_or_else(|| Error::new(Kind::Bug, "records have no text"))?;
        for text in texts.iter().flatten() {
            let Ok(Entries(entries)) = serde_json::from_str::<Entries<'_>>(text) else { continue };
            let fields = last_of_each(&entries);
            self.record(&Record { text: Cow::Borrowed(text), fields, is_of_texts: false });
        }
        Ok(())
    }

    /// Rows of CSV, of which only the names and the texts are known without columns.
    fn rows(&mut self, piece: &Piece, rows: &[Placed], table: &CsvTable) {
        let columns: HashMap<String, String> = csv_record::columns(&table.names());
        for placed in rows {
            let row = piece.bytes.get(placed.range.clone()).unwrap_or_default();
            let object = match placed.broken {
                Some(reason) => Err(reason.to_owned()),
                None => table.json(row),
            };
            match object {
                Ok(object) => {
                    let record = csv_record::record(&object, &columns);
                    record.iter().for_each(|record| self.record(record));
                }
                Err(reason) => self.broken(reason),
            }
        }
    }

    fn broken(&mut self, reason: String) {
        self.totals.broken += 1;
        self.totals.first_broken.get_or_insert(reason);
    }

    fn record(&mut self, record: &Record<'_>) {
        if self.left == 0 {
            self.totals.is_all = false;
            return;
        }
        self.left -= 1;
        self.totals.records += 1;
        (self.take)(record);
    }
}
