//! A quick number for a row, for finding those that may be equal.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, ident,
};

/// For each row a number that rows with the same values in `columns` share. Others may share it by
/// chance, or by somebody's intention: unlike a checksum, it proves nothing.
pub(super) fn row_hash<'a>(columns: impl IntoIterator<Item = &'a str>) -> Expr {
    ScalarUDF::from(RowHash(Signature::variadic_any(Volatility::Immutable)))
        .call(columns.into_iter().map(ident).collect())
}

#[derive(Debug)]
struct RowHash(Signature);

impl PartialEq for RowHash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RowHash {}

impl Hash for RowHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for RowHash {
    fn name(&self) -> &str {
        "row_hash"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut hashes = vec![0; arguments.number_rows];
        create_hashes(&columns, &RandomState::with_seed(0), &mut hashes)?;
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(hashes))))
    }
}
