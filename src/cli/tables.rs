//! `clickwatch tables`

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use clap::{Args, Subcommand};

use crate::error::{Error, Kind, Result};
use crate::lake::{At, Snapshot};
use crate::name::TableName;
use crate::project::Channels;
use crate::runtime::Timestamp;

use super::Context;
use super::output::ListFormat;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// All tables: rows, files, bytes, version
    List(Listing),
    /// The columns of a table
    Describe(OfTable),
    /// The commits of a table, newest first
    History(History),
    /// Merge small files, within each partition
    Compact(Compact),
}

#[derive(Debug, Args)]
pub(super) struct Listing {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Debug, Args)]
pub(super) struct OfTable {
    /// The table, as silver.sessions
    table: TableName,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    of: OfTable,
    /// How many commits
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct Compact {
    /// The tables; all when none is named
    tables: Vec<TableName>,
    #[command(flatten)]
    listing: Listing,
}

pub(super) async fn run(context: Context<'_>, verb: Verb) -> Result<()> {
    match verb {
        Verb::List(listing) => list(context, listing.format).await,
        Verb::Describe(of) => describe(context, of).await,
        Verb::History(history) => trace(context, history).await,
        Verb::Compact(compact) => merge(context, compact).await,
    }
}

/// A table that cannot be read is listed with what is wrong, and is an error at the end.
async fn list(context: Context<'_>, format: ListFormat) -> Result<()> {
    let lake = context.lake()?;
    let mut states: Vec<(TableName, Result<Snapshot>)> = Vec::new();
    for table in lake.tables().await? {
        if let Some(state) = lake.snapshot(&table).await.transpose() {
            states.push((table, state));
        }
    }
    let number = |number: u64| i64::try_from(number).ok();
    let read = || states.iter().map(|(_, state)| state.as_ref().ok());
    let problem = |state: &Result<Snapshot>| state.as_ref().err().map(Error::on_one_line);
    let is_bad = states.iter().any(|(_, state)| state.is_err());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("table", texts(states.iter().map(|(table, _)| Some(table.to_string())))),
        ("rows", numbers(read().map(|one| one?.rows().and_then(number)))),
        ("files", numbers(read().map(|one| number(one?.size().0)))),
        ("bytes", numbers(read().map(|one| number(one?.size().1)))),
        ("version", numbers(read().map(|one| number(one?.version())))),
        ("committed_at", instants(read().map(|one| one?.committed_at()))),
        ("description", texts(read().map(|one| Some(one?.description())))),
        ("problem", texts(states.iter().map(|(_, state)| problem(state)))),
    ];
    let columns = match format {
        // A terminal is not wide enough for what `describe` says as well.
        ListFormat::Table => columns
            .into_iter()
            .filter(|(name, _)| *name != "description" && (is_bad || *name != "problem"))
            .collect(),
        _ => columns,
    };
    print(context, format, columns, &format!("{} tables in {}", states.len(), lake.location()))?;
    unreadable(states)
}

/// The error of a listing with tables that cannot be read.
fn unreadable(states: Vec<(TableName, Result<Snapshot>)>) -> Result<()> {
    let mut names = Vec::new();
    let mut first = None;
    for (table, state) in states {
        if let Err(error) = state {
            names.push(table.to_string());
            first.get_or_insert(error);
        }
    }
    first.map_or(Ok(()), |error| {
        Err(Error::new(error.kind(), "tables cannot be read")
            .at("tables", names.join(", "))
            .because(error))
    })
}

async fn describe(context: Context<'_>, of: OfTable) -> Result<()> {
    let lake = context.lake()?;
    let snapshot = lake.require(&of.table, At::Latest).await?;
    let fields = snapshot.schema().fields();
    let partition_by = snapshot.partition_by();
    let columns = vec![
        ("column", texts(fields.iter().map(|field| Some(field.name().clone())))),
        ("type", texts(fields.iter().map(|field| Some(type_name(field.data_type()))))),
        (
            "partition",
            texts(
                fields
                    .iter()
                    .map(|field| partition_by.contains(field.name()).then(|| "yes".to_owned())),
            ),
        ),
    ];
    let rows = snapshot.rows().map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
    let summary = format!(
        "{}, version {}, {rows} rows. {}",
        of.table,
        snapshot.version(),
        snapshot.description()
    );
    print(context, of.listing.format, columns, &summary)
}

async fn trace(context: Context<'_>, history: History) -> Result<()> {
    let lake = context.lake()?;
    let table = &history.of.table;
    let commits = lake.require(table, At::Latest).await?.history(history.limit).await?;
    let note =
        |key: &'static str| texts(commits.iter().map(move |commit| commit.notes.get(key).cloned()));
    let columns = vec![
        (
            "version",
            numbers(
                commits
                    .iter()
                    .map(|commit| commit.version.and_then(|version| i64::try_from(version).ok())),
            ),
        ),
        ("committed_at", instants(commits.iter().map(|commit| commit.committed_at))),
        ("operation", texts(commits.iter().map(|commit| Some(commit.operation.clone())))),
        ("strategy", note("strategy")),
        ("reason", note("reason")),
        ("run_id", note("run_id")),
    ];
    let summary = format!("the newest {} commits of {table}", commits.len());
    print(context, history.of.listing.format, columns, &summary)
}

async fn merge(context: Context<'_>, compact: Compact) -> Result<()> {
    // No model is computed here, so it does not matter whose rules hold.
    let runner = context.runner(&Arc::new(Channels::shipped()))?;
    let tables = match compact.tables {
        none if none.is_empty() => runner.lake.tables().await?,
        tables => tables,
    };
    let mut done = Vec::new();
    for table in &tables {
        done.push(runner.compact(table).await?);
    }
    let number = |number: u64| i64::try_from(number).ok();
    let columns = vec![
        ("table", texts(done.iter().map(|one| Some(one.table.to_string())))),
        ("files_before", numbers(done.iter().map(|one| number(one.files_before)))),
        ("files_after", numbers(done.iter().map(|one| number(one.files_after)))),
        ("bytes_written", numbers(done.iter().map(|one| number(one.bytes_written)))),
        ("version", numbers(done.iter().map(|one| number(one.version)))),
    ];
    let summary =
        "rows are as they were; files that were merged stay for readers of older versions";
    print(context, compact.listing.format, columns, summary)
}

fn print(
    mut context: Context<'_>,
    format: ListFormat,
    columns: Vec<(&str, ArrayRef)>,
    summary: &str,
) -> Result<()> {
    let fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|e| Error::new(Kind::Bug, "cannot lay out a listing").because(e))?;
    let mut printer = context.output.rows(format.into(), &schema)?;
    printer.print(&batch)?;
    printer.finish()?;
    if format == ListFormat::Table { context.output.text(summary) } else { Ok(()) }
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn instants(values: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    let micros = values.map(|instant| instant.map(|instant| instant.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// The type as SQL writes it.
fn type_name(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
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
