//! Local files that are on the disk before they count.
//!
//! The local store underneath renames without syncing: after a power cut a commit may be there and
//! empty, or there while the files that it names are not. Here a commit is written aside, synced,
//! and only then given its name; and before that, all data files of its table are synced together.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::DeltaResult;
use deltalake::logstore::{
    ObjectStoreFactory, ObjectStoreRef, StorageConfig, object_store_factories,
};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use tokio::task::JoinHandle;
use url::Url;

use crate::name::Layer;
use crate::runtime::Failpoint;

use super::log::LOG;

/// Directories that are synced at the same time.
const SYNCS_AT_ONCE: usize = 16;

/// Makes every local table that is opened from now on a durable one.
pub(super) fn register() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        if let Ok(scheme) = Url::parse("file://") {
            let store = Arc::new(DurableStore::default());
            object_store_factories().insert(scheme, Arc::new(Factory(store)));
        }
    });
}

struct Factory(Arc<DurableStore>);

impl ObjectStoreFactory for Factory {
    fn parse_url_opts(&self, url: &Url, _: &StorageConfig) -> DeltaResult<(ObjectStoreRef, Path)> {
        let path = Path::from_url_path(url.path()).map_err(Error::from)?;
        Ok((Arc::clone(&self.0) as ObjectStoreRef, path))
    }
}

/// The local file system, with commits that are durable.
#[derive(Debug, Default)]
struct DurableStore {
    inner: LocalFileSystem,
    unsynced: Arc<Unsynced>,
}

/// Data files that are whole but perhaps not on the disk, and what becomes of bringing them there. The
/// system tells once that it has failed, and whoever asks again hears that all is well.
type Unsynced = Mutex<HashMap<Path, JoinHandle<Result<()>>>>;

