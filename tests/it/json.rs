//! JSON in SQL: parts of texts by operators and functions, and parameters in arrays of keys and values.

use serde_json::{Value, json};

use crate::support::{Bench, session};

const EVENT: &str = r#"'{"type": "click", "price": 12.5, "count": "3", "none": null, "ok": true,
    "items": [{"id": "a"}, {"id": "b"}], "page": {"path": "/x", "it''s": 1}}'"#;

/// Checks what each expression over `event` gives.
#[track_caller]
fn check(cases: &[(&str, Value)]) {
    let bench = Bench::new();
    for (expression, wanted) in cases {
        let query = format!("SELECT {expression} AS found FROM (SELECT {EVENT} AS event) events");
        let found = bench.query(&query)[0].get("found").cloned().unwrap_or(Value::Null);
        assert_eq!(found, *wanted, "{expression}");
    }
}

#[test]
fn parts_of_a_text_are_json_or_text() {
    check(&[
        ("event -> 'type'", json!("\"click\"")),
        ("event ->> 'type'", json!("click")),
        ("event -> 'page'", json!(r#"{"path": "/x", "it's": 1}"#)),
        ("event -> 'page' ->> 'path'", json!("/x")),
        ("event -> 'page' ->> 'it''s'", json!("1")),
        ("event -> 'items' -> 1 ->> 'id'", json!("b")),
        ("event -> 'items' -> -1 ->> 'id'", json!("b")),
        ("event #>> array['page', 'path']", json!("/x")),
        ("event #> array['items', '0']", json!(r#"{"id": "a"}"#)),
        ("event -> 'none'", json!("null")),
        ("event ->> 'none'", Value::Null),
        ("event ->> 'missing'", Value::Null),
        ("'no JSON' ->> 'a'", Value::Null),
        ("CAST(NULL AS TEXT) ->> 'a'", Value::Null),
        ("arrow_cast(event, 'Utf8View') ->> 'type'", json!("click")),
        (
            "arrow_cast(arrow_cast(event, 'Dictionary(Int32, Utf8)') ->> 'type', 'Utf8')",
            json!("click"),
        ),
    ]);
}

#[test]
fn a_part_is_cast_from_its_text() {
    check(&[
        ("(event -> 'price')::DOUBLE", json!(12.5)),
        ("(event ->> 'price')::DOUBLE", json!(12.5)),
        ("(event -> 'count')::BIGINT", json!(3)),
        ("(event -> 'ok')::BOOLEAN", json!(true)),
        ("(event -> 'none')::BIGINT", Value::Null),
        ("TRY_CAST(event -> 'type' AS BIGINT)", Value::Null),
        ("CAST(event -> 'type' AS TEXT)", json!("click")),
        ("json_get(event, 'price')::DOUBLE", json!(12.5)),
    ]);
}

/// The parser takes `=` for the stronger operator.
#[test]
fn a_condition_is_about_the_part() {
    check(&[
        ("event ->> 'type' = 'click'", json!(true)),
        ("'click' = event ->> 'type'", json!(true)),
        ("event ->> 'type' = event ->> 'type'", json!(true)),
        ("event -> 'page' ->> 'path' <> '/x'", json!(false)),
        ("event ->> 'type' LIKE 'cl%'", json!(true)),
        ("event ->> 'type' IN ('view', 'click')", json!(true)),
        ("event ->> 'type' NOT IN ('view', 'click')", json!(false)),
        ("event ->> 'none' IS NULL", json!(true)),
        ("event ->> 'type' IS NOT NULL AND event ->> 'type' > 'a'", json!(true)),
        ("event ->> 'type' BETWEEN 'a' AND 'd'", json!(true)),
        ("NOT event ->> 'type' = 'view'", json!(true)),
        ("(event ->> 'type') || '!'", json!("click!")),
    ]);
    let bench = Bench::new();
    for expression in ["'{}' ->> 'a' || 'b'", "'{}' || '{}' ->> 'a'", "'{}' -> 0 + 1"] {
        let ended = bench.command(&["sql", &format!("SELECT {expression}")]);
        assert_eq!(ended.code, 2, "{expression}: {}", ended.out);
        assert!(ended.err.contains("binds weaker"), "{expression}: {}", ended.err);
    }
}

#[test]
fn functions_about_json() {
    check(&[
        ("json_contains(event, 'type')", json!(true)),
        ("json_contains(event, 'missing')", json!(false)),
        ("json_length(event -> 'items')", json!(2)),
        ("json_object_keys(event -> 'page')", json!(["path", "it's"])),
        ("json_get_array(event, 'items')", json!([r#"{"id": "a"}"#, r#"{"id": "b"}"#])),
        ("json_get_int(event, 'price')", Value::Null),
        ("json_get_str(event, 'type')", json!("click")),
        // Whatever JSON has is printed as JSON.
        ("json_get(event, 'type')", json!("\"click\"")),
        ("json_get(event, 'price')", json!("12.5")),
        ("json_get(event, 'none')", Value::Null),
    ]);
}

#[test]
fn parts_of_rows_are_grouped_and_what_was_rescued_is_read() {
    let bench = Bench::new();
    let mut odd = session(1);
    odd["surprise"] = json!(7);
    bench.land("a.json", odd.to_string() + "\n" + &session(2).to_string() + "\n");
    bench.run();
    let rescued = "SELECT _rescued -> 0 ->> 'path' AS path, count(*) AS records
                   FROM bronze.web_sessions WHERE _rescued -> 0 ->> 'path' = 'surprise'
                   GROUP BY _rescued -> 0 ->> 'path'";
    assert_eq!(bench.query(rescued), [json!({"path": "surprise", "records": 1})]);
}

/// The parameters of an event as GA4 exports them.
const PARAMS: &str = "[struct('page' AS key, struct('/x' AS string_value,
        CAST(NULL AS BIGINT) AS int_value, CAST(NULL AS DOUBLE) AS double_value) AS value),
    struct('count' AS key, struct(CAST(NULL AS TEXT) AS string_value, 5 AS int_value,
        CAST(NULL AS DOUBLE) AS double_value) AS value),
    struct('price' AS key, struct(CAST(NULL AS TEXT) AS string_value, CAST(NULL AS BIGINT) AS int_value,
        1.5 AS double_value) AS value),
    struct('page' AS key, struct('/y' AS string_value, CAST(NULL AS BIGINT) AS int_value,
        CAST(NULL AS DOUBLE) AS double_value) AS value)]";

#[test]
fn a_parameter_is_found_by_its_key() {
    let bench = Bench::new();
    for (key, wanted) in [
        ("'page'", json!("/x")),
        ("'count'", json!("5")),
        ("'price'", json!("1.5")),
        ("'missing'", Value::Null),
        ("CAST(NULL AS TEXT)", Value::Null),
    ] {
        let query = format!("SELECT param({PARAMS}, {key}) AS found");
        let found = bench.query(&query)[0].get("found").cloned().unwrap_or(Value::Null);
        assert_eq!(found, wanted, "{key}");
    }
    let plain =
        "SELECT param([struct('a' AS key, 1 AS value), struct('b' AS key, 2 AS value)], key)
                 AS found FROM (VALUES (1, 'b'), (2, 'a')) keys (number, key) ORDER BY number";
    assert_eq!(bench.query(plain), [json!({"found": 2}), json!({"found": 1})]);
    for wrong in ["param('a', 'b')", "param([1], 'b')", "param([struct(1 AS key)], 'b')"] {
        let ended = bench.command(&["sql", &format!("SELECT {wrong}")]);
        assert_eq!(ended.code, 2, "{wrong}: {}", ended.out);
        assert!(ended.err.contains("STRUCT(key, value)"), "{wrong}: {}", ended.err);
    }
}
