//! What people see of data that was not made for a terminal.

use serde_json::json;

use crate::support::{Bench, session};

/// Moves the cursor, rings, names the window, breaks lines, turns the direction, and is C1.
const WILD: &str = "a\u{1b}[31m\u{7}\u{1b}]0;x\u{9c}\n\tb\r\u{85}\u{202e}c\u{2066}d|";
const SQL: &str = "SELECT 'a' || chr(27) || '[31m' || chr(7) || chr(27) || ']0;x' || chr(156) || chr(10) || \
                   chr(9) || 'b' || chr(13) || chr(133) || chr(8238) || 'c' || chr(8294) || 'd|' AS wild, 1 AS n";

/// Whether a terminal or a reader would be misled by `text`.
fn is_wild(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && c.is_control() || "\u{202e}\u{2066}".contains(c))
}

#[test]
fn tables_show_control_characters_escaped_and_data_stays_exact() {
    let bench = Bench::new();
    let table = bench.command(&["sql", SQL]).ok();
    assert!(!is_wild(&table), "{table:?}");
    assert_eq!(table.lines().count(), 1 + 4 + 1, "one row is one line: {table}");
    assert!(
        table
            .contains("a\\u{1b}[31m\\u{7}\\u{1b}]0;x\\u{9c}\\n\\tb\\r\\u{85}\\u{202e}c\\u{2066}d|"),
        "{table}"
    );
    let widths: Vec<_> = table.lines().take(5).map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| width == widths.first().unwrap()), "{table}");
    assert_eq!(bench.query(SQL), [json!({"wild": WILD, "n": 1})]);
    let csv = bench.command(&["sql", "--format", "csv", SQL]).ok();
    assert_eq!(csv, format!("wild,n\n\"{WILD}\",1\n"));
}

#[test]
fn names_of_columns_are_shown_escaped_too() {
    let bench = Bench::new();
    let table = bench.command(&["sql", "SELECT 1 AS \"x\u{1b}[2J\ny\""]).ok();
    assert!(!is_wild(&table) && table.contains("x\\u{1b}[2J\\ny"), "{table:?}");
}

#[test]
fn a_plan_keeps_its_lines() {
    let bench = Bench::new();
    let plan = bench.command(&["sql", "EXPLAIN SELECT count(*) FROM generate_series(1, 9)"]).ok();
    assert!(plan.lines().count() > 6 && !plan.contains("\\n"), "{plan}");
}

#[test]
fn errors_and_reports_show_names_and_values_escaped() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    let odd = bench.path("\u{1b}[31modd\u{202e}");
    let odd = odd.to_str().unwrap();
    for arguments in [
        ["sql", "-f", odd].as_slice(),
        &["run", "--source", &format!("web_sessions={odd}")],
        &["run", "\u{1b}[31mpipeline"],
        &["sql", "SELECT \"\u{1b}[31m\" FROM gold.\"\u{1b}]0;\""],
        &["sql", "SELECT CAST('\u{1b}[31m' AS BIGINT)"],
        &["run", "--select", "\u{1b}[31m"],
        &["\u{1b}[31mverb"],
    ] {
        let ended = bench.command(arguments);
        assert_ne!(ended.code, 0, "{arguments:?}");
        assert!(!is_wild(&ended.err) && !is_wild(&ended.out), "{arguments:?}: {:?}", ended.err);
    }
    std::fs::create_dir(odd).unwrap();
    let made = bench.command(&["generate", "sessions", odd, "--count", "1"]).ok();
    assert!(!is_wild(&made), "{made:?}");
}

#[test]
fn of_a_long_line_the_piece_around_the_mistake_is_shown() {
    let bench = Bench::new();
    let long = (0..2000).map(|number| format!("{number}, ")).collect::<String>();
    let more = (2000..4000).map(|number| format!("{number}, ")).collect::<String>();
    for sql in [
        format!("SELECT {long} nothing_like_it, {more} 4000 FROM generate_series(1, 2)"),
        format!("SELECT {long} 1 FRUM FROM {more}"),
        format!("SELECT '{}' 'x' y z", "q".repeat(100_000)),
    ] {
        let ended = bench.command(&["sql", &sql]);
        assert_eq!(ended.code, 2);
        assert!(ended.err.len() < 2000, "{} bytes", ended.err.len());
        let lines: Vec<_> = ended.err.lines().collect();
        let mark =
            lines.iter().position(|line| line.trim_start_matches(['|', ' ']) == "^").unwrap();
        assert!(lines[mark - 1].chars().count() < 130, "{}", lines[mark - 1]);
    }
    let sql = format!("SELECT {long} nothing_like_it FROM generate_series(1, 2)");
    let err = bench.command(&["sql", &sql]).err;
    let lines: Vec<Vec<char>> = err.lines().map(|line| line.chars().collect()).collect();
    let mark = lines.iter().position(|line| line.last() == Some(&'^')).unwrap();
    let place = lines[mark].len() - 1;
    let marked: String = lines[mark - 1][place..].iter().take(15).collect();
    assert_eq!(marked, "nothing_like_it", "{err}");
}

#[test]
fn long_mistakes_in_files_are_cut() {
    let bench = Bench::new();
    let long = "x".repeat(50_000);
    bench.edit("sql/channel_rules.csv", "Direct,,-,-,,,\n", &format!("Direct,,-,-({long},,,\n"));
    std::fs::write(bench.path("sql/gold/funnel.sql"), format!("SELECT 1 '{long}' '{long}'"))
        .unwrap();
    bench.edit("pipelines/web_traffic.toml", "schedule = \"", &format!("schedule = \"{long}"));
    let ended = bench.command(&["plan"]);
    assert_eq!(ended.code, 2);
    for file in
        ["sql/channel_rules.csv:8", "sql/gold/funnel.sql:1:", "pipelines/web_traffic.toml:3:"]
    {
        assert!(ended.err.contains(file), "{file}: {}", ended.err);
    }
    assert!(ended.err.len() < 5000, "{} bytes", ended.err.len());
}
