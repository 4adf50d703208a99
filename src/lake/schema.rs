//! Which types tables have on storage, so that every reader of Delta 1/2 takes them.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, max, min};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use chrono::DateTime;

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

/// The rows of `batch` in the form that [`storable`] promised.
///
/// Errors: `Data` for a value that the stored type cannot hold, as an unsigned count beyond BIGINT,
/// and for an empty text in a column of `partition_by`: every reader of Delta would take it for NULL.
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
        if partition_by.contains(field.name()) && has_empty_text(&stored) {
            return Err(Error::new(Kind::Data, "an empty text cannot name a partition")
                .at("column", field.name())
                .hint(
                    "readers of Delta take it for NULL: let the model give NULL or another text",
                ));
        }
        columns.push(stored);
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

fn has_empty_text(column: &ArrayRef) -> bool {
    let texts = column.as_string_opt::<i32>();
    texts.is_some_and(|texts| texts.iter().any(|text| text == Some("")))
}

/// Refuses days and instants that are too far away to be written: the log of a table spells the
/// bounds of each file as dates of a calendar, which ends before the numbers do.
pub(super) fn check_calendar(batch: &RecordBatch) -> Result<()> {
    for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
        if let Some(value) = beyond_calendar(column) {
            return Err(Error::new(Kind::Data, "a date is too far away to be stored")
                .at("column", field.name())
                .at("value", value)
                .hint("let the model leave such rows out, or give NULL"));
        }
    }
    Ok(())
}

/// A value of `column` that is on no calendar.
fn beyond_calendar(column: &ArrayRef) -> Option<String> {
    const SECONDS_PER_DAY: i64 = 86_400;
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            let is_beyond = |day: &i32| {
                DateTime::from_timestamp(i64::from(*day) * SECONDS_PER_DAY, 0).is_none()
            };
            let found = [min(days), max(days)].into_iter().flatten().find(is_beyond)?;
            Some(format!("{found} days after 1970-01-01"))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let instants = column.as_primitive::<TimestampMicrosecondType>();
            let is_beyond = |instant: &i64| DateTime::from_timestamp_micros(*instant).is_none();
            let found = [min(instants), max(instants)].into_iter().flatten().find(is_beyond)?;
            Some(format!("{found} microseconds after 1970-01-01"))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().find_map(beyond_calendar),
        DataType::List(_) => {
            // The items of other rows may be in the same buffer.
            let lists = column.as_list::<i32>();
            let (first, last) = (lists.value_offsets().first()?, lists.value_offsets().last()?);
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            beyond_calendar(&lists.values().slice(first, last.saturating_sub(first)))
        }
        _ => None,
    }
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
    use arrow::array::{
        Date32Array, Date32Builder, ListBuilder, StringArray, StructArray,
        TimestampMicrosecondArray,
    };

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

    #[test]
    fn a_day_beyond_the_calendar_is_refused_wherever_it_is() {
        let days = |day| Arc::new(Date32Array::from(vec![None, Some(0), Some(day)])) as ArrayRef;
        let check = |column: ArrayRef| {
            check_calendar(&RecordBatch::try_from_iter([("at", column)]).unwrap())
        };
        // The last and the first day of the calendar, and those next to them.
        assert!(check(days(95_026_236)).is_ok() && check(days(-96_465_292)).is_ok());
        for beyond in [i32::MAX, i32::MIN, 95_026_237, -96_465_293] {
            let error = check(days(beyond)).unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            assert!(error.to_string().contains(&format!("column=`at` value=`{beyond} days")));
        }
        let field = Field::new("day", DataType::Date32, true);
        let inside = StructArray::from(vec![(Arc::new(field), days(i32::MAX))]);
        assert!(check(Arc::new(inside)).is_err());
        let instants = |at| TimestampMicrosecondArray::from(vec![Some(at)]).with_timezone("UTC");
        assert!(check(Arc::new(instants(i64::MAX))).is_err());
        assert!(check(Arc::new(instants(253_402_300_799_999_999))).is_ok());
    }

    #[test]
    fn days_of_other_rows_in_the_same_buffer_do_not_matter() {
        let mut lists = ListBuilder::new(Date32Builder::new());
        lists.values().append_value(i32::MAX);
        lists.append(true);
        lists.values().append_value(1);
        lists.append(true);
        let lists: ArrayRef = Arc::new(lists.finish());
        assert!(beyond_calendar(&lists).is_some());
        assert!(beyond_calendar(&lists.slice(1, 1)).is_none());
    }

    #[test]
    fn an_empty_text_is_kept_where_it_can_be_and_refused_where_it_would_become_null() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
        let batch = RecordBatch::try_from_iter_with_nullable([("kind", column, true)]).unwrap();
        let kept = to_stored(&batch, &batch.schema(), &[]).unwrap();
        assert_eq!(kept, batch);
        let error = to_stored(&batch, &batch.schema(), &["kind".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        let others = batch.slice(0, 2);
        assert!(to_stored(&others, &batch.schema(), &["kind".to_owned()]).is_ok());
    }
}
