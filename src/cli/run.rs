//! `clickwatch run`

use bytesize::ByteSize;
use clap::Args;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{Deliveries, PipelineReport, Report, SourceReport, Status, TableReport};

use super::arguments::{Format, What};
use super::text::{aligned_within, counted, duration, grouped};
use super::{Context, plan};

/// What to run, and how to report it.
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

/// What the columns of a report are called.
const HEAD: [&str; 11] = [
    "table", "how", "rows in", "landed", "replaced", "rejected", "rows", "version", "read",
    "written", "time",
];
/// Those that can be spared where there is no room for all: read, written, version, replaced.
const EXPENDABLE: [usize; 4] = [8, 9, 7, 4];

/// The lines of the tables: of those that changed, or of all; the others are only counted.
fn tables_text(pipeline: &PipelineReport, room: Option<usize>, shows_all: bool) -> String {
    let is_shown_source =
        |source: &&SourceReport| shows_all || source.committed || source.redeclared.is_some();
    let is_shown_table = |table: &&TableReport| shows_all || table.strategy != "none";
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(pipeline.sources.iter().filter(is_shown_source).map(source_line));
    lines.extend(pipeline.tables.iter().filter(is_shown_table).map(table_line));
    let shown = lines.len() - 1;
    let unchanged = pipeline.sources.len() + pipeline.tables.len() - shown;
    let room = room.filter(|_| !shows_all);
    let mut texts = Vec::new();
    if shown > 0 {
        texts.push(aligned_within(&lines, &[0, 1], room, &EXPENDABLE));
    }
    if unchanged > 0 {
        texts.push(format!("{} unchanged", counted(unchanged as u64, "table")));
    }
    texts.join("\n")
}

fn print(context: &mut Context<'_>, report: &Report) -> Result<()> {
    let room = context.output.screen().map(|screen| screen.columns);
    for pipeline in &report.pipelines {
        let tables = tables_text(pipeline, room, context.is_verbose);
        if !tables.is_empty() {
            context.output.text(&tables)?;
        }
        for note in pipeline.sources.iter().flat_map(source_notes) {
            context.output.text(&note)?;
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

/// What is to be said of a source besides its numbers.
fn source_notes(source: &SourceReport) -> Vec<String> {
    let table = &source.table;
    let redeclared = source.redeclared.iter().map(|what| format!("{table}: declared anew: {what}"));
    let mut notes: Vec<String> = redeclared.collect();
    let deliveries = Some(source.deliveries).filter(Deliveries::has_more_than_new);
    let said = deliveries.and_then(|deliveries| deliveries.described());
    notes.extend(said.map(|said| format!("{table}: {said}")));
    if source.pieces_uncut > 0 {
        notes.push(format!(
            "{table}: {} of {} bytes could not be cut into records, and may be more than one each: see ops.quarantine",
            counted(source.pieces_uncut, "piece"),
            grouped(source.bytes_uncut),
        ));
    }
    notes.extend(source.warnings.iter().map(|warning| format!("{table}: {warning}")));
    notes
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
    let epoch = match (pipeline.epoch, &pipeline.unpublished) {
        (Some(epoch), _) => format!("epoch {epoch}, "),
        (None, Some(why)) => format!("no epoch: {why}, "),
        (None, None) => String::new(),
    };
    format!(
        "{}: {what} ({restarts}{epoch}{}, lake {lake})\n",
        pipeline.pipeline,
        duration(pipeline.milliseconds)
    )
}

type Line = [String; 11];

fn source_line(source: &SourceReport) -> Line {
    let how = match (source.batch, source.resumed) {
        (None, _) if source.redeclared.is_some() => "rewrite".to_owned(),
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
