//! A project of one source and nothing else.

use std::fs;

use serde_json::Value;

use crate::support::Bench;

/// The source `t`, whose files are in `in`.
pub(crate) struct OneSource(Bench);

/// What did not become a row.
#[derive(Debug, PartialEq)]
pub(crate) struct Rejected {
    pub position: u64,
    pub bytes: Vec<u8>,
    pub reason: String,
}

impl OneSource {
    /// A source with these `options` in its section, and a table of these `columns`.
    pub(crate) fn new(options: &str, columns: &str) -> Self {
        let bench = Bench::bare();
        fs::create_dir(bench.path("in")).unwrap();
        // What becomes of each record is looked at, not of how many.
        let limit = "[source.t]\nmax-quarantined = \"100%\"\n";
        let section = format!("{limit}[source.t.files]\npath = \"in\"\n{options}\n");
        fs::write(bench.path("pipelines/p.toml"), section).unwrap();
        let table = format!("CREATE TABLE t ({columns})");
        fs::write(bench.path("sql/bronze/t.sql"), table).unwrap();
        Self(bench)
    }

    /// Adds a file.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.path("in").join(name), content).unwrap();
        self
    }

    /// Lands the files.
    #[track_caller]
    pub(crate) fn landed(self) -> Self {
        self.0.run();
        self
    }

    /// What a run says that must fail.
    #[track_caller]
    pub(crate) fn refused(&self) -> String {
        let ended = self.0.command(&["run"]);
        assert_ne!(ended.code, 0, "{}", ended.out);
        ended.err
    }

    /// These columns of all rows, in the order of the files.
    #[track_caller]
    pub(crate) fn rows(&self, columns: &[&str]) -> Vec<Value> {
        let list = columns.join(", ");
        let sql = format!("SELECT {list} FROM bronze.t ORDER BY _source, _position");
        let row = |row: Value| {
            columns.iter().map(|column| row[column.trim_matches('"')].clone()).collect()
        };
        self.0.query(&sql).into_iter().map(row).collect()
    }

    /// What was rescued of each row, in the order of the files: paths, values and reasons.
    #[track_caller]
    pub(crate) fn rescued(&self) -> Vec<Value> {
        let parse = |row: Value| match row[0].as_str() {
            Some(text) => serde_json::from_str(text).unwrap(),
            None => Value::Null,
        };
        self.rows(&["_rescued"]).into_iter().map(parse).collect()
    }

    /// What is in quarantine, in the order of the files.
    #[track_caller]
    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        let rows = self.0.query(
            "SELECT _position, encode(record, 'hex') AS hex, reason FROM ops.quarantine \
             ORDER BY _source, _position",
        );
        let read = |row: Value| {
            let hex = row["hex"].as_str().unwrap();
            let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            Rejected {
                position: row["_position"].as_u64().unwrap(),
                bytes: (0..hex.len()).step_by(2).map(digits).collect(),
                reason: row["reason"].as_str().unwrap().to_owned(),
            }
        };
        rows.into_iter().map(read).collect()
    }
}
