//! Whether the files of a table are separated by its partition columns.
//!
//! A file for each day is worth its cost while days have many rows. Ten thousand days of one row each
//! would be ten thousand files, and every reader opens them all. A table that is written as a whole
//! therefore looks at its first rows: when they fall into many partitions of a few rows, none of its
//! files is kept to one partition, and they are sorted by these columns instead, so that the bounds in
//! the log still tell which file holds a day. The partition columns of its metadata say which of the
//! two a table is, and whoever adds to it keeps to that.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::error::{Error, Kind, Result};

use super::encoding::bytes_of;
use super::{Lake, Sink, Snapshot, TableSpec, Written};

/// So many partitions are worth a file each, however small they are.
const FEW_PARTITIONS: usize = 128;
/// Partitions with fewer rows than this, on average, are not.
const ROWS_PER_PARTITION: usize = 256;
/// How many rows a sink looks at, or fewer when they are large.
const ROWS_LOOKED_AT: usize = 128 << 10;
const BYTES_LOOKED_AT: usize = 64 << 20;
/// A sink with fewer rows leaves them to be written with those of the others.
const FEW_ROWS: usize = 32 << 10;
/// Rows of a file that is not kept to one partition.
const ROWS_PER_FILE: usize = 64 << 10;

/// The layout of a table that is about to be written by several sinks at once.
#[derive(Clone, Debug)]
pub struct Layout {
    lake: Lake,
    spec: TableSpec,
    expected_rows: u64,
    /// What the sinks decide together; None when the layout is known before.
    shared: Option<Arc<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_separated: OnceLock<bool>,
    sinks: AtomicU64,
    /// Rows of sinks that were closed before anything was decided.
    left: Mutex<Vec<RecordBatch>>,
}

/// Rows that wait until the layout is decided.
pub(super) struct Gathered {
    layout: Layout,
    shared: Arc<Shared>,
    columns: Vec<usize>,
    keys: RowConverter,
    partitions: HashSet<Box<[u8]>>,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Lake {
    /// How the files of the table of `spec` are to be laid out: as those of `base`, if rows are added
    /// to it or replaced in it; as suits the rows, when the table is written as a whole and there is
    /// no `base`. `expected_rows` is about how many rows there will be, all sinks together: the first
    /// rows of a large table may fall into many days as well.
    pub fn layout(&self, spec: &TableSpec, base: Option<&Snapshot>, expected_rows: u64) -> Layout {
        let mut spec = spec.clone();
        let is_open = base.is_none() && !spec.partition_by.is_empty();
        if let Some(base) = base {
            spec.partition_by = base.partition_by();
        }
        Layout { lake: self.clone(), spec, expected_rows, shared: is_open.then(Arc::default) }
    }
}

impl Layout {
    /// A sink for some of the rows of the table.
    pub fn sink(&self) -> Result<Sink> {
        let mut sink = self.lake.sink(&self.spec)?;
        sink.gathered = self.gathered(&sink)?;
        if let Some(shared) = &self.shared {
            shared.sinks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(sink)
    }

    fn gathered(&self, sink: &Sink) -> Result<Option<Gathered>> {
        let Some(shared) = &self.shared else { return Ok(None) };
        let columns = sink.partition_columns.clone();
        let fields = columns.iter().filter_map(|index| self.spec.schema.fields().get(*index));
        let fields = fields.map(|field| SortField::new(field.data_type().clone())).collect();
        Ok(Some(Gathered {
            layout: self.clone(),
            shared: Arc::clone(shared),
            columns,
            keys: RowConverter::new(fields).map_err(|e| self.failed(e))?,
            partitions: HashSet::new(),
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
        }))
    }

    /// Writes the rows that all sinks together left over: so few that nothing had to be decided before.
    /// To be called when the sinks are closed.
    pub async fn finish(&self) -> Result<Written> {
        let Some(shared) = &self.shared else { return Ok(Written::default()) };
        let left = std::mem::take(&mut *shared.left.lock().unwrap_or_else(PoisonError::into_inner));
        let mut sink = self.lake.sink(&self.spec)?;
        let Some(mut gathered) = self.gathered(&sink)?.filter(|_| !left.is_empty()) else {
            return Ok(Written::default());
        };
        for batch in left {
            gathered.push(batch)?;
        }
        sink.settle(gathered, true).await?;
        sink.close().await
    }

    /// A sink whose files hold rows of any partition.
    fn whole_sink(&self) -> Result<Sink> {
        self.lake.sink(&TableSpec { partition_by: Vec::new(), ..self.spec.clone() })
    }

    fn failed(&self, source: ArrowError) -> Error {
        Error::new(Kind::Bug, "cannot arrange rows by partition")
            .at("table", &self.spec.name)
            .because(source)
    }
}

/// Whether each partition is worth files of its own.
fn is_worth_separating(partitions: usize, rows: usize) -> bool {
    partitions <= FEW_PARTITIONS || rows >= partitions.saturating_mul(ROWS_PER_PARTITION)
}

impl Gathered {
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let columns = batch.project(&self.columns).map_err(|e| self.layout.failed(e))?;
        let keys = self.keys.convert_columns(columns.columns());
        for key in &keys.map_err(|e| self.layout.failed(e))? {
            let key: &[u8] = key.as_ref();
            if !self.partitions.contains(key) {
                self.partitions.insert(key.into());
            }
        }
        self.rows += batch.num_rows();
        self.bytes += bytes_of(&batch);
        self.batches.push(batch);
        Ok(())
    }

