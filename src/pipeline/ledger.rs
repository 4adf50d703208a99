//! The tables in which clickwatch records what it did: `ops.runs`, `ops.writes`,
//! `ops.expectations`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::lake::{Change, TableSpec};
use crate::name::TableName;
use crate::runtime::Timestamp;

use super::{PipelineReport, Run};

/// How often an append to a table of records is tried when another run appends too.
const ATTEMPTS: usize = 5;

/// A column of a table of records, with its values.
pub(super) enum Values {
    Text(Vec<Option<String>>),
    Count(Vec<Option<i64>>),
    Instant(Vec<Option<Timestamp>>),
    Flag(Vec<bool>),
    Bytes(Vec<Vec<u8>>),
}

/// What a table of records is for and which columns it has.
pub(super) fn spec(name: &'static str, description: &str, columns: &[(&str, Values)]) -> TableSpec {
    let fields = columns
        .iter()
        .map(|(name, values)| Field::new(*name, values.data_type(), true))
        .collect::<Vec<_>>();
    TableSpec {
        name: TableName::ops(name),
        schema: Arc::new(Schema::new(fields)),
        partition_by: Vec::new(),
        description: description.to_owned(),
        fingerprint: env!("CARGO_PKG_NAME").to_owned(),
    }
}

/// The rows of a table of records.
pub(super) fn rows(spec: &TableSpec, columns: Vec<(&str, Values)>) -> Result<RecordBatch> {
    let arrays = columns.into_iter().map(|(_, values)| values.into_array()).collect();
    RecordBatch::try_new(Arc::clone(&spec.schema), arrays).map_err(|e| {
        Error::new(Kind::Bug, "cannot write down records").at("table", &spec.name).because(e)
    })
}

impl Values {
    fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Utf8,
            Self::Count(_) => DataType::Int64,
            Self::Instant(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Flag(_) => DataType::Boolean,
            Self::Bytes(_) => DataType::Binary,
        }
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(StringArray::from(values)),
            Self::Count(values) => Arc::new(Int64Array::from(values)),
            Self::Flag(values) => Arc::new(BooleanArray::from(values)),
            Self::Bytes(values) => Arc::new(arrow::array::BinaryArray::from_iter_values(values)),
            Self::Instant(values) => {
                let micros = values
                    .into_iter()
                    .map(|instant| instant.map(|instant| instant.timestamp_micros()));
                Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        }
    }
}

