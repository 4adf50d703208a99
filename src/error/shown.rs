//! Text of unknown origin as people get to see it: nothing in it moves a terminal, none of it is endless.
//!
//! Values, names of files and what libraries say may hold anything. What is printed for programs is
//! printed as it is; what is printed for people goes through here, at the printer and where errors are
//! rendered, and nowhere else.

use std::borrow::Cow;

/// How much of a line is shown around the place that is meant, in characters.
const AROUND: usize = 120;

/// `text` on one line, with what a terminal would act on escaped.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// The same for a text that is laid out in lines: its line breaks stay.
pub(crate) fn shown_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| character != '\n' && is_hidden(character))
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_escaped(character) {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character is not seen but acted on: control characters, C1 among them, line breaks of
/// Unicode, and what changes the direction in which the rest of a line is read.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// `text` in at most about `most` characters: its beginning and its end.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= most {
        return Cow::Borrowed(text);
    }
    let end = most / 4;
    let beginning: String = text.chars().take(most - end).collect();
    let end: String = text.chars().skip(count - end).collect();
    Cow::Owned(format!("{beginning} … {end}"))
}

/// The part of `line` around `column`, which counts characters from 1, and a line below it that marks
/// the place.
pub(super) fn excerpt(line: &str, column: usize) -> [String; 2] {
    let characters: Vec<char> = line.chars().collect();
    let place = column.saturating_sub(1).min(characters.len());
    let start = place.saturating_sub(AROUND / 2).min(characters.len().saturating_sub(AROUND));
    let end = (start + AROUND).min(characters.len());
    let piece = |from: usize, to: usize| {
        let text: String = characters.get(from..to).unwrap_or_default().iter().collect();
        shown(&text).into_owned()
    };
    let before = format!("{}{}", if start > 0 { "…" } else { "" }, piece(start, place));
    let after = if end < characters.len() { "…" } else { "" };
    let mark = format!("{}^", " ".repeat(before.chars().count()));
    [format!("{before}{}{after}", piece(place, end)), mark]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_the_rest_is_as_it_was() {
        assert_eq!(shown("ä 日本 \\ 'x' 👩‍🚀"), "ä 日本 \\ 'x' 👩‍🚀");
        assert!(matches!(shown("plain"), Cow::Borrowed("plain")));
        assert_eq!(shown("\u{1b}[31m\tred\r\n"), "\\u{1b}[31m\\tred\\r\\n");
        assert_eq!(shown("\u{9b}31m \u{7f}"), "\\u{9b}31m \\u{7f}");
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{200f}"), "a\\u{202e}b\\u{2066}c\\u{200f}");
        assert_eq!(shown_lines("a\nb\u{7}\n"), "a\nb\\u{7}\n");
    }

    #[test]
    fn long_texts_keep_their_beginning_and_their_end() {
        assert_eq!(shortened("short", 8), "short");
        assert_eq!(shortened("0123456789abcdef", 8), "012345 … ef");
        let long = "ü".repeat(5000);
        assert!(shortened(&long, 100).chars().count() < 110);
    }

    #[test]
    fn an_excerpt_holds_its_place_and_marks_it() {
        let marked = |line: &str, column: usize| {
            let [piece, mark] = excerpt(line, column);
            assert!(piece.chars().count() <= AROUND + 2, "{piece}");
            piece.chars().nth(mark.chars().count() - 1)
        };
        assert_eq!(excerpt("SELECT x", 8), ["SELECT x".to_owned(), "       ^".to_owned()]);
        for place in [0, 1, 59, 60, 61, 500, 4999] {
            let line = format!("{}X{}", "ö".repeat(place), "-".repeat(4999 - place));
            assert_eq!(marked(&line, place + 1), Some('X'), "{place}");
        }
        assert_eq!(marked("short", 99), None, "behind its end");
        assert_eq!(marked("", 1), None);
        assert_eq!(excerpt("\tx", 2)[1], "  ^", "the mark stands below what is shown");
    }
}
