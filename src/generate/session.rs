//! One session record: a visit with its events.
//!
//! Owns the shape of the record. Invariant: the keys always come in the same order, events come
//! in order of time and within `time_spent_seconds`, and `session_id` is unique in the output.

use super::Options;
use super::acts::{Acts, SUBMIT};
use super::agents::Agents;
use super::clock::{Clock, Style};
use super::dice::{Dice, Purpose, scramble};
use super::origins::Origins;
use super::text::{push_field, push_flag, push_hex, push_name, push_number, push_optional};
use super::users::{Users, Visit};

/// Hexadecimal digits of a session id before and after its dash, and their bits together.
const ID_HEAD: u32 = 8;
const ID_TAIL: u32 = 1;
const ID_BITS: u32 = 4 * (ID_HEAD + ID_TAIL);

/// Chances in a million: an idle stretch before an event; leaving a short visit counted as a
/// bounce, and any other; converting after a form was submitted, and without one.
const IDLE: u32 = 30_000;
const BOUNCE_SHORT: u32 = 850_000;
const BOUNCE_OTHER: u32 = 10_000;
const CONVERT_SUBMITTED: u32 = 200_000;
const CONVERT_OTHER: u32 = 14_000;

/// A visit of at most so many events and seconds is a short one.
const SHORT_EVENTS: u64 = 1;
const SHORT_SECONDS: u64 = 60;

/// Milliseconds of a second.
const SECOND: u64 = 1000;

/// What the events of a visit amount to.
struct Course {
    events: u64,
    seconds: u64,
    submitted: bool,
}

/// Writes sessions.
pub(super) struct Sessions {
    dice: Dice,
    users: Users,
    agents: Agents,
    origins: Origins,
    acts: Acts,
    clock: Clock,
    key: u64,
}

impl Sessions {
    /// A writer for the sessions of one output.
    pub(super) fn new(options: &Options) -> Self {
        let mut names = Dice::new(options.seed, Purpose::Names);
        Self {
            dice: Dice::new(options.seed, Purpose::Traffic),
            users: Users::new(names.word(), options.count),
            agents: Agents::new(),
            origins: Origins::new(),
            acts: Acts::new(),
            clock: Clock::new(options.from),
            key: names.word(),
        }
    }

    /// Appends the session with this number, which begins at this moment (milliseconds since the
    /// first day began). Sessions are written once each, in order.
    pub(super) fn write(&mut self, index: u64, moment: u64, out: &mut Vec<u8>) {
        let start = moment - moment % SECOND;
        let visit = self.users.visit(&mut self.dice);
        self.write_head(index, start, &visit, out);
        self.write_origin(out);
        let course = self.write_events(start, out);
        self.write_outcome(&course, &visit, out);
    }

    /// Appends who came, when, and with what.
    fn write_head(&mut self, index: u64, start: u64, visit: &Visit, out: &mut Vec<u8>) {
        let id = scramble(index ^ self.key, ID_BITS);
        out.extend_from_slice(b"{\"session_id\":\"");
        push_hex(id >> (4 * ID_TAIL), ID_HEAD, out);
        out.push(b'-');
        push_hex(id, ID_TAIL, out);
        out.extend_from_slice(b"\",\"user_id\":\"");
        self.users.push_name(visit.user, out);
        out.extend_from_slice(b"\",\"timestamp\":\"");
        self.clock.push(start, Style::Seconds, out);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(self.agents.of_habit(self.users.habit(visit.user)));
    }

    /// Appends the page and where the visit came from.
    fn write_origin(&mut self, out: &mut Vec<u8>) {
        push_field("page_url", self.acts.page(&mut self.dice), out);
        let origin = self.origins.draw(&mut self.dice);
        push_optional("referrer", origin.referrer, out);
        push_optional("utm_source", origin.source, out);
        push_optional("utm_medium", origin.medium, out);
        push_optional("utm_campaign", origin.campaign, out);
    }

