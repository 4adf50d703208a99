//! What could stand where the cursor is.

use crate::cli::output::RowFormat;
use crate::engine::{Piece, pieces};
use crate::name::{Layer, TableName, is_identifier};

use super::command::COMMANDS;
use super::keywords::{is_keyword, keywords};

/// The names that there are to complete.
pub(super) trait Names {
    /// The tables.
    fn tables(&self) -> Vec<TableName>;
    /// The functions.
    fn functions(&self) -> Vec<String>;
    /// The columns of a table; none when it cannot be read.
    fn columns(&self, table: &TableName) -> Vec<String>;
}

/// What the word at the cursor may become.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// One of these, from an offset on.
    Words(usize, Vec<String>),
    /// The path of a file.
    Path,
}

/// What the word before `place` in `text` may become.
pub(super) fn complete(text: &str, place: usize, names: &impl Names) -> Completion {
    let before = text.get(..place).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |last| last + 1);
    let above = before.get(..line).unwrap_or_default();
    let own = before.get(line..).unwrap_or_default().trim_start();
    if own.starts_with('\\') && !is_inside(above) {
        return of_command(own, before.len(), names);
    }
    if is_inside(before) {
        return Completion::Words(place, Vec::new());
    }
    let word = last_word(before);
    let start = before.len() - word.len();
    let ahead = before.get(..start).unwrap_or_default();
    let found = match ahead.strip_suffix('.') {
        Some(ahead) => qualified(last_word(ahead), text, place, names),
        None if follows_from(ahead) => tables(names),
        None => anything(word, text, place, names),
    };
    Completion::Words(start, beginning_with(word, found))
}

/// What follows a command, or which commands begin so.
fn of_command(line: &str, end: usize, names: &impl Names) -> Completion {
    let Some((command, rest)) = line.split_once(char::is_whitespace) else {
        let all = COMMANDS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        return Completion::Words(end - line.len(), beginning_with(line, all));
    };
    let word = rest.rsplit(char::is_whitespace).next().unwrap_or_default();
    let listed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let found: Vec<String> = match command {
        "\\i" | "\\o" => return Completion::Path,
        "\\d" | "\\dt" => tables(names),
        "\\df" => names.functions(),
        "\\x" => listed(&["on", "off", "auto"]),
        "\\timing" => listed(&["on", "off"]),
        "\\epoch" => listed(&["latest"]),
        "\\chart" => listed(&["bar", "line"]),
        "\\format" => RowFormat::names(),
        _ => Vec::new(),
    };
    Completion::Words(end - word.len(), beginning_with(word, found))
}

/// Whether the end of `text` is in a text, a name in quotes or a comment.
fn is_inside(text: &str) -> bool {
    match pieces(text).last() {
        Some((range, Piece::Comment)) => !text.get(range.clone()).unwrap_or("").ends_with('\n'),
        Some((_, piece)) => matches!(piece, Piece::Open | Piece::Text),
        None => false,
    }
}

/// The letters, digits and underscores at the end of `text`.
fn last_word(text: &str) -> &str {
    let is_part = |character: &char| character.is_alphanumeric() || *character == '_';
    let length: usize = text.chars().rev().take_while(is_part).map(char::len_utf8).sum();
    text.get(text.len() - length..).unwrap_or_default()
}

