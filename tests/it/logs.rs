//! Tables whose log is broken, foreign or from the past: what is said of them, and that nobody takes
//! them for what they are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use clickwatch::error::{Error, Kind};
use clickwatch::lake::{At, Change, Lake, Snapshot, TableSpec};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::copy;

/// A table of numbers in a lake of its own.
struct Table {
    directory: TempDir,
    lake: Lake,
    spec: TableSpec,
}

impl Table {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::at(directory.path().to_str().unwrap()).unwrap(),
            directory,
            spec: TableSpec {
                name: "silver.t".parse().unwrap(),
                schema: numbers(0).schema(),
                partition_by: Vec::new(),
                description: String::new(),
                fingerprint: "made".to_owned(),
            },
        }
    }

    /// A table with so many commits of three numbers each.
    async fn of(commits: i64) -> Self {
        let table = Self::new();
        for commit in 0..commits {
            table.append(commit).await;
        }
        table
    }

    /// Commits three numbers.
    async fn append(&self, from: i64) {
        let mut sink = self.lake.sink(&self.spec).unwrap();
        sink.write(&numbers(from)).await.unwrap();
        let change = Change { adds: sink.close().await.unwrap().adds, ..Change::default() };
        let base = self.lake.snapshot(&self.spec.name).await.unwrap();
        self.lake.commit(&self.spec, base.as_ref(), change).await.unwrap();
    }

    async fn newest(&self) -> Snapshot {
        self.lake.snapshot(&self.spec.name).await.unwrap().unwrap()
    }

    /// Why the table cannot be read at `at`.
    async fn fault(&self, at: At) -> Error {
        self.lake.snapshot_at(&self.spec.name, at).await.unwrap_err()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("silver/t")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.path().join("_delta_log").join(name)
    }

    fn commit(&self, version: u64) -> PathBuf {
        self.log(&format!("{version:020}.json"))
    }

    /// Commits `actions` as another program would.
    fn commit_by_hand(&self, version: u64, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        fs::write(self.commit(version), lines.join("\n")).unwrap();
    }

    /// The first action of `kind` in a commit.
    fn action(&self, version: u64, kind: &str) -> Value {
        let text = fs::read_to_string(self.commit(version)).unwrap();
        let mut actions = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        actions.find(|action| action.get(kind).is_some()).unwrap()
    }

    /// The names of the checkpoints.
    fn checkpoints(&self) -> Vec<String> {
        let names = fs::read_dir(self.log("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".checkpoint.parquet")).collect()
    }
}

fn numbers(from: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new((from..from + 3).map(Some).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
}

fn info(more: &Value) -> Value {
    let mut info = json!({"timestamp": 1_700_000_000_000_i64, "operation": "WRITE",
        "engineInfo": "Another-Engine/1.0"});
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "commitInfo": info })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

type Break = fn(&Table);

#[test]
fn a_broken_log_says_which_file_and_what_kind_of_fault() {
    let cut = |table: &Table| {
        let text = fs::read(table.commit(1)).unwrap();
        fs::write(table.commit(1), &text[..text.len() / 2]).unwrap();
    };
    let line = |table: &Table| {
        let text = fs::read_to_string(table.commit(1)).unwrap();
        fs::write(table.commit(1), format!("{text}\n{{\"add\": nonsense}}")).unwrap();
    };
    let empty = |table: &Table| fs::write(table.commit(2), "").unwrap();
    let gone = |table: &Table| fs::remove_file(table.commit(1)).unwrap();
    let beginning = |table: &Table| fs::remove_file(table.commit(0)).unwrap();
    let future = |table: &Table| {
        let protocol = json!({"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}});
        table.commit_by_hand(3, &[protocol]);
    };
    let feature = |table: &Table| {
        let protocol = json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["fromTheFuture"], "writerFeatures": ["fromTheFuture"]}});
        table.commit_by_hand(3, &[protocol]);
    };
    let faults: [(&str, Break, Kind, &str); 7] = [
        ("cut", cut, Kind::Data, "00001.json"),
        ("line", line, Kind::Data, "00001.json"),
        ("empty", empty, Kind::Data, "00002.json"),
        ("gone", gone, Kind::Data, "00001.json"),
        ("beginning", beginning, Kind::Data, "00000.json"),
        ("future", future, Kind::Invalid, "reader_version=`9`"),
        ("feature", feature, Kind::Invalid, "reader_version=`3`"),
    ];
    run(async {
        for (name, break_it, kind, place) in faults {
            let table = Table::of(3).await;
            break_it(&table);
            let error = table.fault(At::Latest).await;
            assert_eq!(error.kind(), kind, "{name}: {}", error.render());
            let said = error.to_string();
            assert!(said.contains("silver.t") && said.contains(place), "{name}: {said}");
        }
    });
}

