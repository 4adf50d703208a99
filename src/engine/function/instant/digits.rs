//! Moments that are digits alone: a time since 1970, or a date with nothing between its parts.
//!
//! A number is as many units since 1970 as its length says: 9 to 11 digits are seconds, 12 to 14
//! milliseconds, 15 to 17 microseconds, 18 and 19 nanoseconds. A date has 8 digits, or 12 with hour and
//! minute, or 14 with the second, or 17, 20 or 23 with a fraction of it. Either counts if it lies in
//! the years 1990 to 2100. No digits mean two moments by this: 8 are too few for a number and 20 too
//! many, and as numbers, dates of 12 digits would lie in 1976 and those of 14 and 17 in 2611. Digits of
//! date and hour (10) are not read as such: as seconds they lie in 2033 to 2036, where a time may lie.

use chrono::{DateTime, Datelike as _, NaiveDate};

use super::moment::{MIDNIGHT, Moment, Time, Zone};
use super::scanner::{fraction, number};

/// The moment that the digits of `whole` are, with those behind their point.
pub(super) fn read(whole: &str, behind: &str) -> Option<i64> {
    let is_plausible = |micros: &i64| {
        DateTime::from_timestamp_micros(*micros)
            .is_some_and(|moment| (1990..=2100).contains(&moment.year()))
    };
    let of_number = since_1970(whole, behind).filter(is_plausible);
    of_number.or_else(|| calendar(whole, behind).filter(is_plausible))
}

/// The microseconds of a number.
fn since_1970(whole: &str, behind: &str) -> Option<i64> {
    let places = match whole.len() {
        9..=11 => 6,
        12..=14 => 3,
        15..=17 => 0,
        18..=19 => return Some(whole.parse::<i64>().ok()? / 1000),
        _ => return None,
    };
    let units: i64 = whole.parse().ok()?;
    units.checked_mul(10_i64.pow(places))?.checked_add(fraction(behind, places))
}

/// The microseconds of a date.
fn calendar(whole: &str, behind: &str) -> Option<i64> {
    // A number with decimals may be meant, but none that has some.
    let is_whole = behind.trim_end_matches('0').is_empty();
    let (seconds, behind) = match whole.len() {
        8 | 12 if is_whole => (whole, ""),
        14 => (whole, behind),
        17 | 20 | 23 if is_whole => whole.split_at_checked(14)?,
        _ => return None,
    };
    let (day_digits, time_digits) = seconds.split_at_checked(8)?;
    let (day, time) = (day(day_digits)?, time(time_digits, behind)?);
    Moment { day, time, zone: Zone::Unsaid }.micros()
}

/// The day that eight digits are.
pub(super) fn day(digits: &str) -> Option<NaiveDate> {
    let year = digits.get(..4)?.parse().ok()?;
    NaiveDate::from_ymd_opt(year, number(digits.get(4..6)?)?, number(digits.get(6..)?)?)
}

/// The time that no, four or six digits are, with those of a fraction of a second.
pub(super) fn time(digits: &str, behind: &str) -> Option<Time> {
    let second = match digits.len() {
        0 => return Some(MIDNIGHT),
        4 => 0,
        6 => number(digits.get(4..)?)?,
        _ => return None,
    };
    let (hour, minute) = (number(digits.get(..2)?)?, number(digits.get(2..4)?)?);
    Some(Time { hour, minute, second, micros: fraction(behind, 6) })
}
