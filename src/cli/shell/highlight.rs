//! Colours for what is being typed.

use std::borrow::Cow;

use crate::engine::{Piece, pieces};

use super::keywords::is_keyword;
use super::typed::Typed;

/// What is longer is left as it is: it would be coloured anew at every key.
const LONGEST: usize = 20_000;

/// `text` with colours, and not a character more to see.
pub(super) fn highlighted(text: &str) -> Cow<'_, str> {
    if text.len() > LONGEST {
        return Cow::Borrowed(text);
    }
    let Typed { sql, .. } = Typed::new(text);
    let mut coloured = String::with_capacity(text.len() * 2);
    for (range, piece) in pieces(sql) {
        let own = sql.get(range).unwrap_or_default();
        match colour(own, piece) {
            Some(colour) => coloured.push_str(&format!("\u{1b}[{colour}m{own}\u{1b}[0m")),
            None => coloured.push_str(own),
        }
    }
    coloured.push_str(text.get(sql.len()..).unwrap_or_default());
    Cow::Owned(coloured)
}

fn colour(text: &str, piece: Piece) -> Option<&'static str> {
    match piece {
        Piece::Word if is_keyword(text) => Some("1;34"),
        Piece::Text => Some("32"),
        Piece::Number => Some("36"),
        Piece::Comment => Some("2"),
        Piece::Open if text.starts_with("/*") => Some("2"),
        // A name in quotes is as plain as one without.
        Piece::Open if !text.starts_with(['"', '`']) => Some("32"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let coloured = highlighted(text);
        let mut parts = coloured.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
    }

    #[test]
    fn keywords_texts_numbers_and_comments_have_colours() {
        assert_eq!(
            highlighted("select 1, 'x' -- y"),
            "\u{1b}[1;34mselect\u{1b}[0m \u{1b}[36m1\u{1b}[0m, \u{1b}[32m'x'\u{1b}[0m \
             \u{1b}[2m-- y\u{1b}[0m"
        );
        assert_eq!(highlighted("'open"), "\u{1b}[32m'open\u{1b}[0m");
        assert_eq!(highlighted("\\d select"), "\\d select");
    }

    #[test]
    fn nothing_is_added_or_lost() {
        for text in [
            "",
            "SELECT \"a\", b FROM silver.sessions WHERE x = 'ü' ;",
            "SELECT 1\n  /* open",
            "SELECT 1\n\\watch 2",
            "\\format json",
            "1 ._ 'x",
        ] {
            assert_eq!(plain(text), text);
        }
    }
}
