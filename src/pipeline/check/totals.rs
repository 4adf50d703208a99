//! What rows come to, whatever their order: their number, and the sum of their checksums.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::engine::row_checksums;

/// What some rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Total {
    /// How many there are.
    pub rows: u64,
    /// The sum of their checksums, bit by bit.
    checksum: i64,
    /// The same without columns of floating-point numbers.
    checksum_without_floats: i64,
}

impl Total {
    /// Whether the rows are the same but, perhaps, for floating-point numbers: the last digits of
    /// their sums depend on the order of the adding, which a rebuild need not repeat.
    pub(in crate::pipeline) fn equals_but_floats(&self, other: &Self) -> bool {
        self.rows == other.rows && self.checksum_without_floats == other.checksum_without_floats
    }

    fn add(&mut self, checksum: i64, without_floats: i64) {
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(checksum);
        self.checksum_without_floats = self.checksum_without_floats.wrapping_add(without_floats);
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self.checksum_without_floats =
            self.checksum_without_floats.wrapping_add(other.checksum_without_floats);
    }
}

/// Adds the rows of `batch` to the parts that the values of `columns` name.
pub(in crate::pipeline) fn add_to_totals(
    parts: &mut BTreeMap<String, Total>,
    batch: &RecordBatch,
    columns: &[String],
) -> Result<(), ArrowError> {
    let checksums = row_checksums(batch.columns())?;
    let exact = without_floats(batch);
    let exact = match exact.len() == batch.num_columns() {
        true => None,
        false => Some(row_checksums(&exact)?),
    };
    let (of_part, names) = part_names(batch, columns)?;
    let mut totals: HashMap<i64, Total> = HashMap::new();
    for ((row, checksum), part) in checksums.into_iter().enumerate().zip(of_part) {
        let exact = exact.as_ref().map_or(Some(checksum), |exact| exact.get(row).copied());
        totals.entry(part).or_default().add(checksum, exact.unwrap_or_default());
    }
    for (part, total) in totals {
        parts.entry(names.get(&part).cloned().unwrap_or_default()).or_default().merge(&total);
    }
    Ok(())
}

/// The columns that hold no floating-point numbers; one that counts the rows if all do.
pub(in crate::pipeline) fn without_floats(batch: &RecordBatch) -> Vec<ArrayRef> {
    let exact = batch.columns().iter().filter(|column| !column.data_type().is_floating());
    let exact: Vec<ArrayRef> = exact.map(Arc::clone).collect();
    match exact.is_empty() {
        true => vec![Arc::new(arrow::array::BooleanArray::from(vec![true; batch.num_rows()]))],
        false => exact,
    }
}

/// The rows of `batch` whose values of `columns` name one of `parts`.
pub(in crate::pipeline) fn rows_of_parts(
    parts: &BTreeSet<String>,
    batch: &RecordBatch,
    columns: &[String],
) -> Result<RecordBatch, ArrowError> {
    let (of_part, names) = part_names(batch, columns)?;
    let is_there = |part: &i64| names.get(part).is_some_and(|name| parts.contains(name));
    filter_record_batch(batch, &of_part.iter().map(|part| Some(is_there(part))).collect())
}

/// The part that each row belongs to, as a number, and the parts' names. Names are made once per part:
/// rows are told apart by the checksum of the values.
pub(in crate::pipeline) fn part_names(
    batch: &RecordBatch,
    columns: &[String],
) -> Result<(Vec<i64>, HashMap<i64, String>), ArrowError> {
    let keys: Vec<ArrayRef> =
        columns.iter().filter_map(|column| batch.column_by_name(column)).map(Arc::clone).collect();
    let of_part = match keys.is_empty() {
        true => vec![0; batch.num_rows()],
        false => row_checksums(&keys)?,
    };
    let options = FormatOptions::default().with_null("NULL");
    let formatters = keys.iter().map(|key| ArrayFormatter::try_new(key.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let mut names = HashMap::new();
    for (row, part) in of_part.iter().enumerate() {
        names.entry(*part).or_insert_with(|| {
            let values = columns.iter().zip(&formatters);
            let values = values.map(|(column, shown)| format!("{column}={}", shown.value(row)));
            values.collect::<Vec<_>>().join("/")
        });
    }
    Ok((of_part, names))
}
