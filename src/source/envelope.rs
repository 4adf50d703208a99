//! Records inside of larger values: which they are, and what is around them.

use std::sync::Arc;

use arrow::datatypes::Schema;
use serde_json::value::RawValue;

use crate::project::{PathStep, RecordPath};

use super::bronze::{Found, Place, Rows};
use super::evidence::Evidence;
use super::exact::{self, Entries, Note, kind_of};

/// The column that holds what is around a record, and the path under which it is rescued without it.
const ENVELOPE: &str = "_envelope";

/// How records are found in larger values.
pub(super) struct Envelopes {
    path: RecordPath,
    /// Whether there is a column for what is around them.
    has_column: bool,
}

impl Envelopes {
    /// Envelopes of records of `columns` at `path`.
    pub(super) fn new(path: &RecordPath, columns: &Schema) -> Self {
        let has_column = columns.column_with_name(ENVELOPE).is_some();
        Self { path: path.clone(), has_column }
    }

    /// Decodes the records of an envelope; `false` when it is no object. One that does not hold them
    /// goes to quarantine, unless it looks like a record itself: of a broken envelope the whole records
    /// are left.
    pub(super) fn decode(
        &self,
        (file, start): Place<'_>,
        json: &[u8],
        evidence: &Evidence,
        rows: &mut Rows,
    ) -> bool {
        let Ok(envelope) = exact::parse(json) else { return false };
        let place = |part: &str| (file, start + place_in(json, part) as u64);
        match open(envelope.text, &self.path) {
            Ok(contents) => {
                for (part, reason) in contents.lost {
                    rows.reject(place(part), part.as_bytes().to_vec(), reason);
                }
                for group in contents.groups {
                    self.group(&group, place, rows);
                }
                true
            }
            Err(_) if evidence.is_record(json, false) => {
                rows.append((file, start), Found::new(json))
            }
            Err(reason) => {
                let text = envelope.text;
                rows.reject(place(text), text.as_bytes().to_vec(), reason);
                true
            }
        }
    }

    /// Decodes records of an envelope. What is around them goes into a column of each if there is one
    /// for it, and is rescued with the first of them if there is none.
    fn group<'a>(
        &self,
        group: &Group<'_>,
        place: impl Fn(&str) -> (&'a Arc<str>, u64),
        rows: &mut Rows,
    ) {
        for (index, record) in group.records.iter().enumerate() {
            let around = group.around.as_deref();
            let with =
                around.filter(|_| self.has_column).and_then(|around| with_envelope(record, around));
            let rescued = around.filter(|_| !self.has_column && index == 0);
            let note = rescued.map(|around| Note {
                path: ENVELOPE.to_owned(),
                value: around.to_owned(),
                reason: "around the records".to_owned(),
            });
            let json = with.as_deref().unwrap_or(record).as_bytes();
            let found = Found { json, raw: Some(record), notes: note.into_iter().collect() };
            if !rows.append(place(record), found) {
                let reason = exact::parse(record.as_bytes()).err().unwrap_or_default();
                rows.reject(place(record), record.as_bytes().to_vec(), reason);
            }
        }
    }
}

/// The records of an envelope.
#[derive(Default)]
struct Contents<'a> {
    /// Those that are together.
    groups: Vec<Group<'a>>,
    /// Parts in which there should be records and are none, and why.
    lost: Vec<(&'a str, String)>,
}

/// Records with the same around them.
struct Group<'a> {
    /// The envelope without its records, as JSON; of arrays with several such groups in them only the
    /// item that holds this one. None when there is nothing but the way to the records.
    around: Option<String>,
    records: Vec<&'a str>,
}

/// What `path` leads to in `envelope`, which is valid JSON; or why it leads nowhere.
fn open<'a>(envelope: &'a str, path: &RecordPath) -> Result<Contents<'a>, String> {
    let mut contents = Contents::default();
    contents
        .find(envelope, &path.steps)
        .map_err(|reason| format!("no record at {path}: {reason}"))?;
    for (_, reason) in &mut contents.lost {
        *reason = format!("no record at {path}: {reason}");
    }
    Ok(contents)
}

