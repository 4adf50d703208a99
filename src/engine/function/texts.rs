//! A function of texts, computed once for each different text of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, NullBufferBuilder, StringViewBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err};

/// The STRUCT of texts with these fields.
pub(super) fn fields<const N: usize>(names: [&str; N]) -> Fields {
    names.iter().map(|name| Field::new(*name, DataType::Utf8View, true)).collect()
}

/// The STRUCTs of `names` that `compute` gives for the text of each row, NULL where it gives none.
pub(super) fn structs<const N: usize>(
    arguments: &[ArrayRef],
    names: [&str; N],
    compute: impl Fn(&str) -> Option<[Option<String>; N]>,
) -> Result<ArrayRef> {
    let [texts] = arguments else { return exec_err!("one text is wanted") };
    let texts = cast(texts, &DataType::Utf8View)?;
    let mut known = HashMap::new();
    let mut columns = [(); N].map(|()| StringViewBuilder::new());
    let mut nulls = NullBufferBuilder::new(texts.len());
    for text in texts.as_string_view() {
        let values =
            text.and_then(|text| known.entry(text).or_insert_with(|| compute(text)).as_ref());
        nulls.append(values.is_some());
        for (index, column) in columns.iter_mut().enumerate() {
            column.append_option(values.and_then(|values| values.get(index)?.as_deref()));
        }
    }
    let columns = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
    Ok(Arc::new(StructArray::try_new(fields(names), columns, nulls.finish())?))
}
