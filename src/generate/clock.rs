//! How a moment is written down.
//!
//! Owns the time stamp styles. Invariant: a moment is given in milliseconds since the first day
//! of the traffic began (UTC); the calendar is only asked when the day changes.

use chrono::{Datelike, Days, NaiveDate};

use super::text::{push_digit, push_number, push_two};

const SECOND: u64 = 1000;
const DAY: u64 = 24 * 3600 * SECOND;

/// Days from the first day of year 1, as the calendar counts them, to 1970-01-01.
const EPOCH_DAY: i32 = 719_163;

/// How a time stamp looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `2025-07-22T10:49:39Z`
    Seconds,
    /// `2025-07-22T10:49:39.123Z`
    Milliseconds,
    /// `2025-07-22 10:49:39`
    Spaced,
}

/// Writes moments as text, remembering the date it wrote last.
pub(super) struct Clock {
    from: NaiveDate,
    epoch_millis: u64,
    day: Option<u64>,
    date: String,
}

impl Clock {
    /// A clock whose moments count from the beginning of `from`.
    pub(super) fn new(from: NaiveDate) -> Self {
        let days = u64::try_from(from.num_days_from_ce() - EPOCH_DAY).unwrap_or(0);
        Self { from, epoch_millis: days * DAY, day: None, date: String::new() }
    }

    /// Appends a moment, without quotes.
    pub(super) fn push(&mut self, moment: u64, style: Style, out: &mut Vec<u8>) {
        self.turn_to(moment / DAY);
        out.extend_from_slice(self.date.as_bytes());
        out.push(if style == Style::Spaced { b' ' } else { b'T' });
        let seconds = moment % DAY / SECOND;
        push_two(seconds / 3600, out);
        out.push(b':');
        push_two(seconds / 60 % 60, out);
        out.push(b':');
        push_two(seconds % 60, out);
        if style == Style::Milliseconds {
            out.push(b'.');
            push_digit(moment / 100, out);
            push_two(moment % 100, out);
        }
        if style != Style::Spaced {
            out.push(b'Z');
        }
    }

    /// Appends a moment as a number: milliseconds since 1970.
    pub(super) fn push_epoch_millis(&self, moment: u64, out: &mut Vec<u8>) {
        push_number(self.epoch_millis.saturating_add(moment), out);
    }

    /// Makes `date` the text of a day.
    fn turn_to(&mut self, day: u64) {
        if self.day != Some(day) {
            // The options were checked: every day of the traffic exists.
            let date = self.from.checked_add_days(Days::new(day)).unwrap_or(self.from);
            self.date = date.to_string();
            self.day = Some(day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(clock: &mut Clock, moment: u64, style: Style) -> String {
        let mut out = Vec::new();
        clock.push(moment, style, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn styles_differ_and_days_turn() {
        let from = NaiveDate::from_ymd_opt(2024, 2, 28).unwrap_or_default();
        let mut clock = Clock::new(from);
        let moment = 3_600_000 + 2 * 60_000 + 3 * SECOND + 45;
        assert_eq!(written(&mut clock, moment, Style::Seconds), "2024-02-28T01:02:03Z");
        assert_eq!(
            written(&mut clock, moment + DAY, Style::Milliseconds),
            "2024-02-29T01:02:03.045Z"
        );
        assert_eq!(written(&mut clock, moment + 2 * DAY, Style::Spaced), "2024-03-01 01:02:03");
        assert_eq!(written(&mut clock, 0, Style::Seconds), "2024-02-28T00:00:00Z");
    }

    #[test]
    fn numbers_count_from_1970() {
        let mut out = Vec::new();
        let next_day = NaiveDate::default().checked_add_days(Days::new(1)).unwrap_or_default();
        Clock::new(next_day).push_epoch_millis(7, &mut out);
        assert_eq!(out, b"86400007");
    }
}
