//! The verb "run": sources into Bronze, models into Silver and Gold, and a record of it all.
//!
//! The order never varies: every SQL of the project is planned before anything is read; then each
//! source lands what is new; then each model, after all that it reads, is brought up to date. What
//! a table was built from is committed with the table, so a run that dies is continued by the next
//! one without anybody's help.

mod batches;
mod build;
mod expect;
mod ingest;
mod ledger;
mod progress;
mod quarantine;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Checked, Engine, check};
use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::name::did_you_mean;
use crate::project::{Pipeline, Project, Source};
use crate::runtime::{Clock, Memory, Stop, Timestamp};

pub use progress::{Progress, Step};
pub use report::{ExpectationReport, PipelineReport, Report, SourceReport, Status, TableReport};

/// What a run is told besides the project and the lake.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pipeline to run; all when there is none.
    pub pipeline: Option<String>,
    /// Sources that are read from elsewhere this time: name and path.
    pub sources: Vec<(String, PathBuf)>,
}

/// Everything that the steps of a run share.
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
    checked: Checked,
}

/// What a process has at hand for running pipelines.
pub struct Runner {
    /// Where the tables are.
    pub lake: Lake,
    /// What answers SQL.
    pub engine: Engine,
    /// How much memory there is.
    pub memory: Memory,
    /// What time it is.
    pub clock: Clock,
    /// Whether to stop.
    pub stop: Stop,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Runner {
    /// Runs the pipelines of `project` that `options` names, one after the other.
    ///
    /// Out: a report of all that was done; when a pipeline fails, those after it are not run and
    /// the report holds the error.
    /// Errors: `Invalid` or `Missing` for what is wrong with the project or the options, before
    /// anything was read or written.
    pub async fn run(self, project: &Project, options: &Options) -> Result<Report> {
        let checked = check(&self.engine, project).await?;
        let pipelines =
            with_sources(project.select(options.pipeline.as_deref())?, &options.sources)?;
        let run = Run {
            id: uuid::Uuid::now_v7().to_string(),
            as_of: self.clock.now(),
            lake: self.lake,
            engine: self.engine,
            memory: self.memory,
            clock: self.clock,
            stop: self.stop,
            progress: self.progress,
            checked,
        };
        let mut report = Report::new(&run.id, run.lake.location());
        for pipeline in &pipelines {
            let done = run.pipeline(pipeline, project).await?;
            let failed = done.error.is_some();
            report.pipelines.push(done);
            if failed {
                break;
            }
        }
        Ok(report)
    }
}

/// The pipelines with the paths of some sources replaced.
fn with_sources(pipelines: Vec<&Pipeline>, paths: &[(String, PathBuf)]) -> Result<Vec<Pipeline>> {
    let mut pipelines: Vec<Pipeline> = pipelines.into_iter().cloned().collect();
    for (name, path) in paths {
        let names: Vec<String> =
            sources(&mut pipelines).map(|source| source.table.name().to_owned()).collect();
        let Some(source) = sources(&mut pipelines).find(|source| source.table.name() == name)
        else {
            let error = Error::new(Kind::Missing, "there is no such source").at("source", name);
            return Err(match did_you_mean(name, names.iter().map(String::as_str)) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        source.path = std::path::absolute(path)
            .map_err(|e| Error::io("cannot tell where a source is", path, e))?;
    }
    Ok(pipelines)
}

fn sources(pipelines: &mut [Pipeline]) -> impl Iterator<Item = &mut Source> {
    pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.sources)
}

impl Run {
    /// Runs one pipeline and records what was done, whether it went well or not.
    async fn pipeline(&self, pipeline: &Pipeline, project: &Project) -> Result<PipelineReport> {
        let started = Instant::now();
        let mut report = PipelineReport::new(&pipeline.name, self.as_of);
        let result = self.stop.or_stopped(self.steps(pipeline, project, &mut report)).await;
        report.milliseconds = millis(started);
        if let Err(error) = result {
            report.status =
                if error.kind() == Kind::Stopped { Status::Stopped } else { Status::Failed };
            // The error that ended the run matters more than one of writing it down.
            report.error_text = Some(error.to_string());
            drop(self.record(&report).await);
            report.error = Some(error);
            return Ok(report);
        }
        self.record(&report).await?;
        Ok(report)
    }

    async fn steps(
        &self,
        pipeline: &Pipeline,
        project: &Project,
        report: &mut PipelineReport,
    ) -> Result<()> {
        for source in &pipeline.sources {
            self.ingest(pipeline, source, &project.root, &mut report.sources).await?;
        }
        for model in &pipeline.models {
            self.build(model, report).await?;
        }
        Ok(())
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
