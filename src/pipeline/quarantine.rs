//! `ops.quarantine`: what did not become a row, byte for byte, and why.

use arrow::array::RecordBatch;

use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Removal, Sink, TableSpec};
use crate::name::TableName;
use crate::source::Quarantined;

use super::Run;
use super::ledger::{Values, count, rows, spec, text};

/// The column that separates the table's files: what was rejected on the way into which table.
const TABLE: &str = "table_name";
/// Records that are written together.
const BYTES_AT_ONCE: usize = 16 << 20;
/// How much of a record is shown as text.
const SHOWN_BYTES: usize = 64 << 10;

/// One rejected record of any layer.
#[derive(Clone, Debug)]
pub(super) struct Rejected {
    /// The expectation that rejected it; nothing when it was no record at all.
    pub rule: Option<String>,
    pub reason: String,
    pub source: Option<String>,
    pub position: Option<i64>,
    pub batch: Option<i64>,
    /// The record itself.
    pub record: Vec<u8>,
}

impl Rejected {
    pub(super) fn of_source(record: Quarantined, batch: i64) -> Self {
        Self {
            rule: None,
            reason: record.reason,
            source: text(&record.file),
            position: count(record.position),
            batch: Some(batch),
            record: record.bytes,
        }
    }
}

/// The quarantine of one table during one run.
pub(super) struct Quarantine {
    spec: TableSpec,
    sink: Sink,
    table: TableName,
    pub(super) rejected: u64,
}

impl Run {
    /// A quarantine for what is rejected on the way into `table`.
    pub(super) fn quarantine(&self, table: &TableName) -> Result<Quarantine> {
        let mut spec = spec(
            "quarantine",
            "Records and rows that were rejected: their exact bytes, their place, the reason.",
            &self.columns(table, &[]),
        );
        spec.partition_by = vec![TABLE.to_owned()];
        Ok(Quarantine { sink: self.lake.sink(&spec)?, spec, table: table.clone(), rejected: 0 })
    }

    /// Writes rejected records; nobody sees them before they are committed.
    pub(super) async fn reject(
        &self,
        quarantine: &mut Quarantine,
        rejected: Vec<Rejected>,
    ) -> Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        quarantine.rejected += rejected.len() as u64;
        // A column holds 2 GiB at most, and a record may be half of that.
        let (mut start, mut bytes) = (0, 0);
        for (end, one) in (1..).zip(&rejected) {
            bytes += one.record.len();
            if bytes > BYTES_AT_ONCE || end == rejected.len() {
                let some = rejected.get(start..end).unwrap_or_default();
                let batch: RecordBatch =
                    rows(&quarantine.spec, self.columns(&quarantine.table, some))?;
                quarantine.sink.write(&batch).await?;
                (start, bytes) = (end, 0);
            }
        }
        Ok(())
    }

    fn columns(&self, table: &TableName, rejected: &[Rejected]) -> Vec<(&'static str, Values)> {
        let length = rejected.len();
        let texts = |of: &dyn Fn(&Rejected) -> Option<String>| {
            Values::Text(rejected.iter().map(of).collect())
        };
        let counts = |of: &dyn Fn(&Rejected) -> Option<i64>| {
            Values::Count(rejected.iter().map(of).collect())
        };
        vec![
            (TABLE, Values::Text(vec![text(table); length])),
            ("rule", texts(&|one| one.rule.clone())),
            ("reason", texts(&|one| Some(one.reason.clone()))),
            ("_source", texts(&|one| one.source.clone())),
            ("_position", counts(&|one| one.position)),
            ("_batch", counts(&|one| one.batch)),
            ("record_text", texts(&|one| Some(shown(&one.record)))),
            ("record", Values::Bytes(rejected.iter().map(|one| one.record.clone()).collect())),
            ("run_id", Values::Text(vec![text(&self.id); length])),
            ("quarantined_at", Values::Instant(vec![Some(self.as_of); length])),
        ]
    }

    /// Commits what a source rejected, with the batch that it belongs to. A batch that is there
    /// already, from a run that died afterwards, is not committed again. The first batch creates the
    /// table even when it rejects nothing, so that there always is one to ask.
    pub(super) async fn commit_rejected_records(
        &self,
        quarantine: Quarantine,
        application: &str,
        batch: i64,
    ) -> Result<()> {
        let base = self.lake.snapshot(&quarantine.spec.name).await?;
        if let Some(base) = &base {
            let landed = base.position_of(application).await?;
            if quarantine.rejected == 0 || landed.is_some_and(|landed| landed >= batch) {
                quarantine.sink.abort().await;
                return Ok(());
            }
        }
        let written = quarantine.sink.close().await?;
        let change = Change {
            adds: written.adds,
            removal: Removal::Nothing,
            positions: vec![(application.to_owned(), batch)],
            notes: vec![("run_id", self.id.clone().into())],
        };
        self.lake.commit(&quarantine.spec, base.as_ref(), change).await.map(drop)
    }

    /// Commits what a model's expectations rejected, in place of what they had rejected before.
    pub(super) async fn commit_rejected_rows(&self, quarantine: Quarantine) -> Result<()> {
        let base = self.lake.snapshot(&quarantine.spec.name).await?;
        let table = quarantine.table.to_string();
        let had_some = match &base {
            Some(base) => base.has_partition(TABLE, &table)?,
            None => false,
        };
        if quarantine.rejected == 0 && !had_some {
            quarantine.sink.abort().await;
            return Ok(());
        }
        let written = quarantine.sink.close().await?;
        let change = Change {
            adds: written.adds,
            removal: Removal::Partition(TABLE.to_owned(), table),
            positions: Vec::new(),
            notes: vec![("run_id", self.id.clone().into())],
        };
        self.lake.commit(&quarantine.spec, base.as_ref(), change).await.map(drop)
    }
}

/// The beginning of a record as text, for people to read; the record itself is beside it.
fn shown(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(..SHOWN_BYTES).unwrap_or(record)).into_owned()
}

/// The error of a run whose expectations say that it must not go on.
pub(super) fn failed_expectation(table: &TableName, expectation: &str, rows: u64) -> Error {
    Error::new(Kind::Data, format!("{rows} rows do not satisfy an expectation that must hold"))
        .at("table", table)
        .at("expectation", expectation)
        .hint(
            "the table was left as it was; see ops.expectations, and correct the data or the rule",
        )
}
