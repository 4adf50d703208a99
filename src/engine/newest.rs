//! Of several records with the same key, the newest: what makes an upsert an upsert.

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt as _, LogicalPlan, LogicalPlanBuilder, ident, lit,
};
use datafusion::prelude::DataFrame;

use crate::error::Result;

use super::origin::{origins, row_by_row};
use super::row_hash::row_hash;
use super::{HeldRows, Session, engine_error};

/// The columns that say which record a row came from; a greater tuple is a newer record.
pub const LINEAGE: [&str; 3] = ["_batch", "_source", "_position"];

/// Keys that were delivered more than once are few as a rule, and then held in memory. Beyond so
/// many of them everything is sorted instead, which may spill.
const FEW: usize = 1_000_000;

/// The hash of a row's key.
const KEY: &str = "_clickwatch_key";
/// How many rows have a hash.
const ROWS: &str = "_clickwatch_rows";
/// The hash of a row's origin.
const ORIGIN: &str = "_clickwatch_origin";

/// The rows of `plan` without those for whose `by` values there are rows of a newer record.
///
/// In: rows with the `by` columns and the [`LINEAGE`]. A record may have several rows of one key
/// (its children), and they stay or go together.
/// Out: the same columns. NULL is a key like any other.
/// Why not ROW_NUMBER over the rows: it would sort them whole. Here it is first looked for keys that
/// may have several origins, by hashes of both, and only rows of these are compared.
pub async fn newest_only(
    session: &Session,
    spilling: &Session,
    plan: LogicalPlan,
    by: &[String],
) -> Result<Newest> {
    let failed = |e| engine_error("cannot find the newest records", e);
    let sorted = |plan| {
        let plan = newest_by_sorting(spilling, plan, by)?;
        Ok(Newest { plan, may_spill: true })
    };
    let mut hashed = cheap(session, &plan, by).map_err(failed)?;
    let rows = session.frame(plan.clone());
    let mut found = collect_few(session, suspects(rows.clone(), &hashed).map_err(failed)?).await?;
    if hashed.len() < by.len() && found.as_ref().is_none_or(|found| row_count(found) > FEW) {
        hashed = by.to_vec();
        found = collect_few(session, suspects(rows.clone(), &hashed).map_err(failed)?).await?;
    }
    let Some(suspects) = found else { return sorted(plan) };
    if suspects.count() == 0 {
        return Ok(Newest { plan, may_spill: false });
    }
    let suspects = session.table(HeldRows::into_table(vec![suspects])?)?;
    let outdated = outdated(rows, suspects, by, &hashed).map_err(failed)?;
    let Some(outdated) = collect_few(session, outdated).await? else { return sorted(plan) };
    let outdated = session.table(HeldRows::into_table(vec![outdated])?)?.into_unoptimized_plan();
    let plan = without(outdated, plan, by).map_err(failed)?;
    Ok(Newest { plan, may_spill: false })
}

/// A plan that gives the newest rows.
pub struct Newest {
    /// The plan.
    pub plan: LogicalPlan,
    /// Whether it has to be run by the session whose joins spill.
    pub may_spill: bool,
}

type Frame = datafusion::common::Result<DataFrame>;

fn columns(by: &[String]) -> Vec<Expr> {
    by.iter().map(String::as_str).chain(LINEAGE).map(ident).collect()
}

/// Those columns of the key that stand in a table as they are, if there are such; else all. Keys that
/// are equal are equal in these, and the others would have to be computed for every row. When too many
/// rows are alike in these, all of the key is looked at after all.
fn cheap(
    session: &Session,
    plan: &LogicalPlan,
    by: &[String],
) -> datafusion::common::Result<Vec<String>> {
    let whole = session.optimized(plan)?;
    if row_by_row(&whole).is_err() {
        return Ok(by.to_vec());
    }
    let is_plain = |column: &&String| origins(&whole, column).is_some();
    let plain: Vec<String> = by.iter().filter(is_plain).cloned().collect();
    Ok(if plain.is_empty() { by.to_vec() } else { plain })
}

fn key(hashed: &[String]) -> Expr {
    row_hash(hashed.iter().map(String::as_str)).alias(KEY)
}

