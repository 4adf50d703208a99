//! `sql/silver/*.sql` and `sql/gold/*.sql`: one SELECT each, and what it reads.

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::name::TableName;

use super::Mistake;
use super::channels::Fingerprints;
use super::nesting::check_nesting;

/// What a model's file says.
#[derive(Debug)]
pub(super) struct Select {
    pub description: String,
    pub normal_sql: String,
    pub reads: Vec<TableName>,
    /// Whether it goes by the rules of channels.
    uses_channels: bool,
    /// Whether it says in which lines they stand.
    names_lines: bool,
}

impl Select {
    /// The fingerprint of the rules of channels, as far as the model goes by them.
    pub(super) fn rules(&self, rules: &Fingerprints) -> String {
        match (self.names_lines, self.uses_channels) {
            (true, _) => rules.of_places.clone(),
            (false, true) => rules.of_cells.clone(),
            (false, false) => String::new(),
        }
    }
}

/// Reads the SELECT in `text`.
pub(super) fn read(text: &str) -> Result<Select, Vec<Mistake>> {
    let statements = parse(text)?;
    let [statement @ Statement::Query(_)] = statements.as_slice() else {
        return Err(vec![Mistake::of_file("a model's file holds one SELECT and nothing else")]);
    };
    let normal_sql = statement.to_string();
    let wrapped = DfStatement::Statement(Box::new(statement.clone()));
    let (references, _ctes) = resolve_table_references(&wrapped, true)
        .map_err(|e| vec![Mistake::of_file(format!("cannot tell which tables it reads: {e}"))])?;
    let mut reads = Vec::new();
    let mut mistakes = Vec::new();
    for reference in references {
        match table_of(&reference) {
            Ok(table) => reads.push(table),
            Err(message) => {
                mistakes.push(Mistake::at(line_of(text, &reference.to_string()), 0, message));
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    reads.sort();
    reads.dedup();
    // The normal form has no comments; a text that looks like a call does no harm.
    let lower = normal_sql.to_lowercase();
    let uses_channels = ["channel(", "touch("].iter().any(|call| lower.contains(call));
    let names_lines = lower.contains("channel_reason(");
    let description = leading_comment(text);
    Ok(Select { uses_channels, names_lines, description, normal_sql, reads })
}

/// The statements of `text`, unless they nest too deep.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Vec<Mistake>> {
    check_nesting(text).map_err(|excess| {
        let number = |number: u64| usize::try_from(number).unwrap_or(0);
        let (line, column) = (number(excess.line), number(excess.column));
        vec![Mistake::at(line, column, excess.message)]
    })?;
    Parser::parse_sql(&GenericDialect {}, text).map_err(|e| vec![Mistake::of_syntax(&e)])
}

fn table_of(reference: &TableReference) -> Result<TableName, String> {
    match reference {
        TableReference::Partial { schema, table } => format!("{schema}.{table}").parse(),
        other => Err(format!(
            "`{other}` does not say its layer: write for instance silver.{}",
            other.table()
        )),
    }
}

/// The first line, from 1, in which `word` stands outside a comment; 0 when there is none.
pub(super) fn line_of(text: &str, word: &str) -> usize {
    text.lines()
        .position(|line| line.split("--").next().is_some_and(|code| code.contains(word)))
        .map_or(0, |index| index + 1)
}

/// The comment lines at the head of a SQL file, joined by spaces.
pub(super) fn leading_comment(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .take_while(|line| line.starts_with("--"))
        .map(|line| line.trim_start_matches('-').trim())
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_found_through_ctes_and_subqueries() {
        let text = "-- One row per x.\nWITH a AS (SELECT * FROM silver.s)\n\
                    SELECT * FROM a JOIN gold.g USING (k) WHERE k IN (SELECT k FROM bronze.b)";
        let select = read(text).unwrap();
        let names: Vec<_> = select.reads.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["bronze.b", "silver.s", "gold.g"]);
        assert_eq!(select.description, "One row per x.");
    }

    #[test]
    fn comments_and_layout_do_not_change_the_normal_form() {
        let a = read("-- x\nSELECT  1 AS one -- y\n").unwrap();
        let b = read("SELECT 1\n  AS one").unwrap();
        assert_eq!(a.normal_sql, b.normal_sql);
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let mistakes = read("SELECT a\nFROM silver.s\nWHERE )").unwrap_err();
        assert_eq!(mistakes[0].line, 3);
    }

    #[test]
    fn a_table_without_a_layer_is_refused_with_its_line() {
        let mistakes = read("SELECT a\nFROM sessions").unwrap_err();
        assert_eq!(mistakes[0].line, 2);
    }
}
