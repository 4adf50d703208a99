//! Which fields tell records from each other, alone or in pairs.
//!
//! A value that comes again is no proof against a key: the record may have been delivered again. Two
//! deliveries of one record have the same time, or, where records have no time, the same text.

use std::borrow::Cow;

use super::Instant;
use super::column_type::ColumnType;
use super::distinct::{Kept, hash_of};
use super::naming::snake;
use super::profile::{FieldProfile, Profile, day_of, scalar};
use super::record::Record;

/// How many fields are tried alone, and how many pairs of fields.
const MOST: usize = 6;
/// Of fewer records most fields tell them apart, keys or not.
const FEW_RECORDS: u64 = 100;
/// Words in the name of a field that identifies something.
const KEY_WORDS: [&str; 8] = ["id", "uuid", "guid", "key", "hash", "uid", "no", "number"];
/// Words in the name of a time that is not when something happened but when it was handled.
const LATER_WORDS: [&str; 12] = [
    "updated",
    "modified",
    "received",
    "sent",
    "ingested",
    "loaded",
    "processed",
    "expires",
    "etl",
    "birth",
    "previous",
    "first",
];

/// Fields that may tell records from each other, and how they do.
#[derive(Debug)]
pub(super) struct Candidate {
    pub fields: Vec<String>,
    /// In how many records all of them have a value.
    pub records: u64,
    deliveries: Kept<Delivery>,
}

/// What was seen of the records with one value of a key.
#[derive(Debug)]
struct Delivery {
    count: u64,
    /// The time, or the record, by its hash.
    same: u64,
    day: Option<i64>,
    differs: bool,
    changes_day: bool,
}

/// What is looked for in all records once more.
#[derive(Debug)]
pub(super) struct Keys {
    pub candidates: Vec<Candidate>,
    /// The field that says when something happened.
    pub time: Option<String>,
    /// All fields that are times.
    pub times: Vec<String>,
}

impl Candidate {
    /// How many different values there are, exactly or about.
    pub(super) fn values(&self) -> u64 {
        self.deliveries.count()
    }

    /// Whether counts are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.deliveries.is_exact()
    }

    /// How many values came more than once.
    pub(super) fn repeated(&self) -> u64 {
        self.deliveries.count_of(|delivery| delivery.count > 1)
    }

    /// How many of these came with different records.
    pub(super) fn differing(&self) -> u64 {
        self.deliveries.count_of(|delivery| delivery.differs)
    }

    /// Whether each value keeps its day.
    pub(super) fn keeps_day(&self) -> bool {
        self.deliveries.count_of(|delivery| delivery.changes_day) == 0
    }

    /// Whether the fields tell nearly all of `records` from each other, but for deliveries of the
    /// same record.
    pub(super) fn is_key(&self, records: u64) -> bool {
        self.records > 0
            && self.records * 100 >= records * 99
            && self.differing() * 10 <= self.repeated()
    }
}

