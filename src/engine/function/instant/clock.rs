//! Times of day, and the zones behind them.

use super::digits;
use super::moment::{Time, Zone};
use super::scanner::{Scanner, fraction};

/// Names that mean one zone wherever they are written, and its hours ahead of UTC. Those of North
/// America are RFC 2822's. No others: `IST` and `BST` are three zones each.
const NAMES: [(&str, i32); 20] = [
    ("Z", 0),
    ("UTC", 0),
    ("UT", 0),
    ("GMT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("HST", -10),
    ("WET", 0),
    ("WEST", 1),
    ("CET", 1),
    ("CEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("MSK", 3),
    ("JST", 9),
];
/// Central time in mail. Java writes it for China.
const IN_MAIL: (&str, i32) = ("CST", -6);
const SIGNS: [char; 2] = ['+', '-'];
/// The farthest that a zone is from UTC.
const FARTHEST: u32 = 18 * 3600;

/// `9:30`, `09:30:00.125`, `09:30:00,125` or `9:30 PM`; also `093000`, and where a time is sure to come,
/// `0930`.
pub(super) fn time(rest: &mut Scanner<'_>, is_sure: bool) -> Option<Time> {
    let hours = rest.digits();
    let (mut time, has_second) = if rest.take(":") {
        let hour = hours.parse().ok().filter(|_| hours.len() < 3)?;
        let minute = rest.two()?;
        let second = if rest.take(":") { Some(rest.two()?) } else { None };
        (Time { hour, minute, second: second.unwrap_or_default(), micros: 0 }, second.is_some())
    } else {
        let is_time = hours.len() == 6 || (is_sure && hours.len() == 4);
        (digits::time(hours, "").filter(|_| is_time)?, hours.len() == 6)
    };
    if has_second {
        time.micros = behind_point(rest)?;
    }
    time.hour = match (half(rest), time.hour) {
        (None, hour) => hour,
        (Some(0), 12) => 0,
        (Some(first), hour @ 1..=11) => first + hour,
        (Some(12), 12) => 12,
        _ => return None,
    };
    Some(time)
}

/// The microseconds of a fraction, 0 if there is none; None for a point with nothing behind.
pub(super) fn behind_point(rest: &mut Scanner<'_>) -> Option<i64> {
    if rest.one_of(&['.', ',']).is_none() {
        return Some(0);
    }
    let digits = rest.digits();
    (!digits.is_empty()).then(|| fraction(digits, 6))
}

/// The hour at which the half of the day begins that `AM`, `pm` or `a.m.` names.
fn half(rest: &mut Scanner<'_>) -> Option<u32> {
    let mut ahead = *rest;
    ahead.blanks();
    let first = ahead.one_of(&['A', 'a', 'P', 'p'])?;
    let has_point = ahead.take(".");
    ahead.one_of(&['M', 'm'])?;
    let mut behind = ahead;
    if behind.take(".") != has_point || !behind.letters().is_empty() {
        return None;
    }
    ahead.take(".");
    *rest = ahead;
    Some(if first.eq_ignore_ascii_case(&'p') { 12 } else { 0 })
}

/// A zone, and the blanks before it.
pub(super) fn zone(rest: &mut Scanner<'_>, is_mail: bool) -> Option<Zone> {
    rest.blanks();
    let mut ahead = *rest;
    let place = ahead.all(|letter| letter.is_ascii_alphanumeric() || "/_+-".contains(letter));
    if place.contains('/') {
        *rest = ahead;
        return place.parse().ok().map(Zone::Place);
    }
    let name = rest.letters();
    if rest.is_at(&SIGNS) && matches!(name, "" | "UTC" | "GMT") {
        return offset(rest).map(Zone::Offset);
    }
    match name {
        "" => Some(Zone::Unsaid),
        _ if is_mail && is_named(name, IN_MAIL.0) => Some(Zone::Named(IN_MAIL.1 * 3600)),
        _ => of_name(name).map(Zone::Named),
    }
}

/// `+02:00`, `+0200` or `+2`, in seconds.
fn offset(rest: &mut Scanner<'_>) -> Option<i32> {
    let is_behind = rest.one_of(&SIGNS)? == '-';
    let digits = rest.digits();
    let (hours, minutes) = match digits.len() {
        1 | 2 if rest.take(":") => (digits.parse::<u32>().ok()?, rest.two()?),
        1 | 2 => (digits.parse().ok()?, 0),
        4 => (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?),
        _ => return None,
    };
    let seconds =
        Some(hours * 3600 + minutes * 60).filter(|seconds| *seconds <= FARTHEST && minutes < 60)?;
    let seconds = i32::try_from(seconds).ok()?;
    Some(if is_behind { -seconds } else { seconds })
}

fn of_name(name: &str) -> Option<i32> {
    let (_, hours) = NAMES.iter().find(|(known, _)| is_named(name, known))?;
    Some(hours * 3600)
}

fn is_named(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// Whether nothing is left behind the zone but its name again, as Java (`[Europe/Berlin]`), JavaScript
/// and mail (`(CEST)`) and Go (`CEST m=+0.01`) write it.
pub(super) fn is_end(rest: &mut Scanner<'_>, zone: Zone) -> bool {
    let is_known = matches!(zone, Zone::Named(_) | Zone::Offset(_));
    let mut is_name = true;
    if is_known && rest.take("[") {
        let is_place = |letter: char| letter.is_ascii_alphanumeric() || "/_+-:".contains(letter);
        is_name = !rest.all(is_place).is_empty() && rest.take("]");
    } else if let Zone::Offset(ahead) = zone
        && rest.blanks()
    {
        is_name = if rest.take("(") {
            !rest.all(|letter| !"()".contains(letter)).is_empty() && rest.take(")")
        } else {
            is_of_go(rest, ahead)
        };
    }
    is_name && rest.is_end()
}

/// Reads what Go adds to an offset: the zone's name or the offset again, and the time since the program
/// began.
fn is_of_go(rest: &mut Scanner<'_>, ahead: i32) -> bool {
    let is_zone = if rest.is_at(&SIGNS) {
        offset(rest) == Some(ahead)
    } else {
        let name = rest.letters();
        let is_like_one = (3..=4).contains(&name.len()) && name.ends_with('T');
        of_name(name).map_or(is_like_one, |other| other == ahead)
    };
    if rest.blanks() {
        let is_time = rest.take("m=") && rest.one_of(&SIGNS).is_some();
        let seconds = rest.all(|letter| letter.is_ascii_digit() || letter == '.');
        return is_zone && is_time && !seconds.is_empty();
    }
    is_zone
}
