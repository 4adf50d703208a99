//! `ops.batches`: which files belong to which batch, written before any of their records.
//!
//! A batch that is planned here and not in Bronze belongs to a run that died; the next run lands
//! the same files under the same number, and every table that has it already skips it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use datafusion::common::ScalarValue;

use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::lake::{Change, Lake, Snapshot, Wanted};
use crate::name::TableName;
use crate::runtime::Timestamp;
use crate::source::{InputFile, Place, look_at};

use super::files::{Content, FileRow};
use super::record::{Record as _, read, record, written};

record! {
    /// One file of one batch.
    pub(super) struct BatchRow is "batches":
        "One row per file, or part of one, that was or will be landed, and the batch that it belongs to." {
        /// The source, as `<pipeline>/<source>`.
        source: String,
        /// The number of the batch, from 1.
        batch: i64,
        /// The file's name below the source's directory.
        path: String,
        /// Where it was when the batch was planned.
        location: String,
        /// Its size.
        bytes: u64,
        /// When it was last changed.
        modified_at: Timestamp,
        /// From which byte it is read, when what is before it has landed.
        from_byte: Option<u64>,
        /// Where that is in its uncompressed content.
        from_position: Option<u64>,
        /// A batch that this one replaces, because it will never be landed.
        replaces: Option<i64>,
        /// When the batch was planned.
        planned_at: Timestamp,
        /// The run that planned it.
        run_id: String,
    }
}

/// The batches of one source so far.
#[derive(Debug, Default)]
pub struct Batches {
    /// The source, as `<pipeline>/<source>`.
    application: String,
    /// The number of the newest batch; 0 when there is none.
    newest: i64,
    /// The state of the table that this was read from: what is planned is planned on top of it.
    base: Option<Snapshot>,
    /// For each batch that replaces others, these.
    replaces: HashMap<i64, BTreeSet<i64>>,
    /// For each name, the states in which files had it.
    files: HashMap<String, Vec<State>>,
    /// Names of files of which a part will not be landed as it was planned.
    given_up: HashSet<String>,
}

/// A file at the time when it was planned, or found to hold what had landed.
#[derive(Clone, Debug)]
struct State {
    batch: i64,
    bytes: u64,
    modified_at: Timestamp,
    /// What of it the batch lands; None when it holds what the batch had landed before.
    part: Option<Part>,
    /// What it holds, as far as that is known.
    content: Option<Content>,
    /// When that was written down.
    noted_at: Option<Timestamp>,
}

/// What of a file belongs to a batch.
#[derive(Clone, Debug)]
struct Part {
    /// Where the file was.
    location: PathBuf,
    /// From where on it is read.
    from: Place,
}

impl Batches {
    /// The batches of the source known as `application`.
    pub async fn read(engine: &Engine, lake: &Lake, application: &str) -> Result<Self> {
        let mut batches = Self { application: application.to_owned(), ..Self::default() };
        let Some(snapshot) = lake.snapshot(&TableName::ops(BatchRow::TABLE)).await? else {
            return Ok(batches);
        };
        let own =
            Wanted { column: "source".to_owned(), values: vec![ScalarValue::from(application)] };
        let rows: Vec<BatchRow> = read(engine, &snapshot, std::slice::from_ref(&own)).await?;
        batches.base = Some(snapshot);
        for row in rows {
            if let Some(replaced) = row.replaces {
                batches.replaces.entry(row.batch).or_default().insert(replaced);
            }
            batches.add(row);
        }
        // A batch that was begun twice has two rows for a file, and the later one is what landed.
        let mut noted = FileRow::of_source(engine, lake, own).await?;
        noted.sort_by_key(|row| row.noted_at);
        noted.iter().for_each(|row| batches.note(row));
        let replaced: Vec<i64> = batches.replaces.values().flatten().copied().collect();
        replaced.into_iter().for_each(|batch| drop(batches.forget(batch)));
        Ok(batches)
    }

