//! `clickwatch sql`

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use clap::Args;

use crate::engine::{LakeCatalog, statements};
use crate::error::{Error, Kind, Result};

use super::answer::{Manner, answer};
use super::display::Expanded;
use super::output::RowFormat;
use super::states::States;
use super::{Context, shell};

/// What is asked, and how it is answered.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The query; without this and --file it is read from standard input, and on a terminal a shell
    /// starts
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
    #[command(flatten)]
    states: States,
}

impl Arguments {
    fn manner(&self) -> Manner {
        Manner {
            format: self.format,
            rows: self.rows,
            expanded: Expanded::Off,
            is_paged: true,
            timing: self.timing,
        }
    }

    /// Whether somebody sits at a terminal who has asked nothing yet.
    fn is_for_shell(&self, context: &Context<'_>) -> bool {
        let is_asked = self.query.is_some() || self.file.is_some();
        !is_asked && context.output.screen().is_some() && std::io::stdin().is_terminal()
    }
}

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    if arguments.is_for_shell(&context) {
        let manner = arguments.manner();
        return shell::run(context, arguments.states, manner).await;
    }
    let queries = queries(&arguments, &script(&arguments).await?)?;
    let lake = context.lake()?;
    let engine = context.engine(&context.channels()?)?;
    let (_, at) = arguments.states.read(&engine, &lake).await?;
    let session = engine.session(LakeCatalog::open(&lake, at).await?);
    let mut named = Vec::new();
    for query in &queries {
        named.extend(session.tables_of(query)?);
    }
    if let Some((table, _)) = arguments.states.chosen().find(|(table, _)| !named.contains(table)) {
        return Err(Error::new(
            Kind::Invalid,
            "the query does not read the table whose state was chosen",
        )
        .at("table", table));
    }
    for (number, query) in queries.iter().enumerate() {
        // Each answer in JSON is a line by itself.
        if number > 0 && arguments.format != RowFormat::Json {
            context.output.data("")?;
        }
        answer(&session, query, arguments.manner(), &mut context.output).await?;
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
