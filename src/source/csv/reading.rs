//! Cutting text into rows, of which the first may have to name the fields.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;

use crate::source::Placed;
use crate::source::around::More;

use super::CsvTable;
use super::encoding::TextEncoding;
use super::rows::{Dialect, Row};

/// How long a row may be before the next one is looked for within it.
const LONG: usize = 4 << 20;
const NOT_CLOSED: &str = "not CSV: a quote is opened and not closed before the next row";
const NOT_ENDED: &str = "not CSV: something follows the closing quote of a field";
const NO_NAMES: &str = "the first row, which has to name the fields, is not of the file's encoding";

/// How the rows of the file are read.
pub(super) struct Reading {
    pub dialect: Dialect,
    pub encoding: TextEncoding,
    /// None before the row that names the fields.
    pub table: Option<Arc<CsvTable>>,
    /// How many fields a row has.
    pub fields: usize,
    /// Whether what was cut last is a row that ended with a line break.
    pub is_settled: bool,
    /// Whether a broken stretch was taken to end where it does because the file ended.
    pub is_guessed: bool,
}

/// What was cut off the front of a text.
#[derive(Default)]
pub(super) struct Cut {
    pub rows: Vec<Placed>,
    /// How far the text was cut.
    pub end: usize,
    /// A place of the text, and where that is in the content.
    pub place: (usize, u64),
}

impl Reading {
    /// Whether what follows what was cut is read as it would be if the file were read as a whole.
    pub(super) fn may_go_on(&self) -> bool {
        let is_as_on_disk = !matches!(self.encoding, TextEncoding::Utf16 { .. });
        let has_names = self.table.as_ref().is_some_and(|table| table.has_names());
        is_as_on_disk && has_names && self.is_settled && !self.is_guessed
    }

    /// Cuts the next row off `text`; `false` when there is none that is whole.
    pub(super) fn next(
        &mut self,
        text: &[u8],
        more: More,
        columns: &Schema,
        cut: &mut Cut,
    ) -> bool {
        let start = cut.end;
        if start >= text.len() {
            return false;
        }
        match self.dialect.row(text, start, more) {
            // An empty line.
            Row::Whole { end, next, .. } if end == start => cut.end = next,
            Row::Whole { end, next, fields } => {
                match self.swallowed(text, start..end, fields, next) {
                    Some(resumed) => self.broken(text, start..resumed, cut),
                    None => {
                        self.whole(text, start..end, fields, columns, cut);
                        let last = next.checked_sub(1).and_then(|last| text.get(last));
                        self.is_settled = last == Some(&self.dialect.newline);
                        cut.end = next;
                    }
                }
            }
            Row::Broken => {
                let is_long = text.len() - start >= LONG;
                let more = if is_long { More::Ended } else { more };
                let resume = |more| self.dialect.resume(text, start, self.fields, more);
                let found = resume(more);
                self.is_guessed |= more == More::Ended && resume(More::Follows) != found;
                match found {
                    Some(resumed) => self.broken(text, start..resumed, cut),
                    None => return false,
                }
            }
            Row::Open => {
                let is_long = text.len() - start >= LONG && self.fields > 1;
                if more == More::Follows && !is_long {
                    return false;
                }
                match self.dialect.resume(text, start, self.fields, more) {
                    Some(resumed) => {
                        // The quote may be closed by what comes later.
                        self.is_guessed = true;
                        self.broken(text, start..resumed, cut);
                    }
                    None => return false,
                }
            }
        }
        true
    }

    /// Where the next row begins within `row`, which has another number of fields than there are
    /// names and goes over several lines: when one of these is a row, a quote was not closed.
    fn swallowed(
        &self,
        text: &[u8],
        row: Range<usize>,
        fields: usize,
        next: usize,
    ) -> Option<usize> {
        let lines = text.get(row.clone())?;
        if self.table.is_none() || fields == self.fields {
            return None;
        }
        memchr::memchr(self.dialect.newline, lines)?;
        self.dialect.resume(text.get(..next)?, row.start, self.fields, More::Follows)
    }

    /// Takes a row: the first one names the fields if nothing else does.
    fn whole(
        &mut self,
        text: &[u8],
        row: Range<usize>,
        fields: usize,
        columns: &Schema,
        cut: &mut Cut,
    ) {
        if self.table.is_some() {
            self.add(text, row, None, cut);
            return;
        }
        let header = text.get(row.clone()).unwrap_or_default();
        match CsvTable::of_header((self.dialect, self.encoding), header, columns) {
            Some(table) => {
                self.fields = fields;
                self.table = Some(Arc::new(table));
            }
            None => {
                self.add(text, row, Some(NO_NAMES), cut);
                self.without_names();
            }
        }
    }

    /// Takes a broken stretch. When the fields have no names yet they stay without.
    fn broken(&mut self, text: &[u8], range: Range<usize>, cut: &mut Cut) {
        let end = self.dialect.without_break(text, range.clone());
        let stretch = text.get(range.start..end).unwrap_or_default();
        let line = stretch.split(|byte| *byte == self.dialect.newline).next().unwrap_or_default();
        let reason = match self.dialect.row(line, 0, More::Ended) {
            Row::Broken => NOT_ENDED,
            Row::Open | Row::Whole { .. } => NOT_CLOSED,
        };
        self.add(text, range.start..end, Some(reason), cut);
        self.without_names();
        self.is_settled = false;
        cut.end = range.end;
    }

    /// Says that what had to name the fields did not.
    pub(super) fn without_names(&mut self) {
        let nameless = || Arc::new(CsvTable::nameless((self.dialect, self.encoding)));
        self.table.get_or_insert_with(nameless);
    }

    fn add(&self, text: &[u8], range: Range<usize>, broken: Option<&'static str>, cut: &mut Cut) {
        let (before, position) = cut.place;
        let between = text.get(before..range.start).unwrap_or_default();
        let position = position + self.encoding.original_length(between);
        cut.place = (range.start, position);
        cut.rows.push(Placed { range, position, broken });
    }
}