impl Keys {
    /// The fields of `profile` that are worth to be tried, those that look most like keys first.
    pub(super) fn of(profile: &Profile, table: &str) -> Self {
        let columns = profile.columns();
        let times = columns
            .iter()
            .filter(|(name, field)| is_counted(profile, field) && field.is_time(name));
        let times: Vec<&str> = times.map(|(name, _)| *name).collect();
        let is_whole = |name: &&&str| {
            let field = profile.fields.get(**name);
            field.is_some_and(|field| field.is_in_nearly_all(profile.records))
        };
        let time =
            times.iter().filter(is_whole).min_by_key(|name| time_rank(name, profile)).copied();
        let mut alone: Vec<(u8, &str)> = columns
            .iter()
            .filter(|(name, field)| {
                is_counted(profile, field)
                    && field.is_in_nearly_all(profile.records)
                    && !times.contains(name)
            })
            .filter_map(|(name, field)| Some((key_rank(name, field, table)?, *name)))
            .collect();
        alone.sort_by_key(|(rank, _)| *rank);
        let named = alone.iter().filter(|(rank, _)| *rank < 3).map(|(_, name)| *name);
        let named: Vec<&str> = named.take(MOST).collect();
        let pairs = pairs(&named, &times, profile);
        let alone = alone.iter().take(MOST).map(|(_, name)| vec![*name]);
        let candidates = alone.chain(pairs).map(Candidate::new).collect();
        let times = times.into_iter().map(str::to_owned).collect();
        Self { candidates, time: time.map(str::to_owned), times }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record<'_>, instant: Instant) {
        let of = |name: &str| record.fields.iter().find(|(other, _)| other == name);
        let moment = |name: &str| instant(&scalar(&of(name)?.1)?);
        let time = self.time.as_deref().and_then(moment);
        for candidate in &mut self.candidates {
            let value = |name: &String| match self.times.contains(name) {
                // As a time it may be written in several ways.
                true => moment(name).map(|moment| Cow::Owned(moment.to_string())),
                false => of(name).map(|(_, raw)| raw.clone()).filter(|raw| raw != "null"),
            };
            let values: Option<Vec<Cow<'_, str>>> = candidate.fields.iter().map(value).collect();
            let Some(values) = values else { continue };
            let is_alone = candidate.fields.len() == 1;
            let same = match time.filter(|_| is_alone) {
                Some(time) => hash_of(&time),
                None => hash_of(&record.text),
            };
            candidate.add(hash_of(&values), same, time.map(day_of));
        }
    }

    /// The key that the records are told from each other by: a field rather than a pair, and then
    /// the one that was found first.
    pub(super) fn key(&self, records: u64) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.is_key(records))
    }
}

impl Candidate {
    fn new(fields: Vec<&str>) -> Self {
        let fields = fields.into_iter().map(str::to_owned).collect();
        Self { fields, records: 0, deliveries: Kept::default() }
    }

    fn add(&mut self, key: u64, same: u64, day: Option<i64>) {
        self.records += 1;
        let first = || Delivery { count: 1, same, day, differs: false, changes_day: false };
        self.deliveries.add(key, first, |delivery| {
            delivery.count += 1;
            delivery.differs |= delivery.same != same;
            delivery.changes_day |= delivery.day != day;
        });
    }
}

/// Whether the values of a field are counted and can be a key.
fn is_counted(profile: &Profile, field: &FieldProfile) -> bool {
    let column_type = profile.column_type(field);
    field.values.is_some() && matches!(column_type, ColumnType::Text | ColumnType::Integer)
}

/// How much a field looks like a key of `table`, the most first; None when it does not at all.
fn key_rank(name: &str, field: &FieldProfile, table: &str) -> Option<u8> {
    let values = field.values.as_ref()?;
    let (name, records) = (snake(name), field.records);
    let singular = table.strip_suffix('s').unwrap_or(table);
    let own = |end: &str| name == format!("{singular}_{end}") || name == format!("{table}_{end}");
    let is_named = name.split('_').any(|word| KEY_WORDS.contains(&word));
    let is_repeated = values.repeated() * 50 > values.count();
    if name == "id" || own("id") || own("uuid") || own("key") {
        Some(0)
    } else if ["event_id", "uuid", "guid", "message_id"].contains(&name.as_str()) {
        Some(1)
    } else if is_named {
        Some(2)
    } else {
        (records >= FEW_RECORDS && !is_repeated && is_text(field)).then_some(3)
    }
}

fn is_text(field: &FieldProfile) -> bool {
    field.shape.column_type() == ColumnType::Text
}

/// How much a field looks like the time of what a record tells, the most first: what is more than a day
/// before what is not.
fn time_rank(name: &str, profile: &Profile) -> (bool, bool, u8) {
    let is_day = profile.fields.get(name).is_some_and(|field| !field.times.has_hours);
    let name = snake(name);
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    let rank = if has(&["event", "timestamp", "ts", "occurred", "happened"]) {
        0
    } else if has(&["time", "created", "at"]) {
        1
    } else {
        2
    };
    (has(&LATER_WORDS), is_day, rank)
}

