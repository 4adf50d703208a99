//! Where the columns of a query come from, when it only reshapes and groups rows.

use std::collections::HashMap;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, TableScan};

use crate::name::TableName;

/// Why `plan` cannot be computed from new rows alone, if it cannot: what sees several rows at once
/// would have to see the old ones too.
pub(super) fn row_by_row(plan: &LogicalPlan) -> Result<(), &'static str> {
    let mut wrong = None;
    let walked = plan.apply_with_subqueries(|node| {
        wrong = match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Union(_) => return Ok(TreeNodeRecursion::Continue),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                return Ok(TreeNodeRecursion::Continue);
            }
            LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
                return Ok(TreeNodeRecursion::Continue);
            }
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => Some("groups rows"),
            LogicalPlan::Window(_) => Some("compares rows in a window"),
            LogicalPlan::Join(_) => Some("joins rows"),
            LogicalPlan::Limit(_) | LogicalPlan::Sort(_) | LogicalPlan::TableScan(_) => {
                Some("takes only some of the rows")
            }
            _ => Some("does more than pick and reshape rows"),
        };
        Ok(TreeNodeRecursion::Stop)
    });
    match (walked, wrong) {
        (Ok(_), None) => Ok(()),
        (_, reason) => Err(reason.unwrap_or("cannot be looked into")),
    }
}

/// Whether a plan does no more than reshape and group rows, so that [`origins`] tell all there is to
/// tell about its columns.
pub(super) fn is_traceable(plan: &LogicalPlan) -> bool {
    let mut is_traceable = true;
    let walked = plan.apply_with_subqueries(|node| {
        is_traceable = match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => true,
            LogicalPlan::Aggregate(aggregate) => {
                !aggregate.group_expr.iter().any(|one| matches!(one, Expr::GroupingSet(_)))
            }
            LogicalPlan::Sort(sort) => sort.fetch.is_none(),
            LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
            _ => false,
        };
        Ok(match is_traceable {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    walked.is_ok() && is_traceable
}

/// The columns that a column of an [`is_traceable`] plan is, one for each scan below it, in each of
/// which it stands as it is, if only as the key of groups; None where it is computed. A row of the
/// plan comes from no rows but those that hold its value.
pub(super) fn origins(plan: &LogicalPlan, column: &str) -> Option<HashMap<TableName, Vec<String>>> {
    let index = plan.schema().index_of_column_by_name(None, column)?;
    let mut found = HashMap::new();
    trace(plan, index, &mut found)?;
    Some(found)
}

fn trace(
    plan: &LogicalPlan,
    index: usize,
    found: &mut HashMap<TableName, Vec<String>>,
) -> Option<()> {
    match plan {
        LogicalPlan::Projection(projection) => {
            trace_expression(projection.expr.get(index)?, &projection.input, found)
        }
        LogicalPlan::Aggregate(aggregate) => {
            trace_expression(aggregate.group_expr.get(index)?, &aggregate.input, found)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => trace(input, index, found),
        LogicalPlan::Filter(filter) => trace(&filter.input, index, found),
        LogicalPlan::Sort(sort) => trace(&sort.input, index, found),
        LogicalPlan::SubqueryAlias(alias) => trace(&alias.input, index, found),
        LogicalPlan::Unnest(unnest) => {
            let index = *unnest.dependency_indices.get(index)?;
            let input = unnest.input.schema();
            let is_unnested = unnest
                .exec_columns
                .iter()
                .any(|column| input.maybe_index_of_column(column) == Some(index));
            (!is_unnested).then(|| trace(&unnest.input, index, found))?
        }
        LogicalPlan::Union(union) => {
            union.inputs.iter().try_for_each(|input| trace(input, index, found).ok_or(())).ok()
        }
        LogicalPlan::TableScan(scan) => {
            let field = scan.projected_schema.fields().get(index)?;
            found.entry(table_of(scan)?).or_default().push(field.name().clone());
            Some(())
        }
        _ => None,
    }
}

fn trace_expression(
    mut expression: &Expr,
    input: &LogicalPlan,
    found: &mut HashMap<TableName, Vec<String>>,
) -> Option<()> {
    while let Expr::Alias(alias) = expression {
        expression = &alias.expr;
    }
    let Expr::Column(column) = expression else { return None };
    trace(input, input.schema().maybe_index_of_column(column)?, found)
}

/// The table that is scanned.
pub(super) fn table_of(scan: &TableScan) -> Option<TableName> {
    let layer = scan.table_name.schema().unwrap_or("gold");
    format!("{layer}.{}", scan.table_name.table()).parse().ok()
}
