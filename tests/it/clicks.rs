//! Clicks in four shapes, late, repeated and wrong, over several runs, against plain loops over what
//! was delivered.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::differences::differences;
use crate::oracle::{Group, row, text};
use crate::support::{Bench, CRAWLER, entry};

/// The tables that are filled from clicks by SQL.
const MODELS: [&str; 12] = [
    "silver.click_events",
    "silver.clicks",
    "silver.click_sessions",
    "gold.bot_clicks",
    "gold.click_quality",
    "gold.click_trends",
    "gold.clicks_by_dimension",
    "gold.top_urls",
    "gold.top_elements",
    "gold.clicks_by_location",
    "gold.clicks_by_device",
    "gold.session_stats",
];

const SESSIONS: &str = "SELECT [user_id, CAST(session_number AS TEXT), CAST(started_at AS TEXT), \
    CAST(ended_at AS TEXT), CAST(clicks AS TEXT), CAST(pages AS TEXT), \
    CAST(CAST(duration_seconds AS BIGINT) AS TEXT), CAST(session_date AS TEXT), \
    CAST(is_bot AS TEXT)] AS r \
    FROM silver.click_sessions";
const QUALITY: &str = "SELECT [CAST(click_date AS TEXT), outcome, CAST(events AS TEXT)] AS r \
    FROM gold.click_quality";
const BOTS: &str = "SELECT [CAST(click_date AS TEXT), CAST(clicks AS TEXT), CAST(users AS TEXT)] AS r \
    FROM gold.bot_clicks WHERE bot_reason IS NOT NULL";
const TRENDS: &str = "SELECT [CAST(click_date AS TEXT), CAST(hour AS TEXT), CAST(clicks AS TEXT), \
    CAST(users AS TEXT)] AS r FROM gold.click_trends";
const URLS: &str = "SELECT [CAST(click_date AS TEXT), host, page, CAST(clicks AS TEXT), \
    CAST(users AS TEXT), CAST(rank AS TEXT)] AS r FROM gold.top_urls";
const STATS: &str = "SELECT [user_id, CAST(sessions AS TEXT), CAST(clicks AS TEXT), \
    CAST(CAST(round(avg_session_seconds * 1000) AS BIGINT) AS TEXT)] AS r FROM gold.session_stats";

/// A click as it is told, and what is to be made of it.
#[derive(Clone)]
struct Click {
    line: String,
    at: DateTime<Utc>,
    user: Option<String>,
    host: Option<&'static str>,
    page: Option<String>,
    problem: Option<&'static str>,
    is_bot: bool,
}

struct Clicks(ChaCha8Rng);

impl Clicks {
    /// A click of one of three days, at a full five minutes: so gaps are often exactly thirty.
    fn next(&mut self, number: usize) -> Click {
        let first: DateTime<Utc> = "2025-07-01T00:00:00Z".parse().unwrap();
        let at = first + TimeDelta::minutes(5 * self.0.random_range(0..3 * 24 * 12));
        let user = format!("u-{}", self.0.random_range(0..5));
        let page = *["home", "cart", "help"].choose(&mut self.0).unwrap();
        let stamp = self.stamp(at);
        let mut click = Click {
            line: String::new(),
            at,
            user: Some(user.clone()),
            host: None,
            page: None,
            problem: None,
            is_bot: false,
        };
        let mut record = match self.0.random_range(0..10) {
            0 => {
                click.user = None;
                json!({"timestamp": stamp, "elementTag": "button", "elementId": format!("button{number}"), "elementText": "Go"})
            }
            1 => {
                click.user = None;
                (click.host, click.page) = (Some("www.shop.example"), Some(format!("/{page}")));
                json!({"id": format!("id-{number}"), "button": "Amazon", "timestamp": stamp,
                    "pageUrl": format!("https://www.shop.example/{page}?x={number}"),
                    "device": {"type": "mobile", "platform": "iPhone", "browser": "Safari"},
                    "location": {"city": "Pune", "country": "India"}})
            }
            2 | 3 => {
                click.page = Some(format!("/{page}"));
                json!({"user_id": user, "page": page, "duration": number, "timestamp": stamp})
            }
            4 => {
                click.problem = Some("negative duration");
                json!({"user_id": user, "page": page, "duration": -1.5, "timestamp": stamp, "n": number})
            }
            5 => {
                click.problem = Some("no such address");
                json!({"user_id": user, "url": format!("shop/{number}"), "timestamp": stamp})
            }
            _ => {
                (click.host, click.page) = (Some("shop.example"), Some(format!("/p/{page}")));
                json!({"user_id": user, "url": format!("https://SHOP.example/p/{page}?n={number}"), "timestamp": stamp})
            }
        };
        // Every seventh click is a crawler's, on behalf of whichever user.
        if number.is_multiple_of(7) {
            click.is_bot = true;
            record["user_agent"] = json!(CRAWLER);
        }
        click.line = record.to_string();
        click
    }

