//! The channels on the way to each touch, written once for all touches of a visitor.
//!
//! A visitor's paths are parts of one text, since each begins somewhere in the order of the touches and
//! ends at its own. They are views of that text: a visitor of millions of touches costs the length of
//! their channels, not that times the length of a path.

use arrow::array::{StringViewArray, StringViewBuilder};
use arrow::buffer::Buffer;
use datafusion::common::{Result, exec_err};

/// What stands between the channels of a path.
pub(super) const ARROW: &str = " > ";
/// How much text of several visitors shares a buffer, so that there are not too many.
const BLOCK: usize = 1 << 20;
/// A view finds its text by a u32.
const LONGEST: usize = u32::MAX as usize - 1;

/// The paths of a batch of visitors, under construction.
#[derive(Default)]
pub(super) struct Paths {
    done: StringViewBuilder,
    text: String,
    /// Where in `text` the paths are that are not in `done` yet.
    pending: Vec<(u32, u32)>,
    /// Where in `text` the channel of each touch of this visitor begins and ends.
    places: Vec<(usize, usize)>,
}

impl Paths {
    /// Ends the touches of one visitor.
    pub(super) fn end_visitor(&mut self) -> Result<()> {
        self.places.clear();
        if self.text.len() >= BLOCK { self.write_block() } else { Ok(()) }
    }

    /// Adds the visitor's next touch, whose path begins `before` touches earlier. One after the other
    /// the same channel is written only once.
    ///
    /// Errors: when a visitor's channels are more text than a view can point into.
    pub(super) fn add(&mut self, channel: &str, before: usize) -> Result<()> {
        let last = self.places.last().copied();
        let place = match last {
            Some((start, end)) if self.text.get(start..end) == Some(channel) => (start, end),
            _ => {
                if last.is_some() {
                    self.text.push_str(ARROW);
                }
                let start = self.text.len();
                self.text.push_str(channel);
                (start, self.text.len())
            }
        };
        self.places.push(place);
        if self.text.len() > LONGEST {
            return exec_err!(
                "the touches of one visitor name more than 4 GiB of channels: leave out visitors who \
                 are many, as those without an id"
            );
        }
        let first = self.places.len().saturating_sub(before + 1);
        let start = self.places.get(first).map_or(place.0, |first| first.0);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.pending.push((number(start), number(place.1 - start)));
        Ok(())
    }

    fn write_block(&mut self) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        let block = self.done.append_block(Buffer::from_vec(text.into_bytes()));
        for (start, length) in self.pending.drain(..) {
            self.done.try_append_view(block, start, length)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<StringViewArray> {
        self.write_block()?;
        Ok(self.done.finish())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;

    use super::*;

    #[test]
    fn paths_begin_where_they_are_told_and_name_no_channel_twice_in_a_row() {
        let mut paths = Paths::default();
        for (channel, before) in [("A", 0), ("A", 1), ("B", 2), ("B", 1), ("", 1), ("A", 5)] {
            paths.add(channel, before).unwrap();
        }
        paths.end_visitor().unwrap();
        paths.add("Z", 0).unwrap();
        let paths = paths.finish().unwrap();
        let found: Vec<_> = paths.iter().flatten().collect();
        assert_eq!(found, ["A", "A", "A > B", "B", "B > ", "A > B >  > A", "Z"]);
    }

    #[test]
    fn visitors_with_much_text_have_blocks_of_their_own() {
        let channel = "c".repeat(BLOCK);
        let mut paths = Paths::default();
        for _ in 0..3 {
            paths.add(&channel, 0).unwrap();
            paths.add("x", 1).unwrap();
            paths.end_visitor().unwrap();
        }
        let paths = paths.finish().unwrap();
        assert_eq!(paths.len(), 6);
        assert!(paths.iter().flatten().all(|path| path.len() >= BLOCK));
        assert!(paths.value(5).ends_with("c > x"));
    }

    #[test]
    fn the_text_of_many_touches_is_held_once() {
        let mut paths = Paths::default();
        for touch in 0..100_000_usize {
            paths
                .add(if touch % 2 == 0 { "Organic Search" } else { "Direct" }, touch.min(49))
                .unwrap();
        }
        let paths = paths.finish().unwrap();
        let held: usize = paths.data_buffers().iter().map(Buffer::len).sum();
        assert!(held < 100_000 * 20, "{held} bytes for a hundred thousand touches");
        assert_eq!(paths.value(99_999).matches(ARROW).count(), 49);
    }
}
