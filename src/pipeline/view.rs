//! The tables as one run sees them: what it has made or looked at does not move under it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::lake::{At, Lake, Snapshot};
use crate::name::TableName;
use crate::ops::Epoch;

/// The lake as one run of one pipeline sees it. A clone is the same view.
#[derive(Clone)]
pub(super) struct View {
    lake: Lake,
    /// The tables that the pipeline fills.
    own: Arc<HashSet<TableName>>,
    /// What was published when the run began.
    epoch: Arc<Epoch>,
    /// What the run has made or looked at.
    states: Arc<Mutex<HashMap<TableName, Snapshot>>>,
}

impl View {
    /// A view that has not looked at anything yet, of a pipeline that fills the tables `own`.
    pub(super) fn new(lake: &Lake, own: HashSet<TableName>, epoch: Epoch) -> Self {
        Self {
            lake: lake.clone(),
            own: Arc::new(own),
            epoch: Arc::new(epoch),
            states: Arc::default(),
        }
    }

    /// The same view, before it has looked at anything, with what is published by now.
    pub(super) fn renewed(&self, epoch: Epoch) -> Self {
        Self { epoch: Arc::new(epoch), states: Arc::default(), ..self.clone() }
    }

    /// Whether the pipeline fills `table`.
    pub(super) fn owns(&self, table: &TableName) -> bool {
        self.own.contains(table)
    }

    /// The version of the table of `snapshot` that was published when the run began.
    pub(super) fn published_version(&self, snapshot: &Snapshot) -> Option<u64> {
        let published = self.epoch.tables.get(snapshot.name())?;
        let is_same = published.table_id == snapshot.id();
        let version = published.version;
        (is_same && version <= snapshot.version()).then_some(version)
    }

    /// The state of `table` for whoever reads it in this run: as this run left it; a table of
    /// another pipeline as its newest epoch has it; otherwise the newest. None when there is no such
    /// table yet.
    pub(super) async fn state_if_any(&self, table: &TableName) -> Result<Option<Snapshot>> {
        if let Some(state) = self.known(table) {
            return Ok(Some(state));
        }
        let Some(newest) = self.lake.snapshot(table).await? else { return Ok(None) };
        let published = self.epoch.tables.get(table).filter(|_| !self.owns(table));
        let state = match published.filter(|published| published.table_id == newest.id()) {
            Some(published) if published.version < newest.version() => {
                self.lake.require(table, At::Version(published.version)).await?
            }
            _ => newest,
        };
        // Another model of this run may have looked at it meanwhile; all see the same state.
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(states.entry(table.clone()).or_insert(state).clone()))
    }

    /// The same.
    ///
    /// Errors: `Missing` when there is no such table yet.
    pub(super) async fn state_of(&self, table: &TableName) -> Result<Snapshot> {
        match self.state_if_any(table).await? {
            Some(state) => Ok(state),
            None => {
                let newest = self.lake.require(table, At::Latest).await;
                newest.map_err(|e| e.hint("run the pipeline that fills it first"))
            }
        }
    }

    /// Notes that this run leaves `table` at `version`; `base` is the state before.
    pub(super) async fn leave_at(
        &self,
        table: &TableName,
        version: u64,
        base: Option<&Snapshot>,
    ) -> Result<()> {
        let state = match base.filter(|base| base.version() == version) {
            Some(base) => base.clone(),
            None => self.lake.require(table, At::Version(version)).await?,
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(table.clone(), state);
        Ok(())
    }

    fn known(&self, table: &TableName) -> Option<Snapshot> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).get(table).cloned()
    }
}

/// The error of a run that finds a table further than it can be by its own doing.
pub(super) fn overtaken(table: &TableName) -> Error {
    Error::new(Kind::Conflict, "another run is further with the table than this one")
        .at("table", table)
        .hint("run again: what is left to do is found by itself")
}
