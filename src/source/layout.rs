//! How the records of a file are laid out, judged by most of its beginning.

use std::ops::Range;

use super::walk::{Objects, Walk, walk};

/// How much of a file is looked at to tell its layout.
const SAMPLE: usize = 64 << 10;
/// How many lines are looked at for one at which a piece can end.
const LINES_TRIED: usize = 64;

/// How records are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each line is a record.
    Lines,
    /// Records stand in an array, or one after the other.
    Values,
}

/// The layout of a file that begins with `beginning`: lines when most of its whole objects are
/// lines by themselves, whatever its first line is.
pub(super) fn layout_of(beginning: &[u8]) -> Layout {
    let sample = beginning.get(..SAMPLE).unwrap_or(beginning);
    let mut weights = Weights::of(sample);
    if weights.is_empty() {
        weights = Weights::of(beginning);
    }
    let begins_array = beginning.trim_ascii_start().starts_with(b"[");
    let is_lines = match weights.is_empty() {
        true => !begins_array && !is_begun(beginning),
        // An array of one record may have it on a line of its own.
        false => weights.lines > weights.others && (!begins_array || weights.count > 1),
    };
    if is_lines { Layout::Lines } else { Layout::Values }
}

/// Whether `beginning` begins with an object that goes on to its end.
fn is_begun(beginning: &[u8]) -> bool {
    let start = beginning.len() - beginning.trim_ascii_start().len();
    beginning.get(start) == Some(&b'{') && walk(beginning, start) == Walk::Open
}

/// How much of a text is objects that are lines by themselves, and others.
#[derive(Default)]
struct Weights {
    lines: usize,
    others: usize,
    count: usize,
}

impl Weights {
    fn of(text: &[u8]) -> Self {
        let mut weights = Self::default();
        for object in Objects::new(text, 0) {
            // The last one of an array has no comma behind it, however the others stand.
            let behind = text.get(object.end..).unwrap_or_default();
            if behind.trim_ascii_start().starts_with(b"]") {
                continue;
            }
            match is_line(text, &object) {
                true => weights.lines += object.len(),
                false => weights.others += object.len(),
            }
            weights.count += 1;
        }
        weights
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Whether the object at `range` is all that is on its line.
fn is_line(text: &[u8], range: &Range<usize>) -> bool {
    let before = text.get(..range.start).unwrap_or_default();
    let behind = text.get(range.end..).unwrap_or_default();
    let object = text.get(range.clone()).unwrap_or_default();
    let line = memchr::memrchr(b'\n', before).map_or(0, |place| place + 1);
    let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
    let is_blank = |part: Option<&[u8]>| part.is_some_and(|part| part.trim_ascii().is_empty());
    let before =
        before.get(line..).map(|before| before.strip_prefix(b"\xef\xbb\xbf").unwrap_or(before));
    is_blank(before) && is_blank(behind.get(..end)) && memchr::memchr(b'\n', object).is_none()
}

/// How many bytes at the front of `text` are whole lines, up to one that is a whole object if there
/// is any: what goes over several lines is not cut then.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    let end_of = |text: &[u8]| memchr::memrchr(b'\n', text).map_or(0, |place| place + 1);
    let last = end_of(text);
    let mut end = last;
    for _ in 0..LINES_TRIED {
        let Some(before) = end.checked_sub(1) else { break };
        let start = end_of(text.get(..before).unwrap_or_default());
        let line = text.get(start..end).unwrap_or_default().trim_ascii();
        if !line.is_empty() && walk(line, 0) == Walk::Whole(line.len()) {
            return end;
        }
        end = start;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_most_objects() {
        for text in [
            "{\"a\":1}\n{\"a\":2}\n",
            "[date] starting export {job 17\n{\"a\":1}\n{\"a\":2}\n",
            "[\n{\"a\":1}\n{\"a\":2}\n",
            "{\"a\": \"broken\n{\"a\":1}\n",
            "{\"a\":1}}\n{\"a\":22}\n{\"a\":33}\n",
            "{\"a\": 1\n{\"a\": 2\n",
            "rubbish\n",
        ] {
            assert_eq!(layout_of(text.as_bytes()), Layout::Lines, "{text}");
        }
        for text in [
            "[{\"a\":1},{\"a\":2}]",
            "[\n{\"a\":1}\n]",
            "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]",
            "{\"a\":1}{\"a\":2}\n",
            "{\"a\":1}null{\"a\":2}",
            "{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n",
            "{\n\"a\": [\n{\"x\": 1},\n{\"x\": 2}\n]\n}\n",
            "{\n\"a\": [\n",
            "[",
        ] {
            assert_eq!(layout_of(text.as_bytes()), Layout::Values, "{text}");
        }
    }

    #[test]
    fn pieces_end_behind_whole_records() {
        assert_eq!(whole_lines(b"{\"a\":1}\n{\n\"b\":\n"), 8);
        assert_eq!(whole_lines(b"{\"a\":1}\n{\"a\":2}\r\n{\"a\""), 17);
        assert_eq!(whole_lines(b"one\ntwo\nthr"), 8);
        assert_eq!(whole_lines(b"{\"a\":1}"), 0);
    }
}
