//! What is to be verified, and what was found.

use serde::Serialize;

use crate::error::{Error, Kind};
use crate::name::TableName;
use crate::pipeline::report::as_text;
use crate::project::Model;

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Which tables, as `run --select` takes them; all when there are none.
    pub select: Vec<String>,
    /// How many parts of each table, drawn by chance; all when it is not said.
    pub sample: Option<usize>,
    /// Decides which parts are drawn.
    pub seed: u64,
}

/// What was found about one table.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The version that was looked at.
    pub version: u64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Parts that were compared: partitions, or days.
    pub parts: u64,
    /// The parts that are not what a rebuild gives.
    pub differences: Vec<Difference>,
    /// Why the table cannot be compared at all.
    pub obstacle: Option<String>,
    /// What kind of an obstacle that is; `Data` when a rebuild mends it.
    #[serde(skip)]
    pub obstacle_kind: Option<Kind>,
}

/// A part of a table that is not what a rebuild gives.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The part, as `session_date=2025-07-01`; empty for a table in one part.
    pub part: String,
    /// Rows in the table.
    pub rows: u64,
    /// Rows that a rebuild gives.
    pub expected_rows: u64,
}

impl Verification {
    /// Nothing found yet about the table of `model`.
    pub(super) fn of(model: &Model) -> Self {
        Self {
            table: model.table.clone(),
            version: 0,
            rows: 0,
            parts: 0,
            differences: Vec::new(),
            obstacle: None,
            obstacle_kind: None,
        }
    }

    /// The table of `model` cannot be compared, for the reason of `error`.
    pub(in crate::pipeline) fn impossible(model: &Model, error: &Error) -> Self {
        Self {
            obstacle: Some(error.to_string()),
            obstacle_kind: Some(error.kind()),
            ..Self::of(model)
        }
    }

    /// Whether the table is what its model says.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.obstacle.is_none()
    }

    /// Whether building the table anew would mend what was found.
    pub fn is_mended_by_rebuild(&self) -> bool {
        !self.is_clean() && self.obstacle_kind.is_none_or(|kind| kind == Kind::Data)
    }
}

/// The error of a verification that has found something.
pub fn unclean(verifications: &[Verification]) -> Option<Error> {
    let bad: Vec<&Verification> = verifications.iter().filter(|one| !one.is_clean()).collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<String> = bad.iter().map(|one| one.table.to_string()).collect();
    // What keeps a table from being read at all matters more than a difference.
    let obstacle = bad.iter().filter_map(|one| one.obstacle_kind).find(|kind| *kind != Kind::Data);
    let kind = obstacle.unwrap_or(Kind::Data);
    let error = match kind {
        Kind::Data => Error::new(kind, "tables are not what a full rebuild gives"),
        _ => Error::new(kind, "tables cannot be compared with a full rebuild"),
    };
    let error = error.at("tables", names.join(", "));
    Some(match bad.iter().all(|one| one.is_mended_by_rebuild()) {
        true => error.hint("`clickwatch verify --repair` rebuilds them"),
        false => error.hint(
            "a rebuild does not mend a table that cannot be read: see the verdicts, and `clickwatch tables history`",
        ),
    })
}
