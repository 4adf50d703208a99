//! What the tables about ways must hold: journeys, paths, credits. Worked out from the sessions that count,
//! each by the plainest loop that does it.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};

use crate::chains::{self, Way, removal_effects};
use crate::oracle::{Group, Session, claims, grouped, row, text, word};

const CAMPAIGNS: &str = "SELECT [CAST(session_date AS TEXT), channel, source, medium, campaign, \
    CAST(sum(sessions) AS TEXT), CAST(sum(conversions) AS TEXT), CAST(sum(bounces) AS TEXT)] AS r \
    FROM gold.utm_attribution GROUP BY session_date, channel, source, medium, campaign";
const JOURNEYS: &str = "SELECT [CAST(session_date AS TEXT), user_id, session_id, \
    CAST(session_number AS TEXT), CAST(seconds_since_last AS TEXT), CAST(is_converting AS TEXT), \
    CAST(touches AS TEXT), path] AS r FROM gold.journeys";
const SUMMARY: &str = "SELECT [CAST(session_date AS TEXT), path, CAST(journeys AS TEXT), \
    CAST(conversions AS TEXT)] AS r FROM gold.path_summary";
const PATHS: &str = "SELECT [CAST(conversion_date AS TEXT), user_id, conversion_session_id, \
    CAST(touch_number AS TEXT), CAST(touches AS TEXT), session_id, channel, source, medium, campaign, \
    CAST(first_touch AS TEXT), CAST(last_touch AS TEXT), CAST(last_non_direct AS TEXT), \
    CAST(linear AS TEXT), CAST(position_based AS TEXT), \
    CAST(CAST(floor(CAST(time_decay AS DOUBLE) * 1e6 + 0.3719) AS BIGINT) AS TEXT)] AS r \
    FROM gold.conversion_paths";
/// Models whose weights are no round numbers are compared as far as these are the same whoever computes
/// them: no credit that occurs lies at a boundary of the rounding.
const CREDITS: &str = "SELECT [CAST(conversion_date AS TEXT), model, channel, source, medium, \
    campaign, CASE WHEN model IN ('time_decay', 'markov_per_conversion') \
        THEN CAST(CAST(floor(CAST(credit AS DOUBLE) * 1e5 + 0.3719) AS BIGINT) AS TEXT) \
        ELSE CAST(credit AS TEXT) END] AS r FROM gold.attribution \
    WHERE credit > 0.00001";
const TOTALS: &str = "SELECT [CAST(conversion_date AS TEXT), model, CAST(sum(credit) AS TEXT)] AS r \
    FROM gold.attribution GROUP BY conversion_date, model";

pub(crate) const MODELS: [&str; 7] = [
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "position_based",
    "time_decay",
    "markov_per_conversion",
];
/// A whole credit in its units.
const WHOLE: i64 = 1_000_000_000;

pub(crate) type Expected = (&'static str, &'static str, Vec<String>);

/// Each table, a query for what is compared of it, and the rows that it must give.
pub(crate) fn expected(sessions: &[Session]) -> Vec<Expected> {
    let users = by_user(sessions);
    let journeys: Vec<_> = users.values().flat_map(|own| journeys_of(own)).collect();
    let conversions: Vec<_> = users.values().flat_map(|own| conversions_of(own)).collect();
    let effects = effects(&journeys);
    let mut tables: Vec<Expected> = vec![
        ("gold.utm_attribution by campaign", CAMPAIGNS, campaigns(sessions)),
        ("gold.journeys", JOURNEYS, journeys.iter().map(Journey::row).collect()),
        ("gold.path_summary", SUMMARY, summary(&journeys)),
        ("gold.conversion_paths", PATHS, conversions.iter().flat_map(Conversion::rows).collect()),
        ("gold.attribution", CREDITS, credits(&conversions, &effects)),
        ("gold.attribution in total", TOTALS, totals(&conversions)),
    ];
    tables.extend(chains::expected(&users));
    tables
}

pub(crate) type Users<'a> = BTreeMap<&'a str, Vec<&'a Session>>;

/// Each user's sessions in their order.
pub(crate) fn by_user(sessions: &[Session]) -> Users<'_> {
    let mut users: Users<'_> = BTreeMap::new();
    for session in sessions {
        users.entry(&session.user).or_default().push(session);
    }
    for own in users.values_mut() {
        own.sort_by_key(|session| (session.started_at, session.id.clone()));
    }
    users
}

fn claim(session: &Session, field: &str) -> Option<String> {
    word(&session.record, field).map(|text| text.trim().to_lowercase())
}

/// The source, as the tables show it.
pub(crate) fn source(session: &Session) -> Option<String> {
    let is_direct = channel(session) == "Direct";
    claim(session, "utm_source").or_else(|| is_direct.then(|| "(direct)".to_owned()))
}

