//! What the fields of many records hold.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;

use crate::error::shortened;
use crate::project::is_column_name;

use super::Instant;
use super::column_type::ColumnType;
use super::distinct::{Counts, hash_of};
use super::naming::snake;
use super::record::Record;
use super::shape::{Room, Shape};

/// How many fields are told apart.
const MOST_FIELDS: usize = 2000;
/// Of how many fields the values are told apart: each of them takes some memory.
const MOST_COUNTED: usize = 64;
/// A field of so few values is an enumeration.
const MOST_OPTIONS: usize = 20;
/// How much of such a value is kept, in characters.
const OPTION: usize = 40;
/// No text that tells a time is longer, in bytes.
const LONGEST_TIME: usize = 64;
/// So many values are tried, before it is given up to read times from them.
const TRIES: u64 = 1000;
/// Of so many days each is counted.
const MOST_DAYS: usize = 1000;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
/// Words in the name of a field that is a time, so that its digits are no number.
const TIME_WORDS: [&str; 18] = [
    "time",
    "timestamp",
    "date",
    "datetime",
    "ts",
    "at",
    "on",
    "day",
    "when",
    "epoch",
    "created",
    "updated",
    "modified",
    "micros",
    "millis",
    "ms",
    "tstamp",
    "clock",
];

/// What was seen of all records.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub fields: IndexMap<String, FieldProfile>,
    pub records: u64,
    /// The records as wholes.
    pub whole: Counts,
    /// Whether there were more fields than are told apart.
    pub has_more_fields: bool,
    /// How many of them have values that are texts, of which only their form tells what they are.
    of_texts: u64,
    room: Room,
}

/// What was seen of one field.
#[derive(Debug, Default)]
pub(super) struct FieldProfile {
    pub shape: Shape,
    /// In how many records it was.
    pub records: u64,
    /// Its texts and whole numbers; None when they are not counted.
    pub values: Option<Counts>,
    /// All of them with how often each came; None when they are many.
    pub options: Option<BTreeMap<String, u64>>,
    pub times: Times,
}

/// What of a field's values can be read as times.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub tried: u64,
    pub read: u64,
    /// How many of those that were read are nothing but digits.
    digits: u64,
    /// The first and the last one, in microseconds.
    pub range: Option<(i64, i64)>,
    days: HashSet<i64>,
    /// Whether there is one that is not the beginning of a day.
    pub has_hours: bool,
}

impl Profile {
    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record<'_>, instant: Instant) {
        self.records += 1;
        self.whole.count_in(hash_of(&record.text));
        self.of_texts += u64::from(record.is_of_texts);
        for (name, raw) in &record.fields {
            if let Some(field) = self.fields.get_mut(name.as_ref()) {
                field.add(raw, instant, &mut self.room);
            } else if self.fields.len() < MOST_FIELDS {
                let mut field = FieldProfile::new(self.fields.len() < MOST_COUNTED);
                field.add(raw, instant, &mut self.room);
                self.fields.insert(name.clone().into_owned(), field);
            } else {
                self.has_more_fields = true;
            }
        }
    }

    /// The type of a column for `field`.
    pub(super) fn column_type(&self, field: &FieldProfile) -> ColumnType {
        match field.shape.column_type() {
            ColumnType::Json if self.of_texts == self.records => ColumnType::Text,
            found => found,
        }
    }

    /// The fields that can be columns; of those that differ only in case the one
    /// that was seen in most records.
    pub(super) fn columns(&self) -> Vec<(&str, &FieldProfile)> {
        let is_column = |name: &str, field: &FieldProfile| {
            is_column_name(name) && self.twin(name, field).is_none()
        };
        let fields = self.fields.iter().map(|(name, field)| (name.as_str(), field));
        fields.filter(|(name, field)| is_column(name, field)).collect()
    }

    /// The field that is a column in the place of the one called `name`, from which only the case of
    /// letters tells it.
    pub(super) fn twin(&self, name: &str, field: &FieldProfile) -> Option<&str> {
        let own = self.fields.get_index_of(name)?;
        let is_before =
            |index: usize, other: &FieldProfile| (other.records, own) > (field.records, index);
        let mut others = self.fields.iter().enumerate().filter(|(index, (other_name, other))| {
            *index != own && other_name.eq_ignore_ascii_case(name) && is_before(*index, other)
        });
        others.next().map(|(_, (other, _))| other.as_str())
    }
}

