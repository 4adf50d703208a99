//! The commands as a user meets them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Bench, session};

#[test]
fn sql_prints_every_format() {
    let bench = Bench::filled();
    let sql = "SELECT session_date, visitors, returning_rate > 2 AS odd, CAST(NULL AS TEXT) AS nothing \
               FROM return_visitors ORDER BY session_date LIMIT 1";
    let row = json!({"session_date": "2025-07-01", "visitors": 4, "odd": false, "nothing": null});
    assert_eq!(bench.query(sql), [row]);
    assert_eq!(
        bench.command(&["sql", "--format", "csv", sql]).ok(),
        "session_date,visitors,odd,nothing\n2025-07-01,4,false,\n"
    );
    let table = bench.command(&["sql", sql]).ok();
    assert!(table.contains("| 2025-07-01   |        4 | false | NULL    |"), "{table}");
    let none = "SELECT session_date FROM return_visitors WHERE false";
    assert_eq!(bench.command(&["sql", "--format", "csv", none]).ok(), "session_date\n");
    assert_eq!(bench.command(&["sql", "--format", "json", none]).ok(), "[]\n");
}

#[test]
fn a_table_for_people_is_cut_and_says_so() {
    let bench = Bench::filled();
    let ended = bench.command(&["sql", "--rows", "3", "SELECT session_id FROM silver.sessions"]);
    assert!(ended.err.contains("only the first 3 rows"), "{}", ended.err);
    assert_eq!(ended.out.lines().count(), 3 + 4 + 1);
    assert!(ended.out.ends_with("(the first 3 rows)\n"), "{}", ended.out);
}

#[test]
fn queries_come_from_files_too() {
    let bench = Bench::filled();
    let file = bench.path("query.sql");
    std::fs::write(&file, "SELECT count(*) AS n FROM silver.sessions").unwrap();
    assert_eq!(
        bench.command(&["sql", "--format", "csv", "-f", file.to_str().unwrap()]).ok(),
        "n\n20\n"
    );
    assert_eq!(bench.command(&["sql", "  "]).code, 2);
}

#[test]
fn several_queries_are_answered_in_their_order() {
    let bench = Bench::filled();
    let script = "SELECT ';' AS a; -- one; two\nSELECT 2 AS b;\n";
    let ended = bench.command(&["sql", "--format", "csv", "--timing", script]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.out, "a\n;\n\nb\n2\n");
    assert_eq!(ended.err.lines().filter(|line| line.starts_with("Time: ")).count(), 2);
    let ended = bench.command(&["sql", "SELECT 1 AS a;\nSELECT nothing FROM silver.sessions"]);
    assert_eq!(ended.code, 2);
    assert!(ended.out.contains("| 1 |"), "what comes before is answered: {}", ended.out);
    assert!(ended.err.contains("line=`2`"), "{}", ended.err);
    assert_eq!(bench.command(&["sql", "--format", "parquet", script]).code, 2);
}

#[test]
fn a_table_can_be_read_as_it_was() {
    let bench = Bench::filled();
    let version =
        bench.versions().into_iter().find(|(table, _)| table == "silver.sessions").unwrap().1;
    std::thread::sleep(std::time::Duration::from_millis(5));
    let then = clickwatch::runtime::now();
    std::thread::sleep(std::time::Duration::from_millis(5));
    bench.land("b.json", session(100).to_string());
    bench.run();
    let sql = "SELECT count(*) FROM silver.sessions";
    let count = |more: &[&str]| {
        let mut arguments = vec!["sql", "--format", "json", sql];
        arguments.extend(more);
        let rows: Vec<Value> = serde_json::from_str(&bench.command(&arguments).ok()).unwrap();
        rows[0]["count(*)"].as_u64().unwrap()
    };
    assert_eq!(count(&[]), 21);
    assert_eq!(count(&["--at-version", &format!("silver.sessions={version}")]), 20);
    assert_eq!(count(&["--at", &format!("silver.sessions={}", then.to_rfc3339())]), 20);
    for wrong in [
        ["--at-version", "silver.sessions=99"],
        ["--at", "silver.sessions=2001-01-01"],
        ["--at-version", "gold.conversions=0"],
        ["--at", "silver.sessions=yesterday"],
    ] {
        assert_eq!(bench.command(&["sql", sql, wrong[0], wrong[1]]).code, 2, "{wrong:?}");
    }
}

