//! How deep a SQL text may nest, found out from its tokens before it is parsed.
//!
//! Parser and planner go down a statement by calling themselves: one that nests deep enough ends the
//! process, and nothing can be caught then. The limits leave room for what programs write (hundreds of
//! ORs, lists of any length) and fit into the stacks that the program gives its threads.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Brackets, CASEs, types and signs inside of each other.
const MOST_LEVELS: usize = 64;
/// Operators in one expression: each is a level of its own for the planner.
const MOST_TERMS: usize = 2000;
/// Queries that one statement holds, as those of a UNION.
const MOST_QUERIES: usize = 500;
/// Tables that one statement joins: the time to plan grows with the third power of their number.
const MOST_JOINS: usize = 100;

/// Why a SQL text is refused, and where it goes too far.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is too much, and what to do.
    pub message: String,
}

/// Refuses `sql` when it nests too deep to be planned. What is no SQL passes: parsing says why.
pub fn check_nesting(sql: &str) -> Result<(), Excess> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(());
    };
    let mut nesting = Nesting::default();
    for token in tokens {
        nesting.take(&token.token).map_err(|message| Excess {
            line: token.span.start.line,
            column: token.span.start.column,
            message,
        })?;
    }
    Ok(())
}

/// What a level ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closes {
    #[default]
    Bracket,
    Angle,
    End,
}

/// What stands between two brackets, and what of it is not over.
#[derive(Debug, Default)]
struct Level {
    closes: Closes,
    /// Operators of the present expression.
    operators: usize,
    /// The most levels that an operand of it has.
    below: usize,
    /// The most levels of the expressions before it.
    before: usize,
    /// Whether a comma means another table.
    is_from: bool,
    /// Pairs of `[` and `]` behind each other.
    subscripts: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.operators + self.below)
    }

    fn next_expression(&mut self) {
        self.before = self.depth();
        self.operators = 0;
        self.below = 0;
    }
}

#[derive(Debug, Default)]
struct Nesting {
    outer: Vec<Level>,
    level: Level,
    queries: usize,
    joins: usize,
    /// Operators one after the other, as in `- - - 1`.
    signs: usize,
    /// What was seen last.
    last: Last,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Operand,
    Period,
    /// ARRAY, STRUCT or MAP.
    Container,
    Distinct,
    Subscript,
}

impl Nesting {
    fn take(&mut self, token: &Token) -> Result<(), String> {
        match token {
            Token::Whitespace(_) | Token::EOF => Ok(()),
            Token::LParen | Token::LBrace => self.open(Closes::Bracket),
            Token::LBracket => self.subscript(),
            Token::RParen | Token::RBrace => self.close_bracket(Last::Operand),
            Token::RBracket => self.close_bracket(Last::Subscript),
            Token::Lt if self.last == Last::Container => self.open(Closes::Angle),
            Token::Gt if self.level.closes == Closes::Angle => self.close(Last::Operand),
            Token::ShiftRight if self.level.closes == Closes::Angle => {
                self.close(Last::Operand)?;
                if self.level.closes == Closes::Angle { self.close(Last::Operand) } else { Ok(()) }
            }
            Token::Comma => self.comma(),
            Token::Period => {
                self.last = Last::Period;
                Ok(())
            }
            Token::Word(word) if word.quote_style.is_none() && self.last != Last::Period => {
                self.word(word.keyword)
            }
            // A `*` that stands where an operand does means all columns.
            Token::Mul if !self.is_after_operand() => self.operand(Last::Operand),
            token if is_operand(token) => self.operand(Last::Operand),
            _ => self.operator(),
        }
    }

    fn is_after_operand(&self) -> bool {
        matches!(self.last, Last::Operand | Last::Subscript | Last::Container)
    }

