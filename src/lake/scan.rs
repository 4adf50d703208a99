//! The rows of a snapshot as a DataFusion table: plain Parquet scans over the files that the log
//! names, so that every optimisation DataFusion has for Parquet, and every engine that can ship its
//! plans, works on them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectStore;

use crate::error::{Error, Kind, Result};
use crate::name::TableName;

use super::{DataFile, FILE_NUMBER, Snapshot};

/// How many bytes at the end of a file are read at once in the hope of its whole footer.
const FOOTER_HINT: usize = 64 << 10;
/// How many bytes of footers of one table are remembered.
const FOOTERS: usize = 16 << 20;

/// A snapshot that queries can scan.
pub(super) struct DeltaScan {
    name: TableName,
    schema: SchemaRef,
    table_schema: TableSchema,
    /// For each column of `schema`, where it is in `table_schema`: partition columns come last there.
    places: Vec<usize>,
    files: Vec<PartitionedFile>,
    statistics: Statistics,
    store: Arc<dyn ObjectStore>,
    store_url: ObjectStoreUrl,
    footers: Footers,
}

/// The footers of a table's files that were read before: a run reads most files several times. Files
/// never change, and no two of a table ever have the same name.
#[derive(Clone)]
pub(super) struct Footers(Arc<FileMetadataCache>);

impl std::fmt::Debug for Footers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Footers")
    }
}

impl Default for Footers {
    fn default() -> Self {
        Self(Arc::new(DefaultCache::new(FOOTERS)))
    }
}

impl std::fmt::Debug for DeltaScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeltaScan")
            .field("table", &self.name)
            .field("files", &self.files.len())
            .finish()
    }
}

impl DeltaScan {
    /// A scan of `files` whose columns have the types of `schema`; with the files' numbers as one
    /// more column when `numbered`.
    pub(super) fn new(
        snapshot: &Snapshot,
        mut schema: SchemaRef,
        files: &[DataFile],
        numbered: bool,
    ) -> Result<Self> {
        let partition_by = snapshot.partition_by();
        let (mut partition, stored): (Vec<_>, Vec<_>) =
            schema.fields().iter().cloned().partition(|field| partition_by.contains(field.name()));
        if numbered {
            let number = Arc::new(Field::new(FILE_NUMBER, DataType::Int64, true));
            partition.push(Arc::clone(&number));
            let fields = schema.fields().iter().cloned().chain([number]).collect::<Vec<_>>();
            schema = Arc::new(Schema::new(fields));
        }
        let table_schema = TableSchema::builder(Arc::new(Schema::new(stored)))
            .with_table_partition_cols(partition.clone())
            .build();
        let places = schema
            .fields()
            .iter()
            .filter_map(|field| table_schema.table_schema().index_of(field.name()).ok())
            .collect();
        let log_store = snapshot.table.log_store();
        let statistics = table_statistics(files, table_schema.table_schema());
        let files = files
            .iter()
            .zip(0..)
            .map(|(file, number)| partitioned_file(file, number, &partition, &table_schema))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| {
                Error::new(Kind::Invalid, "the table's log holds a partition value that is none")
                    .at("table", snapshot.name())
                    .because(e)
            })?;
        Ok(Self {
            name: snapshot.name().clone(),
            statistics,
            schema,
            table_schema,
            places,
            files,
            store: log_store.object_store(None),
            store_url: store_url(snapshot)?,
            footers: snapshot.footers.clone(),
        })
    }
}

/// Under which name queries know the store of a table. Not its own address, in which a path may have
/// characters that no such name has.
fn store_url(snapshot: &Snapshot) -> Result<ObjectStoreUrl> {
    let address = snapshot.table.log_store().root_url().to_string();
    let name = blake3::hash(address.as_bytes()).to_hex();
    ObjectStoreUrl::parse(format!("table://{name}")).map_err(|e| {
        Error::new(Kind::Bug, "cannot name the store of a table")
            .at("table", snapshot.name())
            .because(e)
    })
}

#[async_trait]
impl TableProvider for DeltaScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = match projection {
            Some(indices) => {
                indices.iter().filter_map(|index| self.places.get(*index).copied()).collect()
            }
            None => self.places.clone(),
        };
        if self.files.is_empty() {
            let schema = self.table_schema.table_schema().project(&wanted)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }
        session
            .runtime_env()
            .register_object_store(self.store_url.as_ref(), Arc::clone(&self.store));
        let (store, footers) = (Arc::clone(&self.store), Arc::clone(&self.footers.0));
        let source = ParquetSource::new(self.table_schema.clone())
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(
                store, footers,
            )))
            .with_table_parquet_options(session.default_table_options().parquet)
            .with_metadata_size_hint(FOOTER_HINT);
        let groups =
            FileGroup::new(self.files.clone()).split_files(session.config().target_partitions());
        let config = FileScanConfigBuilder::new(self.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics.clone())
            .with_projection_indices(Some(wanted))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn partitioned_file(
    file: &DataFile,
    number: i64,
    partition: &[Arc<Field>],
    table_schema: &TableSchema,
) -> std::result::Result<PartitionedFile, DataFusionError> {
    let values = partition
        .iter()
        .map(|field| match field.name() == FILE_NUMBER {
            true => Ok(ScalarValue::from(number)),
            false => {
                let text = file.partition.get(field.name()).cloned().flatten();
                partition_value(text, field.data_type())
            }
        })
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let mut read = PartitionedFile::new(file.path.to_string(), file.size);
    // `new` reads its text as a path once more, which would decode what is encoded in it.
    read.object_meta.location = file.path.clone();
    let read = read.with_partition_values(values);
    Ok(match row_count(file) {
        Some(rows) => {
            let mut statistics = Statistics::new_unknown(table_schema.file_schema());
            statistics.num_rows = Precision::Exact(rows);
            read.with_statistics(Arc::new(statistics))
        }
        None => read,
    })
}

fn row_count(file: &DataFile) -> Option<usize> {
    usize::try_from(file.rows?).ok()
}

/// The value of a partition column as the log spells it; an empty text is NULL.
fn partition_value(
    text: Option<String>,
    data_type: &DataType,
) -> std::result::Result<ScalarValue, DataFusionError> {
    match text {
        Some(text) if !text.is_empty() => ScalarValue::try_from_string(text, data_type),
        _ => ScalarValue::try_from(data_type),
    }
}

/// How many rows there are. Not how many bytes: those of the files are compressed, and joins that
/// compare them with bytes in memory would hold the larger side.
fn table_statistics(files: &[DataFile], schema: &Schema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    if let Some(rows) = files.iter().map(row_count).sum::<Option<usize>>() {
        statistics.num_rows = Precision::Exact(rows);
    }
    statistics
}
