//! Which tables a run is about: `silver.sessions`, `silver.sessions+` with all that is built from
//! it, `+gold.conversions` with all that it is built from; `gold.*` for all of a layer.

use std::collections::HashSet;

use crate::error::{Error, Kind, Result};
use crate::name::{TableName, did_you_mean};
use crate::project::Pipeline;

/// Some tables, or all.
#[derive(Clone, Debug, Default)]
pub(in crate::pipeline) struct Selection(Option<HashSet<TableName>>);

impl Selection {
    /// Reads what was asked for; nothing asked for is all.
    ///
    /// Errors: `Missing` for a name that is no table of `pipelines`, with the nearest one.
    pub(in crate::pipeline) fn read(asked: &[String], pipelines: &[Pipeline]) -> Result<Self> {
        if asked.is_empty() {
            return Ok(Self(None));
        }
        let edges: Vec<(TableName, Vec<TableName>)> = pipelines
            .iter()
            .flat_map(|pipeline| {
                let sources = pipeline.sources.iter().map(|one| (one.table.clone(), Vec::new()));
                let models =
                    pipeline.models.iter().map(|one| (one.table.clone(), one.reads.clone()));
                sources.chain(models)
            })
            .collect();
        let mut chosen = HashSet::new();
        let words = asked.iter().flat_map(|text| text.split([',', ' ']));
        for word in words.filter(|word| !word.is_empty()) {
            let (up, name) = word.strip_prefix('+').map_or((false, word), |name| (true, name));
            let (down, name) = name.strip_suffix('+').map_or((false, name), |name| (true, name));
            let named = named(name, &edges)?;
            if up {
                spread(&mut chosen, named.clone(), |table| {
                    let own = edges.iter().filter(|(one, _)| one == table);
                    own.flat_map(|(_, reads)| reads.clone()).collect()
                });
            }
            if down {
                spread(&mut chosen, named.clone(), |table| {
                    let readers = edges.iter().filter(|(_, reads)| reads.contains(table));
                    readers.map(|(one, _)| one.clone()).collect()
                });
            }
            chosen.extend(named);
        }
        Ok(Self(Some(chosen)))
    }

    /// Whether `table` is among them.
    pub(in crate::pipeline) fn has(&self, table: &TableName) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.contains(table))
    }

    /// Whether any table of `pipeline` is among them.
    pub(in crate::pipeline) fn concerns(&self, pipeline: &Pipeline) -> bool {
        self.0.is_none()
            || pipeline.sources.iter().any(|source| self.has(&source.table))
            || pipeline.models.iter().any(|model| self.has(&model.table))
    }
}

fn named(name: &str, edges: &[(TableName, Vec<TableName>)]) -> Result<Vec<TableName>> {
    let tables = edges.iter().map(|(table, _)| table);
    let found: Vec<TableName> = match name.strip_suffix(".*") {
        Some(layer) => tables.filter(|table| table.layer().as_str() == layer).cloned().collect(),
        None => tables.filter(|table| table.to_string() == name).cloned().collect(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<String> = edges.iter().map(|(table, _)| table.to_string()).collect();
    let error =
        Error::new(Kind::Missing, "there is nothing of that name to select").at("select", name);
    Err(match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint("write a table as silver.sessions, or gold.* for a layer; + before or behind it adds what it is built from or what is built from it"),
    })
}

/// Adds `start` and all that `next` leads to from there.
fn spread(
    chosen: &mut HashSet<TableName>,
    start: Vec<TableName>,
    next: impl Fn(&TableName) -> Vec<TableName>,
) {
    let mut seen = HashSet::new();
    let mut waiting = start;
    while let Some(table) = waiting.pop() {
        if seen.insert(table.clone()) {
            waiting.extend(next(&table));
        }
    }
    chosen.extend(seen);
}
