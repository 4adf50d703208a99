//! The tables on storage. The only module that knows Delta.
//!
//! A table is read through a [`Snapshot`], which never changes, and written through [`Sink`]s,
//! whose files nobody sees until [`Lake::commit`] names them. One commit holds the new files, the
//! removed ones, the position of every upstream table and the model that made them: a table is
//! never half of anything.

mod changes;
mod commit;
mod encoding;
mod fault;
mod file;
mod layout;
mod local;
mod log;
mod provenance;
mod scan;
mod schema;
mod sink;
mod snapshot;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::name::{Layer, TableName, did_you_mean};
use crate::runtime::Timestamp;

pub use changes::Changes;
pub use commit::{Change, Removal};
pub use encoding::FILE_BYTES;
pub use file::{DataFile, Wanted, extent};
pub use layout::Layout;
pub use provenance::{CommitMark, ForeignCommit};
pub use schema::{encoded, storable, to_stored};
pub use sink::{Sink, Written};
pub use snapshot::{FILE_NUMBER, HistoryEntry, Snapshot};

use fault::delta_error;
use log::{LOG, Log};
use scan::Footers;

/// How often a table is looked at that seemed to have no commit and has one.
const LOADS: usize = 3;

/// A root under which tables lie at `<layer>/<table>`.
#[derive(Clone, Debug)]
pub struct Lake {
    root: Url,
    /// What was read before of the files of each table.
    footers: Arc<Mutex<HashMap<TableName, Footers>>>,
}

/// What a table should look like.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: TableName,
    /// Its columns, as [`storable`] gives them.
    pub schema: SchemaRef,
    /// The columns that separate its files.
    pub partition_by: Vec<String>,
    /// What it holds, for whoever lists tables.
    pub description: String,
    /// What made it: changes when the model does.
    pub fingerprint: String,
}

/// Which state of a table is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// That of a version.
    Version(u64),
    /// The newest that was not later than an instant.
    Time(Timestamp),
}

impl Lake {
    /// The lake at `location`: a directory, or a URL such as `s3://bucket/lake`.
    ///
    /// Nothing is created until something is written. Errors: `Invalid` for a location that is no
    /// directory and no URL that this build can reach.
    pub fn at(location: &str) -> Result<Self> {
        local::register();
        let invalid = |message: &str| Error::new(Kind::Invalid, message).at("lake", location);
        let root = if location.contains("://") {
            let mut url =
                Url::parse(location).map_err(|e| invalid("this is no URL of a lake").because(e))?;
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            if !matches!(url.scheme(), "file" | "memory") && !has_scheme(url.scheme()) {
                return Err(invalid("this build cannot reach such a lake")
                    .hint("build with --features s3, azure or gcs"));
            }
            url
        } else {
            let path = std::path::absolute(location)
                .map_err(|e| Error::io("cannot tell where the lake is", Path::new(location), e))?;
            if has_escape(&path.to_string_lossy()) {
                return Err(invalid("the store would take a part of this path for an escape")
                    .hint("choose a directory without % and two digits in its path"));
            }
            Url::from_directory_path(&path)
                .map_err(|()| invalid("this is no directory for a lake"))?
        };
        Ok(Self { root, footers: Arc::default() })
    }

    fn footers_of(&self, table: &TableName) -> Footers {
        let mut footers = self.footers.lock().unwrap_or_else(PoisonError::into_inner);
        footers.entry(table.clone()).or_default().clone()
    }

    /// The root as users wrote or would write it.
    pub fn location(&self) -> String {
        let root = self.local_root().map(|path| path.display().to_string());
        let root = root.unwrap_or_else(|| self.root.to_string());
        root.strip_suffix('/').map(str::to_owned).unwrap_or(root)
    }

    /// The root as a directory, when the lake is a local one.
    pub fn local_root(&self) -> Option<PathBuf> {
        (self.root.scheme() == "file").then(|| self.root.to_file_path().ok()).flatten()
    }

    /// The newest state of `table`, or None when there is no such table.
    pub async fn snapshot(&self, table: &TableName) -> Result<Option<Snapshot>> {
        self.snapshot_at(table, At::Latest).await
    }

    /// The state of `table` at `at`, or None when there is no such table.
    ///
    /// Errors: `Missing` when the table exists but has no such state, `Denied` when it may not be
    /// read, `Data` with the file when its log is broken, `Invalid` when it needs a newer reader.
    pub async fn snapshot_at(&self, table: &TableName, at: At) -> Result<Option<Snapshot>> {
        let url = self.url_of(table)?;
        // Delta's own reader takes a slow way to find out that a local directory is not there, and
        // takes files that it may not open for none.
        if let Ok(path) = url.to_file_path()
            && !has_log(&path).map_err(|e| e.at("table", table))?
        {
            return Ok(None);
        }
        let mut attempt = 1;
        loop {
            let failure = match self.load(table, at).await? {
                Ok(loaded) => {
                    let snapshot = Snapshot::new(table.clone(), loaded, self.footers_of(table))?;
                    snapshot.check_readable(at)?;
                    snapshot.log().check_not_empty(snapshot.version()).await?;
                    return Ok(Some(snapshot));
                }
                Err(failure) => failure,
            };
            let had_no_commit = matches!(failure, DeltaTableError::NotATable(_));
            let log = Log::new(table, self.store_of(table)?);
            match fault::explain(&log, at, failure).await {
                None => return Ok(None),
                // The first commit came after it was looked for.
                Some(_) if had_no_commit && attempt < LOADS => attempt += 1,
                Some(error) => return Err(error),
            }
        }
    }

