//! A script of several queries: its statements one by one, and the pieces of its text.

use std::ops::Range;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer, Whitespace};

/// The statements of `script`, parted by semicolons outside of texts and comments. Each stands where
/// it stood, so that what is said of a line and a column is true of the script: before it are blank
/// lines. A script that is no SQL is one statement, and planning it says what is wrong.
pub fn statements(script: &str) -> Vec<String> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, script).tokenize_with_location() else {
        return vec![script.to_owned()];
    };
    let mut places = Places::new(script);
    let mut statements = Vec::new();
    let mut start = 0;
    for statement in tokens.split_inclusive(|token| token.token == Token::SemiColon) {
        let end = match statement.last() {
            Some(last) if last.token == Token::SemiColon => places.offset_of(last.span.start),
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

/// What a piece of a script is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in quotes.
    QuotedName,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// White space.
    Space,
    /// The end of a statement.
    Semicolon,
    /// What parts a layer, a table and a column.
    Period,
    /// Anything else.
    Sign,
    /// The rest of a script that has a quote or a comment without an end.
    Open,
}

/// The pieces of `script` in their order; together they are all of it.
pub fn pieces(script: &str) -> Vec<(Range<usize>, Piece)> {
    let mut tokens = Vec::new();
    let read =
        Tokenizer::new(&GenericDialect {}, script).tokenize_with_location_into_buf(&mut tokens);
    let mut places = Places::new(script);
    let mut starts: Vec<(usize, Piece)> = tokens
        .iter()
        .map(|token| (places.offset_of(token.span.start), piece_of(&token.token)))
        .collect();
    if read.is_err() {
        let start = tokens.last().map_or(0, |last| places.offset_of(last.span.end));
        let rest = script.get(start..).unwrap_or_default();
        starts.push((start, if begins_quoted(rest) { Piece::Open } else { Piece::Sign }));
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([script.len()]);
    let pieces = starts.iter().zip(ends).map(|((start, piece), end)| (*start..end, *piece));
    pieces.filter(|(range, _)| !range.is_empty()).collect()
}

/// Whether nothing is missing at the end of `script`: it is blank, or its last statement has a
/// semicolon behind it.
pub fn is_finished(script: &str) -> bool {
    let pieces = pieces(script);
    let last = pieces.iter().rfind(|(_, piece)| !matches!(piece, Piece::Space | Piece::Comment));
    match last {
        None | Some((_, Piece::Semicolon)) => true,
        // What cannot be read ends where its writer says so, and planning it says what is wrong.
        Some((range, Piece::Sign)) => {
            script.get(range.clone()).unwrap_or_default().trim_end().ends_with(';')
        }
        Some(_) => false,
    }
}

fn piece_of(token: &Token) -> Piece {
    match token {
        Token::Word(word) if word.quote_style.is_some() => Piece::QuotedName,
        Token::Word(_) => Piece::Word,
        Token::Number(..) => Piece::Number,
        Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {
            Piece::Space
        }
        Token::Whitespace(_) => Piece::Comment,
        Token::SemiColon => Piece::Semicolon,
        Token::Period => Piece::Period,
        Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_) => Piece::Text,
        _ => Piece::Sign,
    }
}

/// Whether `text` is the beginning of something with an end of its own: a text, a name in quotes, a
/// comment.
fn begins_quoted(text: &str) -> bool {
    let marked = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '&');
    text.starts_with("/*") || text.starts_with('$') || marked.starts_with(['\'', '"', '`'])
}

/// Offsets of places that are asked for in their order.
struct Places<'a> {
    rest: std::str::CharIndices<'a>,
    line: u64,
    column: u64,
}

impl<'a> Places<'a> {
    fn new(script: &'a str) -> Self {
        Self { rest: script.char_indices(), line: 1, column: 1 }
    }

    /// Where `location` is, or the place asked for last when that is behind it.
    fn offset_of(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.rest.offset()
    }
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
    fn the_pieces_are_the_script_and_what_has_no_end_is_open() {
        let script = "SELECT \"a;\", 'ü;', 4.5, x.y /* ; */ -- ;\n FROM t; $$a;$$ 'op;";
        let found = pieces(script);
        let whole: String = found.iter().map(|(range, _)| &script[range.clone()]).collect();
        assert_eq!(whole, script);
        let of = |wanted: Piece| -> Vec<&str> {
            let own = found.iter().filter(|(_, piece)| *piece == wanted);
            own.map(|(range, _)| script[range.clone()].trim()).collect()
        };
        assert_eq!(of(Piece::Word), ["SELECT", "x", "y", "FROM", "t"]);
        assert_eq!(of(Piece::QuotedName), ["\"a;\""]);
        assert_eq!(of(Piece::Text), ["'ü;'", "$$a;$$"]);
        assert_eq!(of(Piece::Number), ["4.5"]);
        assert_eq!(of(Piece::Comment), ["/* ; */", "-- ;"]);
        assert_eq!(of(Piece::Semicolon), [";"]);
        assert_eq!(of(Piece::Open), ["'op;"]);
    }

    #[test]
    fn a_script_is_finished_when_nothing_is_missing_at_its_end() {
        for finished in [
            "",
            " -- only said",
            "SELECT 1;",
            "SELECT 1; -- done",
            "SELECT ';';\n",
            "SELECT $$;$$ ;",
            "SELECT 1 ._;",
        ] {
            assert!(is_finished(finished), "{finished:?}");
        }
        for open in [
            "SELECT 1",
            "SELECT 1; SELECT",
            "SELECT ';",
            "SELECT 1 /* ;",
            "SELECT 1 -- ;",
            "SELECT \"a;",
            "SELECT $$;",
            "SELECT E'a\\';",
        ] {
            assert!(!is_finished(open), "{open:?}");
        }
    }

    #[test]
    fn what_is_no_sql_is_left_as_it_is() {
        assert_eq!(statements("SELECT 'open"), ["SELECT 'open"]);
        assert!(statements(" ;; -- nothing\n").is_empty());
    }
}
