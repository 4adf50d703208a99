//! Streams of rows into files, each on a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;
use tokio::task::JoinSet;

use crate::engine::{Session, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Lake, Sink, Snapshot, TableSpec, Written, encoded, to_stored};

use super::streams::{Distribution, NewRows, of_function, of_parts, of_plan, of_rounds};

/// Where rows go.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// The table.
    pub spec: &'a TableSpec,
    /// The state that rows are added to or replaced in; None when the table is written as a whole.
    pub base: Option<&'a Snapshot>,
    /// How many cores there are.
    pub cores: usize,
}

/// What goes into the files of a table.
#[derive(Default)]
pub struct Rows {
    /// New rows, which have to pass the gate.
    pub new: Option<NewRows>,
    /// Rows of files that are replaced, which stay as they are.
    pub kept: Option<Arc<dyn ExecutionPlan>>,
    /// How many new rows were looked at; grows while they are written.
    pub seen: Arc<AtomicU64>,
    /// About how many rows there will be.
    pub expected: u64,
    /// Into how many files new rows go.
    pub distribution: Distribution,
}

/// Decides which new rows of a table are written.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Those of `rows`, which are as the table stores them, that are to be written.
    async fn pass(&self, rows: RecordBatch) -> Result<RecordBatch>;
}

/// What was written, and how much of it had been there before.
#[derive(Default)]
pub struct Outcome {
    /// The files.
    pub written: Written,
    /// The rows in them that were kept.
    pub kept: u64,
}

/// Writes `rows` on all cores; new ones pass `gate`, if there is one.
///
/// Errors: what a plan, the gate or the storage says; files that were written by then belong to no
/// table.
pub async fn write(
    to: Destination<'_>,
    session: &Session,
    rows: Rows,
    gate: Option<Arc<dyn Gate>>,
) -> Result<Outcome> {
    let Destination { lake, spec, base, cores } = to;
    let new = match rows.new {
        Some(NewRows::Plan(plan)) => of_plan(spec, session, plan, rows.distribution, cores)?,
        Some(NewRows::Made(plan, function)) => of_function(spec, session, &plan, &function)?,
        Some(NewRows::Parts(parts)) => of_parts(spec, parts, cores),
        Some(NewRows::Rounds(rounds)) => of_rounds(spec, rounds, cores)?,
        None => Vec::new(),
    };
    // Rows that stay are never spread: that would make more files of them at each build.
    let distribution = match rows.distribution {
        Distribution::PerCore => Distribution::ByPartition,
        other => other,
    };
    let kept = match rows.kept {
        Some(plan) => of_plan(spec, session, plan, distribution, cores)?,
        None => Vec::new(),
    };
    let (mut new, mut kept) = (new.into_iter(), kept.into_iter());
    let layout = lake.layout(spec, base, rows.expected);
    let mut writers = JoinSet::new();
    for _ in 0..new.len().max(kept.len()) {
        let writer = Writer {
            sink: layout.sink()?,
            schema: encoded(&spec.schema, &spec.partition_by),
            gate: gate.clone(),
            seen: Arc::clone(&rows.seen),
            kept: 0,
        };
        writers.spawn(writer.drain(new.next(), kept.next()));
    }
    drop(gate);
    let mut outcome = Outcome::default();
    while let Some(writer) = writers.join_next().await {
        let part =
            writer.map_err(|e| Error::new(Kind::Bug, "a writer ended by itself").because(e))??;
        outcome.written.merge(part.written);
        outcome.kept += part.kept;
    }
    outcome.written.merge(layout.finish().await?);
    Ok(outcome)
}

/// One core's part of a table.
struct Writer {
    sink: Sink,
    schema: SchemaRef,
    gate: Option<Arc<dyn Gate>>,
    seen: Arc<AtomicU64>,
    kept: u64,
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
            let mut rows = self.stored(&batch)?;
            if let Some(gate) = &self.gate {
                rows = gate.pass(rows).await?;
            }
            self.sink.write(&rows).await?;
        }
        Ok(())
    }

    async fn write_kept(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        let failed = |e| engine_error("cannot read the rows that stay", e);
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            self.kept += batch.num_rows() as u64;
            self.sink.write(&self.stored(&batch)?).await?;
        }
        Ok(())
    }

    fn stored(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        to_stored(batch, &self.schema, &[])
    }
}
