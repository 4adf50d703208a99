//! The files of a table's log, read by ourselves where the Delta library tells too little: what a
//! commit holds beside its files, and which file of the log is the one that cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use deltalake::kernel::{Add, Remove};
use deltalake::logstore::commit_uri_from_version;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use serde::de::Error as _;
use serde_json::{Deserializer, Map, Value, from_value};

use crate::error::{Error, Kind, Result};
use crate::name::TableName;

/// The directory of a table's log.
pub(super) const LOG: &str = "_delta_log";

/// What to do about a log that is broken.
const RESTORE: &str =
    "restore the file from a backup, or remove the table's directory and run to build it anew";

/// The log of one table.
pub(super) struct Log<'a> {
    pub table: &'a TableName,
    store: Arc<dyn ObjectStore>,
}

/// What a commit says. What is not named here changes neither rows nor columns.
pub(super) enum Entry {
    Add(Box<Add>),
    Remove(Box<Remove>),
    Metadata,
    /// The version of the protocol that a reader has to know.
    Protocol {
        reader: u64,
    },
    /// Who made the commit, and what for.
    Info(Map<String, Value>),
    Other,
}

/// Which files a log has.
#[derive(Debug, Default)]
pub(super) struct LogFiles {
    /// The versions whose commits are there.
    pub commits: BTreeSet<u64>,
    /// The versions with a whole checkpoint, and its files.
    pub checkpoints: BTreeMap<u64, Vec<Path>>,
}

impl<'a> Log<'a> {
    /// The log of `table`, whose files are in `store`.
    pub(super) fn new(table: &'a TableName, store: Arc<dyn ObjectStore>) -> Self {
        Self { table, store }
    }

    /// The bytes of a file of the log; None when it is not there.
    async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        let failed = |e| {
            Error::storage("cannot read a file of the table's log", e)
                .at("table", self.table)
                .at("file", path)
        };
        match self.store.get(path).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// The bytes of the commit that made `version`; None when it is gone.
    pub(super) async fn commit(&self, version: u64) -> Result<Option<Bytes>> {
        self.read(&commit_uri_from_version(Some(version))).await
    }

    /// What the commit that made `version` says; None when it is gone.
    ///
    /// Errors: `Data` when it is empty or is no commit.
    pub(super) async fn entries(&self, version: u64) -> Result<Option<Vec<Entry>>> {
        let Some(bytes) = self.commit(version).await? else { return Ok(None) };
        let values = Deserializer::from_slice(&bytes).into_iter::<Value>();
        let entries = values
            .map(|value| value.and_then(Entry::of))
            .collect::<serde_json::Result<Vec<_>>>()
            .map_err(|e| self.unreadable(version, e))?;
        match entries.is_empty() {
            true => Err(self.corrupt("a commit of the table is empty", version)),
            false => Ok(Some(entries)),
        }
    }

    /// What the commit that made `version` says of itself, which may be None at all; nothing
    /// when it is gone.
    pub(super) async fn info(&self, version: u64) -> Result<Option<Map<String, Value>>> {
        let Some(bytes) = self.commit(version).await? else { return Ok(None) };
        for value in Deserializer::from_slice(&bytes).into_iter::<Value>() {
            let entry = value.and_then(Entry::of).map_err(|e| self.unreadable(version, e))?;
            if let Entry::Info(info) = entry {
                return Ok(Some(info));
            }
        }
        Ok(Some(Map::new()))
    }

