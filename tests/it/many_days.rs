//! Records that are spread over many days: few files, the same answers.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use chrono::{Days, NaiveDate};
use clickwatch::error::Kind;
use clickwatch::lake::{Change, Lake, Layout, Removal, Snapshot, TableSpec, Wanted, Written};
use datafusion::common::ScalarValue;
use serde_json::Value;

use crate::support::{Bench, MODELS, entry, session};

const DAYS: i32 = 400;
/// The tables that are separated by day and hold all of these days.
const MANY_DAYS: [&str; 4] =
    ["silver.sessions", "silver.final_cookies", "gold.journeys", "gold.user_page_engagement"];

/// One session of `number` on the day that is so many days after the first.
fn session_on(day: i32, number: u64) -> String {
    let first = NaiveDate::from_ymd_opt(2023, 1, 1).unwrap();
    let day = first + Days::new(day.unsigned_abs().into());
    let mut session = session(number);
    session["timestamp"] = format!("{day}T10:00:00Z").into();
    session["events"] = Value::Array(Vec::new());
    format!("{session}\n")
}

#[test]
fn a_record_a_day_for_many_days_makes_few_files() {
    let bench = Bench::new();
    let lines: String = (0..DAYS).zip(0..).map(|(day, number)| session_on(day, number)).collect();
    bench.land("a.ndjson", lines);
    bench.run();
    let listing = bench.command(&["tables", "list", "--format", "json"]).ok();
    let listing: Vec<Value> = serde_json::from_str(&listing).unwrap();
    for table in MODELS {
        let row = listing.iter().find(|row| row["table"] == table).unwrap();
        // A table of few days keeps a file for each.
        assert!(row["files"].as_u64().unwrap() <= 128, "{row}");
        if MANY_DAYS.contains(&table) {
            assert!(row["files"].as_u64().unwrap() <= 16, "{row}");
        }
    }
    let days = "SELECT count(*) FROM (SELECT session_date FROM gold.return_visitors \
        GROUP BY session_date HAVING sum(sessions) = 1)";
    assert_eq!(bench.value(days), DAYS);
    // A late session belongs to a day in the middle, and only that day is computed anew.
    bench.land("b.ndjson", session_on(200, 10_000));
    let report = bench.run();
    assert_eq!(entry(&report, "silver.sessions")["strategy"], "upsert");
    assert_eq!(entry(&report, "gold.return_visitors")["strategy"], "recompute");
    assert_eq!(bench.value(days), DAYS - 1);
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), DAYS + 1);
    bench.command(&["verify"]).ok();
    // Merging files keeps to the layout, and a rebuild finds the same rows.
    let before = bench.content("silver.sessions");
    bench.command(&["tables", "compact", "silver.sessions"]).ok();
    bench.command(&["run", "--full-refresh"]).ok();
    assert_eq!(bench.content("silver.sessions"), before);
    bench.command(&["verify"]).ok();
}

