//! Bots are in no table of Gold but those that count them, unless the parameter says otherwise.

use serde_json::{Value, json};

use crate::support::{Bench, CRAWLER, entry, session};

/// How many sessions each table tells of.
const SESSIONS: [&str; 12] = [
    "SELECT sum(sessions) FROM gold.utm_attribution",
    "SELECT sum(sessions) FROM gold.return_visitors",
    "SELECT sum(sessions) FROM gold.page_engagement",
    "SELECT sum(sessions) FROM gold.user_page_engagement",
    "SELECT sum(sessions) FROM gold.session_durations",
    "SELECT sum(sessions) FROM gold.visits_by_dimension WHERE dimension = 'os'",
    "SELECT sum(sessions) FROM gold.reconciliation",
    "SELECT sum(sessions) FROM gold.funnel WHERE step = 1",
    "SELECT sum(sessions) FROM gold.channel_transitions",
    "SELECT sum(journeys) FROM gold.path_summary",
    "SELECT sum(users * frequency) FROM gold.recency_frequency",
    "SELECT count(*) FROM gold.journeys",
];
/// How many clicks.
const CLICKS: [&str; 4] = [
    "SELECT sum(events) FROM gold.click_quality WHERE outcome = 'kept'",
    "SELECT sum(clicks) FROM gold.click_trends",
    "SELECT sum(clicks) FROM gold.clicks_by_dimension WHERE dimension = 'page'",
    "SELECT sum(clicks) FROM gold.session_stats",
];

/// Sessions of which those with a number in `bots` are a crawler's.
fn sessions(numbers: std::ops::Range<u64>, bots: &[u64]) -> String {
    let one = |number: u64| {
        let mut session = session(number);
        if bots.contains(&number) {
            session["user_agent"] = json!(CRAWLER);
        }
        format!("{session}\n")
    };
    numbers.map(one).collect()
}

fn click(number: u64, agent: Option<&str>) -> String {
    let click = json!({"user_id": format!("u-{}", number % 3), "page": "home", "user_agent": agent,
        "timestamp": format!("2025-07-0{}T10:{:02}:00Z", 1 + number % 2, number)});
    format!("{click}\n")
}

#[track_caller]
fn all_tell(bench: &Bench, queries: &[&str], count: u64) {
    for query in queries {
        assert_eq!(bench.value(query), count, "{query}");
    }
}

/// What a run did with the table that counts bots.
fn strategy(report: &Value, table: &str) -> Value {
    entry(report, table)["strategy"].clone()
}

#[test]
fn sessions_of_bots_are_left_out_unless_the_parameter_says_otherwise() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..20, &[3, 8, 13]));
    bench.run();
    let bots = "SELECT sum(sessions) FROM gold.bot_sessions";
    all_tell(&bench, &SESSIONS, 17);
    assert_eq!(bench.value(bots), 3);
    // s-8 was a person's after all, and s-9 is not.
    bench.land("b.json", sessions(8..10, &[9]) + &sessions(20..22, &[21]));
    bench.run();
    all_tell(&bench, &SESSIONS, 18);
    assert_eq!(bench.value(bots), 4);
    bench.command(&["verify"]).ok();
    bench.edit("pipelines/web_traffic.toml", "count_bots = false", "count_bots = true");
    let report = bench.run();
    all_tell(&bench, &SESSIONS, 22);
    assert_eq!(bench.value(bots), 4);
    assert_eq!(strategy(&report, "gold.bot_sessions"), "none");
    bench.command(&["verify"]).ok();
}

#[test]
fn clicks_of_bots_are_left_out_unless_the_parameter_says_otherwise() {
    let bench = Bench::of_clicks();
    let agent = |number: u64| number.is_multiple_of(4).then_some(CRAWLER);
    let clicks = (0..20).map(|number| click(number, agent(number))).collect::<String>();
    bench.land("a.json", clicks);
    bench.run();
    let bots = "SELECT sum(clicks) FROM gold.bot_clicks";
    all_tell(&bench, &CLICKS, 15);
    assert_eq!(bench.value(bots), 5);
    let events = "SELECT sum(events) FROM gold.click_quality";
    assert_eq!(bench.value(events), 20);
    bench.edit("pipelines/clicks.toml", "count_bots = false", "count_bots = true");
    let report = bench.run();
    all_tell(&bench, &CLICKS, 20);
    assert_eq!(bench.value(bots), 5);
    assert_eq!(bench.value(events), 20);
    assert_eq!(strategy(&report, "gold.bot_clicks"), "none");
    bench.command(&["verify"]).ok();
}
