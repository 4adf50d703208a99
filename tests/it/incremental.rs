//! What a run reads and writes when only a little is new, what it publishes, and what can be asked
//! about it beforehand and afterwards.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, MODELS, entry, session};

/// Sessions on the five days that `session` knows.
fn first_load(bench: &Bench) {
    bench.land(
        "a.json",
        (0..60).map(|number| session(number).to_string() + "\n").collect::<String>(),
    );
    bench.run();
}

/// A session of a day that no other one has.
fn of_new_day(number: u64) -> String {
    let mut one = session(number);
    one["timestamp"] = json!("2025-07-20T08:00:00Z");
    one.to_string() + "\n"
}

fn corrected(number: u64) -> String {
    let mut one = session(number);
    one["time_spent_seconds"] = json!(4321);
    one.to_string() + "\n"
}

/// The parquet files of a table, by path.
fn files(bench: &Bench, table: &str) -> Vec<String> {
    let rows = bench.command(&["tables", "list", "--format", "json"]).ok();
    assert!(rows.contains(table));
    let root = bench.path("lake").join(table.replace('.', "/"));
    let mut found = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn plan(bench: &Bench, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["plan", "--format", "json"].iter().chain(arguments).copied().collect();
    serde_json::from_str::<Value>(&bench.command(&all).ok()).unwrap()[0].clone()
}

fn planned<'a>(plan: &'a Value, table: &str) -> &'a Value {
    plan["models"].as_array().unwrap().iter().find(|model| model["table"] == table).unwrap()
}

#[test]
fn a_new_day_is_added_and_no_older_file_is_touched() {
    let bench = Bench::new();
    first_load(&bench);
    let before = files(&bench, "silver.sessions");
    bench.land("b.json", of_new_day(1));
    let report = bench.run();
    for (table, strategy) in [
        ("silver.sessions", "upsert"),
        ("silver.final_cookies", "upsert"),
        ("silver.visit_count", "recompute"),
        ("gold.return_visitors", "recompute"),
        ("gold.user_page_engagement", "recompute"),
    ] {
        assert_eq!(entry(&report, table)["strategy"], strategy, "{table}");
    }
    for table in
        ["silver.sessions", "silver.final_cookies", "gold.conversions", "gold.utm_attribution"]
    {
        let entry = entry(&report, table);
        assert_eq!(entry["rows_replaced"], 0, "{table}");
    }
    let after = files(&bench, "silver.sessions");
    assert_eq!(after.len(), before.len() + 1, "one file more");
    assert!(before.iter().all(|file| after.contains(file)));
    let removed = bench.query("SELECT reason FROM ops.writes WHERE strategy = 'upsert'");
    assert_eq!(removed.len(), 2);
    bench.command(&["verify"]).ok();
}

