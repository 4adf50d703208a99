//! How rows are spelled in Parquet files: encodings, compression, sizes, and what is noted about each
//! column.

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use delta_kernel::expressions::Scalar;
use delta_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::datafile::writer::{PartitionWriter, PartitionWriterConfig};
use indexmap::IndexMap;
use object_store::ObjectStore;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// A file is closed when it is about this large, in bytes.
pub const FILE_BYTES: u64 = 128 << 20;
/// Readers decode a row group at a time, so it must not be larger than they can hold.
const ROW_GROUP_ROWS: usize = 1 << 20;
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Columns of mostly different values are better off without a dictionary, and every open file
/// holds one per column.
const DICTIONARY_BYTES: usize = 128 << 10;
/// Columns whose least and greatest values are noted for skipping files.
const INDEXED_COLUMNS: u64 = 32;
/// Rows after which it is looked whether a file is large enough.
const SLICE_ROWS: usize = 32 << 10;

/// A writer of one partition's files. `values` are those of the partition columns, which are not in
/// `file_schema`. What is small and read by many programs is spelled in the way that all know best;
/// the rest in that which is quickest.
pub(super) fn open_writer(
    store: &Arc<dyn ObjectStore>,
    file_schema: &SchemaRef,
    values: IndexMap<String, Scalar>,
    is_small: bool,
) -> Result<PartitionWriter, deltalake::DeltaTableError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by(format!("clickwatch {}", env!("CARGO_PKG_VERSION")));
    let large = if is_small { Vec::new() } else { leaves(file_schema.fields(), &[]) };
    for (path, data_type) in large {
        let column = ColumnPath::from(path);
        match data_type {
            // Instants are all different, and near to each other.
            DataType::Timestamp(_, _) => {
                properties = properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
            }
            // Texts come in no order: their bounds would hardly ever tell that a file can be left
            // closed, and finding them costs a tenth of the writing.
            DataType::Utf8 | DataType::Utf8View => {
                properties =
                    properties.set_column_statistics_enabled(column, EnabledStatistics::None);
            }
            _ => {}
        }
    }
    let properties = properties.build();
    let config = PartitionWriterConfig::try_new(
        Arc::clone(file_schema),
        values,
        Some(properties),
        NonZeroU64::new(FILE_BYTES),
        Some(SLICE_ROWS),
        None,
        None,
    )?;
    let indexed = DataSkippingNumIndexedCols::NumColumns(INDEXED_COLUMNS);
    PartitionWriter::try_with_config(Arc::clone(store), config, indexed, None)
}

/// The columns of a Parquet file: where each is, and its type.
fn leaves(fields: &Fields, above: &[String]) -> Vec<(Vec<String>, DataType)> {
    fields.iter().flat_map(|field| leaves_of(field, above)).collect()
}

fn leaves_of(field: &Field, above: &[String]) -> Vec<(Vec<String>, DataType)> {
    let mut path = above.to_vec();
    path.push(field.name().clone());
    match field.data_type() {
        DataType::Struct(fields) => leaves(fields, &path),
        DataType::List(item) => {
            path.push("list".to_owned());
            leaves_of(item, &path)
        }
        other => vec![(path, other.clone())],
    }
}

/// How many bytes the rows hold by themselves: views may look into buffers that they share.
pub(super) fn bytes_of(rows: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(texts) => texts.len() * size_of::<u128>() + texts.total_buffer_bytes_used(),
        None => column.get_array_memory_size(),
    };
    rows.columns().iter().map(bytes).sum()
}
