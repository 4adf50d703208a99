//! Finding the next record after a broken one, where no line break separates them.
//!
//! Records of one file begin alike: `{`, then one of few first keys. Such an opening marks where a
//! record begins inside of what a missing bracket or quote made look like one, and tells records
//! from the insides of a broken one. Openings are used only where something is broken, and only
//! when no healthy record holds them a second time.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::IgnoredAny;

/// How many records are looked at to learn how records begin.
const MOST_TRIED: usize = 64;
/// How many ways to begin are looked into: a source has a few kinds of records.
const MOST_KEYS: usize = 16;

/// How records of a file begin: their first keys, with quotes. Empty when it is not known.
#[derive(Clone, Debug, Default)]
pub struct Openings(Vec<Box<[u8]>>);

impl Openings {
    /// Learns from the values at `ranges` of `bytes`, of which some may be broken.
    pub(super) fn learn(bytes: &[u8], ranges: &[Range<usize>]) -> Self {
        let values = ranges.iter().filter_map(|range| bytes.get(range.clone()));
        let objects = values.filter(|value| first_key(value).is_some());
        let is_healthy = |value: &&[u8]| serde_json::from_slice::<IgnoredAny>(value).is_ok();
        Self::of_healthy(&objects.take(MOST_TRIED).filter(is_healthy).collect::<Vec<_>>())
    }

    /// Learns from text that begins with a broken record and holds others.
    pub(super) fn learn_within(bytes: &[u8]) -> Self {
        let Some(key) = first_key(bytes) else { return Self::default() };
        let healthy: Vec<&[u8]> = places_of(bytes, key)
            .take(MOST_TRIED)
            .filter_map(|place| {
                let rest = bytes.get(place..)?;
                let mut values =
                    serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                rest.get(..values.byte_offset())
            })
            .collect();
        Self::of_healthy(&healthy)
    }

    /// The first keys of `records` that stand nowhere else in them as the first of an object.
    fn of_healthy(records: &[&[u8]]) -> Self {
        let keys: BTreeSet<&[u8]> = records.iter().filter_map(|record| first_key(record)).collect();
        let tells = |key: &&[u8]| {
            records.iter().all(|record| places_of(record, key).all(|place| place == 0))
        };
        Self(keys.into_iter().take(MOST_KEYS).filter(tells).map(Box::from).collect())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `bytes` begin like a record.
    pub(super) fn begin(&self, bytes: &[u8]) -> bool {
        first_key(bytes).is_some_and(|key| self.0.iter().any(|opening| **opening == *key))
    }

    /// Where in `bytes`, after their first, records begin.
    fn places(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let all = self.0.iter().flat_map(|opening| places_of(bytes, opening));
        all.filter(|place| *place > 0).collect()
    }

    /// The last of those places.
    pub(super) fn last_place(&self, bytes: &[u8]) -> Option<usize> {
        let last_of = |opening: &[u8]| {
            memchr::memmem::rfind_iter(bytes, opening)
                .filter_map(|key| object_at(bytes, key))
                .find(|place| *place > 0)
        };
        self.0.iter().filter_map(|opening| last_of(opening)).max()
    }
}

/// The first key of the object at the head of `bytes`, with its quotes.
fn first_key(bytes: &[u8]) -> Option<&[u8]> {
    let inside = bytes.strip_prefix(b"{")?.trim_ascii_start();
    let name = inside.strip_prefix(b"\"")?;
    let end = name.iter().position(|byte| *byte == b'"')?;
    inside.get(..end + 2).filter(|_| end > 0)
}

/// Where in `bytes` objects begin whose first key is `key`.
fn places_of<'a>(bytes: &'a [u8], key: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, key).filter_map(|key| object_at(bytes, key))
}

/// Where the object begins whose first key is at `key`; nothing when no object begins before it.
fn object_at(bytes: &[u8], key: usize) -> Option<usize> {
    let before = bytes.get(..key)?.trim_ascii_end();
    before.ends_with(b"{").then(|| before.len() - 1)
}

