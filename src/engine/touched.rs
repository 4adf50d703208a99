//! From the files that came and went in a table to the keys and rows that are different now.
//!
//! A file that is rewritten brings most of its rows back as they were. Rows are compared by what a
//! model reads of them, so that it is not bothered with columns it does not know.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::{Expr, LogicalPlan, ident, lit};
use datafusion::prelude::DataFrame;

use crate::error::Result;

use super::checksum::row_checksum;
use super::{Session, engine_error};

/// Whether a row is in a file that came.
const CAME: &str = "_clickwatch_came";
/// What a model reads of a row, as a number.
const SUM: &str = "_clickwatch_sum";

/// Rows that came and rows that went; the same row may be in both.
pub struct Moved {
    /// Those in files that came.
    pub added: Arc<dyn TableProvider>,
    /// Those in files that went, if any did.
    pub removed: Option<Arc<dyn TableProvider>>,
    /// The columns that matter.
    pub columns: Vec<String>,
}

type Frame = datafusion::common::Result<DataFrame>;

/// The keys, each once, whose rows are different now.
///
/// In: `key_columns` are those of the table in which the keys are, in the order of `by`.
/// Out: the columns `by`.
pub fn moved_keys(
    session: &Session,
    moved: &Moved,
    key_columns: &[String],
    by: &[String],
) -> Result<LogicalPlan> {
    let failed = |e| engine_error("cannot tell which keys are touched", e);
    let keys: Vec<Expr> =
        key_columns.iter().zip(by).map(|(column, key)| ident(column).alias(key)).collect();
    let own: Vec<Expr> = by.iter().map(ident).collect();
    let Some(removed) = &moved.removed else {
        let added = session.table(Arc::clone(&moved.added))?;
        let distinct = added.select(keys).and_then(DataFrame::distinct).map_err(failed)?;
        return Ok(distinct.into_unoptimized_plan());
    };
    let side = |provider: &Arc<dyn TableProvider>, came: bool| -> Result<DataFrame> {
        let mut columns = keys.clone();
        columns.push(row_checksum(&moved.columns).alias(SUM));
        columns.push(lit(came).alias(CAME));
        session.table(Arc::clone(provider))?.select(columns).map_err(failed)
    };
    let (added, removed) = (side(&moved.added, true)?, side(removed, false)?);
    let different = || -> Frame {
        let of = |came: bool, value: Expr| {
            let side = if came { ident(CAME) } else { ident(CAME).is_false() };
            when(side, value).end()
        };
        // Sums wrap around, so their order does not matter.
        let totals = vec![
            count(of(true, lit(1))?).alias("_clickwatch_rows_added"),
            count(of(false, lit(1))?).alias("_clickwatch_rows_removed"),
            sum(of(true, ident(SUM))?).alias("_clickwatch_sum_added"),
            sum(of(false, ident(SUM))?).alias("_clickwatch_sum_removed"),
        ];
        let is_different = ident("_clickwatch_rows_added")
            .not_eq(ident("_clickwatch_rows_removed"))
            .or(ident("_clickwatch_sum_added").not_eq(ident("_clickwatch_sum_removed")));
        added.union(removed)?.aggregate(own.clone(), totals)?.filter(is_different)?.select(own)
    };
    Ok(different().map_err(failed)?.into_unoptimized_plan())
}

/// The rows that came without going or went without coming, with the columns that matter; all
/// other columns are NULL.
pub fn changed_rows(session: &Session, moved: &Moved) -> Result<LogicalPlan> {
    let failed = |e| engine_error("cannot tell which rows are different now", e);
    let schema = moved.added.schema();
    let own: Vec<Expr> = moved.columns.iter().map(ident).collect();
    let side = |provider: &Arc<dyn TableProvider>, came: bool| -> Result<DataFrame> {
        let columns = own.iter().cloned().chain([lit(came).alias(CAME)]).collect::<Vec<_>>();
        session.table(Arc::clone(provider))?.select(columns).map_err(failed)
    };
    let mut rows = side(&moved.added, true)?;
    if let Some(removed) = &moved.removed {
        rows = rows.union(side(removed, false)?).map_err(failed)?;
    }
    let different = || -> Frame {
        let came = count(when(ident(CAME), lit(1)).end()?).alias("_clickwatch_rows_came");
        let went =
            count(when(ident(CAME).is_false(), lit(1)).end()?).alias("_clickwatch_rows_went");
        let rows = rows.aggregate(own.clone(), vec![came, went])?;
        let whole = schema
            .fields()
            .iter()
            .map(|field| match moved.columns.contains(field.name()) {
                true => Ok(ident(field.name())),
                false => Ok(lit(ScalarValue::try_from(field.data_type())?).alias(field.name())),
            })
            .collect::<datafusion::common::Result<Vec<_>>>()?;
        rows.filter(ident("_clickwatch_rows_came").not_eq(ident("_clickwatch_rows_went")))?
            .select(whole)
    };
    Ok(different().map_err(failed)?.into_unoptimized_plan())
}
