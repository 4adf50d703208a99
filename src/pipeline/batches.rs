//! `ops.batches`: which files belong to which batch, written before any of their records.
//!
//! A batch that is planned here and not in Bronze belongs to a run that died; the next run lands
//! the same files under the same number, and every table that has it already skips it.

use std::collections::HashMap;
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::DateTime;
use futures::TryStreamExt as _;

use crate::engine::{Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Snapshot};
use crate::name::TableName;
use crate::runtime::Timestamp;
use crate::source::{InputFile, look_at};

use super::Run;
use super::ledger::{Values, count, rows, spec, text};

/// The batches of one source so far.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// The number of the newest batch; 0 when there is none.
    pub newest: i64,
    /// The state of the table that this was read from: what is planned is planned on top of it.
    base: Option<Snapshot>,
    /// For each batch that replaces others, these.
    replaces: HashMap<i64, Vec<i64>>,
    /// For each name, the files that had it when they were planned.
    files: HashMap<String, Vec<Planned>>,
}

#[derive(Clone, Debug)]
struct Planned {
    batch: i64,
    location: PathBuf,
    bytes: i64,
    modified_at: Timestamp,
}

impl Batches {
    /// Those of `files` that are in no batch, or that were changed since they were. A file is known
    /// by its name below the source's directory, its size and its time, so a directory may move.
    pub(super) fn new_among(&self, files: &[InputFile]) -> Vec<InputFile> {
        let is_known = |file: &InputFile| {
            let namesakes = self.files.get(&*file.name);
            namesakes.is_some_and(|planned| planned.iter().any(|planned| planned.is(file)))
        };
        files.iter().filter(|file| !is_known(file)).cloned().collect()
    }

    /// How many of `files` have the name of one that was planned, and are not that one any more.
    pub(super) fn changed_among(&self, files: &[InputFile]) -> u64 {
        files.iter().filter(|file| self.files.contains_key(&*file.name)).count() as u64
    }