/// The parts of `bytes`, which is not one valid record, that may be records.
///
/// Out: ranges in order, without the separators between them; all of `bytes` when there is no
/// place to part it.
pub(super) fn parts(bytes: &[u8], openings: &Openings) -> Vec<Range<usize>> {
    let starts: Vec<usize> = [0].into_iter().chain(openings.places(bytes)).collect();
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

    fn known(keys: &[&str]) -> Openings {
        Openings(keys.iter().map(|key| Box::from(key.as_bytes())).collect())
    }

    fn split<'a>(text: &'a str, keys: &[&str]) -> Vec<&'a str> {
        parts(text.as_bytes(), &known(keys)).into_iter().map(|range| &text[range]).collect()
    }

    fn learnt(records: &[&str]) -> Vec<String> {
        let text = records.join(",");
        let mut end = 0;
        let ranges: Vec<_> = records
            .iter()
            .map(|record| {
                let start = end;
                end += record.len() + 1;
                start..start + record.len()
            })
            .collect();
        let Openings(keys) = Openings::learn(text.as_bytes(), &ranges);
        keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    #[test]
    fn swallowed_records_are_found_again() {
        let text = "{\"id\":1,\"n\":\"x},{\"id\":2},{\"id\":3,\"e\":[{\"k\":4}]},\n{\"id\":5";
        assert_eq!(
            split(text, &["\"id\""]),
            ["{\"id\":1,\"n\":\"x}", "{\"id\":2}", "{\"id\":3,\"e\":[{\"k\":4}]}", "{\"id\":5"]
        );
    }

    #[test]
    fn scalars_after_a_record_are_records_of_their_own() {
        let id = ["\"id\""];
        assert_eq!(split("{\"id\":1},\n  42,\n  nul\n]", &id), ["{\"id\":1}", "42", "nul"]);
        assert_eq!(split("{\"id\":,{\"id\":1}]\n", &id), ["{\"id\":", "{\"id\":1}"]);
    }

    #[test]
    fn without_an_opening_nothing_is_guessed() {
        let text = "{\"id\":1,\"n\":\"x},{\"id\":2}";
        assert_eq!(split(text, &[]), [text]);
    }

    #[test]
    fn openings_are_those_of_healthy_records_that_stand_nowhere_inside_of_them() {
        let good = "{ \"id\": 1, \"e\": [{\"k\": 2}]}";
        assert_eq!(learnt(&["{\"x\":", good, "{\"page\":\"p\"}"]), ["\"id\"", "\"page\""]);
        assert_eq!(learnt(&["{\"k\":3}", good]), ["\"id\""], "an inside that lies bare is none");
        assert!(learnt(&["{\"id\":1,\"e\":[{\"id\":2}]}"]).is_empty());
        assert!(learnt(&["42", "{\"id\":1"]).is_empty());
    }

    #[test]
    fn an_opening_is_learnt_from_behind_a_broken_first_record() {
        let text = b"{\"id\":1,\"n\":\"x},{\"id\":2},{\"id\":3}";
        let openings = Openings::learn_within(text);
        assert!(openings.begin(b"{\"id\":9}") && !openings.begin(b"{\"n\":9}"));
        assert!(Openings::learn_within(b"{\"id\":1,\"n\":\"x},{\"id\":2").is_empty());
    }

    #[test]
    fn a_line_of_objects_is_taken_apart_only_when_all_are_whole() {
        assert_eq!(objects_of_line(b"{\"a\":1} {\"b\":2}"), Some(vec![0..7, 8..15]));
        assert_eq!(objects_of_line(b"{\"a\":1}}"), None);
        assert_eq!(objects_of_line(b"{\"a\":1}42"), None);
        assert_eq!(objects_of_line(b"{\"a\":1}"), None);
    }
}
