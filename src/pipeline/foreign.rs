//! Commits that another program made to a table of ours.
//!
//! A table equals its SQL only as long as nobody else writes to it. A foreign commit is noticed by what
//! it lacks, said, and neither built upon nor published, until a rebuild has replaced its rows or
//! somebody has taken them over.

use crate::error::{Error, Kind, Result};
use crate::lake::{ForeignCommit, Snapshot};
use crate::name::Layer;

use super::view::View;

/// The note of a commit after which foreign ones before it do not matter any more.
pub(super) const SETTLES: &str = "settles";
/// How many foreign commits an error names.
const NAMED: usize = 3;

/// The foreign commits to `snapshot` since it was published, without those that are settled.
pub(super) async fn unsettled(view: &View, snapshot: &Snapshot) -> Result<Vec<ForeignCommit>> {
    let since = view.published_version(snapshot).unwrap_or(0);
    let mut foreign = snapshot.foreign_since(since).await?;
    if foreign.is_empty() {
        return Ok(foreign);
    }
    let count = usize::try_from(snapshot.version().saturating_sub(since)).unwrap_or(usize::MAX);
    let history = snapshot.history(count).await?;
    let settling = history.into_iter().filter(|entry| entry.notes.contains_key(SETTLES));
    let settled = settling.filter_map(|entry| entry.version).max();
    foreign.retain(|commit| settled.is_none_or(|settled| commit.version > settled));
    Ok(foreign)
}

/// Fails when `snapshot` holds what another program wrote and nobody has settled.
pub(super) async fn check(view: &View, snapshot: &Snapshot) -> Result<()> {
    let foreign = unsettled(view, snapshot).await?;
    if foreign.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = foreign.iter().take(NAMED).map(ToString::to_string).collect();
    if let Some(more) = foreign.len().checked_sub(NAMED).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    let table = snapshot.name();
    let error = Error::new(Kind::Data, "another program wrote to the table")
        .at("table", table)
        .at("commits", named.join("; "));
    Err(match table.layer() {
        Layer::Bronze => error.hint(format!(
            "nothing was built or published; `clickwatch run --accept-foreign {table}` takes its rows over and builds anew what reads them"
        )),
        _ => error.hint(format!(
            "nothing was built or published; `clickwatch verify --repair {table}` builds it anew without them"
        )),
    })
}
