//! `share(weight) OVER (PARTITION BY …)`: what of one whole each row of a partition gets, by its weight.
//!
//! In: DOUBLE; NULL, what is negative and what is not finite counts as 0. Out: DECIMAL(10, 9). The shares
//! of a partition are in the proportion of its weights, or equal where all weights are 0, and their sum
//! is exactly 1: what rounding down to billionths leaves over goes, a billionth each, to those that lost
//! most by it (the method of the largest remainder), of equal ones to the first.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDFImpl};

/// The whole, in the units of the result.
const WHOLE: i128 = 1_000_000_000;
const PRECISION: u8 = 10;
const SCALE: i8 = 9;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Share {
    signature: Signature,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _arguments: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator { shares: Vec::new().into_iter() }))
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let data_type = DataType::Decimal128(PRECISION, SCALE);
        Ok(Arc::new(Field::new(arguments.name(), data_type, true)))
    }
}

/// The shares of one partition's rows that have not been asked for.
#[derive(Debug)]
struct Evaluator {
    shares: std::vec::IntoIter<i128>,
}

impl PartitionEvaluator for Evaluator {
    // A row's share is known when all rows of its partition are.
    fn get_range(&self, _row: usize, rows: usize) -> Result<Range<usize>> {
        Ok(0..rows)
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        if self.shares.len() == 0 {
            let weights = weights(values, range.len())?;
            self.shares = shares(&weights).into_iter();
        }
        Ok(ScalarValue::Decimal128(self.shares.next(), PRECISION, SCALE))
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let shares = Decimal128Array::from_iter_values(shares(&weights(values, rows)?));
        Ok(Arc::new(shares.with_precision_and_scale(PRECISION, SCALE)?))
    }
}

fn weights(values: &[ArrayRef], rows: usize) -> Result<Vec<f64>> {
    let [values] = values else { return exec_err!("share takes a weight") };
    if values.len() < rows {
        return exec_err!("share got {} weights for {rows} rows", values.len());
    }
    let values = cast(values, &DataType::Float64)
        .map_err(|e| exec_datafusion_err!("share takes a number: {e}"))?;
    let values = values.as_primitive::<Float64Type>();
    Ok(values.iter().take(rows).map(Option::unwrap_or_default).collect())
}

/// Shares whose sum is [`WHOLE`], in the proportion of `weights`; none for none.
pub(super) fn shares(weights: &[f64]) -> Vec<i128> {
    let counts = |weight: &f64| weight.is_finite() && *weight > 0.0;
    let largest = weights.iter().copied().filter(counts).fold(0.0, f64::max);
    // Brought down to at most 1 each, so that no sum is too large.
    let scaled = |weight: &f64| match () {
        () if largest <= 0.0 => 1.0,
        () if counts(weight) => weight / largest,
        () => 0.0,
    };
    let total: f64 = weights.iter().map(scaled).sum();
    let exact = weights.iter().map(|weight| scaled(weight) / total * WHOLE as f64);
    let mut remainders = Vec::with_capacity(weights.len());
    let mut shares = Vec::with_capacity(weights.len());
    for (index, exact) in exact.enumerate() {
        remainders.push((exact.fract(), index));
        shares.push(exact.trunc() as i128);
    }
    remainders.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    let mut missing = WHOLE - shares.iter().sum::<i128>();
    // Sums of DOUBLEs are not exact: in theory a billionth too much may have been given.
    let order = remainders.iter().map(|(_, index)| *index);
    let mut order: Box<dyn Iterator<Item = usize>> =
        if missing < 0 { Box::new(order.rev().cycle()) } else { Box::new(order.cycle()) };
    while missing != 0 {
        let Some(share) = order.next().and_then(|index| shares.get_mut(index)) else { break };
        if missing > 0 || *share > 0 {
            *share += missing.signum();
            missing -= missing.signum();
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn known_shares() {
        assert_eq!(shares(&[]), [0; 0]);
        assert_eq!(shares(&[0.3]), [WHOLE]);
        assert_eq!(shares(&[0.0, 0.0]), [WHOLE / 2, WHOLE / 2]);
        assert_eq!(shares(&[1.0, 1.0, 1.0]), [333_333_334, 333_333_333, 333_333_333]);
        assert_eq!(shares(&[0.4, 0.2, 0.4]), [400_000_000, 200_000_000, 400_000_000]);
        assert_eq!(shares(&[f64::NAN, -1.0, 2.0, f64::INFINITY]), [0, 0, WHOLE, 0]);
        assert_eq!(shares(&[f64::MAX, f64::MAX]), [WHOLE / 2, WHOLE / 2]);
        assert_eq!(shares(&[f64::MIN_POSITIVE, 0.0]), [WHOLE, 0]);
    }

    #[test]
    fn shares_of_anything_are_one_whole_in_proportion() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2000 {
            let count = random.random_range(1..200);
            let weight = |random: &mut ChaCha8Rng| match random.random_range(0..4) {
                0 => 0.0,
                1 => 1.0,
                2 => random.random::<f64>(),
                _ => random.random::<f64>().powi(30),
            };
            let weights: Vec<f64> = (0..count).map(|_| weight(&mut random)).collect();
            let shares = shares(&weights);
            assert_eq!(shares.iter().sum::<i128>(), WHOLE, "{weights:?}");
            let total: f64 = weights.iter().sum();
            for (weight, share) in weights.iter().zip(&shares) {
                let exact = if total > 0.0 { weight / total } else { 1.0 / f64::from(count) };
                assert!((exact * WHOLE as f64 - *share as f64).abs() <= 1.001, "{weight} {share}");
            }
        }
    }
}
