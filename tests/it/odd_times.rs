//! Times that cannot be true: whoever tells them, all else is as if they had not been told.

use serde_json::{Value, json};

use crate::support::{Bench, MODELS, entry, session};

/// A session with nothing odd but its time.
fn session_at(time: &str) -> Value {
    let mut odd = session(1);
    odd["session_id"] = json!(format!("odd-{time}"));
    odd["timestamp"] = json!(time);
    odd
}

fn lines(records: impl IntoIterator<Item = Value>) -> String {
    records.into_iter().map(|record| record.to_string() + "\n").collect()
}

/// What is made of sessions of two weeks, by themselves.
fn undisturbed() -> Bench {
    let bench = Bench::new();
    bench.land("a.json", lines(two_weeks()));
    bench.run();
    bench
}

/// Seven users come in the first week of July 2025, and one of them again in the third.
fn two_weeks() -> Vec<Value> {
    let mut sessions: Vec<Value> = (0..20).map(session).collect();
    let mut late = session(3);
    late["session_id"] = json!("late");
    late["timestamp"] = json!("2025-07-15T10:00:00Z");
    sessions.push(late);
    sessions
}

/// Which rule rejected which sessions.
fn rejected(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench
        .query("SELECT rule, record_text FROM ops.quarantine WHERE table_name = 'silver.sessions'");
    let of_row = |row: &Value| {
        let record: Value = serde_json::from_str(row["record_text"].as_str().unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&row["rule"]), text(&record["session_id"]))
    };
    let mut all: Vec<_> = rows.iter().map(of_row).collect();
    all.sort();
    all
}

#[track_caller]
fn check_undisturbed(bench: &Bench) {
    let undisturbed = undisturbed();
    for table in MODELS {
        assert_eq!(bench.content(table), undisturbed.content(table), "{table}");
    }
    bench.command(&["verify"]).ok();
}

#[test]
fn a_session_of_the_first_day_there_is_goes_to_quarantine_and_nothing_stops() {
    let bench = Bench::new();
    bench.land("a.json", lines(two_weeks()));
    bench.land("b.json", lines([session_at("0001-01-01T00:00:00Z")]));
    assert_eq!(bench.run()["epoch"], 1);
    let again = bench.run();
    for table in MODELS {
        assert_eq!(entry(&again, table)["strategy"], "none", "{table}");
    }
    assert!(bench.value("SELECT count(*) FROM ops.epochs").as_u64() > Some(0));
    let odd = ("starts_no_earlier".to_owned(), "odd-0001-01-01T00:00:00Z".to_owned());
    assert_eq!(rejected(&bench), [odd]);
    let reason = "SELECT reason FROM ops.quarantine WHERE rule = 'starts_no_earlier'";
    assert_eq!(bench.value(reason), "not true: session_date >= DATE '1995-01-01'");
    check_undisturbed(&bench);
}

#[test]
fn a_session_in_the_future_goes_to_quarantine_and_moves_no_week() {
    let bench = Bench::new();
    bench.land("a.json", lines(two_weeks()));
    bench.land("b.json", lines([session_at("2200-01-01T00:00:00Z")]));
    bench.run();
    let odd = ("starts_no_later".to_owned(), "odd-2200-01-01T00:00:00Z".to_owned());
    assert_eq!(rejected(&bench), [odd]);
    let cohorts = "SELECT week, active_visitors FROM gold.visitor_cohorts ORDER BY week";
    let week = |day: &str, active: Value| json!({"week": day, "active_visitors": active});
    assert_eq!(
        bench.query(cohorts),
        [
            week("2025-06-30", json!(7)),
            week("2025-07-07", json!(0)),
            week("2025-07-14", Value::Null)
        ]
    );
    check_undisturbed(&bench);
}