/// Pairs of fields that look like keys, and of one of them with a time that each record has.
fn pairs<'a>(named: &[&'a str], times: &[&'a str], profile: &Profile) -> Vec<Vec<&'a str>> {
    let is_whole = |name: &&&str| {
        let field = profile.fields.get(**name);
        field.is_some_and(|field| {
            field.is_in_nearly_all(profile.records) && field.times.read == field.shape.values()
        })
    };
    let with_time = times
        .iter()
        .filter(is_whole)
        .take(2)
        .flat_map(|time| named.iter().map(move |name| vec![*name, *time]));
    let of_names = named.iter().enumerate().flat_map(|(index, first)| {
        named.iter().skip(index + 1).map(move |second| vec![*first, *second])
    });
    with_time.chain(of_names).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::testing::{profile, record, seconds};

    fn keys(records: &[String]) -> Keys {
        let mut keys = Keys::of(&profile(records), "visits");
        records.iter().for_each(|text| keys.add(&record(text), seconds));
        keys
    }

    fn key(records: &[String]) -> Option<(Vec<String>, u64, bool)> {
        let keys = keys(records);
        let found = keys.key(records.len() as u64)?;
        Some((found.fields.clone(), found.repeated(), found.keeps_day()))
    }

    #[test]
    fn a_key_comes_again_only_with_the_same_record() {
        let visit = |id: u64, user: u64, at: u64, page: u64| {
            format!("{{\"user_id\":{user},\"visit_id\":\"v{id}\",\"ts\":{at},\"page\":{page}}}")
        };
        let mut records: Vec<String> = (0..40).map(|n| visit(n, n % 7, 1000 + n, 1)).collect();
        assert_eq!(key(&records), Some((vec!["visit_id".to_owned()], 0, true)));
        // One delivered again, one corrected.
        records.extend([visit(3, 3, 1003, 1), visit(4, 4, 1004, 2)]);
        assert_eq!(key(&records), Some((vec!["visit_id".to_owned()], 2, true)));
    }

    #[test]
    fn what_comes_again_at_other_times_is_no_key() {
        let records: Vec<String> = (0..40)
            .map(|n| format!("{{\"user_id\":{},\"ts\":{},\"n\":{n}}}", n % 7, 1000 + n))
            .collect();
        let pair = vec!["user_id".to_owned(), "ts".to_owned()];
        assert_eq!(key(&records), Some((pair, 0, true)));
        let without: Vec<String> =
            (0..40).map(|n| format!("{{\"user_id\":{},\"n\":{n}}}", n % 7)).collect();
        assert_eq!(key(&without), None);
        // Nor what many records lack.
        let rare: Vec<String> = (0..40)
            .map(|n| if n % 2 == 0 { format!("{{\"id\":{n}}}") } else { "{\"x\":1}".to_owned() })
            .collect();
        assert_eq!(key(&rare), None);
    }

    #[test]
    fn a_key_whose_day_changes_is_no_part_of_a_day() {
        let mut records: Vec<String> =
            (0..40).map(|n| format!("{{\"visit_id\":{n},\"ts\":{},\"n\":1}}", 1000 + n)).collect();
        records
            .extend((0..20).map(|n| format!("{{\"visit_id\":{n},\"ts\":{},\"n\":1}}", 1000 + n)));
        assert_eq!(key(&records).map(|(_, repeated, keeps)| (repeated, keeps)), Some((20, true)));
        records.push("{\"visit_id\":21,\"ts\":200000,\"n\":1}".to_owned());
        let found = keys(&records);
        let found = found.key(61).unwrap();
        assert_eq!((found.repeated(), found.differing(), found.keeps_day()), (21, 1, false));
    }

    #[test]
    fn the_time_is_when_something_happened() {
        let text = "{\"updated_at\":5,\"event_date\":86400,\"created_at\":6,\"event_time\":7}";
        assert_eq!(keys(&[text.to_owned()]).time.as_deref(), Some("event_time"));
    }
}
