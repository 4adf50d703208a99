//! Text for people: columns, numbers, durations.

use crate::error::shown;

/// What is between two columns.
const GAP: usize = 2;

/// Lines in columns: those of `left` to the left, numbers to the right. A cell stays on its line,
/// whatever is in it.
pub(super) fn aligned<const N: usize>(lines: &[[String; N]], left: &[usize]) -> String {
    aligned_within(lines, left, None, &[])
}

/// The same in lines of at most `room` characters, if that can be had without the columns
/// `expendable`, of which the first goes first. Which are missing is said below.
pub(super) fn aligned_within<const N: usize>(
    lines: &[[String; N]],
    left: &[usize],
    room: Option<usize>,
    expendable: &[usize],
) -> String {
    let lines: Vec<[String; N]> =
        lines.iter().map(|line| line.each_ref().map(|cell| shown(cell).into_owned())).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let hidden = hidden(&widths, room, expendable);
    let text = |line: &[String; N]| {
        let cells = line.iter().zip(widths).enumerate();
        let cells = cells.filter(|(column, _)| !hidden.contains(column));
        let cells = cells.map(|(column, (cell, width))| match left.contains(&column) {
            true => format!("{cell:width$}"),
            false => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let mut texts: Vec<String> = lines.iter().map(text).collect();
    if let (Some(head), false) = (lines.first(), hidden.is_empty()) {
        let names = head.iter().enumerate().filter(|(column, _)| hidden.contains(column));
        let names: Vec<_> = names.map(|(_, name)| name.as_str()).collect();
        texts.push(format!("(-v also shows: {})", names.join(", ")));
    }
    texts.join("\n")
}

/// The first of `expendable` without which columns of these widths fit.
fn hidden<'a>(widths: &[usize], room: Option<usize>, expendable: &'a [usize]) -> &'a [usize] {
    let room = room.unwrap_or(usize::MAX);
    let taken = |hidden: &[usize]| {
        let shown = widths.iter().enumerate().filter(|(column, _)| !hidden.contains(column));
        shown.map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
    };
    let mut candidates = (0..=expendable.len()).filter_map(|count| expendable.get(..count));
    candidates.find(|hidden| taken(hidden) <= room).unwrap_or(expendable)
}

/// `text` in lines of at most `room` characters that end between words, all but the first `indent` in.
/// A word that is longer stays whole, and where an indent would leave little room, there is none.
pub(super) fn wrapped(text: &str, room: usize, indent: usize) -> String {
    let indent = if indent * 2 <= room { indent } else { 0 };
    let mut wrapped = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            wrapped.push('\n');
        }
        wrap_line(&mut wrapped, line, room, indent);
    }
    wrapped
}

/// Adds one line of text to `wrapped`. Blanks stay, but not where a line ends.
fn wrap_line(wrapped: &mut String, line: &str, room: usize, indent: usize) {
    let (mut taken, mut blanks) = (0, String::new());
    for word in line.split(' ') {
        if word.is_empty() {
            blanks.push(' ');
            continue;
        }
        let width = word.chars().count();
        if taken > 0 && taken + blanks.len() + width > room {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            taken = indent;
        } else {
            wrapped.push_str(&blanks);
            taken += blanks.len();
        }
        wrapped.push_str(word);
        taken += width;
        blanks.clear();
        blanks.push(' ');
    }
}

/// `1 piece`, `2 pieces`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
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
    fn columns_that_can_be_spared_go_when_there_is_no_room_and_are_named() {
        let line = |cells: [&str; 4]| cells.map(str::to_owned);
        let lines = [line(["table", "how", "read", "rows"]), line(["silver.a", "full", "9", "12"])];
        let within = |room| aligned_within(&lines, &[0, 1], Some(room), &[2, 1]);
        assert_eq!(within(26), "table     how   read  rows\nsilver.a  full     9    12");
        assert_eq!(within(25), "table     how   rows\nsilver.a  full    12\n(-v also shows: read)");
        assert!(within(1).ends_with("(-v also shows: how, read)"), "{}", within(1));
        assert_eq!(aligned(&lines, &[0, 1]), within(26));
    }

    #[test]
    fn lines_end_between_words_and_go_on_below_their_text() {
        assert_eq!(wrapped("one two three", 7, 0), "one two\nthree");
        assert_eq!(wrapped("one two three", 13, 0), "one two three");
        assert_eq!(wrapped("one two\nthree", 80, 4), "one two\nthree");
        assert_eq!(
            wrapped("  \\x  shows all values", 14, 6),
            "  \\x  shows\n      all\n      values"
        );
        assert_eq!(wrapped("  \\x  shows all", 11, 6), "  \\x  shows\nall");
        assert_eq!(wrapped("unbreakable it is", 5, 0), "unbreakable\nit is");
        assert_eq!(wrapped("", 5, 0), "");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
