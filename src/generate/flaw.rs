//! Records that are whole JSON but not what the schema expects.
//!
//! Owns the ways a field can be wrong. Invariant: a flawed record stays valid JSON and has
//! exactly one flaw, and its note says what a reader must set aside and why. The ways are taken
//! in turn, so a few flawed records already show different ones.

use std::ops::Range;

use super::Traffic;
use super::dice::{Dice, Purpose};
use super::fields::{Field, elements, field, members, splice, text_at, word_at};
use super::note::{Class, Note, Rescue};

/// A field, the value it gets instead, and why a reader sets that aside.
const MISTYPED: [(&str, &str, &str); 9] = [
    ("time_spent_seconds", "\"170\"", "expected BIGINT, found string"),
    ("user_agent", "42", "expected TEXT, found integer"),
    ("time_spent_seconds", "41.5", "expected BIGINT, found decimal"),
    ("events", "\"none\"", "expected ARRAY, found string"),
    ("time_spent_seconds", "99999999999999999999", "out of range for BIGINT"),
    ("is_returning_visitor", "\"yes\"", "expected BOOLEAN, found string"),
    ("visit_count", "1.9", "expected BIGINT, found decimal"),
    ("conversion", "1", "expected BOOLEAN, found integer"),
    ("browser", "[\"Chrome\"]", "expected TEXT, found array"),
];

/// Besides the fields above: an event that is none, and an event with a numeric time stamp.
const MISTYPED_EVENTS: usize = 2;

/// Extra fields and their values.
const UNKNOWN: [(&str, &str); 3] = [
    ("experiment", "\"b-17\""),
    ("geo", "{\"country\":\"IN\",\"city\":\"Pune\"}"),
    ("scroll_depth", "0.82"),
];

/// The fields a session may lack.
const MISSING_SESSION: [&str; 7] =
    ["user_id", "utm_source", "utm_medium", "events", "utm_campaign", "visit_count", "referrer"];

/// The fields a click may lack; each shape has some of them.
const MISSING_CLICK: [&str; 7] =
    ["user_id", "elementId", "device", "url", "page", "button", "duration"];

const UNKNOWN_REASON: &str = "unknown field";
const NO_EVENT_REASON: &str = "expected STRUCT, found integer";

/// Works flaws into records.
pub(super) struct Flaws {
    traffic: Traffic,
    dice: Dice,
    mistyped: usize,
    unknown: usize,
    missing: usize,
}

impl Flaws {
    /// The flaws of one output.
    pub(super) fn new(traffic: Traffic, seed: u64) -> Self {
        let dice = Dice::new(seed, Purpose::Faults);
        Self { traffic, dice, mistyped: 0, unknown: 0, missing: 0 }
    }

    /// Works a flaw of this class into a clean record. Comes back with its note.
    pub(super) fn apply(&mut self, class: Class, has_user: bool, record: &mut Vec<u8>) -> Note {
        let rescue = match class {
            Class::Mistyped => self.mistype(record),
            Class::UnknownField => self.add_unknown(record),
            Class::DuplicateKey => duplicate(record),
            Class::MissingField => {
                self.remove(record);
                None
            }
        };
        let has_user = has_user && field(record, "user_id").is_some();
        let rescue = rescue.filter(|_| self.traffic == Traffic::Sessions);
        Note { has_user, class: Some(class), rescue }
    }

    /// Gives one field or event of a session the wrong type.
    fn mistype(&mut self, record: &mut Vec<u8>) -> Option<Rescue> {
        let way = self.mistyped % (MISTYPED.len() + MISTYPED_EVENTS);
        self.mistyped += 1;
        let Some((name, value, reason)) = MISTYPED.get(way) else {
            return self.mistype_event(way == MISTYPED.len(), record);
        };
        let place = field(record, name)?.value;
        splice(record, place, value.as_bytes());
        Some(Rescue::new(*name, value, reason))
    }

    /// Makes one event of a session a number, or the time stamp of one.
    fn mistype_event(&mut self, whole: bool, record: &mut Vec<u8>) -> Option<Rescue> {
        let list = field(record, "events")?.value;
        let Some((number, event)) = self.event(record, &list) else {
            splice(record, list, b"[5]");
            return Some(Rescue::new("events[0]", "5", NO_EVENT_REASON));
        };
        if whole {
            splice(record, event, b"5");
            return Some(Rescue::new(format!("events[{number}]"), "5", NO_EVENT_REASON));
        }
        let stamp = members(record, event.start).pop()?;
        let name = word_at(record, stamp.name).to_owned();
        splice(record, stamp.value, b"1753180000");
        let path = format!("events[{number}].{name}");
        Some(Rescue::new(path, "1753180000", "expected TEXT, found integer"))
    }

