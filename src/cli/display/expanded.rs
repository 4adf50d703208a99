//! Rows with each value on a line of its own.

use super::Look;
use super::cells::Cells;
use super::screen::{Screen, width_of};

/// `cells`, one value a line, nothing cut.
pub(in crate::cli) fn expanded(cells: &Cells, look: &Look) -> String {
    let names = cells.columns().iter().map(|column| width_of(&column.name));
    let width = names.max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in (1..).zip(cells.rows()) {
        let head = format!("-[ row {number} ]");
        text.push_str(&format!("{head}{}\n", "-".repeat((width + 2).saturating_sub(head.len()))));
        for (column, cell) in cells.columns().iter().zip(row) {
            let blanks = " ".repeat(width - width_of(&column.name));
            let null = if look.hides_null { "" } else { "NULL" };
            let dimmed = Screen::dimmed(look.screen, null);
            // Further lines of a plan stand below its first one.
            let indented = cell
                .as_ref()
                .map(|cell| cell.replace('\n', &format!("\n{} | ", " ".repeat(width))));
            let value = indented.as_deref().unwrap_or(&dimmed);
            text.push_str(format!("{}{blanks} | {value}", column.name).trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_line_and_none_is_cut() {
        let long = "x".repeat(300);
        let cells = Cells::of(&["id", "page_url"], &[&[Some("1"), Some(&long)], &[Some(""), None]]);
        let screen = Screen { columns: 40, lines: 24, is_unicode: true, has_colours: false };
        let text = expanded(&cells, &Look { screen: Some(screen), ..Look::default() });
        assert_eq!(
            text,
            format!(
                "-[ row 1 ]\nid       | 1\npage_url | {long}\n-[ row 2 ]\nid       |\npage_url | NULL\n"
            )
        );
    }
}
