//! Finding the next record after a broken one, where no line break separates them.
//!
//! Records of one file begin alike: `{`, then the same first key. That opening marks where a
//! record begins inside of what a missing bracket or quote made look like one. It is used only on
//! text that is not valid JSON, and only when healthy records do not hold it a second time.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::Opening;

/// The opening of the valid record in `bytes`, or nothing when it would not tell records apart.
pub(super) fn opening_of(bytes: &[u8]) -> Opening {
    let none = Opening::from([]);
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return none;
    }
    let Some(key) = first_key(bytes) else { return none };
    let opening = Opening::from(key);
    if openings(bytes, &opening).count() == 1 { opening } else { none }
}

/// The first key of the object at the head of `bytes`, with its quotes.
fn first_key(bytes: &[u8]) -> Option<&[u8]> {
    let inside = bytes.strip_prefix(b"{")?.trim_ascii_start();
    let name = inside.strip_prefix(b"\"")?;
    let end = name.iter().position(|byte| *byte == b'"')?;
    inside.get(..end + 2).filter(|_| end > 0)
}

/// Where in `bytes` records begin, judged by their opening.
fn openings<'a>(bytes: &'a [u8], opening: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, opening).filter_map(|key| {
        let before = bytes.get(..key)?.trim_ascii_end();
        before.ends_with(b"{").then(|| before.len() - 1)
    })
}

/// The last place after the first byte of `bytes` where a record begins.
pub(super) fn last_opening(bytes: &[u8], opening: &[u8]) -> Option<usize> {
    if opening.is_empty() {
        return None;
    }
    memchr::memmem::rfind_iter(bytes, opening).find_map(|key| {
        let before = bytes.get(..key)?.trim_ascii_end();
        (before.ends_with(b"{") && before.len() > 1).then(|| before.len() - 1)
    })
}

/// The parts of `bytes`, which is not one valid record, that may be records.
///
/// Out: ranges in order, without the separators between them; all of `bytes` when there is no
/// place to part it.
pub(super) fn parts(bytes: &[u8], opening: &[u8]) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    if !opening.is_empty() {
        starts.extend(openings(bytes, opening).filter(|start| *start > 0));
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .flat_map(|(&start, end)| {
            let part = bytes.get(start..end).unwrap_or_default();
            whole_values(part).into_iter().map(move |range| start + range.start..start + range.end)
        })
        .collect()
}

/// The valid values at the head of `part`, then what is left, without separators.
fn whole_values(part: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut position = 0;
    while let Some(rest) = part.get(position..) {
        let skipped = rest.len() - trim_separators_start(rest).len();
        let start = position + skipped;
        let rest = part.get(start..).unwrap_or_default();
        // What is left at the end may be the bracket of the array around the records.
        if rest.is_empty() || rest.trim_ascii_end() == b"]" {
            break;
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        if matches!(values.next(), Some(Ok(_))) {
            position = start + values.byte_offset();
            ranges.push(start..position);
        } else {
            ranges.push(start..start + trim_separators_end(rest).len());
            break;
        }
    }
    ranges
}

/// The values of one line that holds nothing but objects, one after the other.
pub(super) fn objects_of_line(line: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut values = serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>();
    while let Some(value) = values.next() {
        value.ok()?;
        let end = values.byte_offset();
        let bytes = line.get(start..end)?;
        let skipped = bytes.len() - bytes.trim_ascii_start().len();
        if line.get(start + skipped) != Some(&b'{') {
            return None;
        }
        ranges.push(start + skipped..end);
        start = end;
    }
    (ranges.len() > 1).then_some(ranges)
}

fn trim_separators_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && (first.is_ascii_whitespace() || *first == b',')
    {
        bytes = rest;
    }
    bytes
}

/// Without the white space, the comma and the closing bracket that belong to the array around it.
fn trim_separators_end(bytes: &[u8]) -> &[u8] {
    let trimmed = bytes.trim_ascii_end();
    let trimmed = match trimmed.strip_suffix(b"]") {
        // `[1, 2` has lost its own bracket; `…}\n]` ends with that of the array around it.
        Some(rest) if rest.ends_with(b"\n") => rest.trim_ascii_end(),
        _ => trimmed,
    };
    trimmed.strip_suffix(b",").unwrap_or(trimmed).trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
        parts(text.as_bytes(), opening.as_bytes()).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn swallowed_records_are_found_again() {
        let text = "{\"id\":1,\"n\":\"x},{\"id\":2},{\"id\":3,\"e\":[{\"k\":4}]},\n{\"id\":5";
        assert_eq!(
            split(text, "\"id\""),
            ["{\"id\":1,\"n\":\"x}", "{\"id\":2}", "{\"id\":3,\"e\":[{\"k\":4}]}", "{\"id\":5"]
        );
    }

    #[test]
    fn scalars_after_a_record_are_records_of_their_own() {
        assert_eq!(split("{\"id\":1},\n  42,\n  nul\n]", "\"id\""), ["{\"id\":1}", "42", "nul"]);
        assert_eq!(split("{\"id\":,{\"id\":1}]\n", "\"id\""), ["{\"id\":", "{\"id\":1}"]);
    }

    #[test]
    fn without_an_opening_nothing_is_guessed() {
        let text = "{\"id\":1,\"n\":\"x},{\"id\":2}";
        assert_eq!(split(text, ""), [text]);
    }

    #[test]
    fn an_opening_that_stands_inside_of_records_is_none() {
        assert_eq!(&*opening_of(b"{ \"id\": 1, \"e\": {\"k\": 2}}"), b"\"id\"");
        assert!(opening_of(b"{\"id\":1,\"e\":[{\"id\":2}]}").is_empty());
        assert!(opening_of(b"{\"id\":1").is_empty());
        assert!(opening_of(b"42").is_empty());
    }

    #[test]
    fn a_line_of_objects_is_taken_apart_only_when_all_are_whole() {
        assert_eq!(objects_of_line(b"{\"a\":1} {\"b\":2}"), Some(vec![0..7, 8..15]));
        assert_eq!(objects_of_line(b"{\"a\":1}}"), None);
        assert_eq!(objects_of_line(b"{\"a\":1}42"), None);
        assert_eq!(objects_of_line(b"{\"a\":1}"), None);
    }
}
