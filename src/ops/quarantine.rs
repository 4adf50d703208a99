//! `ops.quarantine`: what did not become a row, byte for byte, and why.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, ident, lit};
use datafusion::prelude::DataFrame;

use crate::engine::{Engine, Keys, Session, Tables, engine_error, row_checksums};
use crate::error::{Error, Kind, Result, shortened};
use crate::lake::{Change, DataFile, Lake, Removal, Sink, Snapshot, TableSpec, Wanted, Written};
use crate::name::TableName;
use crate::rewrite::{Destination, Rows, files_holding, rows_of, write};
use crate::runtime::Timestamp;
use crate::source::Quarantined;

use super::record::{Record as _, batch_of, record};

/// The column that separates the table's files: what was rejected on the way into which table.
const TABLE: &str = "table_name";
/// The column that tells whose key a row has.
const KEY: &str = "row_key";
/// The column that tells the batch of a record.
const BATCH: &str = "_batch";
/// Records that are written together.
const BYTES_AT_ONCE: usize = 16 << 20;
/// How much of a record is shown as text.
const SHOWN_BYTES: usize = 64 << 10;
/// How much of it is named in an error.
const EXAMPLE_CHARACTERS: usize = 300;

record! {
    /// One rejected record of any layer.
    pub(super) struct QuarantineRow is "quarantine":
        "Records and rows that were rejected: their exact bytes, their place, the reason." {
        /// The table that it would have gone into.
        table_name: TableName,
        /// The expectation that rejected it; None when it was no record at all.
        rule: Option<String>,
        /// Why it was rejected.
        reason: String,
        /// The file that it came from.
        _source: Option<String>,
        /// Where in the file it began.
        _position: Option<i64>,
        /// The batch of the file.
        _batch: Option<i64>,
        /// Stands for the key of a row, by which it is replaced when the key is computed anew.
        row_key: Option<i64>,
        /// The beginning of the record as text, for people to read.
        record_text: String,
        /// The record itself.
        record: Vec<u8>,
        /// The run that rejected it.
        run_id: String,
        /// When it did.
        quarantined_at: Timestamp,
    }
}

/// A record or row that was rejected.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The expectation that rejected it; None when it was no record at all.
    pub rule: Option<String>,
    /// Why it was rejected.
    pub reason: String,
    /// The file that it came from.
    pub source: Option<String>,
    /// Where in the file it began.
    pub position: Option<i64>,
    /// The batch of the file.
    pub batch: Option<i64>,
    /// Stands for the key of a row.
    pub key: Option<i64>,
    /// The record itself.
    pub record: Vec<u8>,
}

impl Rejected {
    /// What `batch` of a source could not turn into a row.
    pub fn of_source(record: Quarantined, batch: i64) -> Self {
        Self {
            rule: None,
            reason: record.reason,
            source: Some(record.file.to_string()),
            position: i64::try_from(record.position).ok(),
            batch: Some(batch),
            key: None,
            record: record.bytes,
        }
    }

    /// `a.json at 120: not JSON: …: {"user…`
    fn described(&self) -> String {
        let mut parts = Vec::new();
        if let Some(source) = &self.source {
            let position = self.position.map(|position| format!(" at {position}"));
            parts.push(format!("{source}{}", position.unwrap_or_default()));
        }
        parts.extend(self.rule.clone());
        parts.push(self.reason.clone());
        parts.push(match std::str::from_utf8(&self.record) {
            Ok(text) => shortened(text.trim(), EXAMPLE_CHARACTERS).into_owned(),
            // Bytes of anything tell nobody anything.
            Err(_) => format!("{} bytes that are no text", self.record.len()),
        });
        parts.join(": ")
    }
}

