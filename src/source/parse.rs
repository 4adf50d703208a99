//! The decoder's common path: a record that looks as its table declares it, read once from its text.
//!
//! Knowing what has to come is what makes it quick: keys are compared with the one that is
//! expected next, a value is read as what its column wants, and texts are only pointed at. A record
//! that holds anything else (an unknown or repeated key, a value that does not fit, broken JSON) is
//! not judged here but left to `exact`. What is accepted here `exact` would accept, with the same row.

use std::ops::Range;

use serde_json::value::RawValue;

use super::column::{Column, StructColumn};
use super::exact::{exact_double, is_whole_number};

/// Reads records one after the other.
#[derive(Default)]
pub(super) struct Parser {
    cells: Vec<Cell>,
    unescaped: String,
}

/// One value of a record. Those of an object stand in the order of its columns, with the insides of
/// lists and objects behind them.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// No value, so far.
    Absent,
    Null,
    /// A part of the record's text.
    Text(Part),
    /// A part of what was unescaped.
    Unescaped(Part),
    Integer(i64),
    Decimal(f64),
    Boolean(bool),
    /// The number of items of a list, of which each has a cell from the next one on.
    Items(u32),
    /// Where the cells are that a list or an object consists of.
    At(u32),
}

/// From where to where, in bytes.
type Part = (u32, u32);

