//! What a run would do, without doing it.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::lake::extent;
use crate::name::TableName;
use crate::pipeline::Deliveries;
use crate::pipeline::build::{Action, BuildPlan, plan_build, version_of};
use crate::pipeline::land::{changes, pending};
use crate::pipeline::report::as_text;
use crate::pipeline::thresholds::of_batches;
use crate::project::{Model, Source, Strategy};
use crate::source::InputFile;

use super::one_run::PipelineRun;

/// What a run of one pipeline would do.
#[derive(Clone, Debug, Serialize)]
pub struct PipelinePlan {
    /// The pipeline.
    pub pipeline: String,
    /// What would be landed.
    pub sources: Vec<SourcePlan>,
    /// What would be built, in this order.
    pub models: Vec<ModelPlan>,
}

/// What would be landed from one source.
#[derive(Clone, Debug, Serialize)]
pub struct SourcePlan {
    /// The Bronze table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The number of the batch, when there is something to land.
    pub batch: Option<i64>,
    /// What would be changed about the columns of the table, because their declaration was.
    pub redeclared: Option<String>,
    /// Why a run would publish nothing, when that is so whatever it lands and builds: what landed last
    /// crosses a threshold.
    pub blocked: Option<String>,
    /// Whether an earlier run has begun with it.
    pub resumed: bool,
    /// Files.
    pub files: u64,
    /// How what is there differs from what has landed.
    pub deliveries: Deliveries,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// What would be done with one model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelPlan {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The strategy, or `none`.
    pub strategy: &'static str,
    /// Why.
    pub reason: String,
    /// The versions of changed upstream tables: name, the version read last, the newest.
    pub upstream: Vec<(String, i64, i64)>,
    /// Files that came to upstream tables or went from them.
    pub files: u64,
    /// Rows in those that came.
    pub rows: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// What will have become of a table by the time it is read.
enum Fate {
    /// Rows came or went: who reads it looks which of them are different.
    Changed,
    /// All of them did: who reads it begins anew.
    Rebuilt,
}

impl PipelineRun {
    /// What a run would do.
    pub(super) async fn plan(&self, root: &Path) -> Result<PipelinePlan> {
        let mut fates = HashMap::new();
        let mut sources = Vec::new();
        for source in self.sources() {
            let placed =
                |e: Error| e.at("pipeline", &self.pipeline.name).at("source", source.table.name());
            let own = self.plan_source(source, root).await.map_err(placed)?;
            if own.redeclared.is_some() {
                fates.insert(source.table.clone(), Fate::Rebuilt);
            } else if own.batch.is_some() {
                fates.insert(source.table.clone(), Fate::Changed);
            }
            sources.push(own);
        }
        let mut models = Vec::new();
        for model in self.models() {
            models.push(self.plan_model(model, &mut fates).await?);
        }
        Ok(PipelinePlan { pipeline: self.pipeline.name.clone(), sources, models })
    }

    async fn plan_source(&self, source: &Source, root: &Path) -> Result<SourcePlan> {
        let pending = pending(&self.context.run, &self.pipeline, source, root).await?;
        let next = (!pending.files.is_empty()).then(|| pending.next_batch());
        let resumed = pending.resumed.first();
        let files: Vec<&InputFile> =
            resumed.into_iter().flat_map(|(_, files)| files).chain(&pending.files).collect();
        let redeclared = pending.bronze.as_ref().and_then(|bronze| changes(source, bronze));
        Ok(SourcePlan {
            table: source.table.clone(),
            redeclared,
            blocked: if files.is_empty() { self.blocked(source).await? } else { None },
            batch: resumed.map(|(batch, _)| *batch).or(next),
            resumed: resumed.is_some(),
            files: files.len() as u64,
            deliveries: pending.deliveries,
            bytes: files.iter().map(|file| file.unread_bytes()).sum(),
        })
    }

    /// What of the batches of `source` keeps a run from publishing into which nothing lands.
    async fn blocked(&self, source: &Source) -> Result<Option<String>> {
        let view = &self.context.view;
        if self.accepts(&source.table) {
            return Ok(None);
        }
        let Some(state) = view.state_if_any(&source.table).await? else { return Ok(None) };
        Ok(of_batches(view, source, &state).await?.map(|error| error.on_one_line()))
    }

    async fn plan_model(
        &self,
        model: &Model,
        fates: &mut HashMap<TableName, Fate>,
    ) -> Result<ModelPlan> {
        let mut plan = ModelPlan {
            table: model.table.clone(),
            strategy: Strategy::Full.as_str(),
            reason: "there was no such table".into(),
            upstream: Vec::new(),
            files: 0,
            rows: 0,
            bytes: 0,
        };
        let mut is_possible = true;
        for table in &model.reads {
            is_possible &= self.context.view.state_if_any(table).await?.is_some();
        }
        if is_possible {
            let build = plan_build(&self.context, model).await?;
            let (strategy, reason) = build.how();
            (plan.strategy, plan.reason) = (strategy, reason.to_owned());
            describe(&build, &mut plan).await?;
        }
        foresee(model, &mut plan, fates);
        Ok(plan)
    }
}

/// Adds what is read with `build` at least.
async fn describe(build: &BuildPlan, plan: &mut ModelPlan) -> Result<()> {
    let target = &build.target;
    let changed = match &build.action {
        Action::New { changed, .. } | Action::Touched { changed, .. } => changed,
        Action::Full { .. } => {
            for upstream in &target.upstream {
                let (files, rows, bytes) = extent(&upstream.files()?);
                (plan.files, plan.rows) = (plan.files + files, plan.rows + rows);
                plan.bytes += bytes;
            }
            return Ok(());
        }
        Action::Nothing { .. } => return Ok(()),
    };
    let before = target.offsets_before().await?;
    for (index, changes) in changed {
        let Some(upstream) = target.upstream.get(*index) else { continue };
        let (came, rows, bytes) = extent(&changes.added);
        let (went, _, more) = extent(&changes.removed);
        plan.files += came + went;
        plan.rows += rows;
        plan.bytes += bytes + more;
        let before = before.get(*index).copied().flatten().unwrap_or_default();
        plan.upstream.push((upstream.name().to_string(), before, version_of(upstream)));
    }
    Ok(())
}

/// Adds what the tables that a model reads will have become by then.
fn foresee(model: &Model, plan: &mut ModelPlan, fates: &mut HashMap<TableName, Fate>) {
    let coming = model.reads.iter().filter_map(|read| Some((read, fates.get(read)?)));
    let coming: Vec<_> = coming.collect();
    let rebuilt = coming.iter().find(|(_, fate)| matches!(fate, Fate::Rebuilt));
    if let (Some((table, _)), false) = (rebuilt, plan.strategy == Strategy::Full.as_str()) {
        plan.strategy = Strategy::Full.as_str();
        plan.reason = format!("{table} will be made anew");
    } else if let (Some((table, _)), "none") = (coming.first(), plan.strategy) {
        plan.strategy = model.strategy.as_str();
        plan.reason = format!("{table} will have changed");
    }
    let is_full = plan.strategy == Strategy::Full.as_str();
    let fate = if is_full { Fate::Rebuilt } else { Fate::Changed };
    if plan.strategy != "none" {
        fates.insert(model.table.clone(), fate);
    }
}
