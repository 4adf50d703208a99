//! Rows of Arrow become the JSON objects that they mean to the columns of a table.
//!
//! A number goes into a TEXT column as its text, and a text that is a number into a column of numbers;
//! a floating-point number without a fraction is a whole one where that is wanted. What does not fit
//! stays as it is, and is rescued like the value of any record.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, MapArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::source::wanted::{Wants, add_text, column_of};

/// The values of one column, or of what is inside of it.
pub(super) enum Node<'a> {
    Scalar {
        array: &'a dyn Array,
        texts: ArrayFormatter<'a>,
        wants: Wants,
    },
    List {
        array: &'a ListArray,
        items: Box<Self>,
    },
    Map {
        array: &'a MapArray,
        keys: ArrayFormatter<'a>,
        values: Box<Self>,
    },
    Struct {
        array: &'a StructArray,
        /// Each with its key as it stands in JSON, and the colon behind it.
        fields: Vec<(String, Self)>,
    },
}

impl<'a> Node<'a> {
    /// The rows `rows` of a table with these `columns`.
    pub(super) fn rows(rows: &'a StructArray, columns: &Schema) -> Result<Self, ArrowError> {
        let names: Vec<&str> = rows.fields().iter().map(|field| field.name().as_str()).collect();
        let mut fields = Vec::new();
        for (name, array) in names.iter().zip(rows.columns()) {
            let column = column_of(name, &names, columns);
            let key = column.map_or(*name, |column| column.name().as_str());
            fields.push((as_key(key), Self::of(array, column)?));
        }
        Ok(Self::Struct { array: rows, fields })
    }

    /// The values of `array` for `column`; without one they stay what they are.
    fn of(array: &'a dyn Array, column: Option<&Field>) -> Result<Self, ArrowError> {
        let inside = column.map(Field::data_type);
        if let Some(array) = array.as_list_opt::<i32>() {
            let item = match inside {
                Some(DataType::List(item)) => Some(item.as_ref()),
                _ => None,
            };
            let items = Box::new(Self::of(array.values(), item)?);
            return Ok(Self::List { array, items });
        }
        if let Some(array) = array.as_map_opt() {
            let keys = ArrayFormatter::try_new(array.keys(), &FormatOptions::default())?;
            let values = Box::new(Self::of(array.values(), None)?);
            return Ok(Self::Map { array, keys, values });
        }
        if let Some(array) = array.as_struct_opt() {
            let mut fields = Vec::new();
            for (field, values) in array.fields().iter().zip(array.columns()) {
                let column = match inside {
                    Some(DataType::Struct(fields)) => fields.find(field.name()),
                    _ => None,
                };
                let column = column.map(|(_, column)| column.as_ref());
                fields.push((as_key(field.name()), Self::of(values, column)?));
            }
            return Ok(Self::Struct { array, fields });
        }
        let texts = ArrayFormatter::try_new(array, &FormatOptions::default())?;
        let is_bare = array.data_type().is_numeric() || *array.data_type() == DataType::Boolean;
        let kept = if is_bare { Wants::Value } else { Wants::Text };
        Ok(Self::Scalar { array, texts, wants: column.map_or(kept, Wants::of) })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Scalar { array, .. } => array.is_null(row),
            Self::List { array, .. } => array.is_null(row),
            Self::Map { array, .. } => array.is_null(row),
            Self::Struct { array, .. } => array.is_null(row),
        }
    }

    /// Adds the value of `row`.
    pub(super) fn add(&self, row: usize, json: &mut String) {
        if self.is_null(row) {
            json.push_str("null");
            return;
        }
        match self {
            Self::Scalar { array, texts, wants } => {
                let text = texts.value(row).to_string();
                let whole = match (wants, array.data_type()) {
                    (Wants::Integer, DataType::Float64) => text.strip_suffix(".0"),
                    _ => None,
                };
                wants.add(whole.unwrap_or(&text), json);
            }
            Self::List { array, items } => {
                json.push('[');
                for (count, index) in between(array.value_offsets(), row).enumerate() {
                    separate(count, json);
                    items.add(index, json);
                }
                json.push(']');
            }
            Self::Map { array, keys, values } => {
                json.push('{');
                for (count, index) in between(array.value_offsets(), row).enumerate() {
                    separate(count, json);
                    add_text(json, &keys.value(index).to_string());
                    json.push(':');
                    values.add(index, json);
                }
                json.push('}');
            }
            Self::Struct { fields, .. } => {
                json.push('{');
                let present = fields.iter().filter(|(_, values)| !values.is_null(row));
                for (count, (key, values)) in present.enumerate() {
                    separate(count, json);
                    json.push_str(key);
                    values.add(row, json);
                }
                json.push('}');
            }
        }
    }
}

