//! Rows of a table of `ops` as values of a type.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::logical_expr::{Expr, ident, lit};
use futures::TryStreamExt as _;

use crate::engine::{Engine, Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Lake, Snapshot, TableSpec, Wanted, Written};
use crate::name::TableName;
use crate::runtime::Timestamp;

/// How often an append is tried when another run appends too.
const ATTEMPTS: usize = 5;

/// A row of one table of `ops`.
pub trait Record: Sized + Send + Sync {
    /// The table's name below `ops`.
    const TABLE: &'static str;
    /// What a row is, for whoever lists tables.
    const DESCRIPTION: &'static str;

    /// The columns of the table.
    fn fields() -> Vec<Field>;

    /// The values of `rows`, one array for each of the columns.
    fn arrays(rows: &[Self]) -> Vec<ArrayRef>;

    /// The row of `batch`, whose columns are found by their names; None when one that must have a
    /// value has none.
    fn of_row(batch: &RecordBatch, row: usize) -> Option<Self>;

    /// The table.
    fn spec() -> TableSpec {
        TableSpec {
            name: TableName::ops(Self::TABLE),
            schema: Arc::new(Schema::new(Self::fields())),
            partition_by: Vec::new(),
            description: Self::DESCRIPTION.to_owned(),
            fingerprint: env!("CARGO_PKG_NAME").to_owned(),
        }
    }
}

/// A value of a column.
pub(super) trait Value: Sized {
    fn data_type() -> DataType;
    fn array<'a>(values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a;
    fn of_row(column: &ArrayRef, row: usize) -> Option<Self>;
}

/// A field of a record: a value, or perhaps none.
pub(super) trait Cell: Sized {
    type Value: Value;
    fn value(&self) -> Option<&Self::Value>;
    fn of_value(value: Option<Self::Value>) -> Option<Self>;
}

impl<T: Value> Cell for Option<T> {
    type Value = T;

    fn value(&self) -> Option<&T> {
        self.as_ref()
    }

    fn of_value(value: Self) -> Option<Self> {
        Some(value)
    }
}

/// Types that are a value of a column, and a field that always has one.
macro_rules! values {
    ($($type:ty, $data_type:expr, $to_array:expr, $of_row:expr;)*) => {$(
        impl Value for $type {
            fn data_type() -> DataType {
                $data_type
            }

            fn array<'a>(values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
                let to_array: fn(Vec<Option<&'a Self>>) -> ArrayRef = $to_array;
                to_array(values.collect())
            }

            fn of_row(column: &ArrayRef, row: usize) -> Option<Self> {
                let of_row: fn(&ArrayRef, usize) -> Option<Self> = $of_row;
                column.is_valid(row).then(|| of_row(column, row)).flatten()
            }
        }

        impl Cell for $type {
            type Value = Self;

            fn value(&self) -> Option<&Self> {
                Some(self)
            }

            fn of_value(value: Option<Self>) -> Option<Self> {
                value
            }
        }
    )*};
}

values! {
    i64, DataType::Int64,
        |values| Arc::new(values.into_iter().map(Option::<&i64>::copied).collect::<Int64Array>()),
        |column, row| Some(column.as_primitive_opt::<Int64Type>()?.value(row));
    u64, DataType::Int64,
        |values| {
            let number = |value: &u64| i64::try_from(*value).unwrap_or(i64::MAX);
            Arc::new(values.into_iter().map(|value| value.map(number)).collect::<Int64Array>())
        },
        |column, row| u64::try_from(column.as_primitive_opt::<Int64Type>()?.value(row)).ok();
    String, DataType::Utf8,
        |values| Arc::new(values.into_iter().collect::<StringArray>()),
        |column, row| Some(column.as_string_opt::<i32>()?.value(row).to_owned());
    bool, DataType::Boolean,
        |values| Arc::new(values.into_iter().map(Option::<&bool>::copied).collect::<BooleanArray>()),
        |column, row| Some(column.as_boolean_opt()?.value(row));
    Vec<u8>, DataType::Binary,
        |values| {
            let bytes = values.into_iter().map(|value| value.map(Vec::as_slice));
            Arc::new(bytes.collect::<BinaryArray>())
        },
        |column, row| Some(column.as_binary_opt::<i32>()?.value(row).to_vec());
    Timestamp, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        |values| {
            let micros = values.into_iter().map(|value| value.map(DateTime::timestamp_micros));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        },
        |column, row| {
            let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
            DateTime::from_timestamp_micros(column.value(row))
        };
    TableName, DataType::Utf8,
        |values| {
            let names = values.into_iter().map(|value| value.map(ToString::to_string));
            Arc::new(names.collect::<StringArray>())
        },
        |column, row| column.as_string_opt::<i32>()?.value(row).parse().ok();
}

