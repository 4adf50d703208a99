//! Rows into Parquet files that no table names yet.
//!
//! Each core has its own sink, so encoding uses all of them even for one partition. Rows wait until
//! there are enough of a partition to encode at once: thin slices would cost more than the encoding.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use delta_kernel::expressions::Scalar;
use deltalake::datafile::writer::PartitionWriter;
use deltalake::kernel::Add;
use deltalake::kernel::scalars::ScalarExt as _;
use indexmap::IndexMap;
use object_store::ObjectStore;

use crate::error::{Error, Kind, Result};
use crate::name::Layer;

use super::encoding::{bytes_of, open_writer};
use super::fault::delta_error;
use super::layout::Gathered;
use super::schema::check_calendar;
use super::{Lake, TableSpec, encoded, to_stored};

/// Rows of one partition that are encoded together, or fewer when they are large.
const ROWS_AT_ONCE: usize = 32 << 10;
const BYTES_AT_ONCE: usize = 32 << 20;
/// Batches of fewer rows are joined before they are encoded.
const THIN: usize = 4 << 10;
/// Rows that may wait in all partitions of a sink together.
const ROWS_WAITING: usize = 128 << 10;
/// Files of a sink that are open at the same time. Beyond it they are closed and begun anew: many
/// small files are better than no memory.
const OPEN_FILES: usize = 128;

/// What a sink wrote.
#[derive(Debug, Default)]
pub struct Written {
    /// The files, to be committed.
    pub adds: Vec<Add>,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Written {
    /// Adds what another sink wrote.
    pub fn merge(&mut self, other: Self) {
        self.adds.extend(other.adds);
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// Writes rows of one table.
pub struct Sink {
    spec: TableSpec,
    /// Rows that wait for the layout of the table to be decided.
    pub(super) gathered: Option<Gathered>,
    store: Arc<dyn ObjectStore>,
    /// The columns as they are encoded, and those of them that are in the files.
    schema: SchemaRef,
    file_schema: SchemaRef,
    /// Where the partition columns are among the columns, in their order.
    pub(super) partition_columns: Vec<usize>,
    keys: Option<RowConverter>,
    partitions: HashMap<Option<OwnedRow>, Partition>,
    rows_waiting: usize,
    open_files: usize,
    pub(super) written: Written,
}

struct Partition {
    values: IndexMap<String, Scalar>,
    waiting: Vec<RecordBatch>,
    rows_waiting: usize,
    bytes_waiting: usize,
    writer: Option<PartitionWriter>,
}

impl Lake {
    /// A sink for rows of the table of `spec`.
    pub fn sink(&self, spec: &TableSpec) -> Result<Sink> {
        let bug = |what: &str| Error::new(Kind::Bug, what).at("table", &spec.name);
        let position = |name: &String| {
            let field = spec.schema.fields().find(name).map(|(index, _)| index);
            field.ok_or_else(|| bug("there is no such partition column").at("column", name))
        };
        let partition_columns =
            spec.partition_by.iter().map(position).collect::<Result<Vec<_>>>()?;
        let schema = encoded(&spec.schema, &spec.partition_by);
        let kept = schema.fields().iter().filter(|field| !spec.partition_by.contains(field.name()));
        let fields = partition_columns.iter().filter_map(|index| spec.schema.fields().get(*index));
        let keys =
            fields.map(|field| SortField::new(field.data_type().clone())).collect::<Vec<_>>();
        let keys = match keys.is_empty() {
            true => None,
            false => Some(
                RowConverter::new(keys)
                    .map_err(|e| bug("cannot partition by such columns").because(e))?,
            ),
        };
        Ok(Sink {
            gathered: None,
            store: self.store_of(&spec.name)?,
            file_schema: Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>())),
            schema: Arc::clone(&schema),
            partition_columns,
            keys,
            partitions: HashMap::new(),
            rows_waiting: 0,
            open_files: 0,
            written: Written::default(),
            spec: spec.clone(),
        })
    }
}

impl Sink {
    /// Takes rows of the table's schema, texts perhaps as views; writes when enough of a partition
    /// are there.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = to_stored(batch, &self.schema, &self.spec.partition_by)
            .and_then(|batch| check_calendar(&batch).map(|()| batch))
            .map_err(|e| e.at("table", &self.spec.name))?;
        let Some(gathered) = &mut self.gathered else { return self.take_in(&batch).await };
        gathered.push(batch)?;
        match self.gathered.take_if(|gathered| gathered.is_enough()) {
            Some(gathered) => self.settle(gathered, false).await,
            None => Ok(()),
        }
    }

