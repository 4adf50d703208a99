//! The order of models: each after all that it reads.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::TableName;

/// Models that can never be built because they wait for each other, in the order of the waiting.
pub(super) type Cycle = Vec<TableName>;

/// Orders tables so that each comes after those of its `reads` that are tables of the map too.
/// Among tables that may come next, the first by name does, so the order never varies.
pub(super) fn order(reads: &BTreeMap<TableName, Vec<TableName>>) -> Result<Vec<TableName>, Cycle> {
    let mut waiting: BTreeMap<&TableName, BTreeSet<&TableName>> = reads
        .iter()
        .map(|(table, read)| {
            (table, read.iter().filter(|other| reads.contains_key(other)).collect())
        })
        .collect();
    let mut ordered = Vec::with_capacity(reads.len());
    while !waiting.is_empty() {
        let next = waiting.iter().find(|(_, needs)| needs.is_empty()).map(|(table, _)| *table);
        let Some(table) = next else { return Err(cycle(&waiting)) };
        waiting.remove(table);
        for needs in waiting.values_mut() {
            needs.remove(table);
        }
        ordered.push(table.clone());
    }
    Ok(ordered)
}

/// Follows what waits for what until a table comes round again.
fn cycle(waiting: &BTreeMap<&TableName, BTreeSet<&TableName>>) -> Cycle {
    let mut path: Vec<&TableName> = waiting.keys().take(1).copied().collect();
    while let Some(last) = path.last() {
        let Some(next) = waiting.get(last).and_then(|needs| needs.iter().next().copied()) else {
            break;
        };
        if let Some(start) = path.iter().position(|table| *table == next) {
            path.drain(..start);
            break;
        }
        path.push(next);
    }
    path.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<TableName, Vec<TableName>> {
        edges
            .iter()
            .map(|(table, reads)| {
                (table.parse().unwrap(), reads.iter().map(|read| read.parse().unwrap()).collect())
            })
            .collect()
    }

    #[test]
    fn what_is_read_comes_first() {
        let order = order(&graph(&[
            ("gold.a", &["silver.z"]),
            ("silver.z", &["bronze.b", "silver.y"]),
            ("silver.y", &["bronze.b"]),
        ]))
        .unwrap();
        let names: Vec<_> = order.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["silver.y", "silver.z", "gold.a"]);
    }

    #[test]
    fn a_cycle_is_named_without_its_entrance() {
        let mut cycle = order(&graph(&[
            ("gold.a", &["silver.x"]),
            ("silver.x", &["silver.y"]),
            ("silver.y", &["silver.x"]),
        ]))
        .unwrap_err();
        cycle.sort();
        let names: Vec<_> = cycle.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["silver.x", "silver.y"]);
    }
}
