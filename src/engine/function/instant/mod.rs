//! `instant(text)`: the moment that a text or a number names.
//!
//! Out: TIMESTAMP in UTC, in microseconds (what is finer is cut off), or NULL: for what names no moment,
//! and for what may name two. In, each also in quotes or brackets:
//!
//! - ISO 8601 and what is near it, with the year first: `2025-07-01T09:30:00.125Z`, `2025-07-01 09:30`,
//!   `2025/07/01 09:30:00`, `20250701T093000+0200`, `2025-W27-2`, `2025-182`, `20250701093000Z`;
//! - with a month in words, as in mail, cookies, logs and what programs print: `Tue, 01 Jul 2025 09:30:00
//!   GMT`, `Tuesday, 01-Jul-25 09:30:00 GMT`, `01/Jul/2025:09:30:00 +0200`, `Tue Jul  1 09:30:00 UTC 2025`,
//!   `Tue Jul 01 2025 09:30:00 GMT+0200 (Central European Summer Time)`, `July 1, 2025 at 9:30 PM`;
//! - digits alone: a time since 1970 or a date, see [`digits`].
//!
//! Without a time it is the beginning of the day, without a zone UTC. A zone is an offset, a place with
//! its region (`Europe/Berlin`), or a name that means one zone everywhere (see [`clock`]). A day of the
//! week must be that of the date. NULL, since they may mean two moments: days and months that are both
//! numbers before the year (`01/02/2025`), years of two digits (but see [`forms`]), `IST` and other names
//! that several zones have, and what a change of clocks repeats.

mod clock;
mod digits;
mod forms;
mod moment;
mod scanner;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::NaiveDate;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Longer texts name no moment.
const LONGEST: usize = 128;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Instant {
    signature: Signature,
}

impl Instant {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Instant {
    fn name(&self) -> &str {
        "instant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(time())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [texts] = arrays.as_slice() else { return exec_err!("instant takes a text") };
        let instants: TimestampMicrosecondArray = match texts.data_type() {
            DataType::Utf8View => texts.as_string_view().iter().map(instant).collect(),
            DataType::Utf8 => texts.as_string::<i32>().iter().map(instant).collect(),
            _ => cast(texts, &DataType::Utf8View)?.as_string_view().iter().map(instant).collect(),
        };
        Ok(ColumnarValue::Array(Arc::new(instants.with_timezone("UTC")) as ArrayRef))
    }
}

/// The type of an instant: microseconds, in UTC.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Microseconds since 1970.
pub(crate) fn instant(text: Option<&str>) -> Option<i64> {
    let text = text?;
    usual(text.as_bytes()).or_else(|| any(text))
}

/// The same for all forms.
fn any(text: &str) -> Option<i64> {
    if text.len() > LONGEST {
        return None;
    }
    let text = within(text);
    let plain = if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(plain(text)) };
    let text: &str = &plain;
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(behind) {
        return forms::read(text);
    }
    if text.ends_with('.') { None } else { digits::read(whole, behind) }
}

/// The text without the blanks, quotes and brackets around it.
fn within(text: &str) -> &str {
    [('"', '"'), ('\'', '\''), ('[', ']')].into_iter().fold(text.trim(), |text, (open, close)| {
        let within = text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
        within.map_or(text, str::trim)
    })
}

/// The text with plain blanks and hyphens for what typesetting has for them.
fn plain(text: &str) -> String {
    let plain = |letter| match letter {
        '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' => ' ',
        '\u{2212}' => '-',
        _ => letter,
    };
    text.chars().map(plain).collect()
}

/// The same for the form that nearly all texts have: `2025-07-01T09:30:00Z`, with up to six digits of
/// a fraction.
fn usual(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_at_checked(19)?;
    let is_cut = |place: usize, by: &[u8]| head.get(place).is_some_and(|byte| by.contains(byte));
    if !(is_cut(4, b"-")
        && is_cut(7, b"-")
        && is_cut(10, b"T ")
        && is_cut(13, b":")
        && is_cut(16, b":"))
    {
        return None;
    }
    let at = |start: usize, end: usize| number(head.get(start..end)?);
    let day = NaiveDate::from_ymd_opt(i32::try_from(at(0, 4)?).ok()?, at(5, 7)?, at(8, 10)?)?;
    let second = day.and_hms_opt(at(11, 13)?, at(14, 16)?, at(17, 19)?)?.and_utc().timestamp();
    let fraction = match rest.strip_suffix(b"Z").unwrap_or(rest) {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            let scale = 10u32.pow(u32::try_from(6 - digits.len()).ok()?);
            i64::from(number(digits)? * scale)
        }
        _ => return None,
    };
    Some(second * 1_000_000 + fraction)
}

/// The number that at most nine digits are.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use arrow::compute::kernels::cast_utils::string_to_datetime;
    use chrono::Utc;

    /// What arrow makes of the text.
    fn reference(text: &str) -> Option<i64> {
        string_to_datetime(&Utc, text).ok().map(|instant| instant.timestamp_micros())
    }

    #[test]
    fn the_usual_form_means_what_it_means_elsewhere() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2025-07-01T09:30:00Z",
            "2024-02-29 23:59:59",
            "2025-07-01T09:30:00.1Z",
            "2025-07-01T09:30:00.125",
            "2025-07-01T09:30:00.123456Z",
            "1969-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert!(usual(text.as_bytes()).is_some(), "{text}");
            assert_eq!(usual(text.as_bytes()), reference(text), "{text}");
            assert_eq!(any(text), reference(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_usual_is_left_to_the_other_forms() {
        for text in [
            "",
            "yesterday",
            "2025-02-29T00:00:00Z",
            "2025-07-01T24:00:00Z",
            "2025-07-01T09:60:00Z",
            "2025-07-01T09:30:00.Z",
            "2025-07-01T09:30:00.1234567Z",
            "2025-07-01T09:30:00 Z!",
            "2025-07-01T0a:30:00Z",
        ] {
            assert_eq!(usual(text.as_bytes()), None, "{text}");
        }
        assert_eq!(instant(None), None);
    }

    #[test]
    fn no_text_is_cut_within_a_letter() {
        for text in
            ["1 März 2025", "2025–07–01", "Tue Jul ä 2025", "٢٠٢٥-٠٧-٠١", "１７５１３６２２００"]
        {
            assert_eq!(instant(Some(text)), None, "{text}");
        }
        assert_eq!(instant(Some(&"2025-07-01 ".repeat(100))), None);
    }
}
