//! What a watcher of a run is told while it goes on.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::name::TableName;

/// Something that takes long enough to be watched. Several may go on beside each other.
#[derive(Clone, Debug)]
pub enum Step {
    /// All SQL of the project is being planned.
    Check,
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
    /// What was made for a table is being committed.
    Commit {
        /// The table.
        table: TableName,
    },
    /// The run is being written down.
    Record,
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

/// A step that is under way until this is dropped.
#[must_use = "a step is over when this is dropped"]
#[derive(Default)]
pub struct Underway(Option<Box<dyn FnOnce() + Send>>);

impl Underway {
    /// A step at whose end `ended` is called.
    pub fn until(ended: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(ended)))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended();
        }
    }
}

/// Somebody who watches a run.
pub trait Progress: Send + Sync {
    /// A step begins; it goes on for as long as what this gives is kept.
    fn begin(&self, step: Step) -> Underway;
}

/// Nobody watches.
impl Progress for () {
    fn begin(&self, _step: Step) -> Underway {
        Underway::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_step_ends_once_and_not_before_it_is_dropped() {
        let ended = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&ended);
        let step = Underway::until(move || {
            counts.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        drop(step);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        drop(().begin(Step::Record));
    }
}
