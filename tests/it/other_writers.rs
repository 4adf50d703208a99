//! Tables that somebody else wrote to, or that were restored from a backup: noticed, said, and neither
//! built upon nor published.

use std::fs;
use std::path::PathBuf;

use arrow::array::{ArrayRef, AsArray as _, Float64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::support::{Bench, copy, entry, session};

/// The log of a table, as another program sees it.
struct Foreign(PathBuf);

impl Foreign {
    fn of(bench: &Bench, table: &str) -> Self {
        Self(bench.path("lake").join(table.replace('.', "/")))
    }

    fn commits(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("_delta_log")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut commits: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        commits.sort();
        commits
    }

    /// The last file that was added to the table, as its commit says it.
    fn last_add(&self) -> Value {
        let mut adds = Vec::new();
        for commit in self.commits() {
            for line in fs::read_to_string(commit).unwrap().lines() {
                let action: Value = serde_json::from_str(line).unwrap();
                adds.extend(action.get("add").cloned());
            }
        }
        adds.pop().unwrap()
    }

    /// Commits `actions` as the next version.
    fn commit(&self, actions: &[Value]) {
        let info = json!({"commitInfo": {"timestamp": 1_700_000_000_000_i64,
            "operation": "WRITE", "engineInfo": "another program"}});
        let lines: String =
            [info].iter().chain(actions).map(|action| format!("{action}\n")).collect();
        let version = self.commits().len();
        fs::write(self.0.join(format!("_delta_log/{version:020}.json")), lines).unwrap();
    }

    /// Adds the rows of the last file a second time.
    fn append(&self) {
        let mut add = self.last_add();
        let path = add["path"].as_str().unwrap().to_owned();
        let copy = format!("{path}-copy.parquet");
        fs::copy(self.0.join(&path), self.0.join(&copy)).unwrap();
        add["path"] = copy.into();
        self.commit(&[json!({ "add": add })]);
    }
}

fn land(bench: &Bench, name: &str, numbers: std::ops::Range<u64>) {
    let lines: String = numbers.map(|number| format!("{}\n", session(number))).collect();
    bench.land(name, lines);
}

fn epochs(bench: &Bench) -> Value {
    bench.value("SELECT count(DISTINCT epoch) FROM ops.epochs")
}

#[test]
fn foreign_rows_are_neither_published_nor_built_upon_until_a_repair() {
    for table in ["gold.conversions", "silver.sessions"] {
        let bench = Bench::new();
        land(&bench, "a.json", 0..40);
        bench.run();
        let (before, published) = (bench.content(table), epochs(&bench));
        Foreign::of(&bench, table).append();
        for _ in 0..2 {
            let ended = bench.command(&["run"]);
            assert_eq!(ended.code, 4, "{table}: {}", ended.err);
            assert!(ended.err.contains("another program wrote to the table"), "{}", ended.err);
            assert!(ended.err.contains(table) && ended.err.contains("verify --repair"));
            assert_eq!(epochs(&bench), published, "{table}");
            assert_eq!(bench.content(table), before, "what is published stays as it was");
        }
        land(&bench, "b.json", 40..60);
        assert_eq!(bench.command(&["run"]).code, 4, "new records do not settle it");
        assert_eq!(bench.command(&["verify", table]).code, 4);
        bench.command(&["verify", "--repair", table]).ok();
        bench.run();
        bench.command(&["verify"]).ok();
        assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 60);
        assert_eq!(bench.command(&["run"]).code, 0);
    }
}

