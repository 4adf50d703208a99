//! Why a table cannot be read. The Delta library says most of it as text alone, so its log is looked
//! through once more: whoever reads the error has to know which file is broken, and whether it is
//! the data, the storage or a permission.

use delta_kernel::Error as KernelError;
use deltalake::DeltaTableError;

use crate::error::{Error, Kind, Result};
use crate::name::TableName;

use super::At;
use super::log::{Entry, Log};

/// The newest version of Delta's protocol for readers that is known here. Later ones have deletion
/// vectors and renamed columns, which plain Parquet readers would misread.
const READER: u64 = 1;
/// What to do about a table of a later one.
const NEWER: &str =
    "deletion vectors and column mapping are not read; rewrite the table without them";

/// An error of Delta underneath, with the table named.
pub(super) fn delta_error(what: &str, table: &TableName, source: DeltaTableError) -> Error {
    let error = match source {
        DeltaTableError::KernelError(error) => kernel_error(what, error),
        // Only a log has these; what is written is checked before.
        DeltaTableError::InvalidJsonLog { .. }
        | DeltaTableError::InvalidStatsJson { .. }
        | DeltaTableError::MetadataError(_)
        | DeltaTableError::NoSchema => Error::new(Kind::Data, what).because(source),
        other => Error::storage(what, other),
    };
    error.at("table", table)
}

/// The kernel hides the causes of its errors from whoever asks for them.
fn kernel_error(what: &str, error: KernelError) -> Error {
    match error {
        KernelError::Backtraced { source, .. } => kernel_error(what, *source),
        KernelError::ObjectStore(source) => Error::storage(what, source),
        KernelError::IOError(source) => Error::storage(what, source),
        KernelError::Unsupported(_) | KernelError::InvalidProtocol(_) => {
            Error::new(Kind::Invalid, what).hint(NEWER).because(error)
        }
        KernelError::MalformedJson(_)
        | KernelError::Arrow(_)
        | KernelError::Parquet(_)
        | KernelError::Extract(..)
        | KernelError::Generic(_)
        | KernelError::InvalidCheckpoint(_)
        | KernelError::MissingColumn(_)
        | KernelError::MissingData(_)
        | KernelError::MissingMetadata
        | KernelError::MissingMetadataAndProtocol
        | KernelError::MissingProtocol
        | KernelError::ParseError(..)
        | KernelError::Schema(_)
        | KernelError::UnexpectedColumnType(_)
        | KernelError::Utf8Error(_) => Error::new(Kind::Data, what).because(error),
        other => Error::storage(what, other),
    }
}

/// Refuses a table that only readers of a later protocol than ours understand.
pub(super) fn check_protocol(table: &TableName, reader: u64) -> Result<()> {
    if reader <= READER {
        return Ok(());
    }
    Err(Error::new(Kind::Invalid, "the table needs a newer reader than this one")
        .at("table", table)
        .at("reader_version", reader)
        .hint(NEWER))
}

/// The error of a version that a table has not, or has no longer.
pub(super) fn no_such_version(table: &TableName, version: u64) -> Error {
    Error::new(Kind::Missing, "the table has no such version")
        .at("table", table)
        .at("version", version)
        .hint(format!("see `clickwatch tables history {table}`"))
}

/// Why the state of a table at `at` could not be loaded, which ended with `source`; None when
/// there is no table at all.
pub(super) async fn explain(log: &Log<'_>, at: At, source: DeltaTableError) -> Option<Error> {
    let files = match log.files().await {
        Ok(files) => files,
        Err(e) => return Some(e),
    };
    let newest = files.newest()?;
    let wanted = match at {
        At::Version(version) if version > newest => {
            return Some(no_such_version(log.table, version));
        }
        At::Version(version) => version,
        At::Latest | At::Time(_) => newest,
    };
    let checkpoint = files.checkpoints.range(..=wanted).next_back();
    if checkpoint.is_none() && !files.commits.contains(&0) {
        return Some(match files.checkpoints.is_empty() {
            true => log.corrupt("the log of the table has lost its beginning", 0),
            // Logs are cleaned up to a checkpoint.
            false => no_such_version(log.table, wanted),
        });
    }
    let first = checkpoint.map_or(0, |(version, _)| version + 1);
    if let Err(e) = examine_commits(log, first, wanted).await {
        return Some(e);
    }
    for file in checkpoint.into_iter().flat_map(|(_, files)| files) {
        if let Err(e) = log.check_checkpoint(file).await {
            return Some(e);
        }
    }
    Some(delta_error("cannot read the table", log.table, source))
}

async fn examine_commits(log: &Log<'_>, first: u64, last: u64) -> Result<()> {
    for version in first..=last {
        let Some(entries) = log.entries(version).await? else {
            return Err(log.corrupt("a commit of the table is gone", version));
        };
        for entry in entries {
            if let Entry::Protocol { reader } = entry {
                check_protocol(log.table, reader)?;
            }
        }
    }
    Ok(())
}
