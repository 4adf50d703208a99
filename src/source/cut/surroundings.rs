//! What the text around an object tells of it: whether it stands where records do.

use std::ops::Range;

use super::{Array, Cutter};
use crate::source::around::{More, Verdict, closes_array, is_stray, skip};
use crate::source::evidence::is_separator;
use crate::source::walk::{Walk, walk};

impl Cutter {
    /// Whether the object at `range` begins where records do, or ends where they do and is not opened
    /// by what stands before it. That does not tell records from what is inside of them in a tree.
    pub(super) fn stands_alone(&self, text: &[u8], range: &Range<usize>) -> bool {
        let before = text.get(..range.start).unwrap_or_default().trim_ascii_end();
        // What holds no bracket holds no record either.
        let stretch = self.stretch.and_then(|start| before.get(start..)).unwrap_or_default();
        let is_inside = stretch.iter().any(|byte| matches!(byte, b'{' | b'['))
            && matches!(before.last(), Some(b'{' | b'[' | b':' | b','));
        let ends = || {
            let next = skip(text, range.end, is_separator);
            let gap = text.get(range.end..next).unwrap_or_default();
            let is_next = match text.get(next) {
                Some(b'{') => !gap.is_empty() && self.evidence.begins_record(text, next),
                Some(b']') => self.array == Array::Open && gap.contains(&b'\n'),
                _ => false,
            };
            is_next && !is_inside && !self.evidence.is_tree()
        };
        self.evidence.begins_record(text, range.start) || self.is_first(before) || ends()
    }

    /// Whether what follows the object at `range` may follow a record.
    pub(super) fn is_followed(&mut self, text: &[u8], range: &Range<usize>, more: More) -> Verdict {
        let end = range.end;
        let at = skip(text, end, u8::is_ascii_whitespace);
        let is_fine = match text.get(at) {
            None if more == More::Follows => return Verdict::Later,
            None | Some(b'{') => true,
            Some(b',') => match self.ends_early(text, range, at + 1, more) {
                Verdict::Later => return Verdict::Later,
                is_early => is_early == Verdict::No,
            },
            Some(b']') if self.array == Array::Open => match closes_array(text, at, more) {
                Verdict::Later => return Verdict::Later,
                Verdict::Yes => true,
                Verdict::No => {
                    is_stray(text, at)
                        || ends_line(text, range, at)
                        || self.may_be_followed(text, true, at > end)
                }
            },
            Some(0xef) => true,
            // The bracket of an array of which the beginning is gone.
            Some(b']') if is_on_own_line(text, end..at) => match closes_array(text, at, more) {
                Verdict::Later => return Verdict::Later,
                Verdict::Yes => true,
                Verdict::No => self.may_be_followed(text, true, at > end),
            },
            Some(b'}' | b']') => self.may_be_followed(text, true, at > end),
            Some(_) => self.may_be_followed(text, false, at > end),
        };
        if is_fine { Verdict::Yes } else { Verdict::No }
    }

    /// Whether the object at `range` was closed too early: behind the comma before `at` comes a key
    /// of records that it does not have.
    fn ends_early(&self, text: &[u8], range: &Range<usize>, at: usize, more: More) -> Verdict {
        let key = skip(text, at, u8::is_ascii_whitespace);
        let end = match text.get(key) {
            None if more == More::Follows => return Verdict::Later,
            Some(b'"') => walk(text, key),
            _ => return Verdict::No,
        };
        let end = match end {
            Walk::Whole(end) => end,
            Walk::Open if more == More::Follows => return Verdict::Later,
            Walk::Open | Walk::Broken(_) => return Verdict::No,
        };
        let colon = skip(text, end, u8::is_ascii_whitespace);
        let [object, key] =
            [range.clone(), key..end].map(|range| text.get(range).unwrap_or_default());
        match text.get(colon) {
            Some(b':') if self.evidence.lacks_key(object, key) => Verdict::Yes,
            None if more == More::Follows => Verdict::Later,
            _ => Verdict::No,
        }
    }

    /// Whether a record may be followed by a stray bracket or by something else that is no
    /// separator. Where nothing stands between records it may: what is good is not given up for it.
    fn may_be_followed(&mut self, text: &[u8], by_bracket: bool, after_space: bool) -> bool {
        self.sample(text);
        match after_space {
            true => !by_bracket || !self.evidence.has_commas(),
            false => self.evidence.has_no_gaps(),
        }
    }

    /// Whether the array around the records begins where `before` ends, and something broken is
    /// before its bracket.
    fn is_first(&self, before: &[u8]) -> bool {
        let stretch = self.stretch.and_then(|start| before.get(start..)).unwrap_or_default();
        self.array == Array::Unknown
            && stretch.ends_with(b"[")
            && !stretch.contains(&b'{')
            && self.array_behind(stretch) == Array::Open
    }

    /// The array around records that stand behind `broken`, with which the text begins.
    pub(super) fn array_behind(&self, broken: &[u8]) -> Array {
        let first = broken.iter().find(|byte| matches!(byte, b'[' | b'{'));
        let is_open = first == Some(&b'[') && self.evidence.has_commas();
        if is_open { Array::Open } else { Array::Absent }
    }

    /// Whether the bracket at which the text has arrived opens the array around the records.
    pub(super) fn opens_array(&mut self, text: &[u8]) -> bool {
        match self.array {
            Array::Closed => true,
            Array::Open | Array::Absent => false,
            Array::Unknown => {
                let first = skip(text, self.at + 1, u8::is_ascii_whitespace);
                let next = match (text.get(first), walk(text, first)) {
                    (Some(b'{'), Walk::Whole(end)) => skip(text, end, u8::is_ascii_whitespace),
                    _ => first,
                };
                if matches!(text.get(next), None | Some(b',' | b']')) {
                    return true;
                }
                // Its first record is broken, or there is no array.
                self.sample(text);
                self.evidence.has_commas() || self.evidence.knows_no_gaps()
            }
        }
    }
}

/// Whether a line ends in `gap`.
fn is_on_own_line(text: &[u8], gap: Range<usize>) -> bool {
    text.get(gap).is_some_and(|gap| gap.contains(&b'\n'))
}

/// Whether the object at `range` stands on one line, which ends before `at`.
fn ends_line(text: &[u8], range: &Range<usize>, at: usize) -> bool {
    let is_on_one = text.get(range.clone()).is_some_and(|object| !object.contains(&b'\n'));
    is_on_one && is_on_own_line(text, range.end..at)
}
