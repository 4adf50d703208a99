//! Columns and fields whose names begin with `_`: records have them, and so does clickwatch.

use serde_json::{Value, json};

use crate::one_source::OneSource;

#[test]
fn records_may_have_fields_that_begin_with_an_underscore() {
    let columns = "_id TEXT, \"_Type\" BIGINT, _meta STRUCT<_v BIGINT>";
    let record = "{\"_id\":\"a\",\"_Type\":1,\"_meta\":{\"_v\":2}}\n";
    let source = OneSource::new("", columns).file("a.json", record).landed();
    let expected = [json!(["a", 1, {"_v": 2}, null])];
    let rows = source.rows(&["_id", "\"_Type\"", "_meta", "_rescued"]);
    assert_eq!(rows, expected);
    let csv = OneSource::new("", columns).file("a.csv", "_id,_Type\nb,2\n").landed();
    assert_eq!(csv.rows(&["_id", "_rescued"]), [json!(["b", null])]);
}

#[test]
fn fields_named_as_our_own_columns_are_rescued() {
    let own = ["_source", "_position", "_batch", "_ingested_at", "_rescued", "_raw"];
    let record: Value = own.iter().map(|name| ((*name).to_owned(), json!("theirs"))).collect();
    let source = OneSource::new("", "id BIGINT").file("a.json", record.to_string()).landed();
    assert_eq!(source.rows(&["_source", "_position"]), [json!(["a.json", 0])]);
    let rescued = source.rescued();
    let mut paths: Vec<&str> =
        rescued[0].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    let mut expected = own;
    paths.sort_unstable();
    expected.sort_unstable();
    assert_eq!(paths, expected);
    for name in own {
        let said = OneSource::new("", &format!("{name} TEXT")).refused();
        assert!(said.contains("clickwatch's own"), "{said}");
    }
}
