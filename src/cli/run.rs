//! `clickwatch run`

use bytesize::ByteSize;
use clap::Args;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{Deliveries, PipelineReport, Report, SourceReport, Status, TableReport};

use super::arguments::{Format, What};
use super::text::{aligned, duration, grouped};
use super::{Context, plan};

/// Lands what is new in the sources, brings every model up to date, and reports what was done.
///
/// Example: clickwatch run web_traffic --source web_sessions=/data/landing
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    if arguments.dry_run {
        return plan::show(context, arguments.what, arguments.format).await;
    }
    let project = context.project()?;
    let runner = context.runner(&project.channels)?;
    let mut report = runner.run(&project, &arguments.what.into_options()).await?;
    match arguments.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|e| Error::new(Kind::Bug, "cannot write down the report").because(e))?;
            context.output.data(&text)?;
        }
        Format::Table if project.pipelines.is_empty() => {
            context.output.text(plan::EMPTY_PROJECT)?
        }
        Format::Table => print(&mut context, &report)?,
    }
    let failed = report.pipelines.iter_mut().find_map(|pipeline| pipeline.error.take());
    failed.map_or(Ok(()), Err)
}

fn print(context: &mut Context<'_>, report: &Report) -> Result<()> {
    for pipeline in &report.pipelines {
        let mut lines = vec![[
            "table".into(),
            "how".into(),
            "rows in".into(),
            "landed".into(),
            "replaced".into(),
            "rejected".into(),
            "rows".into(),
            "version".into(),
            "read".into(),
            "written".into(),
            "time".into(),
        ]];
        lines.extend(pipeline.sources.iter().map(source_line));
        lines.extend(pipeline.tables.iter().map(table_line));
        if lines.len() > 1 {
            context.output.text(&aligned(&lines, &[0, 1]))?;
        }
        for source in &pipeline.sources {
            let deliveries = Some(source.deliveries).filter(Deliveries::has_more_than_new);
            if let Some(said) = deliveries.and_then(|deliveries| deliveries.described()) {
                context.output.text(&format!("{}: {said}", source.table))?;
            }
        }
        for source in pipeline.sources.iter().filter(|source| source.pieces_uncut > 0) {
            context.output.text(&format!(
                "{}: {} of {} bytes could not be cut into records, and may be more than one each: see ops.quarantine",
                source.table,
                counted(source.pieces_uncut, "piece"),
                grouped(source.bytes_uncut),
            ))?;
        }
        for source in &pipeline.sources {
            for warning in &source.warnings {
                context.output.text(&format!("{}: {warning}", source.table))?;
            }
        }
        for expectation in pipeline.expectations.iter().filter(|one| one.failed + one.unknown > 0) {
            context.output.text(&format!(
                "{}: {} is not satisfied by {} rows ({} false, {} unknown): {}",
                expectation.table,
                expectation.expectation,
                grouped(expectation.failed + expectation.unknown),
                grouped(expectation.failed),
                grouped(expectation.unknown),
                expectation.otherwise,
            ))?;
        }
        context.output.text(&summary(pipeline, &report.lake))?;
    }
    Ok(())
}

/// `1 piece`, `2 pieces`.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn summary(pipeline: &PipelineReport, lake: &str) -> String {
    let (read, landed, quarantined) = pipeline.records();
    let rescued: u64 = pipeline.sources.iter().map(|source| source.rows_rescued).sum();
    let what = match pipeline.status {
        Status::Failed => "failed".to_owned(),
        Status::Stopped => "stopped".to_owned(),
        Status::Succeeded if !pipeline.wrote_anything() => {
            "nothing new: no table has a new version".to_owned()
        }
        Status::Succeeded => format!(
            "{} records read = {} landed + {} quarantined; {} rows with rescued values",
            grouped(read),
            grouped(landed),
            grouped(quarantined),
            grouped(rescued),
        ),
    };
    let restarts = match pipeline.restarts {
        0 => String::new(),
        1 => "started over once, another run had won; ".to_owned(),
        count => format!("started over {count} times, other runs had won; "),
    };
    let epoch = pipeline.epoch.map_or_else(String::new, |epoch| format!("epoch {epoch}, "));
    format!(
        "{}: {what} ({restarts}{epoch}{}, lake {lake})\n",
        pipeline.pipeline,
        duration(pipeline.milliseconds)
    )
}

type Line = [String; 11];

fn source_line(source: &SourceReport) -> Line {
    let how = match (source.batch, source.resumed) {
        (None, _) => "up to date".to_owned(),
        (Some(batch), false) => format!("batch {batch}"),
        (Some(batch), true) => format!("batch {batch} resumed"),
    };
    [
        source.table.to_string(),
        how,
        grouped(source.records_read),
        grouped(source.rows_landed),
        grouped(0),
        grouped(source.records_quarantined),
        String::new(),
        source.version.to_string(),
        ByteSize(source.bytes_read).display().iec().to_string(),
        ByteSize(source.bytes_written).display().iec().to_string(),
        duration(source.milliseconds),
    ]
}

fn table_line(table: &TableReport) -> Line {
    [
        table.table.to_string(),
        if table.strategy == "none" { "up to date".to_owned() } else { table.strategy.to_owned() },
        grouped(table.rows_in),
        grouped(table.rows_landed),
        grouped(table.rows_replaced),
        grouped(table.rows_quarantined + table.rows_dropped),
        table.rows.map(grouped).unwrap_or_default(),
        table.version.to_string(),
        ByteSize(table.bytes_read).display().iec().to_string(),
        ByteSize(table.bytes_written).display().iec().to_string(),
        duration(table.milliseconds),
    ]
}
