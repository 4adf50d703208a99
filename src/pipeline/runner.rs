//! Running the pipelines of a project, each until it is done or has failed for good.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Checked, Engine, check};
use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::name::{TableName, did_you_mean};
use crate::project::{Pipeline, Project, Source};
use crate::runtime::{Clock, Memory, Stop};

use super::select::Selection;
use super::{Epoch, PipelinePlan, PipelineReport, Progress, Report, Run, Step, millis};

/// How often a pipeline starts over because another run won.
const RESTARTS: u64 = 20;
/// The longest pause before it does, in milliseconds; drawn anew each time, so that two runs do
/// not keep meeting.
const PAUSE: u64 = 250;

/// What a run is told besides the project and the lake.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pipeline to run; all when there is none.
    pub pipeline: Option<String>,
    /// Sources that are read from elsewhere this time: name and path.
    pub sources: Vec<(String, PathBuf)>,
    /// Which tables are brought up to date, as `silver.sessions+`; all when there are none.
    pub select: Vec<String>,
    /// Which models are computed anew from everything.
    pub refresh: Refresh,
}

/// Which models are computed anew even though they could be brought up to date.
#[derive(Clone, Debug, Default)]
pub enum Refresh {
    /// None.
    #[default]
    None,
    /// All that are run.
    All,
    /// These.
    Tables(HashSet<TableName>),
}

impl Refresh {
    /// Why `table` is computed anew, if it is.
    pub(super) fn reason(&self, table: &TableName) -> Option<&'static str> {
        match self {
            Self::All => Some("a full refresh was asked for"),
            Self::Tables(tables) if tables.contains(table) => Some("it is to be repaired"),
            _ => None,
        }
    }
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
    pub async fn run(&self, project: &Project, options: &Options) -> Result<Report> {
        let id = uuid::Uuid::now_v7().to_string();
        let mut report = Report::new(&id, self.lake.location());
        let started = Instant::now();
        let runs = self.begin_all(project, options, &id).await?;
        report.preparing_milliseconds = millis(started);
        for (run, pipeline) in runs {
            let done = self.until_done(run, &pipeline, project).await?;
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
        for (run, pipeline) in self.begin_all(project, options, "").await? {
            plans.push(run.plan(&pipeline, &project.root).await?);
        }
        Ok(plans)
    }

    /// The runs that `options` asks for, with their pipelines.
    pub(super) async fn begin_all(
        &self,
        project: &Project,
        options: &Options,
        id: &str,
    ) -> Result<Vec<(Run, Pipeline)>> {
        let checked = Arc::new(check(&self.engine, project).await?);
        let pipelines =
            with_sources(project.select(options.pipeline.as_deref())?, &options.sources)?;
        let selection = Selection::read(&options.select, &pipelines)?;
        let mut runs = Vec::new();
        for pipeline in in_order(pipelines).into_iter().filter(|one| selection.concerns(one)) {
            let sources = pipeline.sources.iter().map(|source| source.table.clone());
            let models = pipeline.models.iter().map(|model| model.table.clone());
            let run = Run {
                id: id.to_owned(),
                checked: Arc::clone(&checked),
                own: sources.chain(models).collect(),
                selection: selection.clone(),
                refresh: options.refresh.clone(),
                ..self.bare_run().await?
            };
            runs.push((run, pipeline));
        }
        Ok(runs)
    }

    /// A run of no pipeline.
    pub(super) async fn bare_run(&self) -> Result<Run> {
        Ok(Run {
            id: String::new(),
            as_of: self.clock.now(),
            lake: self.lake.clone(),
            engine: self.engine.clone(),
            memory: self.memory,
            clock: self.clock,
            stop: self.stop.clone(),
            progress: Arc::clone(&self.progress),
            checked: Arc::new(Checked::default()),
            own: HashSet::new(),
            selection: Selection::default(),
            refresh: Refresh::default(),
            epoch: Epoch::read(&self.engine, &self.lake, None).await?,
            states: Arc::default(),
            quarantining: Arc::default(),
        })
    }

    /// Runs `pipeline`; when another run wins, starts over with what that one has made.
    async fn until_done(
        &self,
        mut run: Run,
        pipeline: &Pipeline,
        project: &Project,
    ) -> Result<PipelineReport> {
        // An earlier pipeline may have published meanwhile.
        run.forget(Epoch::read(&self.engine, &self.lake, None).await?);
        let mut report = run.pipeline(pipeline, project).await;
        loop {
            let lost = report.error.as_ref().filter(|error| error.kind() == Kind::Conflict);
            let Some(lost) = lost.filter(|_| report.restarts < RESTARTS) else { break };
            self.progress.begin(Step::StartOver { because: lost.to_string() });
            let pause = Duration::from_millis(rand::random_range(0..PAUSE));
            tokio::time::sleep(pause).await;
            run.forget(Epoch::read(&self.engine, &self.lake, None).await?);
            let mut again = run.pipeline(pipeline, project).await;
            again.continue_from(report);
            report = again;
        }
        let started = Instant::now();
        let recorded = match run.record(&report).await {
            Ok(()) => run.tidy().await,
            failed => failed,
        };
        report.recording_milliseconds = millis(started);
        // The error that ended the run matters more than one of writing it down.
        if report.error.is_none() {
            recorded?;
        }
        Ok(report)
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
        source.path = std::path::absolute(path)
            .map_err(|e| Error::io("cannot tell where a source is", path, e))?;
    }
    Ok(pipelines)
}

fn sources(pipelines: &mut [Pipeline]) -> impl Iterator<Item = &mut Source> {
    pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.sources)
}