    fn word(&mut self, keyword: Keyword) -> Result<(), String> {
        // Behind an operator a keyword is somebody's name for a column.
        let is_clause = self.signs == 0;
        match keyword {
            Keyword::CASE => self.open(Closes::End),
            Keyword::END if self.level.closes == Closes::End => self.close(Last::Operand),
            Keyword::SELECT if is_clause => self.clause(false).and_then(|()| self.query()),
            Keyword::JOIN if is_clause => self.join(),
            Keyword::FROM if is_clause && self.last != Last::Distinct => self.clause(true),
            Keyword::ON if is_clause => self.clause(self.level.is_from),
            Keyword::WHERE
            | Keyword::HAVING
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::BY
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
                if is_clause =>
            {
                self.clause(false)
            }
            Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP => self.operand(Last::Container),
            Keyword::DISTINCT => self.operand(Last::Distinct),
            keyword if is_operator(keyword) => self.operator(),
            _ => self.operand(Last::Operand),
        }
    }

    fn operand(&mut self, last: Last) -> Result<(), String> {
        self.signs = 0;
        self.last = last;
        Ok(())
    }

    fn operator(&mut self) -> Result<(), String> {
        self.signs += 1;
        self.last = Last::Nothing;
        if self.signs > MOST_LEVELS {
            return Err(too_deep());
        }
        self.level.operators += 1;
        self.check_terms()
    }

    fn check_terms(&self) -> Result<(), String> {
        if self.level.depth() <= MOST_TERMS {
            return Ok(());
        }
        Err(format!(
            "an expression has more than {MOST_TERMS} terms: use a list, as in x IN (1, 2, 3), or a \
             table of values"
        ))
    }

    fn query(&mut self) -> Result<(), String> {
        self.queries += 1;
        if self.queries <= MOST_QUERIES {
            return Ok(());
        }
        Err(format!("a statement holds more than {MOST_QUERIES} queries: split it into several"))
    }

    fn join(&mut self) -> Result<(), String> {
        self.joins += 1;
        if self.joins <= MOST_JOINS {
            return Ok(());
        }
        Err(format!(
            "a statement joins more than {MOST_JOINS} tables: split it into models that join some of them"
        ))
    }

    fn clause(&mut self, is_from: bool) -> Result<(), String> {
        self.level.next_expression();
        self.level.is_from = is_from;
        self.signs = 0;
        self.last = Last::Nothing;
        Ok(())
    }

    fn comma(&mut self) -> Result<(), String> {
        self.clause(self.level.is_from)?;
        if self.level.is_from { self.join() } else { Ok(()) }
    }

    fn subscript(&mut self) -> Result<(), String> {
        self.level.subscripts =
            if self.last == Last::Subscript { self.level.subscripts + 1 } else { 1 };
        if self.level.subscripts > MOST_LEVELS {
            return Err(too_deep());
        }
        self.open(Closes::Bracket)
    }

    fn open(&mut self, closes: Closes) -> Result<(), String> {
        if self.outer.len() >= MOST_LEVELS {
            return Err(too_deep());
        }
        self.outer.push(std::mem::replace(&mut self.level, Level { closes, ..Level::default() }));
        self.signs = 0;
        self.last = Last::Nothing;
        Ok(())
    }

    /// Closes the bracket, and what was left open inside of it.
    fn close_bracket(&mut self, last: Last) -> Result<(), String> {
        while self.level.closes != Closes::Bracket {
            self.close(last)?;
        }
        self.close(last)
    }

    fn close(&mut self, last: Last) -> Result<(), String> {
        if let Some(outer) = self.outer.pop() {
            let inner = std::mem::replace(&mut self.level, outer);
            self.level.below = self.level.below.max(inner.depth() + 1);
        }
        self.signs = 0;
        self.last = last;
        self.check_terms()
    }
}

fn too_deep() -> String {
    format!("it nests deeper than {MOST_LEVELS} levels: split it into several queries")
}

fn is_operand(token: &Token) -> bool {
    matches!(
        token,
        Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::SemiColon
    )
}

