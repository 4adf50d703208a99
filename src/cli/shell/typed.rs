//! What was typed at the prompt: SQL, and behind it at most one command that begins with a backslash,
//! on the last line or on a line of its own.

use crate::engine::{Piece, is_finished, pieces};

/// Something typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed<'a> {
    /// The SQL.
    pub(super) sql: &'a str,
    /// What is behind it on the last line, if that is a command.
    pub(super) command: Option<&'a str>,
}

impl<'a> Typed<'a> {
    /// Takes `text` apart. A backslash begins a command only outside of texts, names and comments, as a
    /// semicolon ends a query only there. Who types `exit` alone means `\q`, and `help` means `\?`.
    pub(super) fn new(text: &'a str) -> Self {
        match text.trim() {
            "exit" | "quit" => return Self { sql: "", command: Some("\\q") },
            "help" => return Self { sql: "", command: Some("\\?") },
            _ => {}
        }
        let end = text.trim_end().len();
        let last = text.get(..end).and_then(|text| text.rfind('\n')).map_or(0, |last| last + 1);
        let place = pieces(text).into_iter().find_map(|(range, piece)| {
            let is_command = piece == Piece::Sign && range.start >= last;
            (is_command && begins_command(text, range.start)).then_some(range.start)
        });
        match place.and_then(|place| text.split_at_checked(place)) {
            Some((sql, command)) => Self { sql, command: Some(command.trim()) },
            None => Self { sql: text, command: None },
        }
    }

    /// Whether nothing is missing any more.
    pub(super) fn is_finished(&self) -> bool {
        self.command.is_some() || is_finished(self.sql)
    }
}

/// The parts of `script` that could have been typed one after the other: lines up to one that finishes a
/// query or has a command.
pub(super) fn parts(script: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in script.split_inclusive('\n') {
        end += line.len();
        let part = script.get(start..end).unwrap_or_default();
        if Typed::new(part).is_finished() {
            parts.push(part);
            start = end;
        }
    }
    parts.extend(script.get(start..).filter(|rest| !rest.is_empty()));
    parts
}

/// Whether there is a backslash at `place`, and nothing in front of it that it could belong to.
fn begins_command(text: &str, place: usize) -> bool {
    let Some((before, rest)) = text.split_at_checked(place) else { return false };
    let is_apart = before.chars().next_back().is_none_or(|c| c.is_whitespace() || c == ';');
    is_apart && rest.starts_with('\\')
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
        assert_eq!(typed("  \\x \n"), ("  ", Some("\\x")));
        assert_eq!(typed("SELECT 1\n\\watch 5"), ("SELECT 1\n", Some("\\watch 5")));
        assert_eq!(typed("SELECT 1 \\watch 5"), ("SELECT 1 ", Some("\\watch 5")));
        assert_eq!(typed("SELECT 1;\\o 'my file'"), ("SELECT 1;", Some("\\o 'my file'")));
        assert_eq!(typed("SELECT '\\x' \\i it's"), ("SELECT '\\x' ", Some("\\i it's")));
        assert_eq!(typed("\\o C:\\x \\y"), ("", Some("\\o C:\\x \\y")));
        assert_eq!(typed("SELECT 1 \\x\nFROM t"), ("SELECT 1 \\x\nFROM t", None));
        assert_eq!(typed("SELECT 'a \\x' -- \\x"), ("SELECT 'a \\x' -- \\x", None));
        assert_eq!(typed("SELECT 'a\n\\x'"), ("SELECT 'a\n\\x'", None));
        assert_eq!(typed("SELECT 1 /*\n\\x"), ("SELECT 1 /*\n\\x", None));
        assert_eq!(typed("SELECT 1;\n"), ("SELECT 1;\n", None));
        assert_eq!(typed("exit"), ("", Some("\\q")));
    }

    #[test]
    fn a_query_goes_on_until_its_semicolon_and_a_command_until_its_line_ends() {
        for finished in
            ["", "\\d", "SELECT 1;", "SELECT 1\n\\e", "SELECT 1 \\x", "quit", "SELECT ';' ;"]
        {
            assert!(Typed::new(finished).is_finished(), "{finished:?}");
        }
        for open in ["SELECT 1", "SELECT '\n\\e", "quit it", "SELECT ';"] {
            assert!(!Typed::new(open).is_finished(), "{open:?}");
        }
    }

    #[test]
    fn a_script_is_done_part_by_part() {
        let script = "\\timing on\nSELECT 1;\nSELECT\n'a;\n\\x' \\x\n\nSELECT 2";
        assert_eq!(
            parts(script),
            ["\\timing on\n", "SELECT 1;\n", "SELECT\n'a;\n\\x' \\x\n", "\n", "SELECT 2"]
        );
        assert!(parts("").is_empty());
    }
}
