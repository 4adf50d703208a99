//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::name::TableName;
use crate::pipeline::{Options, Refresh};

/// What a run is about; the same for `plan`.
#[derive(Debug, Args)]
pub(super) struct What {
    /// The pipeline; all of the project when none is named
    pipeline: Option<String>,
    /// Read a source from elsewhere this time
    #[arg(long = "source", value_name = "NAME=PATH", value_parser = parse_source)]
    sources: Vec<(String, PathBuf)>,
    /// Only these tables: silver.sessions, with + behind for all built from it, + before for all it
    /// is built from; gold.* for a layer
    #[arg(long, value_name = "TABLE")]
    select: Vec<String>,
    /// Compute the models anew from everything
    #[arg(long)]
    full_refresh: bool,
    /// Take over rows that another program wrote to this Bronze table, and build anew what reads it
    #[arg(long, value_name = "TABLE")]
    accept_foreign: Vec<TableName>,
    /// Build and publish this table though it crosses a threshold, as when all of a batch is broken
    #[arg(long, value_name = "TABLE")]
    accept: Vec<TableName>,
}

impl What {
    pub(super) fn into_options(self) -> Options {
        Options {
            pipeline: self.pipeline,
            sources: self.sources,
            select: self.select,
            refresh: if self.full_refresh { Refresh::All } else { Refresh::None },
            accept_foreign: self.accept_foreign,
            accept: self.accept.into_iter().collect(),
        }
    }
}

/// How reports are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For scripts
    Json,
}

fn parse_source(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH")?;
    Ok((name.to_owned(), PathBuf::from(path)))
}
