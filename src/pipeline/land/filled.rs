//! Which key columns have values in a batch, and which unknown fields came in their place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use serde::Deserialize;

use crate::name::nearest;

/// So many fields of other names are counted at most.
const MOST_UNKNOWN: usize = 1000;

/// What is known of the columns that tell the rows of a source apart.
#[derive(Clone, Default)]
pub(super) struct Filled {
    rows: u64,
    /// For each column how many rows have a value in it.
    keys: BTreeMap<String, u64>,
    /// For each field that is no column how many records have it, of those that were looked at.
    unknown: BTreeMap<String, u64>,
}

/// An entry of `_rescued`.
#[derive(Deserialize)]
struct Rescued<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

impl Filled {
    /// Nothing is known yet of the columns `keys`.
    pub(super) fn of_keys(keys: &[String]) -> Self {
        let keys = keys.iter().map(|key| (key.clone(), 0)).collect();
        Self { keys, ..Self::default() }
    }

    /// Looks at `rows`. Unknown fields are looked for only where a whole column is empty.
    pub(super) fn note(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows() as u64;
        let mut has_empty = false;
        for (key, count) in &mut self.keys {
            let Some(column) = rows.column_by_name(key) else { continue };
            let values = column.len() - column.null_count();
            *count += values as u64;
            has_empty |= values == 0;
        }
        if has_empty {
            self.note_unknown(rows);
        }
    }

    fn note_unknown(&mut self, rows: &RecordBatch) {
        let rescued = rows.column_by_name("_rescued").and_then(|it| it.as_string_opt::<i32>());
        for text in rescued.into_iter().flatten().flatten() {
            let entries: Vec<Rescued<'_>> = serde_json::from_str(text).unwrap_or_default();
            for entry in entries.into_iter().filter(|entry| entry.reason == "unknown field") {
                if let Some(count) = self.unknown.get_mut(&*entry.path) {
                    *count += 1;
                } else if self.unknown.len() < MOST_UNKNOWN {
                    self.unknown.insert(entry.path.into_owned(), 1);
                }
            }
        }
    }

    /// Adds what another core saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (key, count) in other.keys {
            *self.keys.entry(key).or_default() += count;
        }
        for (field, count) in other.unknown {
            *self.unknown.entry(field).or_default() += count;
        }
    }

    /// The columns in which nearly every row has a value.
    pub(super) fn filled(&self) -> Vec<String> {
        let filled = self.keys.iter().filter(|(_, count)| self.is_nearly_all(**count));
        filled.map(|(key, _)| key.clone()).collect()
    }

    /// Whether no row has a value in one of the columns.
    pub(super) fn has_empty(&self) -> bool {
        self.rows > 0 && self.keys.values().any(|count| *count == 0)
    }

    /// The columns of `before` that no row has a value in while nearly every record has a field that is
    /// unknown, in words: they were given another name.
    pub(super) fn missing(&self, before: &[String]) -> Option<String> {
        let fields = self.unknown.iter().filter(|(_, count)| self.is_nearly_all(**count));
        let fields: Vec<&str> = fields.map(|(field, _)| field.as_str()).collect();
        let empty = self.keys.iter().filter(|(key, count)| **count == 0 && before.contains(key));
        let missing = empty.filter_map(|(key, _)| {
            let field = nearest(key, fields.iter().copied()).or(fields.first().copied())?;
            Some(format!("no record has {key}, and nearly all have the unknown field {field}"))
        });
        let missing: Vec<String> = missing.collect();
        (self.rows > 0 && !missing.is_empty()).then(|| missing.join("; "))
    }

    /// Nine of ten: some records are broken in any case.
    fn is_nearly_all(&self, count: u64) -> bool {
        self.rows > 0 && count.saturating_mul(10) >= self.rows.saturating_mul(9)
    }
}
