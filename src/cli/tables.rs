//! `clickwatch tables`

use std::collections::HashMap;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::error::{Error, Result};
use crate::lake::At;
use crate::name::TableName;
use crate::project::Channels;

use super::Context;
use super::listing::{
    self, TableStates, columns_of, instants, numbers, print, summary_of, table_states, texts,
};
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
async fn list(mut context: Context<'_>, format: ListFormat) -> Result<()> {
    let lake = context.lake()?;
    let states = table_states(&lake, &HashMap::new()).await?;
    let summary = format!("{} tables in {}", states.len(), lake.location());
    print(&mut context.output, format, listing::tables(&states, format), &summary)?;
    unreadable(states)
}

/// The error of a listing with tables that cannot be read.
fn unreadable(states: TableStates) -> Result<()> {
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

async fn describe(mut context: Context<'_>, of: OfTable) -> Result<()> {
    let lake = context.lake()?;
    let snapshot = lake.require(&of.table, At::Latest).await?;
    let summary = summary_of(&of.table, &snapshot);
    print(&mut context.output, of.listing.format, columns_of(&snapshot), &summary)
}

async fn trace(mut context: Context<'_>, history: History) -> Result<()> {
    let lake = context.lake()?;
    let table = &history.of.table;
    let commits = lake.require(table, At::Latest).await?.history(history.limit).await?;
    let note =
        |key: &'static str| texts(commits.iter().map(move |commit| commit.notes.get(key).cloned()));
    let columns = vec![
        ("version", numbers(commits.iter().map(|commit| commit.version))),
        ("committed_at", instants(commits.iter().map(|commit| commit.committed_at))),
        ("operation", texts(commits.iter().map(|commit| Some(commit.operation.clone())))),
        ("strategy", note("strategy")),
        ("reason", note("reason")),
        ("run_id", note("run_id")),
    ];
    let summary = format!("the newest {} commits of {table}", commits.len());
    print(&mut context.output, history.of.listing.format, columns, &summary)
}

async fn merge(mut context: Context<'_>, compact: Compact) -> Result<()> {
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
    let columns = vec![
        ("table", texts(done.iter().map(|one| Some(one.table.to_string())))),
        ("files_before", numbers(done.iter().map(|one| Some(one.files_before)))),
        ("files_after", numbers(done.iter().map(|one| Some(one.files_after)))),
        ("bytes_written", numbers(done.iter().map(|one| Some(one.bytes_written)))),
        ("version", numbers(done.iter().map(|one| Some(one.version)))),
    ];
    let summary =
        "rows are as they were; files that were merged stay for readers of older versions";
    print(&mut context.output, compact.listing.format, columns, summary)
}