    /// The number of the newest batch; 0 when there is none.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// The state in which `file` was planned, or found to hold what had landed, if it is in it still,
    /// as its name, its size and its time tell; with what it holds, as far as that is known.
    pub fn known(&self, file: &InputFile) -> Option<Option<Content>> {
        let mut states = self.files.get(&*file.name)?.iter().filter(|state| state.is(file));
        let first = states.next()?.content;
        Some(first.or_else(|| states.find_map(|state| state.content)))
    }

    /// When the newest file was changed that is in a batch.
    pub fn newest_file(&self) -> Option<Timestamp> {
        let planned = self.files.values().flatten().filter(|state| state.part.is_some());
        planned.map(|state| state.modified_at).max()
    }

    /// Whether a file called `name` was planned before.
    pub fn knows(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// What the file called `name` was found to hold last, of what has landed under any name.
    pub fn content_of(&self, name: &str) -> Option<Content> {
        let states = self.files.get(name)?.iter();
        let held = states.filter_map(|state| Some((state.noted_at, state.content?)));
        let newest = held.max_by_key(|(noted_at, held)| (*noted_at, held.batch, held.bytes));
        newest.map(|(_, content)| content)
    }

    /// What the files held that were landed, with the names that they had then.
    pub fn contents(&self) -> impl Iterator<Item = (&str, Content)> + '_ {
        self.files.iter().flat_map(|(name, states)| {
            let landed = states.iter().filter(|state| state.part.is_some());
            landed.filter_map(move |state| Some((name.as_str(), state.content?)))
        })
    }

