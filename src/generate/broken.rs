//! Records that are not JSON objects at all.
//!
//! Owns the ways a record can be broken. Invariant: what comes out never parses as an object,
//! never holds a line break, and never begins or ends with white space or a comma, so that its
//! bytes and its place in the file can be stated exactly. The ways are taken in turn.

use std::ops::Range;

use super::dice::{Dice, Purpose};
use super::fields::{members, splice, strings, text_at};
use super::output::Frame;

/// The ways a record can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Cut off within a string value, after a letter or digit.
    CutInText,
    /// Bytes within a string value that are not UTF-8.
    BadBytes,
    /// Valid JSON, but not an object.
    Scalar,
    /// Cut off after a value.
    CutAfterValue,
    /// A string value without its closing quote.
    LostQuote,
    /// Something a program wrote into the wrong file.
    FreeText,
    /// An object followed by one brace too many.
    StrayBrace,
    /// An object written by someone who thinks it is Python.
    Python,
    /// A field without a value.
    NoValue,
}

/// The ways that leave the records around them findable in every framing.
const EVERYWHERE: [Way; 5] =
    [Way::CutInText, Way::BadBytes, Way::Scalar, Way::CutAfterValue, Way::LostQuote];

/// All ways, for files in which each line stands for itself.
const IN_LINES: [Way; 9] = [
    Way::CutInText,
    Way::FreeText,
    Way::BadBytes,
    Way::StrayBrace,
    Way::Scalar,
    Way::Python,
    Way::CutAfterValue,
    Way::NoValue,
    Way::LostQuote,
];

const SCALARS: [&str; 3] = ["42", "null", "\"just text\""];
const FREE_TEXT: &[u8] = b"2025-07-22 ERROR upstream timed out";

/// The fields that stay whole: they tell whose record it was.
const KEPT_FIELDS: usize = 2;

/// Breaks records.
pub(super) struct Breaker {
    dice: Dice,
    turn: usize,
    scalars: usize,
}

impl Breaker {
    /// The breaker of one output.
    pub(super) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed, Purpose::Breakage);
        Self { dice, turn: 0, scalars: 0 }
    }

    /// A broken record for a file with this framing, made from a clean record.
    pub(super) fn broken(&mut self, record: &[u8], frame: Frame) -> Vec<u8> {
        let ways: &[Way] = match frame {
            Frame::Ndjson => &IN_LINES,
            Frame::Array | Frame::PrettyArray | Frame::Concatenated => &EVERYWHERE,
        };
        let way = ways.get(self.turn % ways.len()).copied();
        self.turn += 1;
        let broken = match way.unwrap_or(Way::Scalar) {
            Way::CutInText => self.cut_in_text(record),
            Way::CutAfterValue => self.cut_after_value(record),
            Way::BadBytes => self.bad_bytes(record),
            Way::LostQuote => self.lost_quote(record),
            Way::FreeText => Some(FREE_TEXT.to_vec()),
            Way::StrayBrace => Some([record, b"}"].concat()),
            Way::Python => Some(python(record)),
            Way::NoValue => no_value(record),
            Way::Scalar => None,
        };
        broken.unwrap_or_else(|| self.scalar())
    }

    fn cut_in_text(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let texts = late_texts(record);
        let text = self.dice.choose(&texts)?.clone();
        let ends: Vec<usize> = text
            .filter(|at| record.get(*at).is_some_and(u8::is_ascii_alphanumeric))
            .map(|at| at + 1)
            .collect();
        let end = *self.dice.choose(&ends)?;
        Some(text_at(record, 0..end).to_vec())
    }

    fn cut_after_value(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let ends: Vec<usize> = members(record, 0)
            .into_iter()
            .skip(KEPT_FIELDS - 1)
            .map(|field| field.value.end)
            .filter(|end| ends_visibly(text_at(record, 0..*end)))
            .collect();
        let end = *self.dice.choose(&ends)?;
        Some(text_at(record, 0..end).to_vec())
    }

    fn bad_bytes(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let texts = late_texts(record);
        let text = self.dice.choose(&texts)?;
        let at = text.start + self.dice.place(text.len());
        let mut broken = record.to_vec();
        splice(&mut broken, at..at, &[0xFF, 0xFE]);
        Some(broken)
    }

    fn lost_quote(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let texts = late_texts(record);
        let end = self.dice.choose(&texts)?.end;
        let mut broken = record.to_vec();
        splice(&mut broken, end..end + 1, b"");
        Some(broken)
    }

    fn scalar(&mut self) -> Vec<u8> {
        let scalar = SCALARS.get(self.scalars % SCALARS.len()).unwrap_or(&"42");
        self.scalars += 1;
        scalar.as_bytes().to_vec()
    }
}

