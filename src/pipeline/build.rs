//! Bringing one model's table up to date.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, Partitioning};
use futures::TryStreamExt as _;
use tokio::task::JoinSet;

use crate::engine::{Tables, engine_error, newest_only};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Change, Removal, Sink, Snapshot, TableSpec, Written, to_stored};
use crate::name::Layer;
use crate::project::{Model, Strategy};

use super::expect::Judges;
use super::quarantine::{Quarantine, Rejected, failed_expectation};
use super::{PipelineReport, Run, Step, TableReport, millis};

/// A model, the states of what it reads, and the state of what it fills.
struct Target<'a> {
    model: &'a Model,
    spec: TableSpec,
    upstream: Vec<Snapshot>,
    base: Option<Snapshot>,
}

impl Run {
    /// Brings the table of `model` up to date and adds to `report` what was done.
    pub(super) async fn build(&self, model: &Model, report: &mut PipelineReport) -> Result<()> {
        let placed = |e: Error| match e.places().iter().any(|(key, _)| *key == "table") {
            true => e,
            false => e.at("table", &model.table),
        };
        let started = Instant::now();
        let target = self.target(model).await.map_err(placed)?;
        let Some(reason) = target.reason_to_build().await.map_err(placed)? else {
            report.tables.push(target.up_to_date(millis(started)));
            return Ok(());
        };
        let rows = Arc::new(AtomicU64::new(0));
        self.progress.begin(Step::Build { table: model.table.clone(), rows: Arc::clone(&rows) });
        let built = self.rebuild(&target, reason, &rows, report).await.map_err(placed)?;
        report.tables.push(TableReport { milliseconds: millis(started), ..built });
        Ok(())
    }

    async fn target<'a>(&self, model: &'a Model) -> Result<Target<'a>> {
        let mut upstream = Vec::with_capacity(model.reads.len());
        for table in &model.reads {
            let snapshot = self
                .lake
                .require(table, At::Latest)
                .await
                .map_err(|e| e.hint("run the pipeline that fills it first"))?;
            upstream.push(snapshot);
        }
        let schema = self.checked.schemas.get(&model.table).ok_or_else(|| {
            Error::new(Kind::Bug, "the model was not planned").at("table", &model.table)
        })?;
        let spec = TableSpec {
            name: model.table.clone(),
            schema: Arc::clone(schema),
            partition_by: model.partition_by.clone(),
            description: model.description.clone(),
            fingerprint: fingerprint(model, schema),
        };
        Ok(Target { model, spec, upstream, base: self.lake.snapshot(&model.table).await? })
    }

    /// Computes the table anew from all of its upstream rows.
    async fn rebuild(
        &self,
        target: &Target<'_>,
        reason: String,
        rows: &Arc<AtomicU64>,
        report: &mut PipelineReport,
    ) -> Result<TableReport> {
        let model = target.model;
        let mut session = self.engine.session(target.catalog()?);
        let mut plan = session.plan(&model.sql).await?;
        if model.strategy == Strategy::Upsert {
            let patient = self.engine.patient_session(target.catalog()?);
            let newest = newest_only(&session, &patient, plan, &model.by).await?;
            plan = newest.plan;
            if newest.needs_patience {
                session = patient;
            }
        }
        let physical = self.dealt(model, session.physical(&plan).await?)?;
        let judges = Arc::new(Judges::new(&session, model, &target.spec.schema)?);
        let mut quarantine = self.quarantine(&model.table)?;
        let parts = 0..physical.output_partitioning().partition_count();
        let streams = parts.map(|part| session.execute(&physical, part)).collect::<Result<_>>()?;
        let written = self.write(target, streams, &judges, rows, &mut quarantine).await;
        report.expectations.extend(judges.report(model));
        let written = written?;
        if let Some((expectation, rows)) = judges.broken() {
            return Err(failed_expectation(&model.table, expectation, rows));
        }
        let rows_quarantined = quarantine.rejected;
        self.commit_rejected_rows(quarantine).await?;
        let mut built = TableReport {
            strategy: Strategy::Full.as_str(),
            rows_in: rows.load(Ordering::Relaxed),
            rows_landed: written.rows,
            rows_quarantined,
            rows_dropped: judges.dropped(),
            files_written: written.adds.len() as u64,
            bytes_written: written.bytes,
            rows: Some(written.rows),
            reason,
            ..target.up_to_date(0)
        };
        let change = Change {
            adds: written.adds,
            removal: Removal::Everything,
            positions: target.positions(),
            notes: vec![
                ("run_id", self.id.clone().into()),
                ("strategy", built.strategy.into()),
                ("reason", built.reason.clone().into()),
            ],
        };
        (built.version, built.rows_replaced) =
            self.lake.commit(&target.spec, target.base.as_ref(), change).await?;
        Ok(built)
    }

    /// The plan with its rows dealt to cores in the way that makes good files.
    fn dealt(&self, model: &Model, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.output_partitioning().partition_count() == 1 {
            return Ok(plan);
        }
        // Each partition's files are open on one core only: open files cost memory.
        if !model.partition_by.is_empty() {
            let failed = |e| engine_error("cannot deal rows by partition", e);
            let schema = plan.schema();
            let columns = model.partition_by.iter().map(|name| col(name, &schema));
            let columns = columns.collect::<Result<_, _>>().map_err(failed)?;
            let dealt = Partitioning::Hash(columns, self.engine.cores());
            return Ok(Arc::new(RepartitionExec::try_new(plan, dealt).map_err(failed)?));
        }
        // What BI tools load is best in few files; it is small as a rule.
        if model.table.layer() == Layer::Gold {
            return Ok(Arc::new(CoalescePartitionsExec::new(plan)));
        }
        Ok(plan)
    }

    /// Drains the streams on all cores, each judging and writing its own rows.
    async fn write(
        &self,
        target: &Target<'_>,
        streams: Vec<SendableRecordBatchStream>,
        judges: &Arc<Judges>,
        rows: &Arc<AtomicU64>,
        quarantine: &mut Quarantine,
    ) -> Result<Written> {
        let (rejects, mut rejected) = tokio::sync::mpsc::channel(16);
        let mut writers = JoinSet::new();
        for stream in streams {
            let writer = Writer {
                sink: self.lake.sink(&target.spec)?,
                spec: target.spec.clone(),
                judges: Arc::clone(judges),
                rows: Arc::clone(rows),
                rejects: rejects.clone(),
            };
            writers.spawn(writer.drain(stream));
        }
        drop(rejects);
        while let Some(records) = rejected.recv().await {
            self.reject(quarantine, records).await?;
        }
        let mut written = Written::default();
        while let Some(writer) = writers.join_next().await {
            written.merge(
                writer
                    .map_err(|e| Error::new(Kind::Bug, "a writer ended by itself").because(e))??,
            );
        }
        Ok(written)
    }
}

