//! The JSON record that a Bronze row says: the values of its columns, and what was rescued in their
//! places.
//!
//! For rows whose exact text was not kept. Values are written as their columns hold them, so what is
//! decoded of them again is what there was; only the spelling of numbers may be another.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::util::display::array_value_to_string;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::wanted::{Wants, number};

/// A part of a record.
#[derive(Debug)]
pub(super) enum Part {
    /// A value as it stands in JSON.
    Value(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// An entry of `_rescued`.
#[derive(Deserialize)]
pub(super) struct Rescued<'a> {
    path: String,
    #[serde(borrow)]
    value: &'a RawValue,
    reason: String,
}

/// A step of a path: into an object or into a list.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Part {
    /// The value in `row` of `column`; None for NULL. `json` are the paths of texts that hold JSON.
    pub(super) fn of(
        column: &ArrayRef,
        row: usize,
        path: &str,
        json: &BTreeSet<String>,
    ) -> Option<Self> {
        if column.is_null(row) {
            return None;
        }
        let text = |text: &str| match json.contains(path) {
            true => text.to_owned(),
            false => Value::from(text).to_string(),
        };
        Some(Self::Value(match column.data_type() {
            DataType::Utf8 => text(column.as_string_opt::<i32>()?.value(row)),
            DataType::Utf8View => text(column.as_string_view_opt()?.value(row)),
            DataType::Int64 => column.as_primitive_opt::<Int64Type>()?.value(row).to_string(),
            DataType::Float64 => number(column.as_primitive_opt::<Float64Type>()?.value(row)),
            DataType::Boolean => column.as_boolean_opt()?.value(row).to_string(),
            DataType::List(_) => {
                let items = column.as_list_opt::<i32>()?.value(row);
                return Some(Self::list(&items, path, json));
            }
            DataType::Struct(_) => {
                let fields = column.as_struct_opt()?;
                let named = fields.column_names().into_iter().zip(fields.columns());
                let part = |(name, column): (&str, &ArrayRef)| {
                    let part = Self::of(column, row, &below(path, name), json)?;
                    Some((name.to_owned(), part))
                };
                return Some(Self::Object(named.filter_map(part).collect()));
            }
            DataType::Map(_, _) => {
                let map = column.as_map_opt()?;
                return Some(Self::map(map.value(row).columns(), path, json));
            }
            _ => Value::from(array_value_to_string(column, row).ok()?).to_string(),
        }))
    }

    fn list(items: &ArrayRef, path: &str, json: &BTreeSet<String>) -> Self {
        let path = format!("{path}[]");
        let item = |row| Self::of(items, row, &path, json).unwrap_or_else(Self::null);
        Self::List((0..items.len()).map(item).collect())
    }

    /// `columns` are the keys and the values.
    fn map(columns: &[ArrayRef], path: &str, json: &BTreeSet<String>) -> Self {
        let [keys, values] = columns else { return Self::Object(Vec::new()) };
        let path = format!("{path}[]");
        let entry = |row| {
            let key = array_value_to_string(keys, row).ok()?;
            Some((key, Self::of(values, row, &path, json).unwrap_or_else(Self::null)))
        };
        Self::Object((0..keys.len()).filter_map(entry).collect())
    }

