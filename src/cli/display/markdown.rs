//! Tables as Markdown has them.

use super::cells::Cells;

/// `cells` as a table of Markdown.
pub(in crate::cli) fn markdown(cells: &Cells) -> String {
    let line = |texts: Vec<String>| format!("| {} |\n", texts.join(" | "));
    let columns = cells.columns();
    let mut text = line(columns.iter().map(|column| escaped(&column.name)).collect());
    let rule = |is_number: bool| String::from(if is_number { "---:" } else { "---" });
    text.push_str(&line(columns.iter().map(|column| rule(column.is_number)).collect()));
    for row in cells.rows() {
        let texts =
            row.iter().map(|cell| cell.as_deref().map_or_else(|| "NULL".to_owned(), escaped));
        text.push_str(&line(texts.collect()));
    }
    text
}

/// `text` as it stands in a cell: nothing in it ends the cell or the row, or is taken for markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("<br>"),
            '|' | '\\' | '`' | '*' | '[' | ']' | '<' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_cell() {
        let cells = Cells::of(&["a|b", "n"], &[&[Some("x | y"), Some("1")], &[Some(""), None]]);
        assert_eq!(
            markdown(&cells),
            "| a\\|b | n |\n| --- | ---: |\n| x \\| y | 1 |\n|  | NULL |\n"
        );
        let cells = Cells::of(&["t"], &[&[Some("*a* <b> `c` [d]")]]);
        assert!(markdown(&cells).ends_with("| \\*a\\* \\<b> \\`c\\` \\[d\\] |\n"));
    }
}
