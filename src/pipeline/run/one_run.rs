//! One run of one pipeline: sources, models, an epoch.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::Checked;
use crate::error::{Kind, Result};
use crate::name::TableName;
use crate::ops::Epoch;
use crate::pipeline::build::BuildContext;
use crate::pipeline::context::{Context, milliseconds};
use crate::pipeline::land::{accept, land};
use crate::pipeline::thresholds::{check_rows, of_age, of_batches};
use crate::pipeline::view::View;
use crate::pipeline::{Options, PipelineReport, Refresh, SourceReport, Status};
use crate::project::{Model, Pipeline, Source};

use super::models::build_all;
use super::publish::{Publication, publish};
use super::selection::Selection;

/// A pipeline on its way.
pub(super) struct PipelineRun {
    /// What building works with.
    pub context: BuildContext,
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Which of its tables are to be brought up to date.
    selection: Selection,
    /// Bronze tables in which rows that another program wrote are taken over.
    accept_foreign: Vec<TableName>,
}

impl PipelineRun {
    /// A run of `pipeline`; `epoch` is what is published.
    pub(super) fn new(
        context: &Context,
        pipeline: Pipeline,
        selection: Selection,
        (checked, refresh): (Arc<Checked>, Arc<Refresh>),
        epoch: Epoch,
    ) -> Self {
        let view = View::new(&context.lake, tables(&pipeline).cloned().collect(), epoch);
        let run = context.clone();
        let (accepted, quarantining) = (Arc::default(), Arc::default());
        let context = BuildContext { run, view, checked, refresh, accepted, quarantining };
        Self { context, pipeline, selection, accept_foreign: Vec::new() }
    }

    /// The same as a part of the run that `context` belongs to.
    pub(super) fn with_context(mut self, context: &Context) -> Self {
        self.context.run = context.clone();
        self
    }

    /// The same, which accepts what `options` names: Bronze tables to which another program wrote, and
    /// tables that cross thresholds.
    pub(super) fn accepting(mut self, options: &Options) -> Self {
        self.accept_foreign = options.accept_foreign.clone();
        self.context.accepted = Arc::new(options.accept.clone());
        self
    }

    /// The same before it has looked at any table; `epoch` is what is published by now.
    pub(super) fn renewed(mut self, epoch: Epoch) -> Self {
        self.context.view = self.context.view.renewed(epoch);
        self
    }

    /// The tables that the pipeline fills.
    pub(super) fn tables(&self) -> Vec<&TableName> {
        tables(&self.pipeline).collect()
    }

    /// The sources that are selected.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.pipeline.sources.iter().filter(|one| self.selection.has(&one.table))
    }

    /// The models that are selected, in an order in which they can be built.
    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        self.pipeline.models.iter().filter(|one| self.selection.has(&one.table))
    }

    /// Lands, builds and publishes; the paths of sources are relative to `root`. Gives the report,
    /// with the error if one ended the run.
    pub(super) async fn execute(&self, root: &Path) -> PipelineReport {
        let started = Instant::now();
        let run = &self.context.run;
        let mut report = PipelineReport::new(&self.pipeline.name, run.as_of);
        let result = run.stop.or_stopped(self.steps(root, &mut report)).await;
        report.milliseconds = milliseconds(started);
        if let Err(error) = result {
            report.status =
                if error.kind() == Kind::Stopped { Status::Stopped } else { Status::Failed };
            report.unpublished = Some(format!("the run {}", report.status.as_str()));
            report.error_text = Some(error.on_one_line());
            report.error = Some(error);
        }
        report
    }

    async fn steps(&self, root: &Path, report: &mut PipelineReport) -> Result<()> {
        let BuildContext { run, view, .. } = &self.context;
        let accepts = &self.accept_foreign;
        for source in self.sources() {
            let place = (root, accepts.as_slice());
            land(run, view, (&self.pipeline, source), place, &mut report.sources).await?;
        }
        self.judge_sources(&report.sources).await?;
        build_all(&self.context, &self.models().collect::<Vec<_>>(), report).await?;
        for model in self.pipeline.models.iter().filter(|one| !self.accepts(&one.table)) {
            check_rows(view, model).await?;
        }
        match publish(run, view, &self.pipeline).await? {
            Publication::Epoch(number) => report.epoch = Some(number),
            Publication::Nothing(why) => report.unpublished = Some(why),
        }
        Ok(())
    }

    /// Fails when a source crosses a threshold, unless that is accepted. `landed` is what was done with
    /// those that are selected; what an earlier run landed of the others may keep back the rest too.
    async fn judge_sources(&self, landed: &[SourceReport]) -> Result<()> {
        let BuildContext { run, view, .. } = &self.context;
        for source in &self.pipeline.sources {
            let Some(state) = view.state_if_any(&source.table).await? else { continue };
            let crossed = of_batches(view, source, &state).await?;
            let is_accepted = self.accepts(&source.table);
            if is_accepted && crossed.is_some() {
                accept(run, view, source).await?;
            }
            let own = landed.iter().filter(|one| one.table == source.table);
            let own: Vec<_> = own.map(|one| one.newest_file).collect();
            let newest = own.iter().flatten().max().copied();
            let too_old = || of_age(source, newest).filter(|_| !own.is_empty());
            if let Some(error) = crossed.or_else(too_old).filter(|_| !is_accepted) {
                return Err(error.at("pipeline", &self.pipeline.name));
            }
        }
        Ok(())
    }

    /// Whether `table` may cross thresholds.
    pub(super) fn accepts(&self, table: &TableName) -> bool {
        self.context.accepted.contains(table)
    }
}

fn tables(pipeline: &Pipeline) -> impl Iterator<Item = &TableName> {
    let sources = pipeline.sources.iter().map(|source| &source.table);
    sources.chain(pipeline.models.iter().map(|model| &model.table))
}
