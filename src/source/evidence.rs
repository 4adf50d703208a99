//! What is known about the records of a file, for telling them from the insides of a broken one.
//!
//! It is asked only where something is broken. The evidence is: what stands between two records
//! (line breaks with their indentation, commas, nothing), which keys records have, and which keys
//! the objects inside of them have. Keys come from the declaration of the Bronze table, from whole
//! records, and from a sample of the text around the broken one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow::datatypes::{DataType, Fields};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::walk::{Objects, Walk, walk};

/// How many objects a sample has at most.
const SAMPLE_OBJECTS: usize = 256;
/// How much text a sample has at most.
const SAMPLE_BYTES: usize = 4 << 20;
/// How many kinds of records and of objects inside of them are told apart.
const MOST_SHAPES: usize = 64;
/// How many objects inside of one record are looked at.
const INNER_OBJECTS: usize = 64;
/// What stands between records is short; anything longer is none of it.
const LONGEST_GAP: usize = 256;
/// Shares are counted in thousandths.
const WHOLE: usize = 1000;

/// What is known about the records of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    records: Vec<Shape>,
    inner: Vec<Shape>,
    /// What stands before a record: from the last line break on, or all when there is none.
    gaps: Vec<Vec<u8>>,
    has_commas: bool,
    /// Whether records hold objects that look like records.
    is_tree: bool,
    /// Whether some record goes over several lines.
    has_long_records: bool,
    /// How many records a sample had.
    sampled: usize,
}

/// The keys of an object.
type Shape = BTreeSet<Box<str>>;

impl Evidence {
    /// What the columns of a Bronze table tell.
    pub(super) fn declared(columns: &Fields) -> Self {
        let mut evidence = Self::default();
        evidence.records.push(names(columns));
        columns.iter().for_each(|column| declared_inside(column.data_type(), &mut evidence.inner));
        evidence
    }

    /// Takes note of a record that is whole and stands between others.
    pub(super) fn note(&mut self, record: &[u8]) {
        if let Some(keys) = keys_of(record).filter(|keys| !keys.is_empty()) {
            add_shape(&mut self.records, keys);
        }
    }

    /// Whether a sample told enough.
    pub(super) fn is_sampled(&self) -> bool {
        self.sampled >= SAMPLE_OBJECTS / 4
    }

    /// Learns from the records in `text`, some of which are broken.
    pub(super) fn sample(&mut self, text: &[u8]) {
        let text = text.get(..SAMPLE_BYTES).unwrap_or(text);
        let objects: Vec<(Range<usize>, Shape)> = Objects::new(text, 0)
            .take(SAMPLE_OBJECTS)
            .filter_map(|range| Some((range.clone(), keys_of(text.get(range)?)?)))
            .collect();
        for (range, keys) in &objects {
            self.look_inside(text.get(range.clone()).unwrap_or_default(), keys);
        }
        // Where nothing looks like a known record, records have other keys than were expected.
        let first = objects.first().map_or(0, |(range, _)| range.start);
        let are_known = objects.iter().any(|(_, keys)| self.is_like_record(keys))
            || self.holds_known_key(text.get(..first).unwrap_or_default());
        for (_, keys) in &objects {
            let is_new = !are_known && !keys.is_empty() && !self.is_like_inner(keys);
            if is_new || self.is_like_record(keys) {
                add_shape(&mut self.records, keys.clone());
            }
        }
        let records: Vec<&Range<usize>> = objects
            .iter()
            .filter(|(_, keys)| self.is_like_record(keys))
            .map(|(range, _)| range)
            .collect();
        self.sampled = self.sampled.max(records.len());
        self.has_long_records |= records.iter().any(|range| {
            text.get((*range).clone()).is_some_and(|record| memchr::memchr(b'\n', record).is_some())
        });
        self.learn_gaps(text, &records);
    }

