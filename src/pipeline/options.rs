//! What a run is told besides the project and the lake.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::name::TableName;

/// What a run is told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pipeline to run; all when there is none.
    pub pipeline: Option<String>,
    /// Sources that are read from elsewhere this time: name and path.
    pub sources: Vec<(String, PathBuf)>,
    /// Which tables are brought up to date, as `silver.sessions+`; all when there are none.
    pub select: Vec<String>,
    /// Which models are computed anew from everything.
    pub refresh: Refresh,
    /// Bronze tables in which rows that another program wrote are taken over.
    pub accept_foreign: Vec<TableName>,
    /// Tables that are published whatever thresholds they cross.
    pub accept: HashSet<TableName>,
}

/// Which models are computed anew even though they could be brought up to date.
#[derive(Clone, Debug, Default)]
pub enum Refresh {
    /// None.
    #[default]
    None,
    /// All that are run.
    All,
    /// These.
    Tables(HashSet<TableName>),
}

impl Refresh {
    /// Why `table` is computed anew, if it is.
    pub(super) fn reason(&self, table: &TableName) -> Option<&'static str> {
        match self {
            Self::All => Some("a full refresh was asked for"),
            Self::Tables(tables) if tables.contains(table) => Some("it is to be repaired"),
            _ => None,
        }
    }
}