    /// What files held from where they were read on when they had grown, with the names that they had
    /// then. It is nothing by itself any more.
    pub fn outgrown(&self) -> impl Iterator<Item = (&str, Content)> + '_ {
        self.files.iter().flat_map(|(name, states)| {
            let outgrown = outgrown(states).into_iter();
            outgrown.map(move |content| (name.as_str(), content))
        })
    }

    /// The files of `batch`, from where they were when it was planned; None when one of them is gone
    /// or was changed since, or when what it follows will not be landed, so that the batch cannot be
    /// landed as it was planned.
    ///
    /// Errors: what the storage says.
    pub fn files_of(&self, batch: i64) -> Result<Option<Vec<InputFile>>> {
        let mut files = Vec::new();
        for (name, states) in &self.files {
            for state in states.iter().filter(|state| state.batch == batch) {
                let Some(Part { location, from }) = &state.part else { continue };
                if from.byte > 0 && self.given_up.contains(name) {
                    return Ok(None);
                }
                match look_at(name, location) {
                    Ok(file) if state.is(&file) => files.push(InputFile { from: *from, ..file }),
                    Ok(_) => return Ok(None),
                    Err(e) if e.kind() == Kind::Missing => return Ok(None),
                    Err(e) => return Err(e.at("batch", batch)),
                }
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(files))
    }

    /// The batches that `batch` replaces.
    pub fn replaced_by(&self, batch: i64) -> Vec<i64> {
        self.replaces.get(&batch).into_iter().flatten().copied().collect()
    }

    /// Whether `batch` has files that no other batch has taken over.
    pub fn holds(&self, batch: i64) -> bool {
        self.files.values().flatten().any(|state| state.batch == batch)
    }

    /// Forgets the files of `batch`, which will never be landed under this number. What follows
    /// them in the same files cannot be landed without them.
    pub fn abandon(&mut self, batch: i64) {
        let names = self.forget(batch);
        self.given_up.extend(names);
    }

    /// Takes out what is known of `batch`; gives the names of its files.
    fn forget(&mut self, batch: i64) -> Vec<String> {
        let mut names = Vec::new();
        self.files.retain(|name, states| {
            let before = states.len();
            states.retain(|state| state.batch != batch);
            if states.len() < before {
                names.push(name.clone());
            }
            !states.is_empty()
        });
        names
    }

    /// Writes down that `files` are the next batch, before anything of them is landed, in place of
    /// the batches `replaces` that never will be. Gives the batch's number.
    ///
    /// Errors: `Conflict` when another run has planned a batch since this was read.
    pub async fn plan(
        &self,
        lake: &Lake,
        files: &[InputFile],
        replaces: &[i64],
        (run_id, planned_at): (&str, Timestamp),
    ) -> Result<i64> {
        let batch = self.newest + 1;
        let row = |index: usize| {
            // One for each file, and one for each batch that is replaced.
            let file = files.get(index).or(files.last())?;
            Some(BatchRow {
                source: self.application.clone(),
                batch,
                path: file.name.to_string(),
                location: file.path.display().to_string(),
                bytes: file.bytes,
                modified_at: file.modified_at,
                from_byte: Some(file.from.byte),
                from_position: Some(file.from.position),
                replaces: replaces.get(index).or(replaces.last()).copied(),
                planned_at,
                run_id: run_id.to_owned(),
            })
        };
        let rows: Vec<BatchRow> = (0..files.len().max(replaces.len())).filter_map(row).collect();
        let change = Change {
            adds: written(lake, &rows).await?.adds,
            offsets: vec![(self.application.clone(), batch)],
            notes: vec![("run_id", run_id.into())],
            ..Change::default()
        };
        lake.commit(&BatchRow::spec(), self.base.as_ref(), change).await?;
        Ok(batch)
    }

    fn add(&mut self, row: BatchRow) {
        self.newest = self.newest.max(row.batch);
        // Those of former layouts are read from their beginning.
        let from =
            Place { byte: row.from_byte.unwrap_or(0), position: row.from_position.unwrap_or(0) };
        let states = self.files.entry(row.path).or_default();
        // A batch has each file once, in as many rows as it takes to name what it replaces.
        if states.iter().any(|state| state.batch == row.batch) {
            return;
        }
        states.push(State {
            batch: row.batch,
            bytes: row.bytes,
            modified_at: row.modified_at,
            part: Some(Part { location: PathBuf::from(row.location), from }),
            content: None,
            noted_at: None,
        });
    }

    fn note(&mut self, row: &FileRow) {
        if row.hash.is_none() {
            self.leave_out(row);
        }
        let Some(content) = row.content() else { return };
        let states = self.files.entry(row.path.clone()).or_default();
        let same = states.iter_mut().find(|state| {
            state.batch == row.batch
                && state.bytes == row.bytes
                && state.modified_at.timestamp_micros() == row.modified_at.timestamp_micros()
        });
        match same {
            Some(state) => {
                state.content = Some(content);
                state.noted_at = Some(row.noted_at);
            }
            None => states.push(State {
                batch: row.batch,
                bytes: row.bytes,
                modified_at: row.modified_at,
                part: None,
                content: Some(content),
                noted_at: Some(row.noted_at),
            }),
        }
    }

    /// Forgets that the file of `row` was planned, and what had been noted of it: its batch left it out.
    fn leave_out(&mut self, row: &FileRow) {
        let Some(states) = self.files.get_mut(&row.path) else { return };
        states.retain(|state| state.batch != row.batch);
        if states.is_empty() {
            self.files.remove(&row.path);
        }
    }
}

/// Of what one name held in `states`, that from where a later one of them was read on.
fn outgrown(states: &[State]) -> Vec<Content> {
    let mut states: Vec<&State> = states.iter().filter(|state| state.content.is_some()).collect();
    states.sort_by_key(|state| (state.noted_at, state.batch));
    let mut ends: HashMap<u64, Content> = HashMap::new();
    let mut outgrown: Vec<Content> = Vec::new();
    for state in states {
        let from = state.part.as_ref().map_or(0, |part| part.from.byte);
        if from > 0 {
            outgrown.extend(ends.remove(&from));
        }
        if let Some(content) = state.content
            && let Some(read_on) = content.read_on
        {
            ends.insert(read_on.byte, content);
        }
    }
    outgrown
}

