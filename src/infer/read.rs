//! The records of files, as a run sees them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{Schema, SchemaRef};
use serde_json::value::RawValue;

use crate::error::{Error, Kind, Result};
use crate::project::{Format, KeepRaw};
use crate::runtime::{Stop, now};
use crate::source::{Decoder, Entries, InputFile, Lineage, Piece, content, feed};

use super::csv_record::{CsvRecords, delimiter_of};
use super::record::Record;

/// How much content a reader is ahead, in bytes.
const AHEAD: usize = 16 << 20;

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many records.
    pub records: u64,
    /// How many broken stretches, which are no records.
    pub broken: u64,
    /// Whether that is all of the files.
    pub is_all: bool,
}

/// Gives the records of `files` to `take`: all of them, or `most`, about as many of each file.
pub(super) async fn read(
    files: &[InputFile],
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
        match delimiter_of(&file.name) {
            Some(delimiter) => reading.csv(file, delimiter, stop)?,
            None => reading.json(file, stop).await?,
        }
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
    async fn json(&mut self, file: &InputFile, stop: &Stop) -> Result<()> {
        let columns: SchemaRef = Arc::new(Schema::empty());
        let lineage = Lineage { batch: 0, ingested_at: now() };
        let mut decoder = Decoder::new(&columns, KeepRaw::Always, lineage)?;
        let pieces = feed(vec![file.clone()], (&columns, &Format::default()), 1, AHEAD, stop);
        while let Some(piece) = pieces.next().await? {
            stop.check()?;
            if self.left == 0 {
                self.totals.is_all = false;
                return Ok(());
            }
            self.piece(&mut decoder, &piece)?;
        }
        Ok(())
    }

    fn piece(&mut self, decoder: &mut Decoder, piece: &Piece) -> Result<()> {
        decoder.decode(piece);
        let rows = decoder.take_rows()?;
        self.totals.broken += decoder.take_quarantined().len() as u64;
        let texts = rows.column_by_name("_raw").and_then(|texts| texts.as_string_opt::<i32>());
        let texts = texts.ok_or_else(|| Error::new(Kind::Bug, "records have no text"))?;
        for text in texts.iter().flatten() {
            let Ok(Entries(entries)) = serde_json::from_str::<Entries<'_>>(text) else { continue };
            let fields = last_of_each(&entries);
            self.record(&Record { text: Cow::Borrowed(text), fields, is_of_texts: false });
        }
        Ok(())
    }

    fn csv(&mut self, file: &InputFile, delimiter: u8, stop: &Stop) -> Result<()> {
        let Some(content) = content(file, stop)? else { return Ok(()) };
        let mut records = CsvRecords::new(content, delimiter);
        loop {
            stop.check()?;
            match records.next_row().map_err(|e| e.at("file", file.path.display()))? {
                Some(Some(record)) if self.left > 0 => self.record(&record),
                Some(Some(_)) => {
                    self.totals.is_all = false;
                    return Ok(());
                }
                Some(None) => self.totals.broken += 1,
                None => return Ok(()),
            }
        }
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

/// The entries without those that a later one of the same key overrides.
fn last_of_each<'a>(entries: &'a [(String, &'a RawValue)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let is_last =
        |index: usize, key: &String| entries.iter().skip(index + 1).all(|(later, _)| later != key);
    let entries = entries.iter().enumerate().filter(|(index, (key, _))| is_last(*index, key));
    entries.map(|(_, (key, raw))| (Cow::from(key.as_str()), Cow::from(raw.get()))).collect()
}
