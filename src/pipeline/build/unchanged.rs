//! Partitions that stay as they are, though they hold touched keys.
//!
//! What a user does today touches the user, and with that all that the user ever did. Most of it comes
//! out as it was: the journey up to an earlier day does not change by what comes after it. Where a
//! table is separated by a column that is no key, the model is therefore run twice over the upstream
//! rows of the touched keys, which are held in memory: as they are, and as they were when the table was
//! built. Only partitions in which the two differ are written. What the table holds needs not be read
//! for that: it is what the model gave for the rows as they were.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::catalog::CatalogProvider;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;

use crate::engine::{
    Dependency, Engine, HeldRows, KeyMapping, Keys, Session, Tables, engine_error,
};
use crate::error::{Error, Kind, Result};
use crate::lake::{Changes, DataFile, Snapshot, encoded, to_stored};
use crate::name::TableName;
use crate::pipeline::check::{Total, add_to_totals, all_expectations, rows_of_parts};
use crate::project::{Expectation, Outcome, Strategy};

use super::target::Target;
use super::working_set::{WorkingSet, model_rows};

/// The partitions of a table in which rows come out differently.
pub(super) struct ChangedPartitions {
    /// The partitions, as [`partition_name`] says them.
    pub names: BTreeSet<String>,
    /// A session over the working set.
    pub session: Session,
    /// The new rows of these partitions.
    pub rows: Arc<dyn ExecutionPlan>,
}

/// The upstream rows of the touched keys, as they are and as they were.
struct HeldInputs {
    now: Arc<dyn CatalogProvider>,
    before: Arc<dyn CatalogProvider>,
}

/// The partitions of the table in which the rows of the touched keys come out differently. None
/// when the table is not of that kind, or its rows are too many to be held.
pub(super) async fn changed_partitions(
    engine: &Engine,
    target: &Target,
    set: &WorkingSet,
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<Option<ChangedPartitions>> {
    let Some(base) = &target.base else { return Ok(None) };
    if !may_stay(target) || base.partition_by() != target.spec.partition_by {
        return Ok(None);
    }
    let Some(held) = hold_inputs(engine, target, set, dependencies).await? else {
        return Ok(None);
    };
    let (before, now) = (engine.session(held.before), engine.session(held.now));
    let (old, _) = totals(target, set, &before, None).await?;
    let own = &target.spec.partition_by;
    let rows = HeldRows::new(&now, encoded(&target.spec.schema, own), now.holding_limit() / 2);
    let (new, Some(rows)) = totals(target, set, &now, Some(rows)).await? else { return Ok(None) };
    let is_different = |name: &&String| new.get(*name) != old.get(*name);
    let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
    let names = names.into_iter().filter(is_different).cloned().collect();
    let mut kept = HeldRows::new(&now, Arc::clone(rows.schema()), usize::MAX);
    for batch in rows.batches() {
        let batch = rows_of_parts(&names, batch, own).map_err(failed)?;
        if batch.num_rows() > 0 && !kept.push(&batch).map_err(failed)? {
            return Ok(None);
        }
    }
    drop(rows);
    let rows = now.table(HeldRows::into_table(vec![kept])?)?.into_unoptimized_plan();
    let rows = now.physical(&rows).await?;
    Ok(Some(ChangedPartitions { names, session: now, rows }))
}

/// The upstream rows of the touched keys as they are and as they were; None when a table does not
/// hold the keys, or they are too many.
async fn hold_inputs(
    engine: &Engine,
    target: &Target,
    set: &WorkingSet,
    dependencies: &HashMap<TableName, Dependency>,
) -> Result<Option<HeldInputs>> {
    let Some(keys) = &set.keys else { return Ok(None) };
    let (mut now, mut before) = (Tables::default(), Tables::default());
    for (index, upstream) in target.upstream.iter().enumerate() {
        let Some(Dependency { keys: KeyMapping::Keyed(columns), columns: read, .. }) =
            dependencies.get(upstream.name())
        else {
            return Ok(None);
        };
        let changes = set.changed.iter().find(|(changed, _)| *changed == index);
        let changes = changes.map(|(_, changes)| changes.clone()).unwrap_or_default();
        let Some((stayed, came)) = files_of(upstream, &changes, keys, columns)? else {
            return Ok(None);
        };
        let wanted = WantedRows { keys, columns, read };
        let mut parts = Vec::with_capacity(3);
        for files in [&stayed, &came, &changes.removed] {
            match hold_rows(engine, upstream, files, &wanted).await? {
                Some(rows) => parts.push(rows),
                None => return Ok(None),
            }
        }
        let [stayed, came, went] = parts.as_slice() else { continue };
        let name = upstream.name();
        now.add(name.clone(), HeldRows::into_table(vec![stayed.clone(), came.clone()])?);
        before.add(name.clone(), HeldRows::into_table(vec![stayed.clone(), went.clone()])?);
    }
    Ok(Some(HeldInputs { now: now.into_catalog(), before: before.into_catalog() }))
}

/// The files of the table with touched keys that had been there, and those that came; None when they
/// cannot be told apart, since what came was rearranged afterwards.
fn files_of(
    upstream: &Snapshot,
    changes: &Changes,
    keys: &Keys,
    columns: &[String],
) -> Result<Option<(Vec<DataFile>, Vec<DataFile>)>> {
    let all = upstream.files()?;
    let names: HashSet<&str> = all.iter().map(DataFile::name).collect();
    let added: HashSet<&str> = changes.added.iter().map(DataFile::name).collect();
    if !added.is_subset(&names) {
        return Ok(None);
    }
    let files = upstream.files_where(&keys.wanted(columns, &upstream.partition_by())?)?;
    let came = |file: &DataFile| added.contains(file.name());
    let (came, stayed) = files.into_iter().partition(came);
    Ok(Some((stayed, came)))
}

/// Which rows of a table are wanted: those with one of `keys` in `columns`, and of them what is `read`.
struct WantedRows<'a> {
    keys: &'a Keys,
    columns: &'a [String],
    read: &'a [String],
}