    /// Takes rows that were looked at; writes when enough of a partition are there.
    pub(super) async fn take_in(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = to_stored(batch, &self.schema, &[])?;
        for (key, rows) in self.split(&batch)? {
            self.written.rows += rows.num_rows() as u64;
            self.rows_waiting += rows.num_rows();
            let partition = self.partition(key.clone(), &rows)?;
            partition.rows_waiting += rows.num_rows();
            partition.bytes_waiting += bytes_of(&rows);
            partition.waiting.push(rows);
            if partition.rows_waiting >= ROWS_AT_ONCE || partition.bytes_waiting >= BYTES_AT_ONCE {
                self.encode(&key).await?;
            }
        }
        if self.open_files > OPEN_FILES || (self.rows_waiting > ROWS_WAITING && self.is_scattered())
        {
            self.close_files().await?;
        } else if self.rows_waiting > ROWS_WAITING {
            self.encode_all().await?;
        }
        Ok(())
    }

    /// Whether rows of more partitions wait than files may be open.
    fn is_scattered(&self) -> bool {
        self.partitions.len() > OPEN_FILES
    }

    /// Writes what waits and closes all files.
    ///
    /// A few rows of a [`Layout`](super::Layout) that is not decided yet are left to it.
    pub async fn close(mut self) -> Result<Written> {
        match self.gathered.take() {
            Some(gathered) if gathered.is_little() => gathered.leave(),
            Some(gathered) => self.settle(gathered, true).await?,
            None => {}
        }
        self.close_files().await?;
        Ok(self.written)
    }

    /// Throws away what is not written yet. Files that were closed stay, named by no table.
    pub async fn abort(self) {
        for (_, partition) in self.partitions {
            if let Some(writer) = partition.writer {
                // There is an error already that matters more than what this one might say.
                drop(writer.abort().await);
            }
        }
    }

    /// The rows of `batch` by partition.
    fn split(&self, batch: &RecordBatch) -> Result<Vec<(Option<OwnedRow>, RecordBatch)>> {
        let Some(keys) = &self.keys else { return Ok(vec![(None, batch.clone())]) };
        let failed = |e| {
            Error::new(Kind::Bug, "cannot part rows by partition")
                .at("table", &self.spec.name)
                .because(e)
        };
        let columns = batch.project(&self.partition_columns).map_err(failed)?.columns().to_vec();
        if are_all_alike(&columns).map_err(failed)? {
            let first: Vec<_> = columns.iter().map(|column| column.slice(0, 1)).collect();
            let rows = keys.convert_columns(&first).map_err(failed)?;
            return Ok(vec![(Some(rows.row(0).owned()), batch.clone())]);
        }
        let rows = keys.convert_columns(&columns).map_err(failed)?;
        let mut groups: HashMap<_, Vec<u32>> = HashMap::new();
        for (row, index) in rows.iter().zip(0u32..) {
            groups.entry(row).or_default().push(index);
        }
        groups
            .into_iter()
            .map(|(row, indices)| {
                let part = take_record_batch(batch, &UInt32Array::from(indices)).map_err(failed)?;
                Ok((Some(row.owned()), part))
            })
            .collect()
    }

