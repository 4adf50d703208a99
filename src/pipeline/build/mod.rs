//! Bringing one model's table up to date, with as little reading and writing as its strategy allows.
//!
//! [`plan_build`] says what has to be done; [`carry_out`] does it: the working set of the plan, the
//! rows that the model yields over it, the rows that they replace, one commit.

mod new_rows;
mod parts;
mod plan;
mod rejects;
mod replacement;
mod rounds;
mod target;
mod touched;
mod unchanged;
mod working_set;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::SemaphorePermit;

use crate::engine::{Checked, Dependency, Session, is_out_of_memory};
use crate::error::Result;
use crate::lake::{Change, Removal, Snapshot, TableSpec, encoded};
use crate::name::TableName;
use crate::ops::{Quarantine, Rejected};
use crate::project::Strategy;
use crate::rewrite::{NewRows, Outcome, Rows, write};

use super::check::{Expectations, Gate, failed_expectation};
use super::context::Context;
use super::foreign::SETTLES;
use super::thresholds::of_build;
use super::view::View;
use super::{ExpectationReport, Refresh, Step, TableReport};

use parts::FEW_ROWS;
use plan::dependencies_of;
use replacement::replacement;

pub(super) use new_rows::newest_model_rows;
pub(super) use plan::{Action, BuildPlan, plan_build};
pub(super) use target::{Target, mark_id, offset_id, spec_of, version_of};
pub(super) use working_set::WorkingSet;

/// The smallest share of what is usually held with which a build is tried.
const FINEST_SHARE: u64 = 64;

/// What building works with. A clone is the same.
#[derive(Clone)]
pub(super) struct BuildContext {
    /// The run.
    pub run: Context,
    /// The tables as the run sees them.
    pub view: View,
    /// The project, all of whose SQL plans.
    pub checked: Arc<Checked>,
    /// Models that are computed anew even when nothing has changed.
    pub refresh: Arc<Refresh>,
    /// Tables that are built and published whatever thresholds they cross.
    pub accepted: Arc<HashSet<TableName>>,
    /// Held while the quarantine is committed to: what one model takes out of it and what another
    /// adds would else be a conflict of the run with itself.
    pub quarantining: Arc<tokio::sync::Mutex<()>>,
}

/// What became of a model.
#[derive(Default)]
pub(super) struct Built {
    /// Its table, if it is up to date.
    pub table: Option<TableReport>,
    /// What its rows were expected to be.
    pub expectations: Vec<ExpectationReport>,
}

/// Rows that were computed and written, and belong to no table yet.
struct Computed {
    set: WorkingSet,
    removal: Removal,
    outcome: Outcome,
    quarantine: Quarantine,
    report: TableReport,
}

/// Does what `plan` says, while it keeps `room`; notes in `built` how expectations were met.
///
/// Errors: `Conflict` when another run wins; `Data` when an expectation must hold and does not.
pub(super) async fn carry_out(
    context: &BuildContext,
    plan: &BuildPlan,
    room: SemaphorePermit<'_>,
    built: &mut Built,
) -> Result<TableReport> {
    let target = &plan.target;
    let (mut strategy, reason) = plan.how();
    let mut reason = reason.to_owned();
    if let Action::Nothing { .. } = plan.action {
        return Ok(target.report(&reason));
    }
    let dependencies = dependencies_for(context, plan).await?;
    let set = match working_set_of(context, plan).await? {
        Some(set) => set,
        None => {
            reason = format!("{reason}: too many keys to hold them in memory");
            strategy = Strategy::Full.as_str();
            WorkingSet::full(target)?
        }
    };
    let bytes_read = set.bytes_read;
    let computed = match &set.keys {
        Some(keys) if keys.count() == 0 => None,
        _ => {
            let how = TableReport { strategy, reason, ..target.report("") };
            compute(context, target, set, &dependencies, (how, built)).await?
        }
    };
    // A commit keeps no core busy.
    drop(room);
    match computed {
        Some(computed) => commit(context, target, computed).await,
        None => note_offsets(context, target, bytes_read).await,
    }
}

