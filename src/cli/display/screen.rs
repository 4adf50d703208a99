//! The screen that somebody looks at.

use std::borrow::Cow;
use std::env;
use std::io::{IsTerminal as _, stdout};

use terminal_size::{Height, Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What can be shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Screen {
    /// How many characters stand in a line.
    pub(in crate::cli) columns: usize,
    /// How many lines there are.
    pub(in crate::cli) lines: usize,
    /// Whether it shows more than ASCII.
    pub(in crate::cli) is_unicode: bool,
    /// Whether it shows colours and degrees of brightness.
    pub(in crate::cli) has_colours: bool,
}

impl Screen {
    /// A screen of which nothing is known.
    pub(in crate::cli) const USUAL: Self =
        Self { columns: 80, lines: 24, is_unicode: true, has_colours: false };

    /// The terminal that standard output is, if it is one; as large as it is now.
    pub(in crate::cli) fn of_output() -> Option<Self> {
        if !stdout().is_terminal() {
            return None;
        }
        let (columns, lines) = match terminal_size_of(stdout()) {
            Some((Width(columns), Height(lines))) if columns > 0 && lines > 0 => {
                (usize::from(columns), usize::from(lines))
            }
            _ => (Self::USUAL.columns, Self::USUAL.lines),
        };
        Some(Self { columns, lines, is_unicode: is_unicode(), has_colours: has_colours() })
    }

    /// `text`, less bright than the rest where that can be shown.
    pub(in crate::cli) fn dimmed(screen: Option<Self>, text: &str) -> Cow<'_, str> {
        match screen.is_some_and(|screen| screen.has_colours) {
            true => Cow::Owned(format!("\u{1b}[2m{text}\u{1b}[0m")),
            false => Cow::Borrowed(text),
        }
    }
}

/// Whether the first of the variables that decide it asks for UTF-8.
fn is_unicode() -> bool {
    if cfg!(windows) {
        return true;
    }
    let mut set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os);
    let locale = set.find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn has_colours() -> bool {
    let is_set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    is_set("NO_COLOR").is_none() && is_set("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns of a screen `text` takes.
pub(in crate::cli) fn width_of(text: &str) -> usize {
    text.width()
}

/// `text` in at most `width` columns: its beginning, with a mark behind it when something is missing.
pub(in crate::cli) fn cut(text: &str, width: usize, is_unicode: bool) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mark = if is_unicode { "…" } else { "~" };
    let room = width.saturating_sub(1);
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += character.width().unwrap_or(0);
        taken > room
    });
    let end = end.map_or(text.len(), |(offset, _)| offset);
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    // Some characters are wider together than one by one.
    while kept.width() > room {
        kept.pop();
    }
    Cow::Owned(kept + mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_so() {
        assert_eq!(cut("short", 5, true), "short");
        assert_eq!(cut("longer", 5, true), "long…");
        assert_eq!(cut("longer", 5, false), "long~");
        // Characters of two columns.
        assert_eq!(cut("日本語日本語", 6, true), "日本…");
        for width in 1..12 {
            assert!(width_of(&cut("aé日❤️❤️👩‍🚀b\u{301}cdefghi", width, true)) <= width, "{width}");
        }
    }
}
