//! Bringing one model's table up to date, with as little reading and writing as its strategy allows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::engine::Use;
use crate::error::Result;
use crate::lake::{Change, Removal, Snapshot, TableSpec, encoded};
use crate::name::TableName;
use crate::project::{Model, Strategy};

use super::expect::Judges;
use super::models::Built;
use super::parts::FEW_ROWS;
use super::quarantine::{Quarantine, Replacing, failed_expectation};
use super::scope::Scope;
use super::target::{Target, Work};
use super::write::{Outcome, Rows};
use super::{Run, Step, TableReport, millis};

/// Rows that were computed and written, and belong to no table yet.
struct Computed {
    scope: Scope,
    removal: Removal,
    outcome: Outcome,
    quarantine: Quarantine,
    report: TableReport,
}

impl Run {
    /// Brings the table of `model` up to date, when there is room on `cores`; notes in `built` what
    /// was done.
    pub(super) async fn build(
        &self,
        model: &Model,
        cores: &Semaphore,
        built: &mut Built,
    ) -> Result<()> {
        let started = Instant::now();
        let target = self.target(model).await?;
        let work = self.work(&target).await?;
        let uses = self.uses_for(&work, &target).await?;
        let begun = millis(started);
        let Some(room) = self.room_for(&work, &target, cores).await else { return Ok(()) };
        let started = Instant::now();
        let table = self.bring_up(&target, work, &uses, room, built).await?;
        self.leave_at(&model.table, table.version, target.base).await?;
        built.table = Some(TableReport { milliseconds: begun + millis(started), ..table });
        Ok(())
    }

    /// What the model wants of each table that it reads, as far as that is worth the asking: with little
    /// to do there is nothing to be saved by knowing.
    async fn uses_for(&self, work: &Work, target: &Target<'_>) -> Result<HashMap<TableName, Use>> {
        match work {
            Work::Touched { uses, .. } => Ok(uses.clone()),
            Work::Full { .. } if target.upstream_rows() >= FEW_ROWS => self.uses(target).await,
            _ => Ok(HashMap::new()),
        }
    }

    async fn bring_up(
        &self,
        target: &Target<'_>,
        work: Work,
        uses: &HashMap<TableName, Use>,
        room: SemaphorePermit<'_>,
        built: &mut Built,
    ) -> Result<TableReport> {
        let (mut strategy, mut reason) = work.how(target.model);
        let scope = match &work {
            Work::Nothing => return Ok(target.report()),
            Work::Full { .. } => Some(Scope::full(target)?),
            Work::New { changed, is_append, .. } => {
                self.scope_of_new(target, changed, *is_append).await?
            }
            Work::Touched { changed, uses, .. } => {
                self.scope_of_touched(target, changed, uses).await?
            }
        };
        let scope = match scope {
            Some(scope) => scope,
            None => {
                reason = format!("{reason}: too many keys to hold them in memory");
                strategy = Strategy::Full.as_str();
                Scope::full(target)?
            }
        };
        let bytes_read = scope.bytes_read;
        let computed = match &scope.keys {
            Some(keys) if keys.count() == 0 => None,
            _ => {
                let how = TableReport { strategy, reason, ..target.report() };
                self.compute(target, scope, uses, how, built).await?
            }
        };
        // A commit keeps no core busy.
        drop(room);
        match computed {
            Some(computed) => self.put_in_place(target, computed).await,
            None => self.note_positions(target, bytes_read).await,
        }
    }

    /// Writes the rows within `scope` to files; nothing when all come out as they were.
    async fn compute(
        &self,
        target: &Target<'_>,
        mut scope: Scope,
        uses: &HashMap<TableName, Use>,
        how: TableReport,
        built: &mut Built,
    ) -> Result<Option<Computed>> {
        let model = target.model;
        let seen = Arc::new(AtomicU64::new(0));
        let rows = Arc::clone(&seen);
        self.progress.begin(Step::Build { table: model.table.clone(), rows });
        let Some((session, new)) = self.rows_to_write(target, &mut scope, uses).await? else {
            return Ok(None);
        };
        let replaced = self.replaced(&session, target, &mut scope).await?;
        let kept = match &replaced.kept {
            Some(kept) => Some(session.physical(kept).await?),
            None => None,
        };
        let is_spread = self.is_worth_spreading(target, &scope)?;
        let rows = Rows { new: Some(new), kept, seen: Arc::clone(&seen), is_spread };
        let TableSpec { schema, partition_by, .. } = &target.spec;
        let judges = Arc::new(Judges::new(&session, model, &encoded(schema, partition_by))?);
        let mut quarantine = self.quarantine(&model.table)?;
        let outcome = self.write(&target.spec, &session, rows, &judges, &mut quarantine).await;
        built.expectations = judges.report(model);
        let outcome = outcome?;
        if let Some((expectation, rows)) = judges.broken() {
            return Err(failed_expectation(&model.table, expectation, rows));
        }
        let report = TableReport {
            rows_in: seen.load(Ordering::Relaxed),
            rows_landed: outcome.written.rows - outcome.kept,
            rows_quarantined: quarantine.rejected,
            rows_dropped: judges.dropped(),
            bytes_read: scope.bytes_read,
            files_written: outcome.written.adds.len() as u64,
            bytes_written: outcome.written.bytes,
            ..how
        };
        Ok(Some(Computed { scope, removal: replaced.removal, outcome, quarantine, report }))
    }

    /// Puts what was computed in the place of the rows that it replaces.
    async fn put_in_place(&self, target: &Target<'_>, computed: Computed) -> Result<TableReport> {
        let Computed { scope, removal, outcome, quarantine, mut report } = computed;
        let replacing = match (&scope.keys, scope.is_append) {
            (Some(keys), _) => Replacing::Keys(keys),
            (None, true) => Replacing::Nothing,
            (None, false) => Replacing::Everything,
        };
        self.commit_rejected_rows(quarantine, target, replacing).await?;
        let written = outcome.written.rows;
        let change = Change {
            adds: outcome.written.adds,
            removal,
            positions: target.positions(),
            notes: self.notes(&report),
            ..Change::default()
        };
        let (version, removed) =
            self.lake.commit(&target.spec, target.base.as_ref(), change).await?;
        report.version = version;
        report.rows_replaced = removed.saturating_sub(outcome.kept);
        let before = target.base.as_ref().map_or(Some(0), Snapshot::rows);
        report.rows = before.map(|before| (before + written).saturating_sub(removed));
        Ok(report)
    }

    /// What changed upstream does not matter to the model: only how far it has read is noted.
    async fn note_positions(&self, target: &Target<'_>, bytes_read: u64) -> Result<TableReport> {
        let reason = "what changed upstream does not matter to it".to_owned();
        let mut report = TableReport { bytes_read, reason, ..target.report() };
        let notes = self.notes(&report);
        let change = Change { positions: target.positions(), notes, ..Change::default() };
        (report.version, _) = self.lake.commit(&target.spec, target.base.as_ref(), change).await?;
        Ok(report)
    }

    fn notes(&self, report: &TableReport) -> Vec<(&'static str, serde_json::Value)> {
        vec![
            ("run_id", self.id.clone().into()),
            ("strategy", report.strategy.into()),
            ("reason", report.reason.clone().into()),
        ]
    }
}
