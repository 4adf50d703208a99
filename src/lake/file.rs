//! The data files of a table: where they are, and what the log says of their rows.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use deltalake::kernel::{Add, LogicalFileView, Remove};
use object_store::path::Path;
use serde_json::Value;

/// A data file, whether the newest version of its table still names it or not.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Where it is, below the table.
    pub(super) path: Path,
    /// Its bytes.
    pub(super) size: u64,
    /// What the log says of its partition columns.
    pub(super) partition: Arc<HashMap<String, Option<String>>>,
    /// What the log says of its rows, as JSON; read only when it is asked for.
    statistics: Option<Arc<str>>,
    /// The number of its rows, when the log says so.
    pub(super) rows: Option<u64>,
}

/// Values of a column that somebody looks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The column.
    pub column: String,
    /// The values; NULL may be among them.
    pub values: Vec<ScalarValue>,
}

impl DataFile {
    pub(super) fn of_view(view: &LogicalFileView) -> Self {
        Self {
            path: view.object_store_path(),
            size: u64::try_from(view.size()).unwrap_or_default(),
            partition: Arc::new(view.partition_values_map()),
            statistics: view.stats().map(Arc::from),
            rows: view.num_records().map(|rows| rows as u64),
        }
    }

    pub(super) fn of_add(add: &Add) -> Self {
        let statistics: Option<Value> =
            add.stats.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Self {
            path: decoded(&add.path),
            size: u64::try_from(add.size).unwrap_or_default(),
            partition: Arc::new(add.partition_values.clone()),
            rows: statistics.as_ref().and_then(|all| all.get("numRecords")?.as_u64()),
            statistics: add.stats.as_deref().map(Arc::from),
        }
    }

    /// What tells it from every other file of its table.
    pub fn name(&self) -> &str {
        self.path.as_ref()
    }

    /// Whether both are the same file of a table.
    pub fn is(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// None when the log does not say enough about a removed file to read it again.
    pub(super) fn of_remove(remove: &Remove) -> Option<Self> {
        Some(Self {
            path: decoded(&remove.path),
            size: u64::try_from(remove.size?).ok()?,
            partition: Arc::new(remove.partition_values.clone()?),
            statistics: None,
            rows: None,
        })
    }

    /// The values of its partition columns as the log spells them, by name.
    pub fn partition(&self) -> Vec<(String, Option<String>)> {
        let mut values: Vec<_> =
            self.partition.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        values.sort();
        values
    }

    /// The value of the partition `column` as the log spells it; None for NULL.
    pub fn partition_value(&self, column: &str) -> Option<&str> {
        self.partition.get(column)?.as_deref().filter(|value| !value.is_empty())
    }

    /// Its bytes on storage.
    pub fn bytes(&self) -> u64 {
        self.size
    }

    /// The number of its rows, when the log says so.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// Whether a row with one of the values of each of `wanted` may be in the file: no only when
    /// the log proves it.
    pub fn may_hold(&self, wanted: &[Wanted]) -> bool {
        Search::new(wanted).may_find(self)
    }
}

/// Values of several columns, arranged for being looked for in many files.
pub(super) struct Search<'a>(Vec<Column<'a>>);

/// The values of one column that are looked for.
struct Column<'a> {
    name: &'a str,
    /// Their type; None when there are no values at all.
    data_type: Option<DataType>,
    has_null: bool,
    values: HashSet<&'a ScalarValue>,
    /// The same in their order, when the log's bounds can be trusted for their type.
    sorted: Option<Vec<&'a ScalarValue>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(wanted: &'a [Wanted]) -> Self {
        Self(wanted.iter().map(Column::new).collect())
    }

    /// Whether a row with one of the values of each column may be in `file`.
    pub(super) fn may_find(&self, file: &DataFile) -> bool {
        self.0.iter().all(|column| match file.partition.get(column.name) {
            Some(own) => column.is_partition(own.as_deref()),
            None => column.may_be_in_range_of(file),
        })
    }
}