impl Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Durable{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let Some(place) = LogPlace::of(location) else {
            Failpoint::BeforeFile.pass(|| table_of(location));
            let put = self.inner.put_opts(location, payload, options).await?;
            whole(&self.unsynced, location, self.inner.path_to_filesystem(location)?);
            return Ok(put);
        };
        if matches!(options.mode, PutMode::Update(_)) {
            return self.inner.put_opts(location, payload, options).await;
        }
        self.sync_data(&place).await?;
        let target = self.inner.path_to_filesystem(location)?;
        let may_replace = matches!(options.mode, PutMode::Overwrite);
        let written = blocking(move || place.write(&target, &payload, may_replace)).await;
        written.map(|()| PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Failpoint::BeforeFile.pass(|| table_of(location));
        Ok(Box::new(Upload {
            inner: self.inner.put_multipart_opts(location, options).await?,
            location: location.clone(),
            unsynced: Arc::clone(&self.unsynced),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        whole(&self.unsynced, to, self.inner.path_to_filesystem(to)?);
        Ok(())
    }
}

impl DurableStore {
    /// Waits until what was written to the table of a commit since its last one is on the disk, and
    /// then syncs the directories.
    async fn sync_data(&self, commit: &LogPlace) -> Result<()> {
        let files: Vec<_> = {
            let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            unsynced.extract_if(|path, _| path.prefix_matches(&commit.table)).collect()
        };
        commit.pass(Failpoint::BeforeSync);
        let mut paths = Vec::with_capacity(files.len());
        for (path, synced) in files {
            let path = self.inner.path_to_filesystem(&path)?;
            match synced.await {
                Ok(synced) => synced?,
                // It was not begun when the work that wrote the file was given up.
                Err(_) => {
                    let path = path.clone();
                    blocking(move || sync(&path)).await?;
                }
            }
            paths.push(path);
        }
        let root = self.inner.path_to_filesystem(&commit.table)?;
        let mut directories: Vec<PathBuf> = paths
            .iter()
            .flat_map(|path| path.ancestors().skip(1).take_while(|one| one.starts_with(&root)))
            .map(FsPath::to_path_buf)
            .collect();
        directories.sort();
        directories.dedup();
        futures::stream::iter(directories)
            .map(|path| blocking(move || sync(&path)))
            .buffer_unordered(SYNCS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        commit.pass(Failpoint::AfterSync);
        Ok(())
    }
}

/// A data file in the making.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    unsynced: Arc<Unsynced>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.inner.complete().await?;
        let path = LocalFileSystem::new().path_to_filesystem(&self.location)?;
        // A large checkpoint is read by its name, and no commit follows that would sync it.
        if LogPlace::of(&self.location).is_none() {
            whole(&self.unsynced, &self.location, path);
            return Ok(put);
        }
        blocking(move || {
            sync(&path)?;
            path.parent().map_or(Ok(()), sync)
        })
        .await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Notes that a data file is whole, and lets the disk begin while other files are still computed. The
/// commit waits for it.
fn whole(unsynced: &Unsynced, location: &Path, path: PathBuf) {
    let synced = tokio::task::spawn_blocking(move || sync(&path));
    unsynced.lock().unwrap_or_else(PoisonError::into_inner).insert(location.clone(), synced);
    Failpoint::AfterFile.pass(|| table_of(location));
}

/// A file of a table's log.
struct LogPlace {
    table: Path,
    /// Whether it is a commit, and not a checkpoint.
    is_commit: bool,
    /// Whether it is the commit that creates the table.
    is_first: bool,
}

impl LogPlace {
    fn of(location: &Path) -> Option<Self> {
        let parts: Vec<_> = location.parts().collect();
        let [before @ .., log, name] = parts.as_slice() else { return None };
        if log.as_ref() != LOG {
            return None;
        }
        let version = name.as_ref().strip_suffix(".json").and_then(|name| name.parse::<u64>().ok());
        let table = before.iter().map(|part| part.as_ref()).collect::<Vec<_>>().join("/");
        Some(Self {
            table: Path::parse(table).ok()?,
            is_commit: version.is_some(),
            is_first: version == Some(0),
        })
    }

    fn pass(&self, point: Failpoint) {
        if self.is_commit {
            point.pass(|| table_of(&self.table));
        }
    }

    /// Writes a file of the log so that it is there as a whole or not at all, whatever happens.
    fn write(&self, target: &FsPath, payload: &PutPayload, may_replace: bool) -> Result<()> {
        let Some(directory) = target.parent() else {
            return Err(failed(target, ErrorKind::InvalidInput.into()));
        };
        let failed_here = |e| failed(target, e);
        fs::create_dir_all(directory).map_err(failed_here)?;
        self.pass(Failpoint::BeforeCommit);
        // Names that end so are invisible to whoever lists the log.
        let staged = PathBuf::from(format!("{}#{}", target.display(), crate::runtime::unique_id()));
        let written = File::create_new(&staged).and_then(|mut file| {
            payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
            file.sync_all()
        });
        if self.is_first {
            // The directories above were perhaps made for this table; those that may not be looked
            // into are older than the lake.
            for parent in directory.ancestors().skip(1) {
                match File::open(parent).and_then(|parent| parent.sync_all()) {
                    Err(e) if e.kind() != ErrorKind::PermissionDenied => {
                        return Err(failed(parent, e));
                    }
                    _ => {}
                }
            }
        }
        self.pass(Failpoint::BeforeRename);
        let named = written.and_then(|()| match may_replace {
            true => fs::rename(&staged, target),
            // Unlike a rename, a link fails when the name is taken.
            false => fs::hard_link(&staged, target),
        });
        if !may_replace || named.is_err() {
            // A staged file that stays behind is invisible.
            drop(fs::remove_file(&staged));
        }
        named.map_err(failed_here)?;
        self.pass(Failpoint::AfterRename);
        sync(directory)?;
        self.pass(Failpoint::AfterCommit);
        Ok(())
    }
}

/// The name of the table that a file belongs to, as `gold.conversions`.
fn table_of(location: &Path) -> String {
    let parts: Vec<_> = location.parts().map(|part| part.as_ref().to_owned()).collect();
    let layer = parts.iter().rposition(|part| part.parse::<Layer>().is_ok());
    layer.and_then(|layer| parts.get(layer..layer + 2)).unwrap_or_default().join(".")
}

/// Waits until a file or directory is on the disk. One that is gone by now was never needed.
fn sync(path: &FsPath) -> Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(path, e)),
        _ => Ok(()),
    }
}

fn failed(path: &FsPath, error: std::io::Error) -> Error {
    let path = path.display().to_string();
    match error.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: Box::new(error) },
        _ => Error::Generic { store: "local", source: Box::new(error) },
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_table_wherever_the_lake_is() {
        let table = |path: &str| table_of(&Path::from(path));
        assert_eq!(table("data/gold/lake/gold/conversions/part-0.parquet"), "gold.conversions");
        assert_eq!(
            table("lake/silver/sessions/session_date=2025-07-01/a.parquet"),
            "silver.sessions"
        );
        assert_eq!(table("lake/ops/runs/_delta_log/00000000000000000000.json"), "ops.runs");
        assert_eq!(table("elsewhere/x"), "");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_is_written_once_and_leaves_nothing_aside() {
        let directory = tempfile::tempdir().unwrap();
        let store = DurableStore::default();
        let root = Path::from_absolute_path(directory.path()).unwrap();
        let commit =
            root.clone().join("gold").join("t").join(LOG).join("00000000000000000000.json");
        let put = |text: &'static str| {
            store.put_opts(&commit, PutPayload::from(text), PutOptions::from(PutMode::Create))
        };
        put("first").await.unwrap();
        assert!(matches!(put("second").await, Err(Error::AlreadyExists { .. })));
        let log = directory.path().join("gold/t").join(LOG);
        let names: Vec<_> =
            fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["00000000000000000000.json"]);
        assert_eq!(fs::read_to_string(log.join(&names[0])).unwrap(), "first");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_did_not_reach_the_disk_is_not_committed() {
        let directory = tempfile::tempdir().unwrap();
        let store = DurableStore::default();
        let table = Path::from_absolute_path(directory.path()).unwrap().join("gold").join("t");
        let file = table.clone().join("a.parquet");
        store.put_opts(&file, PutPayload::from("rows"), PutOptions::default()).await.unwrap();
        let lost = tokio::spawn(async {
            Err(failed(FsPath::new("a.parquet"), std::io::Error::other("the disk is broken")))
        });
        let first = store.unsynced.lock().unwrap().insert(file, lost);
        first.unwrap().await.unwrap().unwrap();
        let commit = table.join(LOG).join("00000000000000000000.json");
        let put = |text: &'static str| {
            store.put_opts(&commit, PutPayload::from(text), PutOptions::from(PutMode::Create))
        };
        assert!(put("first").await.unwrap_err().to_string().contains("the disk is broken"));
        assert!(!directory.path().join("gold/t").join(LOG).exists());
    }
}
