//! What happened to a table between two versions, as its commits tell it.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use indexmap::IndexMap;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt as _};

use crate::error::{Error, Result};

use super::log::Entry;
use super::{DataFile, Snapshot};

/// Files that are looked at together.
const LOOKS_AT_ONCE: usize = 16;

/// The files that came and went, without those that came and went again.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Their rows are new.
    pub added: Vec<DataFile>,
    /// Their rows are gone, or came again in a file of `added`.
    pub removed: Vec<DataFile>,
}

impl Changes {
    /// Whether no row came or went.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl Snapshot {
    /// What happened since `version`. Files that were only rearranged do not count.
    ///
    /// Out: the changes, or why they cannot be told: then everything has to be read anew. All
    /// files that are named are there to be read.
    ///
    /// Errors: `Data` for a commit that cannot be read.
    pub async fn changes_since(
        &self,
        version: u64,
    ) -> Result<std::result::Result<Changes, String>> {
        let table = self.name();
        if version > self.version() {
            return Ok(Err(format!("{table} went back from version {version}")));
        }
        let log = self.log();
        let mut added = IndexMap::new();
        let mut removed = IndexMap::new();
        for version in version + 1..=self.version() {
            let Some(entries) = log.entries(version).await? else {
                return Ok(Err(format!("commit {version} of {table} is gone")));
            };
            for entry in entries {
                match entry {
                    Entry::Add(add) if add.data_change => {
                        let file = DataFile::of_add(&add);
                        if removed.shift_remove(&file.path).is_none() {
                            added.insert(file.path.clone(), file);
                        }
                    }
                    Entry::Remove(remove) if remove.data_change => {
                        let Some(file) = DataFile::of_remove(&remove) else {
                            return Ok(Err(format!(
                                "what {table} lost in version {version} is unknown"
                            )));
                        };
                        if added.shift_remove(&file.path).is_none() {
                            removed.insert(file.path.clone(), file);
                        }
                    }
                    Entry::Metadata => {
                        return Ok(Err(format!("{table} was made anew in version {version}")));
                    }
                    _ => {}
                }
            }
        }
        let changes = Changes {
            added: added.into_values().collect(),
            removed: removed.into_values().collect(),
        };
        match self.first_missing(&changes).await? {
            Some(path) => Ok(Err(format!("{path} of {table} was vacuumed"))),
            None => Ok(Ok(changes)),
        }
    }

    /// The first of the changed files that is not there any more. Those of this version are not
    /// looked for.
    async fn first_missing(&self, changes: &Changes) -> Result<Option<Path>> {
        let present: HashSet<&Path> = self.known_files()?.iter().map(|file| &file.path).collect();
        let store = self.table.log_store().object_store(None);
        let candidates = changes.added.iter().chain(&changes.removed);
        let candidates: Vec<Path> = candidates
            .map(|file| file.path.clone())
            .filter(|path| !present.contains(path))
            .collect();
        let missing: Vec<Path> = futures::stream::iter(candidates)
            .map(|path| {
                let store = Arc::clone(&store);
                async move {
                    match store.head(&path).await {
                        Ok(_) => Ok(None),
                        Err(StoreError::NotFound { .. }) => Ok(Some(path)),
                        Err(e) => Err(e),
                    }
                }
            })
            .buffered(LOOKS_AT_ONCE)
            .try_filter_map(|missing| async move { Ok(missing) })
            .try_collect()
            .await
            .map_err(|e| {
                Error::storage("cannot look at a file of the table", e).at("table", self.name())
            })?;
        Ok(missing.into_iter().next())
    }
}