/// The hashes of keys that occur with more than one record, and perhaps some of others.
fn suspects(rows: DataFrame, hashed: &[String]) -> Frame {
    let hashes = vec![key(hashed), row_hash(LINEAGE).alias(ORIGIN)];
    let (least, greatest) = ("_clickwatch_least", "_clickwatch_greatest");
    let origins = vec![
        min(ident(ORIGIN)).alias(least),
        max(ident(ORIGIN)).alias(greatest),
        count(lit(1)).alias(ROWS),
    ];
    rows.select(hashes)?
        .aggregate(vec![ident(KEY)], origins)?
        .filter(ident(least).not_eq(ident(greatest)))?
        .select(vec![ident(KEY), ident(ROWS)])
}

/// How many rows have the keys that `suspects` are.
fn row_count(suspects: &HeldRows) -> usize {
    let counts = suspects.batches().iter();
    let counts = counts.flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().iter());
    counts.flatten().map(|count| usize::try_from(count).unwrap_or(0)).sum()
}

/// The origins, per key, of all but the newest record.
fn outdated(rows: DataFrame, suspects: DataFrame, by: &[String], hashed: &[String]) -> Frame {
    let mut wanted = columns(by);
    wanted.push(key(hashed));
    let (state, rows) = rows.select(wanted)?.into_parts();
    let candidates = LogicalPlanBuilder::from(suspects.into_unoptimized_plan())
        .join_using(rows, JoinType::RightSemi, vec![Column::from_name(KEY)])?
        .build()?;
    let ranked = DataFrame::new(state, candidates)
        .select(columns(by))?
        .distinct()?
        .with_column("_clickwatch_newness", newness(by)?)?;
    ranked.filter(ident("_clickwatch_newness").gt(lit(1)))?.select(columns(by))
}

/// 1 for the rows of the newest record of their key.
fn newness(by: &[String]) -> datafusion::common::Result<Expr> {
    datafusion::functions_window::rank::dense_rank()
        .partition_by(by.iter().map(ident).collect())
        .order_by(LINEAGE.iter().map(|column| ident(*column).sort(false, false)).collect())
        .build()
}

/// `rows` without those whose key and origin is among `outdated`.
fn without(
    outdated: LogicalPlan,
    rows: LogicalPlan,
    by: &[String],
) -> datafusion::common::Result<LogicalPlan> {
    let all: Vec<String> = by.iter().cloned().chain(LINEAGE.map(str::to_owned)).collect();
    LogicalPlanBuilder::from(outdated)
        .join_detailed(
            rows,
            JoinType::RightAnti,
            (key_columns(&all), key_columns(&all)),
            None,
            NullEquality::NullEqualsNull,
        )?
        .build()
}

/// The way for any number of repeated keys: sorted, with everything able to spill.
fn newest_by_sorting(spilling: &Session, plan: LogicalPlan, by: &[String]) -> Result<LogicalPlan> {
    let failed = |e| engine_error("cannot find the newest records", e);
    let sorted = || -> Frame {
        let rows = spilling.frame(plan.clone());
        let ranked = rows
            .select(columns(by))?
            .distinct()?
            .with_column("_clickwatch_newness", newness(by)?)?;
        ranked.filter(ident("_clickwatch_newness").gt(lit(1)))?.select(columns(by))
    };
    let outdated = LogicalPlanBuilder::from(sorted().map_err(failed)?.into_unoptimized_plan())
        .alias("outdated")
        .and_then(LogicalPlanBuilder::build)
        .map_err(failed)?;
    without(outdated, plan, by).map_err(failed)
}

fn key_columns(names: &[String]) -> Vec<Column> {
    names.iter().map(Column::from_name).collect()
}

