//! Rows of plans as streams, of which each is written to files of its own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, Partitioning};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::engine::{Session, engine_error};
use crate::error::Result;
use crate::lake::TableSpec;
use crate::name::Layer;

/// What makes other rows of rows.
pub type RowFunction = Arc<dyn Fn(&RecordBatch) -> Result<RecordBatch> + Send + Sync>;

/// The new rows of a table.
pub enum NewRows {
    /// What a function makes of them, on each core of its own.
    Made(Arc<dyn ExecutionPlan>, RowFunction),
    /// All of them.
    Plan(Arc<dyn ExecutionPlan>),
    /// All of them in parts that share no partition of the table, each planned for one core.
    Parts(Vec<(Session, Arc<dyn ExecutionPlan>)>),
    /// All of them in rounds, which are computed one after the other, each on all cores.
    Rounds(Vec<(Session, Arc<dyn ExecutionPlan>)>),
}

/// Into how many files rows go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Into one file for each partition of the table; without partitions one for each core, or one
    /// alone for a Gold table, which BI tools load best in few files.
    #[default]
    ByPartition,
    /// Each core writes what it computed, whatever partition it belongs to.
    PerCore,
    /// Into one file for each partition of the table, and one alone without partitions.
    Fewest,
}

/// The rows of `plan` in as many streams as are to be written at once.
pub(super) fn of_plan(
    spec: &TableSpec,
    session: &Session,
    plan: Arc<dyn ExecutionPlan>,
    distribution: Distribution,
    cores: usize,
) -> Result<Vec<SendableRecordBatchStream>> {
    let plan = match distribution {
        Distribution::PerCore => plan,
        _ => partitioned(spec, plan, distribution, cores)?,
    };
    let count = plan.output_partitioning().partition_count();
    (0..count).map(|part| session.execute(&plan, part)).collect()
}

/// What `function` makes of the rows of `plan`, in as many streams as it has partitions.
pub(super) fn of_function(
    spec: &TableSpec,
    session: &Session,
    plan: &Arc<dyn ExecutionPlan>,
    function: &RowFunction,
) -> Result<Vec<SendableRecordBatchStream>> {
    let count = plan.output_partitioning().partition_count();
    let made = |part| -> Result<SendableRecordBatchStream> {
        let function = Arc::clone(function);
        let rows = session.execute(plan, part)?.map(move |batch| {
            let made = function(&batch?);
            made.map_err(|e| DataFusionError::External(Box::new(e)))
        });
        let schema = Arc::clone(&spec.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    };
    (0..count).map(made).collect()
}

/// The rows of `parts` in a stream for each core, or in one where they belong into one file.
pub(super) fn of_parts(
    spec: &TableSpec,
    parts: Vec<(Session, Arc<dyn ExecutionPlan>)>,
    cores: usize,
) -> Vec<SendableRecordBatchStream> {
    let mut parts = parts.into_iter();
    let share = parts.len().div_ceil(cores.max(1)).max(1);
    let shares = std::iter::from_fn(|| Some(parts.by_ref().take(share).collect::<Vec<_>>()));
    let shares = shares.take_while(|share| !share.is_empty());
    let streams = shares.filter_map(Session::execute_in_turn).collect();
    match is_one_file(spec, Distribution::ByPartition) {
        true => merged(streams).into_iter().collect(),
        false => streams,
    }
}

/// The rows of `rounds` in as many streams as are to be written at once; in each the rows of one round
/// follow those of another. A round is begun when it is come to: operators that wait would keep their
/// share of the memory pool.
pub(super) fn of_rounds(
    spec: &TableSpec,
    rounds: Vec<(Session, Arc<dyn ExecutionPlan>)>,
    cores: usize,
) -> Result<Vec<SendableRecordBatchStream>> {
    let mut plans = Vec::with_capacity(rounds.len());
    for (session, plan) in rounds {
        plans.push((session, partitioned(spec, plan, Distribution::ByPartition, cores)?));
    }
    let count = |(_, plan): &(Session, Arc<dyn ExecutionPlan>)| {
        plan.output_partitioning().partition_count()
    };
    let most = plans.iter().map(count).max().unwrap_or(0);
    let plans = Arc::new(plans);
    Ok((0..most).filter_map(|part| of_rounds_part(&plans, part)).collect())
}

/// The rows of the part `part` of all `plans`, one after the other.
fn of_rounds_part(
    plans: &Arc<Vec<(Session, Arc<dyn ExecutionPlan>)>>,
    part: usize,
) -> Option<SendableRecordBatchStream> {
    let schema = plans.first()?.1.schema();
    let plans = Arc::clone(plans);
    let rounds = stream::iter(0..plans.len()).map(move |round| {
        let (session, plan) = plans.get(round)?;
        let has_part = part < plan.output_partitioning().partition_count();
        has_part.then(|| session.execute(plan, part))
    });
    let rows = rounds
        .filter_map(|begun| async move { begun })
        .map_err(|e| DataFusionError::External(Box::new(e)))
        .try_flatten();
    Some(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

/// The plan with its rows distributed over cores in the way that makes good files.
fn partitioned(
    spec: &TableSpec,
    plan: Arc<dyn ExecutionPlan>,
    distribution: Distribution,
    cores: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.output_partitioning().partition_count() == 1 && spec.partition_by.is_empty() {
        return Ok(plan);
    }
    // Each partition's files are open on one core only: open files cost memory.
    if !spec.partition_by.is_empty() {
        let failed = |e| engine_error("cannot distribute rows by partition", e);
        let schema = plan.schema();
        let columns = spec.partition_by.iter().map(|name| col(name, &schema));
        let columns = columns.collect::<Result<_, _>>().map_err(failed)?;
        let partitioning = Partitioning::Hash(columns, cores);
        return Ok(Arc::new(RepartitionExec::try_new(plan, partitioning).map_err(failed)?));
    }
    if is_one_file(spec, distribution) {
        return Ok(Arc::new(CoalescePartitionsExec::new(plan)));
    }
    Ok(plan)
}

fn is_one_file(spec: &TableSpec, distribution: Distribution) -> bool {
    let is_small = spec.name.layer() == Layer::Gold || distribution == Distribution::Fewest;
    spec.partition_by.is_empty() && is_small
}

/// The rows of all `streams`, each computed by a task of its own.
fn merged(streams: Vec<SendableRecordBatchStream>) -> Option<SendableRecordBatchStream> {
    let schema = streams.first()?.schema();
    let mut merged = RecordBatchReceiverStream::builder(schema, streams.len());
    for mut stream in streams {
        let rows = merged.tx();
        merged.spawn(async move {
            while let Some(batch) = stream.next().await {
                if rows.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
    }
    Some(merged.build())
}
