//! What to generate: every choice a caller has.
//!
//! Owns the options and their check. Invariant: options that passed the check can be generated;
//! no later step has to refuse them.

use chrono::{Datelike, Days, NaiveDate};
use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// File names carry five digits; more files than this would break the order of the names.
const MOST_FILES: u32 = 100_000;

/// The last year a four-digit time stamp can express.
const LAST_YEAR: i32 = 9999;

/// The first year offered: millisecond time stamps count from its beginning and stay positive.
const FIRST_YEAR: i32 = 1970;

/// What kind of record is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// Visits to a site, each with its list of events
    Sessions,
    /// Single events in four differing shapes
    Clicks,
}

/// How the records of a file are set apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// One object per line
    Ndjson,
    /// One array on one line
    Array,
    /// One array, its objects spread over indented lines
    PrettyArray,
    /// Objects back to back, a line break every hundred
    Concatenated,
    /// The files are ndjson, pretty-array and concatenated in turn
    Mixed,
}

/// How the files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Plain text
    None,
    /// Gzip, names end in .gz
    Gzip,
    /// Zstandard, names end in .zst
    Zstd,
    /// The files are plain, gzip and zstd in turn
    Mixed,
}

/// Everything that decides the bytes of a generated folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What kind of record is generated.
    pub traffic: Traffic,
    /// Number of base records; a dirty output delivers some more.
    pub count: u64,
    /// Number of days the records are spread over, at least 1.
    pub days: u32,
    /// The first day (UTC), from 1970 on.
    pub from: NaiveDate,
    /// Chooses one of 2^64 outputs.
    pub seed: u64,
    /// Number of files the records are dealt over in contiguous runs, 1 to 100,000.
    pub files: u32,
    /// How the records of a file are set apart.
    pub framing: Framing,
    /// How the files are compressed.
    pub compression: Compression,
    /// Whether redelivered, broken, mistyped and otherwise faulty records are mixed in.
    pub dirty: bool,
}

impl Options {
    /// Refuses options no output exists for.
    pub(super) fn check(&self) -> Result<()> {
        if self.files == 0 || self.files > MOST_FILES {
            return Err(Error::new(Kind::Invalid, "the number of files is out of range")
                .at("files", self.files)
                .hint(format!("choose 1 to {MOST_FILES} files")));
        }
        if self.days == 0 {
            return Err(Error::new(Kind::Invalid, "traffic cannot be spread over no days")
                .at("days", self.days)
                .hint("choose at least 1 day"));
        }
        // Sessions of the last day may run over midnight, so one more day must be expressible.
        let after = self.from.checked_add_days(Days::new(u64::from(self.days) + 1));
        let within = after.is_some_and(|day| day.year() <= LAST_YEAR);
        if self.from.year() < FIRST_YEAR || !within {
            return Err(Error::new(Kind::Invalid, "the days of the traffic are out of range")
                .at("from", self.from)
                .at("days", self.days)
                .hint(format!("stay within the years {FIRST_YEAR} to {LAST_YEAR}")));
        }
        Ok(())
    }
}

#[cfg(test)]
impl Options {
    /// Plain options for so many clean sessions in one file, for tests to vary.
    pub(super) fn sample(count: u64) -> Self {
        Self {
            traffic: Traffic::Sessions,
            count,
            days: 10,
            from: NaiveDate::from_ymd_opt(2025, 7, 22).unwrap_or_default(),
            seed: 42,
            files: 1,
            framing: Framing::Ndjson,
            compression: Compression::None,
            dirty: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_options_are_refused() {
        let sample = Options::sample(1);
        assert!(sample.check().is_ok());
        for senseless in [
            Options { files: 0, ..sample },
            Options { files: MOST_FILES + 1, ..sample },
            Options { days: 0, ..sample },
            Options { days: u32::MAX, ..sample },
            Options { from: NaiveDate::MAX, ..sample },
            Options { from: NaiveDate::MIN, ..sample },
        ] {
            assert!(senseless.check().is_err());
        }
    }
}
