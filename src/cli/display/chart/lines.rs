//! A line through the values of all rows, in their order.

use std::fmt::Write as _;

use super::super::screen::{Screen, cut, width_of};
use super::Series;

/// How many lines of the screen a chart takes at most, and at least.
const HEIGHT: (usize, usize) = (20, 4);
/// How narrow the place for the line may get.
const NARROWEST: usize = 8;
/// The bits of the dots of a Braille pattern, by column and line.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// `series` as a line: the greatest value at the top, the least at the bottom.
pub(super) fn draw(series: &Series, screen: Screen) -> String {
    let least = series.values().fold(f64::INFINITY, f64::min);
    let most = series.values().fold(f64::NEG_INFINITY, f64::max);
    let (top, bottom) = (said(most), said(least));
    let margin = width_of(&top).max(width_of(&bottom));
    let width = screen.columns.saturating_sub(margin + 2).max(NARROWEST);
    let height = screen.lines.saturating_sub(4).clamp(HEIGHT.1, HEIGHT.0);
    let mut canvas = Canvas::new(width, height, screen.is_unicode);
    let (columns, rows) = canvas.dots();
    let steps = series.points.len().saturating_sub(1).max(1) as f64;
    let place = |row: usize, value: f64| {
        let span = most - least;
        let up = if span > 0.0 { (value - least) / span } else { 0.5 };
        let across = row as f64 / steps * (columns - 1) as f64;
        (across.round(), ((1.0 - up) * (rows - 1) as f64).round())
    };
    let mut before = None;
    for (row, point) in series.points.iter().enumerate() {
        // Where a value is missing the line is broken.
        let here = point.value.map(|value| place(row, value));
        if let Some(here) = here {
            canvas.line(before.unwrap_or(here), here);
        }
        before = here;
    }
    let mut text = String::new();
    for (number, line) in canvas.lines().into_iter().enumerate() {
        let label = match number {
            0 => top.as_str(),
            last if last + 1 == height => bottom.as_str(),
            _ => "",
        };
        let frame = if screen.is_unicode { "┤" } else { "|" };
        // Writing into a text does not fail.
        writeln!(text, "{}", format!("{label:>margin$} {frame}{line}").trim_end()).ok();
    }
    text + &below(series, (margin + 2, width), screen)
}

/// The labels of the first and the last row, below the ends of the line.
fn below(series: &Series, (before, width): (usize, usize), screen: Screen) -> String {
    let label = |point: Option<&super::Point>| {
        let label = point.map(|point| point.label.as_str()).unwrap_or_default();
        cut(label, width / 2 - 1, screen.is_unicode).into_owned()
    };
    let first = label(series.points.first());
    let last = label(series.points.get(1..).and_then(<[_]>::last));
    let between = width.saturating_sub(width_of(&first) + width_of(&last));
    let line = format!("{}{first}{}{last}", " ".repeat(before), " ".repeat(between));
    format!("{}\n", line.trim_end())
}

/// A number beside the chart.
fn said(value: f64) -> String {
    let text = format!("{value}");
    if text.len() <= 12 { text } else { format!("{value:.4e}") }
}

/// Cells of two dots by four, or of one where there is only ASCII.
struct Canvas {
    width: usize,
    cells: Vec<u8>,
    is_unicode: bool,
}

impl Canvas {
    fn new(width: usize, height: usize, is_unicode: bool) -> Self {
        Self { width, cells: vec![0; width * height], is_unicode }
    }

    /// How many dots there are across and down.
    fn dots(&self) -> (usize, usize) {
        let height = self.cells.len() / self.width;
        if self.is_unicode { (self.width * 2, height * 4) } else { (self.width, height) }
    }

    /// A line of dots from one to another.
    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let steps = across.abs().max(down.abs()).max(1.0);
        for step in 0..=(steps as usize) {
            let part = step as f64 / steps;
            let (column, row) = (from.0 + across * part, from.1 + down * part);
            self.set(column.round() as usize, row.round() as usize);
        }
    }

    fn set(&mut self, column: usize, row: usize) {
        let (column, row, dot) = match self.is_unicode {
            true => {
                let dot = DOTS.get(column % 2).and_then(|dots| dots.get(row % 4));
                (column / 2, row / 4, dot.copied().unwrap_or(0))
            }
            false => (column, row, 1),
        };
        if let Some(cell) = self.cells.get_mut(row * self.width + column) {
            *cell |= dot;
        }
    }

    fn lines(&self) -> Vec<String> {
        let character = |cell: &u8| match (self.is_unicode, *cell) {
            (_, 0) => ' ',
            (true, dots) => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
            (false, _) => '*',
        };
        self.cells.chunks(self.width).map(|line| line.iter().map(character).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::screen;
    use super::super::{Point, Series};
    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        let point = |(row, value): (usize, &Option<f64>)| Point {
            label: format!("day {row}"),
            text: String::new(),
            value: *value,
        };
        Series { name: "n".to_owned(), points: values.iter().enumerate().map(point).collect() }
    }

    #[test]
    fn a_rising_line_rises_from_corner_to_corner() {
        let values: Vec<_> = (0..=9).map(|value| Some(f64::from(value))).collect();
        let text = draw(&series(&values), screen(false));
        let lines: Vec<_> = text.lines().collect();
        // 14 lines of the screen, less 4, and the labels.
        assert_eq!(lines.len(), 11, "{text}");
        assert!(lines[0].starts_with("9 |") && lines[0].ends_with('*'), "{text}");
        assert!(lines[9].starts_with("0 |*"), "{text}");
        assert!(lines[..10].iter().rev().is_sorted_by_key(|line| line.find('*')), "{text}");
        assert!(lines[10].starts_with("   day 0") && lines[10].ends_with("day 9"), "{text}");
        assert!(lines.iter().all(|line| width_of(line) <= 40), "{text}");
    }

    #[test]
    fn a_missing_value_breaks_the_line_and_equal_ones_make_a_flat_one() {
        let text = draw(&series(&[Some(5.0), None, Some(5.0)]), screen(true));
        let is_dotted = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        assert_eq!(text.chars().filter(|c| is_dotted(*c)).count(), 2, "{text}");
        let flat = draw(&series(&[Some(5.0); 3]), screen(true));
        assert_eq!(flat.lines().filter(|line| line.contains(is_dotted)).count(), 1, "{flat}");
    }
}
