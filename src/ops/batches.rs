//! `ops.batches`: which files belong to which batch, written before any of their records.
//!
//! A batch that is planned here and not in Bronze belongs to a run that died; the next run lands
//! the same files under the same number, and every table that has it already skips it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use datafusion::common::ScalarValue;

use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::lake::{Change, Lake, Snapshot, Wanted};
use crate::name::TableName;
use crate::runtime::Timestamp;
use crate::source::{InputFile, look_at};

use super::record::{Record as _, read, record, written};

record! {
    /// One file of one batch.
    pub(super) struct BatchRow is "batches":
        "One row per file that was or will be landed, and the batch that it belongs to." {
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
    /// For each name, the files that had it when they were planned.
    files: HashMap<String, Vec<Planned>>,
}

#[derive(Clone, Debug)]
struct Planned {
    batch: i64,
    location: PathBuf,
    bytes: u64,
    modified_at: Timestamp,
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
        let rows: Vec<BatchRow> = read(engine, &snapshot, &[own]).await?;
        batches.base = Some(snapshot);
        for row in rows {
            if let Some(replaced) = row.replaces {
                batches.replaces.entry(row.batch).or_default().insert(replaced);
            }
            let planned = Planned {
                batch: row.batch,
                location: PathBuf::from(row.location),
                bytes: row.bytes,
                modified_at: row.modified_at,
            };
            batches.add(&row.path, planned);
        }
        let abandoned: Vec<i64> = batches.replaces.values().flatten().copied().collect();
        abandoned.into_iter().for_each(|batch| batches.abandon(batch));
        Ok(batches)
    }

    /// The number of the newest batch; 0 when there is none.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// Those of `files` that are in no batch, or that were changed since they were. A file is known
    /// by its name below the source's directory, its size and its time, so a directory may move.
    pub fn new_among(&self, files: &[InputFile]) -> Vec<InputFile> {
        let is_known = |file: &InputFile| {
            let namesakes = self.files.get(&*file.name);
            namesakes.is_some_and(|planned| planned.iter().any(|planned| planned.is(file)))
        };
        files.iter().filter(|file| !is_known(file)).cloned().collect()
    }

    /// How many of `files` have the name of one that was planned, and are not that one any more.
    pub fn changed_among(&self, files: &[InputFile]) -> u64 {
        files.iter().filter(|file| self.files.contains_key(&*file.name)).count() as u64
    }

    /// The files of `batch`, from where they were when it was planned; None when one of them is gone
    /// or was changed since, so that the batch cannot be landed as it was planned.
    ///
    /// Errors: what the storage says.
    pub fn files_of(&self, batch: i64) -> Result<Option<Vec<InputFile>>> {
        let mut files = Vec::new();
        for (name, namesakes) in &self.files {
            for planned in namesakes.iter().filter(|planned| planned.batch == batch) {
                match look_at(name, &planned.location) {
                    Ok(file) if planned.is(&file) => files.push(file),
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
        self.files.values().flatten().any(|planned| planned.batch == batch)
    }

    /// Forgets the files of `batch`, which will never be landed under this number.
    pub fn abandon(&mut self, batch: i64) {
        self.files.retain(|_, namesakes| {
            namesakes.retain(|planned| planned.batch != batch);
            !namesakes.is_empty()
        });
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
        let row = |(index, file): (usize, &InputFile)| BatchRow {
            source: self.application.clone(),
            batch,
            path: file.name.to_string(),
            location: file.path.display().to_string(),
            bytes: file.bytes,
            modified_at: file.modified_at,
            // One per row, and the last one again; more than there are files are found out anew.
            replaces: replaces.get(index).or(replaces.last()).copied(),
            planned_at,
            run_id: run_id.to_owned(),
        };
        let rows: Vec<BatchRow> = files.iter().enumerate().map(row).collect();
        let change = Change {
            adds: written(lake, &rows).await?.adds,
            offsets: vec![(self.application.clone(), batch)],
            notes: vec![("run_id", run_id.into())],
            ..Change::default()
        };
        lake.commit(&BatchRow::spec(), self.base.as_ref(), change).await?;
        Ok(batch)
    }

    fn add(&mut self, name: &str, planned: Planned) {
        self.newest = self.newest.max(planned.batch);
        self.files.entry(name.to_owned()).or_default().push(planned);
    }
}

impl Planned {
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
        }
    }

    fn known() -> Batches {
        let mut batches = Batches::default();
        let planned = Planned {
            batch: 3,
            location: "/nowhere/a".into(),
            bytes: 10,
            modified_at: DateTime::from_timestamp(5, 0).unwrap(),
        };
        batches.add("a", planned);
        batches
    }

    #[test]
    fn a_file_is_new_until_it_is_in_a_batch_and_again_when_it_changed() {
        let files = [file("a", 10, 5), file("b", 10, 5)];
        let new = known().new_among(&files);
        assert_eq!(new.iter().map(|file| &*file.name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(known().new_among(&[file("a", 11, 5)]).len(), 1);
        assert_eq!(known().new_among(&[file("a", 10, 6)]).len(), 1);
        assert_eq!(known().changed_among(&new), 0);
        assert_eq!(known().changed_among(&[file("a", 11, 5)]), 1);
        assert_eq!(known().newest, 3);
    }

    #[test]
    fn an_interrupted_batch_wants_its_files_as_they_were() {
        assert!(known().files_of(3).unwrap().is_none(), "its file is gone");
        assert!(known().files_of(2).unwrap().unwrap().is_empty());
    }
}