/// So many rows of each day.
fn rows(days: std::ops::Range<i32>, rows_a_day: i64) -> RecordBatch {
    let each = || days.clone().flat_map(move |day| (0..rows_a_day).map(move |row| (day, row)));
    let day: ArrayRef = Arc::new(each().map(|(day, _)| Some(day)).collect::<Date32Array>());
    let row: ArrayRef = Arc::new(each().map(|(_, row)| Some(row)).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([("day", day, true), ("n", row, true)]).unwrap()
}

fn spec() -> TableSpec {
    TableSpec {
        name: "gold.t".parse().unwrap(),
        schema: rows(0..1, 1).schema(),
        partition_by: vec!["day".to_owned()],
        description: String::new(),
        fingerprint: String::new(),
    }
}

/// Writes `batches`, each with a sink of its own.
async fn written(layout: &Layout, batches: &[RecordBatch]) -> Written {
    let mut written = Written::default();
    for batch in batches {
        let mut sink = layout.sink().unwrap();
        sink.write(batch).await.unwrap();
        written.merge(sink.close().await.unwrap());
    }
    written.merge(layout.finish().await.unwrap());
    written
}

/// Commits `batches` in place of all rows, or beside those of `base`; gives the table afterwards.
async fn commit(lake: &Lake, base: Option<&Snapshot>, batches: &[RecordBatch]) -> Snapshot {
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
    let written = written(&lake.layout(&spec(), base, rows), batches).await;
    let newest = lake.snapshot(&spec().name).await.unwrap();
    let removal = if base.is_none() { Removal::Everything } else { Removal::Nothing };
    assert_eq!(written.rows, rows);
    let change = Change { adds: written.adds, removal, ..Change::default() };
    lake.commit(&spec(), newest.as_ref(), change).await.unwrap();
    lake.snapshot(&spec().name).await.unwrap().unwrap()
}

#[test]
fn a_table_keeps_its_layout_until_it_is_written_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::at(directory.path().to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // No sink sees many days, all together do.
        let few = [rows(0..100, 2), rows(100..200, 2), rows(150..DAYS, 1)];
        let small = commit(&lake, None, &few).await;
        assert_eq!((small.size().0, small.rows()), (1, Some(650)));
        assert!(small.partition_by().is_empty() && !small.has_outgrown_layout());
        let day =
            |day| Wanted { column: "day".to_owned(), values: vec![ScalarValue::Date32(Some(day))] };
        let more = commit(&lake, Some(&small), &[rows(DAYS..DAYS + 1, 4_000)]).await;
        assert_eq!(more.size().0, 2);
        assert!(more.partition_by().is_empty() && more.has_outgrown_layout());
        // The bounds in the log tell where a day is.
        assert_eq!(more.files_where(&[day(7)]).unwrap().len(), 1);
        assert_eq!(more.files_where(&[day(DAYS)]).unwrap().len(), 1);
        assert!(more.files_where(&[day(DAYS + 1)]).unwrap().is_empty());
        // Files of the other layout do not get in.
        let mut sink = lake.sink(&spec()).unwrap();
        sink.write(&rows(0..1, 1)).await.unwrap();
        let adds = sink.close().await.unwrap().adds;
        let mixed = lake.commit(&spec(), Some(&more), Change { adds, ..Change::default() }).await;
        assert_eq!(mixed.unwrap_err().kind(), Kind::Bug);
        let large = commit(&lake, None, &[rows(0..150, 300), rows(150..160, 1)]).await;
        assert_eq!((large.size().0, large.rows()), (160, Some(150 * 300 + 10)));
        assert_eq!(large.partition_by(), ["day"]);
        assert!(!large.has_outgrown_layout());
        let kept = commit(&lake, Some(&large), &[rows(160..161, 1)]).await;
        assert_eq!(kept.size().0, 161);
    });
}

#[test]
fn the_first_rows_of_a_large_table_do_not_make_its_days_small() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::at(directory.path().to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let is_separated = |written: &Written| !written.adds[0].partition_values.is_empty();
        let first = [rows(0..700, 200)];
        assert!(!is_separated(&written(&lake.layout(&spec(), None, 140_000), &first).await));
        assert!(is_separated(&written(&lake.layout(&spec(), None, 100_000_000), &first).await));
    });
}

#[test]
fn more_rows_than_are_looked_at_are_laid_out_alike_by_all_sinks() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::at(directory.path().to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The first sink is closed before it has seen enough, the second decides, the third keeps to it.
        let batches = [rows(0..10, 2), rows(0..2_000, 70), rows(0..10, 1)];
        let table = commit(&lake, None, &batches).await;
        assert!(table.partition_by().is_empty());
        assert_eq!(table.rows(), Some(20 + 140_000 + 10));
        assert!(table.size().0 <= 6, "{:?}", table.size());
        // What is sorted leaves most files closed.
        let wanted =
            Wanted { column: "day".to_owned(), values: vec![ScalarValue::Date32(Some(1_500))] };
        assert_eq!(table.files_where(&[wanted]).unwrap().len(), 1);
    });
}