/// The wanted rows of `files`. All columns can be named, but only those are there that are read.
async fn hold_rows(
    engine: &Engine,
    upstream: &Snapshot,
    files: &[DataFile],
    wanted: &WantedRows<'_>,
) -> Result<Option<HeldRows>> {
    let what = "cannot hold the rows of touched keys";
    let session = engine.session(Tables::default().into_catalog());
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
    let plan = session.physical(&rows.into_unoptimized_plan()).await?;
    let stream = session.execute_all(plan)?;
    HeldRows::collect(&session, stream, session.holding_limit() / 2, what).await
}

/// What the model's rows of the touched keys come to in each partition; adds these rows to `held`,
/// which becomes None when that is too much.
async fn totals(
    target: &Target,
    set: &WorkingSet,
    session: &Session,
    mut held: Option<HeldRows>,
) -> Result<(BTreeMap<String, Total>, Option<HeldRows>)> {
    let what = "cannot compare the rows of the model with those before";
    let plan = set.among_keys(session, model_rows(target, session).await?, target)?;
    let own = &target.spec.partition_by;
    let schema = encoded(&target.spec.schema, own);
    let mut stream = session.execute_all(session.physical(&plan).await?)?;
    let mut totals = BTreeMap::new();
    while let Some(batch) = stream.try_next().await.map_err(|e| engine_error(what, e))? {
        let batch = to_stored(&batch, &schema, &[])?;
        add_to_totals(&mut totals, &batch, own).map_err(failed)?;
        if let Some(rows) = &mut held
            && !rows.push(&batch).map_err(failed)?
        {
            return Ok((totals, None));
        }
    }
    Ok((totals, held))
}

/// Whether partitions of the table can stay though their keys are touched: they are no keys, and have
/// names that are spelled in one way only.
fn may_stay(target: &Target) -> bool {
    let model = &target.model;
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
    // Rejected rows in quarantine are replaced by key: all of a key have to be evaluated again.
    let rejects = |one: &Expectation| one.otherwise == Outcome::Quarantine;
    let expectations = all_expectations(model, &target.spec.schema);
    model.strategy == Strategy::Recompute
        && !expectations.iter().any(rejects)
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
