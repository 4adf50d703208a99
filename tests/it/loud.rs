//! What is too wrong to be published ends a run with a code of its own, and says why.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Bench, session};

const PIPELINE: &str = "pipelines/web_traffic.toml";
const EPOCHS: &str = "SELECT count(DISTINCT epoch) FROM ops.epochs";

fn lines(records: impl IntoIterator<Item = Value>) -> String {
    records.into_iter().map(|record| format!("{record}\n")).collect()
}

fn sessions(numbers: std::ops::Range<u64>) -> String {
    lines(numbers.map(session))
}

/// Puts `keys` into the section of the source.
fn declare_source(bench: &Bench, keys: &str) {
    let section = "[source.web_sessions.files]";
    bench.edit(PIPELINE, section, &format!("[source.web_sessions]\n{keys}\n\n{section}"));
}

/// Puts `keys` into the section of `silver.sessions`.
fn declare_model(bench: &Bench, keys: &str) {
    let section = "[model.\"silver.sessions\"]\n";
    bench.edit(PIPELINE, section, &format!("{section}{keys}\n"));
}

/// Runs; the run must end with the code of a threshold and say each of `said`, in `ops.runs` as well,
/// and publish nothing.
#[track_caller]
fn refused(bench: &Bench, said: &[&str]) {
    let before = bench.path("lake/ops/epochs").exists().then(|| bench.value(EPOCHS));
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 7, "{}\n{}", ended.out, ended.err);
    let error = bench.value("SELECT error FROM ops.runs ORDER BY finished_at DESC LIMIT 1");
    for text in said {
        assert!(ended.err.contains(text), "{text} is not in {}", ended.err);
        assert!(error.as_str().unwrap().contains(text), "{text} is not in {error}");
    }
    assert!(ended.out.contains("no epoch: the run failed"), "{}", ended.out);
    let after = bench.path("lake/ops/epochs").exists().then(|| bench.value(EPOCHS));
    assert_eq!(after, before, "an epoch was published");
}

#[test]
fn garbage_ends_a_run_and_a_later_delivery_that_is_sound_goes_on() {
    let bench = Bench::new();
    bench.land("a.json", "{\"session_id\": \nnonsense\n");
    let said =
        ["every record of the batch", "table=`bronze.web_sessions`", "batch=`1`", "a.json at"];
    refused(&bench, &said);
    assert_eq!(bench.value("SELECT count(*) > 0 FROM ops.quarantine"), true, "it has landed");
    // Nothing else came: it is still so, and a plan says it.
    refused(&bench, &said);
    let planned = bench.command(&["plan"]).ok();
    let blocked = "bronze.web_sessions: a run would publish nothing: every record of the batch";
    assert!(planned.contains(blocked), "{planned}");
    assert!(planned.contains("run --accept bronze.web_sessions"), "{planned}");
    bench.land("b.json", sessions(0..3));
    assert_eq!(bench.run()["epoch"], 1);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 3);
    assert_eq!(bench.run()["status"], "succeeded");
}

#[test]
fn garbage_that_is_accepted_stands_in_the_way_no_more() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..3));
    bench.run();
    bench.land("b.json", "nonsense\n");
    refused(&bench, &["every record of the batch", "b.json at 0"]);
    let ended = bench.command(&["run", "--accept", "bronze.web_session"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("did you mean `bronze.web_sessions`?"), "{}", ended.err);
    bench.command(&["run", "--accept", "bronze.web_sessions"]).ok();
    bench.command(&["run"]).ok();
    bench.land("c.json", "nonsense\n");
    refused(&bench, &["c.json at 0"]);
    // A source of which anything may be broken.
    declare_source(&bench, "max-quarantined = \"100%\"");
    bench.command(&["run"]).ok();
}

