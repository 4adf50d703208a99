//! Finding one's way in a minified record.
//!
//! Faults are worked into records after they are written, so that the writers stay plain and
//! fast. Owns the scan for fields and elements. Invariant: the text is minified JSON of ours;
//! anything else gives wrong places but never a panic or an endless loop.

use std::ops::Range;

/// One field of an object, as places in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// The name, without its quotes.
    pub(super) name: Range<usize>,
    /// The value.
    pub(super) value: Range<usize>,
}

impl Field {
    /// The field from the opening quote of its name to the end of its value.
    pub(super) fn whole(&self) -> Range<usize> {
        self.name.start.saturating_sub(1)..self.value.end
    }
}

/// The text at a place; empty when there is none.
pub(super) fn text_at(text: &[u8], place: Range<usize>) -> &[u8] {
    text.get(place).unwrap_or_default()
}

/// The text at a place, for names and values known to be UTF-8; empty otherwise.
pub(super) fn word_at(text: &[u8], place: Range<usize>) -> &str {
    std::str::from_utf8(text_at(text, place)).unwrap_or_default()
}

/// The fields of the object that begins at `start`, in order.
pub(super) fn members(text: &[u8], start: usize) -> Vec<Field> {
    let mut found = Vec::new();
    let mut at = start + 1;
    while text.get(at) == Some(&b'"') {
        let name_end = string_end(text, at);
        let value_start = name_end + 1;
        let end = value_end(text, value_start);
        found.push(Field { name: at + 1..name_end.saturating_sub(1), value: value_start..end });
        at = end + 1;
    }
    found
}

/// The elements of the array that begins at `start`, in order.
pub(super) fn elements(text: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = start + 1;
    while text.get(at).is_some_and(|byte| *byte != b']') {
        let end = value_end(text, at);
        found.push(at..end);
        if text.get(end) != Some(&b',') {
            break;
        }
        at = end + 1;
    }
    found
}

/// The field of a record with this name.
pub(super) fn field(record: &[u8], name: &str) -> Option<Field> {
    members(record, 0)
        .into_iter()
        .find(|field| text_at(record, field.name.clone()) == name.as_bytes())
}

/// Adds to `found` the contents, without quotes, of all strings in the value that begins at
/// `start`; names of fields are not among them.
pub(super) fn strings(text: &[u8], start: usize, found: &mut Vec<Range<usize>>) {
    match text.get(start) {
        Some(b'"') => found.push(start + 1..string_end(text, start).saturating_sub(1)),
        Some(b'{') => {
            for field in members(text, start) {
                strings(text, field.value.start, found);
            }
        }
        Some(b'[') => {
            for element in elements(text, start) {
                strings(text, element.start, found);
            }
        }
        _ => {}
    }
}

/// Replaces a part of a text.
pub(super) fn splice(text: &mut Vec<u8>, place: Range<usize>, replacement: &[u8]) {
    let tail = text_at(text, place.end..text.len()).to_vec();
    text.truncate(place.start);
    text.extend_from_slice(replacement);
    text.extend_from_slice(&tail);
}

/// The place after the closing quote of the string that begins at `start`.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The place after the value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] = br#"{"a":"x,}\"y","b":[{"c":"d"},5,[]],"e":{},"f":-1.5}"#;

    #[test]
    fn fields_are_found_whole() {
        let found: Vec<(&str, &str)> = members(RECORD, 0)
            .into_iter()
            .map(|field| (word_at(RECORD, field.name), word_at(RECORD, field.value)))
            .collect();
        let expected =
            [("a", r#""x,}\"y""#), ("b", r#"[{"c":"d"},5,[]]"#), ("e", "{}"), ("f", "-1.5")];
        assert_eq!(found, expected);
        assert_eq!(field(RECORD, "e").map(|field| field.whole()), Some(35..41));
    }

    #[test]
    fn elements_and_strings_are_found() {
        let start = field(RECORD, "b").map_or(0, |field| field.value.start);
        let found: Vec<&str> =
            elements(RECORD, start).into_iter().map(|place| word_at(RECORD, place)).collect();
        assert_eq!(found, [r#"{"c":"d"}"#, "5", "[]"]);
        assert!(elements(b"[]", 0).is_empty());
        let mut places = Vec::new();
        strings(RECORD, 0, &mut places);
        let words: Vec<&str> = places.into_iter().map(|place| word_at(RECORD, place)).collect();
        assert_eq!(words, [r#"x,}\"y"#, "d"]);
    }

    #[test]
    fn splicing_replaces_a_part() {
        let mut text = b"abcdef".to_vec();
        splice(&mut text, 1..3, b"XYZ");
        assert_eq!(text, b"aXYZdef");
        splice(&mut text, 7..7, b"!");
        assert_eq!(text, b"aXYZdef!");
    }
}
