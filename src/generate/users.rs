//! Who visits: the users of the traffic and how often each has come.
//!
//! Owns the visit counters. Invariant: a user is a small number, its name is a function of that
//! number and the seed, one to one, and memory is two bytes per user and at most 16 MiB.

use super::dice::{Dice, Purpose, scramble};
use super::text::push_number;

/// The most users ever told apart; memory is twice this in bytes.
const MOST_USERS: u64 = 8 << 20;

/// How many of a million visits come from the tenth of the users that comes often.
const FREQUENT_VISITS: u32 = 300_000;

/// Bits of an address that tell users apart; more than the most users need.
const ADDRESS_BITS: u32 = 24;

/// One visit of one user.
pub(super) struct Visit {
    /// The number of the user.
    pub(super) user: u32,
    /// Which visit of this user it is, from 1.
    pub(super) number: u64,
}

/// All users, and how often each has come so far.
pub(super) struct Users {
    visits: Vec<u16>,
    size: u32,
    key: u64,
}

impl Users {
    /// Users for so many visits, about two visits each.
    pub(super) fn new(seed: u64, visits: u64) -> Self {
        let size = u32::try_from((visits / 2).clamp(1, MOST_USERS)).unwrap_or(1);
        Self {
            visits: vec![0; usize::try_from(size).unwrap_or(1)],
            size,
            key: Dice::new(seed, Purpose::Names).word(),
        }
    }

    /// Lets a user come by chance. The count of a user stops at 65,535, which takes more than
    /// some ten thousand million visits to reach.
    pub(super) fn visit(&mut self, dice: &mut Dice) -> Visit {
        let frequent = dice.chance(FREQUENT_VISITS);
        let span = if frequent { (self.size / 10).max(1) } else { self.size };
        let user = dice.below(span);
        let number = match self.visits.get_mut(usize::try_from(user).unwrap_or(0)) {
            Some(visits) => {
                *visits = visits.saturating_add(1);
                u64::from(*visits)
            }
            None => 1,
        };
        Visit { user, number }
    }

    /// A number that is always the same for a user: what the user browses with hangs on it.
    pub(super) fn habit(&self, user: u32) -> u64 {
        scramble(u64::from(user) ^ self.key, 48) >> 16
    }

    /// Appends the name of a user, without quotes: a tenth are logged in, the others are guests
    /// known by their address.
    pub(super) fn push_name(&self, user: u32, out: &mut Vec<u8>) {
        if user % 10 == 9 {
            out.extend_from_slice(b"u-");
            push_number(u64::from(user), out);
            return;
        }
        let address = scramble(u64::from(user) ^ self.key, ADDRESS_BITS);
        // The first part stays clear of networks no visitor comes from (10, 127, 192, 224 and up).
        let first = match 11 + self.habit(user) % 160 {
            127 => 171,
            first => first,
        };
        out.extend_from_slice(b"guest_");
        push_number(first, out);
        for shift in [16, 8, 0] {
            out.push(b'.');
            push_number((address >> shift) & 255, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn names_are_distinct() {
        let users = Users::new(3, 40_000);
        let names: HashSet<Vec<u8>> = (0..20_000)
            .map(|user| {
                let mut name = Vec::new();
                users.push_name(user, &mut name);
                name
            })
            .collect();
        assert_eq!(names.len(), 20_000);
    }

    #[test]
    fn visits_are_counted_per_user() {
        let mut users = Users::new(3, 200);
        let mut dice = Dice::new(3, Purpose::Traffic);
        let mut seen: HashMap<u32, u64> = HashMap::new();
        for _ in 0..200 {
            let visit = users.visit(&mut dice);
            let count = seen.entry(visit.user).or_default();
            *count += 1;
            assert_eq!(visit.number, *count);
        }
        assert!(seen.len() > 20);
    }
}
