//! What a model is computed from this time: the tables that its SQL sees, and the keys whose rows are
//! computed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlan, cast, ident};
use datafusion::prelude::DataFrame;

use crate::engine::{Keys, Session, Tables, engine_error};
use crate::error::{Error, Result};
use crate::lake::{DataFile, Snapshot, extent};
use crate::name::TableName;

use super::target::{Changed, Target};

/// What the SQL of a model sees, and which keys of its table that concerns.
#[derive(Default)]
pub(in crate::pipeline) struct WorkingSet {
    pub(super) inputs: HashMap<TableName, Arc<dyn TableProvider>>,
    /// The keys whose rows are replaced; None when it is all of them.
    pub keys: Option<Keys>,
    /// Whether the inputs are nothing but the rows that came, so that all of the model's rows count.
    pub is_new: bool,
    /// Whether the rows of the model are added and nothing is replaced.
    pub is_append: bool,
    /// What happened upstream, for the keys that are touched by it.
    pub changed: Vec<Changed>,
    /// Bytes of the files that are opened.
    pub bytes_read: u64,
    /// Rows of the files that the model reads.
    pub rows_read: u64,
    /// The partitions that these files belong to.
    pub partitions: HashSet<Vec<(String, Option<String>)>>,
}

impl WorkingSet {
    /// Everything that the model reads.
    pub(in crate::pipeline) fn full(target: &Target) -> Result<Self> {
        let mut set = Self::default();
        for upstream in &target.upstream {
            set.open(upstream, &upstream.files()?)?;
        }
        Ok(set)
    }

    /// The tables as a catalog.
    pub(in crate::pipeline) fn catalog(&self) -> Arc<dyn CatalogProvider> {
        let mut tables = Tables::default();
        for (name, provider) in &self.inputs {
            tables.add(name.clone(), Arc::clone(provider));
        }
        tables.into_catalog()
    }

    /// Whether nothing is left out and everything is replaced.
    pub(super) fn is_everything(&self) -> bool {
        self.keys.is_none() && !self.is_new
    }

    /// Those rows of the model that have one of the keys. Rows that came have no others.
    pub(in crate::pipeline) fn among_keys(
        &self,
        session: &Session,
        plan: LogicalPlan,
        target: &Target,
    ) -> Result<LogicalPlan> {
        match self.keys.as_ref().filter(|_| !self.is_new) {
            Some(keys) => keys.among(session, plan, &target.model.by),
            None => Ok(plan),
        }
    }

    /// Lets the model see the rows of `files`, which belong to `table`.
    pub(super) fn open(&mut self, table: &Snapshot, files: &[DataFile]) -> Result<()> {
        self.count(files);
        self.inputs.insert(table.name().clone(), table.view_provider_of(files)?);
        Ok(())
    }

    /// Lets the model see the rows of `table` that have one of `keys` in `columns`.
    pub(super) fn open_keyed(
        &mut self,
        session: &Session,
        table: &Snapshot,
        columns: &[String],
        keys: &Keys,
    ) -> Result<()> {
        let partition_by = table.partition_by();
        let files = table.files_where(&keys.wanted(columns, &partition_by)?)?;
        // Files of a partition hold no other key when the partition is the key.
        if columns == partition_by {
            return self.open(table, &files);
        }
        let rows = session.table(table.view_provider_of(&files)?)?.into_unoptimized_plan();
        self.open_rows(table, &files, keys.among(session, rows, columns)?);
        Ok(())
    }

    /// Lets the model see `rows` in the place of `table`; they are read from `files`.
    pub(super) fn open_rows(&mut self, table: &Snapshot, files: &[DataFile], rows: LogicalPlan) {
        self.count(files);
        self.inputs.insert(table.name().clone(), Arc::new(ViewTable::new(rows, None)));
    }

    /// Lets the model see the rows of `provider` in the place of `table`.
    pub(super) fn open_table(&mut self, table: &TableName, provider: Arc<dyn TableProvider>) {
        self.inputs.insert(table.clone(), provider);
    }

    fn count(&mut self, files: &[DataFile]) {
        let (_, rows, bytes) = extent(files);
        self.rows_read += rows;
        self.partitions.extend(files.iter().map(DataFile::partition));
        self.bytes_read += bytes;
    }
}

/// The rows of the model, with its keys as the table stores them: what differs only beyond that
/// is one key.
pub(in crate::pipeline) async fn model_rows(
    target: &Target,
    session: &Session,
) -> Result<LogicalPlan> {
    let plan = session.plan(&target.model.sql).await?;
    let schema = &target.spec.schema;
    let mut differs = false;
    let columns = plan.schema().fields().iter().zip(schema.fields()).map(|(own, stored)| {
        let name = stored.name();
        let mut column = ident(name);
        if target.model.by.contains(name) {
            let is_text = *stored.data_type() == DataType::Utf8;
            let is_view = is_text && *own.data_type() == DataType::Utf8View;
            if own.data_type() != stored.data_type() && !is_view {
                differs = true;
                column = cast(column, stored.data_type().clone());
            }
        }
        column.alias(name)
    });
    let columns: Vec<Expr> = columns.collect();
    if !differs {
        return Ok(plan);
    }
    Ok(session.frame(plan).select(columns).map_err(keys_failed)?.into_unoptimized_plan())
}

/// The values of the columns `by` in `rows`, each once.
pub(super) fn distinct_keys(rows: DataFrame, by: &[String]) -> Result<LogicalPlan> {
    let keys: Vec<Expr> = by.iter().map(ident).collect();
    let keys = rows.select(keys).and_then(DataFrame::distinct);
    Ok(keys.map_err(keys_failed)?.into_unoptimized_plan())
}

/// The keys that `plan` yields, as they stand in the table of the model; None when they are too many
/// to be held.
pub(super) async fn keys_of(
    session: &Session,
    target: &Target,
    plan: &LogicalPlan,
) -> Result<Option<Keys>> {
    Keys::collect(session, plan, &key_schema(target)).await
}

/// The key columns as the table of the model stores them.
pub(super) fn key_schema(target: &Target) -> SchemaRef {
    let fields = target
        .model
        .by
        .iter()
        .filter_map(|column| target.spec.schema.field_with_name(column).ok().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn keys_failed(error: DataFusionError) -> Error {
    engine_error("cannot tell which keys are touched", error)
}
