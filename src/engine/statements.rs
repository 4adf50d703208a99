//! A script of several queries, one by one.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// The statements of `script`, parted by semicolons outside of texts and comments. Each stands where
/// it stood, so that what is said of a line and a column is true of the script: before it are blank
/// lines. A script that is no SQL is one statement, and planning it says what is wrong.
pub fn statements(script: &str) -> Vec<String> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, script).tokenize_with_location() else {
        return vec![script.to_owned()];
    };
    let mut statements = Vec::new();
    for statement in tokens.split(|token| token.token == Token::SemiColon) {
        if statement.iter().all(|token| matches!(token.token, Token::Whitespace(_))) {
            continue;
        }
        statements.push(text_of(statement));
    }
    statements
}

/// The text of tokens, at the line and column at which they stood.
fn text_of(tokens: &[TokenWithSpan]) -> String {
    let Some(first) = tokens.first() else { return String::new() };
    let lines = usize::try_from(first.span.start.line).unwrap_or(1).saturating_sub(1);
    let columns = usize::try_from(first.span.start.column).unwrap_or(1).saturating_sub(1);
    let mut text = "\n".repeat(lines) + &" ".repeat(columns);
    tokens.iter().for_each(|token| text.push_str(&token.token.to_string()));
    text
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
    fn what_is_no_sql_is_left_as_it_is() {
        assert_eq!(statements("SELECT 'open"), ["SELECT 'open"]);
        assert!(statements(" ;; -- nothing\n").is_empty());
    }
}
