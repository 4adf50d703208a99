//! Compressed files that are damaged: what cannot be trusted does not land, and what can be kept is
//! kept.

use std::io::Write as _;

use serde_json::Value;

use crate::support::{Bench, entry, session};

const COUNT: u64 = 2000;

fn lines(from: u64) -> Vec<u8> {
    (from..from + COUNT).flat_map(|number| format!("{}\n", session(number)).into_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lands one file; gives how many rows there are, and each rejected record's bytes and reason.
fn landed(file: &[u8]) -> (u64, Vec<(Vec<u8>, String)>) {
    let bench = Bench::new();
    bench.land("a.json", file);
    // Of many of these files nothing is a record, which is an error unless it is accepted.
    let table = "bronze.web_sessions";
    let arguments = ["run", "--format", "json", "--select", table, "--accept", table];
    let report: Value = serde_json::from_str(&bench.command(&arguments).ok()).unwrap();
    let bronze = entry(&report["pipelines"][0], "bronze.web_sessions");
    let rows = bronze["rows_landed"].as_u64().unwrap();
    let rejected = bench.query("SELECT encode(record, 'hex') AS hex, reason FROM ops.quarantine");
    assert_eq!(bronze["records_read"], rows + rejected.len() as u64);
    let read = |row: &Value| {
        let hex = row["hex"].as_str().unwrap();
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes = (0..hex.len()).step_by(2).map(digit).collect();
        (bytes, row["reason"].as_str().unwrap().to_owned())
    };
    (rows, rejected.iter().map(read).collect())
}

#[test]
fn nothing_of_a_file_lands_whose_checksum_fails() {
    for compress in [gzip, zstd] {
        let whole = compress(&lines(0));
        for place in [whole.len() / 3, whole.len() / 2, whole.len() - 6, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            let (rows, rejected) = landed(&damaged);
            assert_eq!(rows, 0, "byte {place} of {} is wrong", whole.len());
            assert_eq!(rejected.len(), 1, "byte {place}");
            let (bytes, reason) = &rejected[0];
            assert_eq!(*bytes, damaged, "byte {place}: the file's own bytes are kept");
            assert!(reason.contains("damaged"), "{reason}");
        }
    }
}

#[test]
fn what_stands_whole_before_the_damage_lands() {
    for compress in [gzip, zstd] {
        let (first, mut second) = (compress(&lines(0)), compress(&lines(COUNT)));
        let middle = second.len() / 2;
        second[middle] ^= 0x10;
        let (rows, rejected) = landed(&[first.clone(), second.clone()].concat());
        assert_eq!(rows, COUNT);
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0].0, second);
        let rubbish = b"<html>502 Bad Gateway</html>";
        let (rows, rejected) = landed(&[&first[..], rubbish].concat());
        assert_eq!((rows, rejected.len()), (COUNT, 1));
        assert_eq!(rejected[0].0, rubbish);
    }
}

#[test]
fn a_file_that_was_cut_off_lands_up_to_there() {
    for compress in [gzip, zstd] {
        let mut bytes = compress(&lines(0));
        bytes.truncate(bytes.len() * 3 / 4);
        let (rows, rejected) = landed(&bytes);
        assert!((500..COUNT).contains(&rows), "{rows} rows");
        assert_eq!(rejected.len(), 1);
        let (record, reason) = &rejected[0];
        assert!(!record.is_empty() && reason.contains("breaks off"), "{reason}");
    }
}
