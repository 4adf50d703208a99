//! The rows that a model yields, planned in the way that takes the least time.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::{Session, Use, newest_only};
use crate::error::Result;
use crate::name::TableName;
use crate::project::Strategy;

use super::Run;
use super::parts::{Parts, cut};
use super::scope::Scope;
use super::target::Target;
use super::write::New;

impl Run {
    /// The rows that the model yields within `scope`, in the way that takes the least time, and a
    /// session over the scope; `uses` is what the model wants of each table, as far as that is known.
    pub(super) async fn new_rows(
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