/// What the model needs of each table that it reads, as far as that is worth the asking: with little
/// to do there is nothing to be saved by knowing.
async fn dependencies_for(
    context: &BuildContext,
    plan: &BuildPlan,
) -> Result<HashMap<TableName, Dependency>> {
    match &plan.action {
        Action::Touched { dependencies, .. } => Ok(dependencies.clone()),
        Action::Full { .. } if plan.target.upstream_rows() >= FEW_ROWS => {
            dependencies_of(context, &plan.target).await
        }
        _ => Ok(HashMap::new()),
    }
}

/// What the model is computed from; None when the keys are too many to be held.
async fn working_set_of(context: &BuildContext, plan: &BuildPlan) -> Result<Option<WorkingSet>> {
    let (engine, target) = (&context.run.engine, &plan.target);
    match &plan.action {
        Action::Nothing { .. } | Action::Full { .. } => WorkingSet::full(target).map(Some),
        Action::New { changed, is_append, .. } => {
            touched::of_new_rows(engine, target, changed, *is_append).await
        }
        Action::Touched { changed, dependencies, .. } => {
            touched::of_touched_keys(engine, target, changed, dependencies).await
        }
    }
}

/// Rows that have to be written, a session over what they are computed from, and the partitions
/// that they are in if that is known.
type ToWrite = (Session, NewRows, Option<BTreeSet<String>>);

