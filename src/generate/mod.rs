//! Synthetic web traffic for trials, demonstrations and tests.
//!
//! This file owns the public surface, `generate`.
//! Invariant: the same options give the same bytes, and `_truth.json` is written last, so a
//! folder that holds one holds every file the truth speaks of.

mod acts;
mod agents;
mod broken;
mod click;
mod clock;
mod deal;
mod dice;
mod encoded_file;
mod fields;
mod flaw;
mod layout;
mod note;
mod options;
mod origins;
mod output;
mod redelivery;
mod schedule;
mod session;
mod text;
mod timeline;
mod truth;
mod users;

use std::path::Path;

use crate::error::{Error, Result};

pub use options::{Compression, Framing, Options, Traffic};
pub use truth::{BrokenRecord, RescuedField, Truth};

/// The name of the file, next to the generated ones, that holds the [`Truth`].
pub const TRUTH_FILE: &str = "_truth.json";

/// Writes synthetic traffic into files `part-00000.json`, `part-00001.json`, ... (plus `.gz` or
/// `.zst`) of the folder `out`, and what is in them into `_truth.json`.
///
/// The folder is created if missing; files of the same names are replaced, others are left
/// alone. Memory stays bounded whatever the count: about 20 MB for the users, plus the truth of
/// a dirty output, some 10 bytes per record. Comes back with the truth.
///
/// # Errors
///
/// `Invalid` for options out of range, and whatever the file system refuses.
pub fn generate(options: &Options, out: &Path) -> Result<Truth> {
    options.check()?;
    std::fs::create_dir_all(out)
        .map_err(|source| Error::io("cannot create the folder of the traffic", out, source))?;
    let truth_path = out.join(TRUTH_FILE);
    forget(&truth_path)?;
    let truth = deal::Dealer::new(options).deal(out)?;
    truth.write(&truth_path)?;
    Ok(truth)
}

