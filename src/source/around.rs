//! What stands around records: what is cut out between it, and what it tells.

use std::ops::Range;

use super::Broken;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether more text follows what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// There may be more.
    Follows,
    /// This is the end of the content.
    Ended,
}

/// What the text tells about something, where it may have to go on before it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    Later,
}

/// What was cut so far and not taken.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Objects whose structure is whole.
    pub records: Vec<Range<usize>>,
    /// What is between them and no separator.
    pub broken: Vec<Broken>,
}

impl Cuts {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.broken.is_empty()
    }

    /// Takes out what is broken at the front of the text; gives its end.
    pub(super) fn take_front(&mut self) -> usize {
        match self.broken.first() {
            Some(broken) if broken.range.start == 0 => self.broken.remove(0).range.end,
            _ => 0,
        }
    }

    /// The end of the last record that ends before `place`.
    pub(super) fn end_before(&self, place: usize) -> usize {
        let count = self.records.partition_point(|record| record.end <= place);
        self.records.get(..count).and_then(<[_]>::last).map_or(0, |record| record.end)
    }

    /// Splits off what begins at `place` or behind it.
    pub(super) fn split_off(&mut self, place: usize) -> Self {
        let records = self.records.partition_point(|record| record.start < place);
        let broken = self.broken.partition_point(|broken| broken.range.start < place);
        let mut rest = Self {
            records: self.records.split_off(records),
            broken: self.broken.split_off(broken),
        };
        let ranges = rest.broken.iter_mut().map(|broken| &mut broken.range);
        for range in rest.records.iter_mut().chain(ranges) {
            *range = range.start - place..range.end - place;
        }
        rest
    }
}

/// Whether the bracket at `at` is the end of the array: nothing, another array, or something on a
/// line of its own follows.
pub(super) fn closes_array(text: &[u8], at: usize, more: More) -> Verdict {
    let next = skip(text, at + 1, u8::is_ascii_whitespace);
    let space = text.get(at + 1..next).unwrap_or_default();
    let is_behind_comma = text.get(..at).unwrap_or_default().trim_ascii_end().ends_with(b",");
    match text.get(next) {
        None if more == More::Follows => Verdict::Later,
        None | Some(b'[' | 0xef) => Verdict::Yes,
        Some(b',' | b']' | b'}') => Verdict::No,
        Some(_) if space.contains(&b'\n') && !is_behind_comma => Verdict::Yes,
        Some(_) => Verdict::No,
    }
}

/// Whether what stands around it tells that the bracket at `at`, which is not known to close the
/// array, stands behind a record, and not inside of one that was closed too early.
pub(super) fn is_stray(text: &[u8], at: usize) -> bool {
    let next = skip(text, at + 1, u8::is_ascii_whitespace);
    !matches!(text.get(next), Some(b',' | b']' | b'}' | b':' | b'"'))
}

/// Whether `text` begins with a byte order mark that stands before records, as at the beginning of
/// a file; where files were put together it is in the middle of one.
pub(super) fn marks_beginning(text: &[u8], more: More) -> Verdict {
    let next = skip(text, BYTE_ORDER_MARK.len(), u8::is_ascii_whitespace);
    match (text.starts_with(BYTE_ORDER_MARK), text.get(next)) {
        (true, Some(b'{' | b'[')) => Verdict::Yes,
        (_, None) if more == More::Follows => Verdict::Later,
        _ => Verdict::No,
    }
}

/// The first place from `at` on whose byte is not to be skipped.
pub(super) fn skip(text: &[u8], at: usize, is_skipped: impl Fn(&u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is_skipped(byte)).unwrap_or(rest.len())
}
