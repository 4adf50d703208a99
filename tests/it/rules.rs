//! What stands beside the SQL of models: parameters of a pipeline, and the rules of channels.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, entry, session};

fn loaded() -> Bench {
    let bench = Bench::new();
    let records: Vec<String> = (0..20).map(|number| session(number).to_string()).collect();
    bench.land("a.json", records.join("\n"));
    bench.run();
    bench
}

/// The tables that a run has computed anew because their model was changed.
fn changed(report: &Value) -> Vec<&str> {
    let tables = report["tables"].as_array().unwrap().iter();
    let changed = tables.filter(|table| table["reason"] == "the model was changed");
    changed.map(|table| table["table"].as_str().unwrap()).collect()
}

#[test]
fn an_edited_rule_of_channels_reaches_all_that_goes_by_it() {
    let bench = loaded();
    let channels = "SELECT DISTINCT channel FROM silver.sessions";
    assert_eq!(bench.query(channels), [json!({"channel": "Organic Social"})]);
    let rules = "sql/channel_rules.csv";
    bench.edit(rules, "# How a visit gets its channel", "# The way from a visit to its channel");
    assert!(bench.command(&["plan"]).ok().contains("nothing to do"), "a comment");
    bench.edit(rules, "Direct,,-,-,,,\n", "Direct,,-,-,,,\nIdeas,,,,newidea.*,,\n");
    let report = bench.run();
    assert_eq!(changed(&report), ["silver.sessions"]);
    assert_eq!(bench.query(channels), [json!({"channel": "Ideas"})]);
    let credited = "SELECT DISTINCT channel FROM gold.attribution";
    assert_eq!(bench.query(credited), [json!({"channel": "Ideas"})]);
    bench.command(&["verify"]).ok();

    let sources = "name,source,category\ninstagram,insta,social\n";
    fs::write(bench.path("sql/channel_sources.local.csv"), sources).unwrap();
    assert_eq!(changed(&bench.run()), ["silver.sessions"]);
    let source = "SELECT DISTINCT source FROM silver.sessions";
    assert_eq!(bench.query(source), [json!({"source": "insta"})]);
    bench.command(&["verify"]).ok();
}

#[test]
fn a_parameter_that_is_changed_changes_the_models_that_name_it() {
    let bench = loaded();
    let longest = "SELECT max(touches) FROM gold.journeys";
    let before = bench.value(longest).as_u64().unwrap();
    assert!(before > 1);
    bench.edit("pipelines/web_traffic.toml", "lookback = \"30 days\"", "lookback = \"0 days\"");
    let report = bench.run();
    assert_eq!(changed(&report), ["gold.journeys"]);
    assert_ne!(entry(&report, "gold.attribution")["strategy"], "none");
    assert!(bench.value(longest).as_u64().unwrap() < before);
    bench.command(&["verify"]).ok();
}

#[test]
fn mistakes_beside_the_sql_are_named_with_their_lines() {
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "longest_path = 50",
        "longest_path = [50]\nunused = true",
    );
    bench.edit("sql/gold/conversion_paths.sql", "$half_life_days", "$half_live_days");
    let rules = "channel,category,source,medium,campaign,referrer,paid\n# one\nA,,,(affiliate,,,\n";
    fs::write(bench.path("sql/channel_rules.csv"), rules).unwrap();
    fs::write(bench.path("sql/channel_sources.csv"), "name,source,category\nGoogle,,search\n")
        .unwrap();
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2);
    for wanted in [
        "`longest_path` is a text, a number or a flag, not array",
        "no model of this pipeline uses the parameter `unused` (a model says $unused)",
        "no model of this pipeline uses the parameter `half_life_days`",
        "there is no parameter `$half_live_days` (did you mean `half_life_days`?)",
        "there is no parameter `$longest_path`",
        "sql/channel_rules.csv:3: `(affiliate` is not a regular expression",
        "sql/channel_sources.csv:2: a name is in lower case",
    ] {
        assert!(ended.err.contains(wanted), "{wanted}\nis not in\n{}", ended.err);
    }
    assert!(!bench.path("lake").exists(), "something was written");
}

#[test]
fn thresholds_and_weights_are_what_the_pipeline_says() {
    let bench = loaded();
    let set = |name: &str, from: &str, to: &str| {
        let line = |value: &str| format!("{name} = {value}\n");
        bench.edit("pipelines/web_traffic.toml", &line(from), &line(to));
    };
    let engaged = "SELECT count(*) FROM silver.sessions WHERE is_engaged";
    assert_eq!(bench.value(engaged), 17, "all of ten seconds or more, and one that converts");
    // What led up to the conversion of one user.
    let earlier = (10..13).map(|day| {
        let mut one = session(0);
        one["session_id"] = json!(format!("s-{day}"));
        one["timestamp"] = json!(format!("2025-06-{day}T10:00:00Z"));
        one["conversion"] = json!(false);
        one.to_string() + "\n"
    });
    bench.land("b.json", earlier.collect::<String>());
    bench.run();
    let credits = "SELECT CAST(position_based AS TEXT) AS credit FROM gold.conversion_paths \
                   WHERE touches = 4 ORDER BY touch_number";
    let equal = |credits: [&str; 4]| credits.map(|credit| json!({"credit": credit}));
    assert_eq!(
        bench.query(credits),
        equal(["0.400000000", "0.100000000", "0.100000000", "0.400000000"])
    );

    set("engaged_seconds", "10", "30");
    set("step_seconds", "10", "7");
    set("last_step_seconds", "600", "20");
    set("longest_session_seconds", "86400", "50");
    // Whole numbers are weights like others.
    set("outer_touch_weight", "0.4", "1");
    set("inner_touches_weight", "0.2", "1");
    bench.run();
    assert_eq!(bench.value(engaged), 12, "from 30 seconds on, and two that convert");
    assert_eq!(bench.value("SELECT max(engaged_seconds) FROM silver.sessions"), 50);
    let steps = "SELECT from_seconds, below_seconds, sum(sessions) AS sessions \
                 FROM gold.session_durations WHERE session_date >= '2025-07-01' \
                 GROUP BY from_seconds, below_seconds ORDER BY from_seconds";
    let step = |from: u64, below: Value, sessions: u64| json!({"from_seconds": from, "below_seconds": below, "sessions": sessions});
    assert_eq!(
        bench.query(steps),
        [
            step(0, json!(7), 3),
            step(7, json!(14), 2),
            step(14, json!(20), 2),
            step(20, Value::Null, 13)
        ]
    );
    assert_eq!(
        bench.query(credits),
        equal(["0.333333333", "0.166666667", "0.166666667", "0.333333333"])
    );
    bench.command(&["verify"]).ok();
}