fn medium(session: &Session) -> Option<String> {
    let is_direct = channel(session) == "Direct";
    claim(session, "utm_medium").or_else(|| is_direct.then(|| "(none)".to_owned()))
}

fn campaigns(sessions: &[Session]) -> Vec<String> {
    let key = |session: &Session| {
        let campaign = claim(session, "utm_campaign");
        vec![text(session.day), text(channel(session)), source(session), medium(session), campaign]
    };
    grouped(sessions, key, claims)
}

/// The channel of a claim that occurs in the traffic of these tests, told by hand.
pub(crate) fn channel(session: &Session) -> &'static str {
    let (source, medium) = (claim(session, "utm_source"), claim(session, "utm_medium"));
    let has_host = claim(session, "referrer").is_some_and(|text| text.contains('.'));
    match (source.as_deref(), medium.as_deref()) {
        (None, None) => "Direct",
        (Some("instagram"), Some("cpc")) => "Paid Social",
        (Some("google"), Some("cpc")) => "Paid Search",
        (_, Some("cpc")) => "Paid Other",
        // What is said to be an e-mail is one, wherever it is from.
        (_, Some("email")) | (Some("newsletter"), _) => "Email",
        (Some("instagram"), _) => "Organic Social",
        (Some("google"), _) => "Organic Search",
        (None, Some("ad")) if has_host => "Referral",
        (None, Some("ad")) => "Unassigned",
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// The sessions of one user that led up to his `index`-th, this one included.
fn led_up<'a>(own: &[&'a Session], index: usize) -> Vec<&'a Session> {
    let end = own[index].started_at;
    let is_near = |session: &&&Session| session.started_at >= end - TimeDelta::days(30);
    let near: Vec<_> = own[..=index].iter().filter(is_near).copied().collect();
    near[near.len().saturating_sub(50)..].to_vec()
}

struct Journey<'a> {
    session: &'a Session,
    number: usize,
    pause: Option<i64>,
    touches: usize,
    channels: Vec<&'static str>,
}

fn journeys_of<'a>(own: &[&'a Session]) -> Vec<Journey<'a>> {
    let journey = |index: usize| {
        let way = led_up(own, index);
        let mut channels: Vec<_> = way.iter().map(|session| channel(session)).collect();
        channels.dedup();
        let before = index.checked_sub(1).map(|before| own[before].started_at);
        Journey {
            session: own[index],
            number: index + 1,
            pause: before.map(|before| (own[index].started_at - before).num_seconds()),
            touches: way.len(),
            channels,
        }
    };
    (0..own.len()).map(journey).collect()
}

impl Journey<'_> {
    fn row(&self) -> String {
        row(&[
            text(self.session.day),
            text(&self.session.user),
            text(&self.session.id),
            text(self.number),
            self.pause.and_then(text),
            text(self.session.says("conversion")),
            text(self.touches),
            text(self.channels.join(" > ")),
        ])
    }
}

fn summary(journeys: &[Journey<'_>]) -> Vec<String> {
    let mut paths: BTreeMap<(NaiveDate, String), [usize; 2]> = BTreeMap::new();
    for journey in journeys {
        let counts = paths.entry((journey.session.day, journey.channels.join(" > "))).or_default();
        counts[0] += 1;
        counts[1] += usize::from(journey.session.says("conversion"));
    }
    let line = |((day, path), [all, converting]): ((NaiveDate, String), [usize; 2])| {
        row(&[text(day), text(path), text(all), text(converting)])
    };
    paths.into_iter().map(line).collect()
}

struct Conversion<'a> {
    session: &'a Session,
    touches: Vec<&'a Session>,
}

fn conversions_of<'a>(own: &[&'a Session]) -> Vec<Conversion<'a>> {
    let converting = (0..own.len()).filter(|index| own[*index].says("conversion"));
    converting
        .map(|index| Conversion { session: own[index], touches: led_up(own, index) })
        .collect()
}

