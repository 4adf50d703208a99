//! A model cut by partitions into parts that share no key, so that each core computes and writes whole partitions
//! by itself: no row changes its core, no group is put together from pieces, and only one part of
//! the rows is held at a time.

use std::collections::{BTreeMap, HashMap};

use crate::engine::{Dependency, KeyMapping};
use crate::error::Result;
use crate::lake::{DataFile, Snapshot};
use crate::name::TableName;

use super::target::Target;

/// Below so many rows a model is not worth being planned several times.
pub(super) const FEW_ROWS: u64 = 20_000;
/// About so many rows are computed by a core at a time.
const ROWS_AT_ONCE: u64 = 250_000;

/// For each part the files of each upstream table, in the order of [`Target::upstream`].
pub(super) type Parts = Vec<Vec<Vec<DataFile>>>;

/// The parts of all that `target` reads, by a partition column that holds the same key of the model
/// in every table; None when there is none, or too little to be cut. At least `cores` of them, in
/// a number that is a multiple of it, all of about the same size.
pub(super) fn cut(
    target: &Target,
    dependencies: &HashMap<TableName, Dependency>,
    cores: usize,
) -> Result<Option<Parts>> {
    // Rows that come from no table would come once with each part.
    if !dependencies.values().any(|one| one.is_plain) {
        return Ok(None);
    }
    let keys = 0..target.model.by.len();
    let Some(columns) = keys.into_iter().find_map(|key| columns_of(target, dependencies, key))
    else {
        return Ok(None);
    };
    let files = target.upstream.iter().map(Snapshot::files).collect::<Result<Vec<_>>>()?;
    let rows = files.iter().flatten().map(|file| file.rows().unwrap_or(0)).sum::<u64>();
    if rows < FEW_ROWS || cores < 2 {
        return Ok(None);
    }
    let mut values: BTreeMap<Option<&str>, Share<'_>> = BTreeMap::new();
    for (place, (files, column)) in files.iter().zip(&columns).enumerate() {
        for file in files {
            let own = values.entry(file.partition_value(column)).or_default();
            own.rows += file.rows().unwrap_or(0);
            own.files.push((place, file));
        }
    }
    if values.len() < cores {
        return Ok(None);
    }
    let rounds = usize::try_from(rows.div_ceil(ROWS_AT_ONCE * cores as u64)).unwrap_or(1);
    Ok(Some(distributed(values.into_values().collect(), rounds.max(1) * cores, columns.len())))
}

/// What belongs to one value of the column.
#[derive(Default)]
struct Share<'a> {
    rows: u64,
    files: Vec<(usize, &'a DataFile)>,
}

/// For each upstream table the column that holds the `key` of the model, if each has one that
/// separates its files, and the files of the model's own table are separated by it too, if by any.
fn columns_of(
    target: &Target,
    dependencies: &HashMap<TableName, Dependency>,
    key: usize,
) -> Option<Vec<String>> {
    let own = &target.spec.partition_by;
    if !own.is_empty() && !own.contains(target.model.by.get(key)?) {
        return None;
    }
    let column = |upstream: &Snapshot| match &dependencies.get(upstream.name())?.keys {
        KeyMapping::Keyed(columns) => {
            columns.get(key).filter(|column| upstream.partition_by().contains(column)).cloned()
        }
        _ => None,
    };
    target.upstream.iter().map(column).collect()
}

/// The shares in `count` parts, the largest first, each to the part that has least.
fn distributed(mut shares: Vec<Share<'_>>, count: usize, tables: usize) -> Parts {
    shares.sort_by_key(|share| std::cmp::Reverse(share.rows));
    let mut parts: Parts = vec![vec![Vec::new(); tables]; count];
    let mut sizes = vec![0; count];
    for share in shares {
        let least = (0..count).min_by_key(|part| sizes.get(*part).copied()).unwrap_or(0);
        if let (Some(part), Some(size)) = (parts.get_mut(least), sizes.get_mut(least)) {
            *size += share.rows;
            for (place, file) in share.files {
                part.get_mut(place).into_iter().for_each(|files| files.push(file.clone()));
            }
        }
    }
    parts
}
