//! What was seen, in words and numbers.

use crate::project::{PathStep, RecordPath, is_column_name};

use super::column_type::ColumnType;
use super::keys::Keys;
use super::profile::{FieldProfile, Profile};
use super::shape::{Kind, Shape};

/// How many values of an enumeration are told.
const SHOWN_OPTIONS: usize = 8;
/// How many places inside of a field are told where kinds differ.
const SHOWN_PLACES: usize = 4;
/// Records that hold so many objects in an array, on average, seem to be envelopes.
const MANY: u64 = 20;

/// A field of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenField {
    /// Its name.
    pub name: String,
    /// The type of a column for it; empty when it is none.
    pub column_type: String,
    /// In how many records it has a value.
    pub records: u64,
    /// What else is to be said of it.
    pub remarks: Vec<String>,
}

/// Fields that may tell records from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenKey {
    /// The names of one or two fields.
    pub fields: Vec<String>,
    /// In how many records they have values.
    pub records: u64,
    /// How many different values there are.
    pub values: u64,
    /// How many of them came more than once.
    pub repeated: u64,
    /// How many of these with records that are not deliveries of the same one.
    pub differing: u64,
    /// Whether all these numbers are exact, and not estimated from a part of the values.
    pub is_exact: bool,
    /// Whether they are taken for the key.
    pub is_key: bool,
}

/// A field that may tell when something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTime {
    /// Its name.
    pub field: String,
    /// How many values were read as times, of how many.
    pub read: (u64, u64),
    /// The first and the last one, in microseconds since 1970.
    pub range: (i64, i64),
    /// Whether it is taken for the time of the record.
    pub is_time: bool,
}

/// All fields in the order in which they came.
pub(super) fn fields(profile: &Profile) -> Vec<SeenField> {
    let fields = profile.fields.iter();
    fields
        .map(|(name, field)| {
            let obstacle = obstacle(profile, name, field);
            let column_type = match &obstacle {
                None => profile.column_type(field).to_string(),
                Some(_) => String::new(),
            };
            let remarks = obstacle.into_iter().chain(remarks(profile, field)).collect();
            SeenField { name: name.clone(), column_type, records: field.shape.values(), remarks }
        })
        .collect()
}

/// Why a field is no column, if it is none.
fn obstacle(profile: &Profile, name: &str, field: &FieldProfile) -> Option<String> {
    if name.starts_with('_') && !is_column_name(name) {
        return Some("no column can be called so: it goes to _rescued".to_owned());
    }
    if !is_column_name(name) {
        return Some(
            "a column is called by letters, digits and `_`: it goes to _rescued".to_owned(),
        );
    }
    let twin = profile.twin(name, field)?;
    Some(format!("it differs from {twin} only in case: it goes to _rescued"))
}

fn remarks(profile: &Profile, field: &FieldProfile) -> Vec<String> {
    let column_type = profile.column_type(field);
    let mut remarks = Vec::new();
    remarks.extend(match column_type {
        ColumnType::Null => Some("only null: TEXT until there is a value".to_owned()),
        ColumnType::EmptyArray => Some("only empty arrays".to_owned()),
        ColumnType::EmptyObject => Some("only empty objects".to_owned()),
        _ => None,
    });
    disagreements(&field.shape, "", &mut remarks);
    remarks.truncate(SHOWN_PLACES);
    remarks.extend(options(field));
    remarks
}

/// The kinds of values at a place and inside of it, where they differ.
fn disagreements(shape: &Shape, path: &str, found: &mut Vec<String>) {
    let kinds: Vec<_> = shape.seen().collect();
    let is_number = |kind: Kind| matches!(kind, Kind::Integer | Kind::Decimal);
    let is_one = kinds.len() < 2 || kinds.iter().all(|(kind, _)| is_number(*kind));
    let is_too_large = shape.tally(Kind::LargeNumber).count > 0;
    if !is_one || is_too_large {
        let kinds = kinds
            .iter()
            .map(|(kind, tally)| format!("{} {} as {}", tally.count, kind.as_str(), tally.example));
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        found.push(format!("{place}{}", kinds.collect::<Vec<_>>().join(", ")));
    }
    for (step, inside) in shape.inside() {
        disagreements(inside, &format!("{path}{step}"), found);
    }
}

/// The values of a field that has few of them, most of which come often.
fn options(field: &FieldProfile) -> Option<String> {
    let options = field.options.as_ref().filter(|options| options.len() > 1)?;
    let total: u64 = options.values().sum();
    if total < 4 * options.len() as u64 {
        return None;
    }
    let mut sorted: Vec<_> = options.iter().collect();
    sorted.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    let shown =
        sorted.iter().take(SHOWN_OPTIONS).map(|(value, count)| format!("{value} ({count})"));
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if sorted.len() > SHOWN_OPTIONS {
        shown.push_str(&format!(" and {} more", sorted.len() - SHOWN_OPTIONS));
    }
    Some(format!("one of {shown}"))
}