/// Whether what comes next is a table.
fn follows_from(ahead: &str) -> bool {
    let last = pieces(ahead).into_iter().rfind(|(_, piece)| *piece != Piece::Space);
    let word = last.and_then(|(range, _)| ahead.get(range)).unwrap_or_default();
    ["FROM", "JOIN", "DESCRIBE"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// What stands behind `qualifier` and a dot: the tables of a layer, or the columns of a table.
fn qualified(qualifier: &str, text: &str, place: usize, names: &impl Names) -> Vec<String> {
    if let Ok(layer) = qualifier.parse::<Layer>() {
        let own = names.tables().into_iter().filter(|table| table.layer() == layer);
        return own.map(|table| table.name().to_owned()).collect();
    }
    let named = tables_in(statement_at(text, place), names);
    let meant = named.into_iter().filter(|(table, alias)| {
        let is_alias = |alias: &String| alias.eq_ignore_ascii_case(qualifier);
        alias.as_ref().is_some_and(is_alias) || table.name() == qualifier
    });
    meant.flat_map(|(table, _)| columns(&table, names)).collect()
}

/// The tables as they are written: those of Gold without their layer too.
fn tables(names: &impl Names) -> Vec<String> {
    let mut found = Vec::new();
    for table in names.tables() {
        found.push(table.to_string());
        if table.layer() == Layer::Gold {
            found.push(table.name().to_owned());
        }
    }
    found
}

/// What may stand anywhere in a query. Where nothing is typed yet, that is only columns.
fn anything(word: &str, text: &str, place: usize, names: &impl Names) -> Vec<String> {
    let named = tables_in(statement_at(text, place), names);
    let mut found: Vec<String> =
        named.iter().flat_map(|(table, _)| columns(table, names)).collect();
    if !word.is_empty() {
        found.extend(names.functions().into_iter().map(|function| function + "("));
        found.extend(tables(names));
        let is_lower = !word.contains(char::is_uppercase);
        found.extend(keywords().map(|keyword| match is_lower {
            true => keyword.to_ascii_lowercase(),
            false => keyword.to_owned(),
        }));
    }
    found
}

/// The columns of a table, in quotes where they need them.
fn columns(table: &TableName, names: &impl Names) -> Vec<String> {
    let written = |name: String| match is_identifier(&name) && !is_keyword(&name) {
        true => name,
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    };
    names.columns(table).into_iter().map(written).collect()
}

/// Those of `found` that begin with `word`, in whatever case, sorted.
fn beginning_with(word: &str, mut found: Vec<String>) -> Vec<String> {
    let word = word.to_lowercase();
    found.retain(|one| one.trim_start_matches('"').to_lowercase().starts_with(&word));
    found.sort();
    found.dedup();
    found
}

/// The statement of `text` in which `place` is.
fn statement_at(text: &str, place: usize) -> &str {
    let pieces = pieces(text);
    let ends = pieces.iter().filter(|(_, piece)| *piece == Piece::Semicolon);
    let mut ends = ends.map(|(range, _)| range.clone());
    let start = ends.clone().rfind(|end| end.end <= place).map_or(0, |end| end.end);
    let end = ends.find(|end| end.start >= place).map_or(text.len(), |end| end.start);
    text.get(start..end).unwrap_or_default()
}

/// The tables that a statement names, however unfinished it is, and what it calls them.
fn tables_in(statement: &str, names: &impl Names) -> Vec<(TableName, Option<String>)> {
    let known = names.tables();
    let pieces = pieces(statement);
    let words: Vec<(&str, Piece)> = pieces
        .iter()
        .filter(|(_, piece)| !matches!(piece, Piece::Space | Piece::Comment))
        .filter_map(|(range, piece)| Some((statement.get(range.clone())?, *piece)))
        .collect();
    let mut found = Vec::new();
    let mut rest = words.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let (table, behind) = match (first, others) {
            ((layer, Piece::Word), [(_, Piece::Period), (name, Piece::Word), behind @ ..]) => {
                (format!("{layer}.{name}"), behind)
            }
            ((name, Piece::Word), behind) => (format!("gold.{name}"), behind),
            (_, behind) => (String::new(), behind),
        };
        rest = behind;
        let table = table.to_ascii_lowercase();
        if let Some(table) = known.iter().find(|one| one.to_string() == table) {
            found.push((table.clone(), alias(behind)));
        }
    }
    found
}

/// What the words behind a table call it.
fn alias(behind: &[(&str, Piece)]) -> Option<String> {
    let is_as = |word: &str| word.eq_ignore_ascii_case("AS");
    let word = match behind {
        [(word, Piece::Word), (alias, Piece::Word), ..] if is_as(word) => alias,
        [(word, Piece::Word), ..] => word,
        _ => return None,
    };
    (!is_keyword(word)).then(|| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Names for Fixed {
        fn tables(&self) -> Vec<TableName> {
            let names = ["silver.sessions", "silver.visit_count", "gold.funnel", "ops.runs"];
            names.map(|name| name.parse().unwrap()).to_vec()
        }

        fn functions(&self) -> Vec<String> {
            ["sum", "substr", "url_parts"].map(str::to_owned).to_vec()
        }

        fn columns(&self, table: &TableName) -> Vec<String> {
            let columns: &[&str] = match table.name() {
                "sessions" => &["session_id", "started_at", "Browser \"x\"", "date"],
                "funnel" => &["step", "visitors"],
                _ => &[],
            };
            columns.iter().map(|column| (*column).to_owned()).collect()
        }
    }

    /// The candidates at the bar in `text`, and what they replace.
    fn at(text: &str) -> (String, Vec<String>) {
        let place = text.find('|').unwrap();
        let text = text.replacen('|', "", 1);
        match complete(&text, place, &Fixed) {
            Completion::Words(start, words) => (text[start..place].to_owned(), words),
            Completion::Path => ("path".to_owned(), Vec::new()),
        }
    }

    #[test]
    fn words_of_queries_are_completed() {
        for (text, replaced, wanted) in [
            ("SELECT * FROM silver.se|", "se", vec!["sessions"]),
            ("SELECT * FROM si|", "si", vec!["silver.sessions", "silver.visit_count"]),
            ("select 1 from fun|", "fun", vec!["funnel"]),
            ("SEL|", "SEL", vec!["SELECT"]),
            ("sel|", "sel", vec!["select"]),
            ("SELECT sub|", "sub", vec!["substr("]),
            (
                "SELECT s| FROM funnel",
                "s",
                vec![
                    "select",
                    "semi",
                    "sets",
                    "silver.sessions",
                    "silver.visit_count",
                    "similar",
                    "step",
                    "substr(",
                    "sum(",
                ],
            ),
            ("SELECT ses| FROM silver.sessions", "ses", vec!["session_id"]),
            ("SELECT s.st| FROM silver.sessions s", "st", vec!["started_at"]),
            ("SELECT x.v| FROM silver.sessions AS s, funnel AS x", "v", vec!["visitors"]),
            ("SELECT funnel.| FROM gold.funnel WHERE", "", vec!["step", "visitors"]),
            (
                "SELECT b| FROM silver.sessions",
                "b",
                vec!["\"Browser \"\"x\"\"\"", "between", "bigint", "boolean", "by"],
            ),
            (
                "SELECT s.| FROM silver.sessions s",
                "",
                vec!["\"Browser \"\"x\"\"\"", "\"date\"", "session_id", "started_at"],
            ),
            ("SELECT 1; SELECT | FROM funnel; SELECT 2", "", vec!["step", "visitors"]),
        ] {
            let (own, found) = at(text);
            assert_eq!(own, replaced, "{text}");
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn nothing_is_completed_in_texts_and_comments() {
        for text in
            ["SELECT 'se|", "SELECT 1 -- se|", "SELECT /* se|", "SELECT \"se|", "SELECT 'x'|"]
        {
            assert_eq!(at(text).1, Vec::<String>::new(), "{text}");
        }
        assert_eq!(at("-- said\nSELECT sub|").1, ["substr("]);
    }

    #[test]
    fn commands_and_what_follows_them_are_completed() {
        assert_eq!(at("\\ti|"), ("\\ti".to_owned(), vec!["\\timing".to_owned()]));
        assert_eq!(at("\\d|").1, ["\\d", "\\df", "\\dt"]);
        assert_eq!(at("\\d silver.s|").1, ["silver.sessions"]);
        assert_eq!(at("\\format m|").1, ["markdown"]);
        assert_eq!(at("\\x |").1, ["auto", "off", "on"]);
        assert_eq!(at("\\i some/|").0, "path");
        assert_eq!(at("SELECT 1\n\\wa|").1, ["\\watch"]);
        assert_eq!(at("SELECT 'a\n\\wa|").1, Vec::<String>::new());
    }
}
