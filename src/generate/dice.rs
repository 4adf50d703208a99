//! Seeded chance: the only source of randomness of the generator.
//!
//! Owns the random streams, weighted choice, and number scrambling. Invariant: each purpose has
//! a stream of its own, so drawing more for one (dirt, say) never changes another (the traffic).

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of chance is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Moments in time.
    Time,
    /// Contents of the records.
    Traffic,
    /// Keys that scramble identifiers.
    Names,
    /// Which record gets which fault.
    Schedule,
    /// How a fault looks.
    Faults,
    /// How a broken record is broken.
    Breakage,
    /// How a redelivered record is corrected.
    Corrections,
}

impl Purpose {
    /// The number of the stream; fixed, because outputs depend on it.
    fn stream(self) -> u64 {
        match self {
            Self::Time => 1,
            Self::Traffic => 2,
            Self::Names => 3,
            Self::Schedule => 4,
            Self::Faults => 5,
            Self::Breakage => 6,
            Self::Corrections => 7,
        }
    }
}

/// One stream of chance.
pub(super) struct Dice {
    source: ChaCha8Rng,
}

impl Dice {
    /// The stream for one purpose under one seed.
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(purpose.stream());
        Self { source }
    }

    /// 64 random bits.
    pub(super) fn word(&mut self) -> u64 {
        self.source.next_u64()
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let product = u64::from(self.source.next_u32()) * u64::from(bound);
        // The high half of the product is below the bound, so nothing is cut off.
        (product >> 32) as u32
    }

    /// Whether an event of so many in a million happens.
    pub(super) fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < per_million
    }

    /// A place in a list of so many entries; 0 when the list is empty.
    pub(super) fn place(&mut self, length: usize) -> usize {
        let bound = u32::try_from(length).unwrap_or(u32::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// One entry of a list, all alike; None when the list is empty.
    pub(super) fn choose<'a, T>(&mut self, entries: &'a [T]) -> Option<&'a T> {
        entries.get(self.place(entries.len()))
    }
}

/// A weighted choice: each value lies in the deck as many times as its weight says.
pub(super) struct Deck<T> {
    cards: Vec<T>,
}

impl<T: Copy + Default> Deck<T> {
    /// A deck from pairs of weight and value. Weights are small, a deck holds their sum.
    pub(super) fn new(weighted: &[(usize, T)]) -> Self {
        let cards = weighted
            .iter()
            .flat_map(|(weight, value)| std::iter::repeat_n(*value, *weight))
            .collect();
        Self { cards }
    }

    /// A value by chance; the default of its type when the deck is empty.
    pub(super) fn draw(&self, dice: &mut Dice) -> T {
        dice.choose(&self.cards).copied().unwrap_or_default()
    }

    /// The value a number stands for: the same number, the same value.
    pub(super) fn at(&self, number: u64) -> T {
        let length = u64::try_from(self.cards.len()).unwrap_or(u64::MAX).max(1);
        let place = usize::try_from(number % length).unwrap_or(0);
        self.cards.get(place).copied().unwrap_or_default()
    }
}

/// Scrambles a number within `bits` (2 to 63) bits, one to one: distinct numbers below 2^bits
/// come out distinct and below 2^bits, which is what makes identifiers unique without a memory.
pub(super) fn scramble(number: u64, bits: u32) -> u64 {
    let mask = (1_u64 << bits.clamp(2, 63)) - 1;
    let shift = bits.clamp(2, 63) / 2;
    let mut mixed = number & mask;
    // Odd factors and shifted self-xors are each one to one; three rounds hide the counting.
    for factor in [0x2545_91E5_63F1_9D0B_u64, 0x5851_F427_13A7_C6E9, 0x3C79_AC49_2BA7_B653] {
        mixed = mixed.wrapping_mul(factor) & mask;
        mixed ^= mixed >> shift;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn scrambling_is_one_to_one() {
        let seen: HashSet<u64> = (0..1 << 12).map(|number| scramble(number, 12)).collect();
        assert_eq!(seen.len(), 1 << 12);
        assert!(seen.iter().all(|number| *number < 1 << 12));
    }

    #[test]
    fn streams_are_independent_and_repeatable() {
        let mut first = Dice::new(9, Purpose::Traffic);
        let mut again = Dice::new(9, Purpose::Traffic);
        let mut other = Dice::new(9, Purpose::Schedule);
        let drawn: Vec<u64> = (0..8).map(|_| first.word()).collect();
        assert!(drawn.iter().all(|word| *word == again.word()));
        assert!(drawn.iter().any(|word| *word != other.word()));
    }

    #[test]
    fn bounds_hold() {
        let mut dice = Dice::new(1, Purpose::Time);
        assert!((0..1000).all(|_| dice.below(7) < 7));
        assert_eq!(dice.below(0), 0);
        assert_eq!(Deck::<u8>::new(&[]).draw(&mut dice), 0);
        assert_eq!(Deck::new(&[(0, 4_u8), (2, 5)]).at(3), 5);
    }
}