    /// An instant in one of the ways in which it comes.
    fn stamp(&mut self, at: DateTime<Utc>) -> Value {
        match self.0.random_range(0..5) {
            0 => json!(at.timestamp_millis()),
            1 => json!(at.timestamp()),
            2 => json!(at.timestamp_millis().to_string()),
            3 => json!(at.format("%Y-%m-%d %H:%M:%S").to_string()),
            _ => json!(at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        }
    }
}

/// One row per group: the group and what its clicks come to.
fn grouped<'a>(
    clicks: impl IntoIterator<Item = &'a Click>,
    key: impl Fn(&Click) -> Group,
    values: impl Fn(&[&Click]) -> Group,
) -> Vec<Group> {
    let mut groups: BTreeMap<Group, Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        groups.entry(key(click)).or_default().push(click);
    }
    groups.iter().map(|(group, clicks)| [group.clone(), values(clicks)].concat()).collect()
}

fn clicks_and_users(clicks: &[&Click]) -> Group {
    let users: BTreeSet<_> = clicks.iter().filter_map(|click| click.user.as_ref()).collect();
    vec![text(clicks.len()), text(users.len())]
}

fn day(click: &Click) -> Option<String> {
    text(click.at.date_naive())
}

/// With the place of each row among those of its day, by the number at `place`.
fn ranked(rows: &[Group], place: usize) -> Vec<Group> {
    let count = |row: &Group| row[place].as_deref().unwrap().parse::<u64>().unwrap();
    let before = |row: &Group| {
        rows.iter().filter(|other| other[0] == row[0] && count(other) > count(row)).count()
    };
    rows.iter().map(|row| [row.clone(), vec![text(before(row) + 1)]].concat()).collect()
}

/// Each user's sessions, those of bots by themselves: user, number, and the clicks.
fn sessions(clicks: &[Click]) -> Vec<(String, usize, Vec<&Click>)> {
    let mut users: BTreeMap<(&String, bool), Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        if let Some(user) = &click.user {
            users.entry((user, click.is_bot)).or_default().push(click);
        }
    }
    let mut sessions = Vec::new();
    for ((user, _), mut own) in users {
        own.sort_by_key(|click| click.at);
        let mut of_user: Vec<Vec<&Click>> = Vec::new();
        for click in own {
            match of_user.last_mut() {
                Some(session)
                    if click.at - session.last().unwrap().at < TimeDelta::minutes(30)
                        && click.at - session[0].at <= TimeDelta::hours(24) =>
                {
                    session.push(click);
                }
                _ => of_user.push(vec![click]),
            }
        }
        let numbered = of_user.into_iter().enumerate();
        sessions.extend(numbered.map(|(index, clicks)| (user.clone(), index + 1, clicks)));
    }
    sessions
}

fn seconds(session: &[&Click]) -> i64 {
    (session.last().unwrap().at - session[0].at).num_seconds()
}

/// A query for each table, and the rows that it must give.
fn expected(delivered: &[Click]) -> Vec<(&'static str, Vec<Group>)> {
    let mut deliveries: BTreeMap<&str, (&Click, usize)> = BTreeMap::new();
    for click in delivered {
        deliveries.entry(&click.line).or_insert((click, 0)).1 += 1;
    }
    let mut quality: BTreeMap<(Option<String>, &str), usize> = BTreeMap::new();
    for (click, count) in deliveries.values() {
        match click.problem {
            Some(problem) => *quality.entry((day(click), problem)).or_default() += count,
            None => {
                let outcome = if click.is_bot { "bot" } else { "kept" };
                *quality.entry((day(click), outcome)).or_default() += 1;
                *quality.entry((day(click), "duplicate")).or_default() += count - 1;
            }
        }
    }
    let quality = quality.into_iter().filter(|(_, count)| *count > 0);
    let kept = deliveries.values().map(|(click, _)| (*click).clone());
    let kept: Vec<Click> = kept.filter(|click| click.problem.is_none()).collect();
    let all = sessions(&kept);
    let mut of_user: BTreeMap<&str, Vec<&[&Click]>> = BTreeMap::new();
    for (user, _, clicks) in all.iter().filter(|(_, _, clicks)| !clicks[0].is_bot) {
        of_user.entry(user).or_default().push(clicks);
    }
    let (bots, people): (Vec<&Click>, Vec<&Click>) = kept.iter().partition(|click| click.is_bot);
    let shown = |at: DateTime<Utc>| text(at.format("%Y-%m-%dT%H:%M:%SZ"));
    let session = |(user, number, clicks): &(String, usize, Vec<&Click>)| {
        let pages: BTreeSet<_> = clicks.iter().filter_map(|click| click.page.as_ref()).collect();
        let (first, last) = (clicks[0], clicks.last().unwrap());
        vec![
            text(user),
            text(number),
            shown(first.at),
            shown(last.at),
            text(clicks.len()),
            text(pages.len()),
            text(seconds(clicks)),
            day(first),
            text(first.is_bot),
        ]
    };
    let stats = |(user, sessions): (&str, Vec<&[&Click]>)| {
        let clicks: usize = sessions.iter().map(|session| session.len()).sum();
        let time: i64 = sessions.iter().map(|session| seconds(session)).sum();
        let average = (time as f64 / sessions.len() as f64 * 1000.0).round();
        vec![text(user), text(sessions.len()), text(clicks), text(average)]
    };
    let page = |click: &Click| vec![day(click), click.host.and_then(text), click.page.clone()];
    let with_page = people.iter().copied().filter(|click| click.page.is_some());
    let hour = |click: &Click| vec![day(click), text(click.at.hour())];
    vec![
        (
            QUALITY,
            quality.map(|((day, outcome), count)| vec![day, text(outcome), text(count)]).collect(),
        ),
        (SESSIONS, all.iter().map(session).collect()),
        (BOTS, grouped(bots, |click| vec![day(click)], clicks_and_users)),
        (TRENDS, grouped(people.iter().copied(), hour, clicks_and_users)),
        (URLS, ranked(&grouped(with_page, page, clicks_and_users), 3)),
        (STATS, of_user.into_iter().map(stats).collect()),
    ]
}

