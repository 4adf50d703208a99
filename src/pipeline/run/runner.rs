//! Running the pipelines of a project, each until it is done or has failed for good.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Engine, check};
use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::name::{TableName, did_you_mean};
use crate::ops::Epoch;
use crate::pipeline::context::{Context, milliseconds};
use crate::pipeline::maintain::{Compacted, compact, tidy};
use crate::pipeline::verify::{Verification, VerifyOptions, verify_model};
use crate::pipeline::{Options, PipelinePlan, PipelineReport, Progress, Report, Step};
use crate::project::{Pipeline, Project, Source};
use crate::runtime::{self, Memory, Stop};

use super::one_run::PipelineRun;
use super::record::record;
use super::selection::Selection;

/// How often a pipeline starts over because another run won.
const RESTARTS: u64 = 20;
/// The longest pause before it does.
const PAUSE: Duration = Duration::from_millis(250);

/// What a process has at hand for running pipelines.
pub struct Runner {
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

impl Runner {
    /// Runs the pipelines of `project` that `options` names, one after the other.
    ///
    /// Out: a report of all that was done; when a pipeline fails, those after it are not run and
    /// the report holds the error.
    /// Errors: `Invalid` or `Missing` for what is wrong with the project or the options, before
    /// anything was read or written.
    pub async fn run(&self, project: &Project, options: &Options) -> Result<Report> {
        let started = Instant::now();
        let runs = self.runs(project, options).await?;
        let context = self.context();
        let mut report = Report::new(&context.run_id, self.lake.location());
        report.preparing_milliseconds = milliseconds(started);
        for run in runs {
            let run = run.with_context(&context).accepting(options);
            let done = self.until_done(run, project).await?;
            let failed = done.error.is_some();
            report.pipelines.push(done);
            if failed {
                break;
            }
        }
        Ok(report)
    }

    /// What a run would do. Nothing is written.
    pub async fn plan(&self, project: &Project, options: &Options) -> Result<Vec<PipelinePlan>> {
        let mut plans = Vec::new();
        for run in self.runs(project, options).await? {
            plans.push(self.stop.or_stopped(run.plan(&project.root)).await?);
        }
        Ok(plans)
    }

    /// Compares the tables of the models of `project` with full rebuilds from the states that they
    /// were built from. Nothing is written. A pipeline that was never run has nothing to compare,
    /// unless its tables are asked for.
    pub async fn verify(
        &self,
        project: &Project,
        asked: &VerifyOptions,
    ) -> Result<Vec<Verification>> {
        let options = Options { select: asked.select.clone(), ..Options::default() };
        let mut verifications = Vec::new();
        let there = self.lake.tables().await?;
        for run in self.runs(project, &options).await? {
            let was_run = run.tables().iter().any(|table| there.contains(table));
            if !was_run && asked.select.is_empty() {
                continue;
            }
            for model in run.models() {
                let table = model.table.clone();
                let _comparing = self.progress.begin(Step::Verify { table });
                let verified = verify_model(&run.context.run, &run.context.checked, model, asked);
                verifications.push(match self.stop.or_stopped(verified).await {
                    Ok(verification) => verification,
                    Err(e) if e.kind() == Kind::Stopped => return Err(e),
                    // One table that cannot be read keeps nobody from looking at the others.
                    Err(e) => Verification::impossible(model, &e),
                });
            }
        }
        Ok(verifications)
    }

    /// Merges the small files of `table`, within each partition.
    ///
    /// Errors: `Conflict` when others write to the table all the time.
    pub async fn compact(&self, table: &TableName) -> Result<Compacted> {
        self.stop.or_stopped(compact(&self.context(), table)).await
    }

    /// What the steps of a new run work with.
    fn context(&self) -> Context {
        Context {
            run_id: runtime::unique_id().into(),
            as_of: runtime::now(),
            lake: self.lake.clone(),
            engine: self.engine.clone(),
            memory: self.memory,
            stop: self.stop.clone(),
            progress: Arc::clone(&self.progress),
        }
    }