impl FieldProfile {
    fn new(is_counted: bool) -> Self {
        Self {
            values: is_counted.then(Counts::default),
            options: is_counted.then(BTreeMap::new),
            ..Self::default()
        }
    }

    fn add(&mut self, raw: &str, instant: Instant, room: &mut Room) {
        self.records += 1;
        self.shape.add(raw, 0, room);
        let Some(text) = scalar(raw) else { return };
        if let Some(values) = &mut self.values {
            values.count_in(hash_of(raw));
        }
        if let Some(options) = &mut self.options {
            *options.entry(shortened(&text, OPTION).into_owned()).or_default() += 1;
            if options.len() > MOST_OPTIONS {
                self.options = None;
            }
        }
        self.times.add(&text, instant);
    }

    /// Whether nearly all values of the field called `name` can be read as times.
    pub(super) fn is_time(&self, name: &str) -> bool {
        let (read, tried) = (self.times.read, self.times.tried);
        let is_read =
            read > 0 && read * 100 >= tried * 95 && tried * 100 >= self.shape.values() * 95;
        let is_named = || snake(name).split('_').any(|word| TIME_WORDS.contains(&word));
        is_read && (self.times.digits * 2 < read || is_named())
    }

    /// Whether the field has a value in all of `records` but few.
    pub(super) fn is_in_nearly_all(&self, records: u64) -> bool {
        self.shape.values() * 100 >= records * 99
    }
}

impl Times {
    fn add(&mut self, text: &str, instant: Instant) {
        if self.tried >= TRIES && self.read * 2 < self.tried {
            return;
        }
        self.tried += 1;
        let Some(moment) = (text.len() <= LONGEST_TIME).then(|| instant(text)).flatten() else {
            return;
        };
        self.read += 1;
        self.digits += u64::from(text.bytes().all(|byte| byte.is_ascii_digit()));
        let (first, last) = self.range.unwrap_or((moment, moment));
        self.range = Some((first.min(moment), last.max(moment)));
        self.has_hours |= moment.rem_euclid(DAY) != 0;
        if self.days.len() <= MOST_DAYS {
            self.days.insert(day_of(moment));
        }
    }

    /// Whether there are so few days that each may be a partition.
    pub(super) fn has_few_days(&self) -> bool {
        self.days.len() <= MOST_DAYS
    }
}

/// The day of a moment, counted from 1970.
pub(super) fn day_of(moment: i64) -> i64 {
    moment.div_euclid(DAY)
}

/// A text or a whole number as text; None for other values.
pub(super) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) if !inside.contains('\\') => Some(Cow::Borrowed(inside)),
        Some(_) => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
        None => is_digits(raw.strip_prefix('-').unwrap_or(raw)).then_some(Cow::Borrowed(raw)),
    }
}

#[cfg(test)]
mod tests {
    use crate::infer::testing::{profile, seconds};

    #[test]
    fn fields_are_counted_with_their_values() {
        let records: Vec<String> = (0..50)
            .map(|n| format!("{{\"id\":{n},\"kind\":\"k{}\",\"at\":\"{}\"}}", n % 3, n + 100))
            .collect();
        let profile = profile(&records);
        let kind = &profile.fields["kind"];
        assert_eq!(kind.options.as_ref().unwrap()["k0"], 17);
        assert!(profile.fields["id"].options.is_none());
        assert_eq!(profile.fields["id"].values.as_ref().unwrap().count(), 50);
        assert_eq!(profile.fields["at"].times.range, Some((100_000_000, 149_000_000)));
    }

    #[test]
    fn digits_are_times_only_under_such_a_name() {
        let records: Vec<String> =
            (0..5).map(|n| format!("{{\"user_no\":{n},\"createdAt\":{n},\"x\":\"no\"}}")).collect();
        let profile = profile(&records);
        let is_time = |name: &str| profile.fields[name].is_time(name);
        assert_eq!(["user_no", "createdAt", "x"].map(is_time), [false, true, false]);
        assert_eq!(seconds("5"), Some(5_000_000));
    }

    #[test]
    fn of_names_that_differ_in_case_the_usual_one_is_a_column() {
        let records = ["{\"ID\":1,\"a\":1}", "{\"id\":2,\"_source\":1}", "{\"id\":3,\"x y\":1}"];
        let profile = profile(&records.map(str::to_owned));
        let names: Vec<_> = profile.columns().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "id"]);
        assert_eq!(profile.twin("ID", &profile.fields["ID"]), Some("id"));
    }
}
