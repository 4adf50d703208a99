//! Rows that expectations reject: committed before the table, in place of what was rejected of the
//! same rows before.

use crate::error::Result;
use crate::lake::Snapshot;
use crate::ops::{Outdated, Quarantine, quarantine_of};
use crate::pipeline::context::Context;
use crate::pipeline::view::overtaken;
use crate::project::Strategy;

use super::BuildContext;
use super::target::Target;
use super::working_set::WorkingSet;

/// Commits what was rejected of the rows of `set`.
///
/// Errors: `Conflict` when another run is further with the table.
pub(super) async fn commit(
    context: &BuildContext,
    quarantine: Quarantine,
    target: &Target,
    set: &WorkingSet,
) -> Result<()> {
    let _others_wait = context.quarantining.lock().await;
    let outdated = match (&set.keys, set.is_append) {
        (Some(keys), _) => Outdated::Keys(keys),
        (None, true) => Outdated::Nothing,
        (None, false) => Outdated::All,
    };
    let base = quarantine_of(&context.run.lake).await?;
    let offsets = target.rejects_offsets();
    if quarantine.rejected() > 0 {
        // Rows that are only added must not be added to those of a run that has seen the same.
        let limits: Vec<Option<i64>> = match outdated {
            Outdated::Nothing => target.offsets_before().await?,
            _ => offsets.iter().map(|(_, own)| Some(*own)).collect(),
        };
        check_not_overtaken(&context.run, target, base.as_ref(), &offsets, &limits).await?;
    }
    quarantine.commit(base.as_ref(), outdated, offsets, false).await
}

/// What is rejected goes with a state of the table that is still to be made: once another run has
/// made it, or a later one, it would only stand in the way.
async fn check_not_overtaken(
    context: &Context,
    target: &Target,
    base: Option<&Snapshot>,
    offsets: &[(String, i64)],
    limits: &[Option<i64>],
) -> Result<()> {
    let table = &target.model.table;
    for ((id, _), limit) in offsets.iter().zip(limits) {
        let recorded = match base {
            Some(base) => base.offset_of(id).await?,
            None => None,
        };
        if recorded > *limit {
            return Err(overtaken(table));
        }
    }
    let newest = context.lake.snapshot(table).await?.map(|newest| newest.version());
    match newest == target.base.as_ref().map(Snapshot::version) {
        true => Ok(()),
        false => Err(overtaken(table)),
    }
}

/// Whether a run that died has left rows of an append in quarantine that it never added: the
/// next one could not tell them from its own.
pub(super) async fn has_orphaned(context: &Context, target: &Target) -> Result<bool> {
    if target.model.strategy != Strategy::Append || target.model.expectations.is_empty() {
        return Ok(false);
    }
    let Some(base) = quarantine_of(&context.lake).await? else { return Ok(false) };
    let Some(table) = &target.base else { return Ok(false) };
    for (quarantined, built) in target.rejects_offsets().iter().zip(target.versions()) {
        let before = table.offset_of(&built.0).await?;
        if base.offset_of(&quarantined.0).await?.is_some_and(|ahead| Some(ahead) > before) {
            return Ok(true);
        }
    }
    Ok(false)
}