    fn null() -> Self {
        Self::Value("null".to_owned())
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Value(text) if text == "null")
    }

    /// Puts `entry` where it was; `false` when it cannot have been there.
    pub(super) fn put(&mut self, entry: &Rescued<'_>) -> bool {
        let Some(steps) = steps(&entry.path) else { return false };
        let Some((last, above)) = steps.split_last() else { return false };
        let mut part = self;
        for step in above {
            let below = match (part, step) {
                (Self::Object(fields), Step::Key(key)) => {
                    fields.iter_mut().find(|(name, _)| name == key).map(|(_, part)| part)
                }
                (Self::List(items), Step::Index(index)) => items.get_mut(*index),
                _ => None,
            };
            let Some(below) = below else { return false };
            part = below;
        }
        let value = Self::Value(entry.value.get().to_owned());
        match (part, last) {
            (Self::Object(fields), Step::Key(key)) => {
                let is_free = fields.iter().all(|(name, _)| name != key);
                if is_free {
                    fields.push((key.clone(), value));
                }
                is_free
            }
            (Self::List(items), Step::Index(index)) => {
                let place = items.get_mut(*index).filter(|item| item.is_null());
                place.map(|place| *place = value).is_some()
            }
            _ => false,
        }
    }

    /// Makes of each field that `wanted` names what its column wants of it as a text.
    pub(super) fn take_as_texts(&mut self, wanted: &BTreeMap<&str, Wants>) {
        let Self::Object(fields) = self else { return };
        for (name, part) in fields {
            let (Some(wants), Self::Value(json)) = (wanted.get(name.as_str()), part) else {
                continue;
            };
            if json != "null" {
                let text = serde_json::from_str(json).unwrap_or_else(|_| json.clone());
                *json = wants.exactly(&text);
            }
        }
    }

    /// The part as JSON.
    pub(super) fn write(&self, json: &mut String) {
        match self {
            Self::Value(text) => json.push_str(text),
            Self::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    json.push_str(if index > 0 { "," } else { "" });
                    item.write(json);
                }
                json.push(']');
            }
            Self::Object(fields) => {
                json.push('{');
                for (index, (name, part)) in fields.iter().enumerate() {
                    json.push_str(if index > 0 { "," } else { "" });
                    json.push_str(&Value::from(name.as_str()).to_string());
                    json.push(':');
                    part.write(json);
                }
                json.push('}');
            }
        }
    }
}

impl Rescued<'_> {
    /// The entry as it stands in `_rescued`.
    pub(super) fn as_json(&self) -> String {
        let (path, reason) = (Value::from(self.path.as_str()), Value::from(self.reason.as_str()));
        format!("{{\"path\":{path},\"value\":{},\"reason\":{reason}}}", self.value.get())
    }
}

/// The path of the field `name` of what is at `path`.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `a.b[3]["c.d"]` in steps; None for what is no path.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("[\"") {
            let text = rest.strip_prefix('[')?;
            let end = end_of_text(inside)?;
            steps.push(Step::Key(serde_json::from_str(text.get(..end + 2)?).ok()?));
            rest = inside.get(end + 1..)?.strip_prefix(']')?;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let (index, behind) = inside.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = behind;
        } else {
            let key = if steps.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = key.find(['.', '[']).unwrap_or(key.len());
            steps.push(Step::Key(key.get(..end)?.to_owned()));
            rest = key.get(end..)?;
        }
    }
    Some(steps)
}

/// Where the quote is that ends the JSON text which has begun before `text`.
fn end_of_text(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rescued(path: &str) -> String {
        serde_json::json!([{"path": path, "value": 7, "reason": "unknown field"}]).to_string()
    }

    fn put(part: &mut Part, path: &str) -> bool {
        let text = rescued(path);
        let entries: Vec<Rescued<'_>> = serde_json::from_str(&text).unwrap();
        part.put(&entries[0])
    }

    #[test]
    fn what_was_rescued_comes_back_to_its_place() {
        let list = Part::List(vec![Part::Object(Vec::new()), Part::null()]);
        let mut part =
            Part::Object(vec![("e".into(), list), ("b".into(), Part::Value("1".into()))]);
        for path in ["a", "e[0].x", "e[1]", "[\"c.d\"]", "e[0][\"\\\"]\"]"] {
            assert!(put(&mut part, path), "{path}");
        }
        for path in ["", "b", "b.c", "e[1]", "e[2]", "e.x", "z.x", "[", "e[x]", "[\"a"] {
            assert!(!put(&mut part, path), "{path}");
        }
        let mut json = String::new();
        part.write(&mut json);
        assert_eq!(json, r#"{"e":[{"x":7,"\"]":7},7],"b":1,"a":7,"c.d":7}"#);
    }
}
