//! Rows in memory, counted in the engine's memory pool for as long as they are there.
//!
//! A run holds keys, and the upstream rows of touched keys. What is counted is what is really held:
//! batches that operators give are often slices of large buffers, so they are copied out of these
//! before they are kept.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;

use crate::error::Result;

use super::{Session, engine_error};

/// Rows that are held; a clone is the same rows.
#[derive(Clone, Debug)]
pub struct HeldRows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    reservation: Arc<MemoryReservation>,
    /// How many more bytes may be held.
    left: usize,
}

impl HeldRows {
    /// No rows yet, of `schema`, and at most `limit` bytes of them.
    pub fn new(session: &Session, schema: SchemaRef, limit: usize) -> Self {
        let reservation = Arc::new(session.reserve("rows that are held"));
        Self { schema, batches: Vec::new(), reservation, left: limit }
    }

    /// All rows of `stream`; None when they are more than `limit` bytes, or more than the pool has
    /// left.
    ///
    /// Errors: those of the stream, as failures of `what`.
    pub async fn collect(
        session: &Session,
        mut stream: SendableRecordBatchStream,
        limit: usize,
        what: &str,
    ) -> Result<Option<Self>> {
        let mut held = Self::new(session, stream.schema(), limit);
        while let Some(batch) = stream.try_next().await.map_err(|e| engine_error(what, e))? {
            if !held.push(&batch).map_err(|e| engine_error(what, e.into()))? {
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    /// Adds rows; false when there is no room for them.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<bool, ArrowError> {
        let columns = batch.columns().iter().map(copied).collect::<Result<Vec<_>, _>>()?;
        let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        let Some(left) = self.left.checked_sub(bytes) else { return Ok(false) };
        if self.reservation.try_grow(bytes).is_err() {
            return Ok(false);
        }
        self.left = left;
        let schema = Arc::clone(&self.schema);
        self.batches.push(match columns.is_empty() {
            true => batch.clone(),
            false => RecordBatch::try_new(schema, columns)?,
        });
        Ok(true)
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// What counts the rows in the pool; whoever keeps copies of them keeps this too.
    pub(super) fn reservation(&self) -> Arc<MemoryReservation> {
        Arc::clone(&self.reservation)
    }

    /// The rows of all of `parts`, which have the same columns, as a table.
    ///
    /// Errors: `Bug` when they have not.
    pub fn into_table(parts: Vec<Self>) -> Result<Arc<dyn TableProvider>> {
        let schema = parts.first().map_or_else(
            || Arc::new(arrow::datatypes::Schema::empty()),
            |first| Arc::clone(&first.schema),
        );
        let batches = parts.iter().flat_map(|part| part.batches.iter().cloned()).collect();
        let rows = MemTable::try_new(schema, vec![batches])
            .map_err(|e| engine_error("cannot hold rows in memory", e))?;
        Ok(Arc::new(HeldTable { rows, _parts: parts }))
    }
}

/// The column without what it shares with others.
fn copied(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Utf8View => Ok(Arc::new(column.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(column.as_binary_view().gc())),
        _ => concat(&[column.as_ref(), column.slice(0, 0).as_ref()]),
    }
}

/// Held rows as a table, which keeps them counted.
#[derive(Debug)]
struct HeldTable {
    rows: MemTable,
    _parts: Vec<HeldRows>,
}

#[async_trait]
impl TableProvider for HeldTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        self.rows.table_type()
    }

    async fn scan(
        &self,
        session: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.rows.scan(session, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray};

    use super::*;
    use crate::engine::{Engine, Tables};
    use crate::project::Channels;
    use crate::runtime::Memory;

    fn slices() -> Vec<RecordBatch> {
        let numbers: ArrayRef = Arc::new((0..100_000).collect::<Int64Array>());
        let texts = (0..100_000).map(|number| Some(format!("a text with the number {number}")));
        let texts: ArrayRef = Arc::new(texts.collect::<StringViewArray>());
        let whole = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        (0..100).map(|part| whole.slice(part * 1000, 1000)).collect()
    }

    #[test]
    fn slices_of_one_buffer_count_for_what_they_hold() {
        let engine =
            Engine::new(Memory::new(1 << 30).unwrap(), &Channels::shipped().into()).unwrap();
        let session = engine.session(Tables::default().into_catalog());
        let slices = slices();
        let mut held = HeldRows::new(&session, slices[0].schema(), 16 << 20);
        for slice in &slices {
            assert!(held.push(slice).unwrap());
        }
        assert_eq!(held.count(), 100_000);
        // A number, a view and about 30 bytes of text for each row.
        let counted = held.reservation.size();
        assert!((5_000_000..10_000_000).contains(&counted), "{counted}");
        let mut little = HeldRows::new(&session, slices[0].schema(), 100_000);
        let taken = slices.iter().take_while(|slice| little.push(slice).unwrap()).count();
        assert_eq!(taken, 1);
    }
}
