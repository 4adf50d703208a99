//! Rows of a model into files, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, Partitioning};
use futures::TryStreamExt as _;
use tokio::task::JoinSet;

use crate::engine::{Session, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Sink, TableSpec, Written, to_stored};
use crate::name::Layer;

use super::Run;
use super::expect::Judges;
use super::quarantine::{Quarantine, Rejected};

/// What goes into the files of a table.
#[derive(Default)]
pub(super) struct Rows {
    /// New rows, which have to be judged.
    pub new: Option<Arc<dyn ExecutionPlan>>,
    /// Rows of files that are replaced, which stay as they are.
    pub kept: Option<Arc<dyn ExecutionPlan>>,
    /// How many new rows were looked at.
    pub seen: Arc<AtomicU64>,
}

/// What was written, and how much of it had been there before.
#[derive(Default)]
pub(super) struct Outcome {
    pub written: Written,
    pub kept: u64,
}

impl Run {
    /// Drains `rows` on all cores, each judging and writing its own part.
    pub(super) async fn write(
        &self,
        spec: &TableSpec,
        session: &Session,
        rows: Rows,
        judges: &Arc<Judges>,
        quarantine: &mut Quarantine,
    ) -> Result<Outcome> {
        let (rejects, mut rejected) = tokio::sync::mpsc::channel(16);
        let dealt = |plan: Option<_>| plan.map(|plan| self.dealt(spec, plan)).transpose();
        let (new, kept) = (dealt(rows.new)?, dealt(rows.kept)?);
        let parts = |plan: &Option<Arc<dyn ExecutionPlan>>| {
            plan.as_ref().map_or(0, |plan| plan.output_partitioning().partition_count())
        };
        let mut writers = JoinSet::new();
        for part in 0..parts(&new).max(parts(&kept)) {
            let stream = |plan: &Option<Arc<dyn ExecutionPlan>>| {
                let plan = plan.as_ref().filter(|_| part < parts(plan));
                plan.map(|plan| session.execute(plan, part)).transpose()
            };
            let writer = Writer {
                sink: self.lake.sink(spec)?,
                spec: spec.clone(),
                judges: Arc::clone(judges),
                seen: Arc::clone(&rows.seen),
                kept: 0,
                rejects: rejects.clone(),
            };
            writers.spawn(writer.drain(stream(&new)?, stream(&kept)?));
        }
        drop(rejects);
        while let Some(records) = rejected.recv().await {
            self.reject(quarantine, records).await?;
        }
        let mut outcome = Outcome::default();
        while let Some(writer) = writers.join_next().await {
            let part = writer
                .map_err(|e| Error::new(Kind::Bug, "a writer ended by itself").because(e))??;
            outcome.written.merge(part.written);
            outcome.kept += part.kept;
        }
        Ok(outcome)
    }

    /// The plan with its rows dealt to cores in the way that makes good files.
    fn dealt(
        &self,
        spec: &TableSpec,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.output_partitioning().partition_count() == 1 && spec.partition_by.is_empty() {
            return Ok(plan);
        }
        // Each partition's files are open on one core only: open files cost memory.
        if !spec.partition_by.is_empty() {
            let failed = |e| engine_error("cannot deal rows by partition", e);
            let schema = plan.schema();
            let columns = spec.partition_by.iter().map(|name| col(name, &schema));
            let columns = columns.collect::<Result<_, _>>().map_err(failed)?;
            let dealt = Partitioning::Hash(columns, self.engine.cores());
            return Ok(Arc::new(RepartitionExec::try_new(plan, dealt).map_err(failed)?));
        }
        // What BI tools load is best in few files; it is small as a rule.
        if spec.name.layer() == Layer::Gold {
            return Ok(Arc::new(CoalescePartitionsExec::new(plan)));
        }
        Ok(plan)
    }
}

/// One core's part of a table.
struct Writer {
    sink: Sink,
    spec: TableSpec,
    judges: Arc<Judges>,
    seen: Arc<AtomicU64>,
    kept: u64,
    rejects: tokio::sync::mpsc::Sender<Vec<Rejected>>,
}

impl Writer {
    async fn drain(
        mut self,
        new: Option<SendableRecordBatchStream>,
        kept: Option<SendableRecordBatchStream>,
    ) -> Result<Outcome> {
        let mut done = Ok(());
        if let Some(new) = new {
            done = self.write_new(new).await;
        }
        if let (Ok(()), Some(kept)) = (&done, kept) {
            done = self.write_kept(kept).await;
        }
        match done {
            Ok(()) => Ok(Outcome { written: self.sink.close().await?, kept: self.kept }),
            Err(error) => {
                self.sink.abort().await;
                Err(error)
            }
        }
    }

    async fn write_new(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        let failed = |e| engine_error("cannot compute the rows of the model", e);
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            self.seen.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            let judged = self.judges.judge(self.stored(&batch)?)?;
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

    fn stored(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        to_stored(batch, &self.spec.schema, &self.spec.partition_by)
    }

    async fn write_kept(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        let failed = |e| engine_error("cannot read the rows that stay", e);
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            self.kept += batch.num_rows() as u64;
            self.sink.write(&self.stored(&batch)?).await?;
        }
        Ok(())
    }
}