    async fn load(
        &self,
        table: &TableName,
        at: At,
    ) -> Result<std::result::Result<DeltaTable, DeltaTableError>> {
        let builder = DeltaTableBuilder::from_url(self.url_of(table)?)
            .map_err(|e| delta_error("cannot open the table", table, e))?;
        let builder = match at {
            At::Latest => builder,
            At::Version(version) => builder.with_version(version),
            At::Time(instant) => builder.with_timestamp(instant),
        };
        Ok(builder.load().await)
    }

    /// The state of `table` at `at`; an error with the nearest name when there is no such table.
    pub async fn require(&self, table: &TableName, at: At) -> Result<Snapshot> {
        if let Some(snapshot) = self.snapshot_at(table, at).await? {
            return Ok(snapshot);
        }
        let known: Vec<String> = self.tables().await?.iter().map(ToString::to_string).collect();
        let error = Error::new(Kind::Missing, "there is no such table")
            .at("table", table)
            .at("lake", self.location());
        Err(match did_you_mean(&table.to_string(), known.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error.hint("the lake is empty: fill it with `clickwatch run`"),
        })
    }

    /// All tables, sorted.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        let mut tables = Vec::new();
        for layer in Layer::ALL {
            let names = match self.root.to_file_path() {
                Ok(root) => local_tables(&root.join(layer.as_str()))?,
                Err(()) => self.remote_tables(layer).await?,
            };
            tables.extend(names.iter().filter_map(|name| TableName::new(layer, name).ok()));
        }
        tables.sort();
        Ok(tables)
    }

    async fn remote_tables(&self, layer: Layer) -> Result<Vec<String>> {
        let failed = |e| Error::storage("cannot list the lake", e).at("lake", self.location());
        let table = DeltaTableBuilder::from_url(self.root.clone())
            .and_then(DeltaTableBuilder::build)
            .map_err(|e| Error::storage("cannot reach the lake", e).at("lake", self.location()))?;
        let store = table.log_store().object_store(None);
        let prefix = object_store::path::Path::from(layer.as_str());
        let listing = store.list_with_delimiter(Some(&prefix)).await.map_err(failed)?;
        let mut names = Vec::new();
        for path in listing.common_prefixes {
            let log = path.clone().join(LOG);
            if store.list(Some(&log)).try_next().await.map_err(failed)?.is_some() {
                names.extend(path.filename().map(str::to_owned));
            }
        }
        Ok(names)
    }

    fn url_of(&self, table: &TableName) -> Result<Url> {
        self.root.join(&format!("{}/{}/", table.layer(), table.name())).map_err(|e| {
            Error::new(Kind::Bug, "cannot name the place of a table").at("table", table).because(e)
        })
    }

    /// A handle to the place of `table`, whether there is a table or not.
    fn place_of(&self, table: &TableName) -> Result<DeltaTable> {
        let url = self.url_of(table)?;
        DeltaTableBuilder::from_url(url)
            .and_then(DeltaTableBuilder::build)
            .map_err(|e| delta_error("cannot reach the table", table, e))
    }

    fn store_of(&self, table: &TableName) -> Result<Arc<dyn ObjectStore>> {
        Ok(self.place_of(table)?.log_store().object_store(None))
    }
}

/// Whether `text` holds something like `%20`.
fn has_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| {
        let mut digits = rest.chars().take(2).filter(char::is_ascii_hexdigit);
        digits.next().is_some() && digits.next().is_some()
    })
}

fn has_scheme(scheme: &str) -> bool {
    let known: &[&str] = match scheme {
        "s3" | "s3a" => &["s3"],
        "az" | "abfs" | "abfss" | "azure" | "adl" => &["azure"],
        "gs" => &["gcs"],
        _ => &[],
    };
    known.iter().any(|feature| match *feature {
        "s3" => cfg!(feature = "s3"),
        "azure" => cfg!(feature = "azure"),
        _ => cfg!(feature = "gcs"),
    })
}

/// Whether the directory of a table has a log.
///
/// Errors: `Denied` when that cannot be told, or the log may not be read.
fn has_log(table: &Path) -> Result<bool> {
    let log = table.join(LOG);
    // Names in a directory can be listed without the right to open what they stand for.
    let looked = std::fs::read_dir(&log).and_then(|_| std::fs::metadata(log.join(".")));
    match looked {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(Error::io("cannot look into the log of a table", &log, e)),
    }
}

/// The names of the directories of a layer that are tables, and of those that may be: one that
/// may not be looked into is not left out.
fn local_tables(layer: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("cannot list the lake", layer, e);
    let entries = match std::fs::read_dir(layer) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_table = match std::fs::metadata(entry.path().join(LOG)) {
            Ok(found) => found.is_dir(),
            Err(e) => !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if is_table {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
