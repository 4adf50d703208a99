//! `ops.runs`, `ops.writes`, `ops.expectations`: what runs did.

use crate::name::TableName;
use crate::runtime::Timestamp;

use super::record::record;

record! {
    /// One run of one pipeline.
    pub struct RunRow is "runs":
        "One row per pipeline and run: when, how it ended, how much it moved." {
        /// The run.
        run_id: String,
        /// The pipeline.
        pipeline: String,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// How it ended: `succeeded`, `failed` or `stopped`.
        status: String,
        /// How long it took.
        milliseconds: u64,
        /// Records in the files that were read.
        records_read: u64,
        /// Those of them that are in Bronze.
        rows_landed: u64,
        /// Those of them that are in quarantine.
        records_quarantined: u64,
        /// How often it started over because another run had won.
        restarts: u64,
        /// The epoch that it published.
        epoch: Option<u64>,
        /// Why it published none.
        unpublished: Option<String>,
        /// Models whose tables it wrote.
        tables_written: u64,
        /// Why it did not end well, down to its cause.
        error: Option<String>,
        /// The version of the program.
        clickwatch: String,
    }
}

record! {
    /// One table that one run wrote.
    pub struct WriteRow is "writes":
        "One row per table and run that wrote it: what, how much, how and why." {
        /// The run.
        run_id: String,
        /// The pipeline.
        pipeline: String,
        /// The table.
        table_name: TableName,
        /// How it was written.
        strategy: String,
        /// Why so.
        reason: String,
        /// Records that were read, or rows that the model gave.
        rows_in: u64,
        /// Rows that were written.
        rows_landed: u64,
        /// Rows that were there before and went.
        rows_replaced: u64,
        /// Rows that went to quarantine.
        rows_quarantined: u64,
        /// Rows that an expectation left out.
        rows_dropped: u64,
        /// Bytes of the files that were opened.
        bytes_read: u64,
        /// Files that were written.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// How long it took.
        milliseconds: u64,
        /// The version of the table afterwards.
        version: u64,
        /// When this was written down.
        written_at: Timestamp,
    }
}

record! {
    /// How one expectation was met in one run.
    pub struct ExpectationRow is "expectations":
        "One row per expectation and run that evaluated it." {
        /// The run.
        run_id: String,
        /// The table.
        table_name: TableName,
        /// The expectation.
        expectation: String,
        /// What it demands.
        predicate: String,
        /// What happens to rows that do not satisfy it.
        otherwise: String,
        /// Rows that were looked at.
        rows_checked: u64,
        /// Rows for which it is true.
        rows_passed: u64,
        /// Rows for which it is false.
        rows_failed: u64,
        /// Rows for which it is NULL.
        rows_unknown: u64,
        /// Whether all rows satisfy it.
        is_met: bool,
        /// When this was written down.
        checked_at: Timestamp,
    }
}
