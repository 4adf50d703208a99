//! Many small files into few: the same rows, and readers open less.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Tables;
use crate::error::{Kind, Result};
use crate::lake::{Change, DataFile, Removal, Snapshot, TableSpec};
use crate::name::TableName;

use super::expect::Judges;
use super::write::Rows;
use super::{Run, Runner};

/// Files below this size are worth being merged.
const SMALL: u64 = 32 << 20;
/// How often a table is tried while others write to it.
const ATTEMPTS: usize = 10;
/// The tables of records that every run adds to, and how many files they may come to.
const RECORDS: [&str; 5] = ["batches", "epochs", "expectations", "runs", "writes"];
const RECORD_FILES: u64 = 64;

/// What became of one table.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The table.
    pub table: TableName,
    /// Files before.
    pub files_before: u64,
    /// Files after.
    pub files_after: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// The version of the table afterwards.
    pub version: u64,
}

impl Runner {
    /// Merges the small files of `table`, within each partition.
    ///
    /// Errors: `Conflict` when others write to the table all the time.
    pub async fn compact(&self, table: &TableName) -> Result<Compacted> {
        let run = self.bare_run().await?;
        let mut attempt = 1;
        loop {
            match run.compact(table).await {
                Err(e) if e.kind() == Kind::Conflict && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }
}

impl Run {
    async fn compact(&self, table: &TableName) -> Result<Compacted> {
        let base = self.lake.require(table, crate::lake::At::Latest).await?;
        let files = base.files()?;
        let small = mergeable(&files);
        let mut done = Compacted {
            table: table.clone(),
            files_before: files.len() as u64,
            files_after: files.len() as u64,
            bytes_written: 0,
            version: base.version(),
        };
        if small.is_empty() {
            return Ok(done);
        }
        let session = self.engine.session(Tables::default().into_catalog());
        let plan = session.table(base.view_provider_of(&small)?)?.into_unoptimized_plan();
        let rows =
            Rows { new: None, kept: Some(session.physical(&plan).await?), ..Rows::default() };
        let spec = spec_of(&base);
        let mut quarantine = self.quarantine(table)?;
        let judges = Arc::new(Judges::none());
        let outcome = self.write(&spec, &session, rows, &judges, &mut quarantine).await?;
        let merged = small.len() as u64;
        let written = outcome.written.adds.len() as u64;
        let change = Change {
            adds: outcome.written.adds,
            removal: Removal::Files(small),
            is_rearrangement: true,
            notes: vec![("reason", "compaction".into())],
            ..Change::default()
        };
        (done.version, _) = self.lake.commit(&spec, Some(&base), change).await?;
        done.files_after = done.files_before - merged + written;
        done.bytes_written = outcome.written.bytes;
        Ok(done)
    }

    /// Keeps the tables of records from falling apart into a file per run.
    pub(super) async fn tidy(&self) -> Result<()> {
        for name in RECORDS {
            let table = TableName::ops(name);
            let files = self.lake.snapshot(&table).await?.map_or(0, |state| state.size().0);
            if files < RECORD_FILES {
                continue;
            }
            match self.compact(&table).await {
                // Whoever won has done the same.
                Err(e) if e.kind() != Kind::Conflict => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The small files of partitions that have more than one.
fn mergeable(files: &[DataFile]) -> Vec<DataFile> {
    let mut partitions: BTreeMap<Vec<(String, Option<String>)>, Vec<&DataFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes() < SMALL) {
        partitions.entry(file.partition()).or_default().push(file);
    }
    let several = partitions.into_values().filter(|files| files.len() > 1);
    several.flatten().cloned().collect()
}

/// The table as it is.
fn spec_of(base: &Snapshot) -> TableSpec {
    TableSpec {
        name: base.name().clone(),
        schema: Arc::clone(base.schema()),
        partition_by: base.partition_by(),
        description: base.description(),
        fingerprint: base.fingerprint().unwrap_or_default(),
    }
}