/// Which earlier rejects of a table go when others are committed.
#[derive(Clone, Copy)]
pub enum Outdated<'a> {
    /// All: nothing that was rejected earlier counts any more.
    All,
    /// Rows of these keys.
    Keys(&'a Keys),
    /// Records of these batches.
    Batches(&'a [i64]),
    /// None: what was looked at was never looked at before.
    Nothing,
}

/// The quarantine of one table during one run.
pub struct Quarantine {
    lake: Lake,
    engine: Engine,
    spec: TableSpec,
    sink: Sink,
    table: TableName,
    run: (String, Timestamp),
    rejected: u64,
    example: Option<String>,
}

/// The newest state of the table of all quarantines, or None when there is none yet.
pub async fn quarantine_of(lake: &Lake) -> Result<Option<Snapshot>> {
    lake.snapshot(&TableName::ops(QuarantineRow::TABLE)).await
}

impl Quarantine {
    /// A quarantine for what the `run` (its id and instant) rejects on the way into `table`.
    pub fn open(
        lake: &Lake,
        engine: &Engine,
        table: &TableName,
        (run_id, at): (&str, Timestamp),
    ) -> Result<Self> {
        let spec = TableSpec { partition_by: vec![TABLE.to_owned()], ..QuarantineRow::spec() };
        Ok(Self {
            lake: lake.clone(),
            engine: engine.clone(),
            sink: lake.sink(&spec)?,
            spec,
            table: table.clone(),
            run: (run_id.to_owned(), at),
            rejected: 0,
            example: None,
        })
    }

    /// How many records were added.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The first that was added, in words: where it came from, why it was rejected, its beginning.
    pub fn example(&self) -> Option<&str> {
        self.example.as_deref()
    }

    /// Writes rejected records; nobody sees them before they are committed.
    pub async fn add(&mut self, rejected: Vec<Rejected>) -> Result<()> {
        if self.example.is_none() {
            self.example = rejected.first().map(Rejected::described);
        }
        self.rejected += rejected.len() as u64;
        // A column holds 2 GiB at most, and a record may be a large part of that.
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for one in rejected {
            bytes += one.record.len();
            rows.push(self.row(one));
            if bytes > BYTES_AT_ONCE {
                self.sink.write(&batch_of(&self.spec, &rows)?).await?;
                (rows, bytes) = (Vec::new(), 0);
            }
        }
        self.sink.write(&batch_of(&self.spec, &rows)?).await
    }

    /// Forgets what was added.
    pub async fn discard(self) -> Result<()> {
        self.sink.abort().await;
        Ok(())
    }

    fn row(&self, rejected: Rejected) -> QuarantineRow {
        QuarantineRow {
            table_name: self.table.clone(),
            rule: rejected.rule,
            reason: rejected.reason,
            _source: rejected.source,
            _position: rejected.position,
            _batch: rejected.batch,
            row_key: rejected.key,
            record_text: shown(&rejected.record),
            record: rejected.record,
            run_id: self.run.0.clone(),
            quarantined_at: self.run.1,
        }
    }

    /// Commits what was added on top of `base`, with `offsets`, and takes out what is outdated.
    /// Nothing is committed when nothing comes and nothing goes, unless there is no table yet and
    /// `creates` says that there should be one to ask.
    ///
    /// Errors: `Conflict` when another writer changed the table since `base`.
    pub async fn commit(
        self,
        base: Option<&Snapshot>,
        outdated: Outdated<'_>,
        offsets: Vec<(String, i64)>,
        creates: bool,
    ) -> Result<()> {
        let gone = match base {
            Some(base) => {
                let Self { lake, engine, spec, table, .. } = &self;
                Place { lake, engine, spec, table }.take_out(base, outdated).await?
            }
            None => Rewritten::default(),
        };
        let is_missing = base.is_none() && creates;
        if self.rejected == 0 && gone.files.is_empty() && !is_missing {
            self.sink.abort().await;
            return Ok(());
        }
        let mut adds = self.sink.close().await?.adds;
        adds.extend(gone.written.adds);
        let change = Change {
            adds,
            removal: Removal::Files(gone.files),
            offsets,
            notes: vec![("run_id", self.run.0.clone().into())],
            ..Change::default()
        };
        self.lake.commit(&self.spec, base, change).await.map(drop)
    }
}

/// Where rejects are taken out of.
struct Place<'a> {
    lake: &'a Lake,
    engine: &'a Engine,
    spec: &'a TableSpec,
    table: &'a TableName,
}

impl Place<'_> {
    /// The files of this table's rejects that go, and what of them is written again.
    async fn take_out(&self, base: &Snapshot, outdated: Outdated<'_>) -> Result<Rewritten> {
        let own = Wanted {
            column: TABLE.to_owned(),
            values: vec![ScalarValue::from(self.table.to_string())],
        };
        let (column, values) = match outdated {
            Outdated::Nothing => return Ok(Rewritten::default()),
            Outdated::All => {
                let files = base.files_where(&[own])?;
                return Ok(Rewritten { files, ..Rewritten::default() });
            }
            Outdated::Batches(batches) => (BATCH, batches.to_vec()),
            Outdated::Keys(keys) => (KEY, checksums(keys)?),
        };
        if values.is_empty() {
            return Ok(Rewritten::default());
        }
        let files = base.files_where(&[own])?;
        self.without(base, files, column, values).await
    }

    /// Writes those rows of `files` again that have none of `values` in `column`.
    async fn without(
        &self,
        base: &Snapshot,
        files: Vec<DataFile>,
        column: &str,
        values: Vec<i64>,
    ) -> Result<Rewritten> {
        let session = self.engine.session(Tables::default().into_catalog());
        let values = Keys::of_numbers(column, values)?;
        let columns = [column.to_owned()];
        let going = |rows: LogicalPlan| values.among(&session, rows, &columns);
        let files = files_holding(&session, base, files, going).await?;
        if files.is_empty() {
            return Ok(Rewritten::default());
        }
        let kept = values.without(&session, rows_of(&session, base, &files)?, &columns)?;
        let kept = session.physical(&in_order(&session, kept, self.spec)?).await?;
        let to = Destination {
            lake: self.lake,
            spec: self.spec,
            base: Some(base),
            cores: self.engine.cores(),
        };
        let rows = Rows { kept: Some(kept), ..Rows::default() };
        let outcome = write(to, &session, rows, None).await?;
        Ok(Rewritten { files, written: outcome.written })
    }
}

/// Files that go, and those that come in their place.
#[derive(Default)]
struct Rewritten {
    files: Vec<DataFile>,
    written: Written,
}

/// What stands for the keys in the table.
fn checksums(keys: &Keys) -> Result<Vec<i64>> {
    row_checksums(keys.rows().columns())
        .map_err(|e| Error::new(Kind::Bug, "cannot tell which rejected rows go").because(e))
}

/// The columns of `rows` in the order of the table of today; one that was not there is NULL.
fn in_order(session: &Session, rows: LogicalPlan, spec: &TableSpec) -> Result<LogicalPlan> {
    let failed = |e| engine_error("cannot write rows of the quarantine again", e);
    let mut columns: Vec<Expr> = Vec::with_capacity(spec.schema.fields().len());
    for field in spec.schema.fields() {
        columns.push(match rows.schema().has_column_with_unqualified_name(field.name()) {
            true => ident(field.name()),
            false => {
                let null = ScalarValue::try_from(field.data_type()).map_err(failed)?;
                lit(null).alias(field.name())
            }
        });
    }
    let rows = session.frame(rows).select(columns);
    rows.map(DataFrame::into_unoptimized_plan).map_err(failed)
}

/// The beginning of a record as text, for people to read; the record itself is beside it.
fn shown(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(..SHOWN_BYTES).unwrap_or(record)).into_owned()
}
