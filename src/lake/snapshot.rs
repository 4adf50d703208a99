//! One state of one table.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::DeltaTable;
use deltalake::table::state::DeltaTableState;
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::name::TableName;
use crate::runtime::Timestamp;

use super::fault::{check_protocol, delta_error};
use super::file::Search;
use super::log::Log;
use super::scan::{DeltaScan, Footers};
use super::{At, DataFile, Wanted, encoded};

/// The key under which a table remembers what made it.
pub(super) const FINGERPRINT: &str = "clickwatch.fingerprint";

/// The key under which a table remembers how many rows it had when it was decided that partitions get
/// no files of their own.
pub(super) const WHOLE_ROWS: &str = "clickwatch.wholeRows";

/// The column that says which file a row is in.
pub const FILE_NUMBER: &str = "_clickwatch_file";

/// A state of a table that does not change any more.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) name: TableName,
    pub(super) table: DeltaTable,
    head: Arc<Head>,
    schema: SchemaRef,
    /// The files, once they were asked for.
    files: Arc<OnceLock<Vec<DataFile>>>,
    pub(super) footers: Footers,
}

/// What the log says of a version as a whole.
#[derive(Debug)]
struct Head {
    version: u64,
    id: String,
    partition_by: Vec<String>,
    description: Option<String>,
    fingerprint: Option<String>,
    whole_rows: Option<u64>,
    committed_at: Option<Timestamp>,
}

/// One commit of a table.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The version that it made.
    pub version: Option<u64>,
    /// When.
    pub committed_at: Option<Timestamp>,
    /// What was done, as `WRITE`.
    pub operation: String,
    /// What the commit says of itself, by key.
    pub notes: HashMap<String, String>,
}

impl HistoryEntry {
    fn new(version: u64, info: Map<String, Value>) -> Self {
        let committed_at = info.get("timestamp").and_then(Value::as_i64);
        let operation = info.get("operation").and_then(Value::as_str);
        Self {
            version: Some(version),
            committed_at: committed_at.and_then(DateTime::from_timestamp_millis),
            operation: operation.map(str::to_owned).unwrap_or_default(),
            notes: info
                .into_iter()
                .map(|(key, value)| match value {
                    Value::String(text) => (key, text),
                    other => (key, other.to_string()),
                })
                .collect(),
        }
    }
}