impl<'a> Contents<'a> {
    fn find(&mut self, value: &'a str, steps: &[PathStep]) -> Result<(), String> {
        let before = self.groups.len();
        match steps {
            [] => self.groups.push(Group { around: None, records: vec![value] }),
            [PathStep::Each] => {
                self.groups.push(Group { around: None, records: items(value)? });
            }
            [PathStep::Each, rest @ ..] => {
                for item in items(value)? {
                    if let Err(reason) = self.find(item, rest) {
                        self.lost.push((item, reason));
                    }
                }
                for group in self.groups.iter_mut().skip(before) {
                    group.around = group.around.take().map(|around| format!("[{around}]"));
                }
            }
            [PathStep::Name(name), rest @ ..] => {
                let Entries(entries) = serde_json::from_str(value)
                    .map_err(|_| format!("{} instead of an object", kind_of(value)))?;
                let place = entries.iter().rposition(|(key, _)| key == name);
                let (place, inner) = place
                    .and_then(|place| Some((place, entries.get(place)?.1)))
                    .ok_or_else(|| format!("there is no `{name}`"))?;
                self.find(inner.get(), rest)?;
                let others = entries.iter().enumerate().filter(|(index, _)| *index != place);
                let others: Vec<String> =
                    others.map(|(_, (key, value))| entry(key, value.get())).collect();
                for group in self.groups.iter_mut().skip(before) {
                    group.around = enclosed(&others, name, group.around.take());
                }
            }
        }
        Ok(())
    }
}

fn items(value: &str) -> Result<Vec<&str>, String> {
    let items = serde_json::from_str::<Vec<&RawValue>>(value);
    let items = items.map_err(|_| format!("{} instead of an array", kind_of(value)))?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

fn entry(key: &str, value: &str) -> String {
    format!("{}:{value}", serde_json::Value::from(key))
}

/// The object of `others` and of what is `around` the records at `name`.
fn enclosed(others: &[String], name: &str, around: Option<String>) -> Option<String> {
    let inner = around.map(|around| entry(name, &around));
    let entries: Vec<&str> = others.iter().map(String::as_str).chain(inner.as_deref()).collect();
    (!entries.is_empty()).then(|| format!("{{{}}}", entries.join(",")))
}

/// `record` with what is `around` it as its last field; None when it is no object.
fn with_envelope(record: &str, around: &str) -> Option<String> {
    let body = record.strip_prefix('{')?.strip_suffix('}')?;
    let comma = if body.trim_ascii().is_empty() { "" } else { "," };
    Some(format!("{{{body}{comma}\"{ENVELOPE}\":{around}}}"))
}

/// Where `part` begins in `text`, of which it is a part.
fn place_in(text: &[u8], part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> RecordPath {
        let step = |name: &&str| match *name {
            "*" => PathStep::Each,
            name => PathStep::Name(name.to_owned()),
        };
        RecordPath { steps: names.iter().map(step).collect() }
    }

    #[test]
    fn records_know_what_is_around_them() {
        let text = "{\"v\": 1, \"pages\": [{\"n\": 1, \"e\": [{\"a\":1}, {}]}, {\"e\": [5]}, \
                    {\"e\": 7}, {\"e\": []}]}";
        let contents = open(text, &path(&["pages", "*", "e", "*"])).ok().unwrap();
        let groups: Vec<_> =
            contents.groups.iter().map(|one| (one.around.as_deref(), &*one.records)).collect();
        assert_eq!(
            groups,
            [
                (Some("{\"v\":1,\"pages\":[{\"n\":1}]}"), &["{\"a\":1}", "{}"][..]),
                (Some("{\"v\":1}"), &["5"][..]),
                (Some("{\"v\":1}"), &[][..]),
            ]
        );
        let [(lost, reason)] = &contents.lost[..] else { panic!() };
        assert_eq!(*lost, "{\"e\": 7}");
        assert_eq!(reason, "no record at $.pages[*].e[*]: integer instead of an array");
        let record = contents.groups[0].records[0];
        assert_eq!(place_in(text.as_bytes(), record), text.find("{\"a\":1}").unwrap());
    }

    #[test]
    fn a_path_that_leads_nowhere_says_where_it_ends() {
        for (text, said) in [
            ("{\"b\":1}", "no record at $.a[*]: there is no `a`"),
            ("[1]", "no record at $.a[*]: array instead of an object"),
            ("{\"a\":null}", "no record at $.a[*]: null instead of an array"),
        ] {
            assert_eq!(open(text, &path(&["a", "*"])).err().as_deref(), Some(said), "{text}");
        }
        let contents = open("{\"a\":{\"x\":1}}", &path(&["a"])).ok().unwrap();
        assert_eq!(contents.groups[0].records, ["{\"x\":1}"]);
        assert_eq!(contents.groups[0].around, None);
    }

    #[test]
    fn the_envelope_is_the_last_field() {
        assert_eq!(with_envelope("{ }", "{}").unwrap(), "{ \"_envelope\":{}}");
        assert_eq!(with_envelope("{\"a\":1}", "[]").unwrap(), "{\"a\":1,\"_envelope\":[]}");
        assert_eq!(with_envelope("5", "{}"), None);
    }
}
