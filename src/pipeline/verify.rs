//! Proof that a table is what its model says: the rows that are there against the rows that a full
//! computation gives, part by part, by sums that do not depend on any order.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, ident, lit};
use futures::TryStreamExt as _;
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use serde::Serialize;

use crate::engine::{Session, Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Snapshot, to_stored};
use crate::name::TableName;
use crate::project::{Model, Project};

use super::expect::Judges;
use super::report::as_text;
use super::scope::Scope;
use super::target::{Target, position_id};
use super::total::{Total, add_up};
use super::{Options, Run, Runner, Step};

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct Scrutiny {
    /// Which tables, as `run --select` takes them; all when there are none.
    pub select: Vec<String>,
    /// How many parts of each table, drawn by chance; all when it is not said.
    pub sample: Option<usize>,
    /// Decides which parts are drawn.
    pub seed: u64,
}

/// What was found about one table.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The version that was looked at.
    pub version: u64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Parts that were compared: partitions, or days.
    pub parts: u64,
    /// The parts that are not what a rebuild gives.
    pub differences: Vec<Difference>,
    /// Why the table cannot be compared at all.
    pub obstacle: Option<String>,
}

/// A part of a table that is not what a rebuild gives.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The part, as `session_date=2025-07-01`; empty for a table in one part.
    pub part: String,
    /// Rows in the table.
    pub rows: u64,
    /// Rows that a rebuild gives.
    pub expected_rows: u64,
}

impl Finding {
    fn of(model: &Model) -> Self {
        Self {
            table: model.table.clone(),
            version: 0,
            rows: 0,
            parts: 0,
            differences: Vec::new(),
            obstacle: None,
        }
    }

    /// Whether the table is what its model says.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.obstacle.is_none()
    }
}

/// What the rows of each part come to, by the part's name.
type Parts = BTreeMap<String, Total>;

impl Runner {
    /// Compares the tables of the models of `project` with full rebuilds from the states that they
    /// were built from. Nothing is written. A pipeline that was never run has nothing to compare, unless
    /// its tables are asked for.
    pub async fn verify(&self, project: &Project, scrutiny: &Scrutiny) -> Result<Vec<Finding>> {
        let options = Options { select: scrutiny.select.clone(), ..Options::default() };
        let mut findings = Vec::new();
        let there = self.lake.tables().await?;
        for (run, pipeline) in self.begin_all(project, &options, "").await? {
            let sources = pipeline.sources.iter().map(|source| &source.table);
            let models = pipeline.models.iter().map(|model| &model.table);
            let was_run = sources.chain(models).any(|table| there.contains(table));
            if !was_run && scrutiny.select.is_empty() {
                continue;
            }
            for model in pipeline.models.iter().filter(|one| run.selection.has(&one.table)) {
                run.progress.begin(Step::Verify { table: model.table.clone() });
                let found = self.stop.or_stopped(run.verify(model, scrutiny)).await;
                findings.push(match found {
                    Ok(finding) => finding,
                    Err(e) if e.kind() == Kind::Stopped => return Err(e),
                    // One table that cannot be read keeps nobody from looking at the others.
                    Err(e) => Finding { obstacle: Some(e.to_string()), ..Finding::of(model) },
                });
            }
        }
        Ok(findings)
    }
}

impl Run {
    async fn verify(&self, model: &Model, scrutiny: &Scrutiny) -> Result<Finding> {
        let mut finding = Finding::of(model);
        let obstacle = |obstacle: &str| Ok(Some(obstacle.to_owned()));
        let Some(base) = self.lake.snapshot(&model.table).await? else {
            return Ok(Finding {
                obstacle: obstacle("it was not built yet: run first")?,
                ..finding
            });
        };
        finding.version = base.version();
        let spec = self.spec_of(model)?;
        if base.fingerprint().as_deref() != Some(spec.fingerprint.as_str()) {
            let obstacle = obstacle("its model was changed since it was built: run first")?;
            return Ok(Finding { obstacle, ..finding });
        }
        let upstream = match self.upstream_of(model, &base).await? {
            Ok(upstream) => upstream,
            Err(reason) => return Ok(Finding { obstacle: Some(reason), ..finding }),
        };
        let columns = part_columns(model, &base);
        let filter = match (scrutiny.sample, columns.as_slice()) {
            (Some(count), [_, ..]) => {
                Some(self.sample(&base, &columns, count, scrutiny.seed).await?)
            }
            _ => None,
        };
        let expected = {
            let target = Target { model, spec, upstream, base: None };
            self.expected(&target, &columns, filter.as_ref()).await?
        };
        let session = self.engine.session(Tables::default().into_catalog());
        let rows = session.table(base.provider()?)?.into_unoptimized_plan();
        let rows = filtered(&session, rows, filter.as_ref())?;
        let actual =
            parts_of(&session, &rows, &columns, |batch| to_stored(&batch, base.schema(), &[]));
        let actual = actual.await?;
        finding.rows = actual.values().map(|total| total.rows).sum();
        let names = actual.keys().chain(expected.keys()).collect::<std::collections::BTreeSet<_>>();
        finding.parts = names.len() as u64;
        let none = Total::default();
        for part in names {
            let (is, should) =
                (actual.get(part).unwrap_or(&none), expected.get(part).unwrap_or(&none));
            if !is.equals(should) {
                let (rows, expected_rows) = (is.rows, should.rows);
                let part = part.clone();
                finding.differences.push(Difference { part, rows, expected_rows });
            }
        }
        Ok(finding)
    }

