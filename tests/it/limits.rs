//! What goes beyond the limits: a clear error with the right exit code, never a panic, a full memory or
//! the end of the process.

use std::fs;

use crate::support::{Bench, session};

fn refused(bench: &Bench, sql: &str, code: u8, wanted: &str) {
    let ended = bench.command(&["sql", sql]);
    let shown: String = sql.chars().take(100).collect();
    assert_eq!(ended.code, code, "{shown}: {}", ended.err);
    assert!(ended.err.contains(wanted), "{shown}: {}", ended.err);
}

#[test]
fn intervals_that_are_no_length_are_refused_with_their_value() {
    let bench = Bench::new();
    for (gap, wanted) in [
        ("999999999 days", "`999999999 days`: the interval is too long"),
        ("-1 days", "negative"),
        ("1 month", "an interval of months has no length"),
    ] {
        let number = format!(
            "SELECT session_number(instant('2025-07-01'), INTERVAL '{gap}', INTERVAL '1 day') OVER ()"
        );
        refused(&bench, &number, 4, wanted);
    }
}

#[test]
fn a_lookback_that_is_too_long_stops_the_run_with_its_value() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.edit(
        "pipelines/web_traffic.toml",
        "lookback = \"30 days\"",
        "lookback = \"999999999 days\"",
    );
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert!(ended.err.contains("`999999999 days`: the interval is too long"), "{}", ended.err);
}

#[test]
fn the_largest_counts_do_not_overflow() {
    let bench = Bench::new();
    let effects = "SELECT array_length(removal_effects('a', 9223372036854775807, 1)) \
                   FROM generate_series(1, 5)";
    assert_eq!(bench.value(effects), 1);
}

#[test]
fn values_of_gigabytes_are_refused_before_they_are_made() {
    let bench = Bench::new();
    for (sql, wanted) in [
        ("SELECT length(repeat('x', 1000000000))", "repeat would make a value of 1000000000 bytes"),
        ("SELECT length(lpad('x', 1000000000))", "lpad would make"),
        ("SELECT length(rpad('x', 1000000000))", "rpad would make"),
        ("SELECT array_length(range(0, 1000000000))", "range would make"),
        ("SELECT array_length(generate_series(1, 1000000000))", "generate_series would make"),
        ("SELECT array_length(array_repeat(1, 1000000000))", "array_repeat would make"),
        ("SELECT array_length(list_repeat('abc', 1000000000))", "array_repeat would make"),
        ("SELECT array_length(array_resize([1], 1000000000, 0))", "array_resize would make"),
        (
            "SELECT length(repeat(CAST(value AS VARCHAR), 10000000)) FROM generate_series(1, 1000)",
            "for 1000 rows",
        ),
    ] {
        refused(&bench, sql, 4, wanted);
    }
    let every_row = "SELECT repeat('x', 10000000) FROM generate_series(1, 1000)";
    refused(&bench, every_row, 2, "would be written for every row");
    assert_eq!(bench.value("SELECT length(repeat('x', 10000000))"), 10_000_000);
    assert_eq!(bench.value("SELECT array_length(range(0, 1000000))"), 1_000_000);
}

#[test]
fn statements_that_nest_too_deep_are_refused() {
    let bench = Bench::new();
    let many = |part: &str, by: &str, count: usize| vec![part; count].join(by);
    for (sql, wanted) in [
        (format!("SELECT {}", many("1", "+", 20_000)), "more than 2000 terms"),
        (format!("SELECT 1 WHERE {}", many("1 = 1", " OR ", 5000)), "more than 2000 terms"),
        (many("SELECT 1", " UNION ", 1900), "more than 500 queries"),
        (format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)), "nests deeper"),
        (format!("SELECT {}1{}", "abs(".repeat(5000), ")".repeat(5000)), "nests deeper"),
        (format!("SELECT {}true", "NOT ".repeat(5000)), "nests deeper"),
        (format!("{}SELECT 1{}", "SELECT * FROM (".repeat(60), ")".repeat(60)), "nests too deep"),
        (
            format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(5000), " END".repeat(5000)),
            "nests deeper",
        ),
        (
            format!("SELECT CAST(NULL AS {}INT{})", "ARRAY<".repeat(5000), ">".repeat(5000)),
            "nests deeper",
        ),
    ] {
        refused(&bench, &sql, 2, wanted);
    }
}

#[test]
fn statements_as_programs_write_them_are_answered() {
    let bench = Bench::new();
    let numbers: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let list = format!(
        "SELECT count(*) FROM generate_series(1, 9) WHERE value IN ({})",
        numbers.join(",")
    );
    assert_eq!(bench.value(&list), 9);
    let ors: Vec<_> = (0..500).map(|number| format!("value = {number}")).collect();
    let ors = format!("SELECT count(*) FROM generate_series(1, 9) WHERE {}", ors.join(" OR "));
    assert_eq!(bench.value(&ors), 9);
    let unions = vec!["SELECT 1 AS one"; 200].join(" UNION ALL ");
    assert_eq!(bench.value(&format!("SELECT sum(one) FROM ({unions})")), 200);
    let brackets = format!("SELECT {}7{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(bench.value(&brackets), 7);
}

#[test]
fn a_declaration_that_nests_too_deep_is_refused_with_its_file() {
    let bench = Bench::new();
    let nested = format!("visit_count {}TEXT{}", "ARRAY<".repeat(5000), ">".repeat(5000));
    bench.edit("sql/bronze/web_sessions.sql", "visit_count BIGINT", &nested);
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("sql/bronze/web_sessions.sql:"), "{}", ended.err);
    assert!(ended.err.contains("nests deeper than"), "{}", ended.err);
}

