//! The decoder's other path: every rule, no hurry.
//!
//! A value is appended as it is or not at all. What is not appended is rescued: its path, its
//! exact text and the reason, so that the record can be rebuilt from its row.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::column::{Column, StructColumn};

/// The largest whole number up to which a DOUBLE holds every whole number.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// A record whose text is valid JSON.
pub(super) struct Record<'a> {
    /// Its text without white space around it.
    pub text: &'a str,
    entries: Vec<(String, &'a RawValue)>,
}

/// Reads `bytes` as one record; the error says why it is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Record<'_>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("not UTF-8 from byte {} of the record on", e.valid_up_to()))?
        .trim_ascii();
    let value: &RawValue = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    if !value.get().starts_with('{') {
        return Err(format!("a record is an object, this is {}", kind_of(value.get())));
    }
    let Entries(entries) = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    Ok(Record { text, entries })
}

/// What of a record is not in the text that is appended.
#[derive(Debug)]
pub(super) struct Note {
    pub path: String,
    /// As JSON.
    pub value: String,
    pub reason: String,
}

/// Appends a row; gives the JSON list of what was rescued, `notes` first.
pub(super) fn append(
    row: &mut StructColumn,
    record: &Record<'_>,
    notes: Vec<Note>,
) -> Option<String> {
    append_rescuing(row, record, notes, MOST_ENTRIES)
}

/// The same for a record whose text is nowhere else: however much is rescued, all of it is kept.
pub(super) fn append_keeping_all(row: &mut StructColumn, record: &Record<'_>) -> Option<String> {
    append_rescuing(row, record, Vec::new(), usize::MAX)
}

fn append_rescuing(
    row: &mut StructColumn,
    record: &Record<'_>,
    notes: Vec<Note>,
    most: usize,
) -> Option<String> {
    let mut rescue = Rescue { json: String::new(), entries: 0, most };
    for Note { path, value, reason } in notes {
        rescue.add(path, &value, &reason);
    }
    append_struct(row, &record.entries, "", &mut rescue);
    rescue.into_json()
}

/// For each known key its last value; unknown keys and overridden values are rescued.
fn last_of_each<'a>(
    entries: &[(String, &'a RawValue)],
    find: impl Fn(&str) -> Option<usize>,
    parent: &str,
    rescue: &mut Rescue,
) -> HashMap<usize, &'a RawValue> {
    let mut known = HashMap::new();
    for (key, value) in entries {
        match find(key) {
            Some(index) => {
                if let Some(earlier) = known.insert(index, *value) {
                    rescue.add(join(parent, key), earlier.get(), "duplicate key");
                }
            }
            None => rescue.add(join(parent, key), value.get(), "unknown field"),
        }
    }
    known
}

fn append_value(column: &mut Column, raw: &str, path: &str, rescue: &mut Rescue) {
    if raw == "null" {
        return column.append_null();
    }
    let fits = match &mut *column {
        Column::Text(builder) => {
            serde_json::from_str::<String>(raw).map(|text| builder.append_value(text)).is_ok()
        }
        Column::Json(builder) => {
            builder.append_value(raw);
            true
        }
        Column::Boolean(builder) => raw.parse().map(|flag| builder.append_value(flag)).is_ok(),
        Column::Integer(builder) => {
            is_whole_number(raw) && raw.parse().map(|number| builder.append_value(number)).is_ok()
        }
        Column::Decimal(builder) => {
            exact_double(raw).map(|number| builder.append_value(number)).is_some()
        }
        Column::List(list) => match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(items) => {
                for (index, item) in items.iter().enumerate() {
                    append_value(&mut list.items, item.get(), &format!("{path}[{index}]"), rescue);
                }
                list.end(true);
                true
            }
            Err(_) => false,
        },
        Column::Struct(row) => match serde_json::from_str::<Entries<'_>>(raw) {
            Ok(Entries(entries)) => {
                append_struct(row, &entries, path, rescue);
                true
            }
            Err(_) => false,
        },
    };
    if !fits {
        let reason = misfit(column, raw);
        column.append_null();
        rescue.add(path.to_owned(), raw, &reason);
    }
}