    fn partition(&mut self, key: Option<OwnedRow>, rows: &RecordBatch) -> Result<&mut Partition> {
        use std::collections::hash_map::Entry;
        match self.partitions.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let mut values = IndexMap::new();
                for (name, column) in self.spec.partition_by.iter().zip(&self.partition_columns) {
                    let value =
                        Scalar::from_array(rows.column(*column).as_ref(), 0).ok_or_else(|| {
                            Error::new(Kind::Bug, "cannot partition by such a column")
                                .at("column", name)
                        })?;
                    values.insert(name.clone(), value);
                }
                Ok(entry.insert(Partition {
                    values,
                    waiting: Vec::new(),
                    rows_waiting: 0,
                    bytes_waiting: 0,
                    writer: None,
                }))
            }
        }
    }

    async fn encode_all(&mut self) -> Result<()> {
        let keys: Vec<_> = self.partitions.keys().cloned().collect();
        for key in keys {
            self.encode(&key).await?;
        }
        Ok(())
    }

    /// Encodes the rows of one partition that wait.
    async fn encode(&mut self, key: &Option<OwnedRow>) -> Result<()> {
        let Some(partition) = self.partitions.get_mut(key) else { return Ok(()) };
        let waiting = std::mem::take(&mut partition.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        self.rows_waiting -= std::mem::take(&mut partition.rows_waiting);
        partition.bytes_waiting = 0;
        let table = &self.spec.name;
        let rows = encodable(&first.schema(), &waiting)
            .into_iter()
            .map(|rows| rows.and_then(|rows| without(&rows, &self.partition_columns)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| {
                Error::new(Kind::Bug, "cannot join rows of a partition")
                    .at("table", table)
                    .because(e)
            })?;
        let writer = match &mut partition.writer {
            Some(writer) => writer,
            none => {
                self.open_files += 1;
                let writer = open_writer(
                    &self.store,
                    &self.file_schema,
                    partition.values.clone(),
                    matches!(table.layer(), Layer::Gold | Layer::Ops),
                );
                none.insert(writer.map_err(|e| delta_error("cannot begin a file", table, e))?)
            }
        };
        for rows in rows {
            let written = writer.write(&rows).await;
            written.map_err(|e| delta_error("cannot write a file", table, e))?;
        }
        Ok(())
    }

    /// Closes the files of all partitions, one after the other, so that few are open at a time
    /// even when there are many.
    pub(super) async fn close_files(&mut self) -> Result<()> {
        let keys: Vec<_> = self.partitions.keys().cloned().collect();
        for key in keys {
            self.encode(&key).await?;
            let Some(writer) = self.partitions.remove(&key).and_then(|closed| closed.writer) else {
                continue;
            };
            self.open_files -= 1;
            let adds = writer
                .close()
                .await
                .map_err(|e| delta_error("cannot finish a file", &self.spec.name, e))?;
            let bytes = adds.iter().map(|add| u64::try_from(add.size).unwrap_or_default());
            self.written.bytes += bytes.sum::<u64>();
            self.written.adds.extend(adds);
        }
        Ok(())
    }
}

/// Whether each of `columns` has one value only.
fn are_all_alike(columns: &[ArrayRef]) -> Result<bool, ArrowError> {
    for column in columns {
        let first = arrow::array::Scalar::new(column.slice(0, 1));
        if not_distinct(column, &first)?.true_count() < column.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows of `batches` in batches that are worth encoding: thin slices are joined, large ones are
/// left as they are.
fn encodable(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Result<RecordBatch, ArrowError>> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    match rows >= batches.len() * THIN {
        true => batches.iter().cloned().map(Ok).collect(),
        false => vec![concat_batches(schema, batches)],
    }
}

fn without(rows: &RecordBatch, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
    if columns.is_empty() {
        return Ok(rows.clone());
    }
    let kept: Vec<_> = (0..rows.num_columns()).filter(|index| !columns.contains(index)).collect();
    rows.project(&kept)
}
