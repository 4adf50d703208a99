//! Partitions that stay as they are, though they hold touched keys.
//!
//! What a user does today touches the user, and with that all that he ever did. Most of it comes out as
//! it was: a way that led to an earlier day does not change by what comes after it. Where a table is
//! separated by a column that is no key, the model is therefore run twice over the upstream rows of the
//! touched keys, which are held in memory: as they are, and as they were when the table was built. Only
//! partitions in which the two differ are written. What the table holds needs not be read for that: it
//! is what the model gave for the rows as they were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;

use crate::engine::{Keys, Reach, Session, Tables, Use, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{DataFile, Snapshot, encoded, to_stored};
use crate::name::TableName;
use crate::project::{Expectation, Outcome, Strategy};

use super::Run;
use super::scope::Scope;
use super::target::Target;
use super::total::{Sum, rows_of, sum_up};

/// What is different.
pub(super) struct Different {
    /// The partitions with a difference, as [`partition_name`] says them.
    pub partitions: BTreeSet<String>,
    /// A session over the scope.
    pub session: Session,
    /// The new rows of these partitions.
    pub rows: Arc<dyn ExecutionPlan>,
}

/// The upstream rows of the touched keys.
struct Held {
    now: Arc<dyn CatalogProvider>,
    before: Arc<dyn CatalogProvider>,
}

/// Rows of one table, all of whose columns can be named, though only those are there that matter.
struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Run {
    /// The partitions of the table in which the rows of the touched keys come out differently. Nothing
    /// when the table is not of that kind, or its rows are too many to be held.
    pub(super) async fn different(
        &self,
        target: &Target<'_>,
        scope: &Scope,
        uses: &HashMap<TableName, Use>,
    ) -> Result<Option<Different>> {
        let Some(base) = &target.base else { return Ok(None) };
        if !may_stay(target) || base.partition_by() != target.spec.partition_by {
            return Ok(None);
        }
        let Some(held) = self.held(target, scope, uses).await? else { return Ok(None) };
        let before = self.engine.session(held.before);
        let session = self.engine.session(held.now);
        let old = self.total_of(target, scope, &before, false).await?;
        let new = self.total_of(target, scope, &session, true).await?;
        let (Some((old, _)), Some((new, rows))) = (old, new) else { return Ok(None) };
        let is_different = |name: &&String| new.get(*name) != old.get(*name);
        let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
        let partitions = names.into_iter().filter(is_different).cloned().collect();
        let own = &target.spec.partition_by;
        let rows = rows.iter().map(|batch| rows_of(&partitions, batch, own));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let table = in_memory(encoded(&target.spec.schema, own), rows)?;
        let rows = session.table(table)?.into_unoptimized_plan();
        let rows = session.physical(&rows).await?;
        Ok(Some(Different { partitions, session, rows }))
    }

    /// The upstream rows of the touched keys as they are and as they were; nothing when a table does not
    /// hold the keys, or they are too many.
    async fn held(
        &self,
        target: &Target<'_>,
        scope: &Scope,
        uses: &HashMap<TableName, Use>,
    ) -> Result<Option<Held>> {
        let Some(keys) = &scope.keys else { return Ok(None) };
        let (mut now, mut before) = (Tables::default(), Tables::default());
        let mut room = self.memory.for_keys() / 2;
        for (index, upstream) in target.upstream.iter().enumerate() {
            let usage = uses.get(upstream.name());
            let Some(Use { reach: Reach::Keyed(columns), columns: read, .. }) = usage else {
                return Ok(None);
            };
            let changes = scope.changed.iter().find(|(changed, _)| *changed == index);
            let changes = changes.map(|(_, changes)| changes.clone()).unwrap_or_default();
            // What came and was rearranged since cannot be told from what had been there.
            let all = upstream.files()?;
            if !changes.added.iter().all(|came| all.iter().any(|file| file.is(came))) {
                return Ok(None);
            }
            let files = upstream.files_where(&keys.wanted(columns, &upstream.partition_by())?)?;
            let (came, stayed): (Vec<_>, Vec<_>) =
                files.into_iter().partition(|file| changes.added.iter().any(|one| one.is(file)));
            let wanted = Wish { keys, columns, read };
            let mut parts = Vec::with_capacity(3);
            for files in [&stayed, &came, &changes.removed] {
                match self.rows_held(upstream, files, &wanted, &mut room).await? {
                    Some(rows) => parts.push(rows),
                    None => return Ok(None),
                }
            }
            let [stayed, came, went] = parts.as_slice() else { continue };
            let name = upstream.name();
            now.add(name.clone(), table_of(&[stayed, came])?);
            before.add(name.clone(), table_of(&[stayed, went])?);
        }
        Ok(Some(Held { now: now.into_catalog(), before: before.into_catalog() }))
    }

    async fn rows_held(
        &self,
        upstream: &Snapshot,
        files: &[DataFile],
        wanted: &Wish<'_>,
        room: &mut usize,
    ) -> Result<Option<Rows>> {
        let what = "cannot hold the rows of touched keys";
        let session = self.engine.session(Tables::default().into_catalog());
        let rows = session.table(upstream.view_provider_of(files)?)?.into_unoptimized_plan();
        let rows = wanted.keys.among(&session, rows, wanted.columns)?;
        let columns = rows.schema().fields().iter().map(|field| {
            let name = field.name();
            match wanted.read.contains(name) {
                true => ident(name),
                false => cast(lit(ScalarValue::Null), field.data_type().clone()).alias(name),
            }
        });
        let columns: Vec<Expr> = columns.collect();
        let rows = session.frame(rows).select(columns).map_err(|e| engine_error(what, e))?;
        let schema: SchemaRef = Arc::new(rows.schema().as_arrow().clone());
        let plan = session.physical(&rows.into_unoptimized_plan()).await?;
        let mut stream = session.execute_all(plan)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(|e| engine_error(what, e))? {
            let Some(left) = room.checked_sub(batch.get_array_memory_size()) else {
                return Ok(None);
            };
            *room = left;
            batches.push(batch);
        }
        Ok(Some(Rows { schema, batches }))
    }

    /// What the model's rows of the touched keys come to in each partition, and these rows, if they are
    /// to be held; nothing when that is too much.
    async fn total_of(
        &self,
        target: &Target<'_>,
        scope: &Scope,
        session: &Session,
        holds: bool,
    ) -> Result<Option<(BTreeMap<String, Sum>, Vec<RecordBatch>)>> {
        let plan = scope.among_keys(session, target.rows(session).await?, target)?;
        let own = &target.spec.partition_by;
        let schema = encoded(&target.spec.schema, own);
        let mut stream = session.execute_all(session.physical(&plan).await?)?;
        let (mut totals, mut rows, mut bytes) = (BTreeMap::new(), Vec::new(), 0);
        let what = "cannot compare the rows of the model with those before";
        while let Some(batch) = stream.try_next().await.map_err(|e| engine_error(what, e))? {
            let batch = to_stored(&batch, &schema, own)?;
            sum_up(&mut totals, &batch, own).map_err(failed)?;
            if holds {
                bytes += batch.get_array_memory_size();
                rows.push(batch);
            }
            if bytes > self.memory.for_keys() / 2 {
                return Ok(None);
            }
        }
        Ok(Some((totals, rows)))
    }
}

/// Which rows of a table are wanted: those with one of `keys` in `columns`, and of them what is `read`.
struct Wish<'a> {
    keys: &'a Keys,
    columns: &'a [String],
    read: &'a [String],
}

fn table_of(parts: &[&Rows]) -> Result<Arc<dyn TableProvider>> {
    let schema =
        parts.first().map_or_else(|| Arc::new(Schema::empty()), |rows| Arc::clone(&rows.schema));
    in_memory(schema, parts.iter().flat_map(|rows| rows.batches.iter().cloned()).collect())
}

fn in_memory(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(schema, vec![batches])
        .map_err(|e| engine_error("cannot hold rows in memory", e))?;
    Ok(Arc::new(table))
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
    // Rejected rows in quarantine are replaced by key: all of a key have to be judged again.
    let rejects = |one: &Expectation| one.otherwise == Outcome::Quarantine;
    model.strategy == Strategy::Recompute
        && !model.expectations.iter().any(rejects)
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
