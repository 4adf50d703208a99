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
use crate::pipeline::land::land;
use crate::pipeline::view::View;
use crate::pipeline::{PipelineReport, Refresh, Status};
use crate::project::{Model, Pipeline, Source};

use super::models::build_all;
use super::publish::publish;
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
        let context = BuildContext { run, view, checked, refresh, quarantining: Arc::default() };
        Self { context, pipeline, selection, accept_foreign: Vec::new() }
    }

    /// The same as a part of the run that `context` belongs to.
    pub(super) fn with_context(mut self, context: &Context) -> Self {
        self.context.run = context.clone();
        self
    }

    /// The same, which takes over what another program wrote to the Bronze tables `tables`.
    pub(super) fn accepting(mut self, tables: &[TableName]) -> Self {
        self.accept_foreign = tables.to_vec();
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
            report.error_text = Some(error.to_string());
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
        build_all(&self.context, &self.models().collect::<Vec<_>>(), report).await?;
        report.epoch = publish(run, view, &self.pipeline).await?;
        Ok(())
    }
}

fn tables(pipeline: &Pipeline) -> impl Iterator<Item = &TableName> {
    let sources = pipeline.sources.iter().map(|source| &source.table);
    sources.chain(pipeline.models.iter().map(|model| &model.table))
}
