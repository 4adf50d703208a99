//! A script of several queries, one by one.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// The statements of `script`, parted by semicolons outside of texts and comments. Each stands where
/// it stood, so that what is said of a line and a column is true of the script: before it are blank
/// lines. A script that is no SQL is one statement, and planning it says what is wrong.
pub fn statements(script: &str) -> Vec<String> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, script).tokenize_with_location() else {
        return vec![script.to_owned()];
    };
    let mut statements = Vec::new();
    let mut start = 0;
    for statement in tokens.split_inclusive(|token| token.token == Token::SemiColon) {
        let end = match statement.last() {
            Some(last) if last.token == Token::SemiColon => place(script, last.span.start),
            _ => script.len(),
        };
        let is_blank = |token: &Token| matches!(token, Token::Whitespace(_) | Token::SemiColon);
        if !statement.iter().all(|token| is_blank(&token.token)) {
            statements.push(moved(script, start, end));
        }
        start = end + 1;
    }
    statements
}

/// Where in `script` a line and a column are, both counted from 1.
fn place(script: &str, location: Location) -> usize {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let lines = script.split_inclusive('\n');
    let before = lines.clone().take(number(location.line)).map(str::len).sum::<usize>();
    let line = script.get(before..).unwrap_or_default();
    let column = line.char_indices().nth(number(location.column));
    before + column.map_or(line.len(), |(offset, _)| offset)
}

/// From `start` to `end` of `script`, at the same line and column.
fn moved(script: &str, start: usize, end: usize) -> String {
    let before = script.get(..start).unwrap_or_default();
    let (lines, columns) = match before.rfind('\n') {
        Some(last) => (before.matches('\n').count(), before[last + 1..].chars().count()),
        None => (0, before.chars().count()),
    };
    let text = script.get(start..end).unwrap_or_default();
    "\n".repeat(lines) + &" ".repeat(columns) + text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_part_statements_only_where_they_do() {
        let found = statements("SELECT ';' AS a; -- one; two\nSELECT /* ; */ 2;\n;\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].trim(), "SELECT ';' AS a");
        assert!(found[1].contains("SELECT /* ; */ 2"));
        assert_eq!(found[1].lines().count(), 2, "it stands on the second line: {:?}", found[1]);
    }

    #[test]
    fn a_statement_keeps_its_own_text() {
        let script = "SELECT 'it''s größer', E'a\\nb', \"Ä;\" ;\r\n\tSELECT 2 -- ü;\n; SELECT 3";
        let found = statements(script);
        let texts: Vec<_> = found.iter().map(|statement| statement.trim()).collect();
        assert_eq!(
            texts,
            ["SELECT 'it''s größer', E'a\\nb', \"Ä;\"", "SELECT 2 -- ü;", "SELECT 3"]
        );
        assert!(found[2].starts_with("\n\n"));
    }

    #[test]
    fn what_is_no_sql_is_left_as_it_is() {
        assert_eq!(statements("SELECT 'open"), ["SELECT 'open"]);
        assert!(statements(" ;; -- nothing\n").is_empty());
    }
}
