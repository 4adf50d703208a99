//! Tables in frames of ASCII, cut to a screen where there is one.

use std::borrow::Cow;

use crate::cli::text::counted;

use super::Look;
use super::cells::{Cells, Column};
use super::screen::{Screen, cut, width_of};

/// To how few characters a column of texts is cut before whole columns are left out.
const NARROWEST: usize = 12;

/// What a frame takes beside each column, and once more.
const FRAME: usize = 3;

/// Whether `cells` can be shown whole in lines of `width` characters.
pub(in crate::cli) fn fits(cells: &Cells, width: usize) -> bool {
    taken(natural(cells).into_iter().map(|(natural, _)| natural)) <= width
}

/// `cells` as a table. What does not fit its screen is cut: texts first, then columns from the right.
pub(in crate::cli) fn table(cells: &Cells, look: &Look) -> String {
    // The lines of a plan say nothing when they are cut.
    let screen = look.screen.filter(|_| !cells.is_plan());
    let natural = natural(cells);
    let widths = match screen {
        Some(screen) => fitted(&natural, screen.columns),
        None => natural.iter().map(|(natural, _)| *natural).collect(),
    };
    let is_unicode = screen.is_none_or(|screen| screen.is_unicode);
    let frame = frame(&widths);
    let page = Page { widths: &widths, is_unicode, look };
    let mut text = frame.clone();
    page.head(cells.columns(), &mut text);
    text.push_str(&frame);
    for row in cells.rows() {
        page.row(cells.columns(), row, &mut text);
    }
    if !cells.rows().is_empty() {
        text.push_str(&frame);
    }
    text.push_str(&missing(&natural, &widths, is_unicode));
    text
}

/// For each column how wide its widest text is, and how narrow it may get.
fn natural(cells: &Cells) -> Vec<(usize, usize)> {
    let columns = cells.columns().iter().enumerate();
    let widths = columns.map(|(place, column)| {
        let values = cells.rows().iter().map(|row| match row.get(place) {
            Some(Some(text)) => text.lines().map(width_of).max().unwrap_or(0),
            _ => "NULL".len(),
        });
        let values = values.max().unwrap_or(0);
        let natural = values.max(width_of(&column.name));
        // A number that is cut is another number.
        let least = if column.is_number { values.max(1) } else { NARROWEST };
        (natural, least.min(natural))
    });
    widths.collect()
}

/// How wide a line with columns of these widths is.
fn taken(widths: impl IntoIterator<Item = usize>) -> usize {
    widths.into_iter().map(|width| width + FRAME).sum::<usize>() + 1
}

/// The widths of the first columns, of as many as fit in `width`, each with as much as can be had.
fn fitted(natural: &[(usize, usize)], width: usize) -> Vec<usize> {
    let kept = (1..=natural.len())
        .rev()
        .find(|kept| taken(natural.iter().take(*kept).map(|(_, least)| *least)) <= width)
        .unwrap_or(1);
    let kept = natural.get(..kept).unwrap_or(natural);
    let at_most = |most: usize| kept.iter().map(move |(own, least)| (*own).min(most).max(*least));
    let widest = kept.iter().map(|(own, _)| *own).max().unwrap_or(0);
    let (mut fits, mut exceeds) = (0, widest + 1);
    while exceeds - fits > 1 {
        let most = fits.midpoint(exceeds);
        match taken(at_most(most)) <= width {
            true => fits = most,
            false => exceeds = most,
        }
    }
    at_most(fits).collect()
}

fn frame(widths: &[usize]) -> String {
    let lines: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect();
    lines + "+\n"
}

/// What the lines of a table have in common.
struct Page<'a> {
    widths: &'a [usize],
    is_unicode: bool,
    look: &'a Look,
}

impl Page<'_> {
    fn head(&self, columns: &[Column], text: &mut String) {
        for (column, width) in columns.iter().zip(self.widths) {
            let name = cut(&column.name, *width, self.is_unicode);
            text.push_str(&format!("| {} ", padded(&name, *width, false, None)));
        }
        text.push_str("|\n");
    }

    /// A row: one line, except for a plan.
    fn row(&self, columns: &[Column], row: &[Option<String>], text: &mut String) {
        let height = row.iter().flatten().map(|cell| cell.lines().count()).max().unwrap_or(1);
        for line in 0..height.max(1) {
            let cells = columns.iter().zip(row).zip(self.widths);
            for ((column, cell), width) in cells {
                let cell = match (cell, line) {
                    (Some(cell), _) => {
                        let own = cell.lines().nth(line).unwrap_or_default();
                        let own = cut(own, *width, self.is_unicode);
                        padded(&own, *width, column.is_number, None)
                    }
                    (None, 0) if !self.look.hides_null => {
                        padded("NULL", *width, column.is_number, self.look.screen)
                    }
                    (None, _) => " ".repeat(*width),
                };
                text.push_str(&format!("| {cell} "));
            }
            text.push_str("|\n");
        }
    }
}