/// Declares the type of the rows of a table of `ops`; its fields are the columns.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident is $table:literal: $description:literal {
            $($(#[$of_field:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $visibility struct $name {
            $($(#[$of_field])* $visibility $field: $type,)*
        }

        impl $crate::ops::record::Record for $name {
            const TABLE: &'static str = $table;
            const DESCRIPTION: &'static str = $description;

            fn fields() -> Vec<arrow::datatypes::Field> {
                vec![$($crate::ops::record::field::<$type>(stringify!($field)),)*]
            }

            fn arrays(rows: &[Self]) -> Vec<arrow::array::ArrayRef> {
                vec![$($crate::ops::record::array(rows.iter().map(|row| &row.$field)),)*]
            }

            fn of_row(batch: &arrow::array::RecordBatch, row: usize) -> Option<Self> {
                Some(Self {
                    $($field: $crate::ops::record::cell(batch, stringify!($field), row)?,)*
                })
            }
        }
    };
}
pub(super) use record;

pub(super) fn field<C: Cell>(name: &str) -> Field {
    Field::new(name, C::Value::data_type(), true)
}

pub(super) fn array<'a, C: Cell + 'a>(cells: impl Iterator<Item = &'a C>) -> ArrayRef {
    C::Value::array(cells.map(Cell::value))
}

pub(super) fn cell<C: Cell>(batch: &RecordBatch, name: &str, row: usize) -> Option<C> {
    let column = batch.column_by_name(name);
    C::of_value(column.and_then(|column| C::Value::of_row(column, row)))
}

/// The rows as a batch of the table's schema.
pub(super) fn batch_of<R: Record>(spec: &TableSpec, rows: &[R]) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(&spec.schema), R::arrays(rows)).map_err(|e| {
        Error::new(Kind::Bug, "cannot write down records").at("table", &spec.name).because(e)
    })
}

/// Writes `rows` to files, which no table names yet.
pub(super) async fn written<R: Record>(lake: &Lake, rows: &[R]) -> Result<Written> {
    let spec = R::spec();
    let mut sink = lake.sink(&spec)?;
    sink.write(&batch_of(&spec, rows)?).await?;
    sink.close().await
}

/// Adds `rows` to their table, whatever other runs add to it meanwhile; creates it when it is not
/// there. Nothing is written for no rows.
pub async fn append<R: Record>(lake: &Lake, run_id: &str, rows: &[R]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let spec = R::spec();
    let written = written(lake, rows).await?;
    let mut attempt = 1;
    loop {
        let base = lake.snapshot(&spec.name).await?;
        let change = Change {
            adds: written.adds.clone(),
            notes: vec![("run_id", run_id.into())],
            ..Change::default()
        };
        match lake.commit(&spec, base.as_ref(), change).await {
            // Two runs that create the table at once: the second finds it the next time.
            Err(error) if error.kind() == Kind::Conflict && attempt < ATTEMPTS => attempt += 1,
            result => return result.map(drop),
        }
    }
}

/// The rows of `snapshot` with one of the values of each of `wanted`.
///
/// Errors: `Data` for a row that lacks a value which it must have.
pub async fn read<R: Record>(
    engine: &Engine,
    snapshot: &Snapshot,
    wanted: &[Wanted],
) -> Result<Vec<R>> {
    let failed = |e| engine_error("cannot read a table of ops", e).at("table", snapshot.name());
    let session = engine.session(Tables::default().into_catalog());
    let files = snapshot.files_where(wanted)?;
    let mut rows = session.table(snapshot.provider_of(&files)?)?;
    for wanted in wanted {
        let values: Vec<Expr> = wanted.values.iter().map(|value| lit(value.clone())).collect();
        rows = rows.filter(ident(&wanted.column).in_list(values, false)).map_err(failed)?;
    }
    let plan = session.physical(&rows.into_unoptimized_plan()).await?;
    let mut stream = session.execute_all(plan)?;
    let mut records = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        for row in 0..batch.num_rows() {
            let record = R::of_row(&batch, row).ok_or_else(|| {
                Error::new(Kind::Data, "a row lacks a value that it must have")
                    .at("table", snapshot.name())
                    .hint("was the table written by another program? `clickwatch tables history` shows its commits")
            })?;
            records.push(record);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// A row for a test.
        struct Row is "rows": "One row per test." {
            /// A number.
            number: u64,
            /// A text that may be missing.
            text: Option<String>,
            /// A time.
            at: Timestamp,
            /// A table.
            table_name: TableName,
            /// Bytes.
            bytes: Vec<u8>,
            /// A flag.
            is_true: bool,
        }
    }

    fn row(number: u64, text: Option<&str>) -> Row {
        Row {
            number,
            text: text.map(str::to_owned),
            at: DateTime::from_timestamp_micros(1_751_328_000_000_001).unwrap(),
            table_name: TableName::ops("rows"),
            bytes: vec![0, 255],
            is_true: true,
        }
    }

    #[test]
    fn rows_come_out_as_they_went_in() {
        let rows = [row(1, None), row(2, Some("ü"))];
        let batch = batch_of(&Row::spec(), &rows).unwrap();
        for (index, row) in rows.iter().enumerate() {
            let read = Row::of_row(&batch, index).unwrap();
            assert_eq!(format!("{read:?}"), format!("{row:?}"));
        }
    }

    #[test]
    fn a_row_without_a_value_that_it_must_have_is_none() {
        let batch = batch_of(&Row::spec(), &[row(1, None)]).unwrap();
        let without = batch.project(&[1, 2, 3, 4, 5]).unwrap();
        assert!(Row::of_row(&without, 0).is_none());
        let without = batch.project(&[0, 2, 3, 4, 5]).unwrap();
        assert!(Row::of_row(&without, 0).is_some());
    }
}
