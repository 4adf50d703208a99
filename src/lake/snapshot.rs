//! One state of one table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::DeltaTable;
use futures::TryStreamExt as _;

use crate::error::{Error, Kind, Result};
use crate::name::TableName;
use crate::runtime::Timestamp;

use super::scan::{DeltaScan, Footers};
use super::{At, DataFile, Wanted, delta_error, encoded};

/// The key under which a table remembers what made it.
pub(super) const FINGERPRINT: &str = "clickwatch.fingerprint";

/// The column that says which file a row is in.
pub const FILE_NUMBER: &str = "_clickwatch_file";

/// A state of a table that does not change any more.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) name: TableName,
    pub(super) table: DeltaTable,
    schema: SchemaRef,
    pub(super) footers: Footers,
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
    /// What clickwatch noted, by key.
    pub notes: HashMap<String, String>,
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
        Ok(Self { name, table, schema: Arc::new(Schema::new(fields)), footers })
    }

    /// Refuses tables that plain Parquet readers would misread, and times before the first commit.
    pub(super) fn check_readable(&self, at: At) -> Result<()> {
        let state = self.state()?;
        let needed = state.protocol().min_reader_version();
        if needed > 1 {
            return Err(Error::new(Kind::Invalid, "the table needs a newer reader than this one")
                .at("table", &self.name)
                .at("reader_version", needed)
                .hint("deletion vectors and column mapping are not read; rewrite the table without them"));
        }
        if let At::Time(instant) = at
            && let Some(committed) = state.version_timestamp(self.version())
            && DateTime::from_timestamp_millis(committed)
                .is_some_and(|committed| committed > instant)
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
        self.state().map(|state| state.metadata().id().to_owned()).unwrap_or_default()
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// The columns, in their order.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that separate the files.
    pub fn partition_by(&self) -> Vec<String> {
        self.state().map(|state| state.metadata().partition_columns().to_vec()).unwrap_or_default()
    }

    /// What the table holds, in words.
    pub fn description(&self) -> String {
        let state = self.state().ok();
        state
            .and_then(|state| state.metadata().description().map(str::to_owned))
            .unwrap_or_default()
    }

    /// What made the table, if clickwatch did.
    pub fn fingerprint(&self) -> Option<String> {
        self.state().ok()?.metadata().configuration().get(FINGERPRINT).cloned()
    }

    /// How far `application` had come, as committed together with the rows.
    pub async fn position_of(&self, application: &str) -> Result<Option<i64>> {
        self.state()?
            .transaction_version(self.table.log_store().as_ref(), application)
            .await
            .map_err(|e| delta_error("cannot read the positions of the table", &self.name, e))
    }

    /// The number of rows, when every file says how many it has.
    pub fn rows(&self) -> Option<u64> {
        self.files().ok()?.iter().map(DataFile::rows).sum()
    }

    /// The number of files and their bytes.
    pub fn size(&self) -> (u64, u64) {
        let files = self.files().unwrap_or_default();
        (files.len() as u64, files.iter().map(DataFile::bytes).sum())
    }

    /// The files that may hold rows with one of the values of each of `wanted`.
    pub fn files_where(&self, wanted: &[Wanted]) -> Result<Vec<DataFile>> {
        let mut files = self.files()?;
        files.retain(|file| file.may_hold(wanted));
        Ok(files)
    }

    /// When this version was committed.
    pub fn committed_at(&self) -> Option<Timestamp> {
        DateTime::from_timestamp_millis(self.state().ok()?.version_timestamp(self.version())?)
    }

    /// The rows, for queries.
    pub fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        self.provider_of(&self.files()?)
    }

    /// The rows of some files that belong or belonged to the table.
    pub fn provider_of(&self, files: &[DataFile]) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(DeltaScan::new(self, Arc::clone(&self.schema), files, false)?))
    }

    /// The rows with texts as views, which are dealt, joined and grouped without being copied.
    pub fn view_provider(&self) -> Result<Arc<dyn TableProvider>> {
        self.view_provider_of(&self.files()?)
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

    /// The newest `limit` commits up to this one, newest first.
    pub async fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>> {
        let failed = |e| delta_error("cannot read the history of the table", &self.name, e);
        let commits: Vec<_> =
            self.table.history(Some(limit)).try_collect().await.map_err(failed)?;
        let newest = self.version();
        Ok(commits
            .into_iter()
            .zip(0u64..)
            .map(|(commit, age)| HistoryEntry {
                version: newest.checked_sub(age),
                committed_at: commit.timestamp.and_then(DateTime::from_timestamp_millis),
                operation: commit.operation.unwrap_or_default(),
                notes: commit
                    .info
                    .into_iter()
                    .map(|(key, value)| {
                        (key, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    })
                    .collect(),
            })
            .collect())
    }

    pub(super) fn state(&self) -> Result<&deltalake::table::state::DeltaTableState> {
        self.table.snapshot().map_err(|e| delta_error("cannot read the table", &self.name, e))
    }

    /// The files of this version.
    pub fn files(&self) -> Result<Vec<DataFile>> {
        Ok(self.state()?.log_data().iter().map(|view| DataFile::of_view(&view)).collect())
    }
}