    /// Whether `text`, in which no object is whole, has a key of records: one of them begins there.
    fn holds_known_key(&self, text: &[u8]) -> bool {
        let is_key = |name: &str| {
            let quoted = format!("\"{name}\"");
            let mut places = memchr::memmem::find_iter(text, &quoted);
            places.any(|place| {
                let behind = text.get(place + quoted.len()..).unwrap_or_default();
                behind.trim_ascii_start().starts_with(b":")
            })
        };
        text.contains(&b'{') && self.records.iter().flatten().any(|name| is_key(name))
    }

    /// Whether what stands before `place` is what stands between records.
    pub(super) fn begins_record(&self, text: &[u8], place: usize) -> bool {
        let before = text.get(..place).unwrap_or_default();
        self.gaps.is_empty() || self.gaps.iter().any(|gap| before.ends_with(gap))
    }

    /// Whether what stands before `place` is the beginning of a line at which records begin.
    pub(super) fn begins_line(&self, text: &[u8], place: usize) -> bool {
        let before = text.get(..place).unwrap_or_default();
        self.gaps.iter().any(|gap| gap.starts_with(b"\n") && before.ends_with(gap))
    }

    /// Whether `object`, which stands behind something broken, has the keys of a record.
    pub(super) fn is_record(&self, object: &[u8], begins_line: bool) -> bool {
        let Some(keys) = keys_of(object) else { return false };
        if begins_line { !self.is_like_inner(&keys) } else { self.is_like_record(&keys) }
    }

    /// Whether keys cannot tell a record from what is inside of one.
    pub(super) fn is_tree(&self) -> bool {
        self.is_tree
    }

    /// Whether `object` lacks `key`, which stands in quotes and records have: then it was closed too
    /// early, and what follows belongs to it.
    pub(super) fn lacks_key(&self, object: &[u8], key: &[u8]) -> bool {
        let Ok(key) = serde_json::from_slice::<String>(key) else { return false };
        let is_known = self.records.iter().any(|shape| shape.contains(key.as_str()));
        is_known && keys_of(object).is_some_and(|keys| !keys.contains(key.as_str()))
    }

    /// Whether an object with these keys looks like a record.
    pub(super) fn is_like_record(&self, keys: &Shape) -> bool {
        let contains = |shape: &Shape| 2 * shape.intersection(keys).count() >= keys.len();
        let is_contained = self.records.is_empty() || self.records.iter().any(contains);
        !keys.is_empty() && is_contained && !self.is_like_inner(keys)
    }

    /// Whether it looks more like what is inside of records.
    fn is_like_inner(&self, keys: &Shape) -> bool {
        nearest(&self.inner, keys) > nearest(&self.records, keys)
    }

    /// Whether records stand behind each other with nothing in between.
    pub(super) fn has_no_gaps(&self) -> bool {
        self.gaps.is_empty() || self.gaps.iter().any(Vec::is_empty)
    }

