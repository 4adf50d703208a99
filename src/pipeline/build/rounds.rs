//! A model computed in rounds, each for a share of its keys.
//!
//! A model that gathers rows (all sessions of a visitor in a list, say) holds more the more rows there
//! are, and its lists cannot be spilled while they grow. Where every table that it reads holds one of
//! its keys, a hash of that key tells which round a row belongs to; a round sees only its rows, so
//! that what is held at a time stays within the budget however many rows there are.

use std::collections::HashMap;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::engine::{Dependency, Engine, KeyMapping, Session, Tables, engine_error, share_of_rows};
use crate::error::Result;
use crate::lake::Snapshot;
use crate::name::TableName;

use super::target::Target;
use super::working_set::WorkingSet;

/// What a value of a gathered row takes in memory, about, with its copy on the way out.
const BYTES_PER_VALUE: u64 = 64;
/// Aggregates whose state grows with every row.
const GATHERING: [&str; 5] = ["array_agg", "string_agg", "median", "approx_distinct", "nth_value"];

/// In how many rounds the model is computed, and for each upstream table the column that tells the
/// round of a row; None when one round is enough, or rows cannot be told apart.
pub(super) fn rounds(
    target: &Target,
    dependencies: &HashMap<TableName, Dependency>,
    plan: &LogicalPlan,
    room: u64,
) -> Result<Option<(u64, Vec<String>)>> {
    // Rows that come from no table would come once with each round.
    if !dependencies.values().any(|one| one.is_plain) || !gathers(plan)? {
        return Ok(None);
    }
    let keys = 0..target.model.by.len();
    let column = |upstream: &Snapshot, key: usize| match &dependencies.get(upstream.name())?.keys {
        KeyMapping::Keyed(columns) => columns.get(key).cloned(),
        _ => None,
    };
    let columns = |key: usize| -> Option<Vec<String>> {
        target.upstream.iter().map(|upstream| column(upstream, key)).collect()
    };
    let Some(columns) = keys.into_iter().find_map(columns) else { return Ok(None) };
    let values = target.upstream.iter().map(|upstream| {
        let read = dependencies.get(upstream.name()).map_or(0, |one| one.columns.len());
        upstream.rows().unwrap_or(0).saturating_mul(read as u64)
    });
    let bytes = values.sum::<u64>().saturating_mul(BYTES_PER_VALUE);
    let count = bytes.div_ceil(room.max(1));
    Ok((count > 1).then_some((count, columns)))
}

/// What the model sees in the round `number` of `count`.
pub(super) fn working_set(
    engine: &Engine,
    target: &Target,
    columns: &[String],
    (number, count): (u64, u64),
) -> Result<WorkingSet> {
    let mut set = WorkingSet::default();
    let session = engine.session(Tables::default().into_catalog());
    for (upstream, column) in target.upstream.iter().zip(columns) {
        let files = upstream.files()?;
        let rows = session.table(upstream.view_provider_of(&files)?)?;
        let rows = share_of_rows(rows, column, number, count)?;
        set.open_rows(upstream, &files, rows);
    }
    Ok(set)
}

/// Whether something in the plan holds every row that it has seen.
fn gathers(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Window(_));
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::AggregateFunction(aggregate) = part {
                    found |= GATHERING.contains(&aggregate.func.name());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(|e| engine_error("cannot look into the model", e))?;
    Ok(found)
}

/// How many bytes of rows a model may gather at a time, or one `share`th of them.
pub(super) fn room(session: &Session, share: u64) -> u64 {
    session.holding_limit() as u64 * 5 / 2 / share
}
