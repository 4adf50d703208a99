//! Bronze tables whose declaration changes after rows have landed: nothing is lost, and nobody has to
//! do more than to run.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, entry};

const ROWS: &str = "SELECT * FROM bronze.s ORDER BY _source, _position";

/// A project of one source, whose section says `section` besides its path, and of some models.
fn project(columns: &str, section: &str, models: &[(&str, &str, &str)]) -> Bench {
    let bench = Bench::bare();
    fs::create_dir(bench.path("s")).unwrap();
    let mut pipeline = format!("[source.s.files]\npath = \"s\"\n{section}\n");
    for (table, section, sql) in models {
        pipeline += &format!("[model.\"{table}\"]\n{section}\n");
        fs::write(bench.path(&format!("sql/{}.sql", table.replace('.', "/"))), sql).unwrap();
    }
    fs::write(bench.path("pipelines/p.toml"), pipeline).unwrap();
    declare(&bench, columns);
    bench
}

fn declare(bench: &Bench, columns: &str) {
    fs::write(bench.path("sql/bronze/s.sql"), format!("CREATE TABLE s ({columns})")).unwrap();
}

fn land(bench: &Bench, name: &str, records: &[Value]) {
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    fs::write(bench.path("s").join(name), lines).unwrap();
}

#[test]
fn a_type_goes_forth_and_back_and_the_models_follow() {
    let silver = "SELECT id, CAST(n AS TEXT) AS n, _batch, _source, _position FROM bronze.s";
    let gold = "SELECT n, count(*) AS c FROM silver.s GROUP BY n";
    let models = [
        ("silver.s", "strategy = \"upsert\"\nby = [\"id\"]", silver),
        ("gold.n", "strategy = \"recompute\"\nby = [\"n\"]", gold),
    ];
    let new = || project("id TEXT, n BIGINT, other DOUBLE", "", &models);
    let first = [
        json!({"id": "1", "n": 1, "other": 0.5}),
        json!({"id": "2", "n": "two"}),
        json!({"id": "3"}),
        json!({"id": "4", "n": 4, "extra": true}),
    ];
    let bench = new();
    land(&bench, "a.json", &first);
    bench.run();
    let before = bench.query(ROWS);

    declare(&bench, "id TEXT, n TEXT, other DOUBLE");
    let said = "n was BIGINT and is TEXT";
    let plan = bench.command(&["plan"]).ok();
    assert!(plan.contains(said) && plan.contains("bronze.s will be made anew"), "{plan}");
    assert_eq!(bench.query(ROWS), before, "a plan changes nothing");
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.s")["redeclared"], said);
    let model = entry(&report, "silver.s");
    let reason = format!("bronze.s was declared anew: {said}");
    assert_eq!((&model["strategy"], &model["reason"]), (&json!("full"), &json!(reason)));
    bench.command(&["verify"]).ok();
    // The same as if it had been declared so at first.
    let columns = "SELECT id, n, other, _rescued, _position FROM bronze.s ORDER BY _position";
    let fresh = new();
    declare(&fresh, "id TEXT, n TEXT, other DOUBLE");
    land(&fresh, "a.json", &first);
    fresh.run();
    assert_eq!(bench.query(columns), fresh.query(columns));
    assert_eq!(bench.content("gold.n"), fresh.content("gold.n"));
    assert_eq!(bench.value("SELECT n FROM bronze.s WHERE id = '2'"), "two");
    assert_eq!(entry(&bench.run(), "silver.s")["strategy"], "none");

    // With what has landed meanwhile.
    declare(&bench, "id TEXT, n BIGINT, other DOUBLE");
    land(&bench, "b.json", &[json!({"id": "5", "n": 5})]);
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.s")["rows_landed"], 1);
    let after = bench.query(ROWS);
    assert_eq!(after[..4], before);
    assert_eq!(after[4]["n"], 5);
    bench.command(&["verify"]).ok();
}

/// In turn each column has each of these types.
const TYPES: [&str; 7] =
    ["BIGINT", "DOUBLE", "TEXT", "BOOLEAN", "ARRAY<TEXT>", "STRUCT<x BIGINT>", "JSON"];

fn columns_of_turn(turn: usize) -> String {
    let column = |column: usize| format!("v{column} {}", TYPES[(column + turn) % TYPES.len()]);
    (0..TYPES.len()).map(column).collect::<Vec<_>>().join(", ")
}