    /// Appends the list of events.
    fn write_events(&mut self, start: u64, out: &mut Vec<u8>) -> Course {
        let events = self.acts.length(&mut self.dice);
        let mut course = Course { events, seconds: 0, submitted: false };
        out.extend_from_slice(b",\"events\":[");
        for position in 0..events {
            let act = self.acts.draw(&mut self.dice);
            course.seconds += self.pause();
            course.submitted |= act.kind == SUBMIT;
            let opening: &[u8] =
                if position == 0 { b"{\"event_type\":\"" } else { b",{\"event_type\":\"" };
            out.extend_from_slice(opening);
            out.extend_from_slice(act.kind.as_bytes());
            out.extend_from_slice(b"\",\"element_id\":\"");
            out.extend_from_slice(act.element.as_bytes());
            out.extend_from_slice(b"\",\"timestamp\":\"");
            self.clock.push(start + course.seconds * SECOND, Style::Seconds, out);
            out.extend_from_slice(b"\"}");
        }
        out.push(b']');
        course.seconds += u64::from(self.dice.below(40));
        course
    }

    /// Seconds until the next event: mostly a few, now and then many, at least one.
    fn pause(&mut self) -> u64 {
        let skewed = u64::from(self.dice.below(90)) * u64::from(self.dice.below(90)) / 90;
        let idle = if self.dice.chance(IDLE) { u64::from(self.dice.below(1500)) } else { 0 };
        1 + skewed + idle
    }

    /// Appends what became of the visit, and closes the record.
    fn write_outcome(&mut self, course: &Course, visit: &Visit, out: &mut Vec<u8>) {
        let short = course.events <= SHORT_EVENTS && course.seconds <= SHORT_SECONDS;
        let bounce = self.dice.chance(if short { BOUNCE_SHORT } else { BOUNCE_OTHER });
        let convert = if course.submitted { CONVERT_SUBMITTED } else { CONVERT_OTHER };
        let conversion = self.dice.chance(convert);
        push_name("time_spent_seconds", out);
        push_number(course.seconds, out);
        push_flag("is_returning_visitor", visit.number > 1, out);
        push_name("visit_count", out);
        push_number(visit.number, out);
        push_flag("bounce", bounce, out);
        push_flag("conversion", conversion, out);
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn keys_come_in_order() -> Outcome {
        let mut out = Vec::new();
        Sessions::new(&Options::sample(10)).write(0, 39_579_000, &mut out);
        let text = String::from_utf8(out)?;
        let keys = [
            "session_id",
            "user_id",
            "timestamp",
            "user_agent",
            "device_type",
            "os",
            "browser",
            "page_url",
            "referrer",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "events",
            "time_spent_seconds",
            "is_returning_visitor",
            "visit_count",
            "bounce",
            "conversion",
        ];
        let mut from = 0;
        for key in keys {
            let rest = text.get(from..).unwrap_or_default();
            from += rest.find(&format!("\"{key}\":")).ok_or(key)?;
        }
        Ok(())
    }

    #[test]
    fn events_lie_within_the_visit() -> Outcome {
        let mut sessions = Sessions::new(&Options::sample(500));
        let (mut bytes, mut conversions) = (0, 0);
        for index in 0..500 {
            let mut out = Vec::new();
            sessions.write(index, 39_579_250, &mut out);
            bytes += out.len();
            let record: Value = serde_json::from_slice(&out)?;
            let spent = record.get("time_spent_seconds").and_then(Value::as_u64).ok_or("spent")?;
            let mut latest = 39_579_u64;
            for event in record.get("events").and_then(Value::as_array).ok_or("events")? {
                let stamp = event.get("timestamp").and_then(Value::as_str).ok_or("stamp")?;
                let part = |from: usize| stamp.get(from..from + 2).map_or(Ok(0), str::parse::<u64>);
                let second = part(11)? * 3600 + part(14)? * 60 + part(17)?;
                assert!(latest < second && second <= 39_579 + spent);
                latest = second;
            }
            conversions += usize::from(record.get("conversion") == Some(&Value::Bool(true)));
        }
        assert!((700 * 500..860 * 500).contains(&bytes), "{bytes}");
        assert!((5..60).contains(&conversions), "{conversions}");
        Ok(())
    }
}