/// The rows of `frame` when there are at most [`FEW`], and they may be held.
async fn collect_few(session: &Session, frame: DataFrame) -> Result<Option<HeldRows>> {
    let what = "cannot count the records of each key";
    let plan = session.physical(&frame.into_unoptimized_plan()).await?;
    let rows = session.execute_all(plan)?;
    let held = HeldRows::collect(session, rows, session.holding_limit(), what).await?;
    Ok(held.filter(|held| held.count() <= FEW))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::datasource::MemTable;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::engine::{Engine, Tables};
    use crate::project::Channels;
    use crate::runtime::Memory;

    /// A row: key, origin, and what it holds.
    type Row = (Option<String>, i64, String, i64, i64);

    /// Deliveries of few keys, NULL among them, each with up to three children.
    fn deliveries(seed: u64) -> Vec<Row> {
        let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Vec::new();
        for position in 0..chance.random_range(1..60) {
            let key = chance.random_range(0..12);
            let key = (key > 0).then(|| format!("k{key}"));
            let (batch, source) = (chance.random_range(1..4), chance.random_range(0..3));
            for child in 0..chance.random_range(1..4) {
                rows.push((key.clone(), batch, format!("f{source}"), position, child));
            }
        }
        rows
    }

    /// The obvious way: for each key the rows of the greatest origin.
    fn reference(rows: &[Row]) -> Vec<Row> {
        let mut newest = BTreeMap::new();
        for (key, batch, source, position, _) in rows {
            let origin = (*batch, source.clone(), *position);
            let best = newest.entry(key.clone()).or_insert_with(|| origin.clone());
            *best = origin.max(best.clone());
        }
        let is_newest = |(key, batch, source, position, _): &&Row| {
            newest.get(key) == Some(&(*batch, source.clone(), *position))
        };
        let mut kept: Vec<Row> = rows.iter().filter(is_newest).cloned().collect();
        kept.sort();
        kept
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let numbers = |of: fn(&Row) -> i64| -> ArrayRef {
            Arc::new(rows.iter().map(of).map(Some).collect::<Int64Array>())
        };
        let keys: ArrayRef =
            Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>());
        let sources: ArrayRef =
            Arc::new(rows.iter().map(|row| Some(row.2.clone())).collect::<StringArray>());
        RecordBatch::try_from_iter_with_nullable([
            ("key", keys, true),
            ("_batch", numbers(|row| row.1), true),
            ("_source", sources, true),
            ("_position", numbers(|row| row.3), true),
            ("child", numbers(|row| row.4), true),
        ])
        .unwrap()
    }

    fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
        use arrow::array::{Array as _, AsArray as _};
        use arrow::datatypes::Int64Type;
        let mut rows = Vec::new();
        for batch in batches {
            let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
            let (keys, sources) =
                (batch.column(0).as_string::<i32>(), batch.column(2).as_string::<i32>());
            for row in 0..batch.num_rows() {
                let key = keys.is_valid(row).then(|| keys.value(row).to_owned());
                let source = sources.value(row).to_owned();
                rows.push((
                    key,
                    number(1).value(row),
                    source,
                    number(3).value(row),
                    number(4).value(row),
                ));
            }
        }
        rows.sort();
        rows
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn both_ways_agree_with_the_obvious_one() {
        let engine =
            Engine::new(Memory::new(1 << 30).unwrap(), &Channels::shipped().into()).unwrap();
        let by = ["key".to_owned()];
        for seed in 0..40 {
            let rows = deliveries(seed);
            let catalog = || {
                let batch = batch(&rows);
                let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
                let mut tables = Tables::default();
                tables.add("bronze.t".parse().unwrap(), Arc::new(table));
                tables.into_catalog()
            };
            let (session, spilling) =
                (engine.session(catalog()), engine.spilling_session(catalog()));
            let plan = session.plan("SELECT * FROM bronze.t").await.unwrap();
            let quick = newest_only(&session, &spilling, plan, &by).await.unwrap();
            let quick = session.frame(quick.plan).collect().await.unwrap();
            let plan = spilling.plan("SELECT * FROM bronze.t").await.unwrap();
            let sorted = newest_by_sorting(&spilling, plan, &by).unwrap();
            let sorted = spilling.frame(sorted).collect().await.unwrap();
            let expected = reference(&rows);
            assert_eq!(rows_of(&quick), expected, "seed {seed}");
            assert_eq!(rows_of(&sorted), expected, "seed {seed}, sorted");
        }
    }
}
