//! Moments with separators or words: which part is the year, the month and the day is sure, since the
//! year comes first or the month is a word.

use chrono::{Datelike as _, NaiveDate};

use super::clock;
use super::digits;
use super::moment::{MIDNIGHT, Moment, Zone};
use super::scanner::{Scanner, month, number};

/// Microseconds since 1970.
pub(super) fn read(text: &str) -> Option<i64> {
    let mut rest = Scanner::new(text);
    let weekday = rest.weekday();
    let mut ahead = rest;
    let moment = match ahead.digits().len() {
        0 => month_first(&mut rest),
        1 | 2 => day_first(&mut rest, weekday.is_some()),
        _ => year_first(&mut rest),
    }?;
    let is_its = weekday.is_none_or(|weekday| weekday == moment.day.weekday());
    if is_its && clock::is_end(&mut rest, moment.zone) { moment.micros() } else { None }
}

/// `2025-07-01T09:30:00Z`, `20250701T0930`, `2025-W27-2`, `2025-182`, `20250701093000Z`.
fn year_first(rest: &mut Scanner<'_>) -> Option<Moment> {
    let digits = rest.digits();
    let day = match digits.len() {
        4 => within(digits.parse().ok()?, rest)?,
        8 => digits::day(digits)?,
        7 if rest.is_at(&['T', 't']) => of_year(digits.get(..4)?, digits.get(4..)?)?,
        12 | 14 => return without_separators(digits, rest),
        _ => return None,
    };
    if rest.is_end() {
        return Some(Moment { day, time: MIDNIGHT, zone: Zone::Unsaid });
    }
    let is_sure = rest.one_of(&['T', 't']).is_some();
    if !is_sure && !rest.gap() {
        return None;
    }
    let time = clock::time(rest, is_sure)?;
    Some(Moment { day, time, zone: clock::zone(rest, false)? })
}

/// The day behind a year: `-07-01`, `/7/1`, `-Jul-01`, `-W27-2`, `W272`, `-182`.
fn within(year: i32, rest: &mut Scanner<'_>) -> Option<NaiveDate> {
    let separator = rest.one_of(&['-', '/', '.']);
    let is_iso = matches!(separator, None | Some('-'));
    let word = rest.letters();
    let digits = rest.digits();
    if word.eq_ignore_ascii_case("W") && is_iso {
        let (week, day) = match (separator, digits.len()) {
            (Some(_), 2) if rest.take("-") => (digits, rest.digits()),
            (None, 3) => digits.split_at_checked(2)?,
            _ => return None,
        };
        let day = u8::try_from(number(day)?).ok()?.checked_sub(1)?;
        return NaiveDate::from_isoywd_opt(year, number(week)?, day.try_into().ok()?);
    }
    let separator = separator?;
    let month = match (word, digits.len()) {
        ("", 1 | 2) => number(digits)?,
        ("", 3) if is_iso => return NaiveDate::from_yo_opt(year, number(digits)?),
        (_, 0) => month(word)?,
        _ => return None,
    };
    rest.one_of(&[separator])?;
    NaiveDate::from_ymd_opt(year, month, rest.one_or_two()?)
}

fn of_year(year: &str, day: &str) -> Option<NaiveDate> {
    NaiveDate::from_yo_opt(year.parse().ok()?, number(day)?)
}

/// 12 or 14 digits, and the zone that makes a date of them for sure.
fn without_separators(digits: &str, rest: &mut Scanner<'_>) -> Option<Moment> {
    let (day, time) = digits.split_at_checked(8)?;
    let mut time = digits::time(time, "")?;
    if digits.len() == 14 {
        time.micros = clock::behind_point(rest)?;
    }
    let day = digits::day(day)?;
    let zone = clock::zone(rest, false)?;
    let is_sure = (1990..=2100).contains(&day.year()) && !matches!(zone, Zone::Unsaid);
    is_sure.then_some(Moment { day, time, zone })
}

/// `01 Jul 2025 09:30:00 GMT`, `01-Jul-2025`, `01/Jul/2025:09:30:00 +0200`.
///
/// A year of two digits could as well be a day. It counts behind a day of the week, which says whether it
/// is right, and before a zone, since that is how mail was written.
fn day_first(rest: &mut Scanner<'_>, has_weekday: bool) -> Option<Moment> {
    let day = rest.one_or_two()?;
    let separator = rest.one_of(&['-', '/', ' '])?;
    rest.blanks();
    let month = month(rest.letters())?;
    if separator == ' ' {
        rest.take(",");
    }
    rest.one_of(&[separator])?;
    rest.blanks();
    let digits = rest.digits();
    let year = match (digits.len(), digits.parse().ok()?) {
        (2, year @ 0..50) => 2000 + year,
        (2, year) => 1900 + year,
        (4..=6, year) => year,
        _ => return None,
    };
    let mut moment = Moment {
        day: NaiveDate::from_ymd_opt(year, month, day)?,
        time: MIDNIGHT,
        zone: Zone::Unsaid,
    };
    if (separator == '/' && rest.take(":")) || rest.gap() {
        moment.time = clock::time(rest, false)?;
        moment.zone = clock::zone(rest, true)?;
    }
    let is_sure = digits.len() > 2 || has_weekday || !matches!(moment.zone, Zone::Unsaid);
    is_sure.then_some(moment)
}

/// `Jul 1, 2025 9:30 PM`, `Jul 01 2025 09:30:00 GMT+0200`, `Jul  1 09:30:00 UTC 2025`.
fn month_first(rest: &mut Scanner<'_>) -> Option<Moment> {
    let month = month(rest.letters())?;
    rest.take(".");
    if !rest.blanks() {
        return None;
    }
    let day = rest.one_or_two()?;
    if !rest.gap() {
        return None;
    }
    let (mut time, mut zone) = (MIDNIGHT, Zone::Unsaid);
    let mut ahead = *rest;
    let is_year = ahead.digits().len() == 4;
    if !is_year {
        time = clock::time(rest, false)?;
        zone = clock::zone(rest, false)?;
        rest.blanks();
    }
    let year = rest.digits();
    let year = year.parse().ok().filter(|_| year.len() == 4)?;
    if is_year && rest.gap() {
        time = clock::time(rest, false)?;
        zone = clock::zone(rest, false)?;
    } else if !is_year && matches!(zone, Zone::Unsaid) {
        zone = clock::zone(rest, false)?;
    }
    Some(Moment { day: NaiveDate::from_ymd_opt(year, month, day)?, time, zone })
}
