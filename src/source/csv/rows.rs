//! Telling rows and fields from each other, and finding the next row behind a broken one.
//!
//! Fields are separated by a delimiter, rows by line breaks. A field that begins with a quote goes to
//! its closing one, and holds delimiters and line breaks as they are; a quote in it stands twice. A quote
//! in a field that does not begin with one is a character like others.

use std::ops::Range;

use crate::source::around::More;

/// How far behind a line break is looked for a whole row.
const LOOKAHEAD: usize = 64 << 10;
/// How many lines are looked at for one that is a whole row.
const LINES_TRIED: usize = 100;

/// What stands between fields and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    /// The last byte of a line break.
    pub newline: u8,
}

/// What begins at some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Whole {
        /// Its end, without the line break.
        end: usize,
        /// Where the next one begins.
        next: usize,
        /// How many fields it has.
        fields: usize,
    },
    /// Something follows the closing quote of a field.
    Broken,
    /// The text ends before the row does.
    Open,
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// What it holds, between its quotes if it has any.
    pub range: Range<usize>,
    pub is_quoted: bool,
    /// Where the delimiter or line break behind it is, or the text ends.
    pub end: usize,
}

impl Dialect {
    /// The dialect of a file that begins with `beginning`.
    pub(super) fn of(delimiter: u8, quote: Option<u8>, beginning: &[u8]) -> Self {
        // Only where no line ends otherwise is this a line break and not a part of a field.
        let is_return = memchr::memchr(b'\n', beginning).is_none()
            && memchr::memchr(b'\r', beginning).is_some();
        Self { delimiter, quote, newline: if is_return { b'\r' } else { b'\n' } }
    }

    /// The row that begins at `start`. One with a quote that is never closed is open at the end, too.
    pub(super) fn row(self, text: &[u8], start: usize, more: More) -> Row {
        let (mut at, mut fields) = (start, 0);
        loop {
            let field = match self.field(text, at, more) {
                Ok(field) => field,
                Err(row) => return row,
            };
            fields += 1;
            if text.get(field.end) == Some(&self.delimiter) {
                at = field.end + 1;
                continue;
            }
            let end = field.range.end + usize::from(field.is_quoted);
            return Row::Whole { end, next: text.len().min(field.end + 1), fields };
        }
    }

    /// The field that begins at `start`; when there is none, what its row is.
    pub(super) fn field(self, text: &[u8], start: usize, more: More) -> Result<Field, Row> {
        let rest = text.get(start..).unwrap_or_default();
        match self.quote {
            Some(quote) if rest.first() == Some(&quote) => {
                self.quoted(text, start + 1, quote, more)
            }
            _ => {
                let end = match memchr::memchr2(self.delimiter, self.newline, rest) {
                    Some(offset) => start + offset,
                    None if more == More::Ended => text.len(),
                    None => return Err(Row::Open),
                };
                let is_last = text.get(end) != Some(&self.delimiter);
                let content = if is_last { self.without_returns(text, start..end) } else { end };
                Ok(Field { range: start..content, is_quoted: false, end })
            }
        }
    }

    /// The field whose content begins at `start`, behind its opening quote.
    fn quoted(self, text: &[u8], start: usize, quote: u8, more: More) -> Result<Field, Row> {
        let mut at = start;
        let close = loop {
            let rest = text.get(at..).unwrap_or_default();
            let close = at + memchr::memchr(quote, rest).ok_or(Row::Open)?;
            if text.get(close + 1) != Some(&quote) {
                break close;
            }
            at = close + 2;
        };
        let mut end = close + 1;
        while self.newline == b'\n' && text.get(end) == Some(&b'\r') {
            end += 1;
        }
        let is_ended = match text.get(end) {
            Some(byte) => *byte == self.newline || end == close + 1 && *byte == self.delimiter,
            None if more == More::Ended => true,
            None => return Err(Row::Open),
        };
        let field = Field { range: start..close, is_quoted: true, end };
        if is_ended { Ok(field) } else { Err(Row::Broken) }
    }

    /// Where a row begins behind the broken one at `start`: with the first line that is a whole row of
    /// `fields` fields, or, where none of the next ones is, with the next line. None when the text
    /// ends too soon to tell.
    pub(super) fn resume(
        self,
        text: &[u8],
        start: usize,
        fields: usize,
        more: More,
    ) -> Option<usize> {
        let (mut at, mut first) = (start, None);
        for _ in 0..LINES_TRIED {
            let Some(offset) = memchr::memchr(self.newline, text.get(at..)?) else { break };
            at += offset + 1;
            first = first.or(Some(at));
            let window = text.get(..at + LOOKAHEAD).unwrap_or(text);
            let more = if window.len() < text.len() { More::Follows } else { more };
            let found = match at < text.len() {
                true => self.row(window, at, more),
                false => Row::Open,
            };
            if matches!(found, Row::Whole { fields: found, .. } if found == fields) {
                return Some(at);
            }
        }
        match more {
            More::Ended => first.or(Some(text.len())),
            More::Follows => None,
        }
    }