impl Parser {
    /// Reads `text` as a record of the columns of `row`; gives it when it is one without a doubt.
    pub(super) fn parse<'a>(
        &'a mut self,
        row: &StructColumn,
        text: &'a [u8],
    ) -> Option<Parsed<'a>> {
        self.cells.clear();
        self.unescaped.clear();
        let valid = simdutf8::basic::from_utf8(text).ok()?;
        let start = after_space(text, 0);
        let end = self.object(row, text, expect(text, start, b'{')?)?;
        (after_space(text, end) == text.len()).then_some(())?;
        Some(Parsed { cells: &self.cells, text: valid, unescaped: &self.unescaped })
    }

    /// Reads what follows an opening brace; gives the place behind the closing one.
    fn object(&mut self, row: &StructColumn, text: &[u8], start: usize) -> Option<usize> {
        let first = self.cells.len();
        self.cells.resize(first + row.columns.len(), Cell::Absent);
        let mut at = after_space(text, start);
        if text.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        let mut expected = 0;
        loop {
            let key = text.get(expect(text, at, b'"')?..)?;
            let (index, length) = row.key_at(key, expected)?;
            at = after_space(text, at + 1 + length);
            at = after_space(text, expect(text, at, b':')?);
            let (cell, end) = self.value(row.columns.get(index)?, text, at)?;
            let place = self.cells.get_mut(first + index)?;
            if !matches!(place, Cell::Absent) {
                return None;
            }
            *place = cell;
            expected = index + 1;
            at = after_space(text, end);
            match text.get(at)? {
                b',' => at = after_space(text, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Reads the value at `at`; gives it and the place behind it.
    fn value(&mut self, column: &Column, text: &[u8], at: usize) -> Option<(Cell, usize)> {
        let inside = u32::try_from(self.cells.len()).ok()?;
        match (column, *text.get(at)?) {
            (Column::Text(_), b'"') => self.string(text, at + 1),
            (Column::Integer(_), b'-' | b'0'..=b'9') => integer(text, at),
            (Column::Boolean(_), b't') => word(text, at, b"true", Cell::Boolean(true)),
            (Column::Boolean(_), b'f') => word(text, at, b"false", Cell::Boolean(false)),
            (_, b'n') => word(text, at, b"null", Cell::Null),
            (Column::Json(_), first) => self.scalar(text, at, first),
            (Column::List(list), b'[') => {
                let end = self.items(&list.items, text, at + 1)?;
                Some((Cell::At(inside), end))
            }
            (Column::Struct(row), b'{') => {
                let end = self.object(row, text, at + 1)?;
                Some((Cell::At(inside), end))
            }
            (Column::Decimal(_), b'-' | b'0'..=b'9') => decimal(text, at),
            _ => None,
        }
    }

    /// Reads what follows an opening bracket; gives the place behind the closing one.
    fn items(&mut self, column: &Column, text: &[u8], start: usize) -> Option<usize> {
        let head = self.cells.len();
        self.cells.push(Cell::Items(0));
        let mut at = after_space(text, start);
        if text.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        let mut count = 0;
        loop {
            let place = self.cells.len();
            self.cells.push(Cell::Absent);
            let (cell, end) = self.value(column, text, at)?;
            *self.cells.get_mut(place)? = cell;
            count += 1;
            at = after_space(text, end);
            match text.get(at)? {
                b',' => at = after_space(text, at + 1),
                b']' => break,
                _ => return None,
            }
        }
        *self.cells.get_mut(head)? = Cell::Items(count);
        Some(at + 1)
    }

    /// Reads a value as it stands, if it is neither list nor object.
    fn scalar(&mut self, text: &[u8], at: usize, first: u8) -> Option<(Cell, usize)> {
        let end = match first {
            b'"' => self.string(text, at + 1)?.1,
            b't' => word(text, at, b"true", Cell::Null)?.1,
            b'f' => word(text, at, b"false", Cell::Null)?.1,
            b'-' | b'0'..=b'9' => at + number(text, at)?.len(),
            _ => return None,
        };
        Some((Cell::Text(part(at..end)?), end))
    }

    /// Reads what follows an opening quote.
    fn string(&mut self, text: &[u8], start: usize) -> Option<(Cell, usize)> {
        let end = end_of_plain(text, start);
        match text.get(end)? {
            b'"' => Some((Cell::Text(part(start..end)?), end + 1)),
            b'\\' => self.escaped(text, start, end),
            _ => None,
        }
    }

    /// Reads what follows an opening quote and has its first escape at `escape`.
    fn escaped(&mut self, text: &[u8], start: usize, escape: usize) -> Option<(Cell, usize)> {
        let mut end = escape;
        while *text.get(end)? != b'"' {
            (text.get(end) == Some(&b'\\')).then_some(())?;
            end = end_of_plain(text, end + 2);
        }
        let string: String = serde_json::from_slice(text.get(start - 1..=end)?).ok()?;
        let from = self.unescaped.len();
        self.unescaped.push_str(&string);
        Some((Cell::Unescaped(part(from..self.unescaped.len())?), end + 1))
    }
}

/// A record whose values all fit.
pub(super) struct Parsed<'a> {
    cells: &'a [Cell],
    text: &'a str,
    unescaped: &'a str,
}

impl Parsed<'_> {
    /// Adds the record to the columns that it was read for.
    pub(super) fn append(&self, row: &mut StructColumn) {
        self.append_object(row, 0);
    }

    /// Adds the object whose cells begin at `first`; gives where the cells behind it begin.
    fn append_object(&self, row: &mut StructColumn, first: usize) -> usize {
        let mut behind = first + row.columns.len();
        for (index, column) in row.columns.iter_mut().enumerate() {
            behind = behind.max(self.append_value(column, first + index));
        }
        row.end();
        behind
    }

    /// Adds the value of the cell at `at`; gives where the cells behind it begin.
    fn append_value(&self, column: &mut Column, at: usize) -> usize {
        let cell = self.cells.get(at).copied().unwrap_or(Cell::Absent);
        match (&mut *column, cell) {
            (Column::Text(builder) | Column::Json(builder), Cell::Text(part)) => {
                builder.append_value(of(self.text, part));
            }
            (Column::Text(builder), Cell::Unescaped(part)) => {
                builder.append_value(of(self.unescaped, part))
            }
            (Column::Integer(builder), Cell::Integer(number)) => builder.append_value(number),
            (Column::Decimal(builder), Cell::Decimal(number)) => builder.append_value(number),
            (Column::Boolean(builder), Cell::Boolean(flag)) => builder.append_value(flag),
            (Column::Struct(row), Cell::At(first)) => {
                return self.append_object(row, first as usize);
            }
            (Column::List(list), Cell::At(head)) => {
                let head = head as usize;
                let Some(Cell::Items(count)) = self.cells.get(head) else { return head };
                let mut next = head + 1;
                for _ in 0..*count {
                    next = self.append_value(&mut list.items, next);
                }
                list.end(true);
                return next;
            }
            _ => column.append_null(),
        }
        at + 1
    }
}

fn part(range: Range<usize>) -> Option<Part> {
    Some((u32::try_from(range.start).ok()?, u32::try_from(range.end).ok()?))
}

fn of(text: &str, (start, end): Part) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

/// The place behind `byte`, which has to stand at `at`.
#[inline]
fn expect(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*text.get(at)? == byte).then_some(at + 1)
}

