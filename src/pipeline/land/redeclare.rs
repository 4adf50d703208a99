//! A Bronze table whose declaration is another than when its rows landed.
//!
//! One commit gives the table its new columns and, where their rows are others by the new declaration,
//! new files. What reads the table is built anew then, since no change of single rows tells what
//! became of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, LogicalPlan, ident, lit};
use datafusion::prelude::DataFrame;

use crate::engine::{Session, Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Change, DataFile, Removal, Snapshot, extent};
use crate::pipeline::Step;
use crate::pipeline::context::Context;
use crate::project::Source;
use crate::rewrite::{Distribution, NewRows, Outcome, Rows, files_holding, write};
use crate::source::{Redeclaration, bronze_schema, json_places};

use super::bronze_spec;
use super::decode::rescued_rows;

/// The note of a commit that gave a table other columns: which.
const REDECLARES: &str = "redeclares";
/// How a Bronze table remembers where its texts are JSON.
const JSON: &str = " json=";

/// What made a Bronze table of these columns.
pub(super) fn fingerprint(source: &Source) -> String {
    let places: Vec<String> = json_places(&source.columns).into_iter().collect();
    format!("{}{JSON}{}", env!("CARGO_PKG_NAME"), serde_json::Value::from(places))
}

/// What a run changes about the columns of the table of `source`, which is at `bronze`, in words.
pub(in crate::pipeline) fn changes(source: &Source, bronze: &Snapshot) -> Option<String> {
    let change = redeclaration(source, bronze).map(|change| change.to_string());
    change.or_else(|| rearranged(source, bronze))
}

/// The same when the columns are those that are declared, and only stand in another order.
pub(super) fn rearranged(source: &Source, bronze: &Snapshot) -> Option<String> {
    let is_other = bronze.schema().fields() != bronze_schema(&source.columns).fields();
    is_other.then(|| "its columns stand in another order".to_owned())
}

/// How the columns of `source` differ from those of its table, if they do.
fn redeclaration(source: &Source, bronze: &Snapshot) -> Option<Redeclaration> {
    // A table of a former layout does not say, and is taken for what is declared today.
    let fingerprint = bronze.fingerprint();
    let places = fingerprint.as_deref().and_then(|text| text.split_once(JSON));
    let places: Option<BTreeSet<String>> =
        places.and_then(|(_, places)| serde_json::from_str(places).ok());
    let change = Redeclaration::of(bronze.schema(), places.as_ref(), &source.columns);
    change.map(|change| change.of_files(&source.format))
}

/// Gives the table of `source`, which is at `bronze`, the columns that are declared. Gives what was
/// changed, in words, when something had to be, and in how many rows more something is rescued now.
///
/// Errors: `Conflict` when another run changed the table meanwhile.
pub(super) async fn redeclare(
    context: &Context,
    source: &Source,
    bronze: &Snapshot,
) -> Result<Option<(String, u64)>> {
    let Some(change) = redeclaration(source, bronze) else { return Ok(None) };
    let said = change.to_string();
    let session = context.engine.session(Tables::default().into_catalog());
    let files = concerned(&session, bronze, &change).await?;
    let (outcome, rescued) = rewritten(context, source, &session, (bronze, &files, change)).await?;
    let reason = format!("it was declared anew: {said}");
    let notes = vec![
        context.note(),
        ("strategy", "rewrite".into()),
        ("reason", reason.into()),
        (REDECLARES, said.clone().into()),
    ];
    let adds = outcome.written.adds;
    let change = Change { adds, removal: Removal::Files(files), notes, ..Change::default() };
    context.lake.commit(&bronze_spec(source, None), Some(bronze), change).await?;
    Ok(Some((said, rescued)))
}

/// What was changed about the columns of `bronze` since `version`, in words.
pub(in crate::pipeline) async fn redeclared_since(
    bronze: &Snapshot,
    version: u64,
) -> Result<Option<String>> {
    let count = usize::try_from(bronze.version().saturating_sub(version)).unwrap_or(usize::MAX);
    let history = bronze.history(count).await?;
    Ok(history.into_iter().find_map(|mut entry| entry.notes.remove(REDECLARES)))
}

/// The files of `bronze` with rows that may be others by the new declaration. Where columns only came,
/// these are rows in which something of such a name was rescued.
async fn concerned(
    session: &Session,
    bronze: &Snapshot,
    change: &Redeclaration,
) -> Result<Vec<DataFile>> {
    let files = bronze.files()?;
    let Some(added) = change.only_added() else { return Ok(files) };
    let named = added.into_iter().map(|name| ident("_rescued").like(lit(format!("%{name}%"))));
    let Some(named) = named.reduce(Expr::or) else { return Ok(files) };
    let going = |rows: LogicalPlan| {
        let rows = session.frame(rows).filter(named).map(DataFrame::into_unoptimized_plan);
        rows.map_err(|e| engine_error("cannot look for rescued values", e))
    };
    files_holding(session, bronze, files, going).await
}

/// The rows of `files` by the new declaration, in files that no table names yet; and in how many more
/// than before something is rescued.
async fn rewritten(
    context: &Context,
    source: &Source,
    session: &Session,
    (bronze, files, change): (&Snapshot, &[DataFile], Redeclaration),
) -> Result<(Outcome, u64)> {
    if files.is_empty() {
        return Ok((Outcome::default(), 0));
    }
    let rescued = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&rescued);
    let now = move |rows: &RecordBatch| -> Result<RecordBatch> {
        let now = change.rows(rows)?;
        let more = rescued_rows(&now).saturating_sub(rescued_rows(rows));
        counter.fetch_add(more, Ordering::Relaxed);
        Ok(now)
    };
    let seen = Arc::new(AtomicU64::new(0));
    let _building = context
        .progress
        .begin(Step::Build { table: source.table.clone(), rows: Arc::clone(&seen) });
    let plan = session.table(bronze.provider_of(files)?)?.into_unoptimized_plan();
    let plan = session.physical(&plan).await?;
    let expected = extent(files).1;
    let rows = Rows {
        new: Some(NewRows::Made(plan, Arc::new(now))),
        seen: Arc::clone(&seen),
        expected,
        distribution: Distribution::PerCore,
        ..Rows::default()
    };
    let spec = bronze_spec(source, None);
    let outcome = write(context.destination(&spec, Some(bronze)), session, rows, None).await?;
    let is_known = files.iter().all(|file| file.rows().is_some());
    if outcome.written.rows != seen.load(Ordering::Relaxed)
        || is_known && outcome.written.rows != expected
    {
        return Err(Error::new(Kind::Bug, "rows were lost while a table was declared anew")
            .at("table", &source.table));
    }
    Ok((outcome, rescued.load(Ordering::Relaxed)))
}
