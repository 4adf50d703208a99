//! What a watcher of a run is told while it goes on.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::name::TableName;

/// Something that takes long enough to be watched.
#[derive(Clone, Debug)]
pub enum Step {
    /// A source is being read.
    Ingest {
        /// The Bronze table.
        table: TableName,
        /// Bytes to be read.
        total_bytes: u64,
        /// Bytes read so far.
        read_bytes: Arc<AtomicU64>,
    },
    /// A model is being built.
    Build {
        /// The table.
        table: TableName,
        /// Rows that came out of its SELECT so far.
        rows: Arc<AtomicU64>,
    },
    /// Another run has won, and this one begins again with what that one has made.
    StartOver {
        /// What was lost.
        because: String,
    },
    /// A table is compared with its rebuild.
    Verify {
        /// The table.
        table: TableName,
    },
}

/// Somebody who watches a run.
pub trait Progress: Send + Sync {
    /// A step begins; the one before it is over.
    fn begin(&self, step: Step);
}

/// Nobody watches.
impl Progress for () {
    fn begin(&self, _step: Step) {}
}
