//! Lists of what there is: tables, and the columns of a table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Error, Kind, Result};
use crate::lake::{At, Lake, Snapshot};
use crate::name::TableName;
use crate::runtime::Timestamp;

use super::display::Look;
use super::output::{ListFormat, Output};
use super::text::wrapped;

/// The columns of a list.
pub(super) type Columns = Vec<(&'static str, ArrayRef)>;

/// The state of each table, or why it cannot be read.
pub(super) type TableStates = Vec<(TableName, Result<Snapshot>)>;

/// Prints a list, and for people a line about it.
pub(super) fn print(
    output: &mut Output<'_>,
    format: ListFormat,
    columns: Columns,
    summary: &str,
) -> Result<()> {
    let batch = batch(columns)?;
    let screen = output.screen();
    let look = Look { hides_null: true, screen, ..Look::default() };
    let mut printer = output.rows(format.into(), &batch.schema(), look)?;
    printer.print(&batch)?;
    printer.finish()?;
    match (format, screen) {
        (ListFormat::Table, Some(screen)) => output.text(&wrapped(summary, screen.columns, 0)),
        (ListFormat::Table, None) => output.text(summary),
        _ => Ok(()),
    }
}

fn batch(columns: Columns) -> Result<RecordBatch> {
    let fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(schema, arrays)
        .map_err(|e| Error::new(Kind::Bug, "cannot lay out a listing").because(e))
}

/// The tables of `lake`, those of `at` in these states and the others as they are now.
pub(super) async fn table_states(lake: &Lake, at: &HashMap<TableName, At>) -> Result<TableStates> {
    let mut states = Vec::new();
    for table in lake.tables().await? {
        let state = lake.snapshot_at(&table, at.get(&table).copied().unwrap_or_default()).await;
        if let Some(state) = state.transpose() {
            states.push((table, state));
        }
    }
    Ok(states)
}

/// A row for each table.
pub(super) fn tables(states: &[(TableName, Result<Snapshot>)], format: ListFormat) -> Columns {
    let read = || states.iter().map(|(_, state)| state.as_ref().ok());
    let problem = |state: &Result<Snapshot>| state.as_ref().err().map(Error::on_one_line);
    let is_bad = states.iter().any(|(_, state)| state.is_err());
    let columns: Columns = vec![
        ("table", texts(states.iter().map(|(table, _)| Some(table.to_string())))),
        ("rows", numbers(read().map(|one| one?.rows()))),
        ("files", numbers(read().map(|one| Some(one?.size().0)))),
        ("bytes", numbers(read().map(|one| Some(one?.size().1)))),
        ("version", numbers(read().map(|one| Some(one?.version())))),
        ("committed_at", instants(read().map(|one| one?.committed_at()))),
        ("description", texts(read().map(|one| Some(one?.description())))),
        ("problem", texts(states.iter().map(|(_, state)| problem(state)))),
    ];
    match format {
        // A terminal is not wide enough for what `describe` says as well.
        ListFormat::Table => columns
            .into_iter()
            .filter(|(name, _)| *name != "description" && (is_bad || *name != "problem"))
            .collect(),
        _ => columns,
    }
}

/// A row for each column of a table.
pub(super) fn columns_of(snapshot: &Snapshot) -> Columns {
    let fields = snapshot.schema().fields();
    let partition_by = snapshot.partition_by();
    let partition = |name: &String| partition_by.contains(name).then(|| "yes".to_owned());
    vec![
        ("column", texts(fields.iter().map(|field| Some(field.name().clone())))),
        ("type", texts(fields.iter().map(|field| Some(type_name(field.data_type()))))),
        ("partition", texts(fields.iter().map(|field| partition(field.name())))),
    ]
}

/// A line about a table.
pub(super) fn summary_of(table: &TableName, snapshot: &Snapshot) -> String {
    let rows = snapshot.rows().map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
    format!("{table}, version {}, {rows} rows. {}", snapshot.version(), snapshot.description())
}

pub(super) fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn numbers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    let values = values.map(|number| number.and_then(|number| i64::try_from(number).ok()));
    Arc::new(values.collect::<Int64Array>())
}

pub(super) fn instants(values: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    let micros = values.map(|instant| instant.map(|instant| instant.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// The type as SQL writes it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "TEXT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Binary => "BINARY".into(),
        DataType::Timestamp(_, _) => "TIMESTAMP".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::List(item) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), type_name(field.data_type())));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
