//! The keys that a run touches: which of them there are, and the rows that have or do not have one.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, JoinType, NullEquality, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::DataFrame;
use futures::TryStreamExt as _;

use crate::error::{Error, Kind, Result};
use crate::lake::{Wanted, to_stored};

use super::{HeldRows, Session, engine_error};

/// Beyond so many different values of a column, looking for files that hold one of them would take
/// longer than reading the files.
const WANTED_VALUES: usize = 4096;

/// Different values of some columns, in memory. NULL is a value like any other.
#[derive(Clone, Debug)]
pub struct Keys {
    rows: RecordBatch,
    /// Counts them in the memory pool.
    _reservation: Option<Arc<MemoryReservation>>,
}

impl Keys {
    /// The rows of `plan`, which are different from each other, as columns of `schema`; None when
    /// they take more memory than a run may hold of them.
    pub async fn collect(
        session: &Session,
        plan: &LogicalPlan,
        schema: &SchemaRef,
    ) -> Result<Option<Self>> {
        let failed = |e| engine_error("cannot collect the keys that are touched", e);
        let mut stream = session.execute_all(session.physical(plan).await?)?;
        let mut held = HeldRows::new(session, Arc::clone(schema), session.holding_limit());
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let batch = to_stored(&batch, schema, &[])?;
            if !held.push(&batch).map_err(|e| failed(e.into()))? {
                return Ok(None);
            }
        }
        let rows = concat_batches(schema, held.batches()).map_err(|e| failed(e.into()))?;
        Ok(Some(Self { rows, _reservation: Some(held.reservation()) }))
    }

    /// No key at all.
    pub fn none(schema: &SchemaRef) -> Self {
        Self { rows: RecordBatch::new_empty(Arc::clone(schema)), _reservation: None }
    }

    /// These numbers, as the column `name`.
    pub fn of_numbers(name: &str, numbers: Vec<i64>) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, true)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(numbers))])
            .map_err(|e| Error::new(Kind::Bug, "cannot look for numbers").because(e))?;
        Ok(Self { rows, _reservation: None })
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.rows.num_rows()
    }

    /// The keys as rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows of `plan` whose `columns`, in the order of the keys', hold one of the keys.
    pub fn among(
        &self,
        session: &Session,
        plan: LogicalPlan,
        columns: &[String],
    ) -> Result<LogicalPlan> {
        self.join(session, plan, columns, JoinType::RightSemi)
    }

    /// The rows of `plan` whose `columns` hold none of the keys.
    pub fn without(
        &self,
        session: &Session,
        plan: LogicalPlan,
        columns: &[String],
    ) -> Result<LogicalPlan> {
        self.join(session, plan, columns, JoinType::RightAnti)
    }

    fn join(
        &self,
        session: &Session,
        plan: LogicalPlan,
        columns: &[String],
        join_type: JoinType,
    ) -> Result<LogicalPlan> {
        let failed = |e| engine_error("cannot tell touched rows from others", e);
        let own = self.rows.schema();
        let own: Vec<Column> =
            own.fields().iter().map(|field| Column::from_name(field.name())).collect();
        let theirs: Vec<Column> = columns.iter().map(Column::from_name).collect();
        LogicalPlanBuilder::from(self.frame(session)?.into_unoptimized_plan())
            .join_detailed(plan, join_type, (own, theirs), None, NullEquality::NullEqualsNull)
            .and_then(LogicalPlanBuilder::build)
            .map_err(failed)
    }

    fn frame(&self, session: &Session) -> Result<DataFrame> {
        session.table(self.clone().into_table()?)
    }

    /// The keys as a table.
    pub fn into_table(self) -> Result<Arc<dyn TableProvider>> {
        let table = MemTable::try_new(self.rows.schema(), vec![vec![self.rows]])
            .map_err(|e| engine_error("cannot hold keys in memory", e))?;
        Ok(Arc::new(table))
    }

    /// What to look for in files whose `columns`, in the order of the keys', hold keys. Columns of
    /// which the log says too little, or that have too many values, are left out.
    ///
    /// Errors: `Bug` when a key is no scalar.
    pub fn wanted(&self, columns: &[String], partition_by: &[String]) -> Result<Vec<Wanted>> {
        let mut wanted = Vec::new();
        for (column, array) in columns.iter().zip(self.rows.columns()) {
            let is_told = match array.data_type() {
                DataType::Date32 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
                DataType::Utf8 => partition_by.contains(column),
                _ => false,
            };
            if !is_told {
                continue;
            }
            let mut values = HashSet::new();
            for row in 0..array.len() {
                values.insert(ScalarValue::try_from_array(array, row).map_err(|e| {
                    Error::new(Kind::Bug, "a key is no plain value").at("column", column).because(e)
                })?);
                if values.len() > WANTED_VALUES {
                    break;
                }
            }
            if values.len() <= WANTED_VALUES {
                wanted
                    .push(Wanted { column: column.clone(), values: values.into_iter().collect() });
            }
        }
        Ok(wanted)
    }
}