fn is_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::DIV
            | Keyword::INTERVAL
            | Keyword::EXISTS
            | Keyword::EXPLAIN
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> String {
        check_nesting(sql).err().map(|excess| excess.message).unwrap_or_default()
    }

    fn joined(part: &str, by: &str, count: usize) -> String {
        vec![part; count].join(by)
    }

    #[test]
    fn what_programs_write_passes() {
        for sql in [
            format!("SELECT a FROM t WHERE a IN ({})", joined("1", ", ", 20_000)),
            format!("SELECT a FROM t WHERE {}", joined("(a = 1 AND b = 2)", " OR ", 900)),
            format!("SELECT {} FROM t", joined("a + 1 AS b", ", ", 5000)),
            format!("SELECT CASE {} END FROM t", joined("WHEN a = 1 THEN 2 + 3", " ", 3000)),
            format!("SELECT * FROM t WHERE {}", joined("a = 1", " AND ", 900)),
            format!("VALUES {}", joined("(1, -1, 'x' || 'y')", ", ", 5000)),
            joined("SELECT * FROM t", " UNION ALL ", 400),
            format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60)),
            "SELECT array < 3, a IS DISTINCT FROM b FROM t".to_owned(),
            "SELECT 'open".to_owned(),
        ] {
            assert_eq!(refusal(&sql), "", "{}", &sql[..60.min(sql.len())]);
        }
    }

    #[test]
    fn every_way_down_is_refused_before_it_is_gone() {
        for (sql, wanted) in [
            (format!("SELECT {}", joined("1", "+", 5000)), "terms"),
            (format!("SELECT by + {}", joined("where", " + ", 5000)), "terms"),
            (format!("SELECT {}", joined("t.select", " || ", 5000)), "terms"),
            (format!("SELECT a FROM t WHERE {}", joined("a = 1", " OR ", 5000)), "terms"),
            (format!("SELECT a{} FROM t", " IS DISTINCT FROM b".repeat(3000)), "terms"),
            (format!("SELECT a{} FROM t", "::INT".repeat(3000)), "terms"),
            (format!("SELECT {} FROM t", joined("CASE WHEN a THEN 1 END", " + ", 3000)), "terms"),
            (format!("SELECT {}", joined("(1 + 1)", " + ", 3000)), "terms"),
            (format!("SELECT ({}){}", joined("1", "+", 1500), " * 2".repeat(1500)), "terms"),
            (joined("SELECT 1", " UNION ", 1900), "queries"),
            (format!("SELECT 1 FROM {}", joined("t", ", ", 1900)), "tables"),
            (format!("SELECT 1 FROM t {}", "JOIN t ON a = b ".repeat(1900)), "tables"),
            (format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100)), "deeper"),
            (format!("SELECT {}1{}", "abs(".repeat(100), ")".repeat(100)), "deeper"),
            (
                format!("SELECT {}1{}", "CASE WHEN a THEN 1 ELSE ".repeat(99), " END".repeat(99)),
                "deeper",
            ),
            (format!("SELECT {}1{}", "[".repeat(100), "]".repeat(100)), "deeper"),
            (format!("SELECT {}a", "NOT ".repeat(100)), "deeper"),
            (format!("SELECT {}1", "- ".repeat(100)), "deeper"),
            (format!("SELECT {}'1'", "INTERVAL ".repeat(100)), "deeper"),
            (
                format!("CREATE TABLE t (a {}TEXT{})", "ARRAY<".repeat(200), ">".repeat(200)),
                "deeper",
            ),
            (
                format!("CREATE TABLE t (a {}TEXT{})", "STRUCT<b ".repeat(200), ">>".repeat(100)),
                "deeper",
            ),
            (format!("CREATE TABLE t (a TEXT{})", "[]".repeat(200)), "deeper"),
            (format!("CREATE TABLE t (a TEXT{})", "[3]".repeat(200)), "deeper"),
        ] {
            let found = refusal(&sql);
            assert!(found.contains(wanted), "{found:?} for {}", &sql[..60.min(sql.len())]);
        }
    }

    #[test]
    fn the_place_is_where_it_goes_too_far() {
        let excess = check_nesting(&format!("SELECT\n  {}", "(".repeat(100))).unwrap_err();
        assert_eq!((excess.line, excess.column), (2, 3 + MOST_LEVELS as u64));
    }
}
