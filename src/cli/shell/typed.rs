//! What was typed at the prompt: SQL, and behind it at most one command that begins with a backslash.

use crate::engine::{Piece, is_finished, pieces};

/// Something typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed<'a> {
    /// The lines of SQL.
    pub(super) sql: &'a str,
    /// The last line, if it is a command.
    pub(super) command: Option<&'a str>,
}

impl<'a> Typed<'a> {
    /// Takes `text` apart. A line begins a command only outside of texts, names and comments, as a
    /// semicolon ends a query only there. Who types `exit` alone means `\q`, and `help` means `\?`.
    pub(super) fn new(text: &'a str) -> Self {
        match text.trim() {
            "exit" | "quit" => return Self { sql: "", command: Some("\\q") },
            "help" => return Self { sql: "", command: Some("\\?") },
            _ => {}
        }
        let end = text.trim_end().len();
        let start = text.get(..end).and_then(|text| text.rfind('\n')).map_or(0, |last| last + 1);
        let (sql, last) = text.split_at_checked(start).unwrap_or((text, ""));
        let is_open = pieces(sql).last().is_some_and(|(_, piece)| *piece == Piece::Open);
        match last.trim() {
            command if command.starts_with('\\') && !is_open => {
                Self { sql, command: Some(command) }
            }
            _ => Self { sql: text, command: None },
        }
    }

    /// Whether nothing is missing any more.
    pub(super) fn is_finished(&self) -> bool {
        self.command.is_some() || is_finished(self.sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_on_the_last_line_outside_of_texts() {
        let typed = |text: &'static str| {
            let Typed { sql, command } = Typed::new(text);
            (sql, command)
        };
        assert_eq!(typed("\\d silver.sessions"), ("", Some("\\d silver.sessions")));
        assert_eq!(typed("  \\x \n"), ("", Some("\\x")));
        assert_eq!(typed("SELECT 1\n\\watch 5"), ("SELECT 1\n", Some("\\watch 5")));
        assert_eq!(typed("SELECT 'a\n\\x'"), ("SELECT 'a\n\\x'", None));
        assert_eq!(typed("SELECT 1 /*\n\\x"), ("SELECT 1 /*\n\\x", None));
        assert_eq!(typed("SELECT 1;\n"), ("SELECT 1;\n", None));
        assert_eq!(typed("exit"), ("", Some("\\q")));
    }

    #[test]
    fn a_query_goes_on_until_its_semicolon_and_a_command_until_its_line_ends() {
        for finished in ["", "\\d", "SELECT 1;", "SELECT 1\n\\e", "quit", "SELECT ';' ;"] {
            assert!(Typed::new(finished).is_finished(), "{finished:?}");
        }
        for open in ["SELECT 1", "SELECT '\n\\e", "quit it", "SELECT ';"] {
            assert!(!Typed::new(open).is_finished(), "{open:?}");
        }
    }
}