#[test]
fn only_a_version_that_is_not_there_is_missing() {
    run(async {
        let table = Table::of(3).await;
        assert_eq!(table.fault(At::Version(3)).await.kind(), Kind::Missing);
        fs::write(table.commit(1), "{").unwrap();
        assert_eq!(table.fault(At::Version(1)).await.kind(), Kind::Data);
        assert_eq!(table.fault(At::Version(2)).await.kind(), Kind::Data);
        assert_eq!(table.fault(At::Version(9)).await.kind(), Kind::Missing);
        let before = table.lake.snapshot_at(&table.spec.name, At::Version(0)).await.unwrap();
        assert_eq!(before.unwrap().rows(), Some(3), "what came before the fault can be read");
        fs::remove_dir_all(table.path()).unwrap();
        let gone = table.lake.snapshot_at(&table.spec.name, At::Version(0)).await.unwrap();
        assert!(gone.is_none());
    });
}

#[test]
fn a_log_that_was_cleaned_up_needs_its_checkpoint() {
    run(async {
        let table = Table::of(25).await;
        let checkpoints = table.checkpoints();
        assert_eq!(checkpoints.len(), 1);
        let checkpoint = &checkpoints[0];
        let oldest: u64 = checkpoint.split('.').next().unwrap().parse().unwrap();
        for version in 0..oldest {
            fs::remove_file(table.commit(version)).unwrap();
        }
        assert_eq!(table.newest().await.rows(), Some(75));
        assert_eq!(table.fault(At::Version(2)).await.kind(), Kind::Missing);
        let whole = fs::read(table.log(checkpoint)).unwrap();
        fs::write(table.log(checkpoint), &whole[..whole.len() / 3]).unwrap();
        let broken = table.fault(At::Latest).await;
        assert_eq!(broken.kind(), Kind::Data, "{}", broken.render());
        assert!(broken.to_string().contains(checkpoint), "{broken}");
        fs::remove_file(table.log(checkpoint)).unwrap();
        let gone = table.fault(At::Latest).await;
        assert_eq!(gone.kind(), Kind::Data, "{}", gone.render());
    });
}

#[test]
fn a_table_without_permission_is_denied_and_not_left_out() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path().join("lake");
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(directory.path(), 0o755);
    let program = directory.path().join("clickwatch");
    fs::copy(env!("CARGO_BIN_EXE_clickwatch"), &program).unwrap();
    run(async {
        let table = Table::of(1).await;
        copy(table.directory.path(), &lake);
    });
    let of_table = lake.join("silver/t");
    // The superuser may read everything, so it is nobody who tries.
    set_mode(&of_table, 0o500);
    let is_superuser = fs::write(of_table.join("probe"), "").is_ok();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).arg("--lake").arg(&lake).arg("--project").arg(directory.path());
        if is_superuser {
            command.uid(65534).gid(65534).current_dir("/");
        }
        let ended = command.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let log = of_table.join("_delta_log");
    let commit = log.join("00000000000000000000.json");
    for (place, mode) in [(&of_table, 0), (&log, 0), (&log, 0o444), (&commit, 0)] {
        let before = fs::metadata(place).unwrap().permissions();
        set_mode(&of_table, 0o755);
        set_mode(place, mode);
        for arguments in [&["tables", "list"][..], &["tables", "describe", "silver.t"]] {
            let (code, err) = command(arguments);
            assert_eq!(code, Some(3), "{arguments:?} with {place:?} of mode {mode:o}: {err}");
            assert!(err.contains("Permission denied"), "{err}");
        }
        fs::set_permissions(place, before).unwrap();
    }
    set_mode(&of_table, 0o755);
}

