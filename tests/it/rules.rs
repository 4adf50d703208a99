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

    bench.edit("sql/channel_sources.csv", "instagram,,social", "instagram,insta,social");
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
    bench.edit("sql/channel_rules.csv", "Affiliates,,,affiliate,,,", "Affiliates,,,(affiliate,,,");
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
        "sql/channel_rules.csv:30: `(affiliate` is not a regular expression",
        "sql/channel_sources.csv:2: a name is in lower case",
    ] {
        assert!(ended.err.contains(wanted), "{wanted}\nis not in\n{}", ended.err);
    }
    assert!(!bench.path("lake").exists(), "something was written");
}
