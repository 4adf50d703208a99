//! Expectations: evaluated for rows on their way to the files, in the same pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{and, cast, filter_record_batch, not, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::physical_expr::PhysicalExpr;
use tokio::sync::mpsc;

use crate::engine::{Session, engine_error, row_checksums};
use crate::error::{Error, Kind, Result};
use crate::name::TableName;
use crate::ops::Rejected;
use crate::pipeline::ExpectationReport;
use crate::project::{Expectation, Model, Outcome};
use crate::rewrite;

/// The expectations of a model, ready to be evaluated on several cores.
pub(in crate::pipeline) struct Expectations {
    all: Vec<Evaluated>,
    /// Where the columns of the key are.
    by: Vec<usize>,
    dropped: AtomicU64,
}

struct Evaluated {
    expectation: Expectation,
    predicate: Arc<dyn PhysicalExpr>,
    passed: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
}

/// What became of some rows.
pub(in crate::pipeline) struct Evaluation {
    /// The rows that stay.
    pub kept: RecordBatch,
    /// The rows that go to quarantine.
    pub rejected: Vec<Rejected>,
}

impl Expectations {
    /// The expectations of `model` over rows of `schema`.
    pub(in crate::pipeline) fn new(
        session: &Session,
        model: &Model,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let df_schema = DFSchema::try_from(Arc::clone(schema)).map_err(|e| {
            engine_error("cannot plan the expectations", e).at("table", &model.table)
        })?;
        let all = all_expectations(model, schema)
            .into_iter()
            .map(|expectation| {
                Ok(Evaluated {
                    predicate: session.predicate(&expectation.check, &df_schema)?,
                    expectation,
                    passed: AtomicU64::new(0),
                    failed: AtomicU64::new(0),
                    unknown: AtomicU64::new(0),
                })
            })
            .collect::<Result<_>>()?;
        let by = model.by.iter().filter_map(|column| schema.index_of(column).ok()).collect();
        Ok(Self { all, by, dropped: AtomicU64::new(0) })
    }

    /// Evaluates all of them for `rows`. A row that several expectations reject goes where the first of them says,
    /// quarantine before leaving out, and counts for each of them.
    pub(in crate::pipeline) fn evaluate(&self, rows: RecordBatch) -> Result<Evaluation> {
        let mut keep: Option<BooleanArray> = None;
        let mut rejected = Vec::new();
        for outcome in [Outcome::Fail, Outcome::Warn, Outcome::Quarantine, Outcome::Drop] {
            for one in self.all.iter().filter(|one| one.expectation.otherwise == outcome) {
                let satisfied = one.evaluate(&rows)?;
                if matches!(outcome, Outcome::Fail | Outcome::Warn) || satisfied.false_count() == 0
                {
                    continue;
                }
                let candidates =
                    keep.take().unwrap_or_else(|| BooleanArray::from(vec![true; rows.num_rows()]));
                let unsatisfied = not(&satisfied)
                    .and_then(|unsatisfied| and(&candidates, &unsatisfied))
                    .map_err(bug)?;
                if outcome == Outcome::Quarantine {
                    rejected.extend(one.reject(&rows, &unsatisfied, &self.by)?);
                } else {
                    self.dropped.fetch_add(unsatisfied.true_count() as u64, Ordering::Relaxed);
                }
                keep = Some(and(&candidates, &satisfied).map_err(bug)?);
            }
        }
        let kept = match keep {
            Some(keep) => filter_record_batch(&rows, &keep).map_err(bug)?,
            None => rows,
        };
        Ok(Evaluation { kept, rejected })
    }

    /// Rows that were left out.
    pub(in crate::pipeline) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How each expectation was met so far.
    pub(in crate::pipeline) fn report(&self, model: &Model) -> Vec<ExpectationReport> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.all
            .iter()
            .map(|one| ExpectationReport {
                table: model.table.clone(),
                expectation: one.expectation.name.clone(),
                check: one.expectation.check.clone(),
                otherwise: one.expectation.otherwise.as_str(),
                passed: load(&one.passed),
                failed: load(&one.failed),
                unknown: load(&one.unknown),
            })
            .collect()
    }

    /// The first expectation that must hold and does not, and how many rows it fails for.
    pub(in crate::pipeline) fn broken(&self) -> Option<(&str, u64)> {
        self.all
            .iter()
            .filter(|one| one.expectation.otherwise == Outcome::Fail)
            .map(|one| {
                let rows = one.failed.load(Ordering::Relaxed) + one.unknown.load(Ordering::Relaxed);
                (one.expectation.name.as_str(), rows)
            })
            .find(|(_, rows)| *rows > 0)
    }
}

/// Lets rows that satisfy the expectations pass, and sends the others on.
pub(in crate::pipeline) struct Gate {
    expectations: Arc<Expectations>,
    rejects: mpsc::Sender<Vec<Rejected>>,
}