fn as_key(name: &str) -> String {
    let mut key = String::new();
    add_text(&mut key, name);
    key.push(':');
    key
}

fn separate(count: usize, json: &mut String) {
    if count > 0 {
        json.push(',');
    }
}

/// The places of the items of a list, or of the entries of a map.
fn between(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let place = |index: usize| {
        offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default()
    };
    place(row)..place(row + 1)
}

/// `rows` with floating-point numbers of one width, whose texts are exactly their values.
pub(super) fn widened(rows: StructArray) -> StructArray {
    let wide = wide(rows.data_type());
    if wide == *rows.data_type() {
        return rows;
    }
    let rows: ArrayRef = Arc::new(rows);
    let cast = arrow::compute::cast(&rows, &wide).unwrap_or(rows);
    cast.as_struct().clone()
}

fn wide(data_type: &DataType) -> DataType {
    let field = |field: &Field| field.clone().with_data_type(wide(field.data_type()));
    match data_type {
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::List(item) => DataType::List(Arc::new(field(item.as_ref()))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|one| field(one.as_ref())).collect::<Fields>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
        StringArray, TimestampMillisecondArray,
    };

    use super::*;

    fn json(columns: Vec<(&str, ArrayRef)>, declared: Vec<Field>) -> String {
        let field = |(name, array): (&str, ArrayRef)| {
            (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
        };
        let rows: Vec<_> = columns.into_iter().map(field).collect();
        let rows = widened(StructArray::from(rows));
        let node = Node::rows(&rows, &Schema::new(declared)).unwrap();
        let mut json = String::new();
        node.add(0, &mut json);
        json
    }

    #[test]
    fn values_are_what_columns_want() {
        let declared = |data_type| vec![Field::new("x", data_type, true)];
        let whole: ArrayRef = Arc::new(Float64Array::from(vec![3.0]));
        let half: ArrayRef = Arc::new(Float32Array::from(vec![0.1]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
        let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        let day: ArrayRef = Arc::new(Date32Array::from(vec![20_000]));
        let time: ArrayRef =
            Arc::new(TimestampMillisecondArray::from(vec![1_751_364_000_123]).with_timezone("UTC"));
        let price = Decimal128Array::from(vec![150]).with_precision_and_scale(9, 2).unwrap();
        let price: ArrayRef = Arc::new(price);
        for (array, data_type, value) in [
            (&whole, DataType::Int64, "3"),
            (&whole, DataType::Float64, "3.0"),
            (&whole, DataType::Utf8, "\"3.0\""),
            (&half, DataType::Float64, "0.10000000149011612"),
            (&half, DataType::Int64, "0.10000000149011612"),
            (&text, DataType::Int64, "7"),
            (&text, DataType::Utf8, "\"7\""),
            (&number, DataType::Int64, "9223372036854775807"),
            (&number, DataType::Utf8, "\"9223372036854775807\""),
            (&flag, DataType::Boolean, "true"),
            (&day, DataType::Utf8, "\"2024-10-04\""),
            (&time, DataType::Utf8, "\"2025-07-01T10:00:00.123Z\""),
            (&time, DataType::Int64, "\"2025-07-01T10:00:00.123Z\""),
            (&price, DataType::Float64, "1.50"),
        ] {
            let found = json(vec![("x", Arc::clone(array))], declared(data_type.clone()));
            assert_eq!(found, format!("{{\"x\":{value}}}"), "{array:?} as {data_type}");
        }
        assert_eq!(
            json(vec![("y", number), ("z", text)], vec![]),
            "{\"y\":9223372036854775807,\"z\":\"7\"}"
        );
    }

    #[test]
    fn nested_values_stay_nested() {
        let items = Int64Array::from(vec![Some(1), None, Some(3)]);
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 3].into());
        let list: ArrayRef =
            Arc::new(ListArray::new(Arc::clone(&item), offsets, Arc::new(items), None));
        let inner = StructArray::from(vec![
            (Arc::new(Field::new("l", list.data_type().clone(), true)), Arc::clone(&list)),
            (
                Arc::new(Field::new("f", DataType::Float32, true)),
                Arc::new(Float32Array::from(vec![None::<f32>])) as ArrayRef,
            ),
        ]);
        let text = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
        let declared = vec![Field::new("Tags", text, true)];
        let columns = vec![("Tags", list), ("s", Arc::new(inner) as ArrayRef)];
        assert_eq!(
            json(columns, declared),
            "{\"Tags\":[\"1\",null,\"3\"],\"s\":{\"l\":[1,null,3]}}"
        );
    }
}