    /// The states that `base` was built from, or why they are not there any more.
    async fn upstream_of(
        &self,
        model: &Model,
        base: &Snapshot,
    ) -> Result<std::result::Result<Vec<Snapshot>, String>> {
        let mut upstream = Vec::new();
        for table in &model.reads {
            let Some(newest) = self.lake.snapshot(table).await? else {
                return Ok(Err(format!("{table}, which it was built from, is gone: run first")));
            };
            let Some(seen) = base.position_of(&position_id(&newest)).await? else {
                return Ok(Err(format!("it was built from another {table}: run first")));
            };
            let at = At::Version(u64::try_from(seen).unwrap_or_default());
            match self.lake.snapshot_at(table, at).await {
                Ok(Some(state)) => upstream.push(state),
                Ok(None) => {
                    return Ok(Err(format!("version {seen} of {table} is gone: run first")));
                }
                Err(e) if e.kind() == Kind::Missing => {
                    return Ok(Err(format!("version {seen} of {table} is gone: run first")));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Ok(upstream))
    }

    /// The parts of a full computation.
    async fn expected(
        &self,
        target: &Target<'_>,
        columns: &[String],
        filter: Option<&Expr>,
    ) -> Result<Parts> {
        let scope = Scope::full(target)?;
        let (session, plan) = self.model_rows(target, &scope).await?;
        let plan = filtered(&session, plan, filter)?;
        let schema = &target.spec.schema;
        let judges = Judges::new(&session, target.model, schema)?;
        let as_stored = |batch: &RecordBatch| to_stored(batch, schema, &target.spec.partition_by);
        let stored = |batch: RecordBatch| Ok(judges.judge(as_stored(&batch)?)?.kept);
        parts_of(&session, &plan, columns, stored).await
    }

    /// A filter for some of the parts of a table, drawn by chance.
    async fn sample(
        &self,
        base: &Snapshot,
        columns: &[String],
        count: usize,
        seed: u64,
    ) -> Result<Expr> {
        let failed = |e| engine_error("cannot list the parts of the table", e);
        let session = self.engine.session(Tables::default().into_catalog());
        let keys: Vec<Expr> = columns.iter().map(ident).collect();
        let parts = session
            .table(base.provider()?)?
            .select(keys.clone())
            .and_then(datafusion::prelude::DataFrame::distinct)
            .and_then(|parts| parts.sort_by(keys.clone()))
            .map_err(failed)?;
        let mut filters = Vec::new();
        for batch in parts.collect().await.map_err(failed)? {
            for row in 0..batch.num_rows() {
                let values = batch
                    .columns()
                    .iter()
                    .map(|column| ScalarValue::try_from_array(column, row).map_err(failed));
                let values = values.collect::<Result<Vec<_>>>()?;
                let is_part = keys.iter().zip(values).map(|(key, value)| match value.is_null() {
                    true => key.clone().is_null(),
                    false => key.clone().eq(lit(value)),
                });
                filters.extend(is_part.reduce(Expr::and));
            }
        }
        let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let drawn = filters.choose_multiple(&mut chance, count).cloned();
        Ok(drawn.reduce(Expr::or).unwrap_or_else(|| lit(false)))
    }
}

/// The columns by which a table falls into parts: its partitions, or else the days of its keys.
fn part_columns(model: &Model, base: &Snapshot) -> Vec<String> {
    let partition_by = base.partition_by();
    if !partition_by.is_empty() {
        return partition_by;
    }
    let is_day = |column: &&String| {
        let field = base.schema().field_with_name(column);
        field.is_ok_and(|field| *field.data_type() == DataType::Date32)
    };
    model.by.iter().filter(is_day).cloned().collect()
}

fn filtered(session: &Session, plan: LogicalPlan, filter: Option<&Expr>) -> Result<LogicalPlan> {
    let Some(filter) = filter else { return Ok(plan) };
    let rows = session.frame(plan).filter(filter.clone());
    Ok(rows.map_err(|e| engine_error("cannot pick parts of a table", e))?.into_unoptimized_plan())
}

/// Counts and sums the rows of `plan`, each as `stored` makes it, by part.
async fn parts_of(
    session: &Session,
    plan: &LogicalPlan,
    columns: &[String],
    stored: impl Fn(RecordBatch) -> Result<RecordBatch>,
) -> Result<Parts> {
    let failed = |e| engine_error("cannot compute the rows to compare", e);
    let mut stream = session.execute_all(session.physical(plan).await?)?;
    let mut parts = Parts::new();
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        let batch = stored(batch)?;
        add_up(&mut parts, &batch, columns).map_err(|e| failed(e.into()))?;
    }
    Ok(parts)
}

/// The error of a verification that has found something.
pub fn unclean(findings: &[Finding]) -> Option<Error> {
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.is_clean())
        .map(|finding| finding.table.to_string())
        .collect();
    (!bad.is_empty()).then(|| {
        Error::new(Kind::Data, "tables are not what a full rebuild gives")
            .at("tables", bad.join(", "))
            .hint("`clickwatch verify --repair` rebuilds them")
    })
}