#[test]
fn foreign_rows_in_bronze_can_be_taken_over_and_all_is_built_anew() {
    let bench = Bench::new();
    land(&bench, "a.json", 0..40);
    bench.run();
    Foreign::of(&bench, "bronze.web_sessions").append();
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert!(ended.err.contains("--accept-foreign bronze.web_sessions"), "{}", ended.err);
    let wrong = bench.command(&["run", "--accept-foreign", "gold.funnel"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    let accepting = ["run", "--format", "json", "--accept-foreign", "bronze.web_sessions"];
    let report: Value = serde_json::from_str(&bench.command(&accepting).ok()).unwrap();
    let report = &report["pipelines"][0];
    assert_eq!(entry(report, "silver.sessions")["strategy"], "full");
    assert!(
        entry(report, "silver.sessions")["reason"].as_str().unwrap().contains("another program")
    );
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 80);
    // They are the same records once more, and a record keeps all of its rows.
    let sessions = "SELECT count(DISTINCT session_id) FROM silver.sessions";
    assert_eq!(bench.value(sessions), 40);
    land(&bench, "b.json", 40..50);
    bench.run();
    bench.command(&["verify"]).ok();
}

#[test]
fn files_that_another_program_only_merged_are_no_foreign_rows() {
    let bench = Bench::new();
    land(&bench, "a.json", 0..40);
    bench.run();
    let foreign = Foreign::of(&bench, "gold.conversions");
    let mut add = foreign.last_add();
    let path = add["path"].as_str().unwrap().to_owned();
    let merged = format!("{path}-merged.parquet");
    fs::copy(foreign.0.join(&path), foreign.0.join(&merged)).unwrap();
    let remove = json!({"remove": {"path": path, "dataChange": false, "deletionTimestamp": 0,
        "extendedFileMetadata": true, "partitionValues": add["partitionValues"],
        "size": add["size"]}});
    (add["path"], add["dataChange"]) = (merged.into(), false.into());
    foreign.commit(&[remove, json!({ "add": add })]);
    land(&bench, "b.json", 40..50);
    bench.run();
    bench.command(&["verify"]).ok();
}

#[test]
fn a_table_that_was_restored_from_a_backup_is_not_taken_for_known() {
    let bench = Bench::new();
    let table = bench.path("lake/silver/sessions");
    land(&bench, "a.json", 0..50);
    bench.run();
    copy(&table, &bench.path("backup"));
    land(&bench, "b.json", 50..100);
    bench.run();
    fs::remove_dir_all(&table).unwrap();
    copy(&bench.path("backup"), &table);
    land(&bench, "c.json", 100..150);
    let report = bench.run();
    let reason = entry(&report, "silver.final_cookies")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("silver.sessions is not what it was at version"), "{reason}");
    for count in [
        "SELECT count(*) FROM silver.sessions",
        "SELECT count(DISTINCT session_id) FROM silver.final_cookies",
        "SELECT sum(sessions) FROM gold.utm_attribution",
        "SELECT count(*) FROM gold.journeys",
    ] {
        assert_eq!(bench.value(count), 150, "{count}");
    }
    bench.command(&["verify"]).ok();
    // The same without anything new to land: what the backup lacked is built again.
    fs::remove_dir_all(&table).unwrap();
    copy(&bench.path("backup"), &table);
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 150);
    bench.command(&["verify"]).ok();
}

/// A click on which something took so long.
fn click(id: &str, duration: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"user_id\":\"u\",\"timestamp\":\"2025-07-01T00:00:00Z\",\
         \"elementTag\":\"A\",\"elementId\":\"e\",\"url\":\"https://x.example/p\",\
         \"duration\":{duration}}}\n"
    )
}

#[test]
fn numbers_without_a_finite_sum_are_no_difference() {
    let bench = Bench::of_clicks();
    let clicks = ["1e308", "1e308", "1e400", "-1e308", "1e308", "5e-324", "-0.0", "0.0"];
    let clicks = clicks.iter().enumerate().map(|(id, duration)| click(&format!("c{id}"), duration));
    bench.land("a.json", clicks.collect::<String>());
    bench.run();
    bench.command(&["verify"]).ok();
    bench.command(&["verify", "silver.click_events"]).ok();
}

#[test]
fn a_changed_number_is_found_however_large_its_neighbours_are() {
    let bench = Bench::of_clicks();
    bench.land("a.json", click("a", "1e15") + &click("b", "5.0") + &click("c", "6.5"));
    bench.run();
    bench.command(&["verify", "silver.click_events"]).ok();
    let foreign = Foreign::of(&bench, "silver.click_events");
    let mut add = foreign.last_add();
    let path = add["path"].as_str().unwrap().to_owned();
    let (file, other) = (foreign.0.join(&path), format!("{path}-other.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&file).unwrap()).unwrap();
    let schema = std::sync::Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let rows = concat_batches(&schema, &batches).unwrap();
    let index = schema.index_of("duration_seconds").unwrap();
    let durations = rows.column(index).as_primitive::<Float64Type>();
    let durations =
        durations.iter().map(|one| one.map(|one| if one < 6.0 { 400_000.0 } else { one }));
    let mut columns = rows.columns().to_vec();
    columns[index] = std::sync::Arc::new(durations.collect::<Float64Array>()) as ArrayRef;
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let created = fs::File::create(foreign.0.join(&other)).unwrap();
    let mut writer = ArrowWriter::try_new(created, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let size = fs::metadata(foreign.0.join(&other)).unwrap().len();
    let remove = json!({"remove": {"path": path, "dataChange": true, "deletionTimestamp": 0,
        "extendedFileMetadata": true, "partitionValues": add["partitionValues"],
        "size": add["size"]}});
    (add["path"], add["size"]) = (other.into(), size.into());
    foreign.commit(&[remove, json!({ "add": add })]);
    let ended = bench.command(&["verify", "silver.click_events"]);
    assert_eq!(ended.code, 4, "{}", ended.out);
    assert!(ended.out.contains("differs in 1 of its parts"), "{}", ended.out);
}
