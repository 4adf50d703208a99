//! Rows that are the same but for floating-point numbers, compared number by number.
//!
//! A sum depends in its last digits on the order of the adding, so a rebuild need not give the very
//! bits again. Rows are paired by the checksum of their other columns, and each number must be near its
//! partner, whatever the size of its neighbours. Only the numbers and the checksums are held, and in
//! as many rounds as it takes to hold them.

use std::collections::BTreeSet;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::logical_expr::Expr;

use crate::engine::row_checksums;
use crate::error::{Error, Kind, Result};
use crate::pipeline::check::{part_names, without_floats};

use super::side::Side;

/// How much of its size two numbers may differ by.
const TOLERANCE: f64 = 1e-9;
/// How many numbers are held of each side at a time.
const NUMBERS_AT_ONCE: usize = 8 << 20;

/// The numbers of a row, behind the checksum of its other columns.
type Row = (i64, Vec<Option<f64>>);

/// Those of `parts` in which a number differs. All of `parts` are the same but for such numbers.
pub(super) async fn differing_parts(
    sides: [&Side<'_>; 2],
    columns: &[String],
    parts: &BTreeSet<String>,
    filter: Option<&Expr>,
) -> Result<BTreeSet<String>> {
    let mut rounds = 1;
    loop {
        match in_rounds(sides, columns, parts, filter, rounds).await? {
            Some(differing) => return Ok(differing),
            None => rounds *= 4,
        }
    }
}

/// The same in `rounds` rounds, each for a share of the checksums; None when that is too few.
async fn in_rounds(
    sides: [&Side<'_>; 2],
    columns: &[String],
    parts: &BTreeSet<String>,
    filter: Option<&Expr>,
    rounds: u64,
) -> Result<Option<BTreeSet<String>>> {
    let mut differing = BTreeSet::new();
    for round in 0..rounds {
        let mut held = Vec::with_capacity(2);
        for side in sides {
            let mut numbers = Numbers { round: (round, rounds), ..Numbers::default() };
            side.rows(filter, |batch| numbers.add(&batch, columns, parts)).await?;
            if numbers.count > NUMBERS_AT_ONCE {
                return Ok(None);
            }
            numbers.rows.sort_by(|(part, one), (other, two)| {
                part.cmp(other).then_with(|| one.0.cmp(&two.0)).then_with(|| order(&one.1, &two.1))
            });
            held.push(numbers.rows);
        }
        let [actual, expected] = held.as_slice() else { continue };
        differing.extend(differing_rows(actual, expected).cloned());
    }
    Ok(Some(differing))
}

/// The numbers of the rows of a round, with their parts.
#[derive(Default)]
struct Numbers {
    round: (u64, u64),
    rows: Vec<(String, Row)>,
    count: usize,
}

impl Numbers {
    fn add(
        &mut self,
        batch: &RecordBatch,
        columns: &[String],
        parts: &BTreeSet<String>,
    ) -> Result<()> {
        // Too many already: the rest is not worth the reading.
        if self.count > NUMBERS_AT_ONCE {
            return Ok(());
        }
        self.try_add(batch, columns, parts)
            .map_err(|e| Error::new(Kind::Bug, "cannot compare numbers").because(e))
    }

    fn try_add(
        &mut self,
        batch: &RecordBatch,
        columns: &[String],
        parts: &BTreeSet<String>,
    ) -> Result<(), ArrowError> {
        let (of_part, names) = part_names(batch, columns)?;
        let checksums = row_checksums(&without_floats(batch))?;
        let floats = batch.columns().iter().filter(|column| column.data_type().is_floating());
        let floats = floats.map(|column| cast(column, &DataType::Float64));
        let floats = floats.collect::<Result<Vec<_>, _>>()?;
        let (round, rounds) = self.round;
        for ((row, checksum), part) in checksums.into_iter().enumerate().zip(of_part) {
            let is_in_round = checksum.cast_unsigned() % rounds == round;
            let Some(name) = names.get(&part).filter(|name| is_in_round && parts.contains(*name))
            else {
                continue;
            };
            let values = floats.iter().map(|column| {
                let column = column.as_primitive::<Float64Type>();
                column.is_valid(row).then(|| column.value(row))
            });
            let values: Vec<_> = values.collect();
            self.count += 1 + values.len();
            self.rows.push((name.clone(), (checksum, values)));
        }
        Ok(())
    }
}

/// The parts of rows that have no near partner.
fn differing_rows<'a>(
    actual: &'a [(String, Row)],
    expected: &'a [(String, Row)],
) -> impl Iterator<Item = &'a String> {
    // The other columns are the same rows, so sorted by these the rows stand in pairs.
    actual.iter().zip(expected).filter_map(|((part, one), (_, two))| {
        let is_same = one.0 == two.0 && one.1.iter().zip(&two.1).all(|(one, two)| near(*one, *two));
        (!is_same).then_some(part)
    })
}

fn order(one: &[Option<f64>], two: &[Option<f64>]) -> std::cmp::Ordering {
    let key = |value: &Option<f64>| value.map_or(f64::NEG_INFINITY, |value| value);
    let pairs = one.iter().zip(two);
    pairs
        .map(|(one, two)| key(one).total_cmp(&key(two)))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Whether two numbers are the same up to the last digits; NULL, NaN and the infinite are near to
/// nothing but themselves.
fn near(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (None, None) => true,
        (Some(one), Some(two)) if one.is_nan() || two.is_nan() => one.is_nan() && two.is_nan(),
        (Some(one), Some(two)) if one.is_infinite() || two.is_infinite() => {
            one.total_cmp(&two).is_eq()
        }
        // Halves, since the difference of two large numbers may be none.
        (Some(one), Some(two)) => {
            (one / 2.0 - two / 2.0).abs() <= TOLERANCE * one.abs().max(two.abs())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_of_a_sum_is_no_difference_and_anything_else_is() {
        assert!(near(Some(0.1 + 0.2), Some(0.3)));
        assert!(near(Some(1e308), Some(1e308)) && near(Some(-0.0), Some(0.0)));
        assert!(near(Some(f64::NAN), Some(f64::NAN)));
        assert!(near(Some(f64::INFINITY), Some(f64::INFINITY)));
        for (one, two) in [
            (Some(5.0), Some(400_000.0)),
            (Some(f64::INFINITY), Some(f64::NEG_INFINITY)),
            (Some(f64::INFINITY), Some(1e308)),
            (Some(1e308), Some(-1e308)),
            (Some(f64::NAN), Some(0.0)),
            (Some(0.0), None),
        ] {
            assert!(!near(one, two) && !near(two, one), "{one:?} {two:?}");
        }
    }

    #[test]
    fn a_difference_is_found_however_large_its_neighbours_are() {
        let row = |checksum, value| ("part".to_owned(), (checksum, vec![Some(value)]));
        let actual = [row(1, 1e15), row(2, 400_000.0)];
        let expected = [row(1, 1e15), row(2, 5.0)];
        assert_eq!(differing_rows(&actual, &expected).count(), 1);
        assert_eq!(differing_rows(&expected, &expected).count(), 0);
    }
}
