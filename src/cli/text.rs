//! Text for people: columns, numbers, durations.

use crate::error::shown;

/// Lines in columns: those of `left` to the left, numbers to the right. A cell stays on its line,
/// whatever is in it.
pub(super) fn aligned<const N: usize>(lines: &[[String; N]], left: &[usize]) -> String {
    let lines: Vec<[String; N]> =
        lines.iter().map(|line| line.each_ref().map(|cell| shown(cell).into_owned())).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let text = |line: &[String; N]| {
        let cells = line.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match left.contains(&column) {
            true => format!("{cell:width$}"),
            false => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// A number with a comma after every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds as people say them.
pub(super) fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_on_its_line_and_the_columns_stay_aligned() {
        let line = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = aligned(&[line("a\nb", "1"), line("c", "22"), line("\u{1b}[0m", "3")], &[0]);
        assert_eq!(text, "a\\nb        1\nc          22\n\\u{1b}[0m   3");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
