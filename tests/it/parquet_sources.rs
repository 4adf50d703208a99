//! Files of Parquet as sources: rows become rows by the names of their columns, what does not fit is
//! rescued, and what cannot be read is in quarantine by reference.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value, json};

use crate::one_source::OneSource;

/// A file of these columns, with `group` rows in each group.
fn file(columns: Vec<(&str, ArrayRef)>, group: usize) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Rows with the numbers from 0 on.
fn numbers(count: i64, group: usize) -> Vec<u8> {
    let names = (0..count).map(|number| Some(format!("n{number}")));
    file(
        vec![
            ("id", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef),
            ("name", Arc::new(names.collect::<StringArray>()) as ArrayRef),
        ],
        group,
    )
}

#[test]
fn columns_are_found_by_their_names() {
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let place: ArrayRef = Arc::new(StringArray::from(vec!["Kiel", "Bonn", "Ulm"]));
    let place =
        StructArray::from(vec![(Arc::new(Field::new("city", DataType::Utf8, true)), place)]);
    let at = TimestampMicrosecondArray::from(vec![Some(1_751_364_000_000_000), None, Some(0)]);
    let content = file(
        vec![
            ("Tags", Arc::new(tags) as ArrayRef),
            ("at", Arc::new(at.with_timezone("UTC")) as ArrayRef),
            ("visits", Arc::new(Float64Array::from(vec![Some(3.0), None, Some(2.5)])) as ArrayRef),
            ("id", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
            ("place", Arc::new(place) as ArrayRef),
            ("x", Arc::new(StringArray::from(vec!["{\"k\":1}", "plain", "5"])) as ArrayRef),
            ("other", Arc::new(Int32Array::from(vec![Some(9), None, None])) as ArrayRef),
        ],
        100,
    );
    let columns = "id TEXT, at TEXT, visits BIGINT, \"Tags\" ARRAY<BIGINT>, \
                   place STRUCT<city TEXT>, x JSON, missing TEXT";
    let source = OneSource::new("", columns).file("a.parquet", content).landed();
    let all = ["id", "at", "visits", "\"Tags\"", "place", "x", "missing", "_position"];
    assert_eq!(
        source.rows(&all),
        [
            json!([
                "1", "2025-07-01T10:00:00Z", 3, [1, null], {"city": "Kiel"}, "{\"k\":1}", null, 0
            ]),
            json!(["2", null, null, null, {"city": "Bonn"}, "\"plain\"", null, 1]),
            json!(["3", "1970-01-01T00:00:00Z", null, [], {"city": "Ulm"}, "5", null, 2]),
        ]
    );
    let other = json!([{"path": "other", "value": 9, "reason": "unknown field"}]);
    let reason = "expected BIGINT, found decimal";
    let visits = json!([{"path": "visits", "value": 2.5, "reason": reason}]);
    assert_eq!(source.rescued(), [other, Value::Null, visits]);
}

#[test]
fn many_rows_in_many_groups_keep_their_numbers() {
    let source = OneSource::new("format = \"parquet\"", "id BIGINT, name TEXT")
        .file("a", numbers(5000, 700))
        .landed();
    let rows = source.rows(&["id", "name", "_position", "_raw"]);
    assert_eq!(rows.len(), 5000);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(*row, json!([number, format!("n{number}"), number, null]));
    }
}

#[test]
fn what_is_damaged_is_in_quarantine_by_reference() {
    let whole = numbers(300, 100);
    let no_end = whole[..whole.len() - 9].to_vec();
    let source = OneSource::new("", "id BIGINT").file("a.parquet", &no_end).landed();
    assert!(source.rows(&["id"]).is_empty());
    let rejected = source.rejected();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].bytes, no_end);
    assert!(rejected[0].reason.contains("no file of Parquet"), "{}", rejected[0].reason);

    let reader = SerializedFileReader::new(bytes::Bytes::from(whole.clone())).unwrap();
    let group = reader.metadata().row_group(1);
    let ranges: Vec<(u64, u64)> = group.columns().iter().map(|one| one.byte_range()).collect();
    let start = usize::try_from(ranges.iter().map(|range| range.0).min().unwrap()).unwrap();
    let end = ranges.iter().map(|range| range.0 + range.1).max().unwrap();
    let end = usize::try_from(end).unwrap();
    let mut damaged = whole;
    damaged[start..end].fill(0xFF);
    let source = OneSource::new("", "id BIGINT, name TEXT").file("a.parquet", &damaged).landed();
    let ids: Vec<Value> = (0..100).chain(200..300).map(|id| json!([id, id])).collect();
    assert_eq!(source.rows(&["id", "_position"]), ids);
    let rejected = source.rejected();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].position, start as u64);
    assert_eq!(rejected[0].bytes, &damaged[start..end]);
    assert!(rejected[0].reason.contains("group 1 of rows"), "{}", rejected[0].reason);
}
