//! The rows that a model yields, planned in the way that takes the least time.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::{Session, Use, newest_only};
use crate::error::Result;
use crate::lake::Snapshot;
use crate::name::{Layer, TableName};
use crate::project::Strategy;

use super::Run;
use super::parts::{Parts, cut};
use super::scope::Scope;
use super::target::Target;
use super::write::New;

/// Fewer rows are not worth a file of their own.
const ROWS_PER_FILE: u64 = 5_000;

impl Run {
    /// The rows that have to be written for `scope`, which is narrowed when some of its partitions stay
    /// as they are, and a session over it; nothing when all stay.
    pub(super) async fn rows_to_write(
        &self,
        target: &Target<'_>,
        scope: &mut Scope,
        uses: &HashMap<TableName, Use>,
    ) -> Result<Option<(Session, New)>> {
        let Some(different) = self.different(target, scope, uses).await? else {
            return self.new_rows(target, scope, uses).await.map(Some);
        };
        if different.partitions.is_empty() {
            return Ok(None);
        }
        scope.within = Some(different.partitions);
        Ok(Some((different.session, New::Plan(different.rows))))
    }

    /// The rows that the model yields within `scope`, in the way that takes the least time, and a
    /// session over the scope; `uses` is what the model wants of each table, as far as that is known.
    async fn new_rows(
        &self,
        target: &Target<'_>,
        scope: &Scope,
        uses: &HashMap<TableName, Use>,
    ) -> Result<(Session, New)> {
        let is_upsert = target.model.strategy == Strategy::Upsert && !scope.is_append;
        let needs_newest = is_upsert && !self.has_one_record_per_key(target, uses).await?;
        if scope.is_everything()
            && !needs_newest
            && let Some(parts) = cut(target, uses, self.engine.cores())?
        {
            let plans = self.plans_of(target, parts).await?;
            return Ok((self.engine.session(scope.catalog()), New::Parts(plans)));
        }
        let (session, plan) = match needs_newest {
            true => self.model_rows(target, scope).await?,
            false => {
                let session = self.engine.session(scope.catalog());
                let plan = scope.among_keys(&session, target.rows(&session).await?, target)?;
                (session, plan)
            }
        };
        let plan = session.physical(&plan).await?;
        Ok((session, New::Plan(plan)))
    }

    /// Whether each core is to write what it computed, whatever partition it belongs to: there are
    /// fewer partitions than cores, and enough rows for a file from each core.
    pub(super) fn is_worth_spreading(&self, target: &Target<'_>, scope: &Scope) -> Result<bool> {
        let cores = self.engine.cores();
        let own = &target.spec.partition_by;
        let may_be = !own.is_empty() && target.spec.name.layer() != Layer::Gold;
        if !may_be || scope.rows_read < ROWS_PER_FILE * cores as u64 {
            return Ok(false);
        }
        let partitions = match &scope.keys {
            Some(keys) => {
                let wanted = keys.wanted(&target.model.by, own)?;
                let values = |column: &String| wanted.iter().find(|one| one.column == *column);
                own.iter().map(|column| values(column).map(|one| one.values.len())).product()
            }
            None => {
                let is_same = |upstream: &Snapshot| upstream.partition_by() == *own;
                target.upstream.iter().all(is_same).then_some(scope.partitions.len())
            }
        };
        Ok(partitions.is_some_and(|partitions: usize| partitions < cores))
    }

    /// The model planned over each of `parts`, each for one core.
    async fn plans_of(
        &self,
        target: &Target<'_>,
        parts: Parts,
    ) -> Result<Vec<(Session, Arc<dyn ExecutionPlan>)>> {
        let engine = self.engine.on_one_core();
        let mut plans = Vec::with_capacity(parts.len());
        for files in parts {
            let mut part = Scope::default();
            for (upstream, files) in target.upstream.iter().zip(&files) {
                part.open(upstream, files)?;
            }
            let session = engine.session(part.catalog());
            let plan = session.physical(&target.rows(&session).await?).await?;
            plans.push((session, plan));
        }
        Ok(plans)
    }

    /// The rows that the model yields within `scope`, of several records with the same key those of
    /// the newest, and the session that can execute them.
    pub(super) async fn model_rows(
        &self,
        target: &Target<'_>,
        scope: &Scope,
    ) -> Result<(Session, LogicalPlan)> {
        let model = target.model;
        let mut session = self.engine.session(scope.catalog());
        let mut plan = target.rows(&session).await?;
        if model.strategy == Strategy::Upsert {
            let patient = self.engine.patient_session(scope.catalog());
            let newest = newest_only(&session, &patient, plan, &model.by).await?;
            plan = newest.plan;
            if newest.needs_patience {
                session = patient;
            }
        }
        let plan = scope.among_keys(&session, plan, target)?;
        Ok((session, plan))
    }
}
