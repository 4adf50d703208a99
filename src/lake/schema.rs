//! Which types tables have on storage, so that every reader of Delta 1/2 takes them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::name::is_identifier;

/// The schema in which rows of `schema` are stored: instants are UTC microseconds, texts are plain
/// texts, counts are signed, everything may be NULL.
///
/// Errors: for each column that cannot be stored as it is, what is wrong with it.
pub fn storable(schema: &Schema) -> std::result::Result<SchemaRef, Vec<String>> {
    let mut wrong = Vec::new();
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in schema.fields() {
        let name = field.name();
        if fields.iter().any(|other| other.name() == name) {
            wrong.push(format!("there are two columns called `{name}`"));
        } else if !is_identifier(name) {
            wrong.push(format!(
                "`{name}` is no column name: give it one with AS, of lower-case letters, digits and `_`"
            ));
        }
        match storable_type(field.data_type()) {
            Ok(data_type) => fields.push(Arc::new(Field::new(name, data_type, true))),
            Err(reason) => wrong.push(format!("column `{name}` {reason}")),
        }
    }
    if wrong.is_empty() { Ok(Arc::new(Schema::new(fields))) } else { Err(wrong) }
}

fn storable_type(data_type: &DataType) -> std::result::Result<DataType, String> {
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary => data_type.clone(),
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Dictionary(_, value) => storable_type(value)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", storable_type(item.data_type())?, true)))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Ok(Field::new(field.name(), storable_type(field.data_type())?, true)))
                .collect::<std::result::Result<_, String>>()?,
        ),
        DataType::Null => return Err("is always NULL and has no type: CAST it to one".into()),
        other => return Err(format!("is of type {other}, which tables cannot hold: CAST it")),
    })
}

/// The rows of `batch` in the form that [`storable`] promised. In text columns of `partition_by` an
/// empty text becomes NULL, as which every reader of Delta would see it.
///
/// Errors: `Data` for a value that the stored type cannot hold, as an unsigned count beyond BIGINT.
pub fn to_stored(
    batch: &RecordBatch,
    schema: &SchemaRef,
    partition_by: &[String],
) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        let stored = match column.data_type() == field.data_type() {
            true => Arc::clone(column),
            false => cast_column(column, field, &options)?,
        };
        columns.push(match partition_by.contains(field.name()) {
            true => without_empty_texts(stored),
            false => stored,
        });
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|e| Error::new(Kind::Bug, "rows do not have the shape of their table").because(e))
}

/// The types in which rows of `schema` are handed to an encoder: texts as views, which are dealt,
/// repeated and joined without being copied. Files look the same.
pub fn encoded(schema: &Schema, partition_by: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 if !partition_by.contains(field.name()) => {
            Arc::new(Field::new(field.name(), DataType::Utf8View, field.is_nullable()))
        }
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn without_empty_texts(column: ArrayRef) -> ArrayRef {
    let Some(texts) = column.as_string_opt::<i32>() else { return column };
    let has_empty = texts.iter().any(|text| text == Some(""));
    if !has_empty {
        return column;
    }
    let filled = texts.iter().map(|text| text.filter(|text| !text.is_empty()));
    Arc::new(filled.collect::<StringArray>())
}

fn cast_column(column: &ArrayRef, field: &Field, options: &CastOptions<'_>) -> Result<ArrayRef> {
    cast_with_options(column, field.data_type(), options).map_err(|e| {
        Error::new(Kind::Data, "a value does not fit into its column")
            .at("column", field.name())
            .at("from", column.data_type())
            .at("to", field.data_type())
            .because(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said_at_once() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Int64, false),
            Field::new("a", DataType::Int64, false),
            Field::new("count(*)", DataType::Int64, false),
            Field::new("nothing", DataType::Null, true),
        ]);
        assert_eq!(storable(&schema).unwrap_err().len(), 3);
    }

    #[test]
    fn instants_without_a_zone_are_taken_as_utc() {
        let schema = Schema::new(vec![Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            true,
        )]);
        let stored = storable(&schema).unwrap();
        assert_eq!(
            stored.field(0).data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        );
    }
}
