//! The table of one model against its full computation.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::DataFrame;
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;

use crate::engine::{Checked, Engine, Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, CommitMark, Snapshot};
use crate::pipeline::build::{Target, mark_id, offset_id, spec_of};
use crate::pipeline::check::{Total, add_to_totals};
use crate::pipeline::context::Context;
use crate::project::Model;

use super::floats::differing_parts;
use super::report::{Difference, Verification, VerifyOptions};
use super::side::Side;

/// Compares the table of `model` with a full computation from the states that it was built from.
///
/// Errors: what keeps it from being compared.
pub(in crate::pipeline) async fn verify_model(
    context: &Context,
    checked: &Checked,
    model: &Model,
    asked: &VerifyOptions,
) -> Result<Verification> {
    let Some(base) = context.lake.snapshot(&model.table).await? else {
        return Err(obstacle("it was not built yet: run first"));
    };
    let spec = spec_of(model, checked)?;
    if base.fingerprint().as_deref() != Some(spec.fingerprint.as_str()) {
        return Err(obstacle("its model was changed since it was built: run first"));
    }
    let upstream = upstream_of(context, model, &base).await?;
    let columns = part_columns(model, &base);
    let filter = match (asked.sample, columns.as_slice()) {
        (Some(count), [_, ..]) => {
            Some(sample(&context.engine, &base, &columns, (count, asked.seed)).await?)
        }
        _ => None,
    };
    let target = Target { model: model.clone(), spec, upstream, marks: Vec::new(), base: None };
    let engine = &context.engine;
    let actual = Side::Actual { engine, base: &base };
    let expected = Side::Expected { engine, target: &target };
    let (is, should) = (
        totals(&actual, &columns, filter.as_ref()).await?,
        totals(&expected, &columns, filter.as_ref()).await?,
    );
    let suspects =
        parts_where(&is, &should, |is, should| is != should && is.equals_but_floats(should));
    let mut differing = parts_where(&is, &should, |is, should| !is.equals_but_floats(should));
    if !suspects.is_empty() {
        let sides = [&actual, &expected];
        differing.extend(differing_parts(sides, &columns, &suspects, filter.as_ref()).await?);
    }
    let rows = |totals: &BTreeMap<String, Total>, part: &String| {
        totals.get(part).map_or(0, |total| total.rows)
    };
    let difference = |part: String| Difference {
        rows: rows(&is, &part),
        expected_rows: rows(&should, &part),
        part,
    };
    Ok(Verification {
        version: base.version(),
        rows: is.values().map(|total| total.rows).sum(),
        parts: is.keys().chain(should.keys()).collect::<BTreeSet<_>>().len() as u64,
        differences: differing.into_iter().map(difference).collect(),
        ..Verification::of(model)
    })
}

/// What a run has to mend first.
fn obstacle(what: impl Into<String>) -> Error {
    Error::new(Kind::Data, what)
}

/// The states that `base` was built from.
///
/// Errors: `Data` when they are not there any more.
async fn upstream_of(context: &Context, model: &Model, base: &Snapshot) -> Result<Vec<Snapshot>> {
    let mut upstream = Vec::new();
    for table in &model.reads {
        let Some(newest) = context.lake.snapshot(table).await? else {
            return Err(obstacle(format!("{table}, which it was built from, is gone: run first")));
        };
        let Some(read) = base.offset_of(&offset_id(&newest)).await? else {
            return Err(obstacle(format!("it was built from another {table}: run first")));
        };
        let at = At::Version(u64::try_from(read).unwrap_or_default());
        let gone = || obstacle(format!("version {read} of {table} is gone: run first"));
        match context.lake.snapshot_at(table, at).await {
            Ok(Some(state)) => {
                let mark = state.commit_mark().await?.map(CommitMark::as_offset);
                let is_other = base.offset_of(&mark_id(&newest)).await?.zip(mark);
                if is_other.is_some_and(|(read, mark)| read != mark) {
                    let what = format!("version {read} of {table} is not what it was: run first");
                    return Err(obstacle(what));
                }
                upstream.push(state);
            }
            Ok(None) => return Err(gone()),
            Err(e) if e.kind() == Kind::Missing => return Err(gone()),
            Err(e) => return Err(e),
        }
    }
    Ok(upstream)
}

/// What the rows of each part come to.
async fn totals(
    side: &Side<'_>,
    columns: &[String],
    filter: Option<&Expr>,
) -> Result<BTreeMap<String, Total>> {
    let mut totals = BTreeMap::new();
    let failed = |e| Error::new(Kind::Bug, "cannot add up the rows to compare").because(e);
    side.rows(filter, |batch| add_to_totals(&mut totals, &batch, columns).map_err(failed)).await?;
    Ok(totals)
}

/// The parts for whose totals `holds` is true.
fn parts_where(
    is: &BTreeMap<String, Total>,
    should: &BTreeMap<String, Total>,
    holds: impl Fn(&Total, &Total) -> bool,
) -> BTreeSet<String> {
    let total = |totals: &BTreeMap<String, Total>, part: &String| {
        totals.get(part).copied().unwrap_or_default()
    };
    let parts = is.keys().chain(should.keys());
    parts.filter(|part| holds(&total(is, part), &total(should, part))).cloned().collect()
}

/// The columns by which a table falls into parts: its partitions, or else the days of its keys.
fn part_columns(model: &Model, base: &Snapshot) -> Vec<String> {
    let partition_by = base.partition_by();
    if !partition_by.is_empty() {
        return partition_by;
    }
    let is_day = |column: &&String| {
        let field = base.schema().field_with_name(column);
        field.is_ok_and(|field| *field.data_type() == DataType::Date32)
    };
    model.by.iter().filter(is_day).cloned().collect()
}

/// A filter for some of the parts of a table: so many, drawn by chance from a seed.
async fn sample(
    engine: &Engine,
    base: &Snapshot,
    columns: &[String],
    (count, seed): (usize, u64),
) -> Result<Expr> {
    let failed = |e| engine_error("cannot list the parts of the table", e);
    let session = engine.session(Tables::default().into_catalog());
    let keys: Vec<Expr> = columns.iter().map(ident).collect();
    let parts = session
        .table(base.provider()?)?
        .select(keys.clone())
        .and_then(DataFrame::distinct)
        .and_then(|parts| parts.sort_by(keys.clone()))
        .map_err(failed)?;
    let mut filters = Vec::new();
    for batch in parts.collect().await.map_err(failed)? {
        for row in 0..batch.num_rows() {
            let values = batch
                .columns()
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row).map_err(failed));
            let values = values.collect::<Result<Vec<_>>>()?;
            let is_part = keys.iter().zip(values).map(|(key, value)| match value.is_null() {
                true => key.clone().is_null(),
                false => key.clone().eq(lit(value)),
            });
            filters.extend(is_part.reduce(Expr::and));
        }
    }
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let drawn = filters.choose_multiple(&mut chance, count).cloned();
    Ok(drawn.reduce(Expr::or).unwrap_or_else(|| lit(false)))
}
