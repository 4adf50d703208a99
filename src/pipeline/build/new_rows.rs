//! The rows that a model yields, planned in the way that takes the least time.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::{Dependency, Engine, Session, newest_only};
use crate::error::Result;
use crate::lake::Snapshot;
use crate::name::{Layer, TableName};
use crate::project::Strategy;
use crate::rewrite::{Distribution, NewRows};

use super::BuildContext;
use super::parts::{Parts, cut};
use super::plan::has_one_record_per_key;
use super::rounds;
use super::target::Target;
use super::working_set::{WorkingSet, model_rows};

/// Fewer rows are not worth a file of their own.
const ROWS_PER_FILE: u64 = 5_000;

/// The rows that the model yields over `set`, in the way that takes the least time, and a session
/// over it; `dependencies` is what the model needs of each table, as far as that is known.
/// At most one `share`th of what is usually held is held at a time.
pub(super) async fn new_rows(
    context: &BuildContext,
    target: &Target,
    (set, share): (&WorkingSet, u64),
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<(Session, NewRows)> {
    let engine = &context.run.engine;
    let is_upsert = target.model.strategy == Strategy::Upsert && !set.is_append;
    if is_upsert && !has_one_record_per_key(context, target, dependencies).await? {
        let (session, plan) = newest_model_rows(engine, target, set).await?;
        let plan = session.physical(&plan).await?;
        return Ok((session, NewRows::Plan(plan)));
    }
    let session = engine.session(set.catalog());
    if set.is_everything()
        && let Some(parts) = cut(target, dependencies, engine.cores())?
    {
        return Ok((session, NewRows::Parts(plans_of_parts(engine, target, parts).await?)));
    }
    let plan = model_rows(target, &session).await?;
    if set.is_everything()
        && let Some((count, columns)) =
            rounds::rounds(target, dependencies, &plan, rounds::room(&session, share))?
    {
        let plans = plans_of_rounds(engine, target, &columns, count).await?;
        return Ok((session, NewRows::Rounds(plans)));
    }
    let plan = session.physical(&set.among_keys(&session, plan, target)?).await?;
    Ok((session, NewRows::Plan(plan)))
}

/// Into how many files the rows go: each core writes what it computed where there are fewer
/// partitions than cores, and enough rows for a file from each core.
pub(super) fn distribution(
    engine: &Engine,
    target: &Target,
    set: &WorkingSet,
) -> Result<Distribution> {
    let cores = engine.cores();
    let own = &target.spec.partition_by;
    let may_be = !own.is_empty() && target.spec.name.layer() != Layer::Gold;
    if !may_be || set.rows_read < ROWS_PER_FILE * cores as u64 {
        return Ok(Distribution::ByPartition);
    }
    let partitions = match &set.keys {
        Some(keys) => {
            let wanted = keys.wanted(&target.model.by, own)?;
            let values = |column: &String| wanted.iter().find(|one| one.column == *column);
            own.iter().map(|column| values(column).map(|one| one.values.len())).product()
        }
        None => {
            let is_same = |upstream: &Snapshot| upstream.partition_by() == *own;
            target.upstream.iter().all(is_same).then_some(set.partitions.len())
        }
    };
    let are_few = partitions.is_some_and(|partitions: usize| partitions < cores);
    Ok(if are_few { Distribution::PerCore } else { Distribution::ByPartition })
}

/// The model planned over each of `parts`, each for one core.
async fn plans_of_parts(
    engine: &Engine,
    target: &Target,
    parts: Parts,
) -> Result<Vec<(Session, Arc<dyn ExecutionPlan>)>> {
    let engine = engine.on_one_core();
    let mut plans = Vec::with_capacity(parts.len());
    for files in parts {
        let mut part = WorkingSet::default();
        for (upstream, files) in target.upstream.iter().zip(&files) {
            part.open(upstream, files)?;
        }
        let session = engine.session(part.catalog());
        let plan = session.physical(&model_rows(target, &session).await?).await?;
        plans.push((session, plan));
    }
    Ok(plans)
}

/// The model planned for each of `count` rounds, each for all cores.
async fn plans_of_rounds(
    engine: &Engine,
    target: &Target,
    columns: &[String],
    count: u64,
) -> Result<Vec<(Session, Arc<dyn ExecutionPlan>)>> {
    let mut plans = Vec::new();
    for number in 0..count {
        let set = rounds::working_set(engine, target, columns, (number, count))?;
        let session = engine.session(set.catalog());
        let plan = session.physical(&model_rows(target, &session).await?).await?;
        plans.push((session, plan));
    }
    Ok(plans)
}

/// The rows that the model yields over `set`, of several records with the same key those of the
/// newest, and the session that can execute them.
pub(in crate::pipeline) async fn newest_model_rows(
    engine: &Engine,
    target: &Target,
    set: &WorkingSet,
) -> Result<(Session, LogicalPlan)> {
    let model = &target.model;
    let mut session = engine.session(set.catalog());
    let mut plan = model_rows(target, &session).await?;
    if model.strategy == Strategy::Upsert {
        let spilling = engine.spilling_session(set.catalog());
        let newest = newest_only(&session, &spilling, plan, &model.by).await?;
        plan = newest.plan;
        if newest.may_spill {
            session = spilling;
        }
    }
    let plan = set.among_keys(&session, plan, target)?;
    Ok((session, plan))
}