impl Conversion<'_> {
    /// What each touch gets by the models that need nothing but the path, in units.
    fn credits(&self) -> [Vec<i64>; 6] {
        let count = self.touches.len();
        let only =
            |place: usize| (0..count).map(|touch| if touch == place { WHOLE } else { 0 }).collect();
        let non_direct = self.touches.iter().rposition(|touch| channel(touch) != "Direct");
        let position = match count {
            1 | 2 => equal_parts(WHOLE, count),
            _ => {
                let (outer, inner) = (WHOLE / 5 * 2, equal_parts(WHOLE / 5, count - 2));
                [vec![outer], inner, vec![outer]].concat()
            }
        };
        let decay = |touch: &&Session| {
            let before = self.session.started_at - touch.started_at;
            0.5_f64.powf(before.num_milliseconds() as f64 / (7.0 * 86_400_000.0))
        };
        let weights: Vec<f64> = self.touches.iter().map(decay).collect();
        let last = count - 1;
        [
            only(0),
            only(last),
            only(non_direct.unwrap_or(last)),
            equal_parts(WHOLE, count),
            position,
            in_proportion(&weights),
        ]
    }

    /// What each touch gets by the effects of the day's channels.
    fn markov_per_conversion(&self, effects: &Effects) -> Vec<i64> {
        let of_channel =
            |name: &str| self.touches.iter().filter(|touch| channel(touch) == name).count();
        let weight = |touch: &&Session| {
            let name = channel(touch);
            effects[&(self.session.day, name)] / of_channel(name) as f64
        };
        in_proportion(&self.touches.iter().map(weight).collect::<Vec<_>>())
    }

    fn rows(&self) -> Vec<String> {
        let credits = self.credits();
        let decimal = |units: i64| text(format!("{}.{:09}", units / WHOLE, units % WHOLE));
        let line = |(index, touch): (usize, &&Session)| {
            let [first, last, non_direct, linear, position, decay] =
                credits.each_ref().map(|all| all[index]);
            row(&[
                text(self.session.day),
                text(&self.session.user),
                text(&self.session.id),
                text(index + 1),
                text(self.touches.len()),
                text(&touch.id),
                text(channel(touch)),
                source(touch),
                medium(touch),
                claim(touch, "utm_campaign"),
                decimal(first),
                decimal(last),
                decimal(non_direct),
                decimal(linear),
                decimal(position),
                text((decay as f64 / 1000.0 + 0.3719).floor()),
            ])
        };
        self.touches.iter().enumerate().map(line).collect()
    }
}

/// A whole in equal parts, of which the first get what cannot be divided.
fn equal_parts(whole: i64, count: usize) -> Vec<i64> {
    let count = i64::try_from(count).unwrap();
    (0..count).map(|part| whole / count + i64::from(part < whole % count)).collect()
}

/// A whole in the proportion of `weights`, rounded anyhow: the last digits are not compared.
fn in_proportion(weights: &[f64]) -> Vec<i64> {
    let total: f64 = weights.iter().sum();
    let even = 1.0 / weights.len() as f64;
    let part = |weight: &f64| if total > 0.0 { weight / total } else { even };
    weights.iter().map(|weight| (part(weight) * WHOLE as f64).round() as i64).collect()
}

type Effects = BTreeMap<(NaiveDate, &'static str), f64>;

/// The removal effect of each channel on each day, by the journeys of the day.
fn effects(journeys: &[Journey<'_>]) -> Effects {
    let mut ways: BTreeMap<NaiveDate, Vec<Way>> = BTreeMap::new();
    for journey in journeys {
        let way = (journey.channels.clone(), journey.session.says("conversion"));
        ways.entry(journey.session.day).or_default().push(way);
    }
    let of_day = |(day, ways): (NaiveDate, Vec<Way>)| {
        removal_effects(&ways).into_iter().map(move |(channel, effect)| ((day, channel), effect))
    };
    ways.into_iter().flat_map(of_day).collect()
}

fn credits(conversions: &[Conversion<'_>], effects: &Effects) -> Vec<String> {
    let mut campaigns: BTreeMap<Group, i64> = BTreeMap::new();
    for conversion in conversions {
        let mut of_models = conversion.credits().to_vec();
        of_models.push(conversion.markov_per_conversion(effects));
        for (model, credits) in MODELS.iter().zip(of_models) {
            for (touch, credit) in conversion.touches.iter().zip(credits) {
                let campaign = vec![
                    text(conversion.session.day),
                    text(model),
                    text(channel(touch)),
                    source(touch),
                    medium(touch),
                    claim(touch, "utm_campaign"),
                ];
                *campaigns.entry(campaign).or_default() += credit;
            }
        }
    }
    let line = |(mut group, credit): (Group, i64)| {
        let is_rounded =
            matches!(group[1].as_deref(), Some("time_decay" | "markov_per_conversion"));
        group.push(match is_rounded {
            true => text((credit as f64 / 1e4 + 0.3719).floor()),
            false => text(format!("{}.{:09}", credit / WHOLE, credit % WHOLE)),
        });
        row(&group)
    };
    campaigns.into_iter().filter(|(_, credit)| *credit > 10_000).map(line).collect()
}

/// By every model there is as much as there are conversions.
fn totals(conversions: &[Conversion<'_>]) -> Vec<String> {
    let mut days: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for conversion in conversions {
        *days.entry(conversion.session.day).or_default() += 1;
    }
    let of_day = |(day, count): (NaiveDate, usize)| {
        MODELS.map(|model| row(&[text(day), text(model), text(format!("{count}.000000000"))]))
    };
    days.into_iter().flat_map(of_day).collect()
}
