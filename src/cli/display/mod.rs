//! How rows look to people: tables that fit their screen, one value per line, Markdown, charts.
//!
//! Everything here makes texts of rows and prints nothing; what a terminal would act on is escaped
//! where values become texts, in [`Cells`].

mod cells;
mod chart;
mod expanded;
mod markdown;
mod pager;
mod screen;
mod table;

pub(super) use cells::Cells;
pub(super) use chart::{Chart, chart};
pub(super) use markdown::markdown;
pub(super) use pager::{page, program};
pub(super) use screen::{Screen, cut};

use super::text::counted;

use expanded::expanded;
use table::{fits, table};

/// Rows as people read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The screen that they have to fit; without one nothing is cut.
    pub(super) screen: Option<Screen>,
    /// When each value stands on a line of its own.
    pub(super) expanded: Expanded,
    /// Whether nothing is shown in the place of NULL.
    pub(super) hides_null: bool,
    /// Whether the number of rows is said.
    pub(super) counts: bool,
    /// Whether rows behind these were left out.
    pub(super) is_cut: bool,
    /// Whether what is longer than the screen is paged.
    pub(super) is_paged: bool,
}

/// When each value of a row stands on a line of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expanded {
    /// Always.
    On,
    /// Never.
    #[default]
    Off,
    /// When the table would be cut otherwise.
    Auto,
}

/// `cells` as text, each line with its end.
pub(super) fn rows(cells: &Cells, look: &Look) -> String {
    let is_expanded = match look.expanded {
        Expanded::On => true,
        Expanded::Off => false,
        Expanded::Auto => look.screen.is_some_and(|screen| !fits(cells, screen.columns)),
    };
    let mut text = match is_expanded {
        true => expanded(cells, look),
        false => table(cells, look),
    };
    if look.counts {
        let count = counted(cells.rows().len() as u64, "row");
        text.push_str(&match look.is_cut {
            true => format!("(the first {count})\n"),
            false => format!("({count})\n"),
        });
    }
    text
}
