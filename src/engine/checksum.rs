//! One number for a row, by which rows are compared without being sorted or held.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;

use super::row_function::row_function;

/// For each row a number that equal rows share and others do not, but for one pair in 2^64.
///
/// In: columns of equal length. NULL differs from every value, and floating-point numbers are
/// equal when their bits are.
pub fn row_checksums(columns: &[ArrayRef]) -> Result<Vec<i64>, ArrowError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let rows = converter.convert_columns(columns)?;
    Ok(rows.iter().map(|row| checksum(row.data())).collect())
}

/// The first eight bytes of BLAKE3.
fn checksum(bytes: &[u8]) -> i64 {
    let digest = blake3::hash(bytes);
    digest.as_bytes().first_chunk().map_or(0, |first| i64::from_le_bytes(*first))
}

/// [`row_checksums`] of `columns` as an expression.
pub(super) fn row_checksum(columns: &[String]) -> Expr {
    let compute = |columns: &[ArrayRef]| {
        let checksums = row_checksums(columns).map_err(DataFusionError::from)?;
        Ok(Arc::new(Int64Array::from(checksums)) as ArrayRef)
    };
    row_function("row_checksum", DataType::Int64, compute, columns.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, StringViewArray};

    use super::*;

    #[test]
    fn a_view_of_a_text_is_the_text() {
        let texts = [Some("a"), None, Some(""), Some("longer than a view holds by itself")];
        let plain = Arc::new(StringArray::from_iter(texts)) as ArrayRef;
        let views = Arc::new(StringViewArray::from_iter(texts)) as ArrayRef;
        assert_eq!(row_checksums(&[plain]).unwrap(), row_checksums(&[views]).unwrap());
    }

    #[test]
    fn null_is_no_empty_text_and_has_its_place() {
        let texts =
            |values: [Option<&str>; 4]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
        let left = texts([Some("a"), None, Some("ab"), Some("")]);
        let right = texts([None, Some("a"), Some(""), Some("ab")]);
        let mut sums = row_checksums(&[left, right]).unwrap();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), 4);
    }
}
