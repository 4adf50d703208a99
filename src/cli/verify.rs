//! `clickwatch verify`

use std::collections::HashSet;

use clap::Args;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{Options, Refresh, Verification, VerifyOptions, unclean};

use super::Context;
use super::arguments::Format;
use super::text::{aligned, grouped};

/// How many parts a difference in many is shown for.
const SHOWN: usize = 10;

/// What to compare, and how to print what was found.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tables, as `run --select` takes them; all when none is named
    tables: Vec<String>,
    /// Compare only so many parts of each table, drawn by chance
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Decides which parts are drawn
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Build tables that differ anew, then what is built from them
    #[arg(long)]
    repair: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    let project = context.project()?;
    let runner = context.runner(&project.channels)?;
    let asked = VerifyOptions {
        select: arguments.tables.clone(),
        sample: arguments.sample,
        seed: arguments.seed,
    };
    let mut verifications = context.stop.or_stopped(runner.verify(&project, &asked)).await?;
    print(&mut context, &verifications, arguments.format)?;
    let bad: HashSet<_> = verifications
        .iter()
        .filter(|one| one.is_mended_by_rebuild())
        .map(|one| one.table.clone())
        .collect();
    if arguments.repair && !bad.is_empty() {
        // Each source's Bronze table is left as it is: nothing lands while tables are mended.
        let select = bad.iter().map(|table| format!("{table}+")).collect();
        let options = Options { select, refresh: Refresh::Tables(bad), ..Options::default() };
        let mut report = runner.run(&project, &options).await?;
        let failed = report.pipelines.iter_mut().find_map(|pipeline| pipeline.error.take());
        failed.map_or(Ok(()), Err)?;
        verifications = context.stop.or_stopped(runner.verify(&project, &asked)).await?;
        context.output.note("repaired; compared again:");
        print(&mut context, &verifications, arguments.format)?;
    }
    unclean(&verifications).map_or(Ok(()), Err)
}

fn print(context: &mut Context<'_>, verifications: &[Verification], format: Format) -> Result<()> {
    if format == Format::Json {
        let text = serde_json::to_string_pretty(verifications)
            .map_err(|e| Error::new(Kind::Bug, "cannot write down what was found").because(e))?;
        return context.output.data(&text);
    }
    let mut lines = vec![["table", "version", "rows", "parts", "verdict"].map(str::to_owned)];
    for verification in verifications {
        let verdict = match (&verification.obstacle, verification.differences.len()) {
            (Some(obstacle), _) => obstacle.clone(),
            (None, 0) => "equals its rebuild".to_owned(),
            (None, count) => format!("differs in {count} of its parts"),
        };
        lines.push([
            verification.table.to_string(),
            verification.version.to_string(),
            grouped(verification.rows),
            grouped(verification.parts),
            verdict,
        ]);
    }
    context.output.text(&aligned(&lines, &[0, 4]))?;
    for verification in verifications {
        for difference in verification.differences.iter().take(SHOWN) {
            let part = if difference.part.is_empty() { "the table" } else { &difference.part };
            let what = match difference.rows == difference.expected_rows {
                true => format!("{} rows, of which some differ", grouped(difference.rows)),
                false => format!(
                    "{} rows, a rebuild gives {}",
                    grouped(difference.rows),
                    grouped(difference.expected_rows)
                ),
            };
            context.output.text(&format!("{}: {part}: {what}", verification.table))?;
        }
        if let Some(more) =
            verification.differences.len().checked_sub(SHOWN).filter(|more| *more > 0)
        {
            context.output.text(&format!("{}: and {more} parts more", verification.table))?;
        }
    }
    Ok(())
}