    /// Whether enough rows were seen, by this sink or by another one.
    pub(super) fn is_enough(&self) -> bool {
        self.is_decided() || self.rows >= ROWS_LOOKED_AT || self.bytes >= BYTES_LOOKED_AT
    }

    /// Whether the rows are not worth being written by themselves, and need not be.
    pub(super) fn is_little(&self) -> bool {
        !self.is_decided() && self.rows < FEW_ROWS
    }

    fn is_decided(&self) -> bool {
        self.shared.is_separated.get().is_some()
    }

    /// Whether each partition gets files of its own, which the first sink that asks decides for all;
    /// `is_all` says whether no more rows will come to this one.
    fn is_separated(&self, is_all: bool) -> bool {
        *self.shared.is_separated.get_or_init(|| {
            let sinks = self.shared.sinks.load(Ordering::Relaxed).max(1);
            let share = usize::try_from(self.layout.expected_rows / sinks).unwrap_or(usize::MAX);
            let rows = if is_all { self.rows } else { self.rows.max(share) };
            is_worth_separating(self.partitions.len(), rows)
        })
    }

    /// Leaves the rows to [`Layout::finish`].
    pub(super) fn leave(self) {
        let mut left = self.shared.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.extend(self.batches);
    }

    /// The rows in the order of their partitions.
    fn sorted(&self) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(first) = self.batches.first() else { return Ok(None) };
        let rows = concat_batches(first.schema_ref(), &self.batches)?;
        let columns = rows.project(&self.columns)?.columns().to_vec();
        let columns = columns.into_iter().map(|values| SortColumn { values, options: None });
        let order = lexsort_to_indices(&columns.collect::<Vec<_>>(), None)?;
        take_record_batch(&rows, &order).map(Some)
    }
}

impl Sink {
    /// Writes what was gathered, in the layout that it suggests if none is decided yet; `is_all` says
    /// whether no more rows will come.
    pub(super) async fn settle(&mut self, gathered: Gathered, is_all: bool) -> Result<()> {
        if gathered.is_separated(is_all) {
            for batch in &gathered.batches {
                self.take_in(batch).await?;
            }
            return Ok(());
        }
        let layout = &gathered.layout;
        let mut whole = layout.whole_sink()?;
        std::mem::swap(&mut whole.written, &mut self.written);
        *self = whole;
        let Some(rows) = gathered.sorted().map_err(|e| layout.failed(e))? else { return Ok(()) };
        for start in (0..rows.num_rows()).step_by(ROWS_PER_FILE) {
            let length = ROWS_PER_FILE.min(rows.num_rows() - start);
            self.take_in(&rows.slice(start, length)).await?;
            self.close_files().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_partitions_of_a_few_rows_share_files() {
        assert!(is_worth_separating(1, 1));
        assert!(is_worth_separating(FEW_PARTITIONS, FEW_PARTITIONS));
        assert!(!is_worth_separating(FEW_PARTITIONS + 1, FEW_PARTITIONS + 1));
        assert!(!is_worth_separating(10_000, 10_000 * ROWS_PER_PARTITION - 1));
        assert!(is_worth_separating(10_000, 10_000 * ROWS_PER_PARTITION));
    }
}
