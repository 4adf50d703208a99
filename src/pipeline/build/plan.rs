//! What has to be done to bring a model's table up to date, and why. The plan is made once: `plan`
//! prints it, `run` carries it out, and nothing changes it on the way.

use std::collections::HashMap;

use crate::engine::{Dependency, KeyMapping, LINEAGE, dependencies, passed_on};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Changes, CommitMark, Snapshot, extent};
use crate::name::{Layer, TableName};
use crate::pipeline::foreign;
use crate::pipeline::land::redeclared_since;
use crate::project::{Model, Strategy};

use super::target::{Changed, Target, fingerprint, mark_id, spec_of, version_of};
use super::{BuildContext, rejects};

/// How one table is brought up to date.
pub(in crate::pipeline) struct BuildPlan {
    /// The model, what it reads, what it fills.
    pub target: Target,
    /// What is done.
    pub action: Action,
}

/// What is done to bring a table up to date.
pub(in crate::pipeline) enum Action {
    /// Nothing, for the reason given.
    Nothing { reason: String },
    /// Everything is computed anew.
    Full { reason: String },
    /// The rows that came are run through the model; an upsert replaces rows of the same keys, unless
    /// all of them are known to be new.
    New { changed: Vec<Changed>, is_append: bool, reason: String },
    /// The keys of the rows that came or went are computed anew.
    Touched { changed: Vec<Changed>, dependencies: HashMap<TableName, Dependency>, reason: String },
}

impl BuildPlan {
    /// The strategy by which it is done, and why it has to be.
    pub(in crate::pipeline) fn how(&self) -> (&'static str, &str) {
        match &self.action {
            Action::Nothing { reason } => ("none", reason),
            Action::Full { reason } => (Strategy::Full.as_str(), reason),
            Action::New { reason, .. } | Action::Touched { reason, .. } => {
                (self.target.model.strategy.as_str(), reason)
            }
        }
    }

    /// Bytes of the files that are read at least.
    pub(in crate::pipeline) fn least_bytes(&self) -> u64 {
        match &self.action {
            Action::Nothing { .. } => 0,
            Action::Full { .. } => self.target.upstream.iter().map(|one| one.size().1).sum(),
            Action::New { changed, .. } | Action::Touched { changed, .. } => {
                let moved = changed.iter().flat_map(|(_, moved)| [&moved.added, &moved.removed]);
                moved.map(|files| extent(files).2).sum()
            }
        }
    }
}

/// The plan for `model`, of the states that the run sees, in the way that takes the least reading.
///
/// Errors: `Missing` when a table that it reads is not there; `Conflict` when another run has built
/// the table from newer states than this one sees.
pub(in crate::pipeline) async fn plan_build(
    context: &BuildContext,
    model: &Model,
) -> Result<BuildPlan> {
    let mut upstream = Vec::with_capacity(model.reads.len());
    for table in &model.reads {
        upstream.push(context.view.state_of(table).await?);
    }
    let base = context.run.lake.snapshot(&model.table).await?;
    let spec = spec_of(model, &context.checked)?;
    for state in upstream.iter().filter(|state| context.view.owns(state.name())) {
        foreign::check(&context.view, state).await?;
    }
    let marks = marks_of(&upstream).await?;
    let target = Target { model: model.clone(), spec, upstream, marks, base };
    if let Some(reason) = reason_to_rebuild(context, &target) {
        return Ok(BuildPlan { target, action: Action::Full { reason } });
    }
    if let Some(base) = &target.base {
        foreign::check(&context.view, base).await?;
    }
    let action = match changes(context, &target).await? {
        Ok(changed) => incremental(context, &target, changed).await?,
        Err(reason) => Action::Full { reason },
    };
    Ok(BuildPlan { target, action })
}

/// What tells the present commit of each table from another of the same version.
async fn marks_of(upstream: &[Snapshot]) -> Result<Vec<Option<CommitMark>>> {
    let mut marks = Vec::with_capacity(upstream.len());
    for state in upstream {
        marks.push(state.commit_mark().await?);
    }
    Ok(marks)
}

/// Why the table is computed anew whatever happened upstream, if it is.
fn reason_to_rebuild(context: &BuildContext, target: &Target) -> Option<String> {
    let Some(base) = &target.base else { return Some("there was no such table".into()) };
    if base.fingerprint().as_deref() != Some(target.spec.fingerprint.as_str()) {
        return Some("the model was changed".into());
    }
    if base.has_outgrown_layout() {
        return Some("its partitions have grown large enough for files of their own".into());
    }
    context.refresh.reason(&target.model.table).map(str::to_owned)
}

