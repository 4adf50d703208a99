//! What was seen at one place of the records: the kinds of values, and what is inside of them.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::error::shortened;
use crate::source::{Entries, exact_double, is_whole_number};

use super::column_type::ColumnType;

/// What is deeper inside of a column stays JSON.
const DEEPEST: usize = 6;
/// An object of more different fields is a map: its keys are values.
const MOST_FIELDS: usize = 256;
/// So many different keys at least, most of them seen once, make a map too.
const FEWEST_KEYS: usize = 10;
/// One value in so many may be of another kind than its column: it is rescued.
const RARE: u64 = 50;
/// How much of an example is kept, in characters.
const EXAMPLE: usize = 40;

/// How many places inside of all columns are looked at; more are no use to anybody, and take memory.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(20_000)
    }
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Decimal,
    /// A number that neither BIGINT nor DOUBLE holds.
    LargeNumber,
    Text,
    Array,
    Object,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Boolean,
        Self::Integer,
        Self::Decimal,
        Self::LargeNumber,
        Self::Text,
        Self::Array,
        Self::Object,
    ];

    /// The kind as people call it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::LargeNumber => "number too large for a column",
            Self::Text => "text",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// The kind of a value that is not null.
    fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ if is_whole_number(raw) && raw.parse::<i64>().is_ok() => Self::Integer,
            _ if !is_whole_number(raw) && exact_double(raw).is_some() => Self::Decimal,
            _ => Self::LargeNumber,
        }
    }
}

/// How often something was seen, and the first one.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub count: u64,
    pub example: String,
}

/// What was seen at one place.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub nulls: u64,
    kinds: [Tally; 7],
    /// Whole numbers that a DOUBLE may not hold.
    wide: u64,
    /// What the arrays hold.
    items: Option<Box<Self>>,
    /// What the objects hold.
    fields: IndexMap<String, Self>,
    /// How many fields the largest object has.
    widest: usize,
    /// Whether there is more inside than what was looked at.
    is_cut: bool,
}

impl Shape {
    /// Adds the value `raw`, which is JSON and `depth` levels inside of its column.
    pub(super) fn add(&mut self, raw: &str, depth: usize, room: &mut Room) {
        if raw == "null" {
            self.nulls += 1;
            return;
        }
        let kind = Kind::of(raw);
        let tally = &mut self.kinds[kind as usize];
        tally.count += 1;
        if tally.count == 1 {
            tally.example = shortened(raw, EXAMPLE).into_owned();
        }
        match kind {
            Kind::Integer => self.wide += u64::from(exact_double(raw).is_none()),
            Kind::Array | Kind::Object if depth >= DEEPEST => self.is_cut = true,
            Kind::Array => self.add_items(raw, depth, room),
            Kind::Object => self.add_fields(raw, depth, room),
            _ => {}
        }
    }