fn append_struct(
    row: &mut StructColumn,
    entries: &[(String, &RawValue)],
    path: &str,
    rescue: &mut Rescue,
) {
    let known = last_of_each(entries, |key| row.find(key), path, rescue);
    for (index, (column, field)) in row.columns.iter_mut().zip(&row.fields).enumerate() {
        match known.get(&index) {
            Some(raw) => append_value(column, raw.get(), &join(path, field.name()), rescue),
            None => column.append_null(),
        }
    }
    row.end();
}

/// Why `raw` is no value of the column.
fn misfit(column: &Column, raw: &str) -> String {
    let wanted = column.type_name();
    let kind = kind_of(raw);
    let is_number = matches!(column, Column::Integer(_)) && kind == "integer"
        || matches!(column, Column::Decimal(_)) && matches!(kind, "integer" | "decimal");
    if is_number {
        format!("out of range for {wanted}")
    } else {
        format!("expected {wanted}, found {kind}")
    }
}

/// What a value in JSON is.
pub(super) fn kind_of(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(b'[') => "array",
        Some(b'{') => "object",
        _ if is_whole_number(raw) => "integer",
        _ => "decimal",
    }
}

/// Whether a number is written without fraction and exponent.
pub(crate) fn is_whole_number(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number as a DOUBLE: a whole number only when it is exactly that number, any other as the
/// nearest DOUBLE, which is what its text means.
pub(crate) fn exact_double(raw: &str) -> Option<f64> {
    if !raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number: f64 = raw.parse().ok()?;
    let is_exact = !is_whole_number(raw)
        || raw.parse().is_ok_and(|whole: i64| whole.unsigned_abs() <= EXACT_IN_DOUBLE);
    (number.is_finite() && is_exact).then_some(number)
}

/// `parent.key`, with the key in quotes where it could be mistaken for a path.
fn join(parent: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && !key.contains(['.', '[', ']', '"']);
    match (parent.is_empty(), is_plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{}]", serde_json::Value::from(key)),
    }
}

/// What did not fit, as it is written into `_rescued`.
struct Rescue {
    json: String,
    entries: usize,
    /// How many entries are written; more are only counted.
    most: usize,
}

/// More entries of one record are only counted: its text is in `_raw`, and a list of a million
/// numbers in the place of texts would else become many times as large as it was.
const MOST_ENTRIES: usize = 1000;

impl Rescue {
    fn add(&mut self, path: String, raw: &str, reason: &str) {
        self.entries += 1;
        if self.entries <= self.most {
            self.push(path, raw, reason);
        }
    }

    fn push(&mut self, path: String, raw: &str, reason: &str) {
        self.json.push(if self.json.is_empty() { '[' } else { ',' });
        let path = serde_json::Value::from(path);
        let reason = serde_json::Value::from(reason);
        self.json.push_str(&format!("{{\"path\":{path},\"value\":{raw},\"reason\":{reason}}}"));
    }

    fn into_json(mut self) -> Option<String> {
        if self.entries == 0 {
            return None;
        }
        if let Some(more) = self.entries.checked_sub(self.most).filter(|more| *more > 0) {
            self.push(String::new(), "null", &format!("and {more} more: see _raw"));
        }
        self.json.push(']');
        Some(self.json)
    }
}

/// The entries of an object in their order, with duplicates.
pub(crate) struct Entries<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn a_number_beyond_all_doubles_is_rescued() {
        let fields = [Field::new("share", DataType::Float64, true)];
        for number in ["1e400", "-1e400"] {
            let mut row = StructColumn::new(&fields.iter().cloned().collect()).unwrap();
            let text = format!("{{\"share\":{number}}}");
            let record = parse(text.as_bytes()).ok().unwrap();
            let rescued = append(&mut row, &record, Vec::new()).unwrap();
            assert!(rescued.contains("out of range for DOUBLE"), "{rescued}");
            assert_eq!(row.finish().unwrap().column(0).null_count(), 1);
        }
        assert_eq!(exact_double("1e308"), Some(1e308));
    }
}
