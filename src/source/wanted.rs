//! What a column wants of a value that comes as a text.

use std::borrow::Cow;

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::value::RawValue;

use crate::project::JSON;

use super::exact::exact_double;
use super::parse::end_of_plain;

/// The largest whole number up to which a DOUBLE holds every whole number.
const EXACT_IN_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// What a column takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wants {
    Text,
    Integer,
    Decimal,
    Boolean,
    /// A value that is written as JSON.
    Value,
}

impl Wants {
    /// What `column` takes.
    pub(super) fn of(column: &Field) -> Self {
        match column.data_type() {
            DataType::Utf8 if !column.metadata().contains_key(JSON) => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Float64 => Self::Decimal,
            DataType::Boolean => Self::Boolean,
            _ => Self::Value,
        }
    }

    /// Adds `text` as the value that is wanted, or as a text when it is none.
    pub(super) fn add(self, text: &str, json: &mut String) {
        let word = text.trim_ascii();
        let value = match self {
            Self::Text => None,
            Self::Integer | Self::Decimal if is_number(word) => Some(Cow::Borrowed(word)),
            Self::Integer => word.parse::<i64>().ok().map(|number| number.to_string().into()),
            Self::Decimal => decimal(word).map(Cow::Owned),
            Self::Boolean => boolean(word).map(Cow::Borrowed),
            Self::Value => is_json(word).then_some(Cow::Borrowed(word)),
        };
        match value {
            Some(value) => json.push_str(&value),
            None => add_text(json, text),
        }
    }

    /// `text` as `add` adds it, unless a column would take that and no longer tell the text.
    pub(super) fn exactly(self, text: &str) -> String {
        let mut value = String::new();
        self.add(text, &mut value);
        let tells_text = match self {
            Self::Text => true,
            Self::Integer => value == text || value.parse::<i64>().is_err(),
            Self::Decimal => exact_double(&value).is_none_or(|taken| number(taken) == text),
            Self::Boolean => value == text,
            Self::Value => value == text && !text.starts_with('"'),
        };
        if !tells_text {
            value.clear();
            add_text(&mut value, text);
        }
        value
    }
}

/// `name` in lower snake case: `Page URL` is `page_url`.
fn plain_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// Adds `text` as a JSON string.
pub(super) fn add_text(json: &mut String, text: &str) {
    if end_of_plain(text.as_bytes(), 0) < text.len() {
        json.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    json.push('"');
    json.push_str(text);
    json.push('"');
}

/// Whether `word` is a number in JSON.
fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && is_json(word)
}

fn is_json(word: &str) -> bool {
    serde_json::from_str::<&RawValue>(word).is_ok()
}

/// The number that `word` is in a way that JSON does not know, as JSON writes it.
fn decimal(word: &str) -> Option<String> {
    if let Ok(number) = word.parse::<i64>() {
        return Some(number.to_string());
    }
    let is_plain = |byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    // A whole number that is too large for this is not exact as a DOUBLE.
    if !word.bytes().all(is_plain) || !word.contains(['.', 'e', 'E']) {
        return None;
    }
    word.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| format!("{number:?}"))
}

fn boolean(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some("true"),
        "false" | "f" | "no" | "n" | "off" | "0" => Some("false"),
        _ => None,
    }
}

/// The column that the field `name` of all `names` goes into: the one of that name, or the one that is
/// called so in lower snake case.
pub(super) fn column_of<'a>(name: &str, names: &[&str], columns: &'a Schema) -> Option<&'a Field> {
    let plain = plain_name(name);
    let alike = || columns.column_with_name(&plain).filter(|_| !names.contains(&plain.as_str()));
    columns.column_with_name(name).or_else(alike).map(|(_, column)| column)
}
/// A whole number as one where a DOUBLE knows it exactly. What is no number in JSON is NULL.
pub(super) fn number(value: f64) -> String {
    let is_whole = value.fract() == 0.0 && value.abs() <= EXACT_IN_DOUBLE;
    match is_whole && !(value == 0.0 && value.is_sign_negative()) {
        true => format!("{value:.0}"),
        false => serde_json::Value::from(value).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_so_that_they_are_read_as_the_same() {
        for (value, text) in
            [(5.0, "5"), (-0.0, "-0.0"), (0.1, "0.1"), (-9e15, "-9000000000000000")]
        {
            assert_eq!(number(value), text);
        }
        for value in [5.0, -0.0, 0.1, 0.1 + 0.2, 1e300, 5e-324, -9e15, 9_007_199_254_740_994.0] {
            assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), f64::to_bits(value));
        }
        assert_eq!(number(f64::NAN), "null");
    }
}