    /// Adds a field nobody expects, to the record or to one of its events.
    fn add_unknown(&mut self, record: &mut Vec<u8>) -> Option<Rescue> {
        let way = self.unknown % (UNKNOWN.len() + 1);
        self.unknown += 1;
        let list = field(record, "events").map(|list| list.value);
        let event = list.and_then(|list| self.event(record, &list));
        if let (None, Some((number, event))) = (UNKNOWN.get(way), event) {
            let end = event.end.saturating_sub(1);
            splice(record, end..end, b",\"x\":12");
            let path = format!("events[{number}].x");
            return Some(Rescue::new(path, "12", UNKNOWN_REASON));
        }
        let (name, value) = UNKNOWN.get(way).or(UNKNOWN.first())?;
        let fields = members(record, 0);
        let end = self.dice.choose(&fields)?.value.end;
        splice(record, end..end, format!(",\"{name}\":{value}").as_bytes());
        Some(Rescue::new(*name, value, UNKNOWN_REASON))
    }

    /// Takes one field away: the one whose turn it is, or the next one the record has.
    fn remove(&mut self, record: &mut Vec<u8>) {
        let names = match self.traffic {
            Traffic::Sessions => MISSING_SESSION,
            Traffic::Clicks => MISSING_CLICK,
        };
        let turn = self.missing % names.len();
        self.missing += 1;
        let mut in_turn = names.iter().cycle().skip(turn).take(names.len());
        if let Some(found) = in_turn.find_map(|name| field(record, name)) {
            let place = with_comma(record, &found);
            splice(record, place, b"");
        }
    }

    /// One event of a session by chance: its number and its place.
    fn event(&mut self, record: &[u8], list: &Range<usize>) -> Option<(usize, Range<usize>)> {
        let events = elements(record, list.start);
        let number = self.dice.place(events.len());
        events.get(number).map(|event| (number, event.clone()))
    }
}

/// Puts another browser before the one of a session; the later one counts.
fn duplicate(record: &mut Vec<u8>) -> Option<Rescue> {
    let browser = field(record, "browser")?;
    let current = text_at(record, browser.value.clone());
    let other = if current == b"\"Opera\"" { "\"Firefox\"" } else { "\"Opera\"" };
    let start = browser.whole().start;
    splice(record, start..start, format!("\"browser\":{other},").as_bytes());
    Some(Rescue::new("browser", other, "duplicate key"))
}

/// A field and the comma that goes with it: the one after it, or before it if it is the last.
fn with_comma(record: &[u8], found: &Field) -> Range<usize> {
    let whole = found.whole();
    if record.get(whole.end) == Some(&b',') {
        whole.start..whole.end + 1
    } else {
        whole.start.saturating_sub(1)..whole.end
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const RECORD: &[u8] = br#"{"session_id":"1","user_id":"2","user_agent":"3","browser":"Chrome","referrer":null,"utm_source":null,"utm_medium":null,"utm_campaign":null,"events":[{"event_type":"click","timestamp":"4"}],"time_spent_seconds":5,"is_returning_visitor":true,"visit_count":6,"conversion":false}"#;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn every_way_leaves_valid_json() -> Outcome {
        let mut flaws = Flaws::new(Traffic::Sessions, 1);
        let mut paths = Vec::new();
        for class in [Class::Mistyped, Class::UnknownField, Class::DuplicateKey] {
            for _ in 0..11 {
                let mut record = RECORD.to_vec();
                let note = flaws.apply(class, true, &mut record);
                assert!(serde_json::from_slice::<Value>(&record)?.is_object());
                assert!(note.has_user && note.class == Some(class));
                paths.push(note.rescue.ok_or("a flawed field is set aside")?.path);
            }
        }
        for path in ["events[0]", "events[0].timestamp", "events[0].x", "geo", "browser"] {
            assert!(paths.iter().any(|found| found == path), "{path}");
        }
        Ok(())
    }

    #[test]
    fn missing_fields_are_gone() -> Outcome {
        let mut flaws = Flaws::new(Traffic::Sessions, 1);
        for name in MISSING_SESSION {
            let mut record = RECORD.to_vec();
            let note = flaws.apply(Class::MissingField, true, &mut record);
            let value: Value = serde_json::from_slice(&record)?;
            assert!(value.is_object() && value.get(name).is_none());
            assert_eq!(note.has_user, name != "user_id");
        }
        let mut last = br#"{"a":1,"duration":2.5}"#.to_vec();
        Flaws::new(Traffic::Clicks, 1).apply(Class::MissingField, false, &mut last);
        assert_eq!(last, br#"{"a":1}"#);
        Ok(())
    }
}
