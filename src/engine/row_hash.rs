//! A quick number for a row, for finding those that may be equal.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, UInt64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::prelude::DataFrame;

use super::engine_error;
use super::row_function::row_function;

/// For each row a number that rows with the same values in `columns` share. Others may share it by
/// chance, or by somebody's intention: unlike a checksum, it proves nothing.
pub(super) fn row_hash<'a>(columns: impl IntoIterator<Item = &'a str>) -> Expr {
    row_function("row_hash", DataType::UInt64, hashes, columns)
}

fn hashes(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut hashes = vec![0; columns.first().map_or(0, |column| column.len())];
    create_hashes(columns, &RandomState::with_seed(0), &mut hashes)?;
    Ok(Arc::new(UInt64Array::from(hashes)))
}

/// The rows of one of `count` shares, by a hash of `column`: rows with the same value are in the same
/// share.
pub fn share_of_rows(
    rows: DataFrame,
    column: &str,
    number: u64,
    count: u64,
) -> crate::error::Result<LogicalPlan> {
    let share = row_hash([column]) % lit(count);
    let rows = rows.filter(share.eq(lit(number)));
    let rows = rows.map_err(|e| engine_error("cannot part rows by their keys", e))?;
    Ok(rows.into_unoptimized_plan())
}