#[test]
fn tables_are_listed_described_and_traced() {
    let bench = Bench::filled();
    let listing: Vec<Value> =
        serde_json::from_str(&bench.command(&["tables", "list", "--format", "json"]).ok()).unwrap();
    let sessions = listing.iter().find(|row| row["table"] == "silver.sessions").unwrap();
    assert_eq!(sessions["rows"], 20);
    assert!(
        sessions["description"].as_str().unwrap().starts_with("One row per session"),
        "{sessions}"
    );
    let text = bench.command(&["tables", "describe", "silver.sessions"]).ok();
    assert!(text.contains("| events ") && text.contains("ARRAY<STRUCT<event_type TEXT"), "{text}");
    let csv = bench.command(&["tables", "history", "silver.sessions", "--format", "csv"]).ok();
    assert!(csv.contains("full,there was no such table"), "{csv}");
}

#[test]
fn init_writes_a_project_that_runs_and_refuses_a_full_directory() {
    let bench = Bench::new();
    let directory = bench.path("new");
    let path = directory.to_str().unwrap();
    bench.command(&["init", path]).ok();
    let lake = directory.join("lake");
    let mut out = Vec::new();
    let arguments = [
        "clickwatch",
        "run",
        "--format",
        "json",
        "--project",
        path,
        "--lake",
        lake.to_str().unwrap(),
    ];
    let code =
        clickwatch::cli::main_with(arguments.map(Into::into), &mut out, &mut std::io::sink());
    assert_eq!(code, 0);
    let report: Value = serde_json::from_slice(&out).unwrap();
    let bronze = &report["pipelines"][0]["sources"][0];
    assert!(
        bronze["records_quarantined"].as_u64().unwrap() > 0,
        "the sample shows quarantine at work"
    );
    let ended = bench.command(&["init", path]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("not empty"), "{}", ended.err);
}

#[test]
fn the_real_program_reads_standard_input_and_bears_a_closed_pipe() {
    let bench = Bench::filled();
    let program = env!("CARGO_BIN_EXE_clickwatch");
    let mut asked = Command::new(program)
        .args(["sql", "--format", "csv", "--lake"])
        .arg(bench.path("lake"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write as _;
    asked.stdin.take().unwrap().write_all(b"SELECT 40 + 2 AS answer").unwrap();
    assert_eq!(asked.wait_with_output().unwrap().stdout, b"answer\n42\n");
    let mut deaf = Command::new(program)
        .args(["sql", "--format", "csv", "SELECT * FROM generate_series(1, 3000000)", "--lake"])
        .arg(bench.path("lake"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(deaf.stdout.take());
    assert!(deaf.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_cleanly_and_the_next_goes_on() {
    let bench = Bench::new();
    let landing = bench.landing();
    bench.command(&["generate", "sessions", landing.to_str().unwrap(), "--count", "60000"]).ok();
    let mut running = Command::new(env!("CARGO_BIN_EXE_clickwatch"))
        .args(["run", "--project"])
        .arg(bench.path(""))
        .arg("--lake")
        .arg(bench.path("lake"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The batch is planned before any record is landed: from then on the run is under way.
    while !bench.path("lake/ops/batches/_delta_log/00000000000000000000.json").exists() {
        assert!(running.try_wait().unwrap().is_none(), "the run is over already");
    }
    let id = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = running.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert!(err.contains("stopped before the end, as asked"), "{err}");
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 60000);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 60000);
}
