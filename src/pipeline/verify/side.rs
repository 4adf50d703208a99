//! The two sides of a comparison: the rows that are there, and those that a full computation gives.

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::TryStreamExt as _;

use crate::engine::{Engine, Session, Tables, engine_error};
use crate::error::Result;
use crate::lake::{Snapshot, to_stored};
use crate::pipeline::build::{Target, WorkingSet, newest_model_rows};
use crate::pipeline::check::Expectations;

/// One side.
pub(super) enum Side<'a> {
    /// The rows of a table.
    Actual { engine: &'a Engine, base: &'a Snapshot },
    /// The rows that the model gives over everything.
    Expected { engine: &'a Engine, target: &'a Target },
}

impl Side<'_> {
    /// Gives the rows that satisfy `filter` to `each`, as the table stores them.
    pub(super) async fn rows(
        &self,
        filter: Option<&Expr>,
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Actual { engine, base } => {
                let session = engine.session(Tables::default().into_catalog());
                let plan = session.table(base.provider()?)?.into_unoptimized_plan();
                stream(&session, plan, filter, |batch| each(to_stored(&batch, base.schema(), &[])?))
                    .await
            }
            Self::Expected { engine, target } => {
                let set = WorkingSet::full(target)?;
                let (session, plan) = newest_model_rows(engine, target, &set).await?;
                let schema = &target.spec.schema;
                let expectations = Expectations::new(&session, &target.model, schema)?;
                stream(&session, plan, filter, |batch| {
                    let rows = to_stored(&batch, schema, &[])?;
                    each(expectations.evaluate(rows)?.kept)
                })
                .await
            }
        }
    }
}

async fn stream(
    session: &Session,
    plan: LogicalPlan,
    filter: Option<&Expr>,
    mut each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let failed = |e| engine_error("cannot compute the rows to compare", e);
    let plan = match filter {
        Some(filter) => {
            let rows = session.frame(plan).filter(filter.clone());
            rows.map_err(|e| engine_error("cannot pick parts of a table", e))?
                .into_unoptimized_plan()
        }
        None => plan,
    };
    let mut stream = session.execute_all(session.physical(&plan).await?)?;
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        each(batch)?;
    }
    Ok(())
}
