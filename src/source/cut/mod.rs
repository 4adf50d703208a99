//! Cuts values that stand in an array, or one after the other, into records.
//!
//! A walk through the structure tells where each record ends. Where a record breaks, what comes
//! next is a record again only if it is a whole object, stands where records stand, looks like one
//! (see `evidence`), and lies in no other whole object; what is before it is a broken stretch. A
//! record is broken when its structure is, or when the content ends within it. Until then it is
//! not cut, however large and strange it is.

mod surroundings;

use std::ops::Range;

use super::Broken;
use super::around::{BYTE_ORDER_MARK, Cuts, More, Verdict, closes_array, marks_beginning, skip};
use super::evidence::{Evidence, end_of_list, is_separator};
use super::walk::{Walk, Walker, add_sorted};

/// How often it is tried to learn from a file that tells little about its records.
const MOST_SAMPLES: usize = 8;
/// How large one broken record may be in a file that has no whole one.
const LARGE: usize = 64 << 10;

/// Cuts a growing text.
#[derive(Debug)]
pub(super) struct Cutter {
    evidence: Evidence,
    samples: usize,
    /// How far the text is dealt with.
    at: usize,
    state: State,
    array: Array,
    /// Where the broken stretch began, while the next record is searched for.
    stretch: Option<usize>,
    /// Where objects begin that are known to be broken, in order.
    broken: Vec<usize>,
    /// Objects before this place are inside of others.
    enclosed_until: usize,
    walker: Walker,
    longest: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Between,
    /// Within the object that begins here.
    Walking(usize),
    /// Behind the object between these.
    Ended(usize, usize),
}

/// The array around the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Array {
    /// There was neither an array nor a record so far.
    Unknown,
    Absent,
    Open,
    Closed,
}

impl Cutter {
    /// A cutter of records of which `evidence` is known beforehand.
    pub(super) fn new(evidence: Evidence) -> Self {
        Self {
            evidence,
            samples: 0,
            at: 0,
            state: State::Between,
            array: Array::Unknown,
            stretch: None,
            broken: Vec::new(),
            enclosed_until: 0,
            walker: Walker::new(0),
            longest: 0,
        }
    }

    /// Cuts what can be cut of `text`, which begins as it was last time.
    pub(super) fn advance(&mut self, text: &[u8], more: More, cuts: &mut Cuts) {
        let before = cuts.records.len();
        while match self.state {
            State::Between if self.stretch.is_some() => self.search(text),
            State::Between => self.between(text, more),
            State::Walking(start) => self.walk_on(text, more, start),
            State::Ended(start, end) => self.judge(text, more, start..end, cuts),
        } {}
        if more == More::Ended
            && let Some(start) = self.stretch.take()
        {
            self.end_stretch(text, start..text.len(), cuts);
        }
        if let Some(record) = cuts.records.get(before..).and_then(<[_]>::first) {
            self.evidence.note(text.get(record.clone()).unwrap_or_default());
        }
    }

    /// From where on the text has to be kept.
    pub(super) fn kept_from(&self) -> usize {
        match (self.stretch, self.state) {
            (Some(start), _) | (None, State::Walking(start) | State::Ended(start, _)) => start,
            (None, State::Between) => self.at,
        }
    }

    /// Gives up on the record that is open: it is too large. Whether there was one; if not, a broken
    /// stretch is too large, of which the part before the returned place can be forgotten.
    pub(super) fn give_up(&mut self, text: &[u8]) -> Option<usize> {
        match (self.stretch, self.state) {
            (Some(_), State::Walking(place) | State::Ended(place, _)) if place > 0 => Some(place),
            (_, State::Walking(start)) => {
                self.fail(text, start);
                None
            }
            (_, _) => Some(self.at),
        }
    }

    /// Tells that the first `count` bytes were taken out of the text. What is left of a broken
    /// stretch begins at the front.
    pub(super) fn shift(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        self.enclosed_until = self.enclosed_until.saturating_sub(count);
        self.stretch = self.stretch.map(|start| start.saturating_sub(count));
        self.walker.shift(count);
        self.broken.retain(|place| *place >= count);
        self.broken.iter_mut().for_each(|place| *place -= count);
        self.state = match self.state {
            State::Between => State::Between,
            State::Walking(start) => State::Walking(start.saturating_sub(count)),
            State::Ended(start, end) => {
                State::Ended(start.saturating_sub(count), end.saturating_sub(count))
            }
        };
    }

    /// Looks at what comes after a record; `false` when there is nothing more to look at.
    fn between(&mut self, text: &[u8], more: More) -> bool {
        self.at = skip(text, self.at, is_separator);
        let rest = text.get(self.at..).unwrap_or_default();
        let Some(&byte) = rest.first() else { return false };
        match byte {
            b'{' if self.broken.binary_search(&self.at).is_ok() => self.begin_stretch(text),
            b'{' => self.walk_from(self.at),
            b'[' if self.opens_array(text) => {
                self.array = Array::Open;
                self.at += 1;
            }
            b']' if self.array == Array::Open => match closes_array(text, self.at, more) {
                Verdict::Yes => {
                    self.array = Array::Closed;
                    self.at += 1;
                }
                Verdict::No => self.begin_stretch(text),
                Verdict::Later => return false,
            },
            0xef => match marks_beginning(rest, more) {
                Verdict::Yes => self.at += BYTE_ORDER_MARK.len(),
                Verdict::No => self.begin_stretch(text),
                Verdict::Later => return false,
            },
            _ => self.begin_stretch(text),
        }
        true
    }