#[test]
fn clicks_that_come_late_and_twice_are_as_if_they_had_come_at_once() {
    for seed in 0..2 {
        let bench = Bench::of_clicks();
        let mut clicks = Clicks(ChaCha8Rng::seed_from_u64(seed));
        let mut lines: Vec<Click> = (0..150).map(|number| clicks.next(number)).collect();
        let again: Vec<Click> = lines.choose_multiple(&mut clicks.0, 30).cloned().collect();
        lines.extend(again);
        lines.shuffle(&mut clicks.0);
        let mut landed: Vec<Click> = Vec::new();
        for (run, part) in lines.chunks(lines.len().div_ceil(5)).enumerate() {
            let content: Vec<_> = part.iter().map(|click| click.line.as_str()).collect();
            bench.land(&format!("{run}.json"), content.join("\n"));
            landed.extend_from_slice(part);
            let report = bench.run();
            for table in MODELS {
                let done = entry(&report, table);
                let is_small = done["reason"].as_str().unwrap().ends_with("everything once");
                let is_full = done["strategy"] == "full" && !is_small;
                assert_eq!(is_full, run == 0, "{table}: {}", done["reason"]);
            }
        }
        for (query, rows) in expected(&landed) {
            let mut found: Vec<String> =
                bench.query(query).iter().map(|row| row["r"].to_string()).collect();
            let mut wanted: Vec<String> = rows.iter().map(|group| row(group)).collect();
            found.sort();
            wanted.sort();
            let wrong = differences(query, &wanted, &found);
            assert!(wrong.is_empty(), "seed {seed}: {}", wrong.join("\n"));
        }
        bench.command(&["verify"]).ok();
    }
}

#[test]
fn generated_clicks_of_all_shapes_land_in_one_table() {
    let bench = Bench::of_clicks();
    let landing = bench.landing();
    let landing = landing.to_str().unwrap();
    bench.command(&["generate", "clicks", landing, "--count", "3000", "--dirty"]).ok();
    let truth = std::fs::read_to_string(bench.landing().join("_truth.json")).unwrap();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    let report = bench.run();
    let bronze = entry(&report, "bronze.clicks");
    assert_eq!(bronze["rows_landed"], truth["landed"]);
    assert_eq!(bronze["records_quarantined"], truth["quarantined"]);
    let shapes =
        bench.query("SELECT shape, count(*) AS n FROM silver.clicks GROUP BY shape ORDER BY shape");
    let names: Vec<_> = shapes.iter().map(|row| row["shape"].as_str().unwrap()).collect();
    assert_eq!(names, ["collector", "recorder", "stream", "visit"]);
    let untimed = "SELECT count(*) FROM silver.click_events WHERE clicked_at IS NULL AND problem <> 'no time'";
    assert_eq!(bench.value(untimed), 0);
    // Numbers of milliseconds are as good as texts.
    let numeric = "SELECT count(*) FROM bronze.clicks b WHERE b.timestamp NOT LIKE '\"%'";
    assert!(bench.value(numeric).as_u64() > Some(100));
    assert_eq!(
        bench.value("SELECT sum(events) FROM gold.click_quality"),
        truth["landed"],
        "each record has one outcome"
    );
}
