//! How many different values there are, and how many of them come more than once, in little memory.
//!
//! All values are kept by their hashes until these are too many. From then on only those are kept whose
//! hash ends with one zero bit more each time: every occurrence of a value that is kept was counted, so
//! shares among them are shares among all.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// How many values are kept.
const MOST: usize = 1 << 16;

/// The hash of `value`; the same in every process.
pub(super) fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What is kept of the values by their hashes.
#[derive(Debug)]
pub(super) struct Kept<T> {
    /// How many zero bits a hash ends with to be kept.
    zeros: u32,
    values: HashMap<u64, T>,
    most: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { zeros: 0, values: HashMap::new(), most: MOST }
    }
}

impl<T> Kept<T> {
    /// Adds what `first` gives for a new value, or changes what is kept of one.
    pub(super) fn add(&mut self, hash: u64, first: impl FnOnce() -> T, again: impl FnOnce(&mut T)) {
        if hash.trailing_zeros() < self.zeros {
            return;
        }
        self.values.entry(hash).and_modify(again).or_insert_with(first);
        while self.values.len() > self.most {
            self.zeros += 1;
            let zeros = self.zeros;
            self.values.retain(|hash, _| hash.trailing_zeros() >= zeros);
        }
    }

    /// How many different values there are, exactly or about.
    pub(super) fn count(&self) -> u64 {
        (self.values.len() as u64) << self.zeros
    }

    /// Whether counts are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.zeros == 0
    }

    /// How many values are such, exactly or about.
    pub(super) fn count_of(&self, is_such: impl Fn(&T) -> bool) -> u64 {
        (self.values.values().filter(|kept| is_such(kept)).count() as u64) << self.zeros
    }
}

/// How often each value came.
pub(super) type Counts = Kept<u64>;

impl Counts {
    /// Counts a value.
    pub(super) fn count_in(&mut self, hash: u64) {
        self.add(hash, || 1, |count| *count += 1);
    }

    /// How many different values came more than once.
    pub(super) fn repeated(&self) -> u64 {
        self.count_of(|count| *count > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_counted_exactly() {
        let mut counts = Counts::default();
        for number in 0..1000u32 {
            counts.count_in(hash_of(&(number % 700)));
        }
        assert_eq!((counts.count(), counts.repeated(), counts.is_exact()), (700, 300, true));
    }

    #[test]
    fn of_many_values_the_shares_are_about_right() {
        let mut counts = Counts { most: 1000, ..Counts::default() };
        for number in 0..100_000u32 {
            counts.count_in(hash_of(&number));
            if number % 4 == 0 {
                counts.count_in(hash_of(&number));
            }
        }
        assert!(!counts.is_exact() && counts.values.len() <= 1000);
        let about = |count: u64, expected: u64| count.abs_diff(expected) * 5 < expected;
        assert!(about(counts.count(), 100_000), "{}", counts.count());
        assert!(about(counts.repeated(), 25_000), "{}", counts.repeated());
    }
}
