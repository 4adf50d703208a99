//! The names of the lake, for completion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use crate::lake::{At, Lake};
use crate::name::TableName;

use super::complete::Names;

/// The names of a lake as the last query found it. The columns of a table are looked up when they are
/// first asked for, and not from a task: whoever asks waits for them.
#[derive(Clone)]
pub(super) struct Known {
    lake: Lake,
    tasks: Handle,
    names: Arc<Mutex<Found>>,
}

#[derive(Default)]
struct Found {
    tables: Vec<TableName>,
    functions: Vec<String>,
    at: HashMap<TableName, At>,
    columns: HashMap<TableName, Vec<String>>,
}

impl Known {
    /// Nothing of `lake` yet; `tasks` looks things up.
    pub(super) fn new(lake: &Lake, tasks: Handle) -> Self {
        Self { lake: lake.clone(), tasks, names: Arc::default() }
    }

    fn names(&self) -> MutexGuard<'_, Found> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the tables that there are now, and in which states they are read.
    pub(super) fn renew(&self, tables: Vec<TableName>, at: HashMap<TableName, At>) {
        let mut names = self.names();
        if names.tables != tables || names.at != at {
            (names.tables, names.at) = (tables, at);
            names.columns.clear();
        }
    }

    /// Takes over the functions, which are always the same.
    pub(super) fn learn_functions(&self, functions: Vec<String>) {
        self.names().functions = functions;
    }
}

impl Names for Known {
    fn tables(&self) -> Vec<TableName> {
        self.names().tables.clone()
    }

    fn functions(&self) -> Vec<String> {
        self.names().functions.clone()
    }

    fn columns(&self, table: &TableName) -> Vec<String> {
        let at = {
            let names = self.names();
            if let Some(columns) = names.columns.get(table) {
                return columns.clone();
            }
            names.at.get(table).copied().unwrap_or_default()
        };
        // A table that cannot be read completes to nothing; asking it says why.
        let state = self.tasks.block_on(self.lake.snapshot_at(table, at)).ok().flatten();
        let columns: Vec<String> = state.map_or_else(Vec::new, |state| {
            state.schema().fields().iter().map(|field| field.name().clone()).collect()
        });
        self.names().columns.insert(table.clone(), columns.clone());
        columns
    }
}