#[test]
fn more_broken_records_than_may_be_end_a_run() {
    let bench = Bench::new();
    declare_source(&bench, "max-quarantined = \"10%\"\nmin-records = 4");
    bench.land("a.json", format!("{}nonsense\n", sessions(0..9)));
    assert_eq!(bench.run()["epoch"], 1, "one of ten is allowed");
    bench.land("b.json", format!("{}nonsense\n", sessions(10..18)));
    let said = ["more records of the batch", "quarantined=`1`", "records=`9`", "`10%`", "nonsense"];
    refused(&bench, &said);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 9, "nothing is built upon it");
    bench.edit(PIPELINE, "max-quarantined = \"10%\"", "max-quarantined = 1");
    assert_eq!(bench.run()["epoch"], 2, "the threshold is another");
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 17);
    bench.land("c.json", sessions(20..23));
    refused(&bench, &["fewer records", "records=`3`", "min-records=`4`"]);
    bench.land("d.json", sessions(30..34));
    assert_eq!(bench.run()["epoch"], 3);
}

#[test]
fn a_source_that_is_not_selected_keeps_the_rest_from_being_published() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..3));
    bench.run();
    bench.land("b.json", "nonsense\n");
    refused(&bench, &["every record of the batch"]);
    let ended = bench.command(&["run", "--select", "gold.*", "--full-refresh"]);
    assert_eq!(ended.code, 7, "{}\n{}", ended.out, ended.err);
}

#[test]
fn a_renamed_key_ends_a_run_whatever_becomes_of_its_rows() {
    let renamed = |number: u64, from: &str, to: &str| {
        let mut record = session(number);
        let value = record.as_object_mut().unwrap().remove(from).unwrap();
        record[to] = value;
        record
    };
    let bench = Bench::new();
    bench.land("a.json", sessions(0..5));
    bench.run();
    bench.land("b.json", lines((5..9).map(|number| renamed(number, "user_id", "userId"))));
    let said = ["no record has user_id", "the unknown field userId", "batch=`2`"];
    refused(&bench, &said);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 5);
    // The same again is no better.
    bench.land("c.json", lines((9..12).map(|number| renamed(number, "user_id", "userId"))));
    refused(&bench, &["no record has user_id", "batch=`3`"]);
    // In the first batch nobody knows what it should be; the model's expectations do.
    let bench = Bench::new();
    bench.land("a.json", lines((0..4).map(|number| renamed(number, "timestamp", "time"))));
    let said = ["every row of the model", "table=`silver.sessions`", "has_start", "a.json at "];
    refused(&bench, &said);
    assert!(bench.versions().iter().all(|(table, _)| table != "silver.sessions"));
    bench.land("b.json", sessions(10..12));
    assert_eq!(bench.run()["epoch"], 1);
    assert_eq!(bench.value("SELECT count(*) FROM ops.quarantine"), 4);
}

#[test]
fn a_field_that_some_records_lack_is_no_renamed_key() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..5));
    bench.run();
    let mut other = session(5);
    other.as_object_mut().unwrap().remove("utm_source");
    other["source"] = json!("x");
    bench.land("b.json", lines([other]));
    assert_eq!(bench.run()["epoch"], 2);
}

#[test]
fn a_model_that_loses_more_rows_than_may_be_is_left_as_it_was() {
    let bench = Bench::new();
    declare_model(&bench, "max-quarantined = 1\nmin-rows = 3");
    bench.land("a.json", sessions(0..2));
    refused(&bench, &["fewer rows", "table=`silver.sessions`", "rows=`2`", "min-rows=`3`"]);
    bench.land("b.json", sessions(2..4));
    assert_eq!(bench.run()["epoch"], 1);
    let nobody = |number: u64| {
        let mut record = session(number);
        record["user_id"] = json!("");
        record
    };
    bench.land("c.json", lines([session(4), nobody(5), nobody(6)]));
    let said =
        ["more rows of the model", "quarantined=`2`", "max-quarantined=`1`", "has_user", "c.json"];
    refused(&bench, &said);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 4);
    bench.command(&["run", "--accept", "silver.sessions"]).ok();
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 5);
    assert_eq!(bench.value("SELECT count(*) FROM ops.quarantine"), 2);
    bench.command(&["verify"]).ok();
}

