//! Writing a report into the tables of `ops`.

use crate::error::Result;
use crate::ops::{ExpectationRow, RunRow, WriteRow, append};
use crate::pipeline::context::Context;
use crate::pipeline::{ExpectationReport, PipelineReport, SourceReport, TableReport};
use crate::runtime::{self, Timestamp};

/// Writes down what a pipeline did.
pub(super) async fn record(context: &Context, report: &PipelineReport) -> Result<()> {
    let (lake, run_id) = (&context.lake, &*context.run_id);
    let at = runtime::now();
    append(lake, run_id, &[run_row(run_id, report, at)]).await?;
    let sources = report.sources.iter().filter(|source| source.batch.is_some());
    let tables = report.tables.iter().filter(|table| table.committed);
    let writes = sources.map(source_row).chain(tables.map(table_row)).map(|row| WriteRow {
        run_id: run_id.to_owned(),
        pipeline: report.pipeline.clone(),
        written_at: at,
        ..row
    });
    append(lake, run_id, &writes.collect::<Vec<_>>()).await?;
    let expectations = report.expectations.iter().map(|one| expectation_row(run_id, one, at));
    append(lake, run_id, &expectations.collect::<Vec<_>>()).await
}

fn run_row(run_id: &str, report: &PipelineReport, at: Timestamp) -> RunRow {
    let (records_read, rows_landed, records_quarantined) = report.records();
    RunRow {
        run_id: run_id.to_owned(),
        pipeline: report.pipeline.clone(),
        started_at: report.started_at,
        finished_at: at,
        status: report.status.as_str().to_owned(),
        milliseconds: report.milliseconds,
        records_read,
        rows_landed,
        records_quarantined,
        restarts: report.restarts,
        epoch: report.epoch,
        unpublished: report.unpublished.clone(),
        tables_written: report.tables.iter().filter(|table| table.committed).count() as u64,
        error: report.error_text.clone(),
        clickwatch: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The run, the pipeline and the time are filled in by the caller.
fn source_row(source: &SourceReport) -> WriteRow {
    let batch = source.batch.unwrap_or_default();
    WriteRow {
        run_id: String::new(),
        pipeline: String::new(),
        table_name: source.table.clone(),
        strategy: "append".to_owned(),
        reason: format!("batch {batch} of {} files", source.files),
        rows_in: source.records_read,
        rows_landed: source.rows_landed,
        rows_replaced: 0,
        rows_quarantined: source.records_quarantined,
        rows_dropped: 0,
        bytes_read: source.bytes_read,
        files: source.files_written,
        bytes: source.bytes_written,
        milliseconds: source.milliseconds,
        version: source.version,
        written_at: Timestamp::default(),
    }
}

/// The same of a model.
fn table_row(table: &TableReport) -> WriteRow {
    WriteRow {
        run_id: String::new(),
        pipeline: String::new(),
        table_name: table.table.clone(),
        strategy: table.strategy.to_owned(),
        reason: table.reason.clone(),
        rows_in: table.rows_in,
        rows_landed: table.rows_landed,
        rows_replaced: table.rows_replaced,
        rows_quarantined: table.rows_quarantined,
        rows_dropped: table.rows_dropped,
        bytes_read: table.bytes_read,
        files: table.files_written,
        bytes: table.bytes_written,
        milliseconds: table.milliseconds,
        version: table.version,
        written_at: Timestamp::default(),
    }
}

fn expectation_row(run_id: &str, report: &ExpectationReport, at: Timestamp) -> ExpectationRow {
    ExpectationRow {
        run_id: run_id.to_owned(),
        table_name: report.table.clone(),
        expectation: report.expectation.clone(),
        predicate: report.check.clone(),
        otherwise: report.otherwise.to_owned(),
        rows_checked: report.passed + report.failed + report.unknown,
        rows_passed: report.passed,
        rows_failed: report.failed,
        rows_unknown: report.unknown,
        is_met: report.failed + report.unknown == 0,
        checked_at: at,
    }
}