#[test]
fn a_long_line_with_a_mistake_is_not_shown_whole() {
    let bench = Bench::new();
    let columns = vec!["1 AS a"; 5000].join(", ");
    let ended = bench.command(&["sql", &format!("SELECT {columns}, nowhere FROM (SELECT 1 AS b)")]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.len() < 2000, "{} bytes", ended.err.len());
}

#[test]
fn models_whose_results_differ_from_run_to_run_are_refused() {
    for (call, name) in [
        ("CAST(random() AS BIGINT)", "random"),
        ("CAST(extract(year FROM current_timestamp) AS BIGINT)", "now"),
        ("CAST(extract(year FROM CURRENT_DATE) AS BIGINT)", "current_date"),
        ("length(uuid())", "uuid"),
    ] {
        let bench = Bench::new();
        let from = "count(*) AS sessions,";
        let line = |text: &str| text.lines().position(|line| line.contains(from)).unwrap() + 1;
        let line = line(&fs::read_to_string(bench.path("sql/gold/page_engagement.sql")).unwrap());
        bench.edit(
            "sql/gold/page_engagement.sql",
            from,
            &format!("count(*) + max({call}) AS sessions,"),
        );
        let ended = bench.command(&["run"]);
        assert_eq!(ended.code, 2, "{call}: {}", ended.err);
        let wanted = format!(
            "sql/gold/page_engagement.sql:{line}: `{name}()` gives something else in every run"
        );
        assert!(ended.err.contains(&wanted), "{wanted}\nis not in\n{}", ended.err);
    }
}

#[test]
fn expectations_whose_results_differ_are_refused_and_queries_by_hand_are_not() {
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "check = \"session_date IS NOT NULL\"",
        "check = \"session_date < current_date\"",
    );
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let text = fs::read_to_string(bench.path("pipelines/web_traffic.toml")).unwrap();
    let line = text.lines().position(|line| line.contains("current_date")).unwrap() + 1;
    let wanted = format!(
        "pipelines/web_traffic.toml:{line}: `current_date()` gives something else in every run"
    );
    assert!(ended.err.contains(&wanted), "{}", ended.err);
    assert_eq!(bench.value("SELECT random() < 2 AND now() > TIMESTAMP '2020-01-01'"), true);
}

#[test]
fn chance_in_a_subquery_of_a_model_is_refused() {
    let bench = Bench::new();
    bench.edit(
        "sql/silver/visit_count.sql",
        "FROM silver.sessions",
        "FROM (SELECT * FROM silver.sessions WHERE random() < 2) AS sessions",
    );
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("sql/silver/visit_count.sql:"), "{}", ended.err);
    assert!(ended.err.contains("`random()` gives something else"), "{}", ended.err);
}

#[test]
fn a_model_without_columns_is_refused() {
    let bench = Bench::new();
    fs::write(bench.path("sql/gold/page_engagement.sql"), "SELECT FROM silver.sessions").unwrap();
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let wanted = "sql/gold/page_engagement.sql: it selects no column";
    assert!(ended.err.contains(wanted), "{}", ended.err);
}

#[test]
fn a_bad_regular_expression_is_a_mistake_of_the_query() {
    let bench = Bench::new();
    let texts = "FROM (SELECT CAST(value AS VARCHAR) AS t FROM generate_series(1, 3))";
    for condition in [
        "'a' ~ '('",
        "t ~ '('",
        "t SIMILAR TO '('",
        "regexp_like(t, '(')",
        "regexp_replace(t, '(', '') = ''",
        "regexp_count(t, '(') = 1",
    ] {
        refused(&bench, &format!("SELECT {condition} {texts}"), 2, "(");
    }
}

#[test]
fn our_functions_refuse_wrong_types_and_numbers() {
    let bench = Bench::new();
    for sql in [
        "SELECT journeys(1, INTERVAL '1 day', 5)",
        "SELECT journeys([1], INTERVAL '1 day', 5)",
        "SELECT journeys([struct(instant('2025-07-01'), 'a', 'b', true)], INTERVAL '1 day', -5)",
        "SELECT journeys([struct(instant('2025-07-01'), 'a', 'b', true)], INTERVAL '-1 day', 5)",
        "SELECT journeys([struct(instant('2025-07-01'), 'a', 'b', true)], true, 5)",
        "SELECT count_events(1, 'click')",
        "SELECT count_events([1], 'click')",
        "SELECT first_event([1], 2, 'a', 'b')",
        "SELECT session_number(true, INTERVAL '1 day', INTERVAL '1 day') OVER ()",
        "SELECT session_number(instant('2025-07-01'), true, false) OVER ()",
    ] {
        let ended = bench.command(&["sql", sql]);
        assert!(matches!(ended.code, 2 | 4), "{sql}: {} {}", ended.code, ended.err);
        assert!(!ended.err.contains("panicked"), "{sql}: {}", ended.err);
    }
}