#[test]
fn a_correction_replaces_its_own_rows_in_its_own_partition() {
    let bench = Bench::new();
    first_load(&bench);
    bench.land("b.json", corrected(7));
    let report = bench.run();
    let sessions = entry(&report, "silver.sessions");
    assert_eq!(
        (sessions["rows_in"].as_u64(), sessions["rows_replaced"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(sessions["files_written"], 1);
    assert_eq!(entry(&report, "silver.final_cookies")["rows_replaced"], 3);
    // Nobody's visits or first day did change, so the counts are read and left alone.
    let visits = entry(&report, "silver.visit_count");
    assert_eq!(visits["strategy"], "none", "{visits}");
    assert_eq!(visits["reason"], "what changed upstream does not matter to it");
    assert_eq!(
        bench.value("SELECT time_spent_seconds FROM silver.sessions WHERE session_id = 's-7'"),
        4321
    );
    bench.command(&["verify"]).ok();
    // The same delivery once more: it is newer, so its origin is; nothing that Gold reads changes.
    bench.land("c.json", corrected(7));
    let report = bench.run();
    assert_eq!(entry(&report, "silver.sessions")["rows_replaced"], 1);
    for table in ["gold.utm_attribution", "gold.session_durations", "gold.conversions"] {
        assert_eq!(entry(&report, table)["strategy"], "none", "{table}");
    }
    bench.command(&["verify"]).ok();
}

#[test]
fn a_session_that_a_correction_rejects_vanishes_and_comes_back() {
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "AND $longest_session_seconds\"\notherwise = \"warn\"",
        "AND $longest_session_seconds\"\notherwise = \"quarantine\"",
    );
    bench.land("a.json", format!("{}\n{}\n", session(3), session(8)));
    bench.run();
    let mut endless = session(3);
    endless["time_spent_seconds"] = json!(1_000_000);
    bench.land("b.json", endless.to_string());
    bench.command(&["run", "--accept", "silver.sessions"]).ok();
    let count = "SELECT count(*) FROM silver.sessions WHERE session_id = 's-3'";
    let rejected = "SELECT count(*) FROM ops.quarantine WHERE table_name = 'silver.sessions'";
    assert_eq!((bench.value(count), bench.value(rejected)), (json!(0), json!(1)));
    assert_eq!(
        bench.value("SELECT count(*) FROM silver.final_cookies WHERE session_id = 's-3'"),
        0
    );
    bench.command(&["verify"]).ok();
    bench.land("c.json", corrected(3));
    bench.run();
    assert_eq!((bench.value(count), bench.value(rejected)), (json!(1), json!(0)));
    bench.command(&["verify"]).ok();
}

#[test]
fn what_plan_says_is_what_run_does() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    let first = plan(&bench, &[]);
    assert_eq!(first["sources"][0]["batch"], 1);
    assert_eq!(planned(&first, "gold.conversions")["reason"], "there was no such table");
    assert!(!bench.path("lake").exists(), "a plan writes nothing");
    first_load(&bench);
    assert!(bench.command(&["plan"]).ok().contains("web_traffic: nothing to do"));
    let cleaning = "'[^a-zA-Z0-9- ]'";
    bench.edit("sql/silver/sessions.sql", "-- Session ids repeat", "-- The ids of sessions repeat");
    assert!(bench.command(&["run", "--dry-run"]).ok().contains("nothing to do"), "a comment");
    bench.edit("sql/silver/sessions.sql", cleaning, "'[^a-zA-Z0-9 ]'");
    let changed = plan(&bench, &[]);
    assert_eq!(planned(&changed, "silver.sessions")["reason"], "the model was changed");
    let report = bench.run();
    for model in changed["models"].as_array().unwrap() {
        let table = model["table"].as_str().unwrap();
        let done = entry(&report, table)["strategy"].clone();
        assert_eq!([model["strategy"].clone(), done], ["full"; 2], "{table}");
    }
    let page = "SELECT DISTINCT page_url FROM silver.sessions";
    assert_eq!(bench.value(page), "productideapagex1top");
    bench.command(&["verify"]).ok();
}

#[test]
fn readers_keep_to_the_epoch_until_a_run_is_complete() {
    let bench = Bench::new();
    first_load(&bench);
    let sessions = "SELECT count(*) FROM silver.sessions";
    bench.land("b.json", of_new_day(70));
    let landed = bench.command(&["run", "--select", "silver.sessions", "--format", "json"]).ok();
    assert!(landed.contains("\"epoch\": null"), "nothing was new to silver.sessions: {landed}");
    let partial = ["run", "--select", "bronze.web_sessions", "--select", "silver.sessions"];
    assert!(bench.command(&partial).ok().contains("1 records read"));
    assert_eq!(bench.value(sessions), 60, "not published");
    let latest = bench.command(&["sql", "--latest", "--format", "csv", sessions]).ok();
    assert!(latest.contains("61"), "{latest}");
    let report = bench.run();
    assert_eq!(report["epoch"], 2);
    assert_eq!(bench.value(sessions), 61);
    let old = bench.command(&["sql", "--epoch", "1", "--format", "csv", sessions]).ok();
    assert!(old.contains("60"), "{old}");
    let unknown = bench.command(&["sql", "--epoch", "9", sessions]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("the newest epoch is 2"), "{}", unknown.err);
    assert_eq!(bench.value("SELECT max(epoch) FROM ops.runs"), 2);
}

#[test]
fn a_run_that_fails_publishes_nothing() {
    let bench = Bench::new();
    first_load(&bench);
    bench.edit(
        "pipelines/web_traffic.toml",
        "check = \"new_visitors + known_visitors = visitors\"",
        "check = \"sessions < 2\"",
    );
    bench.land("b.json", of_new_day(71) + &of_new_day(72));
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 60);
    assert_eq!(bench.value("SELECT max(epoch) FROM ops.epochs"), 1);
    bench.edit(
        "pipelines/web_traffic.toml",
        "sessions < 2",
        "new_visitors + known_visitors = visitors",
    );
    assert_eq!(bench.run()["epoch"], 2);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 62);
}