    /// The end of `range` without the line break behind a row.
    pub(super) fn without_break(self, text: &[u8], range: Range<usize>) -> usize {
        let end = match text.get(range.clone()).and_then(<[u8]>::last) {
            Some(last) if *last == self.newline => range.end - 1,
            _ => range.end,
        };
        self.without_returns(text, range.start..end)
    }

    /// The end of `range` without the carriage returns that belong to a line break.
    fn without_returns(self, text: &[u8], range: Range<usize>) -> usize {
        let content = text.get(range.clone()).unwrap_or_default();
        match self.newline {
            b'\n' => {
                let returns = content.iter().rev().take_while(|byte| **byte == b'\r').count();
                range.end - returns
            }
            _ => range.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Dialect = Dialect { delimiter: b',', quote: Some(b'"'), newline: b'\n' };

    fn fields(row: &str) -> Vec<(&str, bool)> {
        let (mut at, mut found) = (0, Vec::new());
        loop {
            let field = COMMAS.field(row.as_bytes(), at, More::Ended).unwrap();
            found.push((&row[field.range.clone()], field.is_quoted));
            if row.as_bytes().get(field.end) != Some(&b',') {
                return found;
            }
            at = field.end + 1;
        }
    }

    #[test]
    fn rows_end_where_no_quote_is_open() {
        for (text, end, next, fields) in [
            ("a,b\nc", 3, 4, 2),
            ("a,b\r\nc", 3, 5, 2),
            ("a,b\r\r\nc", 3, 6, 2),
            ("\nc", 0, 1, 1),
            (",,\n", 2, 3, 3),
            ("\"a\nb\",\"\"\"\"\n", 10, 11, 2),
            ("\"a,b\"\r\nc", 5, 7, 1),
            ("5\" wide,b\n", 9, 10, 2),
            ("a\rb,c\n", 5, 6, 2),
        ] {
            for more in [More::Follows, More::Ended] {
                let row = COMMAS.row(text.as_bytes(), 0, more);
                assert_eq!(row, Row::Whole { end, next, fields }, "{text:?}");
            }
        }
        assert_eq!(COMMAS.row(b"a,\"b\"", 0, More::Follows), Row::Open);
        let last = Row::Whole { end: 5, next: 5, fields: 2 };
        assert_eq!(COMMAS.row(b"a,\"b\"", 0, More::Ended), last);
        assert_eq!(COMMAS.row(b"a,\"b\n", 0, More::Ended), Row::Open);
        for broken in ["\"a\"b,c\n", "\"a\" ,c\n", "\"a\"\r,c\n"] {
            assert_eq!(COMMAS.row(broken.as_bytes(), 0, More::Ended), Row::Broken, "{broken}");
        }
    }

    #[test]
    fn a_field_knows_whether_it_was_quoted() {
        assert_eq!(fields("a,,\"\""), [("a", false), ("", false), ("", true)]);
        assert_eq!(fields("\"a\"\"b\",\"c\nd\""), [("a\"\"b", true), ("c\nd", true)]);
        assert_eq!(fields("a,"), [("a", false), ("", false)]);
    }

    #[test]
    fn carriage_returns_break_lines_where_nothing_else_does() {
        let mac = Dialect::of(b',', Some(b'"'), b"a,b\rc,d\r");
        assert_eq!(
            mac.row(b"a,b\rc,d\r", 0, More::Ended),
            Row::Whole { end: 3, next: 4, fields: 2 }
        );
        assert_eq!(Dialect::of(b',', Some(b'"'), b"a\rb\n").newline, b'\n');
    }

    #[test]
    fn the_next_row_is_one_with_as_many_fields() {
        let resume = |text: &str, more| COMMAS.resume(text.as_bytes(), 0, 2, more);
        assert_eq!(resume("1,\"x\n2,y\n3,z\n", More::Ended), Some(5));
        assert_eq!(resume("\"x\ny\nz\"w\n2,y\n", More::Ended), Some(9));
        assert_eq!(resume("\"x\nno\nno\n", More::Ended), Some(3));
        assert_eq!(resume("\"x\nno\nno\n", More::Follows), None);
        assert_eq!(resume("\"x", More::Ended), Some(2));
    }
}
