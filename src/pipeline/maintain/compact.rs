//! Many small files into few: the same rows, and readers open less.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Tables;
use crate::error::{Kind, Result};
use crate::lake::{At, Change, DataFile, FILE_BYTES, Removal, Snapshot, TableSpec};
use crate::name::TableName;
use crate::ops::GROWING;
use crate::pipeline::context::Context;
use crate::rewrite::{Distribution, Rows, rows_of, write};

/// Files below this size are worth being merged.
const SMALL: u64 = 32 << 20;
/// How often a table is tried while others write to it.
const ATTEMPTS: usize = 10;
/// How many files a table to which every run adds may come to.
const GROWING_FILES: u64 = 64;

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

/// Merges the small files of `table`, within each partition, where that makes them fewer.
///
/// Errors: `Conflict` when others write to the table all the time.
pub(in crate::pipeline) async fn compact(
    context: &Context,
    table: &TableName,
) -> Result<Compacted> {
    let mut attempt = 1;
    loop {
        match try_compact(context, table).await {
            Err(e) if e.kind() == Kind::Conflict && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

async fn try_compact(context: &Context, table: &TableName) -> Result<Compacted> {
    let base = context.lake.require(table, At::Latest).await?;
    let files = base.files()?;
    let merged = mergeable(&files);
    let mut done = Compacted {
        table: table.clone(),
        files_before: files.len() as u64,
        files_after: files.len() as u64,
        bytes_written: 0,
        version: base.version(),
    };
    if merged.is_empty() {
        return Ok(done);
    }
    let session = context.engine.session(Tables::default().into_catalog());
    let kept = session.physical(&rows_of(&session, &base, &merged)?).await?;
    let rows = Rows { kept: Some(kept), distribution: Distribution::Fewest, ..Rows::default() };
    let spec = spec_of(&base);
    let outcome = write(context.destination(&spec, Some(&base)), &session, rows, None).await?;
    let (went, came) = (merged.len() as u64, outcome.written.adds.len() as u64);
    let change = Change {
        adds: outcome.written.adds,
        removal: Removal::Files(merged),
        is_rearrangement: true,
        notes: vec![("reason", "compaction".into())],
        ..Change::default()
    };
    (done.version, _) = context.lake.commit(&spec, Some(&base), change).await?;
    done.files_after = done.files_before - went + came;
    done.bytes_written = outcome.written.bytes;
    Ok(done)
}

/// Keeps the tables to which every run adds from falling apart into a file per run.
pub(in crate::pipeline) async fn tidy(context: &Context) -> Result<()> {
    for name in GROWING {
        let table = TableName::ops(name);
        let files = context.lake.snapshot(&table).await?.map_or(0, |state| state.size().0);
        if files < GROWING_FILES {
            continue;
        }
        match compact(context, &table).await {
            // The run that won has done the same.
            Err(e) if e.kind() != Kind::Conflict => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// The small files of partitions in which they come to fewer when they are merged.
fn mergeable(files: &[DataFile]) -> Vec<DataFile> {
    let mut partitions: BTreeMap<Vec<(String, Option<String>)>, Vec<&DataFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes() < SMALL) {
        partitions.entry(file.partition()).or_default().push(file);
    }
    let become_fewer = |files: &Vec<&DataFile>| {
        let bytes = files.iter().map(|file| file.bytes()).sum::<u64>();
        bytes.div_ceil(FILE_BYTES) < files.len() as u64
    };
    partitions.into_values().filter(become_fewer).flatten().cloned().collect()
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
