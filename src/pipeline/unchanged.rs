//! Partitions that stay as they are, though they hold touched keys.
//!
//! What a user does today touches the user, and with that all that he ever did. Most of it comes out as
//! it was: a way that led to an earlier day does not change by what comes after it. Where a table is
//! separated by a column that is no key, its new rows are therefore computed first and compared with the
//! old ones of the same keys, partition by partition, and only partitions that differ are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;

use crate::engine::{Keys, Session, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{DataFile, Snapshot, encoded, to_stored};
use crate::project::Strategy;

use super::Run;
use super::scope::Scope;
use super::target::Target;
use super::total::{Total, add_up, rows_of};

/// What is different.
pub(super) struct Different {
    /// The partitions with a difference, as [`partition_name`] says them.
    pub partitions: BTreeSet<String>,
    /// A session over the scope.
    pub session: Session,
    /// The new rows of these partitions.
    pub rows: Arc<dyn ExecutionPlan>,
}

impl Run {
    /// The partitions of the table in which the rows of the touched keys come out differently. Nothing
    /// when the table is not of that kind, or its new rows are too many to be held.
    pub(super) async fn different(
        &self,
        target: &Target<'_>,
        scope: &Scope,
    ) -> Result<Option<Different>> {
        let (Some(base), Some(keys)) = (&target.base, &scope.keys) else { return Ok(None) };
        if !may_stay(target) || base.partition_by() != target.spec.partition_by {
            return Ok(None);
        }
        let session = self.engine.session(scope.catalog());
        let plan = scope.among_keys(&session, target.rows(&session).await?, target)?;
        let Some((new, rows)) = self.total_of(target, &session, &plan, true).await? else {
            return Ok(None);
        };
        let (old, _) = self.old_total(target, &session, base, keys).await?;
        let empty = Total::default();
        let is_different = |name: &&String| {
            let of = |parts: &'_ BTreeMap<String, Total>| {
                parts.get(*name).cloned().unwrap_or_else(|| empty.clone())
            };
            !of(&new).equals(&of(&old))
        };
        let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
        let partitions = names.into_iter().filter(is_different).cloned().collect();
        let own = &target.spec.partition_by;
        let rows = rows.iter().map(|batch| rows_of(&partitions, batch, own));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let schema = encoded(&target.spec.schema, own);
        let table = MemTable::try_new(schema, vec![rows])
            .map_err(|e| engine_error("cannot hold the rows that differ", e))?;
        let rows = session.table(Arc::new(table))?.into_unoptimized_plan();
        let rows = session.physical(&rows).await?;
        Ok(Some(Different { partitions, session, rows }))
    }

    async fn old_total(
        &self,
        target: &Target<'_>,
        session: &Session,
        base: &Snapshot,
        keys: &Keys,
    ) -> Result<(BTreeMap<String, Total>, Vec<RecordBatch>)> {
        let model = target.model;
        let files = base.files_where(&keys.wanted(&model.by, &base.partition_by())?)?;
        let rows = session.table(base.view_provider_of(&files)?)?.into_unoptimized_plan();
        let rows = keys.among(session, rows, &model.by)?;
        Ok(self.total_of(target, session, &rows, false).await?.unwrap_or_default())
    }

    /// What the rows of `plan` come to in each partition, and these rows, if they are to be held;
    /// nothing when that is too much.
    async fn total_of(
        &self,
        target: &Target<'_>,
        session: &Session,
        plan: &LogicalPlan,
        holds: bool,
    ) -> Result<Option<(BTreeMap<String, Total>, Vec<RecordBatch>)>> {
        let own = &target.spec.partition_by;
        let schema = encoded(&target.spec.schema, own);
        let mut stream = session.execute_all(session.physical(plan).await?)?;
        let (mut totals, mut rows, mut bytes) = (BTreeMap::new(), Vec::new(), 0);
        let what = "cannot compare the rows of the model with those before";
        while let Some(batch) = stream.try_next().await.map_err(|e| engine_error(what, e))? {
            let batch = to_stored(&batch, &schema, own)?;
            add_up(&mut totals, &batch, own).map_err(failed)?;
            if holds {
                bytes += batch.get_array_memory_size();
                rows.push(batch);
            }
            if bytes > self.memory.for_keys() {
                return Ok(None);
            }
        }
        Ok(Some((totals, rows)))
    }
}

/// Whether partitions of the table can stay though their keys are touched: they are no keys, and have
/// names that are spelled in one way only.
fn may_stay(target: &Target<'_>) -> bool {
    let model = target.model;
    let is_spelled = |column: &String| {
        let field = target.spec.schema.field_with_name(column);
        field.is_ok_and(|field| {
            matches!(
                field.data_type(),
                DataType::Date32
                    | DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Utf8
            )
        })
    };
    model.strategy == Strategy::Recompute
        && !model.partition_by.is_empty()
        && model.partition_by.iter().all(|column| !model.by.contains(column) && is_spelled(column))
}

/// The partition of a file, as totals name it.
pub(super) fn partition_name(file: &DataFile, partition_by: &[String]) -> String {
    let values = file.partition();
    let value = |column: &String| {
        let found = values.iter().find(|(name, _)| name == column);
        found.and_then(|(_, value)| value.as_deref()).unwrap_or("NULL")
    };
    let named = partition_by.iter().map(|column| format!("{column}={}", value(column)));
    named.collect::<Vec<_>>().join("/")
}

fn failed(error: ArrowError) -> Error {
    Error::new(Kind::Bug, "cannot compare rows").because(error)
}
