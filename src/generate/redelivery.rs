//! Records that are delivered again.
//!
//! Owns the records waiting for their second delivery and the correction of some. Invariant:
//! each waits for its turn and comes exactly once; as a delay is bounded, so is what waits.

use std::collections::BTreeMap;

use super::dice::{Dice, Purpose};
use super::fields::{field, splice, word_at};
use super::note::Note;
use super::schedule::Again;

/// A corrected visit lasted at most so many seconds longer, and at least one.
const LONGER: u32 = 600;

/// A record waiting for its second delivery.
pub(super) struct Delivery {
    /// The record, minified.
    pub(super) record: Vec<u8>,
    /// What is known about it.
    pub(super) note: Note,
    /// Whether it differs from the first delivery.
    pub(super) corrected: bool,
}

/// All records waiting, by the number of the base record they come before.
pub(super) struct Waiting {
    dice: Dice,
    serial: u64,
    deliveries: BTreeMap<(u64, u64), Delivery>,
}

impl Waiting {
    /// Nothing waits yet.
    pub(super) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed, Purpose::Corrections);
        Self { dice, serial: 0, deliveries: BTreeMap::new() }
    }

    /// Lets a copy of a record wait for its turn.
    pub(super) fn add(&mut self, again: Again, record: &[u8], note: &Note) {
        let mut record = record.to_vec();
        if again.corrected {
            self.correct(&mut record);
        }
        let delivery = Delivery { record, note: note.clone(), corrected: again.corrected };
        // The serial number keeps records apart that are due together, first come first served.
        self.deliveries.insert((again.due, self.serial), delivery);
        self.serial += 1;
    }

    /// The next record whose turn comes before or at the base record with this number.
    pub(super) fn take_due(&mut self, index: u64) -> Option<Delivery> {
        let ((due, _), _) = self.deliveries.first_key_value()?;
        if *due > index {
            return None;
        }
        self.deliveries.pop_first().map(|(_, delivery)| delivery)
    }

    /// Makes a session last longer and its conversion the opposite.
    fn correct(&mut self, record: &mut Vec<u8>) {
        if let Some(spent) = field(record, "time_spent_seconds") {
            let seconds: u64 = word_at(record, spent.value.clone()).parse().unwrap_or(0);
            let longer = seconds + 1 + u64::from(self.dice.below(LONGER));
            splice(record, spent.value, longer.to_string().as_bytes());
        }
        if let Some(conversion) = field(record, "conversion") {
            let converted = word_at(record, conversion.value.clone()) == "true";
            let opposite: &[u8] = if converted { b"false" } else { b"true" };
            splice(record, conversion.value, opposite);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(due: u64, corrected: bool) -> Again {
        Again { due, corrected }
    }

    #[test]
    fn records_come_when_due_and_once() {
        let mut waiting = Waiting::new(1);
        let note = Note::clean(true);
        for (due, record) in [(9, b"late"), (4, b"soon"), (4, b"next")] {
            waiting.add(again(due, false), record, &note);
        }
        assert!(waiting.take_due(3).is_none());
        let order: Vec<Vec<u8>> = std::iter::from_fn(|| waiting.take_due(u64::MAX))
            .map(|delivery| delivery.record)
            .collect();
        assert_eq!(order, [b"soon", b"next", b"late"]);
    }

    #[test]
    fn corrections_change_two_fields() {
        let mut waiting = Waiting::new(1);
        let record = br#"{"session_id":"1","time_spent_seconds":170,"conversion":true}"#;
        waiting.add(again(1, true), record, &Note::clean(true));
        let delivery = waiting.take_due(1);
        let text = delivery.map(|delivery| delivery.record).unwrap_or_default();
        assert!(text.starts_with(br#"{"session_id":"1","time_spent_seconds":"#));
        assert!(text.ends_with(br#","conversion":false}"#));
        assert_ne!(field(&text, "time_spent_seconds").map(|spent| spent.value.len()), None);
        assert!(!text.windows(5).any(|part| part == b":170,"));
    }
}