/// Rows of values, each of the type that its column has at first.
fn values() -> [[Value; 7]; 5] {
    [
        [
            json!(i64::MAX),
            json!(0.1),
            json!("a \"ü\" \\ \n"),
            json!(true),
            json!([]),
            json!({}),
            json!(1),
        ],
        [
            json!(-5),
            json!(5),
            json!(""),
            json!(false),
            json!(["a", null]),
            json!({"x": 1}),
            json!("t"),
        ],
        [
            json!(0),
            json!(1e300),
            json!("12"),
            json!(null),
            json!(["1", "2"]),
            json!({"x": null}),
            json!([1, 2]),
        ],
        [
            json!(9_007_199_254_740_993_i64),
            json!(-0.0),
            json!("{\"x\":1}"),
            json!(true),
            json!([""]),
            json!({"x": -1}),
            json!({"a": {"b": [1, "c"]}}),
        ],
        [
            json!(null),
            json!(null),
            json!(null),
            json!(null),
            json!(null),
            json!(null),
            json!(false),
        ],
    ]
}

#[test]
fn each_type_may_become_each_other_and_comes_back_as_it_was() {
    let records: Vec<Value> = values()
        .into_iter()
        .map(|row| (0..).zip(row).map(|(column, value)| (format!("v{column}"), value)).collect())
        .collect();
    for section in ["", "keep-raw = \"always\""] {
        let bench = project(&columns_of_turn(0), section, &[]);
        land(&bench, "a.json", &records);
        let report = bench.run();
        assert_eq!(entry(&report, "bronze.s")["rows_rescued"], 0, "all fit at first");
        let before = bench.query(ROWS);
        for turn in 1..=TYPES.len() {
            declare(&bench, &columns_of_turn(turn));
            let report = bench.run();
            assert!(entry(&report, "bronze.s")["redeclared"].is_string(), "{report:#}");
            assert_eq!(bench.value("SELECT count(*) FROM bronze.s"), records.len());
        }
        assert_eq!(bench.query(ROWS), before, "{section}");
    }
}

#[test]
fn a_column_that_goes_is_rescued_and_comes_back() {
    let bench = project("id TEXT, n BIGINT, tags ARRAY<TEXT>", "", &[]);
    // More items than are rescued one by one when the record's text is kept.
    let many: Vec<String> = (0..1500).map(|number| number.to_string()).collect();
    land(&bench, "a.json", &[json!({"id": "1", "n": 1, "tags": many}), json!({"id": "2"})]);
    bench.run();
    let before = bench.query(ROWS);
    declare(&bench, "id TEXT, tags ARRAY<BIGINT>");
    let report = bench.run();
    let said = "tags was ARRAY<TEXT> and is ARRAY<BIGINT>; n BIGINT went";
    assert_eq!(entry(&report, "bronze.s")["redeclared"], said);
    let rescued = bench.value("SELECT _rescued FROM bronze.s WHERE id = '1'");
    let rescued: Vec<Value> = serde_json::from_str(rescued.as_str().unwrap()).unwrap();
    assert_eq!(rescued.len(), 1501);
    assert!(rescued.contains(&json!({"path": "n", "value": 1, "reason": "unknown field"})));
    assert_eq!(bench.value("SELECT _rescued FROM bronze.s WHERE id = '2'"), Value::Null);
    let described = bench.command(&["sql", "SELECT n FROM bronze.s"]);
    assert_eq!(described.code, 2, "{}", described.out);
    declare(&bench, "id TEXT, n BIGINT, tags ARRAY<TEXT>");
    bench.run();
    assert_eq!(bench.query(ROWS), before);
}

#[test]
fn a_column_that_comes_is_filled_from_what_was_rescued() {
    let bench = project("id TEXT, ctx STRUCT<a BIGINT>", "", &[]);
    land(&bench, "a.json", &[json!({"id": "1", "ctx": {"a": 1}})]);
    bench.run();
    land(
        &bench,
        "b.json",
        &[
            json!({"id": "2", "ctx": {"a": 2, "b": "x"}, "experiment": "b-17"}),
            json!({"id": "3", "experiment": 3}),
        ],
    );
    bench.run();
    declare(&bench, "id TEXT, experiment TEXT, ctx STRUCT<a BIGINT>");
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.s")["redeclared"], "experiment TEXT came");
    let rows = bench.query("SELECT id, experiment, _rescued FROM bronze.s ORDER BY id");
    let values: Vec<&Value> = rows.iter().map(|row| &row["experiment"]).collect();
    assert_eq!(values, [&Value::Null, &json!("b-17"), &Value::Null]);
    let rescued = |row: usize| rows[row]["_rescued"].as_str().unwrap_or_default().to_owned();
    assert!(rescued(1).contains("ctx.b") && !rescued(1).contains("experiment"), "{}", rescued(1));
    assert!(rescued(2).contains("expected TEXT, found integer"), "{}", rescued(2));
    // A field of a STRUCT.
    declare(&bench, "id TEXT, experiment TEXT, ctx STRUCT<a BIGINT, b TEXT>");
    bench.run();
    let rows =
        bench.query("SELECT ctx['a'] AS a, ctx['b'] AS b, _rescued FROM bronze.s ORDER BY id");
    assert_eq!((&rows[0]["a"], &rows[0]["b"]), (&json!(1), &Value::Null));
    assert_eq!((&rows[1]["a"], &rows[1]["b"]), (&json!(2), &json!("x")));
    assert_eq!(rows[1]["_rescued"], Value::Null);
    assert_eq!(entry(&bench.run(), "bronze.s")["redeclared"], Value::Null);
}