/// The first place from `at` on without white space.
#[inline]
pub(super) fn after_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn word(text: &[u8], at: usize, word: &[u8], cell: Cell) -> Option<(Cell, usize)> {
    text.get(at..)?.starts_with(word).then_some((cell, at + word.len()))
}

/// The first place from `at` on of a quote, a backslash or a control character, none of which can
/// stand for itself in a string.
#[inline]
pub(super) fn end_of_plain(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// Eight bytes at once: the lowest bit set is the highest of the first byte that ends a plain text.
/// Subtracting borrows from higher bytes only, so what is wrongly found lies behind what is found.
#[inline]
fn ends(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let is_below = |word: u64, bound: u64| word.wrapping_sub(bound * EACH) & !word & HIGH;
    let is = |byte: u64| is_below(word ^ (byte * EACH), 1);
    is(u64::from(b'"')) | is(u64::from(b'\\')) | is_below(word, 0x20)
}

/// The place behind the characters of a number.
fn end_of_number(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
        at += 1;
    }
    at
}

/// The characters of a number at `at`, if they are one.
fn number(text: &[u8], at: usize) -> Option<&str> {
    let number = std::str::from_utf8(text.get(at..end_of_number(text, at))?).ok()?;
    serde_json::from_str::<&RawValue>(number).ok().map(|_| number)
}

fn integer(text: &[u8], at: usize) -> Option<(Cell, usize)> {
    let digits = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Most are so short that they cannot overflow, and have nothing to be checked.
    let first = *text.get(at)?;
    if (1..=18).contains(&digits) && (first != b'0' || digits == 1) {
        let value = |number: i64, digit: &u8| number * 10 + i64::from(digit - b'0');
        let number = text.get(at..at + digits)?.iter().fold(0, value);
        let is_whole = !matches!(text.get(at + digits), Some(b'.' | b'e' | b'E'));
        return is_whole.then_some((Cell::Integer(number), at + digits));
    }
    let number = number(text, at)?;
    is_whole_number(number).then_some(())?;
    Some((Cell::Integer(number.parse().ok()?), at + number.len()))
}

fn decimal(text: &[u8], at: usize) -> Option<(Cell, usize)> {
    let number = number(text, at)?;
    Some((Cell::Decimal(exact_double(number)?), at + number.len()))
}

#[cfg(test)]
mod tests {
    use arrow::array::StructArray;
    use arrow::datatypes::{DataType, Field, Fields};
    use rand::seq::IndexedRandom as _;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::source::exact;

