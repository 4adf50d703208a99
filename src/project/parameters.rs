//! `[parameters]` of a pipeline: values that its models name as `$name`.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::name::did_you_mean;

use super::Mistake;
use super::raw::At;

/// The parameters of one pipeline, and which of them were used.
pub(super) struct Parameters<'a> {
    declared: &'a [(At<String>, String)],
    used: BTreeSet<&'a str>,
}

impl<'a> Parameters<'a> {
    /// `declared` has names, and the SQL literals that they stand for.
    pub(super) fn new(declared: &'a [(At<String>, String)]) -> Self {
        Self { declared, used: BTreeSet::new() }
    }

    /// `sql` with each `$name` replaced by its literal; lines stay where they are. SQL that does not
    /// parse is left as it is, for whoever parses it.
    pub(super) fn fill(&mut self, sql: &str) -> Result<String, Vec<Mistake>> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location();
        let mut filled = String::with_capacity(sql.len());
        let mut mistakes = Vec::new();
        let mut done = 0;
        for token in tokens.unwrap_or_default() {
            let Token::Placeholder(placeholder) = &token.token else { continue };
            let name = placeholder.trim_start_matches('$');
            let found = self.declared.iter().find(|(declared, _)| declared.value == name);
            let Some((declared, literal)) = found else {
                mistakes.push(self.unknown(placeholder, name, token.span.start));
                continue;
            };
            self.used.insert(&declared.value);
            let start = offset(sql, token.span.start);
            filled.push_str(sql.get(done..start).unwrap_or_default());
            // Two minus signs in a row would begin a comment.
            match literal.starts_with('-') {
                true => filled.push_str(&format!("({literal})")),
                false => filled.push_str(literal),
            }
            done = start + placeholder.len();
        }
        filled.push_str(sql.get(done..).unwrap_or_default());
        if mistakes.is_empty() { Ok(filled) } else { Err(mistakes) }
    }

    /// Those that nothing used, with their lines.
    pub(super) fn unused(&self) -> Vec<(String, usize)> {
        let names = self.declared.iter().map(|(name, _)| name);
        let unused = names.filter(|name| !self.used.contains(name.value.as_str()));
        unused.map(|name| (name.value.clone(), name.line)).collect()
    }

    fn unknown(&self, placeholder: &str, name: &str, at: Location) -> Mistake {
        let known = self.declared.iter().map(|(name, _)| name.value.as_str());
        let hint = did_you_mean(name, known)
            .unwrap_or_else(|| "add it to [parameters] of the pipeline".to_owned());
        let number = |number: u64| usize::try_from(number).unwrap_or(0);
        let message = format!("there is no parameter `{placeholder}`");
        Mistake::at(number(at.line), number(at.column), message).hint(hint)
    }
}

/// Where in `text` a place is, in bytes; the place counts lines and characters from 1.
fn offset(text: &str, at: Location) -> usize {
    let number = |number: u64| usize::try_from(number).unwrap_or(1).saturating_sub(1);
    let lines = text.split_inclusive('\n');
    let start: usize = lines.clone().take(number(at.line)).map(str::len).sum();
    let line = lines.clone().nth(number(at.line)).unwrap_or_default();
    let inside = line.char_indices().nth(number(at.column)).map_or(line.len(), |(place, _)| place);
    start + inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<(At<String>, String)> {
        let at = |value: &str, line| At { value: value.to_owned(), line, column: 1 };
        vec![
            (at("less", 2), "-1".to_owned()),
            (at("days", 3), "30".to_owned()),
            (at("lookback", 4), "'30 days'".to_owned()),
        ]
    }

    #[test]
    fn values_stand_where_their_names_stood() {
        let declared = declared();
        let mut parameters = Parameters::new(&declared);
        let filled = parameters
            .fill("SELECT 'ü$days', -- $days\n  $days AS x,\n  INTERVAL $lookback, $days -$less")
            .unwrap();
        assert_eq!(filled, "SELECT 'ü$days', -- $days\n  30 AS x,\n  INTERVAL '30 days', 30 -(-1)");
        assert_eq!(parameters.unused(), []);
    }

    #[test]
    fn unknown_and_unused_ones_are_named() {
        let declared = declared();
        let mut parameters = Parameters::new(&declared);
        let mistakes = parameters.fill("SELECT\n  $lookbak").unwrap_err();
        assert_eq!((mistakes[0].line, mistakes[0].column), (2, 3));
        assert!(mistakes[0].hint.as_ref().unwrap().contains("lookback"));
        assert_eq!(parameters.unused().len(), 3);
    }
}