/// A number as BIGINT.
pub(super) fn count(number: u64) -> Option<i64> {
    Some(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A text.
pub(super) fn text<T: ToString + ?Sized>(text: &T) -> Option<String> {
    Some(text.to_string())
}

impl Run {
    /// Adds `rows` to a table of records.
    async fn append(&self, spec: &TableSpec, rows: RecordBatch) -> Result<()> {
        let mut sink = self.lake.sink(spec)?;
        sink.write(&rows).await?;
        let written = sink.close().await?;
        let mut attempt = 1;
        loop {
            let base = self.lake.snapshot(&spec.name).await?;
            let change = Change {
                adds: written.adds.clone(),
                notes: vec![("run_id", self.id.clone().into())],
                ..Change::default()
            };
            match self.lake.commit(spec, base.as_ref(), change).await {
                // Two runs that create the table at once: the second finds it the next time.
                Err(error) if error.kind() == Kind::Conflict && attempt < ATTEMPTS => attempt += 1,
                result => return result.map(drop),
            }
        }
    }

    /// Writes down what a pipeline did.
    pub(super) async fn record(&self, report: &PipelineReport) -> Result<()> {
        self.record_run(report).await?;
        self.record_writes(report).await?;
        self.record_expectations(report).await
    }

    async fn record_run(&self, report: &PipelineReport) -> Result<()> {
        let (read, landed, quarantined) = report.records();
        let written = report.tables.iter().filter(|table| table.strategy != "none").count() as u64;
        let columns = vec![
            ("run_id", Values::Text(vec![text(&self.id)])),
            ("pipeline", Values::Text(vec![text(&report.pipeline)])),
            ("started_at", Values::Instant(vec![Some(report.started_at)])),
            ("finished_at", Values::Instant(vec![Some(self.clock.now())])),
            ("status", Values::Text(vec![text(report.status.as_str())])),
            ("milliseconds", Values::Count(vec![count(report.milliseconds)])),
            ("records_read", Values::Count(vec![count(read)])),
            ("rows_landed", Values::Count(vec![count(landed)])),
            ("records_quarantined", Values::Count(vec![count(quarantined)])),
            ("restarts", Values::Count(vec![count(report.restarts)])),
            ("epoch", Values::Count(vec![report.epoch.and_then(count)])),
            ("tables_written", Values::Count(vec![count(written)])),
            ("error", Values::Text(vec![report.error_text.clone()])),
            ("clickwatch", Values::Text(vec![text(env!("CARGO_PKG_VERSION"))])),
        ];
        let spec = spec(
            "runs",
            "One row per pipeline and run: when, how it ended, how much it moved.",
            &columns,
        );
        self.append(&spec, rows(&spec, columns)?).await
    }

    async fn record_writes(&self, report: &PipelineReport) -> Result<()> {
        let sources: Vec<_> =
            report.sources.iter().filter(|source| source.batch.is_some()).collect();
        let tables: Vec<_> =
            report.tables.iter().filter(|table| table.strategy != "none").collect();
        let length = sources.len() + tables.len();
        if length == 0 {
            return Ok(());
        }
        // Each column: first the sources, then the models.
        let counts = |of_source: &dyn Fn(&super::SourceReport) -> u64,
                      of_table: &dyn Fn(&super::TableReport) -> u64| {
            let sources = sources.iter().map(|source| count(of_source(source)));
            Values::Count(
                sources.chain(tables.iter().map(|table| count(of_table(table)))).collect(),
            )
        };
        let names = sources
            .iter()
            .map(|source| &source.table)
            .chain(tables.iter().map(|table| &table.table));
        let strategies =
            sources.iter().map(|_| "append").chain(tables.iter().map(|table| table.strategy));
        let reasons = sources
            .iter()
            .map(|source| {
                format!("batch {} of {} files", source.batch.unwrap_or_default(), source.files)
            })
            .chain(tables.iter().map(|table| table.reason.clone()));
        let columns = vec![
            ("run_id", Values::Text(vec![text(&self.id); length])),
            ("pipeline", Values::Text(vec![text(&report.pipeline); length])),
            ("table_name", Values::Text(names.map(text).collect())),
            ("strategy", Values::Text(strategies.map(text).collect())),
            ("reason", Values::Text(reasons.map(Some).collect())),
            ("rows_in", counts(&|source| source.records_read, &|table| table.rows_in)),
            ("rows_landed", counts(&|source| source.rows_landed, &|table| table.rows_landed)),
            ("rows_replaced", counts(&|_| 0, &|table| table.rows_replaced)),
            (
                "rows_quarantined",
                counts(&|source| source.records_quarantined, &|table| table.rows_quarantined),
            ),
            ("rows_dropped", counts(&|_| 0, &|table| table.rows_dropped)),
            ("bytes_read", counts(&|source| source.bytes_read, &|table| table.bytes_read)),
            ("files", counts(&|source| source.files_written, &|table| table.files_written)),
            ("bytes", counts(&|source| source.bytes_written, &|table| table.bytes_written)),
            ("milliseconds", counts(&|source| source.milliseconds, &|table| table.milliseconds)),
            ("version", counts(&|source| source.version, &|table| table.version)),
            ("written_at", Values::Instant(vec![Some(self.clock.now()); length])),
        ];
        let spec = spec(
            "writes",
            "One row per table and run that wrote it: what, how much, how and why.",
            &columns,
        );
        self.append(&spec, rows(&spec, columns)?).await
    }

    async fn record_expectations(&self, report: &PipelineReport) -> Result<()> {
        let results = &report.expectations;
        if results.is_empty() {
            return Ok(());
        }
        let texts = |of: &dyn Fn(&super::ExpectationReport) -> String| {
            Values::Text(results.iter().map(|result| Some(of(result))).collect())
        };
        let counts = |of: &dyn Fn(&super::ExpectationReport) -> u64| {
            Values::Count(results.iter().map(|result| count(of(result))).collect())
        };
        let columns = vec![
            ("run_id", texts(&|_| self.id.clone())),
            ("table_name", texts(&|result| result.table.to_string())),
            ("expectation", texts(&|result| result.expectation.clone())),
            ("predicate", texts(&|result| result.check.clone())),
            ("otherwise", texts(&|result| result.otherwise.to_owned())),
            ("rows_checked", counts(&|result| result.passed + result.failed + result.unknown)),
            ("rows_passed", counts(&|result| result.passed)),
            ("rows_failed", counts(&|result| result.failed)),
            ("rows_unknown", counts(&|result| result.unknown)),
            (
                "is_met",
                Values::Flag(
                    results.iter().map(|result| result.failed + result.unknown == 0).collect(),
                ),
            ),
            ("checked_at", Values::Instant(vec![Some(self.clock.now()); results.len()])),
        ];
        let spec =
            spec("expectations", "One row per expectation and run that evaluated it.", &columns);
        self.append(&spec, rows(&spec, columns)?).await
    }
}
