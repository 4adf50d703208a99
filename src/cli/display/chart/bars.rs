//! A bar for each row, with its number behind it.

use std::fmt::Write as _;

use crate::cli::text::{counted, grouped};

use super::super::screen::{Screen, cut, width_of};
use super::Series;

/// How many bars are drawn at most.
const MOST: usize = 100;
/// How narrow the place for bars may get.
const NARROWEST: usize = 8;
/// A cell that is filled from the left by one eighth, two, and so on.
const EIGHTHS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// `series` as bars: from zero to the right, those below zero to the left.
pub(super) fn draw(series: &Series, screen: Screen) -> String {
    let drawn = series.points.iter().take(MOST);
    let label = drawn.clone().map(|point| width_of(&point.label)).max().unwrap_or(0);
    let label = label.min(screen.columns / 3);
    let number = drawn.clone().map(|point| width_of(&point.text)).max().unwrap_or(0);
    let room = screen.columns.saturating_sub(label + number + 4).max(NARROWEST);
    let shown = drawn.clone().filter_map(|point| point.value);
    let (least, most) =
        shown.fold((0.0_f64, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    let scale = Scale::new((least, most), room, screen.is_unicode);
    let mut text = String::new();
    for point in drawn {
        let name = cut(&point.label, label, screen.is_unicode);
        let blanks = " ".repeat(label.saturating_sub(width_of(&name)));
        let bar = point.value.map(|value| scale.bar(value)).unwrap_or_default();
        let frame = if screen.is_unicode { "│" } else { "|" };
        // A number stands directly behind its bar, so that the eye finds it.
        let behind = if bar.is_empty() { "" } else { " " };
        // Writing into a text does not fail.
        writeln!(text, "{name}{blanks} {frame}{bar}{behind}{}", point.text).ok();
    }
    let left = series.points.len().saturating_sub(MOST);
    if left > 0 {
        let rows = counted(left as u64, "more row");
        writeln!(text, "({rows} not drawn, of {})", grouped(series.points.len() as u64)).ok();
    }
    text
}

/// Where on a line of cells values are.
struct Scale {
    /// Where zero is: between two cells.
    zero: f64,
    /// How many cells a value of one takes.
    unit: f64,
    cells: usize,
    is_unicode: bool,
}

impl Scale {
    /// The scale of values from `least` to `most`, between which is zero.
    fn new((least, most): (f64, f64), cells: usize, is_unicode: bool) -> Self {
        let span = most - least;
        let zero = if span > 0.0 { (-least / span * cells as f64).round() } else { 0.0 };
        let above = if most > 0.0 { (cells as f64 - zero) / most } else { f64::INFINITY };
        let below = if least < 0.0 { zero / -least } else { f64::INFINITY };
        let unit = above.min(below);
        Self { zero, unit: if unit.is_finite() { unit } else { 0.0 }, cells, is_unicode }
    }

    /// The cells from zero to `value`, and blanks before them.
    fn bar(&self, value: f64) -> String {
        let from = self.zero + value.min(0.0) * self.unit;
        let to = self.zero + value.max(0.0) * self.unit;
        let cells = (0..self.cells).map(|cell| {
            let cell = cell as f64;
            let filled = (to.min(cell + 1.0) - from.max(cell)).clamp(0.0, 1.0);
            self.cell(filled, value < 0.0)
        });
        cells.collect::<String>().trim_end().to_owned()
    }

    /// A cell of which a part is filled: from the left, or from the right, where blocks have no parts.
    fn cell(&self, filled: f64, from_the_right: bool) -> &'static str {
        let eighths = (filled * 8.0).round() as usize;
        match (self.is_unicode, from_the_right) {
            (true, false) => {
                eighths.checked_sub(1).and_then(|place| EIGHTHS.get(place)).copied().unwrap_or(" ")
            }
            (true, true) if eighths >= 4 => "█",
            (false, _) if eighths >= 4 => "#",
            _ => " ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::screen;
    use super::super::{Point, Series};
    use super::*;

    fn series(points: &[(&str, Option<f64>)]) -> Series {
        let point = |(label, value): &(&str, Option<f64>)| Point {
            label: (*label).to_owned(),
            text: value.map_or_else(|| "NULL".to_owned(), |value| value.to_string()),
            value: *value,
        };
        Series { name: "n".to_owned(), points: points.iter().map(point).collect() }
    }

    #[test]
    fn a_bar_is_as_long_as_its_number_says() {
        let text = draw(
            &series(&[("whole", Some(56.0)), ("half", Some(28.0)), ("none", None)]),
            screen(true),
        );
        // 40 columns, less 5 of the label, 4 of the number and 4 between them.
        assert_eq!(
            text,
            format!("whole │{} 56\nhalf  │{}▌ 28\nnone  │NULL\n", "█".repeat(27), "█".repeat(13))
        );
    }

    #[test]
    fn below_zero_bars_go_to_the_left_and_ascii_will_do() {
        let text = draw(&series(&[("up", Some(10.0)), ("down", Some(-10.0))]), screen(false));
        let up = text.lines().next().unwrap();
        let down = text.lines().nth(1).unwrap();
        assert!(text.is_ascii());
        assert_eq!(up.matches('#').count(), down.matches('#').count());
        assert_eq!(up.find('#'), down.rfind('#').map(|last| last + 1));
    }

    #[test]
    fn no_line_is_wider_than_the_screen_and_what_is_left_out_is_said() {
        let label = "日本".repeat(40);
        let mut points = vec![(label.as_str(), Some(0.5)); 103];
        points.push(("", None));
        let text = draw(&series(&points), screen(true));
        assert!(text.lines().all(|line| width_of(line) <= 40), "{text}");
        assert!(text.ends_with("(4 more rows not drawn, of 104)\n"), "{text}");
        assert_eq!(draw(&series(&[("zero", Some(0.0))]), screen(true)), "zero │0\n");
    }
}
