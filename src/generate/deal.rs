//! Dealing the records over the files, one after the other.
//!
//! Owns the run from the first record to the last. Invariant: files hold contiguous runs of
//! records in order of time; what is delivered in addition (again, or broken) follows the base
//! record it hangs on into that record's file. One record is in memory at a time, plus those
//! waiting for their second delivery.

use std::path::Path;

use super::broken::Breaker;
use super::click::Clicks;
use super::flaw::Flaws;
use super::note::Note;
use super::output::OutputFile;
use super::redelivery::Waiting;
use super::schedule::Schedule;
use super::session::Sessions;
use super::timeline::Timeline;
use super::truth::{RescuedField, Truth};
use super::{Options, Traffic};
use crate::error::Result;

/// Room for a record; longer ones make it grow.
const RECORD: usize = 4096;

/// What writes the base records.
enum Writer {
    Sessions(Box<Sessions>),
    Clicks(Box<Clicks>),
}

impl Writer {
    fn new(options: &Options) -> Self {
        match options.traffic {
            Traffic::Sessions => Self::Sessions(Box::new(Sessions::new(options))),
            Traffic::Clicks => Self::Clicks(Box::new(Clicks::new(options))),
        }
    }

    /// Appends a base record. Comes back with whether it has a `user_id`.
    fn write(&mut self, index: u64, moment: u64, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Sessions(sessions) => {
                sessions.write(index, moment, out);
                true
            }
            Self::Clicks(clicks) => clicks.write(moment, out),
        }
    }
}

/// Deals the records of one output.
pub(super) struct Dealer<'options> {
    options: &'options Options,
    timeline: Timeline,
    writer: Writer,
    schedule: Schedule,
    flaws: Flaws,
    breaker: Breaker,
    waiting: Waiting,
    truth: Truth,
}

impl<'options> Dealer<'options> {
    /// A dealer for these options, which were checked.
    pub(super) fn new(options: &'options Options) -> Self {
        let seed = options.seed;
        Dealer {
            options,
            timeline: Timeline::new(seed, options.from, options.days, options.count),
            writer: Writer::new(options),
            schedule: Schedule::new(options),
            flaws: Flaws::new(options.traffic, seed),
            breaker: Breaker::new(seed),
            waiting: Waiting::new(seed),
            truth: Truth::new(options),
        }
    }

    /// Writes all files into the folder `out`. Comes back with the truth.
    pub(super) fn deal(mut self, out: &Path) -> Result<Truth> {
        let mut record = Vec::with_capacity(RECORD);
        for number in 0..self.options.files {
            let mut output = OutputFile::create(out, number, self.options)?;
            for index in self.first_of(number)..self.first_of(number + 1) {
                self.deliver_due(index, &mut output)?;
                self.deliver_next(index, &mut record, &mut output)?;
            }
            if number + 1 == self.options.files {
                self.deliver_due(u64::MAX, &mut output)?;
            }
            self.truth.bytes += output.finish()?;
        }
        Ok(self.truth)
    }

    /// The number of the first base record of a file.
    fn first_of(&self, number: u32) -> u64 {
        let share = u128::from(self.options.count) * u128::from(number);
        let first = share / u128::from(self.options.files.max(1));
        u64::try_from(first).unwrap_or(self.options.count)
    }

    /// Delivers the records again whose turn comes before this base record.
    fn deliver_due(&mut self, index: u64, output: &mut OutputFile) -> Result<()> {
        while let Some(delivery) = self.waiting.take_due(index) {
            self.truth.redelivered += 1;
            self.truth.corrected += u64::from(delivery.corrected);
            self.deliver(&delivery.record, &delivery.note, output)?;
        }
        Ok(())
    }

    /// Delivers the next base record, with whatever is planned for it.
    fn deliver_next(
        &mut self,
        index: u64,
        record: &mut Vec<u8>,
        output: &mut OutputFile,
    ) -> Result<()> {
        record.clear();
        let moment = self.timeline.next_moment();
        let has_user = self.writer.write(index, moment, record);
        let plan = self.schedule.plan(index);
        let broken =
            if plan.broken { Some(self.breaker.broken(record, output.frame())) } else { None };
        let note = match plan.flaw {
            Some(class) => self.flaws.apply(class, has_user, record),
            None => Note::clean(has_user),
        };
        // Session ids are unique, so each base session with a user is one more; deliveries of
        // the same session later add none.
        if note.has_user && self.options.traffic == Traffic::Sessions {
            self.truth.sessions += 1;
        }
        self.deliver(record, &note, output)?;
        if let Some(again) = plan.again {
            self.waiting.add(again, record, &note);
        }
        if let Some(broken) = broken {
            let position = output.put_broken(&broken)?;
            self.truth.quarantine(output.name(), position, &broken);
        }
        Ok(())
    }

    /// Delivers a record that parses.
    fn deliver(&mut self, record: &[u8], note: &Note, output: &mut OutputFile) -> Result<()> {
        let position = output.put(record)?;
        self.truth.land(note);
        if let Some(rescue) = &note.rescue {
            self.truth.rescue(RescuedField {
                file: output.name().to_owned(),
                position,
                path: rescue.path.clone(),
                value: output.value_text(&rescue.value),
                reason: rescue.reason.to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_share_the_records() {
        for (count, files) in [(0, 3), (1, 3), (10, 3), (1000, 7)] {
            let options = Options { files, ..Options::sample(count) };
            let dealer = Dealer::new(&options);
            let firsts: Vec<u64> = (0..=files).map(|number| dealer.first_of(number)).collect();
            assert!(firsts.is_sorted());
            assert_eq!((firsts.first(), firsts.last()), (Some(&0), Some(&count)));
        }
    }
}