/// One core's part of a table.
struct Writer {
    sink: Sink,
    spec: TableSpec,
    judges: Arc<Judges>,
    rows: Arc<AtomicU64>,
    rejects: tokio::sync::mpsc::Sender<Vec<Rejected>>,
}

impl Writer {
    async fn drain(mut self, mut stream: SendableRecordBatchStream) -> Result<Written> {
        match self.write_all(&mut stream).await {
            Ok(()) => self.sink.close().await,
            Err(error) => {
                self.sink.abort().await;
                Err(error)
            }
        }
    }

    async fn write_all(&mut self, stream: &mut SendableRecordBatchStream) -> Result<()> {
        let failed = |e| engine_error("cannot compute the rows of the model", e);
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            let judged = self.judges.judge(to_stored(&batch, &self.spec.schema)?)?;
            if self.judges.broken().is_some() {
                // The table will not be written, but the rest is judged, so that all is counted.
                continue;
            }
            if !judged.rejected.is_empty() && self.rejects.send(judged.rejected).await.is_err() {
                // The receiver met an error of its own, and that is the one that is reported.
                return Ok(());
            }
            self.sink.write(&judged.kept).await?;
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Why the table has to be built; nothing when it is up to date.
    async fn reason_to_build(&self) -> Result<Option<String>> {
        let Some(base) = &self.base else { return Ok(Some("there was no such table".into())) };
        if base.fingerprint().as_deref() != Some(self.spec.fingerprint.as_str()) {
            return Ok(Some("the model was changed".into()));
        }
        for upstream in &self.upstream {
            let version = i64::try_from(upstream.version()).unwrap_or(i64::MAX);
            match base.position_of(&position_id(upstream)).await? {
                Some(seen) if seen == version => {}
                Some(seen) => {
                    return Ok(Some(format!(
                        "{} went from version {seen} to {version}",
                        upstream.name()
                    )));
                }
                None => return Ok(Some(format!("{} was not read before", upstream.name()))),
            }
        }
        Ok(None)
    }

    fn catalog(&self) -> Result<Arc<dyn datafusion::catalog::CatalogProvider>> {
        let mut tables = Tables::default();
        for upstream in &self.upstream {
            tables.add(upstream.name().clone(), upstream.provider()?);
        }
        Ok(tables.into_catalog())
    }

    /// How far each upstream table was read.
    fn positions(&self) -> Vec<(String, i64)> {
        self.upstream
            .iter()
            .map(|upstream| {
                (position_id(upstream), i64::try_from(upstream.version()).unwrap_or(i64::MAX))
            })
            .collect()
    }

    fn up_to_date(&self, milliseconds: u64) -> TableReport {
        TableReport {
            table: self.model.table.clone(),
            strategy: "none",
            reason: "nothing new upstream".into(),
            rows_in: 0,
            rows_landed: 0,
            rows_replaced: 0,
            rows_quarantined: 0,
            rows_dropped: 0,
            files_written: 0,
            bytes_written: 0,
            rows: self.base.as_ref().and_then(Snapshot::rows),
            version: self.base.as_ref().map_or(0, Snapshot::version),
            milliseconds,
        }
    }
}

/// Under which name a table remembers how far it has read `upstream`.
fn position_id(upstream: &Snapshot) -> String {
    format!("upstream/{}/{}", upstream.name(), upstream.id())
}

/// Changes when the model means something else than before: comments and layout do not count.
fn fingerprint(model: &Model, schema: &arrow::datatypes::SchemaRef) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(&model.normal_sql);
    part(model.strategy.as_str());
    model.by.iter().chain(&model.partition_by).for_each(|column| part(column));
    for expectation in &model.expectations {
        part(&expectation.name);
        part(&expectation.check);
        part(expectation.otherwise.as_str());
    }
    for field in schema.fields() {
        part(field.name());
        part(&field.data_type().to_string());
    }
    hasher.finalize().to_hex().to_string()
}
