//! `session_number(at, gap, longest) OVER (PARTITION BY visitor ORDER BY at, …)`: which of a visitor's
//! sessions an event belongs to, counted from 1.
//!
//! In: TIMESTAMP, and two INTERVALs of days and shorter units. An event begins a session when it is the
//! first, when it comes `gap` or more after the one before, or when it comes more than `longest` after
//! the beginning of the session. Out: BIGINT; NULL for an event without a time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDFImpl};

use super::interval::microseconds;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionNumber {
    signature: Signature,
}

impl SessionNumber {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for SessionNumber {
    fn name(&self) -> &str {
        "session_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _arguments: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::<Sessions>::default())
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(arguments.name(), DataType::Int64, true)))
    }
}

/// The session that the last event belongs to; all times in microseconds.
#[derive(Debug, Default)]
struct Sessions {
    number: i64,
    began: i64,
    last: i64,
}

impl Sessions {
    /// Adds the next event; gives the number of its session.
    ///
    /// Errors: when it is earlier than the one before.
    fn add(&mut self, at: i64, gap: i64, longest: i64) -> Result<i64> {
        if self.number > 0 && at < self.last {
            return exec_err!("session_number wants events in the order of time: ORDER BY at");
        }
        // Two times may be further apart than an i64 counts, and neither length is negative.
        let goes_on = self.number > 0
            && at.abs_diff(self.last) < gap.unsigned_abs()
            && at.abs_diff(self.began) <= longest.unsigned_abs();
        if !goes_on {
            self.number += 1;
            self.began = at;
        }
        self.last = at;
        Ok(self.number)
    }
}

impl PartitionEvaluator for Sessions {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let row: Vec<_> = values.iter().map(|values| values.slice(range.start, 1)).collect();
        let number = self.evaluate_all(&row, 1)?;
        ScalarValue::try_from_array(&number, 0)
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let [times, gaps, longests] = values else {
            return exec_err!("session_number takes a time and two intervals");
        };
        let times = cast(times, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        if times.len() < rows {
            return exec_err!("session_number got {} times for {rows} rows", times.len());
        }
        let (gaps, longests) = (microseconds(gaps)?, microseconds(longests)?);
        let number = |row: usize| {
            let (gap, longest) = (gaps.get(row)?.as_ref()?, longests.get(row)?.as_ref()?);
            times.is_valid(row).then(|| self.add(times.value(row), *gap, *longest))
        };
        let numbers = (0..rows).map(number).map(Option::transpose);
        Ok(Arc::new(numbers.collect::<Result<Int64Array>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_minutes_end_a_session_and_a_second_less_does_not() {
        const SECOND: i64 = 1_000_000;
        let mut sessions = Sessions::default();
        let mut at =
            |seconds: i64| sessions.add(seconds * SECOND, 1800 * SECOND, 3600 * SECOND).unwrap();
        assert_eq!([0, 0, 1799, 3598, 3600].map(&mut at), [1, 1, 1, 1, 1]);
        assert_eq!([3601, 5400, 7200, 9000].map(&mut at), [2, 2, 3, 4]);
        assert!(sessions.add(0, SECOND, SECOND).is_err(), "backwards");
    }

    #[test]
    fn the_first_and_the_last_moment_are_apart() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.add(i64::MIN, 1, i64::MAX).unwrap(), 1);
        assert_eq!(sessions.add(i64::MAX, i64::MAX, i64::MAX).unwrap(), 2);
    }
}
