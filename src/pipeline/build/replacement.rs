//! Which rows of a model's table go, and what of their files is written again.

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;

use crate::engine::Session;
use crate::error::Result;
use crate::lake::{Removal, extent};
use crate::project::Strategy;
use crate::rewrite::{files_holding, rows_of};

use super::target::Target;
use super::unchanged::partition_name;
use super::working_set::WorkingSet;

/// With so many touched groups for each file, it is not looked which files hold one.
const KEYS_PER_FILE: usize = 1_000;

/// What goes from a table, and what of that has to be written again.
pub(super) struct Replacement {
    pub removal: Removal,
    pub kept: Option<LogicalPlan>,
    /// Bytes of the files that are opened for it.
    pub bytes_read: u64,
}

impl Replacement {
    fn of(removal: Removal) -> Self {
        Self { removal, kept: None, bytes_read: 0 }
    }
}

/// What of the table has to go for the keys of `set`: only files that hold one of them, and what
/// else is in these files is written again. `within` names the partitions in which anything is
/// replaced; None when it may be all of them.
pub(super) async fn replacement(
    session: &Session,
    target: &Target,
    set: &WorkingSet,
    within: Option<&BTreeSet<String>>,
) -> Result<Replacement> {
    let Some(base) = target.base.as_ref().filter(|_| !set.is_append) else {
        return Ok(Replacement::of(Removal::Nothing));
    };
    let Some(keys) = &set.keys else { return Ok(Replacement::of(Removal::Everything)) };
    let model = &target.model;
    let partition_by = base.partition_by();
    let wanted = keys.wanted(&model.by, &partition_by)?;
    let mut files = base.files_where(&wanted)?;
    if let Some(within) = within {
        files.retain(|file| within.contains(&partition_name(file, &partition_by)));
    }
    if files.is_empty() {
        return Ok(Replacement::of(Removal::Nothing));
    }
    // When the partition is the key, and each is looked for, all of a file goes. With several
    // columns, what is looked for in one goes with anything in another.
    if model.by == partition_by && model.by.len() == 1 && wanted.len() == 1 {
        return Ok(Replacement::of(Removal::Files(files)));
    }
    let bytes_read = extent(&files).2;
    // Of many groups each file holds one, as good as certainly; and if not, it is only rewritten.
    // Records are another matter: those that come are new as a rule.
    let is_certain =
        model.strategy == Strategy::Recompute && keys.count() >= KEYS_PER_FILE * files.len();
    if !is_certain {
        let going = |rows: LogicalPlan| keys.among(session, rows, &model.by);
        files = files_holding(session, base, files, going).await?;
    }
    if files.is_empty() {
        return Ok(Replacement { bytes_read, ..Replacement::of(Removal::Nothing) });
    }
    let kept = keys.without(session, rows_of(session, base, &files)?, &model.by)?;
    Ok(Replacement { removal: Removal::Files(files), kept: Some(kept), bytes_read })
}
