//! Intervals as lengths of time.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use arrow::util::display::array_value_to_string;
use datafusion::common::{Result, exec_datafusion_err, exec_err};

const DAY: i64 = 86_400_000_000;

/// The lengths of intervals in microseconds, none of them negative.
///
/// Errors: for what is no interval, for one with months, which have no length, for a negative one, and
/// for one of more than 292,000 years, which microseconds do not count.
pub(super) fn microseconds(intervals: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    let intervals =
        cast_with_options(intervals, &DataType::Interval(IntervalUnit::MonthDayNano), &exact)
            .map_err(|e| {
                exec_datafusion_err!("an interval is wanted, as INTERVAL '30 days': {e}")
            })?;
    let values = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let length = |row: usize| {
        if values.is_null(row) {
            return Ok(None);
        }
        let said = || array_value_to_string(&intervals, row).unwrap_or_default();
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(values.value(row));
        if months != 0 {
            return exec_err!("`{}`: an interval of months has no length: say it in days", said());
        }
        // A number of days is an i32, and that many microseconds may be more than an i64 holds.
        let length = i64::from(days).checked_mul(DAY);
        match length.and_then(|days| days.checked_add(nanoseconds / 1000)) {
            Some(length) if length >= 0 => Ok(Some(length)),
            Some(_) => exec_err!("`{}`: an interval that is negative is no length", said()),
            None => exec_err!("`{}`: the interval is too long: say fewer days", said()),
        }
    };
    (0..values.len()).map(length).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, IntervalMonthDayNanoArray, StringArray};

    use super::*;

    fn of(months: i32, days: i32, nanoseconds: i64) -> Result<Vec<Option<i64>>> {
        let interval = IntervalMonthDayNanoType::make_value(months, days, nanoseconds);
        microseconds(&(Arc::new(IntervalMonthDayNanoArray::from(vec![interval])) as ArrayRef))
    }

    #[test]
    fn lengths_are_counted_or_refused_and_never_wrap() {
        assert_eq!(of(0, 30, 1500).unwrap(), [Some(30 * DAY + 1)]);
        assert_eq!(of(0, 1, -3_600_000_000_000).unwrap(), [Some(23 * 3_600_000_000)]);
        assert_eq!(of(0, 0, i64::MAX).unwrap(), [Some(i64::MAX / 1000)]);
        for (months, days, nanoseconds, wanted) in [
            (0, 999_999_999, 0, "999999999 days"),
            (0, i32::MAX, i64::MAX, "too long"),
            (0, i32::MIN, 0, "too long"),
            (0, -1, 0, "negative"),
            (0, 0, i64::MIN, "negative"),
            (1, 0, 0, "1 mons"),
        ] {
            let error = of(months, days, nanoseconds).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_text_is_read_and_what_is_no_interval_is_refused() {
        let texts = |text: &str| Arc::new(StringArray::from(vec![Some(text), None])) as ArrayRef;
        assert_eq!(microseconds(&texts("2 days")).unwrap(), [Some(2 * DAY), None]);
        assert!(microseconds(&texts("whenever")).is_err());
        assert!(microseconds(&(Arc::new(BooleanArray::from(vec![true])) as ArrayRef)).is_err());
    }
}
