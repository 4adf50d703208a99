//! Functions of whole rows that queries cannot name: plans are built with them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarUDF, Signature, SimpleScalarUDF, Volatility, ident,
};

/// `compute` over `columns` of any types, which yields a value of the type `returns` for each row.
pub(super) fn row_function<'a>(
    name: &str,
    returns: DataType,
    compute: fn(&[ArrayRef]) -> Result<ArrayRef>,
    columns: impl IntoIterator<Item = &'a str>,
) -> Expr {
    let function = move |arguments: &[ColumnarValue]| {
        compute(&ColumnarValue::values_to_arrays(arguments)?).map(ColumnarValue::Array)
    };
    let signature = Signature::variadic_any(Volatility::Immutable);
    let function =
        SimpleScalarUDF::new_with_signature(name, signature, returns, Arc::new(function));
    ScalarUDF::from(function).call(columns.into_iter().map(ident).collect())
}