/// What may tell records from each other.
pub(super) fn keys(keys: &Keys, records: u64) -> Vec<SeenKey> {
    let chosen = keys.key(records).map(|key| &key.fields);
    let seen = keys.candidates.iter().map(|key| SeenKey {
        fields: key.fields.clone(),
        records: key.records,
        values: key.values(),
        repeated: key.repeated(),
        differing: key.differing(),
        is_exact: key.is_exact(),
        is_key: chosen == Some(&key.fields),
    });
    // Pairs are of interest only where no field does it alone.
    let is_alone = chosen.is_some_and(|fields| fields.len() == 1);
    seen.filter(|key| key.fields.len() == 1 || !is_alone).collect()
}

/// What may tell when something happened.
pub(super) fn times(profile: &Profile, keys: &Keys) -> Vec<SeenTime> {
    let time = |field: &String| {
        let times = &profile.fields.get(field)?.times;
        Some(SeenTime {
            field: field.clone(),
            read: (times.read, times.tried),
            range: times.range?,
            is_time: keys.time.as_ref() == Some(field),
        })
    };
    keys.times.iter().filter_map(time).collect()
}

/// Where so many objects are inside of the records that these seem to be envelopes, and how many.
pub(super) fn records_inside(profile: &Profile) -> Option<(RecordPath, u64)> {
    let mut found = Vec::new();
    for (name, field) in &profile.fields {
        add_lists(&field.shape, &mut vec![PathStep::Name(name.clone())], &mut found);
    }
    let is_many = |(_, objects): &(RecordPath, u64)| *objects >= profile.records * MANY;
    found.into_iter().filter(is_many).max_by_key(|(_, objects)| *objects)
}

/// Adds the arrays of nothing but objects that are at `steps` or below, but in no other array.
fn add_lists(shape: &Shape, steps: &mut Vec<PathStep>, found: &mut Vec<(RecordPath, u64)>) {
    if let Some(items) = shape.items() {
        let objects = items.tally(Kind::Object).count;
        if objects > 0 && objects == items.values() {
            let steps = steps.iter().cloned().chain([PathStep::Each]).collect();
            found.push((RecordPath { steps }, objects));
        }
    }
    for (name, inside) in shape.fields() {
        steps.push(PathStep::Name(name.clone()));
        add_lists(inside, steps, found);
        steps.pop();
    }
}

/// What is to be said about the records as wholes.
pub(super) fn notes(profile: &Profile) -> Vec<String> {
    let mut notes = Vec::new();
    let repeated = profile.whole.repeated();
    if repeated > 0 {
        let about = if profile.whole.is_exact() { "" } else { "about " };
        notes.push(format!("{about}{repeated} records came more than once, each the same"));
    }
    if profile.has_more_fields {
        let count = profile.fields.len();
        notes.push(format!("there are more than {count} fields: the others go to _rescued"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::testing::profile;

    fn remarks_of(records: &[&str]) -> Vec<(String, String, String)> {
        let records: Vec<String> = records.iter().map(|text| (*text).to_owned()).collect();
        let fields = fields(&profile(&records)).into_iter();
        fields.map(|field| (field.name, field.column_type, field.remarks.join("; "))).collect()
    }

    #[test]
    fn what_is_odd_is_said() {
        let records = [
            "{\"a\":1,\"b\":null,\"_source\":1,\"x y\":1,\"c\":[],\"d\":[{\"e\":1}]}",
            "{\"a\":\"x\",\"b\":null,\"A\":2,\"c\":[],\"d\":[{\"e\":true}]}",
        ];
        let expected = [
            ("a", "JSON", "1 integer as 1, 1 text as \"x\""),
            ("b", "TEXT", "only null: TEXT until there is a value"),
            ("_source", "", "no column can be called so: it goes to _rescued"),
            ("x y", "", "a column is called by letters, digits and `_`: it goes to _rescued"),
            ("c", "JSON", "only empty arrays"),
            ("d", "ARRAY<STRUCT<e JSON>>", "[].e: 1 boolean as true, 1 integer as 1"),
            ("A", "", "it differs from a only in case: it goes to _rescued"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(remarks_of(&records), expected);
    }

    #[test]
    fn few_values_are_told() {
        let records = ["{\"k\":\"b\"}", "{\"k\":\"a\"}"].repeat(4);
        assert_eq!(remarks_of(&records)[0].2, "one of a (4), b (4)");
        assert_eq!(remarks_of(&records[..4])[0].2, "");
    }
}
