//! What a run does to the lake, and what the next one finds.

use serde_json::json;

use crate::support::{Bench, entry, session};

#[test]
fn a_second_run_finds_nothing_new_and_writes_nothing() {
    let bench = Bench::new();
    bench.land(
        "a.json",
        (0..50).map(|number| session(number).to_string() + "\n").collect::<String>(),
    );
    bench.run();
    let before = bench.versions();
    let text = bench.command(&["run"]).ok();
    assert!(text.contains("nothing new: no table has a new version"), "{text}");
    for ((table, was), (_, is)) in before.iter().zip(&bench.versions()) {
        assert!(table.starts_with("ops.") || was == is, "{table} went from {was} to {is}");
    }
}

#[test]
fn each_file_lands_once_and_a_new_one_joins() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    bench.land("b.json", session(2).to_string());
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!((bronze["batch"].as_i64(), bronze["files"].as_u64()), (Some(2), Some(1)));
    let rows =
        bench.query("SELECT session_id, _source, _batch FROM bronze.web_sessions ORDER BY _batch");
    assert_eq!(
        rows,
        [
            json!({"session_id": "s-1", "_source": "a.json", "_batch": 1}),
            json!({"session_id": "s-2", "_source": "b.json", "_batch": 2}),
        ]
    );
    assert_eq!(bench.value("SELECT count(*) FROM ops.batches"), 2);
}

#[test]
fn the_newest_delivery_of_a_session_wins_with_all_its_events() {
    let bench = Bench::new();
    let mut corrected = session(3);
    corrected["time_spent_seconds"] = json!(777);
    corrected["events"] =
        json!([{"event_type": "click", "element_id": "only", "timestamp": "2025-07-04T10:00:00Z"}]);
    bench.land("a.json", format!("{}\n{}\n", session(3), session(4)));
    bench.run();
    bench.land("b.json", corrected.to_string());
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 3);
    assert_eq!(
        bench.value("SELECT time_spent_seconds FROM silver.sessions WHERE session_id = 's-3'"),
        777
    );
    assert_eq!(
        bench.query(
            "SELECT element_id, event_index FROM silver.final_cookies WHERE session_id = 's-3'"
        ),
        [json!({"element_id": "only", "event_index": 0})]
    );
    // The same within one batch, whichever comes last in the file.
    bench.land("c.json", format!("{}\n{}\n", session(3), corrected));
    bench.land("d.json", format!("{}\n{}\n", corrected, session(3)));
    bench.run();
    assert_eq!(
        bench.value("SELECT time_spent_seconds FROM silver.sessions WHERE session_id = 's-3'"),
        9
    );
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 2);
}

#[test]
fn a_batch_that_was_planned_and_not_landed_is_landed_by_the_next_run() {
    let bench = Bench::new();
    bench.land("a.json", format!("{}\n{{broken\n", session(1)));
    bench.run();
    // As if the run had died between the plan and Bronze: its table is not there.
    std::fs::remove_dir_all(bench.path("lake/bronze/web_sessions")).unwrap();
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!((bronze["resumed"].as_bool(), bronze["batch"].as_i64()), (Some(true), Some(1)));
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 1);
    assert_eq!(
        bench.value("SELECT count(*) FROM ops.quarantine"),
        1,
        "the broken record is there once"
    );
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 1);
}

#[test]
fn expectations_count_sort_out_and_stop() {
    let bench = Bench::new();
    let mut nobody = session(1);
    nobody.as_object_mut().unwrap().remove("user_id");
    let mut endless = session(2);
    endless["time_spent_seconds"] = json!(1_000_000);
    let mut timeless = session(3);
    timeless.as_object_mut().unwrap().remove("time_spent_seconds");
    let records = [nobody, endless, timeless, session(4)];
    bench.land("a.json", records.map(|record| record.to_string()).join("\n"));
    bench.run();
    let of = |name: &str| {
        bench.query(&format!(
            "SELECT rows_passed, rows_failed, rows_unknown, is_met FROM ops.expectations WHERE expectation = '{name}'"
        ))
    };
    assert_eq!(
        of("has_sane_duration"),
        [json!({"rows_passed": 2, "rows_failed": 1, "rows_unknown": 1, "is_met": false})]
    );
    assert_eq!(
        of("has_user"),
        [json!({"rows_passed": 3, "rows_failed": 1, "rows_unknown": 0, "is_met": false})]
    );
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 3, "warned rows stay");
    let rejected = bench.query("SELECT rule, _source, _position, record_text FROM ops.quarantine");
    assert_eq!(rejected.len(), 1);
    assert_eq!(
        (
            rejected[0]["rule"].as_str(),
            rejected[0]["_source"].as_str(),
            rejected[0]["_position"].as_i64()
        ),
        (Some("has_user"), Some("a.json"), Some(0))
    );
    assert!(rejected[0]["record_text"].as_str().unwrap().contains("\"session_id\":\"s-1\""));
    // Rejected rows of a model that is built anew take the place of the earlier ones.
    bench.land("b.json", session(5).to_string());
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM ops.quarantine"), 1);
    // Left out, and then stopping.
    bench.edit("pipelines/web_traffic.toml", "otherwise = \"warn\"", "otherwise = \"drop\"");
    let report = bench.run();
    assert_eq!(entry(&report, "silver.sessions")["rows_dropped"], 2);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 2);
    bench.edit("pipelines/web_traffic.toml", "otherwise = \"drop\"", "otherwise = \"fail\"");
    let before = bench.content("silver.sessions");
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert!(ended.err.contains("expectation=`has_sane_duration`"), "{}", ended.err);
    assert_eq!(bench.content("silver.sessions"), before, "the table is as it was");
}

