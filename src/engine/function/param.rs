//! `param(params, key)`: the value of a key in an array of keys and values, as GA4's `event_params`.
//!
//! In: an ARRAY of STRUCT(key, value), and a text. Out: the value of the first item with this key, of the
//! type that values have; where a value is a STRUCT of which one field is set, as STRUCT(string_value,
//! int_value, float_value, double_value), that field as TEXT. Fields whose name does not end in `_value`
//! count only where none does. NULL if there is no such key.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, StringViewBuilder, StructArray, UInt64Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Fields};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::lists::ranges;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Param {
    signature: Signature,
}

impl Param {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Param {
    fn name(&self) -> &str {
        "param"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let Some((fields, _, value)) = arguments.first().and_then(places) else {
            return plan_err!("param takes an ARRAY of STRUCT(key, value), and a key");
        };
        let Some(value) = fields.get(value) else { return plan_err!("param finds no value") };
        match value.data_type() {
            DataType::Struct(fields) if said(fields).is_empty() => {
                plan_err!("param knows no plain value in {}", value.data_type())
            }
            DataType::Struct(_) => Ok(DataType::Utf8View),
            plain => Ok(plain.clone()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [params, wanted] = arrays.as_slice() else { return exec_err!("param takes a key") };
        let Some((_, key, value)) = places(params.data_type()) else {
            return exec_err!("param takes an ARRAY of STRUCT(key, value)");
        };
        let (items, ranges) = ranges(params.as_list::<i32>());
        let items = items.as_struct();
        let found = first_items((items, key), ranges, wanted)?;
        let values = take(items.column(value), &found, None)?;
        let values = match values.as_struct_opt() {
            Some(structs) => texts(structs)?,
            None => values,
        };
        Ok(ColumnarValue::Array(values))
    }
}

/// The fields of the items of such an array, and which are the key and the value.
fn places(params: &DataType) -> Option<(&Fields, usize, usize)> {
    let DataType::List(item) = params else { return None };
    let DataType::Struct(fields) = item.data_type() else { return None };
    let place = |name: &str| fields.iter().position(|field| field.name() == name);
    Some((fields, place("key")?, place("value")?))
}

/// For each row the first item whose key, a column of `items`, is the one that is wanted.
fn first_items(
    (items, key): (&StructArray, usize),
    ranges: Vec<Option<Range<usize>>>,
    wanted: &ArrayRef,
) -> Result<UInt64Array> {
    let keys = cast(items.column(key), &DataType::Utf8View)?;
    let wanted = cast(wanted, &DataType::Utf8View)?;
    let (keys, wanted) = (keys.as_string_view(), wanted.as_string_view());
    let first = |(row, range): (usize, Option<Range<usize>>)| {
        let wanted = wanted.is_valid(row).then(|| wanted.value(row))?;
        let is_it = |item: &usize| {
            items.is_valid(*item) && keys.is_valid(*item) && keys.value(*item) == wanted
        };
        u64::try_from(range?.find(is_it)?).ok()
    };
    Ok(ranges.into_iter().enumerate().map(first).collect())
}

/// Which fields of a value may say it.
fn said(fields: &Fields) -> Vec<usize> {
    let plain = |is_named: &dyn Fn(&str) -> bool| {
        let fields = fields.iter().enumerate();
        let fields =
            fields.filter(|(_, field)| is_named(field.name()) && !field.data_type().is_nested());
        fields.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let named = plain(&|name: &str| name.ends_with("_value"));
    if named.is_empty() { plain(&|_: &str| true) } else { named }
}

/// The first field of each value that is set, as text.
fn texts(values: &StructArray) -> Result<ArrayRef> {
    let columns = said(values.fields())
        .into_iter()
        .map(|index| Ok(cast(values.column(index), &DataType::Utf8View)?))
        .collect::<Result<Vec<ArrayRef>>>()?;
    let mut texts = StringViewBuilder::with_capacity(values.len());
    for row in 0..values.len() {
        let set = columns.iter().find(|column| values.is_valid(row) && column.is_valid(row));
        texts.append_option(set.map(|column| column.as_string_view().value(row)));
    }
    Ok(Arc::new(texts.finish()))
}
