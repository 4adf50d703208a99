//! The same records in every layout give the same tables.

use std::io::Write as _;

use serde_json::Value;

use crate::support::{Bench, MODELS, entry, session};

const COUNT: u64 = 120;

fn records() -> Vec<Value> {
    (0..COUNT).map(session).collect()
}

fn ndjson(records: &[Value], end: &str) -> String {
    records.iter().map(|record| format!("{record}{end}")).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The tables that are compared.
fn tables() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain(["ops.quarantine"])
}

/// What all tables hold after the files that `land` puts there were run.
fn contents(land: impl Fn(&Bench)) -> Vec<Vec<String>> {
    let bench = Bench::new();
    land(&bench);
    // One broken record, so that quarantine is compared too.
    bench.land("zzz.json", "{\"session_id\": \"broken\n");
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!(bronze["rows_landed"], COUNT, "{bronze:#}");
    assert_eq!(bronze["records_quarantined"], 1, "{bronze:#}");
    tables()
        .map(|table| match table {
            "ops.quarantine" => bench
                .query("SELECT record_text, reason FROM ops.quarantine")
                .iter()
                .map(Value::to_string)
                .collect(),
            table => bench.content(table),
        })
        .collect()
}

#[test]
fn every_layout_gives_the_same_tables() {
    let records = records();
    let expected = contents(|bench| bench.land("a.json", ndjson(&records, "\n")));
    let pretty = serde_json::to_string_pretty(&records).unwrap();
    let compact = serde_json::to_string(&records).unwrap();
    let marked = format!("\u{feff}{}", ndjson(&records, "\r\n\r\n"));
    let concatenated = ndjson(&records, "");
    let spread: String =
        records.iter().map(|record| serde_json::to_string_pretty(record).unwrap() + " ").collect();
    let zstd = zstd::encode_all(pretty.as_bytes(), 3).unwrap();
    let layouts: [(&str, Vec<u8>); 9] = [
        ("pretty array", pretty.into_bytes()),
        ("compact array", compact.clone().into_bytes()),
        ("byte order mark, CRLF, blank lines", marked.into_bytes()),
        ("concatenated", concatenated.into_bytes()),
        ("pretty objects one after the other", spread.into_bytes()),
        ("gzip", gzip(&ndjson(&records, "\n"))),
        ("gzip of an array with a byte order mark", gzip(&format!("\u{feff}{compact}"))),
        (
            "gzip in two members",
            [gzip(&ndjson(&records[..50], "\n")), gzip(&ndjson(&records[50..], "\n"))].concat(),
        ),
        ("zstd", zstd),
    ];
    for (layout, bytes) in layouts {
        let found = contents(|bench| bench.land("whatever.name", &bytes));
        for ((table, expected), found) in tables().zip(&expected).zip(&found) {
            assert_eq!(expected, found, "{table} of {layout}");
        }
    }
    let many = contents(|bench| {
        for (index, record) in records.iter().enumerate() {
            bench.land(&format!("day/{index:04}.json"), record.to_string());
        }
    });
    assert_eq!(expected, many);
}

#[test]
fn files_that_are_not_meant_are_left_alone_and_empty_ones_have_no_records() {
    let bench = Bench::new();
    for name in [".hidden", "_truth.json", "half.json.tmp", "_old/a.json"] {
        bench.land(name, session(1).to_string());
    }
    bench.land("empty.json", "");
    bench.land("blank.json", "\n \n");
    bench.land("no_records.json", "[ ]");
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!((bronze["files"].as_u64(), bronze["records_read"].as_u64()), (Some(3), Some(0)));
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 0);
}

#[test]
fn a_broken_compressed_file_gives_what_it_has_and_does_not_stop_the_rest() {
    let bench = Bench::new();
    let records: Vec<Value> = (0..5000).map(session).collect();
    let mut bytes = gzip(&ndjson(&records, "\n"));
    bytes.truncate(bytes.len() * 3 / 4);
    bench.land("a.json.gz", bytes);
    bench.land("b.json", session(9999).to_string());
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!(bronze["records_quarantined"], 1);
    assert!(bronze["rows_landed"].as_u64().unwrap() > 2000, "{bronze:#}");
    let reason = bench.value("SELECT reason FROM ops.quarantine");
    assert!(reason.as_str().unwrap().contains("breaks off"), "{reason}");
    assert_eq!(
        bench.value("SELECT count(*) FROM bronze.web_sessions WHERE session_id = 's-9999'"),
        1
    );
}

#[test]
fn the_insides_of_broken_records_are_no_records() {
    let good: Vec<Value> = (1..40).map(session).collect();
    let compact = |records: &[Value]| {
        let records: Vec<String> = records.iter().map(Value::to_string).collect();
        records.join(",")
    };
    let broken = session(3).to_string();
    let breaks: [(&str, String); 5] = [
        ("its first bracket is lost", broken[1..].to_owned()),
        ("a quote is lost", broken.replacen("\"u-3\"", "\"u-3", 1)),
        (
            "a bracket too many in its middle",
            broken.replacen("\"events\"", "\"x\":1},\"events\"", 1),
        ),
        ("its end is lost", broken[..broken.len() / 2].to_owned()),
        ("it ends within its events", broken[..broken.find("\"button1").unwrap_or(300)].to_owned()),
    ];
    for (what, broken) in breaks {
        for (place, text) in [
            ("first", format!("[{broken},{}]", compact(&good))),
            ("between", format!("[{},{broken},{}]", compact(&good[..20]), compact(&good[20..]))),
            ("last", format!("[{},{broken}]", compact(&good))),
        ] {
            let bench = Bench::new();
            bench.land("a.json", text);
            bench.run();
            let ids = bench.value(
                "SELECT count(*) FROM bronze.web_sessions WHERE browser IS NULL AND session_id IS NULL",
            );
            assert_eq!(ids, 0, "{what}, {place}: events are rows");
            let landed = bench.value("SELECT count(DISTINCT session_id) FROM bronze.web_sessions");
            assert!(landed.as_u64().unwrap() >= 38, "{what}, {place}: {landed} of 39 landed");
            let quarantined = bench.value("SELECT count(*) FROM ops.quarantine");
            assert!(quarantined.as_u64().unwrap() >= 1, "{what}, {place}");
        }
    }
}
