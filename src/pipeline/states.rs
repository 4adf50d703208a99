//! The states of tables as one run sees them: what it has made or looked at does not move under it.

use std::sync::PoisonError;

use crate::error::{Error, Kind, Result};
use crate::lake::{At, Snapshot};
use crate::name::TableName;

use super::Run;

impl Run {
    /// The state of `table` for whoever reads it in this run: as this run left it; a table of
    /// another pipeline as its newest epoch has it; otherwise the newest.
    ///
    /// Errors: `Missing` when there is no such table yet.
    pub(super) async fn state_of(&self, table: &TableName) -> Result<Snapshot> {
        if let Some(state) = self.known(table) {
            return Ok(state);
        }
        let newest = self
            .lake
            .require(table, At::Latest)
            .await
            .map_err(|e| e.hint("run the pipeline that fills it first"))?;
        let published = self.epoch.tables.get(table).filter(|_| !self.own.contains(table));
        let state = match published.filter(|published| published.table_id == newest.id()) {
            Some(published) if published.version < newest.version() => {
                self.lake.require(table, At::Version(published.version)).await?
            }
            _ => newest,
        };
        // Another model of this run may have looked at it meanwhile; all see the same state.
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(states.entry(table.clone()).or_insert(state).clone())
    }

    /// The same, or nothing when there is no such table.
    pub(super) async fn state_if_any(&self, table: &TableName) -> Result<Option<Snapshot>> {
        match self.state_of(table).await {
            Ok(state) => Ok(Some(state)),
            Err(e) if e.kind() == Kind::Missing => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Notes that this run leaves `table` at `version`; `base` is the state before.
    pub(super) async fn leave_at(
        &self,
        table: &TableName,
        version: u64,
        base: Option<Snapshot>,
    ) -> Result<()> {
        let state = match base.filter(|base| base.version() == version) {
            Some(base) => base,
            None => self.lake.require(table, At::Version(version)).await?,
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(table.clone(), state);
        Ok(())
    }

    /// The state of `table` that this run has made or looked at.
    pub(super) fn known(&self, table: &TableName) -> Option<Snapshot> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).get(table).cloned()
    }

    /// The error of a run that finds a table further than it can be by its own doing.
    pub(super) fn overtaken(table: &TableName) -> Error {
        Error::new(Kind::Conflict, "another run is further with the table than this one")
            .at("table", table)
            .hint("run again: what is left to do is found by itself")
    }
}
