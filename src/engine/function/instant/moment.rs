//! A moment as people write it: a day, the time on it, and where that time holds.

use arrow::array::timezone::Tz;
use chrono::{NaiveDate, TimeZone as _};

const SECONDS_OF_DAY: i64 = 86_400;

pub(super) const MIDNIGHT: Time = Time { hour: 0, minute: 0, second: 0, micros: 0 };

#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) micros: i64,
}

/// Where a time holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zone {
    /// Nothing is said: in UTC.
    Unsaid,
    /// Seconds ahead of UTC, by the name of a zone.
    Named(i32),
    /// Seconds ahead of UTC, as a number says.
    Offset(i32),
    /// A place of the time zone database.
    Place(Tz),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) day: NaiveDate,
    pub(super) time: Time,
    pub(super) zone: Zone,
}

impl Moment {
    /// Microseconds since 1970; None for a time that no clock shows.
    ///
    /// 24:00 is the end of its day, and second 60 the moment after 23:59:59 in UTC: a leap second is
    /// counted as the second behind it.
    pub(super) fn micros(self) -> Option<i64> {
        let Time { hour, minute, second, micros } = self.time;
        let (day, hour) = match (hour, minute, second, micros) {
            (24, 0, 0, 0) => (self.day.succ_opt()?, 0),
            _ => (self.day, hour),
        };
        let is_leap = second == 60;
        let local = day.and_hms_opt(hour, minute, if is_leap { 59 } else { second })?;
        let shown = match self.zone {
            Zone::Unsaid => local.and_utc().timestamp(),
            Zone::Named(ahead) | Zone::Offset(ahead) => {
                local.and_utc().timestamp() - i64::from(ahead)
            }
            // What a change of clocks skips or repeats is no one moment.
            Zone::Place(place) => place.from_local_datetime(&local).single()?.timestamp(),
        };
        let seconds = shown + i64::from(is_leap);
        if is_leap && seconds.rem_euclid(SECONDS_OF_DAY) != 0 {
            return None;
        }
        seconds.checked_mul(1_000_000)?.checked_add(micros)
    }
}
