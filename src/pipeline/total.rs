//! What rows come to, whatever their order: their number, the sum of their checksums, and sums of
//! their fractions.
//!
//! A sum of fractions depends in its last digits on the order of the adding, so a rebuild need not
//! give the very bits again. Columns of such numbers are compared with a tolerance; all others
//! exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, is_null};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::engine::row_checksums;

/// How much of their size two sums of fractions may differ by.
const TOLERANCE: f64 = 1e-9;

/// What some rows come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    /// How many there are.
    pub rows: u64,
    /// The sum of their checksums, without fractions.
    checksum: i64,
    /// For each column of fractions the sum, and the sum of what is added without its sign. Every
    /// value counts with a weight that its row's other columns decide, so that values which changed
    /// places are noticed.
    fractions: Vec<(f64, f64)>,
}

impl Total {
    /// Whether the rows are the same, as far as sums can tell.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let near = |(one, size): &(f64, f64), (two, other): &(f64, f64)| {
            (one - two).abs() <= TOLERANCE * size.max(*other)
        };
        self.rows == other.rows
            && self.checksum == other.checksum
            && self.fractions.len() == other.fractions.len()
            && self.fractions.iter().zip(&other.fractions).all(|(one, two)| near(one, two))
    }

    fn add(&mut self, checksum: i64, fractions: &[f64]) {
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(checksum);
        self.fractions.resize(fractions.len(), (0.0, 0.0));
        // Between one and two, in steps that a double holds exactly.
        let weight = 1.0 + f64::from(u16::from_le_bytes(low_bytes(checksum))) / 65_536.0;
        for ((sum, size), value) in self.fractions.iter_mut().zip(fractions) {
            *sum += value * weight;
            *size += value.abs() * weight;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self.fractions.resize(other.fractions.len(), (0.0, 0.0));
        for ((sum, size), (more, bigger)) in self.fractions.iter_mut().zip(&other.fractions) {
            *sum += more;
            *size += bigger;
        }
    }
}

fn low_bytes(checksum: i64) -> [u8; 2] {
    let [low, high, ..] = checksum.to_le_bytes();
    [low, high]
}

/// Adds the rows of `batch` to the parts that the values of `columns` name.
pub(super) fn add_up(
    parts: &mut BTreeMap<String, Total>,
    batch: &RecordBatch,
    columns: &[String],
) -> Result<(), ArrowError> {
    let (exact, fractions) = taken_apart(batch)?;
    let checksums = row_checksums(&exact)?;
    let (of_part, names) = parts_of(batch, columns)?;
    let mut totals: HashMap<i64, Total> = HashMap::new();
    let mut values = vec![0.0; fractions.len()];
    for ((row, checksum), part) in checksums.into_iter().enumerate().zip(of_part) {
        for (value, column) in values.iter_mut().zip(&fractions) {
            *value = column.get(row).copied().unwrap_or_default();
        }
        totals.entry(part).or_default().add(checksum, &values);
    }
    for (part, total) in totals {
        parts.entry(names.get(&part).cloned().unwrap_or_default()).or_default().merge(&total);
    }
    Ok(())
}

/// The number of rows and the sum of their checksums: exact, bit by bit.
pub(super) type Sum = (u64, i64);

/// Adds the rows of `batch` to the parts that the values of `columns` name.
pub(super) fn sum_up(
    parts: &mut BTreeMap<String, Sum>,
    batch: &RecordBatch,
    columns: &[String],
) -> Result<(), ArrowError> {
    let (of_part, names) = parts_of(batch, columns)?;
    let mut sums: HashMap<i64, Sum> = HashMap::new();
    for (checksum, part) in row_checksums(batch.columns())?.into_iter().zip(of_part) {
        let (rows, sum) = sums.entry(part).or_default();
        *rows += 1;
        *sum = sum.wrapping_add(checksum);
    }
    for (part, (more, checksums)) in sums {
        let (rows, sum) = parts.entry(names.get(&part).cloned().unwrap_or_default()).or_default();
        *rows += more;
        *sum = sum.wrapping_add(checksums);
    }
    Ok(())
}

/// The rows of `batch` whose values of `columns` name one of `parts`.
pub(super) fn rows_of(
    parts: &BTreeSet<String>,
    batch: &RecordBatch,
    columns: &[String],
) -> Result<RecordBatch, ArrowError> {
    let (of_part, names) = parts_of(batch, columns)?;
    let is_there = |part: &i64| names.get(part).is_some_and(|name| parts.contains(name));
    filter_record_batch(batch, &of_part.iter().map(|part| Some(is_there(part))).collect())
}

/// The part that each row belongs to, as a number, and the parts' names. Names are made once per part:
/// rows are told apart by the checksum of the values.
fn parts_of(
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

/// The columns that compare exactly, and the values of those that do not. What is no number (NULL,
/// infinite, NaN) counts among the exact.
fn taken_apart(batch: &RecordBatch) -> Result<(Vec<ArrayRef>, Vec<Vec<f64>>), ArrowError> {
    let (mut exact, mut fractions) = (Vec::new(), Vec::new());
    for column in batch.columns() {
        if !column.data_type().is_floating() {
            exact.push(Arc::clone(column));
            continue;
        }
        let column = cast(column, &DataType::Float64)?;
        let values = column.as_primitive::<Float64Type>();
        let finite = |value: &f64| value.is_finite();
        exact.push(Arc::new(is_null(&column)?));
        let odd = |of: fn(f64) -> bool| -> ArrayRef {
            Arc::new(
                values.iter().map(|value| Some(value.is_some_and(of))).collect::<BooleanArray>(),
            )
        };
        exact.push(odd(f64::is_nan));
        exact.push(odd(|value| value == f64::INFINITY));
        exact.push(odd(|value| value == f64::NEG_INFINITY));
        fractions.push(
            (0..values.len())
                .map(|row| Some(values.value(row)).filter(|_| values.is_valid(row)))
                .map(|value| value.filter(finite).unwrap_or_default())
                .collect(),
        );
    }
    if exact.is_empty() {
        exact.push(Arc::new(BooleanArray::from(vec![true; batch.num_rows()])));
    }
    Ok((exact, fractions))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::*;

    fn total(rows: &[(&str, Option<f64>)]) -> Total {
        let names: StringArray = rows.iter().map(|(name, _)| Some(*name)).collect();
        let values: Float64Array = rows.iter().map(|(_, value)| *value).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("name", Arc::new(names) as ArrayRef, true),
            ("value", Arc::new(values) as ArrayRef, true),
        ]);
        let mut parts = BTreeMap::new();
        add_up(&mut parts, &batch.unwrap(), &[]).unwrap();
        parts.remove("").unwrap_or_default()
    }

    #[test]
    fn the_last_digit_of_a_sum_is_no_difference_and_anything_else_is() {
        let one = total(&[("a", Some(0.1 + 0.2)), ("b", Some(5.0))]);
        assert!(one.equals(&total(&[("b", Some(5.0)), ("a", Some(0.3))])));
        for other in [
            total(&[("a", Some(5.0)), ("b", Some(0.3))]),
            total(&[("a", Some(0.3)), ("b", None)]),
            total(&[("a", Some(0.3)), ("b", Some(5.001))]),
            total(&[("a", Some(0.3)), ("c", Some(5.0))]),
            total(&[("a", Some(0.3)), ("b", Some(f64::NAN))]),
            total(&[("a", Some(0.3))]),
        ] {
            assert!(!one.equals(&other), "{other:?}");
        }
    }
}