#[test]
fn odd_times_that_come_later_are_taken_out_as_well_and_corrections_come_in() {
    let bench = Bench::new();
    bench.land("a.json", lines(two_weeks()));
    bench.run();
    let too_early = ["0001-01-01", "1677-09-20T23:59:59Z", "1994-12-31T23:59:59.999999Z"];
    let too_late =
        ["2262-04-12T00:00:00Z", "9999-12-31T23:59:59.999999Z", "01 Jul 12025 09:30:00 GMT"];
    bench.land(
        "b.json",
        lines([too_early.as_slice(), too_late.as_slice()].concat().into_iter().map(session_at)),
    );
    bench.command(&["run", "--accept", "silver.sessions"]).ok();
    let mut expected: Vec<(String, String)> = Vec::new();
    for (rule, times) in
        [("starts_no_earlier", too_early.as_slice()), ("starts_no_later", too_late.as_slice())]
    {
        expected.extend(times.iter().map(|time| (rule.to_owned(), format!("odd-{time}"))));
    }
    expected.sort();
    assert_eq!(rejected(&bench), expected);
    assert_eq!(entry(&bench.run(), "gold.journeys")["strategy"], "none");
    check_undisturbed(&bench);

    // An earlier beginning is the pipeline's to choose.
    bench.edit(
        "pipelines/web_traffic.toml",
        "earliest = \"1995-01-01\"",
        "earliest = \"1970-01-01\"",
    );
    bench.edit(
        "pipelines/web_traffic.toml",
        "clock_skew = \"1 day\"",
        "clock_skew = \"90000 days\"",
    );
    bench.run();
    let kept = "SELECT session_date FROM silver.sessions WHERE session_id LIKE 'odd%' ORDER BY 1";
    let day = |day: &str| json!({"session_date": day});
    assert_eq!(bench.query(kept), [day("1994-12-31"), day("2262-04-12")]);
    let weeks =
        "SELECT min(session_week) AS earliest, max(session_week) AS latest FROM gold.journeys";
    assert_eq!(bench.query(weeks), [json!({"earliest": "1994-12-26", "latest": "2262-04-07"})]);
    bench.command(&["verify"]).ok();
}

#[test]
fn an_event_at_the_end_of_time_counts_for_no_step_of_the_funnel() {
    let bench = Bench::new();
    let of_day = |number: u64, at: &str| {
        let mut one = session(5);
        one["session_id"] = json!(format!("f-{number}"));
        one["user_id"] = json!(format!("u-{number}"));
        one["events"] = json!([
            {"event_type": "click", "element_id": "demo", "timestamp": at},
        ]);
        one
    };
    let odd = (0..60).map(|number| of_day(number, "9999-12-31T23:59:59Z"));
    let right = of_day(60, "2025-07-01T10:05:10Z");
    bench.land("a.json", lines(odd.chain([right])));
    bench.run();
    assert_eq!(
        bench.query(
            "SELECT step, sessions, avg_seconds_since_step FROM gold.funnel ORDER BY step LIMIT 2"
        ),
        [
            json!({"step": 1, "sessions": 61, "avg_seconds_since_step": null}),
            json!({"step": 2, "sessions": 1, "avg_seconds_since_step": 10.0}),
        ]
    );
    assert_eq!(bench.value("SELECT count(*) FROM silver.final_cookies"), 61, "the event is kept");
    bench.command(&["verify"]).ok();
}

#[test]
fn clicks_of_odd_times_have_a_problem_and_no_day() {
    let bench = Bench::of_clicks();
    let click = |user: &str, at: Value| json!({"user_id": user, "page": "home", "timestamp": at});
    bench.land("a.json", lines([click("right", json!("2025-07-01T10:00:00Z"))]));
    bench.run();
    let trends = bench.content("gold.click_trends");
    let ranks = bench.content("gold.clicks_by_dimension");
    bench.land(
        "b.json",
        lines([
            click("early", json!("0001-01-01T00:00:00Z")),
            click("late", json!("9999-12-31T23:59:59.999999Z")),
            click("number", json!(99_999_999_999_u64)),
            click("mail", json!("01 Jul 12025 09:30:00 GMT")),
        ]),
    );
    bench.run();
    let told = |user: &str, problem: Value| json!({"user_id": user, "click_date": null, "problem": problem});
    assert_eq!(
        bench.query(
            "SELECT user_id, click_date, problem FROM silver.click_events \
             WHERE user_id <> 'right' ORDER BY user_id"
        ),
        [
            told("early", json!("time too early")),
            told("late", json!("time in the future")),
            told("mail", json!("time in the future")),
            told("number", json!("no time")),
        ]
    );
    assert_eq!(bench.content("gold.click_trends"), trends);
    assert_eq!(bench.content("gold.clicks_by_dimension"), ranks);
    let quality = bench.query(
        "SELECT outcome, events FROM gold.click_quality WHERE click_date IS NULL ORDER BY outcome",
    );
    assert_eq!(
        quality,
        [
            json!({"outcome": "no time", "events": 1}),
            json!({"outcome": "time in the future", "events": 2}),
            json!({"outcome": "time too early", "events": 1}),
        ]
    );
    bench.command(&["verify"]).ok();
}
