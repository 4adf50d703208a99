//! How rows differ from those that must be there.

use std::collections::BTreeMap;

/// How a lake differs from what it must hold.
#[derive(Default)]
pub(crate) struct Comparison {
    /// Records that are neither in Bronze nor in quarantine, where they belong.
    pub lost: usize,
    /// Records that are there once too often.
    pub doubled: usize,
    pub differences: Vec<String>,
}

/// In what the rows of a table differ from those expected.
pub(crate) fn differences(table: &str, expected: &[String], found: &[String]) -> Vec<String> {
    [("lacks", surplus(expected, found)), ("should not have", surplus(found, expected))]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(what, rows)| {
            let first = rows.iter().take(3).cloned().collect::<Vec<_>>().join("\n    ");
            format!("{table} {what} {} rows, the first of them:\n    {first}", rows.len())
        })
        .collect()
}

/// The rows of `these` that are not among `those`, each as often as it is too many.
pub(crate) fn surplus(these: &[String], those: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in those {
        *counts.entry(row).or_default() += 1;
    }
    let is_surplus = |row: &&String| match counts.get_mut(row.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    these.iter().filter(is_surplus).cloned().collect()
}
