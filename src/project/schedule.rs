//! When a pipeline is due: a cron expression.
//!
//! Five fields as cron has them, or a word such as `@daily`. A field is `*`, a number or a name, a list
//! of them, a range, or steps; days also know `L` (the last), `W` (the nearest weekday) and `#` (the
//! n-th of a month). A schedule that can never be due is none.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::shortened;
use crate::name::did_you_mean;

use super::Mistake;

/// What a message shows of a schedule at most, in characters.
const SHOWN: usize = 120;

/// Words, and the fields that they stand for.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const HINT: &str = "write minute, hour, day of the month, month and day of the week, as in `0 2 * * *` \
                    for every night at two, or a word such as `@daily`";

/// What may stand in one of the five places.
struct Field {
    name: &'static str,
    numbers: &'static str,
    names: &'static [&'static str],
    /// What may stand behind a number.
    suffix: Option<char>,
    /// What may stand alone.
    letters: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", numbers: "0 to 59", names: &[], suffix: None, letters: &[] },
    Field { name: "hour", numbers: "0 to 23", names: &[], suffix: None, letters: &[] },
    Field {
        name: "day of the month",
        numbers: "1 to 31",
        names: &[],
        suffix: Some('W'),
        letters: &["L", "LW"],
    },
    Field {
        name: "month",
        numbers: "1 to 12",
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
        suffix: None,
        letters: &[],
    },
    Field {
        name: "day of the week",
        numbers: "0 to 7",
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        suffix: Some('L'),
        letters: &[],
    },
];

/// When a pipeline is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Reads a cron expression. What is wrong with it is a mistake of the expression as a whole.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let written = text.trim();
        let expression = if written.starts_with('@') { of_word(written)? } else { written };
        let fields: Vec<&str> = expression.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            let (count, text) = (fields.len(), shortened(written, SHOWN));
            let message = format!("`{text}` has {count} fields, and a schedule has five");
            return Err(Mistake::of_file(message).hint(HINT));
        }
        for (place, (field, text)) in FIELDS.iter().zip(&fields).enumerate() {
            field.check(place, text)?;
        }
        let shown = shortened(written, SHOWN);
        let cron = cron(&fields)
            .map_err(|e| Mistake::of_file(format!("`{shown}` is no schedule: {e}")).hint(HINT))?;
        let schedule = Self { text: written.to_owned(), cron };
        match schedule.next_after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(Mistake::of_file(format!("`{shown}` is never due"))
                .hint("no month that it names has a day that it names")),
        }
    }

    /// The schedule as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it is due next after `instant`, its fields read in UTC.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cron.find_next_occurrence(&instant, false).ok()
    }
}

impl Field {
    /// Whether `text` may stand in this field, which is the one at `place`.
    fn check(&self, place: usize, text: &str) -> Result<(), Mistake> {
        let upper = text.to_ascii_uppercase();
        let mut atoms = upper.split([',', '-', '/', '#']);
        // The parser replaces names wherever they stand, so that `1MON` would be a number.
        let is_right = atoms.all(|atom| self.has(atom)) && {
            let mut alone = ["*"; 5];
            if let Some(probed) = alone.get_mut(place) {
                *probed = &upper;
            }
            cron(&alone).is_ok()
        };
        if is_right {
            return Ok(());
        }
        let message = format!("`{}` is no {} of a schedule", shortened(text, SHOWN), self.name);
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        let hint = format!(
            "write {}{names}, `*`, a list `a,b`, a range `a-b`, or steps `*/n` or `a-b/n`",
            self.numbers
        );
        Err(Mistake::of_file(message).hint(hint))
    }

    /// Whether `atom` is one value of this field.
    fn has(&self, atom: &str) -> bool {
        let value = self.suffix.and_then(|suffix| atom.strip_suffix(suffix)).unwrap_or(atom);
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        atom == "*" || is_number || self.names.contains(&value) || self.letters.contains(&atom)
    }
}

