//! The working sets of builds that do not read everything: rows that came, and touched keys.

use std::collections::HashMap;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;

use crate::engine::{
    Dependency, Engine, KeyMapping, Keys, Moved, Session, Tables, changed_rows, moved_keys,
};
use crate::error::Result;
use crate::lake::{Changes, Snapshot, extent};
use crate::name::TableName;

use super::target::{Changed, Target};
use super::working_set::{WorkingSet, distinct_keys, key_schema, keys_failed, keys_of, model_rows};

/// The rows that came, and no others: the model sees each row by itself. None when their keys are too
/// many to be held.
pub(super) async fn of_new_rows(
    engine: &Engine,
    target: &Target,
    changed: &[Changed],
    is_append: bool,
) -> Result<Option<WorkingSet>> {
    let mut set = WorkingSet { is_new: true, is_append, ..WorkingSet::default() };
    for (place, upstream) in target.upstream.iter().enumerate() {
        let own = changed.iter().find(|(index, _)| *index == place);
        set.open(upstream, own.map_or(&[], |(_, changes)| &changes.added))?;
    }
    if is_append {
        return Ok(Some(set));
    }
    let session = engine.session(set.catalog());
    let plan = model_rows(target, &session).await?;
    let plan = distinct_keys(session.frame(plan), &target.model.by)?;
    set.keys = keys_of(&session, target, &plan).await?;
    Ok(set.keys.is_some().then_some(set))
}

/// The upstream rows of the keys that changed rows touch. None when the keys are too many to be held.
pub(super) async fn of_touched_keys(
    engine: &Engine,
    target: &Target,
    changed: &[Changed],
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<Option<WorkingSet>> {
    let session = engine.session(Tables::default().into_catalog());
    let mut set = WorkingSet { changed: changed.to_vec(), ..WorkingSet::default() };
    let mut plans: Option<DataFrame> = None;
    for (index, changes) in changed {
        let Some(upstream) = target.upstream.get(*index) else { continue };
        let Some(dependency) = dependencies.get(upstream.name()) else { continue };
        set.bytes_read += extent(changes.added.iter().chain(&changes.removed)).2;
        let moved = moved(upstream, changes, dependency)?;
        let plan = match &dependency.keys {
            KeyMapping::Keyed(columns) => moved_keys(&session, &moved, columns, &target.model.by)?,
            _ => {
                // Held, so that a join knows how few they are.
                let rows = changed_rows(&session, &moved)?;
                let Some(rows) = Keys::collect(&session, &rows, upstream.schema()).await? else {
                    return Ok(None);
                };
                let (plan, bytes) = linked_keys(engine, target, changed, *index, rows).await?;
                set.bytes_read += bytes;
                plan
            }
        };
        let frame = session.frame(plan);
        plans = Some(match plans {
            Some(plans) => plans.union(frame).map_err(keys_failed)?,
            None => frame,
        });
    }
    let keys = match plans {
        Some(plans) => {
            let plan = plans.distinct().map_err(keys_failed)?.into_unoptimized_plan();
            keys_of(&session, target, &plan).await?
        }
        None => Some(Keys::none(&key_schema(target))),
    };
    let Some(keys) = keys else { return Ok(None) };
    if keys.count() > 0 {
        open_all(&mut set, &session, target, dependencies, &keys)?;
    }
    set.keys = Some(keys);
    Ok(Some(set))
}

/// Opens each upstream table, where it can be for rows of `keys` only.
fn open_all(
    set: &mut WorkingSet,
    session: &Session,
    target: &Target,
    dependencies: &HashMap<TableName, Dependency>,
    keys: &Keys,
) -> Result<()> {
    for upstream in &target.upstream {
        match dependencies.get(upstream.name()).map(|one| &one.keys) {
            Some(KeyMapping::Keyed(columns)) => {
                set.open_keyed(session, upstream, columns, keys)?;
            }
            _ => set.open(upstream, &upstream.files()?)?,
        }
    }
    Ok(())
}

/// The keys that the model yields for the changed `rows` of one table, and how many bytes that reads.
/// Of the others it sees what is there and what went, for a key that only the two together had is
/// touched as well.
async fn linked_keys(
    engine: &Engine,
    target: &Target,
    changed: &[Changed],
    index: usize,
    rows: Keys,
) -> Result<(LogicalPlan, u64)> {
    let rows = rows.into_table()?;
    let mut inputs = WorkingSet::default();
    for (place, upstream) in target.upstream.iter().enumerate() {
        if place == index {
            inputs.open_table(upstream.name(), std::sync::Arc::clone(&rows));
            continue;
        }
        let mut files = upstream.files()?;
        let own = changed.iter().find(|(changed, _)| *changed == place);
        files.extend(own.into_iter().flat_map(|(_, changes)| changes.removed.iter().cloned()));
        inputs.open(upstream, &files)?;
    }
    let session = engine.session(inputs.catalog());
    let plan = model_rows(target, &session).await?;
    Ok((distinct_keys(session.frame(plan), &target.model.by)?, inputs.bytes_read))
}

fn moved(upstream: &Snapshot, changes: &Changes, dependency: &Dependency) -> Result<Moved> {
    let removed = match changes.removed.as_slice() {
        [] => None,
        removed => Some(upstream.view_provider_of(removed)?),
    };
    let added = upstream.view_provider_of(&changes.added)?;
    Ok(Moved { added, removed, columns: dependency.columns.clone() })
}
