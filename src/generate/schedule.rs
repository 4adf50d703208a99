//! Which record gets which fault.
//!
//! Owns the rates of all faults. Invariant: a record gets at most one flaw, every class of fault
//! comes up early so that a thousand records show them all, and without dirt nothing happens.

use super::dice::{Dice, Purpose};
use super::note::Class;
use super::{Options, Traffic};

/// Rates in a million records. A tenth of the redeliveries are corrected ones.
const REDELIVERED: u32 = 20_000;
const CORRECTED: u32 = 100_000;
const BROKEN: u32 = 3_000;
const FLAWED: [(Class, u32); 4] = [
    (Class::Mistyped, 3_000),
    (Class::UnknownField, 3_000),
    (Class::MissingField, 3_000),
    (Class::DuplicateKey, 500),
];

/// A redelivery comes at most so many records later.
const LONGEST_DELAY: u64 = 3_000;

/// One fault, where it is certain to come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Redelivered,
    Corrected,
    Broken,
    Flawed(Class),
}

/// The records certain to have a fault, if there are as many.
const CERTAIN: [(u64, Fault); 7] = [
    (7, Fault::Redelivered),
    (13, Fault::Corrected),
    (21, Fault::Broken),
    (34, Fault::Flawed(Class::Mistyped)),
    (55, Fault::Flawed(Class::UnknownField)),
    (89, Fault::Flawed(Class::MissingField)),
    (144, Fault::Flawed(Class::DuplicateKey)),
];

/// When a record is delivered again, and whether it is corrected by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// The number of the base record it comes before, or the count for the very end.
    pub(super) due: u64,
    /// Whether some fields differ.
    pub(super) corrected: bool,
}

/// What happens to one base record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The flaw worked into it.
    pub(super) flaw: Option<Class>,
    /// Its redelivery.
    pub(super) again: Option<Again>,
    /// Whether a broken record follows it.
    pub(super) broken: bool,
}

/// Plans the faults of one output.
pub(super) struct Schedule {
    dice: Dice,
    traffic: Traffic,
    count: u64,
    dirty: bool,
}

impl Schedule {
    /// The schedule for these options.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            dice: Dice::new(options.seed, Purpose::Schedule),
            traffic: options.traffic,
            count: options.count,
            dirty: options.dirty,
        }
    }

    /// What happens to the base record with this number. Records are planned once each, in order.
    pub(super) fn plan(&mut self, index: u64) -> Plan {
        if !self.dirty {
            return Plan::default();
        }
        let certain = CERTAIN.iter().find(|(at, _)| *at == index).map(|(_, fault)| *fault);
        let flaw = self.flaw(certain);
        let broken = self.dice.chance(BROKEN) || certain == Some(Fault::Broken);
        Plan { flaw, again: self.again(index, certain, flaw.is_none()), broken }
    }

    /// The flaw of a record, if the traffic has such flaws: clicks follow no schema whose types
    /// they could miss.
    fn flaw(&mut self, certain: Option<Fault>) -> Option<Class> {
        let drawn = self.dice.below(1_000_000);
        let by_chance = FLAWED
            .iter()
            .scan(0, |upto, (class, rate)| {
                *upto += rate;
                Some((*class, *upto))
            })
            .find(|(_, upto)| drawn < *upto)
            .map(|(class, _)| class);
        let class = match certain {
            Some(Fault::Flawed(class)) => Some(class),
            // A corrected record needs its fields as they are.
            Some(Fault::Corrected) => None,
            _ => by_chance,
        };
        class.filter(|class| match self.traffic {
            Traffic::Sessions => true,
            Traffic::Clicks => matches!(class, Class::UnknownField | Class::MissingField),
        })
    }

    /// The redelivery of a record. Only a session without a flaw can be a corrected one.
    fn again(&mut self, index: u64, certain: Option<Fault>, flawless: bool) -> Option<Again> {
        let forced = matches!(certain, Some(Fault::Redelivered | Fault::Corrected));
        let again = self.dice.chance(REDELIVERED) || forced;
        let corrected = self.dice.chance(CORRECTED) || certain == Some(Fault::Corrected);
        let left = self.count.saturating_sub(index + 1);
        let reach = u32::try_from(left.clamp(1, LONGEST_DELAY)).unwrap_or(1);
        let due = index + 1 + u64::from(self.dice.below(reach));
        let correctable =
            self.traffic == Traffic::Sessions && flawless && certain != Some(Fault::Redelivered);
        again.then_some(Again { due, corrected: corrected && correctable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(options: &Options) -> Vec<Plan> {
        let mut schedule = Schedule::new(options);
        (0..options.count).map(|index| schedule.plan(index)).collect()
    }

    #[test]
    fn clean_output_has_no_faults() {
        assert!(plans(&Options::sample(500)).iter().all(|plan| *plan == Plan::default()));
    }

    #[test]
    fn a_thousand_records_show_every_fault() {
        let options = Options { dirty: true, ..Options::sample(1000) };
        let plans = plans(&options);
        for (class, _) in FLAWED {
            assert!(plans.iter().any(|plan| plan.flaw == Some(class)));
        }
        assert!(plans.iter().any(|plan| plan.broken));
        let again: Vec<Again> = plans.iter().filter_map(|plan| plan.again).collect();
        assert!(again.iter().any(|again| again.corrected));
        assert!(again.iter().any(|again| !again.corrected));
        assert!(again.iter().all(|again| again.due <= 1000));
    }

    #[test]
    fn rates_are_kept() {
        let options = Options { dirty: true, ..Options::sample(100_000) };
        let plans = plans(&options);
        let count = |wanted: fn(&Plan) -> bool| plans.iter().filter(|plan| wanted(plan)).count();
        assert!((1_800..2_200).contains(&count(|plan| plan.again.is_some())));
        assert!((220..380).contains(&count(|plan| plan.broken)));
        assert!((800..1_100).contains(&count(|plan| plan.flaw.is_some())));
    }
}