    /// The runs that `options` asks for.
    async fn runs(&self, project: &Project, options: &Options) -> Result<Vec<PipelineRun>> {
        let checking = self.progress.begin(Step::Check);
        let checked = Arc::new(check(&self.engine, project).await?);
        drop(checking);
        let pipelines =
            with_sources(project.select(options.pipeline.as_deref())?, &options.sources)?;
        let selection = Selection::read(&options.select, &pipelines)?;
        check_accepted(options, &pipelines)?;
        let epoch = Epoch::read(&self.engine, &self.lake, None).await?;
        let context = self.context();
        let refresh = Arc::new(options.refresh.clone());
        let chosen = in_order(pipelines).into_iter().filter(|one| selection.concerns(one));
        Ok(chosen
            .map(|pipeline| {
                let declared = (Arc::clone(&checked), Arc::clone(&refresh));
                PipelineRun::new(&context, pipeline, selection.clone(), declared, epoch.clone())
            })
            .collect())
    }

    /// Runs a pipeline; when another run wins, starts over with what that one has made.
    async fn until_done(&self, mut run: PipelineRun, project: &Project) -> Result<PipelineReport> {
        // An earlier pipeline may have published meanwhile.
        run = run.renewed(Epoch::read(&self.engine, &self.lake, None).await?);
        let mut report = run.execute(&project.root).await;
        loop {
            let lost = report.error.as_ref().filter(|error| error.kind() == Kind::Conflict);
            let Some(lost) = lost.filter(|_| report.restarts < RESTARTS) else { break };
            drop(self.progress.begin(Step::StartOver { because: lost.to_string() }));
            tokio::time::sleep(runtime::random_pause(PAUSE)).await;
            run = run.renewed(Epoch::read(&self.engine, &self.lake, None).await?);
            let mut again = run.execute(&project.root).await;
            again.continue_from(report);
            report = again;
        }
        let started = Instant::now();
        let recording = self.progress.begin(Step::Record);
        let recorded = match record(&run.context.run, &report).await {
            Ok(()) => tidy(&run.context.run).await,
            failed => failed,
        };
        drop(recording);
        report.recording_milliseconds = milliseconds(started);
        // The error that ended the run matters more than one of writing it down.
        if report.error.is_none() {
            recorded?;
        }
        Ok(report)
    }
}

/// Only Bronze holds rows that no model can make again, and that somebody may have to take over.
/// Thresholds have all tables of the pipelines.
fn check_accepted(options: &Options, pipelines: &[Pipeline]) -> Result<()> {
    let sources = || pipelines.iter().flat_map(|one| &one.sources).map(|source| &source.table);
    let models = pipelines.iter().flat_map(|one| &one.models).map(|model| &model.table);
    let known: Vec<String> = sources().chain(models).map(ToString::to_string).collect();
    if let Some(table) = options.accept.iter().find(|table| !known.contains(&table.to_string())) {
        let error = Error::new(Kind::Missing, "there is no such table in what is run");
        let hint = did_you_mean(&table.to_string(), known.iter().map(String::as_str));
        let error = error.at("table", table);
        return Err(hint.into_iter().fold(error, Error::hint));
    }
    let is_source = |table: &TableName| sources().any(|source| source == table);
    match options.accept_foreign.iter().find(|table| !is_source(table)) {
        Some(table) => {
            Err(Error::new(Kind::Invalid, "foreign rows are taken over in Bronze tables only")
                .at("table", table)
                .hint(format!("`clickwatch verify --repair {table}` builds a model's table anew")))
        }
        None => Ok(()),
    }
}

/// The pipelines, each after those whose tables it reads; as they were where there is no such order.
fn in_order(mut waiting: Vec<Pipeline>) -> Vec<Pipeline> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |pipeline: &Pipeline| {
            let mut others = waiting.iter().filter(|other| other.name != pipeline.name);
            let reads =
                |table: &TableName| pipeline.models.iter().any(|model| model.reads.contains(table));
            !others.any(|other| {
                other.sources.iter().any(|source| reads(&source.table))
                    || other.models.iter().any(|model| reads(&model.table))
            })
        };
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
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
        let path = std::path::absolute(path)
            .map_err(|e| Error::io("cannot tell where a source is", path, e))?;
        source.paths = vec![path];
    }
    Ok(pipelines)
}

fn sources(pipelines: &mut [Pipeline]) -> impl Iterator<Item = &mut Source> {
    pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.sources)
}
