//! `\d`, `\dt` and `\df`: what there is to ask.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobMatcher};

use crate::cli::listing::{self, columns_of, print, summary_of, table_states};
use crate::cli::output::{ListFormat, Output};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Lake};
use crate::name::{Layer, TableName, did_you_mean};

/// The query that lists `functions`.
pub(super) fn functions_query(functions: &[String]) -> String {
    let names = functions.iter().map(|name| format!("'{}'", name.replace('\'', "''")));
    format!(
        "SELECT routine_name AS function, lower(min(function_type)) AS kind, \
         coalesce(min(syntax_example), '') AS usage, \
         coalesce(min(split_part(description, chr(10), 1)), '') AS description \
         FROM information_schema.routines WHERE routine_name IN ({}) \
         GROUP BY routine_name ORDER BY routine_name",
        names.collect::<Vec<_>>().join(", ")
    )
}

/// Those of `names` that match, or an error when there are none.
pub(super) fn matching(pattern: Option<&str>, names: Vec<String>) -> Result<Vec<String>> {
    let Some(pattern) = pattern else { return Ok(names) };
    let near = did_you_mean(pattern, names.iter().map(String::as_str));
    let matcher = matcher(pattern)?;
    let found: Vec<String> = names.into_iter().filter(|name| matcher.is_match(name)).collect();
    if found.is_empty() {
        let error = Error::new(Kind::Missing, "nothing is called so").at("pattern", pattern);
        return Err(match near {
            Some(hint) => error.hint(hint),
            None => error.hint("in a pattern * stands for any letters, ? for one"),
        });
    }
    Ok(found)
}

/// Lists the tables whose names match.
pub(super) async fn tables(
    (lake, at): (&Lake, &HashMap<TableName, At>),
    pattern: Option<&str>,
    output: &mut Output<'_>,
) -> Result<()> {
    let mut states = table_states(lake, at).await?;
    let names = states.iter().map(|(table, _)| table.to_string()).collect();
    let wanted = matching(pattern, names)?;
    states.retain(|(table, _)| wanted.contains(&table.to_string()));
    let summary = format!("{} tables in {}", states.len(), lake.location());
    let columns = listing::tables(&states, ListFormat::Table);
    print(output, ListFormat::Table, columns, &summary)
}

/// Describes a table.
pub(super) async fn table(
    (lake, at): (&Lake, &HashMap<TableName, At>),
    name: &str,
    output: &mut Output<'_>,
) -> Result<()> {
    let name = meant(name, &lake.tables().await?)?;
    let state = lake.require(&name, at.get(&name).copied().unwrap_or_default()).await?;
    print(output, ListFormat::Table, columns_of(&state), &summary_of(&name, &state))
}

/// The table that somebody means by `name`: without a layer that of Gold, as in a query, and otherwise
/// the only one that is called so.
fn meant(name: &str, tables: &[TableName]) -> Result<TableName> {
    let lower = name.to_ascii_lowercase();
    let gold = TableName::new(Layer::Gold, &lower);
    let own = lower.parse().or(gold).ok().filter(|table| tables.contains(table));
    let mut others = tables.iter().filter(|table| table.name() == lower);
    let only = others.next().filter(|_| others.next().is_none()).cloned();
    own.or(only).ok_or_else(|| {
        let names = |table: &TableName| [table.to_string(), table.name().to_owned()];
        let known: Vec<String> = tables.iter().flat_map(names).collect();
        let error = Error::new(Kind::Missing, "there is no such table").at("table", name);
        match did_you_mean(&lower, known.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error.hint("\\dt lists the tables"),
        }
    })
}

/// What matches `pattern`, in which * stands for any letters and ? for one. Without either it matches
/// what it is part of.
fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let glob = match pattern.contains(['*', '?']) {
        true => pattern.to_owned(),
        false => format!("*{}*", globset::escape(pattern)),
    };
    let glob = GlobBuilder::new(&glob).case_insensitive(true).build().map_err(|e| {
        Error::new(Kind::Invalid, "this is no pattern").at("pattern", pattern).because(e)
    })?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_file_names() {
        for (pattern, name, is_matched) in [
            ("silver.*", "silver.sessions", true),
            ("silver.*", "gold.silver", false),
            ("*.s*s", "silver.sessions", true),
            ("s?lver.*", "silver.sessions", true),
            ("s?ver.*", "silver.sessions", false),
            ("*", "", true),
            ("?", "", false),
            ("SESS", "silver.sessions", true),
            ("**a**", "bab", true),
            ("x", "silver.sessions", false),
            ("[s", "silver.[sessions", true),
        ] {
            let matcher = matcher(pattern).unwrap();
            assert_eq!(matcher.is_match(name), is_matched, "{pattern} {name}");
        }
    }

    #[test]
    fn a_table_may_be_meant_without_its_layer() {
        let tables: Vec<TableName> =
            ["gold.funnel", "silver.funnel", "silver.sessions", "ops.runs"]
                .map(|name| name.parse().unwrap())
                .to_vec();
        let table = |name: &str| meant(name, &tables).unwrap().to_string();
        assert_eq!(table("funnel"), "gold.funnel");
        assert_eq!(table("silver.funnel"), "silver.funnel");
        assert_eq!(table("Sessions"), "silver.sessions");
        let error = meant("silver.sesions", &tables).unwrap_err().render();
        assert!(error.contains("did you mean `silver.sessions`?"), "{error}");
        let error = meant("sesions", &tables).unwrap_err().render();
        assert!(error.contains("did you mean `sessions`?"), "{error}");
    }
}
