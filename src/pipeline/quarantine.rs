//! `ops.quarantine`: what did not become a row, byte for byte, and why.

use std::collections::HashSet;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::ScalarValue;
use futures::TryStreamExt as _;

use crate::engine::{Keys, Tables, engine_error, row_checksums};

use crate::error::{Error, Kind, Result};
use crate::lake::{Change, DataFile, Removal, Sink, Snapshot, TableSpec, Wanted};
use crate::name::TableName;
use crate::project::Strategy;
use crate::source::Quarantined;

use super::Run;
use super::ledger::{Values, count, rows, spec, text};
use super::target::Target;

/// The column that separates the table's files: what was rejected on the way into which table.
const TABLE: &str = "table_name";
/// The column that tells whose key a row has.
const KEY: &str = "row_key";
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
    /// Stands for the key of a row, by which it is replaced when the key is computed anew.
    pub key: Option<i64>,
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
            key: None,
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
            (KEY, counts(&|one| one.key)),
            ("record_text", texts(&|one| Some(shown(&one.record)))),
            ("record", Values::Bytes(rejected.iter().map(|one| one.record.clone()).collect())),
            ("run_id", Values::Text(vec![text(&self.id); length])),
            ("quarantined_at", Values::Instant(vec![Some(self.as_of); length])),
        ]
    }

    /// Commits what a source rejected, with the batch that it belongs to, and takes out what the
    /// batches `replaces` had left: these never reached Bronze. A batch that is there already, from
    /// a run that died afterwards, is not committed again. The first batch creates the table even
    /// when it rejects nothing, so that there always is one to ask.
    pub(super) async fn commit_rejected_records(
        &self,
        mut quarantine: Quarantine,
        application: &str,
        batch: i64,
        replaces: &[i64],
    ) -> Result<()> {
        let base = self.lake.snapshot(&quarantine.spec.name).await?;
        let mut gone = Vec::new();
        if let Some(base) = &base {
            let landed = base.position_of(application).await?;
            if !replaces.is_empty() {
                let values = replaces.iter().map(|batch| ScalarValue::from(*batch)).collect();
                let of_batch = Wanted { column: "_batch".to_owned(), values };
                let files = base.files_where(&[wanted(&quarantine.table), of_batch])?;
                gone = self.keep_others(&mut quarantine, base, files, "_batch", replaces).await?;
            }
            let is_landed = landed.is_some_and(|landed| landed >= batch);
            if is_landed || (quarantine.rejected == 0 && gone.is_empty()) {
                quarantine.sink.abort().await;
                return Ok(());
            }
        }
        let change = Change {
            adds: quarantine.sink.close().await?.adds,
            removal: Removal::Files(gone),
            positions: vec![(application.to_owned(), batch)],
            notes: vec![("run_id", self.id.clone().into())],
            ..Change::default()
        };
        self.lake.commit(&quarantine.spec, base.as_ref(), change).await.map(drop)
    }

    /// Commits what a model's expectations rejected, in place of what they had rejected of the same
    /// rows before.
    pub(super) async fn commit_rejected_rows(
        &self,
        mut quarantine: Quarantine,
        target: &Target<'_>,
        replacing: Replacing<'_>,
    ) -> Result<()> {
        let _others_wait = self.quarantining.lock().await;
        let base = self.lake.snapshot(&quarantine.spec.name).await?;
        let before = match &base {
            Some(base) => base.files_where(&[wanted(&quarantine.table)])?,
            None => Vec::new(),
        };
        let gone = match (&replacing, &base) {
            (Replacing::Everything, _) => before,
            (Replacing::Keys(keys), Some(base)) => {
                let keys = row_checksums(keys.rows().columns()).map_err(|e| {
                    Error::new(Kind::Bug, "cannot tell which rejected rows go").because(e)
                })?;
                self.keep_others(&mut quarantine, base, before, KEY, &keys).await?
            }
            (Replacing::Nothing, _) | (Replacing::Keys(_), None) => Vec::new(),
        };
        if quarantine.rejected == 0 && gone.is_empty() {
            quarantine.sink.abort().await;
            return Ok(());
        }
        let positions = target.rejects_positions();
        // Rows that are only added must not be added to those of a run that has seen the same.
        let limits: Vec<Option<i64>> = match replacing {
            Replacing::Nothing => target.seen().await?,
            _ => positions.iter().map(|(_, own)| Some(*own)).collect(),
        };
        self.check_not_overtaken(target, base.as_ref(), &positions, &limits).await?;
        let change = Change {
            adds: quarantine.sink.close().await?.adds,
            removal: Removal::Files(gone),
            positions,
            notes: vec![("run_id", self.id.clone().into())],
            ..Change::default()
        };
        self.lake.commit(&quarantine.spec, base.as_ref(), change).await.map(drop)
    }

    /// What is rejected goes with a state of the table that is still to be made: once another run has
    /// made it, or a later one, it would only stand in the way.
    async fn check_not_overtaken(
        &self,
        target: &Target<'_>,
        base: Option<&Snapshot>,
        positions: &[(String, i64)],
        limits: &[Option<i64>],
    ) -> Result<()> {
        let table = &target.model.table;
        for ((id, _), limit) in positions.iter().zip(limits) {
            let recorded = match base {
                Some(base) => base.position_of(id).await?,
                None => None,
            };
            if recorded > *limit {
                return Err(Self::overtaken(table));
            }
        }
        let newest = self.lake.snapshot(table).await?.map(|newest| newest.version());
        match newest == target.base.as_ref().map(Snapshot::version) {
            true => Ok(()),
            false => Err(Self::overtaken(table)),
        }
    }

    /// Writes those rows of `files` again that have none of `values` in `column`. Gives the files
    /// that go; none when none of their rows does.
    async fn keep_others(
        &self,
        quarantine: &mut Quarantine,
        base: &Snapshot,
        files: Vec<DataFile>,
        column: &str,
        values: &[i64],
    ) -> Result<Vec<DataFile>> {
        if files.is_empty() {
            return Ok(files);
        }
        let failed = |e| engine_error("cannot read the quarantine", e);
        let values: HashSet<i64> = values.iter().copied().collect();
        let mut tables = Tables::default();
        tables.add(base.name().clone(), base.provider_of(&files)?);
        let session = self.engine.session(tables.into_catalog());
        let plan = session.plan("SELECT * FROM ops.quarantine").await?;
        let mut stream = session.execute_all(session.physical(&plan).await?)?;
        let mut goes = false;
        let mut kept = Vec::new();
        while let Some(rows) = stream.try_next().await.map_err(failed)? {
            let own =
                rows.column_by_name(column).and_then(|one| one.as_primitive_opt::<Int64Type>());
            let stays: BooleanArray = match own {
                Some(own) => own
                    .iter()
                    .map(|key| Some(!key.is_some_and(|key| values.contains(&key))))
                    .collect(),
                None => BooleanArray::from(vec![true; rows.num_rows()]),
            };
            goes |= stays.false_count() > 0;
            kept.push(filter_record_batch(&rows, &stays).map_err(|e| failed(e.into()))?);
        }
        if !goes {
            return Ok(Vec::new());
        }
        for rows in kept {
            quarantine.sink.write(&in_order(&rows, &quarantine.spec.schema)?).await?;
        }
        Ok(files)
    }

    /// Whether a run that died has left rows of an append in quarantine that it never added: the
    /// next one could not tell them from its own.
    pub(super) async fn has_orphaned_rejects(&self, target: &Target<'_>) -> Result<bool> {
        if target.model.strategy != Strategy::Append || target.model.expectations.is_empty() {
            return Ok(false);
        }
        let Some(base) = self.lake.snapshot(&TableName::ops("quarantine")).await? else {
            return Ok(false);
        };
        let Some(table) = &target.base else { return Ok(false) };
        for (quarantined, built) in target.rejects_positions().iter().zip(target.positions()) {
            let seen = table.position_of(&built.0).await?;
            if base.position_of(&quarantined.0).await?.is_some_and(|ahead| Some(ahead) > seen) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Which rows of a model the rejected ones are among.
pub(super) enum Replacing<'a> {
    /// All: nothing that was rejected earlier counts any more.
    Everything,
    /// Those of some keys.
    Keys(&'a Keys),
    /// Rows that were never looked at before.
    Nothing,
}

fn wanted(table: &TableName) -> Wanted {
    Wanted { column: TABLE.to_owned(), values: vec![ScalarValue::from(table.to_string())] }
}

/// The columns of `rows` in the order of `schema`; one that is not there yet is NULL.
fn in_order(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        rows.column_by_name(field.name())
            .cloned()
            .unwrap_or_else(|| arrow::array::new_null_array(field.data_type(), rows.num_rows()))
    });
    RecordBatch::try_new(std::sync::Arc::clone(schema), columns.collect())
        .map_err(|e| Error::new(Kind::Bug, "cannot write rows of the quarantine again").because(e))
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