    /// The files of `batch`, from where they were when it was planned.
    ///
    /// Errors: `Missing` or `Conflict` when one of them is gone or was changed since.
    pub(super) fn files_of(&self, batch: i64) -> Result<Vec<InputFile>> {
        let mut files = Vec::new();
        for (name, namesakes) in &self.files {
            for planned in namesakes.iter().filter(|planned| planned.batch == batch) {
                let file = look_at(name, &planned.location).map_err(|e| unfinished(e, batch))?;
                if !planned.is(&file) {
                    let what = "a file changed after an interrupted run had begun with it";
                    let error = Error::new(Kind::Conflict, what);
                    return Err(unfinished(error.at("file", planned.location.display()), batch));
                }
                files.push(file);
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// The batches that `batch` replaces.
    pub(super) fn replaced_by(&self, batch: i64) -> Vec<i64> {
        self.replaces.get(&batch).cloned().unwrap_or_default()
    }

    /// Whether `batch` has files that no other batch has taken over.
    pub(super) fn holds(&self, batch: i64) -> bool {
        self.files.values().flatten().any(|planned| planned.batch == batch)
    }

    /// Forgets the files of `batch`, which will never be landed under this number.
    pub(super) fn abandon(&mut self, batch: i64) {
        self.files.retain(|_, namesakes| {
            namesakes.retain(|planned| planned.batch != batch);
            !namesakes.is_empty()
        });
    }

    fn add(&mut self, name: &str, planned: Planned) {
        self.newest = self.newest.max(planned.batch);
        self.files.entry(name.to_owned()).or_default().push(planned);
    }
}

impl Planned {
    fn is(&self, file: &InputFile) -> bool {
        Some(self.bytes) == count(file.bytes)
            && self.modified_at.timestamp_micros() == file.modified_at.timestamp_micros()
    }
}

fn unfinished(error: Error, batch: i64) -> Error {
    error.at("batch", batch)
}

impl Run {
    /// The batches of the source known as `application`.
    pub(super) async fn batches(&self, application: &str) -> Result<Batches> {
        let table = TableName::ops("batches");
        let Some(snapshot) = self.lake.snapshot(&table).await? else {
            return Ok(Batches::default());
        };
        let mut tables = Tables::default();
        tables.add(table, snapshot.provider()?);
        let session = self.engine.session(tables.into_catalog());
        let failed = |e| engine_error("cannot read the batches so far", e);
        let quoted = application.replace('\'', "''");
        let plan = session
            .plan(&format!(
                "SELECT batch, path, bytes, modified_at, location, replaces FROM ops.batches WHERE source = '{quoted}' ORDER BY batch"
            ))
            .await?;
        let mut stream = session.execute_all(session.physical(&plan).await?)?;
        let mut batches = Batches { base: Some(snapshot), ..Batches::default() };
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let paths = batch.column(1).as_string::<i32>();
            let sizes = batch.column(2).as_primitive::<Int64Type>();
            let changes = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            let locations = batch.column(4).as_string::<i32>();
            for (batch, replaced) in numbers.iter().zip(batch.column(5).as_primitive::<Int64Type>())
            {
                if let (Some(batch), Some(replaced)) = (batch, replaced) {
                    batches.replaces.entry(batch).or_default().push(replaced);
                }
            }
            for row in 0..numbers.len() {
                let changed = DateTime::from_timestamp_micros(changes.value(row));
                let planned = Planned {
                    batch: numbers.value(row),
                    location: PathBuf::from(locations.value(row)),
                    bytes: sizes.value(row),
                    modified_at: changed.unwrap_or_default(),
                };
                batches.add(paths.value(row), planned);
            }
        }
        for replaced in batches.replaces.values_mut() {
            replaced.dedup();
        }
        let abandoned: Vec<i64> = batches.replaces.values().flatten().copied().collect();
        abandoned.into_iter().for_each(|batch| batches.abandon(batch));
        Ok(batches)
    }

    /// Writes down that `files` are the next batch of `application`, before anything of them is
    /// landed, in place of the batches `replaces` that never will be. Gives the batch's number.
    ///
    /// Errors: `Conflict` when another run has planned a batch since `batches` was read.
    pub(super) async fn plan_batch(
        &self,
        application: &str,
        batches: &Batches,
        files: &[InputFile],
        replaces: &[i64],
    ) -> Result<i64> {
        let length = files.len();
        let batch = batches.newest + 1;
        // One per row, and the last one again; more than there are files are found out anew.
        let replaced = (0..length).map(|row| replaces.get(row).or(replaces.last()).copied());
        let replaced = replaced.collect();
        let columns = vec![
            ("source", Values::Text(vec![text(application); length])),
            ("batch", Values::Count(vec![Some(batch); length])),
            ("path", Values::Text(files.iter().map(|file| text(&file.name)).collect())),
            (
                "location",
                Values::Text(files.iter().map(|file| text(&file.path.display())).collect()),
            ),
            ("bytes", Values::Count(files.iter().map(|file| count(file.bytes)).collect())),
            (
                "modified_at",
                Values::Instant(files.iter().map(|file| Some(file.modified_at)).collect()),
            ),
            ("replaces", Values::Count(replaced)),
            ("planned_at", Values::Instant(vec![Some(self.as_of); length])),
            ("run_id", Values::Text(vec![text(&self.id); length])),
        ];
        let spec = spec(
            "batches",
            "One row per file that was or will be landed, and the batch that it belongs to.",
            &columns,
        );
        let mut sink = self.lake.sink(&spec)?;
        sink.write(&rows(&spec, columns)?).await?;
        let change = Change {
            adds: sink.close().await?.adds,
            positions: vec![(application.to_owned(), batch)],
            notes: vec![("run_id", self.id.clone().into())],
            ..Change::default()
        };
        self.lake.commit(&spec, batches.base.as_ref(), change).await?;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        assert_eq!(known().files_of(3).unwrap_err().kind(), Kind::Missing);
        assert!(known().files_of(2).unwrap().is_empty());
    }
}