#[test]
fn a_changed_model_is_built_anew_and_what_reads_it_too_but_a_comment_changes_nothing() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    bench.edit("sql/silver/visit_count.sql", "-- One row per user", "-- One row for each user");
    let report = bench.run();
    assert_eq!(entry(&report, "silver.visit_count")["strategy"], "none");
    bench.edit("sql/silver/visit_count.sql", "count(*) AS sessions", "count(*) + 0 AS sessions");
    let report = bench.run();
    assert_eq!(entry(&report, "silver.visit_count")["reason"], "the model was changed");
    assert_eq!(entry(&report, "gold.return_visitors")["strategy"], "full");
    assert_eq!(entry(&report, "gold.conversions")["strategy"], "none");
}

#[test]
fn every_number_can_be_traced_to_its_record_and_every_run_to_its_writes() {
    let bench = Bench::new();
    let lines = format!("{}\n{}\n", session(1), session(2));
    bench.land("a.json", &lines);
    let report = bench.run();
    let row = bench
        .query("SELECT _source, _position FROM silver.final_cookies WHERE session_id = 's-2'")
        .remove(0);
    let start = usize::try_from(row["_position"].as_u64().unwrap()).unwrap();
    assert_eq!(row["_source"], "a.json");
    assert!(lines[start..].starts_with(&session(2).to_string()));
    let writes = bench.query("SELECT table_name, rows_landed, version, strategy FROM ops.writes");
    assert_eq!(writes.len(), 1 + report["tables"].as_array().unwrap().len());
    let run = bench
        .query("SELECT status, records_read, rows_landed, records_quarantined FROM ops.runs")
        .remove(0);
    assert_eq!(
        run,
        json!({"status": "succeeded", "records_read": 2, "rows_landed": 2, "records_quarantined": 0})
    );
}

#[test]
fn a_batch_whose_files_changed_before_they_landed_is_planned_anew() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.land("b.json", session(2).to_string());
    bench.run();
    // As if the run had died before Bronze, and then one file was written again, one removed.
    std::fs::remove_dir_all(bench.path("lake/bronze/web_sessions")).unwrap();
    bench.land("a.json", format!("{}\n{}\n", session(1), session(3)));
    std::fs::remove_file(bench.landing().join("b.json")).unwrap();
    bench.land("c.json", session(4).to_string());
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.web_sessions")["batch"], 2);
    let ids = "SELECT string_agg(session_id, ',' ORDER BY session_id) FROM bronze.web_sessions";
    assert_eq!(bench.value(ids), "s-1,s-3,s-4");
    // What was planned and never landed is new when it comes back.
    bench.land("b.json", session(2).to_string());
    bench.run();
    assert_eq!(bench.value(ids), "s-1,s-2,s-3,s-4");
}

#[test]
fn a_new_column_is_there_for_models_before_anything_lands_in_it() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    bench.edit(
        "sql/bronze/web_sessions.sql",
        "    conversion BOOLEAN",
        "    conversion BOOLEAN,\n    experiment TEXT",
    );
    bench.edit(
        "sql/silver/sessions.sql",
        "    conversion,\n",
        "    conversion,\n    experiment,\n",
    );
    bench.run();
    assert_eq!(bench.value("SELECT experiment FROM silver.sessions"), json!(null));
}

#[test]
fn runs_that_start_together_neither_double_nor_lose_a_record() {
    let bench = Bench::new();
    for number in 0..8 {
        for file in 0..5 {
            let record = session(number * 5 + file).to_string();
            bench.land(&format!("{number}-{file}.json"), record);
        }
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let ended = bench.command(&["run"]);
                    assert_eq!(ended.code, 0, "{}", ended.err);
                });
            }
        });
    }
    bench.run();
    let counts =
        "SELECT count(*) AS n, count(DISTINCT session_id) AS sessions FROM bronze.web_sessions";
    assert_eq!(bench.query(counts), [json!({"n": 40, "sessions": 40})]);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 40);
    assert_eq!(bench.value("SELECT sum(sessions) FROM gold.return_visitors"), 40);
}