    fn add_items(&mut self, raw: &str, depth: usize, room: &mut Room) {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return };
        if items.is_empty() {
            return;
        }
        let inside = self.items.get_or_insert_default();
        for item in items {
            inside.add(item.get(), depth + 1, room);
        }
    }

    fn add_fields(&mut self, raw: &str, depth: usize, room: &mut Room) {
        if self.is_cut {
            return;
        }
        let Ok(Entries(entries)) = serde_json::from_str::<Entries<'_>>(raw) else { return };
        self.widest = self.widest.max(entries.len());
        for (name, value) in entries {
            if let Some(field) = self.fields.get_mut(&name) {
                field.add(value.get(), depth + 1, room);
                continue;
            }
            let Some(left) = room.0.checked_sub(1).filter(|_| self.fields.len() < MOST_FIELDS)
            else {
                self.is_cut = true;
                self.fields.clear();
                return;
            };
            room.0 = left;
            self.fields.entry(name).or_default().add(value.get(), depth + 1, room);
        }
    }

    /// The tally of a kind.
    pub(super) fn tally(&self, kind: Kind) -> &Tally {
        &self.kinds[kind as usize]
    }

    /// The kinds that were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = (Kind, &Tally)> {
        Kind::ALL.into_iter().zip(&self.kinds).filter(|(_, tally)| tally.count > 0)
    }

    /// What the arrays hold.
    pub(super) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// What the objects hold, by its names.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.fields.iter()
    }

    /// What was seen inside, by its path.
    pub(super) fn inside(&self) -> impl Iterator<Item = (String, &Self)> {
        let items = self.items.iter().map(|items| ("[]".to_owned(), items.as_ref()));
        items.chain(self.fields.iter().map(|(name, field)| (format!(".{name}"), field)))
    }

    /// How many values were seen that are not null.
    pub(super) fn values(&self) -> u64 {
        self.kinds.iter().map(|tally| tally.count).sum()
    }

    /// The type that takes the values; all of them, unless few are of another kind than the others.
    pub(super) fn column_type(&self) -> ColumnType {
        let count = |kind: Kind| self.tally(kind).count;
        let numbers = count(Kind::Integer) + count(Kind::Decimal) + count(Kind::LargeNumber);
        let kinds = [
            (Kind::Boolean, count(Kind::Boolean)),
            (Kind::Integer, numbers),
            (Kind::Text, count(Kind::Text)),
            (Kind::Array, count(Kind::Array)),
            (Kind::Object, count(Kind::Object)),
        ];
        let all = self.values();
        let Some((kind, most)) = kinds.into_iter().max_by_key(|(_, count)| *count) else {
            return ColumnType::Null;
        };
        if all == 0 {
            return ColumnType::Null;
        }
        if !is_rare(all - most, all) {
            return ColumnType::Json;
        }
        match kind {
            Kind::Boolean => ColumnType::Boolean,
            Kind::Integer | Kind::Decimal | Kind::LargeNumber => self.number_type(numbers),
            Kind::Text => ColumnType::Text,
            Kind::Array => self.array_type(),
            Kind::Object => self.object_type(),
        }
    }

    fn number_type(&self, numbers: u64) -> ColumnType {
        let count = |kind: Kind| self.tally(kind).count;
        let too_large = count(Kind::LargeNumber);
        match count(Kind::Decimal) {
            0 if is_rare(too_large, numbers) => ColumnType::Integer,
            1.. if is_rare(too_large + self.wide, numbers) => ColumnType::Double,
            _ => ColumnType::Json,
        }
    }

    fn array_type(&self) -> ColumnType {
        if self.is_cut {
            return ColumnType::Json;
        }
        match self.items.as_ref().map(|items| items.column_type()) {
            None | Some(ColumnType::Null) => ColumnType::EmptyArray,
            Some(ColumnType::Json | ColumnType::EmptyArray | ColumnType::EmptyObject) => {
                ColumnType::Json
            }
            Some(item) => ColumnType::Array(Box::new(item)),
        }
    }

    fn object_type(&self) -> ColumnType {
        let names = || self.fields.keys();
        let is_told_by_case = || {
            let lower: HashSet<_> = names().map(|n| n.to_lowercase()).collect();
            lower.len() < self.fields.len()
        };
        if self.is_cut || self.is_map() || !names().all(|n| is_field(n)) || is_told_by_case() {
            return ColumnType::Json;
        }
        if self.fields.is_empty() {
            return ColumnType::EmptyObject;
        }
        let fields = self.fields.iter();
        ColumnType::Struct(fields.map(|(name, one)| (name.clone(), one.column_type())).collect())
    }

    /// Whether the keys of the objects are values, such as ids: each object has others.
    fn is_map(&self) -> bool {
        let keys = self.fields.len();
        let once = self.fields.values().filter(|field| field.values() + field.nulls == 1).count();
        keys >= FEWEST_KEYS && once * 2 > keys && keys > self.widest * 2
    }
}

/// Whether `few` of `all` may be rescued.
fn is_rare(few: u64, all: u64) -> bool {
    few.saturating_mul(RARE) <= all
}