/// What happened to each upstream table that was read before in another state, or why that cannot be
/// told.
async fn changes(
    context: &BuildContext,
    target: &Target,
) -> Result<std::result::Result<Vec<Changed>, String>> {
    let mut changed = Vec::new();
    let before = target.offsets_before().await?;
    for ((index, upstream), before) in target.upstream.iter().enumerate().zip(before) {
        let Some(before) = before else {
            return Ok(Err(format!("{} was not read before", upstream.name())));
        };
        if before > version_of(upstream) {
            check_not_behind(context, upstream, before).await?;
        } else if is_other_history(target, index, before).await? {
            let table = upstream.name();
            return Ok(Err(format!("{table} is not what it was at version {before}")));
        }
        if before == version_of(upstream) {
            continue;
        }
        let before = u64::try_from(before).unwrap_or_default();
        // Rows that did not come with a batch may be older than rows that are there already.
        let is_bronze = upstream.name().layer() == Layer::Bronze;
        if is_bronze && !upstream.foreign_since(before).await?.is_empty() {
            return Ok(Err(format!("another program wrote to {}", upstream.name())));
        }
        match upstream.changes_since(before).await? {
            Ok(changes) => changed.push((index, changes)),
            Err(reason) => {
                let said = declared_anew(upstream, before).await?;
                return Ok(Err(said.unwrap_or(reason)));
            }
        }
    }
    // What was only rearranged changes nothing.
    changed.retain(|(_, changes)| !changes.is_empty());
    Ok(Ok(changed))
}

/// What was changed about the columns of a Bronze table since the version `before`.
async fn declared_anew(upstream: &Snapshot, before: u64) -> Result<Option<String>> {
    if upstream.name().layer() != Layer::Bronze {
        return Ok(None);
    }
    let what = redeclared_since(upstream, before).await?;
    Ok(what.map(|what| format!("{} was declared anew: {what}", upstream.name())))
}

/// Whether the version `before` of an upstream table is another commit than when it was read: the table
/// was restored from a backup, say, and has come to that version a second time.
async fn is_other_history(target: &Target, index: usize, before: i64) -> Result<bool> {
    let (Some(base), Some(upstream)) = (&target.base, target.upstream.get(index)) else {
        return Ok(false);
    };
    let Some(read) = base.offset_of(&mark_id(upstream)).await? else { return Ok(false) };
    let now = match before == version_of(upstream) {
        true => target.marks.get(index).copied().flatten(),
        false => upstream.mark_of(u64::try_from(before).unwrap_or_default()).await?,
    };
    // A commit that is cleaned up tells nothing any more.
    Ok(now.is_some_and(|mark| mark.as_offset() != read))
}

/// A table that was built from a newer state than this run sees belongs to another run.
async fn check_not_behind(context: &BuildContext, upstream: &Snapshot, before: i64) -> Result<()> {
    let newest = context.run.lake.require(upstream.name(), At::Latest).await?;
    match version_of(&newest) >= before {
        true => Err(Error::new(Kind::Conflict, "another run has built it from newer rows")
            .at("upstream", upstream.name())),
        // The table itself went back; the changes cannot be told, and that leads to a rebuild.
        false => Ok(()),
    }
}

/// The action for what `changed` upstream.
async fn incremental(
    context: &BuildContext,
    target: &Target,
    mut changed: Vec<Changed>,
) -> Result<Action> {
    let model = &target.model;
    let full = |reason: String| Ok(Action::Full { reason });
    if rejects::has_orphaned(&context.run, target).await? {
        return full("an interrupted run has left rows in quarantine".into());
    }
    if changed.is_empty() {
        return Ok(Action::Nothing { reason: "nothing new upstream".into() });
    }
    let reason = describe_all(target, &changed);
    if model.strategy == Strategy::Full {
        return full(reason);
    }
    let only_came = changed.iter().all(|(_, changes)| changes.removed.is_empty());
    if only_came && sees_each_row_by_itself(context, target).await? {
        let is_append = model.strategy == Strategy::Append;
        return Ok(Action::New { changed, is_append, reason });
    }
    if model.strategy == Strategy::Append {
        return full(format!("rows went, and an append only adds: {reason}"));
    }
    let dependencies = dependencies_of(context, target).await?;
    // What the model names but does not read cannot change it.
    changed.retain(|(index, _)| {
        let table = target.upstream.get(*index).map(Snapshot::name);
        table.is_some_and(|table| dependencies.contains_key(table))
    });
    // A table with one record per key that only got rows got new keys, and no others.
    let may_append = only_came && !changed.is_empty() && model.strategy == Strategy::Upsert;
    if may_append && has_one_record_per_key(context, target, &dependencies).await? {
        return Ok(Action::New { changed, is_append: true, reason });
    }
    match obstacle(target, &changed, &dependencies, &reason) {
        Some(reason) => full(reason),
        None => Ok(Action::Touched { changed, dependencies, reason }),
    }
}

