//! Merging files beside those who write to the same table: nothing is doubled, nothing lost.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use clickwatch::error::Kind;
use clickwatch::lake::{Change, DataFile, Lake, Removal, Snapshot, TableSpec, Written};

use crate::support::{Bench, entry, session};

fn numbers(from: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new((from..from + 3).map(Some).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
}

struct Table {
    lake: Lake,
    spec: TableSpec,
}

impl Table {
    async fn write(&self, from: i64) -> Written {
        let mut sink = self.lake.sink(&self.spec).unwrap();
        sink.write(&numbers(from)).await.unwrap();
        sink.close().await.unwrap()
    }

    async fn newest(&self) -> Snapshot {
        self.lake.snapshot(&self.spec.name).await.unwrap().unwrap()
    }

    /// Commits new rows in place of `files`.
    async fn replace(
        &self,
        base: &Snapshot,
        files: Vec<DataFile>,
        is_rearrangement: bool,
    ) -> Result<(), Kind> {
        let removal = if files.is_empty() { Removal::Nothing } else { Removal::Files(files) };
        let adds = self.write(100).await.adds;
        let change = Change { adds, removal, is_rearrangement, ..Change::default() };
        let committed = self.lake.commit(&self.spec, Some(base), change).await;
        committed.map(drop).map_err(|e| e.kind())
    }
}

#[test]
fn files_that_were_merged_meanwhile_do_not_go_twice() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let table = Table {
            lake: Lake::at(directory.path().to_str().unwrap()).unwrap(),
            spec: TableSpec {
                name: "silver.t".parse().unwrap(),
                schema: numbers(0).schema(),
                partition_by: Vec::new(),
                description: String::new(),
                fingerprint: String::new(),
            },
        };
        let adds = table.write(0).await.adds;
        let first = Change { adds, ..Change::default() };
        table.lake.commit(&table.spec, None, first).await.unwrap();
        let base = table.newest().await;
        table.replace(&base, Vec::new(), false).await.unwrap();
        // Two that merge, one that rewrites and one that rebuilds have all seen the same two files.
        let seen = table.newest().await;
        let files = seen.files().unwrap();
        assert_eq!(files.len(), 2);
        table.replace(&seen, files.clone(), true).await.unwrap();
        for is_rearrangement in [true, false] {
            let late = table.replace(&seen, files.clone(), is_rearrangement).await;
            assert_eq!(late, Err(Kind::Conflict));
        }
        let everything = Change { removal: Removal::Everything, ..Change::default() };
        let late = table.lake.commit(&table.spec, Some(&seen), everything).await;
        assert_eq!(late.map(drop).map_err(|e| e.kind()), Err(Kind::Conflict));
        // Who only adds is not bothered.
        table.replace(&seen, Vec::new(), false).await.unwrap();
        assert_eq!(table.newest().await.files().unwrap().len(), 2);
    });
}

#[test]
fn merging_twice_changes_nothing_the_second_time_and_nor_does_a_run_after_it() {
    let bench = Bench::new();
    for part in 0..4 {
        let lines = (part * 30..part * 30 + 30).map(|number| format!("{}\n", session(number)));
        bench.land(&format!("{part}.json"), lines.collect::<String>());
        bench.run();
    }
    let contents = ["silver.sessions", "gold.journeys", "gold.funnel"];
    let before = contents.map(|table| bench.content(table));
    bench.command(&["tables", "compact"]).ok();
    let merged = bench.versions();
    bench.command(&["tables", "compact"]).ok();
    assert_eq!(bench.versions(), merged, "there is nothing left to merge");
    let epochs = "SELECT max(epoch) FROM ops.epochs";
    let published = bench.value(epochs);
    let out = bench.command(&["run"]).ok();
    assert!(out.contains("nothing new: no table has a new version"), "{out}");
    let own = |versions: Vec<(String, u64)>| {
        versions.into_iter().filter(|(table, _)| !table.starts_with("ops.")).collect::<Vec<_>>()
    };
    assert_eq!(own(bench.versions()), own(merged), "no table has a new version");
    assert_eq!(bench.value(epochs), published, "and no epoch is published");
    assert_eq!(contents.map(|table| bench.content(table)), before);
    bench.land("late.json", session(500).to_string());
    let report = bench.run();
    assert_eq!(entry(&report, "silver.final_cookies")["strategy"], "upsert");
    bench.command(&["verify"]).ok();
}
