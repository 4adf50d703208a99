//! What Markov chains must give: all ways of a period at once, walked step by step.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate};

use crate::oracle::{row, text};
use crate::visits::week;
use crate::ways::{Expected, Users, channel};

/// Whether credits are in the proportion of the effects is asked of the table itself: of a credit no digit is
/// the same whoever rounds it.
const EFFECTS: &str = "SELECT [period, CAST(starts_on AS TEXT), channel, \
    CAST(CAST(floor(removal_effect * 1e6 + 0.3719) AS BIGINT) AS TEXT), \
    CAST(abs(CAST(credit AS DOUBLE) * sum(removal_effect) OVER (PARTITION BY period, starts_on) \
        - removal_effect * CAST(sum(credit) OVER (PARTITION BY period, starts_on) AS DOUBLE)) < 1e-5 \
        AS TEXT)] AS r FROM gold.markov_attribution";
const TOTALS: &str = "SELECT [period, CAST(starts_on AS TEXT), CAST(sum(credit) AS TEXT)] AS r \
    FROM gold.markov_attribution GROUP BY period, starts_on";

/// The first day of the period that a day belongs to.
type Start = fn(NaiveDate) -> Option<NaiveDate>;

const PERIODS: [(&str, Start); 4] = [
    ("day", Some),
    ("week", |day| Some(week(day))),
    ("month", |day| day.with_day(1)),
    ("all", |_| None),
];

/// The channels that somebody came by, and whether he converted in the end.
pub(crate) type Way = (Vec<&'static str>, bool);

/// Each table, a query for what is compared of it, and the rows that it must give.
pub(crate) fn expected(users: &Users<'_>) -> Vec<Expected> {
    let (mut effects, mut totals) = (Vec::new(), Vec::new());
    for ((name, start), ways) in ways(users) {
        for (channel, effect) in removal_effects(&ways) {
            effects.push(row(&[
                text(name),
                start.and_then(text),
                text(channel),
                text((effect * 1e6 + 0.3719).floor()),
                text(true),
            ]));
        }
        let conversions = ways.iter().filter(|(_, converts)| *converts).count();
        let total = text(format!("{conversions}.000000000"));
        totals.push(row(&[text(name), start.and_then(text), total]));
    }
    vec![
        ("gold.markov_attribution", EFFECTS, effects),
        ("gold.markov_attribution in total", TOTALS, totals),
    ]
}

/// The ways of each period. Each session is on one of them, and a conversion ends it.
fn ways(users: &Users<'_>) -> BTreeMap<(&'static str, Option<NaiveDate>), Vec<Way>> {
    let mut ways: BTreeMap<_, Vec<Way>> = BTreeMap::new();
    for own in users.values() {
        for (name, start) in PERIODS {
            let mut channels = Vec::new();
            for (index, session) in own.iter().enumerate() {
                let period = start(session.day);
                channels.push(channel(session));
                let is_last = own.get(index + 1).is_none_or(|next| start(next.day) != period);
                if session.says("conversion") || is_last {
                    let way = (std::mem::take(&mut channels), session.says("conversion"));
                    ways.entry((name, period)).or_default().push(way);
                }
            }
        }
    }
    ways
}

/// The removal effect of each channel, by walking all ways step by step until nearly nobody is on his way
/// any more.
pub(crate) fn removal_effects(ways: &[Way]) -> BTreeMap<&'static str, f64> {
    let channels: BTreeSet<_> = ways.iter().flat_map(|(channels, _)| channels.clone()).collect();
    let whole = reached(ways, None);
    let effect = |channel: &'static str| {
        let without = reached(ways, Some(channel));
        (channel, if whole > 0.0 { 1.0 - without / whole } else { 0.0 })
    };
    channels.into_iter().map(effect).collect()
}

/// The part of all that set out which ends in a conversion.
fn reached(ways: &[Way], without: Option<&str>) -> f64 {
    let mut steps: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for (channels, converts) in ways {
        let end = if *converts { "conversion" } else { "nothing" };
        let places = [&["start"], channels.as_slice(), &[end]].concat();
        for step in places.windows(2) {
            *steps.entry((step[0], step[1])).or_default() += 1.0;
        }
    }
    let mut leaving: BTreeMap<&str, f64> = BTreeMap::new();
    for ((from, _), count) in &steps {
        *leaving.entry(from).or_default() += count;
    }
    let mut there = BTreeMap::from([("start", 1.0)]);
    let mut arrived = 0.0;
    while there.values().sum::<f64>() > 1e-13 {
        let mut next: BTreeMap<&str, f64> = BTreeMap::new();
        for ((from, to), count) in &steps {
            let moving = there.get(from).copied().unwrap_or(0.0) * count / leaving[from];
            match *to {
                "conversion" => arrived += moving,
                to if to == "nothing" || Some(to) == without => {}
                to => *next.entry(to).or_default() += moving,
            }
        }
        there = next;
    }
    arrived
}
