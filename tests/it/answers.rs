//! How answers, reports and help look, for people and for programs.

use serde_json::{Value, json};

use crate::support::{Bench, MODELS, session};

const NESTED: &str = "SELECT make_array(1, NULL) AS list, named_struct('a', 'x,\"y\"', 'b', NULL) AS one, \
                      2 AS n UNION ALL SELECT NULL, NULL, 3 ORDER BY n";

#[test]
fn csv_holds_nested_values_as_json() {
    let bench = Bench::new();
    assert_eq!(
        bench.command(&["sql", "--format", "csv", NESTED]).ok(),
        "list,one,n\n\"[1,null]\",\"{\"\"a\"\":\"\"x,\\\"\"y\\\"\"\"\",\"\"b\"\":null}\",2\n,,3\n"
    );
    let none = format!("SELECT * FROM ({NESTED}) WHERE n > 9");
    assert_eq!(bench.command(&["sql", "--format", "csv", &none]).ok(), "list,one,n\n");
}

#[test]
fn several_answers_are_told_apart_in_every_format() {
    let bench = Bench::new();
    let two = "SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a; SELECT 'x' AS b;";
    let answers = |format: &str| bench.command(&["sql", "--format", format, two]).ok();
    let lines: Vec<Value> =
        answers("json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [json!([{"a": 1}, {"a": 2}]), json!([{"b": "x"}])]);
    assert_eq!(answers("ndjson"), "{\"a\":1}\n{\"a\":2}\n\n{\"b\":\"x\"}\n");
    assert_eq!(answers("markdown"), "| a |\n| ---: |\n| 1 |\n| 2 |\n\n| b |\n| --- |\n| x |\n");
    let table = answers("table");
    assert!(table.contains("(2 rows)\n\n+---+\n| b |"), "{table}");
}

#[test]
fn ndjson_says_null_and_nothing_for_no_rows() {
    let bench = Bench::new();
    let sql = "SELECT CAST(NULL AS TEXT) AS a, '' AS b";
    assert_eq!(
        bench.command(&["sql", "--format", "ndjson", sql]).ok(),
        "{\"a\":null,\"b\":\"\"}\n"
    );
    let none = format!("{sql} WHERE false");
    assert_eq!(bench.command(&["sql", "--format", "ndjson", &none]).ok(), "");
}

#[test]
fn a_table_tells_null_from_nothing_and_counts_its_rows() {
    let bench = Bench::new();
    let sql = "SELECT CAST(NULL AS TEXT) AS a, '' AS b, 7 AS n UNION ALL SELECT 'x', 'y', 1234 ORDER BY n";
    assert_eq!(
        bench.command(&["sql", sql]).ok(),
        "+------+---+------+\n\
         | a    | b | n    |\n\
         +------+---+------+\n\
         | NULL |   |    7 |\n\
         | x    | y | 1234 |\n\
         +------+---+------+\n\
         (2 rows)\n"
    );
}

#[test]
fn what_did_not_change_is_one_line_unless_all_is_asked_for() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    let first = bench.command(&["run"]).ok();
    assert!(first.contains("silver.sessions ") && !first.contains("unchanged"), "{first}");
    // The models, and the table that the source lands in.
    let tables = MODELS.len() + 1;
    for command in ["run", "plan"] {
        let short = bench.command(&[command]).ok();
        assert!(short.starts_with(&format!("{tables} tables unchanged\n")), "{short}");
        assert!(!short.contains("silver.sessions"), "{short}");
        let long = bench.command(&[command, "-v"]).ok();
        assert!(long.contains("silver.sessions ") && !long.contains("unchanged"), "{long}");
    }
}

#[test]
fn quiet_leaves_out_notes_and_keeps_answers_and_errors() {
    let bench = Bench::new();
    let sql = "SELECT value AS n FROM generate_series(1, 9)";
    let ended = bench.command(&["sql", "-q", "--rows", "3", sql]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.ends_with("(the first 3 rows)\n"), "{}", ended.out);
    let ended = bench.command(&["sql", "-q", "--timing", sql]);
    assert!(ended.err.starts_with("Time: "), "what was asked for is said: {}", ended.err);
    assert!(bench.command(&["sql", "-q", "SELECT nothing"]).err.starts_with("error: "));
    assert_eq!(bench.command(&["sql", "-q", "-v", sql]).code, 2);
}

#[test]
fn every_command_says_how_it_is_used_and_what_its_exit_codes_mean() {
    let bench = Bench::new();
    let commands = [
        "run",
        "plan",
        "verify",
        "sql",
        "tables",
        "infer",
        "init",
        "generate",
        "completions",
        "man",
    ];
    for command in commands {
        let help = bench.command(&[command, "--help"]).ok();
        assert!(help.contains(&format!("Examples:\n  clickwatch {command}")), "{help}");
        assert!(help.contains("  130  stopped, as asked"), "{help}");
    }
    let help = bench.command(&["tables", "history", "--help"]).ok();
    assert!(help.contains("clickwatch tables history silver.sessions"), "{help}");
}

#[test]
fn shells_and_the_manual_are_told_every_command() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = bench.command(&["completions", shell]).ok();
        for word in ["clickwatch", "verify", "at-version", "full-refresh"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let page = bench.command(&["man"]).ok();
    assert!(page.contains(".TH clickwatch 1") && page.contains("Exit codes"), "{page}");
    let page = bench.command(&["man", "sql"]).ok();
    assert!(page.contains("at\\-version"));
    assert!(page.contains(concat!("\"clickwatch ", env!("CARGO_PKG_VERSION"), "\"")), "{page}");
    let wrong = bench.command(&["man", "slq"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean `sql`?"), "{}", wrong.err);
}