    /// Refuses a commit without any content, which the Delta library takes for one that changes
    /// nothing. What a store leaves behind that lost its power looks so.
    pub(super) async fn check_not_empty(&self, version: u64) -> Result<()> {
        let path = commit_uri_from_version(Some(version));
        match self.store.head(&path).await {
            Ok(found) if found.size == 0 => {
                Err(self.corrupt("a commit of the table is empty", version))
            }
            // A checkpoint tells the version as well.
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::storage("cannot look at a commit of the table", e)
                .at("table", self.table)
                .at("file", path)),
        }
    }

    /// Reads a file of a checkpoint to its end.
    pub(super) async fn check_checkpoint(&self, path: &Path) -> Result<()> {
        use arrow::error::ArrowError;
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
        let Some(bytes) = self.read(path).await? else { return Ok(()) };
        let read = || -> Result<(), ArrowError> {
            let mut batches = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
            batches.try_for_each(|batch| batch.map(drop))
        };
        read().map_err(|e| {
            Error::new(Kind::Data, "a checkpoint of the table cannot be read")
                .at("table", self.table)
                .at("file", path)
                .hint(RESTORE)
                .because(e)
        })
    }

    fn unreadable(&self, version: u64, source: serde_json::Error) -> Error {
        self.corrupt("a commit of the table cannot be read", version).because(source)
    }

    /// An error of the commit that made `version`.
    pub(super) fn corrupt(&self, what: &str, version: u64) -> Error {
        Error::new(Kind::Data, what)
            .at("table", self.table)
            .at("version", version)
            .at("file", commit_uri_from_version(Some(version)))
            .hint(RESTORE)
    }

    /// The commits and checkpoints that are there.
    pub(super) async fn files(&self) -> Result<LogFiles> {
        let mut files = LogFiles::default();
        let mut parts = BTreeMap::<u64, Vec<(Path, usize)>>::new();
        let mut listing = self.store.list(Some(&Path::from(LOG)));
        let failed = |e| Error::storage("cannot list the table's log", e).at("table", self.table);
        while let Some(found) = listing.try_next().await.map_err(failed)? {
            match LogFile::of(&found.location) {
                Some(LogFile::Commit(version)) => {
                    files.commits.insert(version);
                }
                Some(LogFile::Checkpoint { version, of }) => {
                    parts.entry(version).or_default().push((found.location, of));
                }
                None => {}
            }
        }
        for (version, found) in parts {
            if found.iter().any(|(_, of)| *of <= found.len()) {
                let paths = found.into_iter().map(|(path, _)| path).collect();
                files.checkpoints.insert(version, paths);
            }
        }
        Ok(files)
    }
}

impl Entry {
    /// The entry that an action of a commit is.
    pub(super) fn of(value: Value) -> serde_json::Result<Self> {
        let Value::Object(mut action) = value else {
            return Err(serde_json::Error::custom("an action of a commit is no JSON object"));
        };
        if let Some(add) = action.remove("add") {
            return from_value(add).map(|add| Self::Add(Box::new(add)));
        }
        if let Some(remove) = action.remove("remove") {
            return from_value(remove).map(|remove| Self::Remove(Box::new(remove)));
        }
        if let Some(protocol) = action.get("protocol") {
            let reader = protocol.get("minReaderVersion").and_then(Value::as_u64);
            let reader = reader
                .ok_or_else(|| serde_json::Error::custom("a protocol without minReaderVersion"))?;
            return Ok(Self::Protocol { reader });
        }
        Ok(match action.remove("commitInfo") {
            Some(Value::Object(info)) => Self::Info(info),
            _ if action.contains_key("metaData") => Self::Metadata,
            _ => Self::Other,
        })
    }
}

impl LogFiles {
    /// The newest version.
    pub(super) fn newest(&self) -> Option<u64> {
        self.commits.last().max(self.checkpoints.keys().next_back()).copied()
    }
}

/// What a file of a log is.
enum LogFile {
    Commit(u64),
    /// A checkpoint, or one of several files of it.
    Checkpoint {
        version: u64,
        of: usize,
    },
}

impl LogFile {
    fn of(path: &Path) -> Option<Self> {
        const DIGITS: usize = 20;
        let (digits, rest) = path.filename()?.split_once('.')?;
        // What lies in directories of the log is not committed.
        if digits.len() != DIGITS || path.parts().count() != 2 {
            return None;
        }
        let version = digits.parse().ok()?;
        let rest: Vec<&str> = rest.split('.').collect();
        match rest.as_slice() {
            ["json"] => Some(Self::Commit(version)),
            ["checkpoint", _, of, "parquet"] => {
                Some(Self::Checkpoint { version, of: of.parse().ok()? })
            }
            ["checkpoint", .., "parquet"] => Some(Self::Checkpoint { version, of: 1 }),
            _ => None,
        }
    }
}
