//! Something wrong in one text that a user wrote, wherever the text stands.

use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::{Problem, shortened};

/// How much of what a parser says is kept, in characters: it repeats what it has found.
pub(super) const LONGEST: usize = 240;

/// What is wrong, and where in the text.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// From 1; 0 when the mistake is the text as a whole.
    pub line: usize,
    /// From 1, in characters; 0 when only the line is known.
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake of the text as a whole.
    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self::at(0, 0, message)
    }

    pub(crate) fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), hint: None }
    }

    /// What a SQL parser says, with the place taken out of its words.
    pub(crate) fn of_syntax(error: &ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
            ParserError::RecursionLimitExceeded => "it nests too deep: split it",
        };
        let (message, place) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
        let mut numbers =
            place.split(", Column: ").map(|number| number.trim().parse().unwrap_or(0));
        let (line, column) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let message = shortened(message, LONGEST);
        Self::at(line, column, format!("this SQL does not parse: {message}"))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The mistake as a problem of `file`.
    pub(crate) fn in_file(self, file: &str) -> Problem {
        let Self { line, column, message, hint } = self;
        Problem { file: file.to_owned(), line, column, message, hint }
    }
}

/// Line and column, both from 1, of the byte at `offset`; columns are counted in characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_taken_out_of_the_words_of_a_parser() {
        let text = "Expected: an expression, found: ' at Line: 9' at Line: 3, Column: 14";
        let mistake = Mistake::of_syntax(&ParserError::ParserError(text.to_owned()));
        assert_eq!((mistake.line, mistake.column), (3, 14));
        assert!(mistake.message.ends_with("found: ' at Line: 9'"), "{}", mistake.message);
        let long = format!("found: '{}' at Line: 1, Column: 2", "x".repeat(100_000));
        let mistake = Mistake::of_syntax(&ParserError::TokenizerError(long));
        assert_eq!((mistake.line, mistake.column), (1, 2));
        assert!(mistake.message.len() < 2 * LONGEST);
    }

    #[test]
    fn columns_are_counted_in_characters() {
        assert_eq!(line_and_column("ab\ncd", 0), (1, 1));
        assert_eq!(line_and_column("ab\nüd", 5), (2, 2));
        assert_eq!(line_and_column("ab\n", 3), (2, 1));
    }
}
