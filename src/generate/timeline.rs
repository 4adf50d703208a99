//! When things happen: the moments of all records, in order of time.
//!
//! Owns the daily and weekly rhythm. Invariant: moments never go back, exactly as many as were
//! asked for lie within the days, and no moment is held in memory.

use chrono::{Datelike, NaiveDate};

use super::dice::{Dice, Purpose};

/// Milliseconds of an hour.
const HOUR: u32 = 3_600_000;

/// How busy each hour of the day is, against the other hours: quiet nights, busy days.
const HOURS: [u128; 24] =
    [3, 2, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 12, 12, 13, 13, 12, 11, 11, 12, 12, 10, 7, 5];

/// How busy a working day and a day of the weekend are, against each other.
const WORKDAY: u128 = 10;
const WEEKEND: u128 = 6;

/// Deals a number of records over the hours of some days, by the rhythm.
pub(super) struct Timeline {
    dice: Dice,
    count: u128,
    first_weekday: u64,
    last_hour: u64,
    total: u128,
    passed: u128,
    assigned: u128,
    hour: Option<u64>,
    size: u64,
    placed: u64,
}

impl Timeline {
    /// A timeline of `count` moments over `days` days from `from`.
    pub(super) fn new(seed: u64, from: NaiveDate, days: u32, count: u64) -> Self {
        let first_weekday = u64::from(from.weekday().num_days_from_monday());
        let days = u64::from(days);
        let daily: u128 = HOURS.iter().sum();
        let total = (0..days).map(|day| day_weight(first_weekday, day) * daily).sum();
        Self {
            dice: Dice::new(seed, Purpose::Time),
            count: u128::from(count),
            first_weekday,
            last_hour: (days * 24).saturating_sub(1),
            total,
            passed: 0,
            assigned: 0,
            hour: None,
            size: 0,
            placed: 0,
        }
    }

    /// The next moment, in milliseconds since the first day began.
    pub(super) fn next_moment(&mut self) -> u64 {
        while self.placed >= self.size && self.hour != Some(self.last_hour) {
            self.enter_next_hour();
        }
        // One moment in each of equal slices of the hour: in order without sorting.
        let slice = self.placed * u64::from(HOUR) + u64::from(self.dice.below(HOUR));
        let offset = (slice / self.size.max(1)).min(u64::from(HOUR) - 1);
        self.placed += 1;
        self.hour.unwrap_or(0) * u64::from(HOUR) + offset
    }

    /// Moves on by an hour and works out how many moments fall into it.
    fn enter_next_hour(&mut self) {
        let hour = self.hour.map_or(0, |hour| hour + 1);
        let of_day = usize::try_from(hour % 24).unwrap_or(0);
        let weight = HOURS.get(of_day).copied().unwrap_or(0);
        self.passed += weight * day_weight(self.first_weekday, hour / 24);
        // Rounding the running sum, not each hour, makes the hours add up to the count.
        let upto = (self.count * self.passed + self.total / 2) / self.total.max(1);
        self.size = u64::try_from(upto.saturating_sub(self.assigned)).unwrap_or(u64::MAX);
        self.assigned = upto;
        self.hour = Some(hour);
        self.placed = 0;
    }
}

/// How busy the day so many days after the first is.
fn day_weight(first_weekday: u64, day: u64) -> u128 {
    if (first_weekday + day) % 7 >= 5 { WEEKEND } else { WORKDAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(days: u32, count: u64) -> Vec<u64> {
        // 1970-01-01 was a Thursday, so the third and fourth day are a weekend.
        let mut timeline = Timeline::new(5, NaiveDate::default(), days, count);
        (0..count).map(|_| timeline.next_moment()).collect()
    }

    #[test]
    fn moments_are_in_order_and_within_the_days() {
        for (days, count) in [(1, 1), (1, 5000), (30, 7), (9, 20_000)] {
            let moments = moments(days, count);
            assert!(moments.is_sorted());
            let end = u64::from(days) * 24 * u64::from(HOUR);
            assert!(moments.iter().all(|moment| *moment < end));
        }
    }

    #[test]
    fn nights_and_weekends_are_quiet() {
        let moments = moments(7, 70_000);
        let day_length = 24 * u64::from(HOUR);
        let on = |day: u64| moments.iter().filter(|moment| *moment / day_length == day).count();
        assert!(on(2) < on(0) && on(3) < on(1));
        let at = |hour: u64| {
            moments.iter().filter(|moment| *moment / u64::from(HOUR) % 24 == hour).count()
        };
        assert!(at(3) * 5 < at(14));
    }
}
