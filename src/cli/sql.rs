//! `clickwatch sql`

use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, NaiveDate, NaiveTime};
use clap::Args;
use futures::TryStreamExt as _;

use crate::engine::{Engine, LakeCatalog, Session, engine_error, statements};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Lake};
use crate::name::TableName;
use crate::ops::Epoch;
use crate::runtime::Timestamp;

use super::Context;
use super::output::{Output, RowFormat};

/// Asks the tables of the lake in SQL; it reads and never writes.
///
/// Tables are called layer.table, as in silver.sessions; the layer gold may be left out. Several
/// queries are parted by semicolons and answered in their order.
///
/// Examples:
///   clickwatch sql "SELECT * FROM gold.return_visitors ORDER BY session_date"
///   clickwatch sql --at-version silver.sessions=3 "SELECT count(*) FROM silver.sessions"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The query; read from standard input when there is neither this nor --file
    #[arg(allow_hyphen_values = true)]
    query: Option<String>,
    /// Read the query from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "query")]
    file: Option<PathBuf>,
    /// How to print the rows
    #[arg(long, value_enum, default_value_t)]
    format: RowFormat,
    /// How many rows a table for people shows at most; the other formats print all
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rows: usize,
    /// Say how long each query took
    #[arg(long)]
    timing: bool,
    /// Read Bronze, Silver and Gold as an earlier run left them; without it, as the latest did
    #[arg(long, value_name = "N", conflicts_with = "latest")]
    epoch: Option<u64>,
    /// Read the newest version of every table, published or not
    #[arg(long)]
    latest: bool,
    /// Read a table as it was in a version
    #[arg(long = "at-version", value_name = "TABLE=VERSION", value_parser = parse_version)]
    at_version: Vec<(TableName, At)>,
    /// Read a table as it was at a time, as 2026-11-20 or 2026-11-20T12:00:00Z
    #[arg(long = "at", value_name = "TABLE=TIME", value_parser = parse_time)]
    at: Vec<(TableName, At)>,
}

impl Arguments {
    /// Which state of each table is read: what was chosen, and otherwise that of an epoch.
    async fn states(&self, engine: &Engine, lake: &Lake) -> Result<HashMap<TableName, At>> {
        let mut at = HashMap::new();
        if !self.latest {
            let epoch = Epoch::read(engine, lake, self.epoch).await?;
            at.extend(
                epoch.tables.into_iter().map(|(table, one)| (table, At::Version(one.version))),
            );
        }
        at.extend(self.chosen());
        Ok(at)
    }

    fn chosen(&self) -> impl Iterator<Item = (TableName, At)> {
        self.at_version.iter().chain(&self.at).cloned()
    }
}

fn parse_version(text: &str) -> Result<(TableName, At), String> {
    let (table, version) = text.split_once('=').ok_or("write TABLE=VERSION")?;
    let version = version.parse().map_err(|_| format!("`{version}` is no version number"))?;
    Ok((table.parse()?, At::Version(version)))
}

fn parse_time(text: &str) -> Result<(TableName, At), String> {
    let (table, time) = text.split_once('=').ok_or("write TABLE=TIME")?;
    let instant = DateTime::parse_from_rfc3339(time)
        .map(|instant| instant.to_utc())
        .or_else(|_| time.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .map_err(|_| format!("`{time}` is no time: write for instance 2026-11-20T12:00:00Z"))?;
    Ok((table.parse()?, At::Time(instant as Timestamp)))
}

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    let queries = queries(&arguments, &script(&arguments).await?)?;
    let lake = context.lake()?;
    let engine = context.engine(&context.channels()?)?;
    let at = arguments.states(&engine, &lake).await?;
    let session = engine.session(LakeCatalog::open(&lake, at).await?);
    let mut named = Vec::new();
    for query in &queries {
        named.extend(session.tables_of(query)?);
    }
    if let Some((table, _)) = arguments.chosen().find(|(table, _)| !named.contains(table)) {
        return Err(Error::new(
            Kind::Invalid,
            "the query does not read the table whose state was chosen",
        )
        .at("table", table));
    }
    for (number, query) in queries.iter().enumerate() {
        if number > 0 && matches!(arguments.format, RowFormat::Table | RowFormat::Csv) {
            context.output.data("")?;
        }
        let started = Instant::now();
        answer(&session, query, &arguments, &mut context.output).await?;
        if arguments.timing {
            let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
            context.output.note(&format!("Time: {milliseconds:.3} ms"));
        }
    }
    Ok(())
}

/// Prints the rows of one query.
async fn answer(
    session: &Session,
    query: &str,
    arguments: &Arguments,
    output: &mut Output<'_>,
) -> Result<()> {
    let plan = session.plan(query).await?;
    let physical = session.physical(&plan).await?;
    let mut rows = session.execute_all(Arc::clone(&physical))?;
    let mut left = if arguments.format == RowFormat::Table { arguments.rows } else { usize::MAX };
    let mut printer = output.rows(arguments.format, &physical.schema())?;
    let mut cut = false;
    while let Some(batch) =
        rows.try_next().await.map_err(|e| engine_error("cannot answer the query", e))?
    {
        cut = batch.num_rows() > left;
        printer.print(&batch.slice(0, batch.num_rows().min(left)))?;
        left = left.saturating_sub(batch.num_rows());
        if cut {
            break;
        }
    }
    printer.finish()?;
    if cut {
        let note = format!(
            "only the first {} rows are shown: see --rows, or --format csv for all",
            arguments.rows
        );
        output.note(&note);
    }
    Ok(())
}

/// The text of what is asked. Reading it may take for ever, so it is done beside the waiting for a stop.
async fn script(arguments: &Arguments) -> Result<String> {
    if let Some(query) = &arguments.query {
        return Ok(query.clone());
    }
    let file = arguments.file.clone();
    let place = file.clone().unwrap_or_else(|| PathBuf::from("<standard input>"));
    let reading = tokio::task::spawn_blocking(move || match file {
        Some(file) => std::fs::read(file),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
    });
    let bytes = reading
        .await
        .map_err(|e| Error::new(Kind::Bug, "the reading of the query ended by itself").because(e))?
        .map_err(|e| Error::io("cannot read the query", &place, e))?;
    String::from_utf8(bytes).map_err(|e| {
        Error::new(Kind::Invalid, "the query is not UTF-8")
            .at("file", place.display())
            .at("byte", e.utf8_error().valid_up_to())
            .hint("save the file as UTF-8")
    })
}

/// The queries that are asked for, in their order.
fn queries(arguments: &Arguments, text: &str) -> Result<Vec<String>> {
    let queries = statements(text);
    if queries.is_empty() {
        return Err(Error::new(Kind::Invalid, "there is no query")
            .hint("write it behind the command, into a file for --file, or to standard input"));
    }
    if queries.len() > 1 && arguments.format == RowFormat::Parquet {
        return Err(Error::new(Kind::Invalid, "a Parquet file holds the rows of one query")
            .at("queries", queries.len())
            .hint("ask them one by one, or choose another --format"));
    }
    Ok(queries)
}
