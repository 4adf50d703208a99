//! Moments as people and programs write them, as a table: `tests/instants.csv` says for each text the
//! moment that it names, or nothing if it names none or could name two, and why.

use crate::support::Bench;

/// Letters that look like others are written as escapes in the table.
const ESCAPES: [(&str, &str); 4] = [
    ("\\u00a0", "\u{a0}"),
    ("\\u202f", "\u{202f}"),
    ("\\u2009", "\u{2009}"),
    ("\\u2212", "\u{2212}"),
];

/// A row of the table: text, instant, why.
fn rows() -> Vec<[String; 3]> {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instants.csv");
    let rows = csv::Reader::from_path(table).unwrap().into_deserialize();
    rows.map(Result::unwrap)
        .map(|[text, instant, why]: [String; 3]| {
            let text = ESCAPES.iter().fold(text, |text, (name, letter)| text.replace(name, letter));
            [text, instant, why]
        })
        .collect()
}

#[test]
fn every_text_of_the_table_names_its_moment() {
    let rows = rows();
    let texts = rows.iter().enumerate().map(|(number, [text, ..])| {
        let text = text.replace('\'', "''");
        format!("({number}, '{text}')")
    });
    let query = format!(
        "SELECT instant(text) AS instant FROM (VALUES {}) texts (number, text) ORDER BY number",
        texts.collect::<Vec<_>>().join(", ")
    );
    let found = Bench::new().query(&query);
    assert_eq!(found.len(), rows.len());
    let wrong = rows
        .iter()
        .zip(&found)
        .filter(|([_, instant, _], found)| found["instant"].as_str().unwrap_or_default() != instant)
        .map(|(row, found)| format!("{row:?}: {}", found["instant"]));
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_text_stands_twice_in_the_table() {
    let mut texts: Vec<_> = rows().into_iter().map(|[text, ..]| text).collect();
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count);
}

#[test]
fn numbers_need_not_be_texts() {
    let bench = Bench::new();
    for (number, moment) in [
        ("1751362200", "2025-07-01T09:30:00Z"),
        ("1751362200125", "2025-07-01T09:30:00.125Z"),
        ("1751362200.125", "2025-07-01T09:30:00.125Z"),
        ("20250701", "2025-07-01T00:00:00Z"),
        ("20250701093000", "2025-07-01T09:30:00Z"),
        ("20250701.0", "2025-07-01T00:00:00Z"),
        ("instant('2025-07-01')", "2025-07-01T00:00:00Z"),
        ("DATE '2025-07-01'", "2025-07-01T00:00:00Z"),
    ] {
        assert_eq!(bench.value(&format!("SELECT instant({number})")), moment, "{number}");
    }
    let nothing = bench.value("SELECT instant(0) IS NULL AND instant(true) IS NULL");
    assert_eq!(nothing, true);
}