#[test]
fn a_source_that_went_silent_is_told_by_its_newest_file() {
    let bench = Bench::new();
    declare_source(&bench, "freshness = \"1h\"");
    refused(&bench, &["no file has landed yet", "freshness=`1h`"]);
    bench.land("a.json", sessions(0..3));
    let file = fs::File::options().append(true).open(bench.landing().join("a.json")).unwrap();
    let changed_at = file.metadata().unwrap().modified().unwrap();
    file.set_modified(changed_at - Duration::from_secs(2 * 60 * 60)).unwrap();
    refused(&bench, &["older than it may be", "freshness=`1h`"]);
    bench.command(&["run", "--accept", "bronze.web_sessions"]).ok();
    assert_eq!(bench.value(EPOCHS), 1);
    refused(&bench, &["older than it may be"]);
    bench.land("b.json", sessions(3..5));
    assert_eq!(bench.run()["epoch"], 2);
}

#[test]
fn a_run_that_publishes_nothing_says_why() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..3));
    let report = bench.run();
    assert_eq!((&report["epoch"], &report["unpublished"]), (&json!(1), &Value::Null));
    assert_eq!(bench.run()["unpublished"], "no table has other rows than in epoch 1");
    bench.land("b.json", sessions(3..5));
    let said = bench.command(&["run", "--select", "bronze.*"]).ok();
    let why = "was not built from the newest rows of bronze.web_sessions";
    assert!(said.contains("no epoch: silver.") && said.contains(why), "{said}");
    let recorded =
        bench.value("SELECT unpublished FROM ops.runs ORDER BY finished_at DESC LIMIT 1");
    assert!(recorded.as_str().unwrap().ends_with(why), "{recorded}");
}

#[test]
fn the_cause_of_an_error_is_written_down_to_the_value() {
    let bench = Bench::new();
    bench.land("a.json", sessions(1..2));
    bench.edit(
        "sql/gold/page_engagement.sql",
        "count(*) AS sessions,",
        "CAST(substr(page_path, 1, 3) AS BIGINT) AS sessions,",
    );
    assert_eq!(bench.command(&["run"]).code, 4);
    let error = bench.value("SELECT error FROM ops.runs");
    let error = error.as_str().unwrap();
    assert!(error.contains("gold.page_engagement") && error.contains("/pr"), "{error}");
}

#[test]
fn a_threshold_that_is_none_is_named_with_its_place() {
    let bench = Bench::new();
    declare_source(&bench, "max-quarantined = \"1 in 10\"\nmin-records = -1\nfreshness = \"soon\"");
    declare_model(&bench, "min-row = 3");
    let ended = bench.command(&["plan"]);
    assert_eq!(ended.code, 2);
    for wanted in [
        "`1 in 10` is no threshold",
        "`-1` is no threshold (write a number)",
        "`soon` is no threshold",
        "unknown key `min-row` (did you mean `min-rows`?)",
    ] {
        assert!(ended.err.contains(wanted), "{wanted} is not in {}", ended.err);
    }
}

#[test]
fn a_line_that_is_still_being_written_is_no_garbage() {
    let bench = Bench::new();
    bench.land("a.json", sessions(0..3));
    bench.run();
    let (line, path) = (sessions(3..4), bench.landing().join("a.json"));
    let (first, rest) = line.split_at(20);
    let append = |text: &str| {
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before + text).unwrap();
    };
    append(first);
    let report = bench.run();
    assert_eq!(report["sources"][0]["records_quarantined"], 1, "{report:#}");
    append(rest);
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 4);
    // Broken lines that have ended are judged.
    append("nonsense\n");
    refused(&bench, &["every record of the batch"]);
}