/// Removes the truth of an earlier run, which stops being true with the first file replaced.
fn forget(truth_path: &Path) -> Result<()> {
    match std::fs::remove_file(truth_path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("cannot remove the truth of an earlier run", truth_path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    /// Generates into a folder; errors as text, whatever they are made of.
    fn run(options: &Options, out: &Path) -> std::result::Result<Truth, String> {
        generate(options, out).map_err(|error| format!("{error:?}"))
    }

    /// All files of a folder by name.
    fn contents(folder: &Path) -> std::io::Result<HashMap<String, Vec<u8>>> {
        let mut found = HashMap::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, std::fs::read(entry.path())?);
        }
        Ok(found)
    }

    #[test]
    fn same_options_same_bytes() -> Outcome {
        for traffic in [Traffic::Sessions, Traffic::Clicks] {
            let options = Options {
                traffic,
                files: 3,
                framing: Framing::Mixed,
                compression: Compression::Mixed,
                dirty: true,
                ..Options::sample(900)
            };
            let (first, second, other) =
                (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
            let truth = run(&options, first.path())?;
            assert_eq!(truth, run(&options, second.path())?);
            run(&Options { seed: 43, ..options }, other.path())?;
            let files = contents(first.path())?;
            let names = ["part-00000.json", "part-00001.json.gz", "part-00002.json.zst"];
            assert!(names.iter().all(|name| files.contains_key(*name)));
            assert_eq!(files.len(), names.len() + 1);
            assert_eq!(files, contents(second.path())?);
            assert_ne!(files, contents(other.path())?);
        }
        Ok(())
    }

    #[test]
    fn clean_lines_parse_in_order_of_time() -> Outcome {
        for traffic in [Traffic::Sessions, Traffic::Clicks] {
            let options = Options { traffic, ..Options::sample(1500) };
            let folder = tempfile::tempdir()?;
            let truth = run(&options, folder.path())?;
            let text = std::fs::read_to_string(folder.path().join("part-00000.json"))?;
            let mut visits: HashMap<String, u64> = HashMap::new();
            let mut latest = String::new();
            for line in text.lines() {
                let record: Value = serde_json::from_str(line)?;
                assert!(record.is_object());
                if let Some(count) = record.get("visit_count").and_then(Value::as_u64) {
                    let user = record.get("user_id").map(Value::to_string).unwrap_or_default();
                    let visit = visits.entry(user).or_default();
                    *visit += 1;
                    assert_eq!(*visit, count);
                    let returning = record.get("is_returning_visitor");
                    assert_eq!(returning, Some(&Value::Bool(count > 1)));
                    let stamp = record.get("timestamp").map(Value::to_string).unwrap_or_default();
                    assert!(latest <= stamp);
                    latest = stamp;
                }
            }
            assert_eq!(text.lines().count(), 1500);
            assert_eq!((truth.records, truth.landed), (1500, 1500));
            assert_eq!(truth.bytes, u64::try_from(text.len())?);
        }
        Ok(())
    }

    /// What a reader finds that knows nothing but lines and JSON.
    #[derive(Default)]
    struct Reading {
        broken: Vec<(String, u64, String)>,
        landed: u64,
        without_user: u64,
        sessions: HashSet<String>,
    }

    impl Reading {
        fn read_line(&mut self, file: &str, position: u64, line: &[u8]) {
            let record = serde_json::from_slice::<Value>(line).ok();
            let Some(record) = record.filter(Value::is_object) else {
                let mut hex = Vec::new();
                for byte in line {
                    text::push_hex(u64::from(*byte), 2, &mut hex);
                }
                let hex = String::from_utf8_lossy(&hex).into_owned();
                self.broken.push((file.to_owned(), position, hex));
                return;
            };
            self.landed += 1;
            let text = |key: &str| record.get(key).and_then(Value::as_str);
            let day = text("timestamp").and_then(|stamp| stamp.get(..10));
            match text("user_id") {
                Some(user) => {
                    let key = (day, user, text("session_id"));
                    self.sessions.insert(format!("{key:?}"));
                }
                None => self.without_user += 1,
            }
        }
    }

    #[test]
    fn truth_agrees_with_a_naive_reading() -> Outcome {
        let options = Options { files: 2, dirty: true, ..Options::sample(4000) };
        let folder = tempfile::tempdir()?;
        let truth = run(&options, folder.path())?;
        let mut reading = Reading::default();
        for name in ["part-00000.json", "part-00001.json"] {
            let mut position = 0_u64;
            let bytes = std::fs::read(folder.path().join(name))?;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let record = line.strip_suffix(b"\n").ok_or("a line ends")?;
                reading.read_line(name, position, record);
                position += u64::try_from(line.len())?;
            }
        }
        let stated: Vec<(String, u64, String)> = truth
            .broken
            .iter()
            .map(|broken| (broken.file.clone(), broken.position, broken.bytes_hex.clone()))
            .collect();
        assert_eq!(stated, reading.broken);
        assert_eq!((truth.landed, truth.without_user), (reading.landed, reading.without_user));
        assert_eq!(truth.sessions, u64::try_from(reading.sessions.len())?);
        assert_eq!(truth.landed, truth.count + truth.redelivered);
        assert_eq!(truth.records, truth.landed + truth.quarantined);
        let flawed = truth.mistyped + truth.unknown_fields + truth.duplicate_keys;
        assert_eq!(truth.rescued_records, flawed);
        assert_eq!(truth.rescued_records, u64::try_from(truth.rescued.len())?);
        let shown = [truth.corrected, truth.missing_fields, truth.mistyped, truth.duplicate_keys];
        assert!(shown.iter().all(|count| *count > 0));
        Ok(())
    }

    #[test]
    fn arrays_parse_whole() -> Outcome {
        for framing in [Framing::Array, Framing::PrettyArray] {
            let folder = tempfile::tempdir()?;
            run(&Options { framing, ..Options::sample(300) }, folder.path())?;
            let text = std::fs::read(folder.path().join("part-00000.json"))?;
            let whole: Value = serde_json::from_slice(&text)?;
            assert_eq!(whole.as_array().map(Vec::len), Some(300));
        }
        Ok(())
    }

    #[test]
    fn small_and_senseless_counts() -> Outcome {
        for count in 0..3 {
            let folder = tempfile::tempdir()?;
            let options = Options { files: 4, dirty: true, ..Options::sample(count) };
            let truth = run(&options, folder.path())?;
            assert!(truth.records >= count);
            assert_eq!(contents(folder.path())?.len(), 5);
        }
        let folder = tempfile::tempdir()?;
        let senseless = Options { days: 0, ..Options::sample(1) };
        assert!(generate(&senseless, folder.path()).is_err());
        assert!(contents(folder.path())?.is_empty());
        Ok(())
    }
}