/// The fields that a word stands for.
fn of_word(word: &str) -> Result<&'static str, Mistake> {
    let found = WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
    found.map(|(_, fields)| *fields).ok_or_else(|| {
        let word = shortened(word, SHOWN);
        let hint = did_you_mean(&word, WORDS.iter().map(|(known, _)| *known));
        Mistake { hint, ..Mistake::of_file(format!("there is no schedule called `{word}`")) }
    })
}

fn cron(fields: &[&str]) -> Result<Cron, croner::errors::CronError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(&fields.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(text: &str) -> Vec<String> {
        let schedule = Schedule::parse(text).unwrap();
        let mut instant: DateTime<Utc> = "2026-02-27T22:30:00Z".parse().unwrap();
        let mut times = Vec::new();
        for _ in 0..3 {
            instant = schedule.next_after(instant).unwrap();
            times.push(instant.format("%m-%d %H:%M").to_string());
        }
        times
    }

    #[test]
    fn schedules_are_due_when_cron_says() {
        for (text, times) in [
            ("0 2 * * *", ["02-28 02:00", "03-01 02:00", "03-02 02:00"]),
            ("*/20 23 * * *", ["02-27 23:00", "02-27 23:20", "02-27 23:40"]),
            (" 5,35 8-9 * * mon-fri ", ["03-02 08:05", "03-02 08:35", "03-02 09:05"]),
            ("0 0 29 FEB *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
            ("30 4 1,15 * 5", ["03-01 04:30", "03-06 04:30", "03-13 04:30"]),
            ("0 12 L * *", ["02-28 12:00", "03-31 12:00", "04-30 12:00"]),
            ("0 12 * * MON#1", ["03-02 12:00", "04-06 12:00", "05-04 12:00"]),
            ("0 0 * * 7", ["03-01 00:00", "03-08 00:00", "03-15 00:00"]),
            ("10-50/20 0 * * *", ["02-28 00:10", "02-28 00:30", "02-28 00:50"]),
            ("@daily", ["02-28 00:00", "03-01 00:00", "03-02 00:00"]),
            ("@Midnight", ["02-28 00:00", "03-01 00:00", "03-02 00:00"]),
            ("@hourly", ["02-27 23:00", "02-28 00:00", "02-28 01:00"]),
        ] {
            assert_eq!(due(text), times, "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_told_apart() {
        for (text, message) in [
            ("whenever it rains", "has 3 fields"),
            ("", "has 0 fields"),
            ("0 0 0 * * *", "has 6 fields"),
            ("60 * * * *", "`60` is no minute"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 0 0 * *", "`0` is no day of the month"),
            ("0 0 * 13 *", "`13` is no month"),
            ("0 0 * * 8", "`8` is no day of the week"),
            ("0 0 * JANUARY *", "`JANUARY` is no month"),
            ("MON 0 * * *", "`MON` is no minute"),
            ("0 0 * * 0MON", "`0MON` is no day of the week"),
            ("0 L * * *", "`L` is no hour"),
            ("1,,2 * * * *", "`1,,2` is no minute"),
            ("9-5 * * * *", "`9-5` is no minute"),
            ("*/0 * * * *", "`*/0` is no minute"),
            ("-1 * * * *", "`-1` is no minute"),
            ("1;2 * * * *", "`1;2` is no minute"),
            ("0 0 31 2,4 *", "is never due"),
            ("@dayly", "no schedule called `@dayly`"),
            ("@reboot", "no schedule called `@reboot`"),
        ] {
            let mistake = Schedule::parse(text).unwrap_err();
            assert!(mistake.message.contains(message), "{text}: {}", mistake.message);
            assert!(mistake.hint.is_some(), "{text}");
        }
        assert_eq!(
            Schedule::parse("@dayly").unwrap_err().hint.as_deref(),
            Some("did you mean `@daily`?")
        );
    }
}