/// The contents of the string values after the kept fields; of all but the first field when
/// there are none. Texts without a letter or digit are left out.
fn late_texts(record: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for kept in [KEPT_FIELDS, 1] {
        for field in members(record, 0).into_iter().skip(kept) {
            strings(record, field.value.start, &mut found);
        }
        found.retain(|place| {
            let text = text_at(record, place.clone());
            text.iter().any(u8::is_ascii_alphanumeric)
        });
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// Whether a text ends with a quote, a digit or a closing bracket, unlike `true` and `null`.
fn ends_visibly(text: &[u8]) -> bool {
    let last = text.last();
    last.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'"' | b']' | b'}'))
}

/// The record as Python would print it.
fn python(record: &[u8]) -> Vec<u8> {
    let fields: Vec<String> = members(record, 0)
        .into_iter()
        .map(|field| {
            let name = String::from_utf8_lossy(text_at(record, field.name)).into_owned();
            let value = match text_at(record, field.value) {
                b"true" => "True".to_owned(),
                b"false" => "False".to_owned(),
                b"null" => "None".to_owned(),
                value => String::from_utf8_lossy(value).replace('"', "'"),
            };
            format!("'{name}': {value}")
        })
        .collect();
    format!("{{{}}}", fields.join(", ")).into_bytes()
}

/// An object whose only field has a name but no value.
fn no_value(record: &[u8]) -> Option<Vec<u8>> {
    let first = members(record, 0).into_iter().next()?;
    let name = text_at(record, first.name);
    Some([b"{\"".as_slice(), name, b"\":}"].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const SESSION: &[u8] = br#"{"session_id":"1a","user_id":"u-2","referrer":"","os":"Windows 10","utm":null,"events":[{"event_type":"click"}],"time_spent_seconds":5,"bounce":true}"#;
    const NUMERIC: &[u8] = br#"{"user_id":"u-2","url":"https://a/b","timestamp":1736000000000}"#;

    #[test]
    fn nothing_broken_is_an_object() {
        for frame in [Frame::Ndjson, Frame::Array, Frame::PrettyArray, Frame::Concatenated] {
            let mut breaker = Breaker::new(7);
            for turn in 0..200 {
                let record = if turn % 3 == 0 { NUMERIC } else { SESSION };
                let broken = breaker.broken(record, frame);
                let parsed = serde_json::from_slice::<Value>(&broken);
                assert!(!parsed.is_ok_and(|value| value.is_object()));
                assert!(!broken.contains(&b'\n'));
                let edges = [broken.first(), broken.last()];
                assert!(edges.iter().all(|edge| {
                    edge.is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b',')
                }));
            }
        }
    }

    #[test]
    fn cuts_keep_the_first_fields() {
        let mut breaker = Breaker::new(7);
        let kept = br#"{"session_id":"1a","user_id":"u-2""#;
        for _ in 0..100 {
            for cut in [breaker.cut_in_text(SESSION), breaker.cut_after_value(SESSION)] {
                let cut = cut.unwrap_or_default();
                assert!(cut.starts_with(kept) && SESSION.starts_with(&cut));
                assert!(cut.len() < SESSION.len());
            }
        }
    }
}