/// `text` with as many blanks as are missing; dimmed when there is a screen.
fn padded(text: &str, width: usize, to_the_right: bool, dimmed: Option<Screen>) -> String {
    let blanks = " ".repeat(width.saturating_sub(width_of(text)));
    let text: Cow<'_, str> = Screen::dimmed(dimmed, text);
    if to_the_right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
}

/// Says what of a table was cut.
fn missing(natural: &[(usize, usize)], widths: &[usize], is_unicode: bool) -> String {
    let left_out = natural.len() - widths.len();
    let is_cut = natural.iter().zip(widths).any(|((natural, _), width)| natural > width);
    let what = match (left_out, is_cut) {
        (0, false) => return String::new(),
        (0, true) => "long values are cut".to_owned(),
        (count, false) => format!("{} not shown", counted(count as u64, "column")),
        (count, true) => {
            format!("{} not shown, long values are cut", counted(count as u64, "column"))
        }
    };
    let mark = if is_unicode { "…" } else { "..." };
    format!("{mark} {what}; \\x or --format csv shows all\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(columns: usize) -> Look {
        let screen = Screen { columns, lines: 24, is_unicode: true, has_colours: false };
        Look { screen: Some(screen), ..Look::default() }
    }

    #[test]
    fn null_is_told_from_nothing_and_numbers_stand_to_the_right() {
        let cells = Cells::of(
            &["name", "n"],
            &[&[Some(""), Some("7")], &[None, None], &[Some("日本"), Some("1234")]],
        );
        assert_eq!(
            table(&cells, &Look::default()),
            "+------+------+\n\
             | name | n    |\n\
             +------+------+\n\
             |      |    7 |\n\
             | NULL | NULL |\n\
             | 日本 | 1234 |\n\
             +------+------+\n"
        );
        let hidden = table(&cells, &Look { hides_null: true, ..Look::default() });
        assert!(!hidden.contains("NULL"), "{hidden}");
        let mut bright = screen(80);
        bright.screen = bright.screen.map(|screen| Screen { has_colours: true, ..screen });
        assert!(table(&cells, &bright).contains("\u{1b}[2mNULL\u{1b}[0m |"));
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        let cells = Cells::of(&["a"], &[]);
        assert_eq!(table(&cells, &Look::default()), "+---+\n| a |\n+---+\n");
    }

    #[test]
    fn no_line_is_wider_than_the_screen_and_what_is_missing_is_said() {
        let long = "x".repeat(60);
        let names = ["a", "n_b", "c", "n_d", "e", "f"];
        let long = long.as_str();
        let row = [long, "123456789012345", "short", "-7", long, long].map(Some);
        let cells = Cells::of(&names, &[&row]);
        assert!(!fits(&cells, 80) && fits(&cells, 400));
        for width in 24..400 {
            let text = table(&cells, &screen(width));
            let widest = text.lines().filter(|line| line.starts_with(['|', '+']));
            let widest = widest.map(width_of).max().unwrap();
            assert!(widest <= width, "{width}: {text}");
            let columns = text.lines().nth(1).unwrap().matches('|').count() - 1;
            let says = text.lines().last().unwrap();
            match names.len() - columns {
                0 if text.contains(long) && text.matches(long).count() == 3 => {
                    assert!(says.starts_with('+'), "{width}: {text}");
                }
                0 => assert!(says.starts_with("… long values are cut; "), "{width}: {text}"),
                1 => assert!(says.starts_with("… 1 column not shown"), "{width}: {text}"),
                more => {
                    assert!(says.starts_with(&format!("… {more} columns not")), "{width}: {text}");
                }
            }
            // A number is whole or not there.
            assert_eq!(text.contains("| 123456789012345 |"), columns >= 2, "{width}: {text}");
        }
    }
}
