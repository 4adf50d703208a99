//! Rows of a model into files, on all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _, Partitioning};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;

use crate::engine::{Session, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Sink, TableSpec, Written, encoded, to_stored};
use crate::name::Layer;

use super::Run;
use super::expect::Judges;
use super::quarantine::{Quarantine, Rejected};

/// The new rows of a table.
pub(super) enum New {
    /// All of them.
    Plan(Arc<dyn ExecutionPlan>),
    /// All of them in parts that share no partition of the table, each planned for one core.
    Parts(Vec<(Session, Arc<dyn ExecutionPlan>)>),
}

/// What goes into the files of a table.
#[derive(Default)]
pub(super) struct Rows {
    /// New rows, which have to be judged.
    pub new: Option<New>,
    /// Rows of files that are replaced, which stay as they are.
    pub kept: Option<Arc<dyn ExecutionPlan>>,
    /// How many new rows were looked at.
    pub seen: Arc<AtomicU64>,
    /// Whether each core writes what it computed, whatever partition it belongs to.
    pub is_spread: bool,
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
        let mut new = match rows.new {
            Some(New::Plan(plan)) => self.lanes(spec, session, plan, rows.is_spread)?,
            Some(New::Parts(parts)) => self.lanes_of_parts(spec, parts),
            None => Vec::new(),
        }
        .into_iter();
        let mut kept = match rows.kept {
            Some(plan) => self.lanes(spec, session, plan, false)?,
            None => Vec::new(),
        }
        .into_iter();
        let mut writers = JoinSet::new();
        for _ in 0..new.len().max(kept.len()) {
            let writer = Writer {
                sink: self.lake.sink(spec)?,
                spec: spec.clone(),
                schema: encoded(&spec.schema, &spec.partition_by),
                judges: Arc::clone(judges),
                seen: Arc::clone(&rows.seen),
                kept: 0,
                rejects: rejects.clone(),
            };
            writers.spawn(writer.drain(new.next(), kept.next()));
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

    /// The rows of `plan` in as many streams as are to be written at once.
    fn lanes(
        &self,
        spec: &TableSpec,
        session: &Session,
        plan: Arc<dyn ExecutionPlan>,
        is_spread: bool,
    ) -> Result<Vec<SendableRecordBatchStream>> {
        let plan = if is_spread { plan } else { self.dealt(spec, plan)? };
        let count = plan.output_partitioning().partition_count();
        (0..count).map(|part| session.execute(&plan, part)).collect()
    }

    /// The rows of `parts` in a stream for each core, or in one where they belong into one file.
    fn lanes_of_parts(
        &self,
        spec: &TableSpec,
        parts: Vec<(Session, Arc<dyn ExecutionPlan>)>,
    ) -> Vec<SendableRecordBatchStream> {
        let mut parts = parts.into_iter();
        let share = parts.len().div_ceil(self.engine.cores().max(1)).max(1);
        let shares = std::iter::from_fn(|| Some(parts.by_ref().take(share).collect::<Vec<_>>()));
        let shares = shares.take_while(|share| !share.is_empty());
        let lanes = shares.filter_map(Session::execute_in_turn).collect();
        match is_one_file(spec) {
            true => merged(lanes).into_iter().collect(),
            false => lanes,
        }
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
        if is_one_file(spec) {
            return Ok(Arc::new(CoalescePartitionsExec::new(plan)));
        }
        Ok(plan)
    }
}

/// Whether a table is written into one file: what BI tools load is best in few, and small as a rule.
fn is_one_file(spec: &TableSpec) -> bool {
    spec.partition_by.is_empty() && spec.name.layer() == Layer::Gold
}

/// The rows of all `lanes`, each computed by a task of its own.
fn merged(lanes: Vec<SendableRecordBatchStream>) -> Option<SendableRecordBatchStream> {
    let schema = lanes.first()?.schema();
    let mut merged = RecordBatchReceiverStream::builder(schema, lanes.len());
    for mut lane in lanes {
        let rows = merged.tx();
        merged.spawn(async move {
            while let Some(batch) = lane.next().await {
                if rows.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
    }
    Some(merged.build())
}

/// One core's part of a table.
struct Writer {
    sink: Sink,
    spec: TableSpec,
    schema: SchemaRef,
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
        to_stored(batch, &self.schema, &self.spec.partition_by)
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
