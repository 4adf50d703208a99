//! `clickwatch generate`

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;

use crate::error::{Error, Kind, Result};
use crate::generate::{Compression, Framing, Options, Traffic, generate};

use super::Context;

/// What to make, and where.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to make
    #[arg(value_enum)]
    traffic: Traffic,
    /// The directory to write to
    directory: PathBuf,
    /// How many records, before any that --dirty adds
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
    /// Over how many days they are spread
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The first day
    #[arg(long, value_name = "DATE", default_value = "2025-07-01")]
    from: NaiveDate,
    /// What the chance depends on
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Into how many files they are dealt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    files: u32,
    /// How records are laid out in a file
    #[arg(long, value_enum, default_value = "ndjson")]
    framing: Framing,
    /// How files are compressed
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// Add redelivered, broken, mistyped, unknown-field and missing-field records
    #[arg(long)]
    dirty: bool,
}

pub(super) async fn run(mut context: Context<'_>, arguments: &Arguments) -> Result<()> {
    let options = Options {
        traffic: arguments.traffic,
        count: arguments.count,
        days: arguments.days,
        from: arguments.from,
        seed: arguments.seed,
        files: arguments.files,
        framing: arguments.framing,
        compression: arguments.compression,
        dirty: arguments.dirty,
    };
    let directory = arguments.directory.clone();
    let work = tokio::task::spawn_blocking(move || generate(&options, &directory));
    let ended = async {
        work.await.map_err(|e| {
            Error::new(Kind::Bug, "the making of traffic ended by itself").because(e)
        })?
    };
    let truth = context.stop.or_stopped(ended).await.map_err(|e| match e.kind() {
        Kind::Stopped => e.hint("remove what was written: the last file may not be whole"),
        _ => e,
    })?;
    context.output.text(&format!(
        "{} records in {} files in {}: {} will land, {} are broken; {} bytes of JSON; what is in them is in _truth.json",
        truth.records,
        arguments.files,
        arguments.directory.display(),
        truth.landed,
        truth.quarantined,
        truth.bytes,
    ))
}
