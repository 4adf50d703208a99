//! What was generated, exactly: the yardstick readers of the traffic are measured with.
//!
//! Owns the truth and its file. Invariants: `records = landed + quarantined`, `landed = count +
//! redelivered`, and for sessions `rescued_records = rescued.len() = mistyped + unknown_fields +
//! duplicate_keys`, for a record has at most one flaw.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::encoded_file::{Codec, EncodedFile};
use super::note::{Class, Note};
use super::{Compression, Framing, Options, Traffic};
use crate::error::{Error, Result};

/// A record that is not a JSON object, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenRecord {
    /// The name of the file, without its folder.
    pub file: String,
    /// The place of the first byte in the uncompressed file.
    pub position: u64,
    /// The record as text; bytes that are not UTF-8 are replaced by U+FFFD.
    pub record: String,
    /// The exact bytes of the record in lower-case hexadecimal.
    pub bytes_hex: String,
}

/// A field that does not fit the schema of the sessions, and where it is. A redelivered record
/// has an entry per delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RescuedField {
    /// The name of the file, without its folder.
    pub file: String,
    /// The place of the first byte of the record in the uncompressed file.
    pub position: u64,
    /// The path of the field in the record, like `events[0].timestamp`.
    pub path: String,
    /// The JSON text of the value exactly as it stands in the file, white space within included.
    pub value: String,
    /// Why the value does not fit: `unknown field`, `duplicate key`, `out of range for BIGINT`
    /// or like `expected BIGINT, found string`.
    pub reason: String,
}

/// What an output holds. Counts are records unless they say otherwise; a record delivered twice
/// counts twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Option: what kind of record was generated.
    pub traffic: Traffic,
    /// Option: the seed.
    pub seed: u64,
    /// Option: number of base records.
    pub count: u64,
    /// Option: number of days.
    pub days: u32,
    /// Option: the first day, as `2025-07-22`.
    pub from: String,
    /// Option: number of files.
    pub files: u32,
    /// Option: the framing.
    pub framing: Framing,
    /// Option: the compression.
    pub compression: Compression,
    /// Option: whether faults were mixed in.
    pub dirty: bool,
    /// All delivered records, broken ones included.
    pub records: u64,
    /// Delivered records that are JSON objects.
    pub landed: u64,
    /// Delivered records that are not.
    pub quarantined: u64,
    /// Distinct (day, user, session id) among the landed records with a user; 0 for clicks.
    pub sessions: u64,
    /// Landed records without the field `user_id`.
    pub without_user: u64,
    /// Second deliveries, corrected ones included.
    pub redelivered: u64,
    /// Second deliveries in which some fields differ from the first.
    pub corrected: u64,
    /// Landed records with a field of the wrong type.
    pub mistyped: u64,
    /// Landed records with a field nobody expects.
    pub unknown_fields: u64,
    /// Landed records lacking a field.
    pub missing_fields: u64,
    /// Landed records with a field that is there twice.
    pub duplicate_keys: u64,
    /// Landed records with at least one entry in `rescued`; 0 for clicks.
    pub rescued_records: u64,
    /// Bytes of all files together, uncompressed.
    pub bytes: u64,
    /// Every broken record, in order of file and position.
    pub broken: Vec<BrokenRecord>,
    /// Every field that does not fit the schema, in order of file and position; empty for
    /// clicks, which follow no schema.
    pub rescued: Vec<RescuedField>,
}

impl Truth {
    /// The truth of an output nothing was delivered to yet.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            traffic: options.traffic,
            seed: options.seed,
            count: options.count,
            days: options.days,
            from: options.from.to_string(),
            files: options.files,
            framing: options.framing,
            compression: options.compression,
            dirty: options.dirty,
            records: 0,
            landed: 0,
            quarantined: 0,
            sessions: 0,
            without_user: 0,
            redelivered: 0,
            corrected: 0,
            mistyped: 0,
            unknown_fields: 0,
            missing_fields: 0,
            duplicate_keys: 0,
            rescued_records: 0,
            bytes: 0,
            broken: Vec::new(),
            rescued: Vec::new(),
        }
    }

    /// Counts a landed record.
    pub(super) fn land(&mut self, note: &Note) {
        self.records += 1;
        self.landed += 1;
        self.without_user += u64::from(!note.has_user);
        match note.class {
            None => {}
            Some(Class::Mistyped) => self.mistyped += 1,
            Some(Class::UnknownField) => self.unknown_fields += 1,
            Some(Class::MissingField) => self.missing_fields += 1,
            Some(Class::DuplicateKey) => self.duplicate_keys += 1,
        }
    }

    /// Counts a field of a landed record that does not fit. A record has at most one.
    pub(super) fn rescue(&mut self, field: RescuedField) {
        self.rescued_records += 1;
        self.rescued.push(field);
    }

    /// Counts a broken record of a file.
    pub(super) fn quarantine(&mut self, file: &str, position: u64, bytes: &[u8]) {
        self.records += 1;
        self.quarantined += 1;
        let mut hex = Vec::with_capacity(bytes.len() * 2);
        for byte in bytes {
            super::text::push_hex(u64::from(*byte), 2, &mut hex);
        }
        self.broken.push(BrokenRecord {
            file: file.to_owned(),
            position,
            record: String::from_utf8_lossy(bytes).into_owned(),
            bytes_hex: String::from_utf8_lossy(&hex).into_owned(),
        });
    }

    /// Writes the truth into a file, as indented JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut file = EncodedFile::create(path, Codec::Plain)?;
        let mut writer = BufWriter::new(&mut file);
        // The broken records of a large output are too many to hold as text once more.
        serde_json::to_writer_pretty(&mut writer, self)
            .map_err(std::io::Error::from)
            .and_then(|()| writer.write_all(b"\n"))
            .and_then(|()| writer.flush())
            .map_err(|source| Error::io("cannot write the truth of the traffic", path, source))?;
        drop(writer);
        file.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_records_keep_their_bytes() {
        let mut truth = Truth::new(&Options::sample(1));
        truth.quarantine("part-00000.json", 12, b"{\"a\":\"\xFF\xFEb");
        let broken = truth.broken.first();
        assert_eq!(broken.map(|broken| broken.record.as_str()), Some("{\"a\":\"\u{FFFD}\u{FFFD}b"));
        assert_eq!(broken.map(|broken| broken.bytes_hex.as_str()), Some("7b2261223a22fffe62"));
        assert_eq!((truth.records, truth.landed, truth.quarantined), (1, 0, 1));
    }
}