impl Snapshot {
    pub(super) fn new(name: TableName, table: DeltaTable, footers: Footers) -> Result<Self> {
        let state = table.snapshot().map_err(|e| delta_error("cannot read the table", &name, e))?;
        let schema: Schema = state.schema().as_ref().try_into_arrow().map_err(|e| {
            Error::new(Kind::Invalid, "the table has columns that cannot be read")
                .at("table", &name)
                .because(e)
        })?;
        // Metadata of fields is Delta's own and would only make equal schemas unequal.
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), field.data_type().clone(), field.is_nullable()))
            .collect();
        let head = Arc::new(Head::of(state));
        let (schema, files) = (Arc::new(Schema::new(fields)), Arc::default());
        Ok(Self { name, table, head, schema, files, footers })
    }

    /// Refuses tables that plain Parquet readers would misread, and times before the first commit.
    pub(super) fn check_readable(&self, at: At) -> Result<()> {
        let needed = self.state()?.protocol().min_reader_version();
        check_protocol(&self.name, u64::try_from(needed).unwrap_or_default())?;
        if let At::Time(instant) = at
            && self.committed_at().is_some_and(|committed| committed > instant)
        {
            return Err(Error::new(Kind::Missing, "the table had no state at that time")
                .at("table", &self.name)
                .at("time", instant)
                .hint(format!("see `clickwatch tables history {}`", self.name)));
        }
        Ok(())
    }

    /// The table.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// What tells this table from another one that was created in its place.
    pub fn id(&self) -> String {
        self.head.id.clone()
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.head.version
    }

    /// The columns, in their order.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that separate the files.
    pub fn partition_by(&self) -> Vec<String> {
        self.head.partition_by.clone()
    }

    /// What the table holds, in words.
    pub fn description(&self) -> String {
        self.head.description.clone().unwrap_or_default()
    }

    /// What made the table, if clickwatch did.
    pub fn fingerprint(&self) -> Option<String> {
        self.head.fingerprint.clone()
    }

    pub(super) fn whole_rows(&self) -> Option<u64> {
        self.head.whole_rows
    }

    /// Whether the table has many more rows than when it was decided that its partitions get no files
    /// of their own: writing it anew decides once more.
    pub fn has_outgrown_layout(&self) -> bool {
        const GROWTH: u64 = 4;
        let Some(whole_rows) = self.head.whole_rows else { return false };
        self.rows().is_some_and(|rows| rows / GROWTH > whole_rows)
    }

    /// When this version was committed.
    pub fn committed_at(&self) -> Option<Timestamp> {
        self.head.committed_at
    }

    /// How far `application` had come, as committed together with the rows.
    pub async fn offset_of(&self, application: &str) -> Result<Option<i64>> {
        self.state()?
            .transaction_version(self.table.log_store().as_ref(), application)
            .await
            .map_err(|e| delta_error("cannot read the offsets of the table", &self.name, e))
    }

    /// The files of this version.
    pub fn files(&self) -> Result<Vec<DataFile>> {
        Ok(self.known_files()?.to_vec())
    }

    pub(super) fn known_files(&self) -> Result<&[DataFile]> {
        let state = self.state()?;
        Ok(self
            .files
            .get_or_init(|| state.log_data().iter().map(|view| DataFile::of_view(&view)).collect()))
    }

    /// The number of rows, when every file says how many it has.
    pub fn rows(&self) -> Option<u64> {
        self.known_files().ok()?.iter().map(DataFile::rows).sum()
    }

    /// The number of files and their bytes.
    pub fn size(&self) -> (u64, u64) {
        let files = self.known_files().unwrap_or_default();
        (files.len() as u64, files.iter().map(DataFile::bytes).sum())
    }

    /// The files that may hold rows with one of the values of each of `wanted`.
    pub fn files_where(&self, wanted: &[Wanted]) -> Result<Vec<DataFile>> {
        let wanted = Search::new(wanted);
        let files = self.known_files()?.iter();
        Ok(files.filter(|file| wanted.may_find(file)).cloned().collect())
    }

    /// The rows, for queries.
    pub fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        self.provider_of(self.known_files()?)
    }

    /// The rows of some files that belong or belonged to the table.
    pub fn provider_of(&self, files: &[DataFile]) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(DeltaScan::new(self, Arc::clone(&self.schema), files, false)?))
    }

    /// The rows with texts as views, which are dealt, joined and grouped without being copied.
    pub fn view_provider(&self) -> Result<Arc<dyn TableProvider>> {
        self.view_provider_of(self.known_files()?)
    }

    /// The same of some files that belong or belonged to the table.
    pub fn view_provider_of(&self, files: &[DataFile]) -> Result<Arc<dyn TableProvider>> {
        let schema = encoded(&self.schema, &self.partition_by());
        Ok(Arc::new(DeltaScan::new(self, schema, files, false)?))
    }

    /// The same with one more column, [`FILE_NUMBER`]: which of `files` a row is in, from 0.
    pub fn numbered_provider_of(&self, files: &[DataFile]) -> Result<Arc<dyn TableProvider>> {
        let schema = encoded(&self.schema, &self.partition_by());
        Ok(Arc::new(DeltaScan::new(self, schema, files, true)?))
    }

    /// The newest `limit` commits up to this one, newest first, as far as they are there.
    pub async fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>> {
        let log = self.log();
        let mut commits = Vec::new();
        for version in (0..=self.version()).rev().take(limit) {
            let Some(info) = log.info(version).await? else { break };
            commits.push(HistoryEntry::new(version, info));
        }
        Ok(commits)
    }

    pub(super) fn state(&self) -> Result<&DeltaTableState> {
        self.table.snapshot().map_err(|e| delta_error("cannot read the table", &self.name, e))
    }

    /// The files of the log.
    pub(super) fn log(&self) -> Log<'_> {
        Log::new(&self.name, self.table.log_store().object_store(None))
    }
}

impl Head {
    fn of(state: &DeltaTableState) -> Self {
        let metadata = state.metadata();
        let committed_at = state.version_timestamp(state.version());
        let whole_rows = metadata.configuration().get(WHOLE_ROWS);
        Self {
            version: state.version(),
            id: metadata.id().to_owned(),
            partition_by: metadata.partition_columns().to_vec(),
            description: metadata.description().map(str::to_owned),
            fingerprint: metadata.configuration().get(FINGERPRINT).cloned(),
            whole_rows: whole_rows.and_then(|rows| rows.parse().ok()),
            committed_at: committed_at.and_then(DateTime::from_timestamp_millis),
        }
    }
}
