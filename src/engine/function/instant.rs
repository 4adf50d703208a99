//! `instant(text)`: the moment that a text names.
//!
//! In: text as in ISO 8601 or RFC 3339, as `2025-07-01T09:30:00.125Z` or `2025-07-01 09:30:00+02:00`;
//! without a zone it is UTC, without a time the beginning of the day, without seconds the beginning of
//! the minute. Or as in mail and HTTP: `Tue, 01 Jul 2025 09:30:00 GMT`. Or the time since 1970 as a
//! number, of which 9 to 11 digits before a point are seconds, 12 to 14 milliseconds, 15 to 17
//! microseconds and 18 or 19 nanoseconds: that is, from 1973 on. Any of these may stand in quotes, as
//! in a JSON value, and a number need not be a text. Out: TIMESTAMP in UTC, in microseconds (what is
//! finer is cut off); NULL for what names none.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

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
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let text = inside.unwrap_or(text).trim();
    let of_iso = || string_to_datetime(&Utc, text).ok().map(|instant| instant.timestamp_micros());
    let of_mail = || Some(DateTime::parse_from_rfc2822(text).ok()?.timestamp_micros());
    let of_minute = || Some(of_minute(text)?.and_utc().timestamp_micros());
    since_1970(text).or_else(of_iso).or_else(of_minute).or_else(of_mail)
}

fn of_minute(text: &str) -> Option<NaiveDateTime> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let form = |form: &str| NaiveDateTime::parse_from_str(text, form).ok();
    form("%Y-%m-%dT%H:%M").or_else(|| form("%Y-%m-%d %H:%M"))
}

/// A number of seconds or shorter units since 1970.
fn since_1970(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || text.ends_with('.') {
        return None;
    }
    // How many digits of the fraction make a microsecond.
    let finer: usize = match whole.len() {
        9..=11 => 6,
        12..=14 => 3,
        15..=17 => 0,
        18..=19 => return Some(whole.parse::<i64>().ok()? / 1000),
        _ => return None,
    };
    let fraction = fraction.get(..finer).unwrap_or(fraction);
    format!("{whole}{fraction:0<finer$}").parse().ok()
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

    /// What the way for all forms says.
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
        }
    }

    #[test]
    fn other_forms_are_read_and_what_is_no_moment_is_null() {
        assert_eq!(instant(Some("2025-07-01T11:30:00+02:00")), reference("2025-07-01T09:30:00Z"));
        assert_eq!(instant(Some("2025-07-01")), reference("2025-07-01T00:00:00Z"));
        assert_eq!(
            instant(Some("2025-07-01T09:30:00.123456789Z")),
            reference("2025-07-01T09:30:00.123456Z")
        );
        for text in [
            "",
            "yesterday",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-07-01T24:00:00Z",
            "2025-07-01T09:60:00Z",
            "2025-07-01T09:30:00.Z",
            "2025-07-01T09:30:00 Z!",
            "2025-07-01T0a:30:00Z",
        ] {
            assert_eq!(instant(Some(text)), reference(text), "{text}");
            assert_eq!(usual(text.as_bytes()), None, "{text}");
        }
        assert_eq!(instant(None), None);
    }

    #[test]
    fn mail_numbers_and_quotes() {
        let moment = reference("2025-07-01T09:30:00Z");
        for text in [
            "Tue, 01 Jul 2025 09:30:00 GMT",
            "Tue, 1 Jul 2025 11:30:00 +0200",
            "1751362200",
            "1751362200.0",
            "1751362200000",
            "1751362200000000",
            "1751362200000000999",
            "\"2025-07-01T09:30:00Z\"",
            "\"1751362200\"",
            " 2025-07-01 09:30:00 ",
            "2025-07-01 09:30",
            "2025-07-01T09:30Z",
        ] {
            assert_eq!(instant(Some(text)), moment, "{text}");
        }
        assert_eq!(instant(Some("1751362200.1234567")), moment.map(|moment| moment + 123_456));
        assert_eq!(instant(Some("1751362200000.5")), moment.map(|moment| moment + 500));
        for text in [
            "0",
            "20250701",
            "-1751362200",
            "1751362200.",
            ".5",
            "\"",
            "\"\"",
            "99999999999999999999",
        ] {
            assert_eq!(instant(Some(text)), None, "{text}");
        }
    }
}