    fn walk_from(&mut self, start: usize) {
        self.walker.begin(start);
        self.state = State::Walking(start);
    }

    fn begin_stretch(&mut self, text: &[u8]) {
        self.stretch = Some(self.at);
        self.at += 1;
        self.sample(text);
    }

    /// Searches for the next object that may be a record.
    fn search(&mut self, text: &[u8]) -> bool {
        let rest = text.get(self.at..).unwrap_or_default();
        let Some(place) = memchr::memchr(b'{', rest) else {
            self.at = text.len();
            return false;
        };
        let start = self.at + place;
        if self.broken.binary_search(&start).is_ok() {
            self.at = start + 1;
        } else {
            self.walk_from(start);
        }
        true
    }

    fn walk_on(&mut self, text: &[u8], more: More, start: usize) -> bool {
        match self.walker.go_on(text) {
            Walk::Whole(end) => self.state = State::Ended(start, end),
            Walk::Open if more == More::Follows => return false,
            Walk::Open | Walk::Broken(_) => self.fail(text, start),
        }
        true
    }

    /// The object at `start` is broken, and so are those that are open in it.
    fn fail(&mut self, text: &[u8], start: usize) {
        add_sorted(&mut self.broken, start, self.walker.open_objects());
        if self.stretch.is_none() {
            self.stretch = Some(start);
            self.sample(text);
        }
        self.at = start + 1;
        self.state = State::Between;
    }

    /// Judges a whole object by what stands around it, and behind something broken by what it is.
    fn judge(&mut self, text: &[u8], more: More, range: Range<usize>, cuts: &mut Cuts) -> bool {
        let is_followed = self.is_followed(text, &range, more);
        if is_followed == Verdict::Later {
            return false;
        }
        let is_followed = is_followed == Verdict::Yes;
        self.state = State::Between;
        self.at = range.end;
        let stretch = self.stretch;
        match stretch {
            Some(start) if is_followed && self.is_record(text, &range) => {
                self.stretch = None;
                self.end_stretch(text, start..range.start, cuts);
                self.add(range, cuts);
            }
            Some(_) => {}
            None if is_followed => self.add(range, cuts),
            None => self.stretch = Some(range.start),
        }
        true
    }

    fn add(&mut self, range: Range<usize>, cuts: &mut Cuts) {
        self.longest = self.longest.max(range.len());
        if self.array == Array::Unknown {
            self.array = Array::Absent;
        }
        cuts.records.push(range);
    }

    /// Whether the object at `range`, which stands behind something broken, is a record.
    fn is_record(&mut self, text: &[u8], range: &Range<usize>) -> bool {
        let begins_line = self.evidence.begins_line(text, range.start);
        let object = text.get(range.clone()).unwrap_or_default();
        if range.start < self.enclosed_until
            || !self.stands_alone(text, range)
            || !self.evidence.is_record(object, begins_line)
        {
            return false;
        }
        if self.evidence.is_tree() && !begins_line {
            let end = end_of_list(text, range.end, self.array == Array::Open);
            self.enclosed_until = end.unwrap_or(0);
            return end.is_none();
        }
        true
    }

    /// Looks at the records in `text`, as far as it is not known what they look like.
    fn sample(&mut self, text: &[u8]) {
        if self.samples < MOST_SAMPLES && !self.evidence.is_sampled() {
            self.samples += 1;
            self.evidence.sample(text);
        }
    }

    /// Adds a broken stretch without the separators around it, in lines where records are lines.
    fn end_stretch(&mut self, text: &[u8], stretch: Range<usize>, cuts: &mut Cuts) {
        let bytes = text.get(stretch.clone()).unwrap_or_default();
        if self.array == Array::Unknown {
            self.array = self.array_behind(bytes);
        }
        let is_last = stretch.end == text.len() && self.array == Array::Open;
        let mut places: Vec<usize> = self.evidence.lines(bytes).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.dedup();
        for (start, end) in places.iter().zip(places.iter().skip(1)) {
            let part = bytes.get(*start..*end).unwrap_or_default();
            let length = self.without_separator(part, is_last && *end == bytes.len()).len();
            if length > 0 {
                let start = stretch.start + start;
                let most = if self.longest == 0 { LARGE } else { 2 * self.longest };
                cuts.broken.push(Broken { range: start..start + length, is_uncut: length > most });
            }
        }
    }

    /// A broken stretch without the one separator behind it, which is the bracket of the array
    /// where it is the last one.
    fn without_separator<'a>(&self, bytes: &'a [u8], is_last: bool) -> &'a [u8] {
        let bytes = bytes.trim_ascii_end();
        let separator: &[u8] = match (is_last, self.array) {
            (true, _) => b"]",
            (false, Array::Open) => b",",
            (false, _) if self.evidence.has_commas() => b",",
            (false, _) => b"",
        };
        bytes.strip_suffix(separator).unwrap_or(bytes).trim_ascii_end()
    }
}
