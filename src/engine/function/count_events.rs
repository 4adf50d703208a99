//! `count_events(events, type)`: how many events of a session are of a type.
//!
//! In: a list of structs with a text field `event_type`, and a text. Out: BIGINT; 0 for no list.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CountEvents {
    signature: Signature,
}

impl CountEvents {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CountEvents {
    fn name(&self) -> &str {
        "count_events"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [events, wanted] = arrays.as_slice() else {
            return exec_err!("count_events takes a list of events and a type");
        };
        let Some(lists) = events.as_list_opt::<i32>() else {
            return exec_err!("count_events takes a list of events, not {}", events.data_type());
        };
        let types =
            lists.values().as_struct_opt().and_then(|events| events.column_by_name("event_type"));
        let Some(types) = types else {
            return exec_err!("count_events takes events with a field event_type");
        };
        let types = cast(types, &DataType::Utf8View)?;
        let types = types.as_string_view();
        let wanted = cast(wanted, &DataType::Utf8View)?;
        let wanted = wanted.as_string_view();
        let counts = lists.offsets().windows(2).zip(wanted.iter()).enumerate().map(
            |(row, (ends, wanted))| {
                let (&[start, end], Some(wanted), true) = (ends, wanted, lists.is_valid(row))
                else {
                    return 0;
                };
                let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
                let is_it = |index: &usize| types.is_valid(*index) && types.value(*index) == wanted;
                i64::try_from(range.filter(is_it).count()).unwrap_or(i64::MAX)
            },
        );
        Ok(ColumnarValue::Array(Arc::new(counts.collect::<Int64Array>())))
    }
}