/// Why the touched keys are not looked for: they cannot be told, or everything is read with less.
fn obstacle(
    target: &Target,
    changed: &[Changed],
    dependencies: &HashMap<TableName, Dependency>,
    reason: &str,
) -> Option<String> {
    for (index, changes) in changed {
        let table = target.upstream.get(*index).map(Snapshot::name)?;
        if let Some(KeyMapping::Opaque(why)) = dependencies.get(table).map(|one| &one.keys) {
            return Some(format!("{}, and {why}", describe(table, changes)));
        }
    }
    if let Some(reason) = doubled(target, changed, dependencies) {
        return Some(reason);
    }
    // Telling what is different reads all that came and went, and then the touched keys again.
    let (mut moved, mut whole) = (0, 0);
    for (index, changes) in changed {
        moved += extent(changes.added.iter().chain(&changes.removed)).2;
        whole += target.upstream.get(*index).map_or(0, |upstream| upstream.size().1);
    }
    (moved > whole).then(|| format!("{reason}: more than reading everything once"))
}

/// Why the keys that changed rows lead to cannot be told, if that would need both the rows that
/// another table has and those that it had, and the model counts these.
fn doubled(
    target: &Target,
    changed: &[Changed],
    dependencies: &HashMap<TableName, Dependency>,
) -> Option<String> {
    let named = |(index, changes): &Changed| {
        let table = target.upstream.get(*index)?.name();
        Some((table.clone(), dependencies.get(table)?.clone(), !changes.removed.is_empty()))
    };
    let changed: Vec<_> = changed.iter().filter_map(named).collect();
    let (linked, ..) = changed.iter().find(|(_, one, _)| one.keys == KeyMapping::Linked)?;
    let other = changed
        .iter()
        .find(|(table, one, has_lost)| table != linked && *has_lost && !one.is_plain)?;
    Some(format!("{} and {linked} changed at once", other.0))
}

/// What the model needs of each table that it reads.
pub(super) async fn dependencies_of(
    context: &BuildContext,
    target: &Target,
) -> Result<HashMap<TableName, Dependency>> {
    dependencies(&context.run.engine, &target.model, &target.schemas()).await
}

/// Whether the rows of each key of an upsert go back to one record in any case, because those
/// of the one table that it reads do.
pub(super) async fn has_one_record_per_key(
    context: &BuildContext,
    target: &Target,
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<bool> {
    let [only] = target.upstream.as_slice() else { return Ok(false) };
    let Some(upsert) = context.checked.upserts.get(only.name()) else { return Ok(false) };
    // It may have been built by what the project said before.
    if only.fingerprint() != Some(fingerprint(upsert, only.schema(), &context.checked)) {
        return Ok(false);
    }
    let keys = dependencies.get(only.name()).map(|one| &one.keys);
    let Some(KeyMapping::Keyed(columns)) = keys else { return Ok(false) };
    if !upsert.by.iter().all(|column| columns.contains(column)) {
        return Ok(false);
    }
    let engine = &context.run.engine;
    passed_on(engine, &target.model, &target.schemas(), only.name(), &LINEAGE).await
}

/// Whether rows that come can be run through the model by themselves. For an upsert they must
/// also be newer than all before: rows of Bronze are, if their origin is passed on as it is.
async fn sees_each_row_by_itself(context: &BuildContext, target: &Target) -> Result<bool> {
    let model = &target.model;
    match (model.strategy, target.upstream.as_slice()) {
        (Strategy::Append, _) => Ok(true),
        (Strategy::Upsert, [only]) if only.name().layer() == Layer::Bronze => {
            let engine = &context.run.engine;
            passed_on(engine, model, &target.schemas(), only.name(), &LINEAGE).await
        }
        _ => Ok(false),
    }
}

fn describe_all(target: &Target, changed: &[Changed]) -> String {
    let reasons = changed.iter().filter_map(|(index, changes)| {
        Some(describe(target.upstream.get(*index)?.name(), changes))
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// What happened to a table, in words.
fn describe(table: &TableName, changes: &Changes) -> String {
    let (came, rows, _) = extent(&changes.added);
    let (went, _, _) = extent(&changes.removed);
    let files =
        |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    match (came, went) {
        (_, 0) => format!("{} with {rows} rows came to {table}", files(came)),
        (0, _) => format!("{} went from {table}", files(went)),
        _ => format!("{} came to {table} and {} went", files(came), files(went)),
    }
}