#[test]
fn commits_of_others_are_told_from_ours() {
    run(async {
        let table = Table::of(2).await;
        let mut add = table.action(1, "add");
        let file = table.path().join(add["add"]["path"].as_str().unwrap());
        fs::copy(&file, table.path().join("foreign.parquet")).unwrap();
        add["add"]["path"] = "foreign.parquet".into();
        let mut moved = add.clone();
        moved["add"]["dataChange"] = false.into();
        table.commit_by_hand(2, &[info(&json!({"userName": "ann"})), add.clone()]);
        table.commit_by_hand(3, &[info(&json!({"operation": "OPTIMIZE"})), moved]);
        table.commit_by_hand(4, &[info(&json!({"operation": "VACUUM START"}))]);
        // Metadata that names our own fingerprint makes nobody one of us.
        let metadata = table.action(0, "metaData");
        assert!(metadata.to_string().contains("clickwatch.fingerprint"));
        table.commit_by_hand(5, &[metadata, add]);
        table.append(9).await;
        let newest = table.newest().await;
        assert_eq!(newest.version(), 6);
        let foreign = newest.foreign_since(0).await.unwrap();
        let versions: Vec<u64> = foreign.iter().map(|commit| commit.version).collect();
        assert_eq!(versions, [2, 5]);
        assert_eq!(foreign[0].operation.as_deref(), Some("WRITE"));
        assert_eq!(foreign[0].engine.as_deref(), Some("Another-Engine/1.0"));
        assert_eq!(foreign[0].user.as_deref(), Some("ann"));
        assert!(foreign[0].committed_at.is_some() && foreign[1].operation.is_none());
        fs::remove_file(table.commit(4)).unwrap();
        assert!(newest.foreign_since(5).await.unwrap().is_empty());
        assert_eq!(newest.foreign_since(3).await.unwrap().len(), 2, "nobody knows who made 4");
    });
}

#[test]
fn a_commit_of_another_history_has_another_mark() {
    run(async {
        let table = Table::of(2).await;
        let backup = table.directory.path().join("backup");
        copy(&table.path(), &backup);
        table.append(10).await;
        let before = table.newest().await.commit_mark().await.unwrap();
        fs::remove_dir_all(table.path()).unwrap();
        copy(&backup, &table.path());
        table.append(10).await;
        let after = table.newest().await;
        assert_eq!(after.version(), 2);
        assert!(before.is_some());
        assert_ne!(after.commit_mark().await.unwrap(), before);
        assert_eq!(
            table.newest().await.commit_mark().await.unwrap(),
            after.commit_mark().await.unwrap()
        );
        assert!(after.mark_of(1).await.unwrap().is_some());
        fs::remove_file(table.commit(1)).unwrap();
        assert_eq!(after.mark_of(1).await.unwrap(), None);
    });
}

#[test]
fn the_history_keeps_to_its_versions_whatever_others_commit() {
    run(async {
        let table = Table::of(2).await;
        table.commit_by_hand(2, &[table.action(1, "add")]);
        table.append(9).await;
        let third = table.lake.snapshot_at(&table.spec.name, At::Version(2)).await;
        let entries = third.unwrap().unwrap().history(2).await.unwrap();
        let seen: Vec<_> =
            entries.iter().map(|one| (one.version, one.operation.as_str())).collect();
        assert_eq!(seen, [(Some(2), ""), (Some(1), "WRITE")]);
    });
}
