//! Generated traffic against the truth that its generator knows.
//!
//! `CLICKWATCH_TRUTH_SEEDS=7..8` tries one seed, `CLICKWATCH_TRUTH_SEEDS=200` so many, instead of the few of
//! every day.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use crate::support::{Bench, entry};

/// Generates into the landing directory and gives the truth.
fn generate(bench: &Bench, kind: &str, count: u64, more: &[&str]) -> Value {
    let landing = bench.landing();
    let count = count.to_string();
    let mut arguments =
        vec!["generate", kind, landing.to_str().unwrap(), "--count", &count, "--dirty"];
    arguments.extend(more);
    bench.command(&arguments).ok();
    serde_json::from_str(&std::fs::read_to_string(landing.join("_truth.json")).unwrap()).unwrap()
}

/// Everything that the truth says about sessions must be found in the lake.
fn agrees(count: u64, more: &[&str]) {
    let bench = Bench::new();
    let truth = generate(&bench, "sessions", count, more);
    let bronze = landed_as_stated(&bench, "bronze.web_sessions", &truth, &format!("{more:?}"));
    assert_eq!(bronze["rows_rescued"], truth["rescued_records"], "of {count} {more:?}");
    assert_eq!(rescued_in(&bench), rescued_of(&truth), "of {count} {more:?}");
}

/// Lands what was generated; it must be in Bronze and in quarantine as its truth says.
fn landed_as_stated(bench: &Bench, table: &str, truth: &Value, what: &str) -> Value {
    let arguments = ["run", "--format", "json", "--select", table];
    let report: Value = serde_json::from_str(&bench.command(&arguments).ok()).unwrap();
    let bronze = entry(&report["pipelines"][0], table).clone();
    let broken = bench.query(
        "SELECT _source AS file, _position AS position, encode(record, 'hex') AS bytes_hex \
         FROM ops.quarantine",
    );
    assert_eq!(
        sorted(&broken, &["file", "position", "bytes_hex"]),
        sorted(truth["broken"].as_array().unwrap(), &["file", "position", "bytes_hex"]),
        "{what}"
    );
    for (ours, theirs) in [
        ("records_read", "records"),
        ("rows_landed", "landed"),
        ("records_quarantined", "quarantined"),
    ] {
        assert_eq!(bronze[ours], truth[theirs], "{ours} of {what}");
    }
    bronze
}

/// The seeds to try: `from..to`, or how many.
fn seeds() -> Range<u64> {
    let text = std::env::var("CLICKWATCH_TRUTH_SEEDS").unwrap_or_else(|_| "3".to_owned());
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

fn sorted(rows: &[Value], keys: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| keys.iter().map(|key| row[key].to_string() + " ").collect())
        .collect();
    lines.sort();
    lines
}

type Rescued = BTreeMap<(String, u64), Vec<(String, Value, String)>>;

/// Where what was rescued: the lake's answer.
fn rescued_in(bench: &Bench) -> Rescued {
    let rows = bench.query("SELECT _source, _position, _rescued, _raw FROM bronze.web_sessions WHERE _rescued IS NOT NULL");
    let mut found = Rescued::new();
    for row in rows {
        assert!(row["_raw"].is_string(), "a row with something rescued keeps its text");
        let entries: Vec<Value> = serde_json::from_str(row["_rescued"].as_str().unwrap()).unwrap();
        let place =
            (row["_source"].as_str().unwrap().to_owned(), row["_position"].as_u64().unwrap());
        for entry in entries {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            found.entry(place.clone()).or_default().push((
                text("path"),
                entry["value"].clone(),
                text("reason"),
            ));
        }
    }
    found
}

/// Where what was rescued: the generator's answer.
fn rescued_of(truth: &Value) -> Rescued {
    let mut known = Rescued::new();
    for entry in truth["rescued"].as_array().unwrap() {
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        let value = serde_json::from_str(&text("value")).unwrap();
        let place = (text("file"), entry["position"].as_u64().unwrap());
        known.entry(place).or_default().push((text("path"), value, text("reason")));
    }
    known
}

#[test]
fn one_record_is_as_its_truth_says() {
    for seed in ["1", "2", "3"] {
        agrees(1, &["--seed", seed]);
    }
}

#[test]
fn a_thousand_records_are_as_their_truth_says_in_every_layout() {
    for framing in ["ndjson", "array", "pretty-array", "concatenated"] {
        agrees(1000, &["--framing", framing, "--files", "3", "--compression", "mixed"]);
    }
}

#[test]
fn many_records_are_as_their_truth_says() {
    agrees(30_000, &["--framing", "mixed", "--files", "6", "--seed", "7"]);
}

#[test]
fn sessions_are_counted_as_their_truth_says() {
    let bench = Bench::new();
    let truth = generate(&bench, "sessions", 3000, &["--framing", "mixed", "--files", "3"]);
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), truth["sessions"]);
}

#[test]
fn whatever_the_seed_sessions_and_clicks_are_as_their_truth_says() {
    for seed in seeds() {
        for framing in ["ndjson", "array", "pretty-array", "concatenated"] {
            let seed = seed.to_string();
            let compression = if seed.ends_with(['1', '4', '7']) { "mixed" } else { "none" };
            let more = [
                ["--seed", &seed],
                ["--framing", framing],
                ["--files", "4"],
                ["--compression", compression],
            ]
            .concat();
            agrees(2000, &more);
            let bench = Bench::of_clicks();
            let truth = generate(&bench, "clicks", 2000, &more);
            landed_as_stated(&bench, "bronze.clicks", &truth, &format!("clicks {more:?}"));
        }
    }
}

#[test]
fn clicks_are_generated_in_all_their_shapes() {
    let bench = Bench::new();
    let out = bench.path("clicks");
    bench.command(&["generate", "clicks", out.to_str().unwrap(), "--count", "500"]).ok();
    let text = std::fs::read_to_string(out.join("part-00000.json")).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 500);
    for key in ["elementTag", "url", "pageUrl", "page"] {
        assert!(records.iter().any(|record| record[key].is_string()), "{key}");
    }
}