    /// Whether it is not known what stands between records.
    pub(super) fn knows_no_gaps(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether records are separated by commas.
    pub(super) fn has_commas(&self) -> bool {
        self.has_commas
    }

    /// Where in a broken stretch that begins with a record others may begin: at lines that stand
    /// where records stand.
    pub(super) fn lines<'a>(&'a self, stretch: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let lines = self.gaps.iter().filter(|gap| gap.starts_with(b"\n"));
        let places = lines.flat_map(move |gap| {
            memchr::memmem::find_iter(stretch, gap).map(move |place| place + gap.len())
        });
        places.filter(move |place| match stretch.get(*place) {
            None | Some(b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n') => false,
            Some(first) => !self.has_long_records || *first == b'{',
        })
    }

    /// Notes the objects inside of a record.
    fn look_inside(&mut self, record: &[u8], keys: &Shape) {
        let mut start = 1;
        for _ in 0..INNER_OBJECTS {
            let rest = record.get(start..).unwrap_or_default();
            let Some(place) = memchr::memchr(b'{', rest) else { return };
            start += place + 1;
            if let Walk::Whole(end) = walk(record, start - 1)
                && let Some(inner) = record.get(start - 1..end).and_then(keys_of)
                && !inner.is_empty()
            {
                self.is_tree |= likeness(keys, &inner) > WHOLE / 2;
                add_shape(&mut self.inner, inner);
            }
        }
    }

    /// Learns what stands between records from those that follow each other.
    fn learn_gaps(&mut self, text: &[u8], records: &[&Range<usize>]) {
        let (mut counts, mut commas) = (BTreeMap::<&[u8], usize>::new(), 0);
        for (left, right) in records.iter().zip(records.iter().skip(1)) {
            let gap = text.get(left.end..right.start).unwrap_or_default();
            if gap.len() <= LONGEST_GAP && gap.iter().all(is_separator) {
                let line = memchr::memrchr(b'\n', gap).unwrap_or(0);
                *counts.entry(gap.get(line..).unwrap_or_default()).or_default() += 1;
                commas += usize::from(gap.contains(&b','));
            }
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let total: usize = counts.values().sum();
        if total == 0 {
            return;
        }
        // Something broken may have left its insides in the sample: what is rare does not count,
        // except at the beginning of a line.
        let is_common =
            |gap: &[u8], count: usize| count * 8 >= most || gap == b"\n" && !self.has_long_records;
        self.gaps = counts
            .iter()
            .filter(|(gap, count)| is_common(gap, **count))
            .map(|(gap, _)| gap.to_vec())
            .collect();
        self.has_commas = 2 * commas > total;
    }
}

/// The keys of the object that `text` is, if it is one.
fn keys_of(text: &[u8]) -> Option<Shape> {
    serde_json::from_slice(text).ok().map(|Keys(keys)| keys)
}

fn names(fields: &Fields) -> Shape {
    fields.iter().map(|field| Box::from(field.name().as_str())).collect()
}

/// The shapes of the objects that a declared type has inside.
fn declared_inside(data_type: &DataType, inner: &mut Vec<Shape>) {
    match data_type {
        DataType::List(item) => declared_inside(item.data_type(), inner),
        DataType::Struct(fields) => {
            inner.push(names(fields));
            fields.iter().for_each(|field| declared_inside(field.data_type(), inner));
        }
        _ => {}
    }
}

fn add_shape(shapes: &mut Vec<Shape>, keys: Shape) {
    if shapes.len() < MOST_SHAPES && !shapes.contains(&keys) {
        shapes.push(keys);
    }
}

/// How alike two sets of keys are: the share that they have in common.
fn likeness(left: &Shape, right: &Shape) -> usize {
    let common = left.intersection(right).count();
    WHOLE * common / (left.len() + right.len() - common).max(1)
}

/// How alike `keys` and the nearest of `shapes` are.
fn nearest(shapes: &[Shape], keys: &Shape) -> usize {
    shapes.iter().map(|shape| likeness(shape, keys)).max().unwrap_or(0)
}

/// Where the bracket is that closes around the objects from `at` on, if they stand in something.
/// Records may hold objects that look like records, but those end with a closing bracket, and
/// records with the end of the text or of the array around them, or with something broken.
pub(super) fn end_of_list(text: &[u8], mut at: usize, is_in_array: bool) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        at += rest.iter().position(|byte| !is_separator(byte))?;
        match (text.get(at)?, walk(text, at)) {
            (b'{', Walk::Whole(end)) => at = end,
            (b'}', _) => return Some(at),
            (b']', _) => {
                let is_last = text.get(at + 1..).unwrap_or_default().trim_ascii().is_empty();
                return (!is_last || !is_in_array).then_some(at);
            }
            _ => return None,
        }
    }
}

/// Whether a byte is nothing but what stands between records.
pub(super) fn is_separator(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == b','
}

/// The keys of an object, whatever its values are.
struct Keys(Shape);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Shape::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.insert(key.into_boxed_str());
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
