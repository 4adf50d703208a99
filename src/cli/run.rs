//! `clickwatch run`

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Kind, Result};
use crate::pipeline::{
    Options, PipelineReport, Progress, Report, Runner, SourceReport, Status, Step, TableReport,
};
use crate::runtime::Clock;

use super::Context;

/// Lands what is new in the sources, brings every model up to date, and reports what was done.
///
/// Example: clickwatch run web_traffic --source web_sessions=/data/landing
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The pipeline; all of the project when none is named
    pipeline: Option<String>,
    /// Read a source from elsewhere this time
    #[arg(long = "source", value_name = "NAME=PATH", value_parser = parse_source)]
    sources: Vec<(String, PathBuf)>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
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

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    let project = context.project()?;
    let runner = Runner {
        lake: context.lake()?,
        engine: context.engine()?,
        memory: context.memory()?,
        clock: Clock::System,
        stop: context.stop.clone(),
        progress: watcher(),
    };
    let options = Options { pipeline: arguments.pipeline, sources: arguments.sources };
    let mut report = runner.run(&project, &options).await?;
    match arguments.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|e| Error::new(Kind::Bug, "cannot write down the report").because(e))?;
            context.output.data(&text)?;
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
            "written".into(),
            "time".into(),
        ]];
        lines.extend(pipeline.sources.iter().map(source_line));
        lines.extend(pipeline.tables.iter().map(table_line));
        if lines.len() > 1 {
            context.output.data(&aligned(&lines))?;
        }
        for expectation in pipeline.expectations.iter().filter(|one| one.failed + one.unknown > 0) {
            context.output.data(&format!(
                "{}: {} is not satisfied by {} rows ({} false, {} unknown): {}",
                expectation.table,
                expectation.expectation,
                grouped(expectation.failed + expectation.unknown),
                grouped(expectation.failed),
                grouped(expectation.unknown),
                expectation.otherwise,
            ))?;
        }
        context.output.data(&summary(pipeline, &report.lake))?;
    }
    Ok(())
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
    format!("{}: {what} ({}, lake {lake})\n", pipeline.pipeline, duration(pipeline.milliseconds))
}

type Line = [String; 10];

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
        ByteSize(table.bytes_written).display().iec().to_string(),
        duration(table.milliseconds),
    ]
}

/// Lines in columns: the first two to the left, numbers to the right.
fn aligned(lines: &[Line]) -> String {
    let mut widths = [0; 10];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let text = |line: &Line| {
        let cells = line.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// A number with a comma after every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

/// Somebody on a terminal sees what goes on; anybody else only the report.
fn watcher() -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() { Arc::new(Terminal::default()) } else { Arc::new(()) }
}

#[derive(Default)]
struct Terminal(std::sync::Mutex<Option<ProgressBar>>);

impl Progress for Terminal {
    fn begin(&self, step: Step) {
        let (bar, message, value, template) = match step {
            Step::Ingest { table, total_bytes, read_bytes } => (
                ProgressBar::new(total_bytes),
                table.to_string(),
                read_bytes,
                "{spinner} {msg:28} {bar:30} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)",
            ),
            Step::Build { table, rows } => (
                ProgressBar::no_length(),
                table.to_string(),
                rows,
                "{spinner} {msg:28} {human_pos} rows ({elapsed})",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message);
        let watched = bar.clone();
        // The bar follows the count until the next step takes its place.
        std::thread::spawn(move || {
            while !watched.is_finished() {
                watched.set_position(value.load(Ordering::Relaxed));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        if let Ok(mut current) = self.0.lock()
            && let Some(before) = current.replace(bar)
        {
            before.finish_and_clear();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(mut current) = self.0.lock()
            && let Some(bar) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
