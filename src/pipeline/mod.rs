//! The verb "run": sources into Bronze, models into Silver and Gold, and a record of it all.
//!
//! The order never varies: every SQL of the project is planned before anything is read; then each
//! source lands what is new; then each model, after all that it reads, is brought up to date. What
//! a table was built from is committed with the table, so a run that dies is continued by the next
//! one without anybody's help. At the end the new states of all tables are published together.

mod batches;
mod build;
mod compact;
mod epochs;
mod expect;
mod ingest;
mod ledger;
mod models;
mod parts;
mod plan;
mod progress;
mod quarantine;
mod report;
mod rows;
mod runner;
mod scope;
mod select;
mod states;
mod target;
mod total;
mod unchanged;
mod verify;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::engine::{Checked, Engine};
use crate::error::{Kind, Result};
use crate::lake::{Lake, Snapshot};
use crate::name::TableName;
use crate::project::{Pipeline, Project};
use crate::runtime::{Clock, Memory, Stop, Timestamp};

pub use compact::Compacted;
pub use epochs::{Epoch, Published};
pub use plan::{ModelPlan, PipelinePlan, SourcePlan};
pub use progress::{Progress, Step};
pub use report::{ExpectationReport, PipelineReport, Report, SourceReport, Status, TableReport};
pub use runner::{Options, Refresh, Runner};
pub use verify::{Difference, Finding, Scrutiny, unclean};

use select::Selection;

/// Everything that the steps of one pipeline's run share. A clone is the same run.
#[derive(Clone)]
pub struct Run {
    /// Names this run in all records of it.
    pub id: String,
    /// The one instant that all rows of this run carry.
    pub as_of: Timestamp,
    lake: Lake,
    engine: Engine,
    memory: Memory,
    clock: Clock,
    stop: Stop,
    progress: Arc<dyn Progress>,
    checked: Arc<Checked>,
    /// The tables of this pipeline.
    own: HashSet<TableName>,
    /// Those of them that are to be brought up to date.
    selection: Selection,
    /// Models that are computed anew even when nothing has changed.
    refresh: Refresh,
    /// What was published when the run began.
    epoch: Epoch,
    /// What the run has made or looked at.
    states: Arc<Mutex<HashMap<TableName, Snapshot>>>,
    /// Held while the quarantine is committed to: what one model takes out of it and what another
    /// adds would else be a conflict of the run with itself.
    quarantining: Arc<tokio::sync::Mutex<()>>,
}

impl Run {
    /// Runs one pipeline.
    async fn pipeline(&self, pipeline: &Pipeline, project: &Project) -> PipelineReport {
        let started = Instant::now();
        let mut report = PipelineReport::new(&pipeline.name, self.as_of);
        let result = self.stop.or_stopped(self.steps(pipeline, project, &mut report)).await;
        report.milliseconds = millis(started);
        if let Err(error) = result {
            report.status =
                if error.kind() == Kind::Stopped { Status::Stopped } else { Status::Failed };
            report.error_text = Some(error.to_string());
            report.error = Some(error);
        }
        report
    }

    /// Forgets what it has seen; `epoch` is what is published by now.
    fn forget(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.states = Arc::default();
    }

    async fn steps(
        &self,
        pipeline: &Pipeline,
        project: &Project,
        report: &mut PipelineReport,
    ) -> Result<()> {
        for source in pipeline.sources.iter().filter(|one| self.selection.has(&one.table)) {
            self.ingest(pipeline, source, &project.root, &mut report.sources).await?;
        }
        let models = pipeline.models.iter().filter(|one| self.selection.has(&one.table));
        self.build_all(&models.collect::<Vec<_>>(), report).await?;
        report.epoch = self.publish(pipeline).await?;
        Ok(())
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