#[test]
fn json_stays_as_it_stands_when_another_column_changes() {
    let bench = project("id TEXT, payload JSON, n BIGINT", "", &[]);
    fs::write(bench.path("s/a.json"), "{\"id\":\"1\",\"payload\":{ \"a\" : 1.50 },\"n\":1}\n")
        .unwrap();
    bench.run();
    let payload = "SELECT payload FROM bronze.s";
    for columns in ["id TEXT, payload JSON, n TEXT", "n TEXT, payload JSON, id TEXT"] {
        declare(&bench, columns);
        bench.run();
        assert_eq!(bench.value(payload), "{ \"a\" : 1.50 }", "{columns}");
    }
    declare(&bench, "id TEXT, payload TEXT, n TEXT");
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.s")["redeclared"], "payload was JSON and is TEXT");
    assert_eq!(bench.value(payload), Value::Null);
    declare(&bench, "id TEXT, payload JSON, n TEXT");
    bench.run();
    assert_eq!(bench.value(payload), "{ \"a\" : 1.50 }");
}

#[test]
fn what_is_declared_anew_is_a_line_of_the_plan_and_of_the_report() {
    let bench = project("id TEXT, n BIGINT", "", &[]);
    land(&bench, "a.json", &[json!({"id": "1", "n": 1})]);
    bench.run();
    declare(&bench, "id TEXT, n TEXT");
    let line = |said: &str| {
        let line = said.lines().find(|line| line.starts_with("bronze.s ")).unwrap_or_default();
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let planned = bench.command(&["plan"]).ok();
    assert_eq!(line(&planned), ["bronze.s", "rewrite"], "{planned}");
    assert!(planned.contains("n was BIGINT and is TEXT"), "{planned}");
    assert!(!planned.contains("unchanged"), "{planned}");
    let said = bench.command(&["run"]).ok();
    assert_eq!(line(&said), ["bronze.s", "rewrite"], "{said}");
    assert!(said.contains("1 rows more have something in _rescued"), "{said}");
    let planned = bench.command(&["plan"]).ok();
    assert!(planned.contains("1 table unchanged"), "{planned}");
}

#[test]
fn columns_of_csv_follow_their_declaration() {
    let bench = project("id TEXT, n BIGINT, price DOUBLE", "", &[]);
    fs::write(bench.path("s/a.csv"), "id,n,price\na,1,0.5\nb,x,2\n").unwrap();
    bench.run();
    let before = bench.query(ROWS);
    declare(&bench, "id TEXT, n TEXT, price TEXT");
    bench.run();
    let rows = bench.query("SELECT n, price, _rescued FROM bronze.s ORDER BY id");
    for (row, (n, price)) in rows.iter().zip([("1", "0.5"), ("x", "2")]) {
        assert_eq!((&row["n"], &row["price"]), (&json!(n), &json!(price)));
        assert_eq!(row["_rescued"], Value::Null, "{row}");
    }
    declare(&bench, "id TEXT, n BIGINT, price DOUBLE");
    bench.run();
    assert_eq!(bench.query(ROWS), before);
}

#[test]
fn another_order_of_columns_is_planned_and_reported() {
    let silver = "SELECT id, n FROM bronze.s";
    let bench = project("id TEXT, n BIGINT", "", &[("silver.s", "strategy = \"append\"", silver)]);
    land(&bench, "a.json", &[json!({"id": "1", "n": 1})]);
    bench.run();
    declare(&bench, "n BIGINT, id TEXT");
    let planned = bench.command(&["plan"]).ok();
    let said = "its columns stand in another order";
    assert!(planned.contains(said), "{planned}");
    assert!(planned.contains("bronze.s will be made anew"), "{planned}");
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.s")["redeclared"], said);
    assert_eq!(entry(&report, "silver.s")["strategy"], "full");
    assert!(bench.command(&["plan"]).ok().contains("nothing to do"));
}
