//! Intervals as lengths of time.

use arrow::array::{ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

const DAY: i64 = 86_400_000_000;

/// The lengths of intervals in microseconds.
///
/// Errors: for what is no interval, and for one with months, which have no length.
pub(super) fn microseconds(intervals: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let intervals = cast(intervals, &DataType::Interval(IntervalUnit::MonthDayNano))
        .map_err(|e| exec_datafusion_err!("an interval is wanted, as INTERVAL '30 days': {e}"))?;
    let length = |interval: Option<_>| {
        let Some(interval) = interval else { return Ok(None) };
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(interval);
        if months != 0 {
            return exec_err!("an interval of months has no length: say it in days");
        }
        Ok(Some(i64::from(days) * DAY + nanoseconds / 1000))
    };
    intervals.as_primitive::<IntervalMonthDayNanoType>().iter().map(length).collect()
}
