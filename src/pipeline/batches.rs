//! `ops.batches`: which files belong to which batch, written before any of their records.
//!
//! A batch that is planned here and not in Bronze belongs to a run that died; the next run lands
//! the same files under the same number, and every table that has it already skips it.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::DateTime;
use futures::TryStreamExt as _;

use crate::engine::{Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::name::TableName;
use crate::runtime::Timestamp;
use crate::source::InputFile;

use super::Run;
use super::ledger::{Values, count, rows, spec, text};

/// The batches of one source so far.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// The number of the newest batch; 0 when there is none.
    pub newest: i64,
    /// For each file in a batch: its batch, its size and when it was changed.
    files: HashMap<String, Planned>,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    batch: i64,
    bytes: i64,
    modified_at: Timestamp,
}

impl Batches {
    /// Those of `files` that are in no batch, or that were changed since they were.
    pub(super) fn new_among(&self, files: &[InputFile]) -> Vec<InputFile> {
        files.iter().filter(|file| !self.knows(file)).cloned().collect()
    }

    /// Those of `files` that belong to `batch`.
    ///
    /// Errors: `Missing` or `Conflict` when one of them is gone or was changed since.
    pub(super) fn files_of(&self, batch: i64, files: &[InputFile]) -> Result<Vec<InputFile>> {
        let found: HashMap<&str, &InputFile> =
            files.iter().map(|file| (&*file.name, file)).collect();
        let mut planned: Vec<_> =
            self.files.iter().filter(|(_, file)| file.batch == batch).collect();
        planned.sort_by_key(|(name, _)| name.as_str());
        planned
            .into_iter()
            .map(|(name, _)| match found.get(name.as_str()) {
                Some(file) if self.knows(file) => Ok((*file).clone()),
                Some(_) => Err(lost(
                    Kind::Conflict,
                    "a file changed after an interrupted run had begun with it",
                    name,
                    batch,
                )),
                None => Err(lost(
                    Kind::Missing,
                    "a file is gone that an interrupted run had begun with",
                    name,
                    batch,
                )),
            })
            .collect()
    }

    fn knows(&self, file: &InputFile) -> bool {
        self.files.get(&*file.name).is_some_and(|planned| {
            Some(planned.bytes) == count(file.bytes)
                && planned.modified_at.timestamp_micros() == file.modified_at.timestamp_micros()
        })
    }
}

fn lost(kind: Kind, what: &str, file: &str, batch: i64) -> Error {
    Error::new(kind, what)
        .at("file", file)
        .at("batch", batch)
        .hint("bring back the file as it was, so that the batch can be landed whole")
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
                "SELECT batch, path, bytes, modified_at FROM ops.batches WHERE source = '{quoted}' ORDER BY batch"
            ))
            .await?;
        let mut stream = session.execute_all(session.physical(&plan).await?)?;
        let mut batches = Batches::default();
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let paths = batch.column(1).as_string::<i32>();
            let sizes = batch.column(2).as_primitive::<Int64Type>();
            let changes = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            for row in 0..numbers.len() {
                let modified_at =
                    DateTime::from_timestamp_micros(changes.value(row)).unwrap_or_default();
                let planned =
                    Planned { batch: numbers.value(row), bytes: sizes.value(row), modified_at };
                batches.newest = batches.newest.max(planned.batch);
                batches.files.insert(paths.value(row).to_owned(), planned);
            }
        }
        Ok(batches)
    }

    /// Writes down that `files` are `batch` of `application`, before anything of them is landed.
    pub(super) async fn plan_batch(
        &self,
        application: &str,
        batch: i64,
        root: &Path,
        files: &[InputFile],
    ) -> Result<()> {
        let length = files.len();
        let columns = vec![
            ("source", Values::Text(vec![text(application); length])),
            ("batch", Values::Count(vec![Some(batch); length])),
            ("path", Values::Text(files.iter().map(|file| text(&file.name)).collect())),
            ("directory", Values::Text(vec![text(root.display()); length])),
            ("bytes", Values::Count(files.iter().map(|file| count(file.bytes)).collect())),
            (
                "modified_at",
                Values::Instant(files.iter().map(|file| Some(file.modified_at)).collect()),
            ),
            ("planned_at", Values::Instant(vec![Some(self.as_of); length])),
            ("run_id", Values::Text(vec![text(&self.id); length])),
        ];
        let spec = spec(
            "batches",
            "One row per file that was or will be landed, and the batch that it belongs to.",
            &columns,
        );
        self.append(&spec, rows(&spec, columns)?, &[(application.to_owned(), batch)]).await
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
        let planned =
            Planned { batch: 3, bytes: 10, modified_at: DateTime::from_timestamp(5, 0).unwrap() };
        Batches { newest: 3, files: HashMap::from([("a".to_owned(), planned)]) }
    }

    #[test]
    fn a_file_is_new_until_it_is_in_a_batch_and_again_when_it_changed() {
        let files = [file("a", 10, 5), file("b", 10, 5)];
        let names: Vec<_> = known().new_among(&files).into_iter().map(|file| file.name).collect();
        assert_eq!(names, [Arc::from("b")]);
        assert_eq!(known().new_among(&[file("a", 11, 5)]).len(), 1);
        assert_eq!(known().new_among(&[file("a", 10, 6)]).len(), 1);
    }

    #[test]
    fn an_interrupted_batch_wants_its_files_as_they_were() {
        assert_eq!(known().files_of(3, &[file("a", 10, 5), file("b", 1, 1)]).unwrap().len(), 1);
        assert_eq!(known().files_of(3, &[file("a", 10, 6)]).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(known().files_of(3, &[]).unwrap_err().kind(), Kind::Missing);
    }
}