    fn columns() -> StructColumn {
        let list = |item: DataType| DataType::List(Field::new("item", item, true).into());
        let any = |name: &str| {
            let json = [(crate::project::JSON.to_owned(), String::new())];
            Field::new(name, DataType::Utf8, true).with_metadata(json.into())
        };
        let event = Fields::from(vec![
            Field::new("kind", DataType::Utf8, true),
            Field::new("tags", list(DataType::Utf8), true),
            Field::new("at", DataType::Int64, true),
        ]);
        let fields = Fields::from(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new("a rather long name", DataType::Int64, true),
            Field::new("share", DataType::Float64, true),
            Field::new("flag", DataType::Boolean, true),
            Field::new("events", list(DataType::Struct(event.clone())), true),
            Field::new("last", DataType::Struct(event), true),
            Field::new("matrix", list(list(DataType::Int64)), true),
            Field::new("odd \"name\"", DataType::Utf8, true),
            any("any"),
            Field::new("anys", DataType::List(any("item").into()), true),
        ]);
        StructColumn::new(&fields).unwrap()
    }

    /// The row of the common path, if it takes the record.
    fn parsed(text: &[u8]) -> Option<StructArray> {
        let mut row = columns();
        Parser::default().parse(&row, text)?.append(&mut row);
        Some(row.finish().unwrap())
    }

    /// The row of the other path, if there is one and nothing of the record is left over.
    fn reference(text: &[u8]) -> Option<StructArray> {
        let mut row = columns();
        let rescued = exact::append(&mut row, &exact::parse(text).ok()?, Vec::new());
        rescued.is_none().then(|| row.finish().unwrap())
    }

    const WHOLE: &str = r#"{"id":"a","a rather long name":-12,"share":0.5,"flag":true,
        "events":[{"kind":"view","tags":["x","y"],"at":1},{},{"at":2,"kind":"click"},null],
        "last":{"tags":[],"kind":null},"matrix":[[1,2],[],null,[3]],"any":1750000000,"anys":[1,"x",null]}"#;

    #[test]
    fn records_as_declared_are_taken() {
        let taken = [
            WHOLE,
            "{}",
            " {\t\"flag\" : false ,\r\n\"id\":null} ",
            r#"{"id":"tab\tquote\"slash\/\\ \u00e9 \ud83d\ude00 and on"}"#,
            r#"{"id":"Größe, 18 €, 数 and 😀 behind eight bytes"}"#,
            r#"{"a rather long name":9223372036854775807,"share":1e3}"#,
            r#"{"a rather long name":-9223372036854775808,"share":-0}"#,
            r#"{"last":{"at":0},"id":"other order","flag":true}"#,
            r#"{"any":"a text with \"quotes\" and \u00e9"}"#,
            r#"{"any":-1.50e3 ,"flag":true}"#,
            r#"{"any":false}"#,
            r#"{"any":null}"#,
        ];
        for text in taken {
            let row = parsed(text.as_bytes());
            assert!(row.is_some(), "refused: {text}");
            assert_eq!(row, reference(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_as_declared_is_left_to_the_other_path() {
        let refused = [
            "",
            "[]",
            "{",
            "{}}",
            "{} {}",
            r#"{"id":"a",}"#,
            r#"{,"id":"a"}"#,
            r#"{"id" "a"}"#,
            r#"{"id":"a" "flag":true}"#,
            r#"{"id":"a","id":"b"}"#,
            r#"{"id":null,"id":"b"}"#,
            r#"{"unknown":1}"#,
            r#"{"i\u0064":"a"}"#,
            r#"{"odd "name"":"a"}"#,
            r#"{"id":5}"#,
            r#"{"id":"a}"#,
            r#"{"id":"a\"}"#,
            r#"{"id":"\x"}"#,
            r#"{"id":"\ud83d"}"#,
            "{\"id\":\"a\nb\"}",
            "{\"id\":\"eight bytes\u{1}\"}",
            r#"{"a rather long name":01}"#,
            r#"{"a rather long name":1.0}"#,
            r#"{"a rather long name":1e3}"#,
            r#"{"a rather long name":-}"#,
            r#"{"a rather long name":+1}"#,
            r#"{"a rather long name":9223372036854775808}"#,
            r#"{"share":9007199254740993}"#,
            r#"{"share":1e999}"#,
            r#"{"share":1e400}"#,
            r#"{"share":-1e400}"#,
            r#"{"share":NaN}"#,
            r#"{"share":Infinity}"#,
            r#"{"share":.5}"#,
            r#"{"flag":truee}"#,
            r#"{"flag":tru}"#,
            r#"{"flag":1}"#,
            r#"{"last":[]}"#,
            r#"{"events":[{"kind":"a"},]}"#,
            r#"{"events":[{"kind":"a"}"#,
            r#"{"events":[{"other":"a"}]}"#,
            r#"{"matrix":[[1],2]}"#,
            "{\"id\":\"a\u{a0}\"}\u{a0}",
        ];
        for text in refused {
            assert!(parsed(text.as_bytes()).is_none(), "taken: {text}");
        }
        assert!(parsed(b"{\"id\":\"\xff\"}").is_none());
    }

    #[test]
    fn mangled_records_are_taken_only_with_the_row_of_the_other_path() {
        let mut chance = ChaCha8Rng::seed_from_u64(11);
        let pieces: Vec<&[u8]> = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u0041", "0", "-", "1", ".", "e",
            " ", "\n", "null", "true", "\"id\":", "\"at\":7", "\u{e9}", "\u{1}", "x",
        ]
        .map(str::as_bytes)
        .to_vec();
        let mut taken = 0;
        for _ in 0..60_000 {
            let mut text = WHOLE.as_bytes().to_vec();
            for _ in 0..chance.random_range(1..4) {
                let from = chance.random_range(0..text.len());
                let to = (from + chance.random_range(0..4)).min(text.len());
                text.splice(from..to, pieces.choose(&mut chance).unwrap().iter().copied());
            }
            if let Some(row) = parsed(&text) {
                taken += 1;
                assert_eq!(Some(row), reference(&text), "{}", String::from_utf8_lossy(&text));
            }
        }
        assert!(taken > 1000, "only {taken} were records");
    }
}
