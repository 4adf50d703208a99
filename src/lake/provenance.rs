//! Which commit a version of a table is, and whether clickwatch made it.

use std::fmt::{self, Display};

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::runtime::Timestamp;

use super::Snapshot;
use super::log::Entry;

/// The key under which each commit of clickwatch names its version. It is a part of the commit, and
/// not of the table: whoever else writes to the table does not pass it on.
pub(super) const MADE_BY: &str = "clickwatch";

/// What tells a commit from another one that made a version of the same number: a table that is
/// restored from a backup comes to versions that it had before, with other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitMark(i64);

/// A commit that another program made, and that changed rows or columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCommit {
    /// The version that it made.
    pub version: u64,
    /// What was done, as `WRITE`; None when the commit does not say, or is gone.
    pub operation: Option<String>,
    /// The program that did it.
    pub engine: Option<String>,
    /// For whom.
    pub user: Option<String>,
    /// When.
    pub committed_at: Option<Timestamp>,
}

impl CommitMark {
    fn of(commit: &[u8]) -> Self {
        let hash = blake3::hash(commit);
        let first: [u8; 8] = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        // An offset is no negative number.
        Self(i64::from_le_bytes(first) & i64::MAX)
    }

    /// The mark as a number that is not negative, for instance to be committed as an offset.
    pub fn as_offset(self) -> i64 {
        self.0
    }
}

impl Display for CommitMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Display for ForeignCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation.as_deref().unwrap_or("an unknown operation");
        write!(f, "version {}: {operation}", self.version)?;
        if let Some(engine) = &self.engine {
            write!(f, " by {engine}")?;
        }
        if let Some(user) = &self.user {
            write!(f, " for {user}")?;
        }
        match self.committed_at {
            Some(at) => write!(f, " at {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
            None => Ok(()),
        }
    }
}

impl Snapshot {
    /// The mark of the commit that made this version; None when the commit is gone.
    pub async fn commit_mark(&self) -> Result<Option<CommitMark>> {
        self.mark_of(self.version()).await
    }

    /// The mark of the commit that made `version` of the table; None when it is gone.
    pub async fn mark_of(&self, version: u64) -> Result<Option<CommitMark>> {
        let commit = self.log().commit(version).await?;
        Ok(commit.map(|bytes| CommitMark::of(&bytes)))
    }

    /// The commits after `version` up to this one with which another program than clickwatch
    /// changed rows or columns. Whoever only rearranges files changes neither. A commit that is gone
    /// counts, for nobody can tell any more who made it.
    ///
    /// Errors: `Data` for a commit that cannot be read.
    pub async fn foreign_since(&self, version: u64) -> Result<Vec<ForeignCommit>> {
        let log = self.log();
        let mut foreign = Vec::new();
        for version in version.saturating_add(1)..=self.version() {
            match log.entries(version).await? {
                Some(entries) => foreign.extend(foreign_commit(version, entries)),
                None => foreign.push(ForeignCommit::new(version, None)),
            }
        }
        Ok(foreign)
    }
}

impl ForeignCommit {
    fn new(version: u64, info: Option<&Map<String, Value>>) -> Self {
        let text = |key: &str| info?.get(key)?.as_str().map(str::to_owned);
        let committed_at = info.and_then(|info| info.get("timestamp")?.as_i64());
        Self {
            version,
            operation: text("operation"),
            engine: text("engineInfo"),
            user: text("userName").or_else(|| text("userId")),
            committed_at: committed_at.and_then(DateTime::from_timestamp_millis),
        }
    }
}

/// The commit that consists of `entries`, unless clickwatch made it or it changes nothing.
fn foreign_commit(version: u64, entries: Vec<Entry>) -> Option<ForeignCommit> {
    let (mut info, mut changes) = (None, false);
    for entry in entries {
        match entry {
            Entry::Info(own) => info = Some(own),
            Entry::Add(add) => changes |= add.data_change,
            Entry::Remove(remove) => changes |= remove.data_change,
            Entry::Metadata => changes = true,
            Entry::Protocol { .. } | Entry::Other => {}
        }
    }
    let is_own = info.as_ref().is_some_and(|info| info.contains_key(MADE_BY));
    (changes && !is_own).then(|| ForeignCommit::new(version, info.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(actions: &[Value]) -> Vec<Entry> {
        actions.iter().cloned().map(|action| Entry::of(action).unwrap()).collect()
    }

    fn add(data_change: bool) -> Value {
        json!({"add": {"path": "a.parquet", "partitionValues": {}, "size": 1,
            "modificationTime": 0, "dataChange": data_change}})
    }

    #[test]
    fn a_commit_that_changes_rows_is_foreign_unless_it_says_that_it_is_ours() {
        let info = |more: Value| {
            let mut info = json!({"timestamp": 0, "operation": "WRITE", "engineInfo": "another"});
            info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "commitInfo": info })
        };
        let foreign = foreign_commit(3, entries(&[info(json!({"userName": "a"})), add(true)]));
        let foreign = foreign.unwrap();
        let said = "version 3: WRITE by another for a at 1970-01-01T00:00:00Z";
        assert_eq!(foreign.to_string(), said);
        assert!(foreign_commit(3, entries(&[info(json!({})), add(false)])).is_none());
        assert!(
            foreign_commit(3, entries(&[info(json!({"clickwatch": "1"})), add(true)])).is_none()
        );
        assert!(foreign_commit(3, entries(&[add(true)])).is_some());
        assert!(foreign_commit(3, entries(&[json!({"metaData": {}})])).is_some());
        assert!(foreign_commit(3, entries(&[info(json!({}))])).is_none());
    }

    #[test]
    fn marks_of_different_commits_are_different_and_not_negative() {
        let marks: Vec<_> = (0..100u8).map(|byte| CommitMark::of(&[byte])).collect();
        assert!(marks.iter().all(|mark| mark.as_offset() >= 0));
        let different: std::collections::HashSet<_> = marks.iter().collect();
        assert_eq!(different.len(), marks.len());
        assert_eq!(CommitMark::of(b"a"), CommitMark::of(b"a"));
    }
}
