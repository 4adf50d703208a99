//! What every step of a run works with.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::Engine;
use crate::lake::{Lake, Snapshot, TableSpec};
use crate::rewrite::Destination;
use crate::runtime::{Memory, Stop, Timestamp};

use super::Progress;

/// The note of a commit that names its run.
pub(super) const RUN: &str = "run_id";

/// What a step works with. A clone is the same run.
#[derive(Clone)]
pub(super) struct Context {
    /// Names the run in all records of it.
    pub run_id: Arc<str>,
    /// The one instant that all rows of the run carry.
    pub as_of: Timestamp,
    /// Where the tables are.
    pub lake: Lake,
    /// What answers SQL.
    pub engine: Engine,
    /// How much memory there is.
    pub memory: Memory,
    /// Whether to stop.
    pub stop: Stop,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Context {
    /// The table of `spec` as a place for rows.
    /// `base` is the state that rows are added to or replaced in, if the table is not written as a
    /// whole.
    pub(super) fn destination<'a>(
        &'a self,
        spec: &'a TableSpec,
        base: Option<&'a Snapshot>,
    ) -> Destination<'a> {
        Destination { lake: &self.lake, spec, base, cores: self.engine.cores() }
    }

    /// The run in records: its id and its instant.
    pub(super) fn stamp(&self) -> (&str, Timestamp) {
        (&self.run_id, self.as_of)
    }

    /// The run in the notes of a commit.
    pub(super) fn note(&self) -> (&'static str, serde_json::Value) {
        (RUN, self.run_id.as_ref().into())
    }
}

/// How long ago `since` was.
pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