#[test]
fn a_part_of_the_graph_can_be_run_and_everything_can_be_computed_anew() {
    let bench = Bench::new();
    first_load(&bench);
    let tables = |arguments: &[&str]| -> Vec<String> {
        let plan = plan(&bench, arguments);
        let models = plan["models"].as_array().unwrap().iter();
        models.map(|model| model["table"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        tables(&["--select", "silver.visit_count+"]),
        ["silver.visit_count", "gold.return_visitors"]
    );
    assert_eq!(tables(&["--select", "+gold.conversions"]).len(), 3);
    assert_eq!(tables(&["--select", "gold.*"]).len(), MODELS.len() - 3);
    let unknown = bench.command(&["run", "--select", "gold.conversion"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("did you mean `gold.conversions`"), "{}", unknown.err);
    let before = bench.content("gold.utm_attribution");
    let report = bench.command(&["run", "--full-refresh", "--format", "json"]).ok();
    assert_eq!(report.matches("\"a full refresh was asked for\"").count(), MODELS.len());
    assert_eq!(bench.content("gold.utm_attribution"), before);
    bench.command(&["verify"]).ok();
}

#[test]
fn what_was_vacuumed_upstream_leads_to_a_rebuild_that_says_so() {
    let bench = Bench::new();
    first_load(&bench);
    bench.land("b.json", corrected(7));
    bench.command(&["run", "--select", "bronze.web_sessions", "--select", "silver.sessions"]).ok();
    // The files that the correction replaced are gone, as a vacuum leaves it.
    let sessions = bench.path("lake/silver/sessions");
    let commit = sessions.join("_delta_log/00000000000000000001.json");
    let mut gone = 0;
    for line in fs::read_to_string(commit).unwrap().lines() {
        let action: Value = serde_json::from_str(line).unwrap();
        if let Some(path) = action["remove"]["path"].as_str() {
            fs::remove_file(sessions.join(path)).unwrap();
            gone += 1;
        }
    }
    assert!(gone > 0);
    let plan = plan(&bench, &[]);
    let reason = planned(&plan, "gold.utm_attribution")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("was vacuumed"), "{reason}");
    let ended = bench.command(&["run"]);
    assert!(ended.code == 0, "{}", ended.err);
    bench.command(&["verify"]).ok();
}

#[test]
fn compaction_changes_no_row_and_bothers_no_model() {
    let bench = Bench::new();
    first_load(&bench);
    for round in 0..4 {
        bench.land(&format!("b{round}.json"), of_new_day(80 + round));
        bench.run();
    }
    let before = bench.content("silver.sessions");
    let many = files(&bench, "silver.sessions").len();
    bench.command(&["tables", "compact"]).ok();
    assert_eq!(bench.content("silver.sessions"), before);
    let listing = bench.query("SELECT 1");
    assert_eq!(listing.len(), 1);
    let report = bench.run();
    for table in report["tables"].as_array().unwrap() {
        assert_eq!(table["strategy"], "none", "{table}");
    }
    assert!(many >= 9);
    bench.command(&["verify"]).ok();
}

#[test]
fn what_needs_old_rows_is_no_upsert() {
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "[model.\"silver.visit_count\"]\nstrategy = \"recompute\"\nby = [\"user_id\"]",
        "[model.\"silver.visit_count\"]\nstrategy = \"append\"",
    );
    let ended = bench.command(&["plan"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .err
            .contains("`silver.visit_count` groups rows, and an append sees only the new ones"),
        "{}",
        ended.err
    );
}

#[test]
fn a_table_that_was_tampered_with_is_found_and_mended() {
    let bench = Bench::new();
    first_load(&bench);
    // The first commit of a table that another program has written: one file is missing.
    let log = bench.path("lake/gold/user_page_engagement/_delta_log");
    let first = fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let add: Value = first
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|action| {
            action["add"]["path"].as_str().is_some_and(|path| path.contains("2025-07-02"))
        })
        .unwrap();
    let remove = json!({"remove": {
        "path": add["add"]["path"], "dataChange": true, "deletionTimestamp": 1, "size": add["add"]["size"],
        "extendedFileMetadata": true, "partitionValues": add["add"]["partitionValues"],
    }});
    fs::write(log.join("00000000000000000001.json"), remove.to_string() + "\n").unwrap();
    let ended = bench.command(&["verify"]);
    assert_eq!(ended.code, 4, "{}", ended.out);
    assert!(
        ended.out.contains("gold.user_page_engagement: session_date=2025-07-02: 0 rows"),
        "{}",
        ended.out
    );
    assert_eq!(ended.out.matches("equals its rebuild").count(), MODELS.len() - 1, "{}", ended.out);
    let sampled = bench.command(&["verify", "--sample", "2", "gold.conversions"]).ok();
    assert!(sampled.contains("equals its rebuild"), "{sampled}");
    let mended = bench.command(&["verify", "--repair"]).ok();
    assert!(mended.contains("differs in 1 of its parts"), "{mended}");
    bench.command(&["verify"]).ok();
    assert_eq!(bench.value("SELECT max(epoch) FROM ops.epochs"), 2);
}

#[test]
fn a_table_that_was_thrown_away_is_built_and_published_again() {
    let bench = Bench::new();
    first_load(&bench);
    for number in 90..93 {
        bench.land(&format!("{number}.json"), of_new_day(number));
        bench.run();
    }
    let before = bench.content("gold.conversions");
    for table in ["gold/conversions", "silver/visit_count"] {
        fs::remove_dir_all(bench.path("lake").join(table)).unwrap();
    }
    let report = bench.run();
    assert_eq!(entry(&report, "gold.conversions")["reason"], "there was no such table");
    assert_eq!(report["epoch"], 5);
    assert_eq!(bench.content("gold.conversions"), before);
    bench.command(&["verify"]).ok();
}

#[test]
fn a_file_that_changed_is_landed_anew_and_said_to_be() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string() + "\n");
    bench.run();
    bench.land("a.json", format!("{}\n{}\n", session(2), session(1)));
    assert!(bench.command(&["plan"]).ok().contains("1 rewritten"));
    let text = bench.command(&["run"]).ok();
    assert!(text.contains("bronze.web_sessions: 1 rewritten"), "{text}");
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 3);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 2);
    bench.command(&["verify"]).ok();
}