impl State {
    fn is(&self, file: &InputFile) -> bool {
        self.bytes == file.bytes
            && self.modified_at.timestamp_micros() == file.modified_at.timestamp_micros()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;

    use super::*;

    fn file(name: &str, bytes: u64, second: i64) -> InputFile {
        InputFile {
            path: name.into(),
            name: Arc::from(name),
            bytes,
            modified_at: DateTime::from_timestamp(second, 0).unwrap(),
            from: Place::default(),
            hash: None,
        }
    }

    fn planned(batch: i64, name: &str, location: &std::path::Path, from: u64) -> BatchRow {
        let now = look_at(name, location);
        BatchRow {
            source: "p/s".into(),
            batch,
            path: name.into(),
            location: location.display().to_string(),
            bytes: now.as_ref().map_or(10, |file| file.bytes),
            modified_at: now
                .map_or(DateTime::from_timestamp(5, 0).unwrap(), |file| file.modified_at),
            from_byte: Some(from),
            from_position: Some(from),
            replaces: None,
            planned_at: DateTime::from_timestamp(5, 0).unwrap(),
            run_id: "r".into(),
        }
    }

    /// What is noted of the file `a`, which was changed and looked at in the same `second`.
    fn noted(batch: i64, second: i64, content: Option<&[u8]>) -> FileRow {
        FileRow {
            source: "p/s".into(),
            batch,
            path: "a".into(),
            bytes: 10,
            modified_at: DateTime::from_timestamp(second, 0).unwrap(),
            hash: content.map(|content| blake3::hash(content).to_hex().to_string()),
            read_on_byte: Some(8),
            read_on_position: Some(8),
            noted_at: DateTime::from_timestamp(second, 0).unwrap(),
            run_id: "r".into(),
        }
    }

    fn known() -> Batches {
        let mut batches = Batches::default();
        batches.add(planned(3, "a", "/nowhere/a".as_ref(), 0));
        batches
    }

    #[test]
    fn a_file_is_known_by_its_name_its_size_and_its_time() {
        let known = known();
        assert_eq!(known.known(&file("a", 10, 5)), Some(None));
        for other in [file("b", 10, 5), file("a", 11, 5), file("a", 10, 6)] {
            assert_eq!(known.known(&other), None, "{other:?}");
        }
        assert!(known.knows("a") && !known.knows("b"));
        assert_eq!(known.newest, 3);
    }

    #[test]
    fn what_is_noted_of_a_file_goes_with_its_batch() {
        let mut known = known();
        [5, 6].iter().for_each(|second| known.note(&noted(3, *second, Some(b"0123456789"))));
        let content = known.known(&file("a", 10, 6)).unwrap().unwrap();
        assert_eq!(content.read_on, Some(Place { byte: 8, position: 8 }));
        assert_eq!(known.known(&file("a", 10, 5)).unwrap(), Some(content));
        assert_eq!(known.contents().count(), 1, "it landed once");
        known.abandon(3);
        assert!(!known.knows("a"));
    }

    #[test]
    fn a_file_that_its_batch_left_out_is_not_known() {
        let mut known = known();
        known.note(&noted(3, 5, Some(b"0123456789")));
        known.note(&noted(2, 6, Some(b"9876543210")));
        known.note(&noted(3, 7, None));
        assert_eq!(known.known(&file("a", 10, 5)), None);
        assert_eq!(known.content_of("a").unwrap().batch, 2, "that had landed");
        known.note(&noted(2, 8, None));
        assert!(!known.knows("a"));
    }

    #[test]
    fn a_file_holds_what_was_noted_of_it_last() {
        let mut known = known();
        known.note(&noted(3, 5, Some(b"0123456789")));
        // Another file was given its name.
        known.note(&noted(1, 6, Some(b"9876543210")));
        assert_eq!(known.content_of("a").unwrap().batch, 1);
    }

    #[test]
    fn an_interrupted_batch_wants_its_files_as_they_were() {
        assert!(known().files_of(3).unwrap().is_none(), "its file is gone");
        assert!(known().files_of(2).unwrap().unwrap().is_empty());
    }

    #[test]
    fn what_follows_a_part_that_is_given_up_is_not_landed_without_it() {
        let grown = tempfile::NamedTempFile::new().unwrap();
        let mut batches = known();
        batches.add(planned(4, "a", grown.path(), 8));
        let files = batches.files_of(4).unwrap().unwrap();
        assert_eq!(files[0].from, Place { byte: 8, position: 8 });
        batches.abandon(3);
        assert!(batches.files_of(4).unwrap().is_none());
    }
}