/// Whether a field of a STRUCT can be called `name`.
fn is_field(name: &str) -> bool {
    !name.trim().is_empty() && !name.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(values: &[&str]) -> String {
        let (mut shape, mut room) = (Shape::default(), Room::default());
        values.iter().for_each(|value| shape.add(value, 0, &mut room));
        shape.column_type().to_string()
    }

    #[test]
    fn the_type_takes_every_value() {
        for (values, expected) in [
            (vec!["\"a\"", "null"], "TEXT"),
            (vec!["\"1\"", "\"2\""], "TEXT"),
            (vec!["null"], "TEXT"),
            (vec!["1", "-2"], "BIGINT"),
            (vec!["1", "2.5"], "DOUBLE"),
            (vec!["1e3"], "DOUBLE"),
            (vec!["9007199254740993", "0.5"], "JSON"),
            (vec!["9007199254740993", "1"], "BIGINT"),
            (vec!["9223372036854775808"], "JSON"),
            (vec!["1", "1e999"], "JSON"),
            (vec!["true", "false"], "BOOLEAN"),
            (vec!["true", "1"], "JSON"),
            (vec!["1", "\"1\""], "JSON"),
            (vec!["[]"], "JSON"),
            (vec!["[null]"], "JSON"),
            (vec!["[]", "[1]", "[null,2.5]"], "ARRAY<DOUBLE>"),
            (vec!["[1,\"a\"]"], "JSON"),
            (vec!["[[1],[2]]"], "ARRAY<ARRAY<BIGINT>>"),
            (vec!["{}"], "JSON"),
            (vec!["{}", "{\"a\":1}"], "STRUCT<a BIGINT>"),
            (vec!["{\"a\":1}", "{\"a\":\"x\",\"b\":{}}"], "STRUCT<a JSON, b JSON>"),
            (vec!["{\"a\":1}", "[1]"], "JSON"),
            (vec!["{\"a\":1,\"A\":2}"], "JSON"),
            (vec!["{\"\":1}"], "JSON"),
            (vec!["{\"a b\":1}"], "STRUCT<\"a b\" BIGINT>"),
            (
                vec![
                    "[{\"key\":\"k\",\"value\":{\"int\":1}},{\"key\":\"l\",\"value\":{\"text\":\"t\"}}]",
                ],
                "ARRAY<STRUCT<\"key\" TEXT, value STRUCT<\"int\" BIGINT, text TEXT>>>",
            ),
        ] {
            assert_eq!(type_of(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn few_values_of_another_kind_do_not_change_the_type() {
        let mut values = vec!["7"; 49];
        values.push("\"none\"");
        assert_eq!(type_of(&values), "BIGINT");
        values.push("\"none\"");
        assert_eq!(type_of(&values), "JSON");
    }

    #[test]
    fn ids_as_keys_make_a_map_and_many_fields_do_not() {
        let map: Vec<String> =
            (0..8).map(|n| format!("{{\"u{n}\":1,\"v{n}\":2,\"w{n}\":3}}")).collect();
        let map: Vec<&str> = map.iter().map(String::as_str).collect();
        assert_eq!(type_of(&map), "JSON");
        let fields: Vec<String> = (0..20).map(|n| format!("\"f{n}\":1")).collect();
        let object = format!("{{{}}}", fields.join(","));
        assert!(type_of(&[&object]).starts_with("STRUCT<f0 BIGINT, f1"));
        let many: Vec<String> = (0..300).map(|n| format!("{{\"k{n}\":1,\"all\":1}}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(type_of(&many), "JSON");
    }

    #[test]
    fn what_nests_deep_stays_json() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(type_of(&[&nested(2)]), "STRUCT<a STRUCT<a BIGINT>>");
        let deep = type_of(&[&nested(60)]);
        assert!(deep.contains("a JSON") && deep.matches("STRUCT").count() == DEEPEST, "{deep}");
        let lists = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        assert_eq!(type_of(&[&lists]), "JSON");
    }
}
