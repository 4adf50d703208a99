//! Thresholds: how much of a source or a model may go wrong before nothing is published.

use std::fmt::{self, Display};
use std::time::Duration;

use super::load::TextFile;
use super::raw::{At, RawThresholds};
use super::resolve::Resolver;

/// What must hold of a source or a model; else a run ends with an error and publishes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// How many records of a batch, or rows of a build, may go to quarantine.
    pub max_quarantined: Option<Limit>,
    /// How many records a batch, or rows a table has at least.
    pub at_least: Option<u64>,
    /// How old the newest file that landed may be.
    pub freshness: Option<Age>,
}

/// The most of something that may be: a number, or a part of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Count(u64),
    /// So many of a million.
    Millionths(u64),
}

/// The longest time, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// The text.
    pub text: String,
    /// What it means.
    pub longest: Duration,
}

const MILLION: u64 = 1_000_000;

impl Limit {
    /// Whether `part` of `all` is not too many.
    pub fn allows(self, part: u64, all: u64) -> bool {
        match self {
            Self::Count(most) => part <= most,
            Self::Millionths(share) => {
                u128::from(part) * u128::from(MILLION) <= u128::from(share) * u128::from(all)
            }
        }
    }

    /// Whether all may be.
    pub fn is_everything(self) -> bool {
        self == Self::Millionths(MILLION)
    }

    /// `10`, `1%` or `0.25%`; None for anything else.
    fn parse(text: &str) -> Option<Self> {
        let Some(share) = text.trim().strip_suffix('%') else {
            return text.trim().parse().ok().map(Self::Count);
        };
        let (whole, fraction) = share.trim().split_once('.').unwrap_or((share.trim(), "0"));
        let are_digits =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !are_digits(whole) || !are_digits(fraction) || fraction.len() > 4 {
            return None;
        }
        let (whole, fraction): (u64, u64) =
            (whole.parse().ok()?, format!("{fraction:0<4}").parse().ok()?);
        let share = whole.checked_mul(MILLION / 100)?.checked_add(fraction)?;
        (share <= MILLION).then_some(Self::Millionths(share))
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::Millionths(share) => {
                let (whole, fraction) = (share / (MILLION / 100), share % (MILLION / 100));
                let text = format!("{whole}.{fraction:04}");
                write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

impl Age {
    /// `90m`, `1h`, `2 days`; None for anything else.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit)?;
        let seconds: u64 = match unit.trim() {
            "s" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 60 * 60,
            "d" | "day" | "days" => 24 * 60 * 60,
            "w" | "week" | "weeks" => 7 * 24 * 60 * 60,
            _ => return None,
        };
        let longest = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
        (!longest.is_zero()).then(|| Self { text: text.to_owned(), longest })
    }
}

impl Resolver {
    /// What `raw` means; what is wrong with it is a problem of `file`.
    pub(super) fn thresholds(&mut self, file: &TextFile, raw: &RawThresholds) -> Thresholds {
        let RawThresholds { max_quarantined, at_least, freshness } = raw;
        let share = "write a part of all as \"1%\", or a number";
        let age = "write a number and s, m, h, d or w, as \"90m\" or \"1h\"";
        Thresholds {
            max_quarantined: self.read(file, max_quarantined.as_ref(), Limit::parse, share),
            at_least: self.read(
                file,
                at_least.as_ref(),
                |text| text.parse().ok(),
                "write a number",
            ),
            freshness: self.read(file, freshness.as_ref(), Age::parse, age),
        }
    }

    fn read<T>(
        &mut self,
        file: &TextFile,
        raw: Option<&At<String>>,
        parse: impl Fn(&str) -> Option<T>,
        hint: &str,
    ) -> Option<T> {
        let raw = raw?;
        let read = parse(&raw.value);
        if read.is_none() {
            let message = format!("`{}` is no threshold", raw.value);
            self.problem_at(&file.path, (raw.line, raw.column), message, Some(hint.to_owned()));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_part_of_all() {
        for (text, shown) in
            [("10", "10"), ("1%", "1%"), (" 0.25 % ", "0.25%"), ("100%", "100%"), ("0%", "0%")]
        {
            assert_eq!(Limit::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "%", "-1", "101%", "1.%", "1.23456%", "a", "1.5"] {
            assert_eq!(Limit::parse(text), None, "{text}");
        }
        let one = Limit::parse("1%").unwrap();
        assert!(one.allows(0, 0) && one.allows(1, 100) && !one.allows(1, 99));
        assert!(Limit::Count(2).allows(2, 2) && !Limit::Count(2).allows(3, 1_000_000));
        assert!(Limit::parse("100%").unwrap().is_everything() && !one.is_everything());
    }

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [("90m", 5400), ("1h", 3600), ("2 days", 172_800), ("1 w", 604_800)]
        {
            assert_eq!(Age::parse(text).unwrap().longest, Duration::from_secs(seconds));
        }
        for text in ["", "1", "h", "0h", "-1h", "1.5h", "1 fortnight"] {
            assert_eq!(Age::parse(text), None, "{text}");
        }
    }
}