impl Gate {
    /// A gate, and where rows that it rejects come out.
    pub(in crate::pipeline) fn new(
        expectations: &Arc<Expectations>,
    ) -> (Arc<Self>, mpsc::Receiver<Vec<Rejected>>) {
        let (rejects, rejected) = mpsc::channel(16);
        (Arc::new(Self { expectations: Arc::clone(expectations), rejects }), rejected)
    }
}

#[async_trait]
impl rewrite::Gate for Gate {
    async fn pass(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let evaluation = self.expectations.evaluate(rows)?;
        if self.expectations.broken().is_some() {
            // The table will not be written, but the rest is evaluated, so that all is counted.
            return Ok(evaluation.kept.slice(0, 0));
        }
        if !evaluation.rejected.is_empty() && self.rejects.send(evaluation.rejected).await.is_err()
        {
            // The receiver met an error of its own, and that is the one that is reported.
            return Err(Error::new(Kind::Unavailable, "cannot write rejected rows"));
        }
        Ok(evaluation.kept)
    }
}

/// The expectations of `model`, and one for each partition column of text: an empty text there would
/// be read as NULL by everyone who reads Delta, so rows with one go to quarantine.
pub(in crate::pipeline) fn all_expectations(model: &Model, schema: &SchemaRef) -> Vec<Expectation> {
    let is_text = |column: &&String| {
        let field = schema.field_with_name(column);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View))
    };
    let texts = model.partition_by.iter().filter(is_text).map(|column| {
        let quoted = column.replace('"', "\"\"");
        Expectation {
            name: format!("{column}_is_not_empty"),
            check: format!("\"{quoted}\" IS NULL OR \"{quoted}\" <> ''"),
            otherwise: Outcome::Quarantine,
            declared_at: model.declared_at.clone(),
        }
    });
    model.expectations.iter().cloned().chain(texts).collect()
}

/// The error of a run whose expectations say that it must not go on.
pub(in crate::pipeline) fn failed_expectation(
    table: &TableName,
    expectation: &str,
    rows: u64,
) -> Error {
    Error::new(Kind::Data, format!("{rows} rows do not satisfy an expectation that must hold"))
        .at("table", table)
        .at("expectation", expectation)
        .hint(
            "the table was left as it was; see ops.expectations, and correct the data or the rule",
        )
}

impl Evaluated {
    /// For each row whether the predicate is true; NULL is not.
    fn evaluate(&self, rows: &RecordBatch) -> Result<BooleanArray> {
        let value = self
            .predicate
            .evaluate(rows)
            .and_then(|value| value.into_array(rows.num_rows()))
            .map_err(|e| {
                engine_error("cannot evaluate an expectation", e)
                    .at("check", &self.expectation.check)
            })?;
        let truth = value.as_boolean_opt().ok_or_else(|| {
            Error::new(Kind::Bug, "an expectation is neither true nor false")
                .at("check", &self.expectation.check)
        })?;
        let (unknown, passed) = (truth.null_count(), truth.true_count());
        self.unknown.fetch_add(unknown as u64, Ordering::Relaxed);
        self.passed.fetch_add(passed as u64, Ordering::Relaxed);
        self.failed.fetch_add((truth.len() - unknown - passed) as u64, Ordering::Relaxed);
        if unknown == 0 {
            return Ok(truth.clone());
        }
        Ok(prep_null_mask_filter(truth))
    }

    /// The rows of `mask`, ready for quarantine.
    fn reject(
        &self,
        rows: &RecordBatch,
        mask: &BooleanArray,
        by: &[usize],
    ) -> Result<Vec<Rejected>> {
        let rows = filter_record_batch(rows, mask).map_err(bug)?;
        let keys = match by {
            [] => Vec::new(),
            by => row_checksums(rows.project(by).map_err(bug)?.columns()).map_err(bug)?,
        };
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(&rows).and_then(|()| writer.finish()).map_err(bug)?;
        let text = writer.into_inner();
        let sources = rows.column_by_name("_source").map(|column| cast(column, &DataType::Utf8));
        let sources = sources.transpose().map_err(bug)?;
        let sources = sources.as_ref().and_then(|column| column.as_string_opt::<i32>());
        let number = |name: &str| {
            rows.column_by_name(name)
                .and_then(|column| column.as_primitive_opt::<Int64Type>())
                .cloned()
        };
        let (positions, batches) = (number("_position"), number("_batch"));
        let at = |column: &Option<arrow::array::Int64Array>, row: usize| {
            column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
        };
        Ok(text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .enumerate()
            .map(|(row, line)| Rejected {
                rule: Some(self.expectation.name.clone()),
                reason: format!("not true: {}", self.expectation.check),
                source: sources
                    .filter(|column| column.is_valid(row))
                    .map(|column| column.value(row).to_owned()),
                position: at(&positions, row),
                batch: at(&batches, row),
                key: keys.get(row).copied(),
                record: line.to_vec(),
            })
            .collect())
    }
}

fn bug(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Bug, "cannot sort rows by expectation").because(error)
}