impl<'a> Column<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let data_type = wanted.values.first().map(ScalarValue::data_type);
        let values: HashSet<_> = wanted.values.iter().filter(|value| !value.is_null()).collect();
        // The log's bounds of texts are cut off, and those of instants rounded.
        let is_ordered = matches!(
            data_type,
            Some(DataType::Date32 | DataType::Int64 | DataType::Int32 | DataType::Int16)
        );
        let sorted = is_ordered.then(|| {
            let mut sorted: Vec<_> = values.iter().copied().collect();
            sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
            sorted
        });
        let has_null = wanted.values.iter().any(ScalarValue::is_null);
        Self { name: &wanted.column, data_type, has_null, values, sorted }
    }

    /// Whether the partition value that the log spells as `own` is looked for.
    fn is_partition(&self, own: Option<&str>) -> bool {
        let Some(data_type) = &self.data_type else { return false };
        match own.filter(|own| !own.is_empty()) {
            None => self.has_null,
            Some(own) => ScalarValue::try_from_string(own.to_owned(), data_type)
                .map_or(true, |own| self.values.contains(&own)),
        }
    }

    fn may_be_in_range_of(&self, file: &DataFile) -> bool {
        let Some(data_type) = &self.data_type else { return false };
        let Some(sorted) = &self.sorted else { return true };
        let statistics: Option<Value> =
            file.statistics.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let Some(statistics) = statistics else { return true };
        let bound = |kind: &str| {
            let text = match statistics.get(kind)?.get(self.name)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            ScalarValue::try_from_string(text, data_type).ok()
        };
        let nulls = statistics.get("nullCount").and_then(|all| all.get(self.name)?.as_u64());
        if self.has_null && nulls != Some(0) {
            return true;
        }
        match (bound("minValues"), bound("maxValues")) {
            (Some(least), Some(greatest)) => {
                let next = sorted.partition_point(|value| **value < least);
                sorted.get(next).is_some_and(|value| **value <= greatest)
            }
            // Without bounds there is nothing but NULL, or nothing is known.
            _ => !sorted.is_empty() && (nulls.is_none() || nulls != file.rows),
        }
    }
}

/// The path as the object store wants it; what is encoded in a name stays so.
fn decoded(path: &str) -> Path {
    Path::parse(path).unwrap_or_else(|_| Path::from(path))
}

/// Files, rows as far as they are known, and bytes of `files`.
pub fn extent<'a>(files: impl IntoIterator<Item = &'a DataFile>) -> (u64, u64, u64) {
    files.into_iter().fold((0, 0, 0), |(files, rows, bytes), file| {
        (files + 1, rows + file.rows.unwrap_or_default(), bytes + file.size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(statistics: &str) -> DataFile {
        DataFile::of_add(&Add {
            path: "a.parquet".into(),
            partition_values: HashMap::from([("day".into(), Some("2025-07-01".into()))]),
            stats: Some(statistics.into()),
            ..Add::default()
        })
    }

    fn wanted(column: &str, value: ScalarValue) -> Vec<Wanted> {
        vec![Wanted { column: column.into(), values: vec![value] }]
    }

    #[test]
    fn a_file_is_passed_over_only_when_the_log_proves_that_it_may_be() {
        let bounded =
            file(r#"{"numRecords":2,"minValues":{"n":3},"maxValues":{"n":5},"nullCount":{"n":0}}"#);
        let number = |n| ScalarValue::Int64(n);
        assert!(bounded.may_hold(&wanted("n", number(Some(3)))));
        assert!(!bounded.may_hold(&wanted("n", number(Some(6)))));
        assert!(!bounded.may_hold(&wanted("n", number(None))));
        assert!(bounded.may_hold(&wanted("other", number(Some(6)))));
        assert!(bounded.may_hold(&wanted("n", ScalarValue::from("6"))), "texts are not compared");
        let only_null = file(r#"{"numRecords":2,"nullCount":{"n":2}}"#);
        assert!(!only_null.may_hold(&wanted("n", number(Some(3)))));
        assert!(only_null.may_hold(&wanted("n", number(None))));
        assert!(file("{}").may_hold(&wanted("n", number(Some(3)))));
    }

    #[test]
    fn a_partition_holds_its_own_value_and_no_other() {
        let day =
            |text: &str| ScalarValue::try_from_string(text.to_owned(), &DataType::Date32).unwrap();
        assert!(file("{}").may_hold(&wanted("day", day("2025-07-01"))));
        assert!(!file("{}").may_hold(&wanted("day", day("2025-07-02"))));
        assert!(!file("{}").may_hold(&wanted("day", ScalarValue::Date32(None))));
    }
}