/// The rows that have to be written for `set`; None when all stay as they are.
async fn rows_to_write(
    context: &BuildContext,
    target: &Target,
    (set, share): (&WorkingSet, u64),
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<Option<ToWrite>> {
    let engine = &context.run.engine;
    match unchanged::changed_partitions(engine, target, set, dependencies).await? {
        Some(changed) if changed.names.is_empty() => Ok(None),
        Some(changed) => {
            let rows = NewRows::Plan(changed.rows);
            Ok(Some((changed.session, rows, Some(changed.names))))
        }
        None => {
            let (session, rows) =
                new_rows::new_rows(context, target, (set, share), dependencies).await?;
            Ok(Some((session, rows, None)))
        }
    }
}

/// Writes the rows of `set` to files; None when all come out as they were. When that takes more memory
/// than there is, it is done again in more rounds, if the model can be computed in such.
async fn compute(
    context: &BuildContext,
    target: &Target,
    set: WorkingSet,
    dependencies: &HashMap<TableName, Dependency>,
    (how, built): (TableReport, &mut Built),
) -> Result<Option<Computed>> {
    let mut share = 1;
    loop {
        let reported = (how.clone(), &mut *built);
        match compute_in_shares(context, target, (&set, share), dependencies, reported).await {
            Err(e) if set.is_everything() && share < FINEST_SHARE && is_out_of_memory(&e) => {
                share *= 4;
            }
            Err(e) => return Err(e),
            Ok(written) => {
                return Ok(written.map(|written| {
                    let Written { removal, outcome, quarantine, report } = written;
                    Computed { set, removal, outcome, quarantine, report }
                }));
            }
        }
    }
}

/// Rows that are in files, and belong to no table yet.
struct Written {
    removal: Removal,
    outcome: Outcome,
    quarantine: Quarantine,
    report: TableReport,
}

/// The same, with at most one `share`th of what is usually held at a time.
async fn compute_in_shares(
    context: &BuildContext,
    target: &Target,
    (set, share): (&WorkingSet, u64),
    dependencies: &HashMap<TableName, Dependency>,
    (how, built): (TableReport, &mut Built),
) -> Result<Option<Written>> {
    let (run, model) = (&context.run, &target.model);
    let seen = Arc::new(AtomicU64::new(0));
    let rows = Arc::clone(&seen);
    let _building = run.progress.begin(Step::Build { table: model.table.clone(), rows });
    let Some((session, new, within)) =
        rows_to_write(context, target, (set, share), dependencies).await?
    else {
        return Ok(None);
    };
    let replaced = replacement(&session, target, set, within.as_ref()).await?;
    let kept = match &replaced.kept {
        Some(kept) => Some(session.physical(kept).await?),
        None => None,
    };
    let distribution = new_rows::distribution(&run.engine, target, set)?;
    let expected = set.rows_read;
    let rows = Rows { new: Some(new), kept, seen: Arc::clone(&seen), expected, distribution };
    let TableSpec { schema, partition_by, .. } = &target.spec;
    let stored = encoded(schema, partition_by);
    let expectations = Arc::new(Expectations::new(&session, model, &stored)?);
    let mut quarantine = Quarantine::open(&run.lake, &run.engine, &model.table, run.stamp())?;
    let (gate, rejected) = Gate::new(&expectations);
    let is_whole = matches!(replaced.removal, Removal::Everything);
    let base = target.base.as_ref().filter(|_| !is_whole);
    let writing = write(run.destination(&target.spec, base), &session, rows, Some(gate));
    let outcome = tokio::try_join!(writing, add_all(&mut quarantine, rejected));
    built.expectations = expectations.report(model);
    let (outcome, ()) = outcome?;
    if let Some((expectation, rows)) = expectations.broken() {
        return Err(failed_expectation(&model.table, expectation, rows));
    }
    let report = TableReport {
        rows_in: seen.load(Ordering::Relaxed),
        rows_landed: outcome.written.rows - outcome.kept,
        rows_quarantined: quarantine.rejected(),
        rows_dropped: expectations.dropped(),
        bytes_read: set.bytes_read + replaced.bytes_read,
        files_written: outcome.written.adds.len() as u64,
        bytes_written: outcome.written.bytes,
        committed: true,
        ..how
    };
    let is_judged = !context.accepted.contains(&model.table);
    let crossed = of_build(model, &report, quarantine.example()).filter(|_| is_judged);
    if let Some(error) = crossed {
        return Err(error);
    }
    Ok(Some(Written { removal: replaced.removal, outcome, quarantine, report }))
}

/// Adds rejected rows to the quarantine as they come.
async fn add_all(
    quarantine: &mut Quarantine,
    mut rejected: tokio::sync::mpsc::Receiver<Vec<Rejected>>,
) -> Result<()> {
    while let Some(rows) = rejected.recv().await {
        quarantine.add(rows).await?;
    }
    Ok(())
}

/// Puts what was computed in the place of the rows that it replaces.
async fn commit(
    context: &BuildContext,
    target: &Target,
    computed: Computed,
) -> Result<TableReport> {
    let Computed { set, removal, outcome, quarantine, mut report } = computed;
    let table = target.model.table.clone();
    let _committing = context.run.progress.begin(Step::Commit { table });
    rejects::commit(context, quarantine, target, &set).await?;
    let written = outcome.written.rows;
    let mut notes = notes(&context.run, &report);
    if matches!(removal, Removal::Everything) {
        notes.push((SETTLES, true.into()));
    }
    let change = Change {
        adds: outcome.written.adds,
        removal,
        offsets: target.offsets(),
        notes,
        ..Change::default()
    };
    let base = target.base.as_ref();
    let (version, removed) = context.run.lake.commit(&target.spec, base, change).await?;
    report.version = version;
    report.rows_replaced = removed.saturating_sub(outcome.kept);
    let before = base.map_or(Some(0), Snapshot::rows);
    report.rows = before.map(|before| (before + written).saturating_sub(removed));
    Ok(report)
}

/// What changed upstream does not matter to the model: only how far it has read is noted.
async fn note_offsets(
    context: &BuildContext,
    target: &Target,
    bytes_read: u64,
) -> Result<TableReport> {
    let reason = "what changed upstream does not matter to it";
    let mut report = TableReport { bytes_read, committed: true, ..target.report(reason) };
    let notes = notes(&context.run, &report);
    let change = Change { offsets: target.offsets(), notes, ..Change::default() };
    let base = target.base.as_ref();
    (report.version, _) = context.run.lake.commit(&target.spec, base, change).await?;
    Ok(report)
}

fn notes(context: &Context, report: &TableReport) -> Vec<(&'static str, serde_json::Value)> {
    vec![
        context.note(),
        ("strategy", report.strategy.into()),
        ("reason", report.reason.clone().into()),
    ]
}
