//! Going through a JSON value by its structure alone: brackets, quotes, colons and commas.
//!
//! A walk tells where a value ends, or where its structure breaks. What numbers, words and texts
//! consist of is left to the decoder: a mistake in one of them spoils its record, but not where the
//! record ends. A text ends at a line break at the latest, because JSON has none in its texts.

use super::parse::{after_space, end_of_plain};

/// Deeper values count as broken: what is remembered of each level must not exhaust the memory.
const DEEPEST: usize = 1 << 16;

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The value ends before this place.
    Whole(usize),
    /// The value can not go on as it does at this place.
    Broken(usize),
    /// The text ends within the value.
    Open,
}

/// A walk through one value, which goes on when there is more text.
#[derive(Debug)]
pub(super) struct Walker {
    open: Vec<Open>,
    at: usize,
    next: Next,
}

/// An object or array that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    start: usize,
    is_object: bool,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    FirstItem,
    FirstKey,
    Key,
    Follower,
}

type Step = Result<(usize, Next), Walk>;

impl Walker {
    /// A walk that begins at `start`.
    pub(super) fn new(start: usize) -> Self {
        Self { open: Vec::new(), at: start, next: Next::Value }
    }

    /// Begins anew at `start`.
    pub(super) fn begin(&mut self, start: usize) {
        self.open.clear();
        self.at = start;
        self.next = Next::Value;
    }

    /// Goes on through `text`, of which the part that was walked through is as it was.
    pub(super) fn go_on(&mut self, text: &[u8]) -> Walk {
        loop {
            self.at = after_space(text, self.at);
            let Some(&byte) = text.get(self.at) else { return Walk::Open };
            let step = match self.next {
                Next::Value => self.value(text, byte),
                Next::FirstItem if byte == b']' => self.close(),
                Next::FirstItem => self.value(text, byte),
                Next::FirstKey if byte == b'}' => self.close(),
                Next::FirstKey | Next::Key => self.key(text, byte),
                Next::Follower => self.follower(byte),
            };
            match step {
                Ok((end, Next::Follower)) if self.open.is_empty() => return Walk::Whole(end),
                Ok((at, next)) => (self.at, self.next) = (at, next),
                Err(end) => return end,
            }
        }
    }

    /// Where the objects begin that are open. A walk from one of them would end as this one did.
    pub(super) fn open_objects(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.iter().filter(|open| open.is_object).map(|open| open.start)
    }

    /// Tells that the first `count` bytes were taken out of the text.
    pub(super) fn shift(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
        for open in &mut self.open {
            open.start = open.start.saturating_sub(count);
        }
    }

    fn value(&mut self, text: &[u8], byte: u8) -> Step {
        match byte {
            b'"' => Ok((end_of_text(text, self.at)?, Next::Follower)),
            b'{' => self.enter(true),
            b'[' => self.enter(false),
            b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let end = end_of_bare(text, self.at);
                if end == text.len() { Err(Walk::Open) } else { Ok((end, Next::Follower)) }
            }
            _ => Err(Walk::Broken(self.at)),
        }
    }

    fn key(&self, text: &[u8], byte: u8) -> Step {
        if byte != b'"' {
            return Err(Walk::Broken(self.at));
        }
        let colon = after_space(text, end_of_text(text, self.at)?);
        match text.get(colon) {
            Some(b':') => Ok((colon + 1, Next::Value)),
            Some(_) => Err(Walk::Broken(colon)),
            None => Err(Walk::Open),
        }
    }

    fn follower(&mut self, byte: u8) -> Step {
        let is_object = self.open.last().is_some_and(|open| open.is_object);
        match byte {
            b',' if is_object => Ok((self.at + 1, Next::Key)),
            b',' => Ok((self.at + 1, Next::Value)),
            b'}' if is_object => self.close(),
            b']' if !is_object => self.close(),
            _ => Err(Walk::Broken(self.at)),
        }
    }

    fn enter(&mut self, is_object: bool) -> Step {
        if self.open.len() == DEEPEST {
            return Err(Walk::Broken(self.at));
        }
        self.open.push(Open { start: self.at, is_object });
        Ok((self.at + 1, if is_object { Next::FirstKey } else { Next::FirstItem }))
    }

    fn close(&mut self) -> Step {
        self.open.pop();
        Ok((self.at + 1, Next::Follower))
    }
}

/// How the value at `start` of `text` ends.
pub(super) fn walk(text: &[u8], start: usize) -> Walk {
    Walker::new(start).go_on(text)
}

/// The place behind the text whose opening quote is at `start`.
fn end_of_text(text: &[u8], start: usize) -> Result<usize, Walk> {
    let mut at = start + 1;
    loop {
        at = end_of_plain(text, at);
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\n') => return Err(Walk::Broken(at)),
            Some(b'\\') if text.get(at + 1) == Some(&b'\n') => return Err(Walk::Broken(at + 1)),
            Some(b'\\') => at += 2,
            // No other control character may be here either; the decoder will say so.
            Some(_) => at += 1,
            None => return Err(Walk::Open),
        }
    }
}

/// The place behind a number or a word.
fn end_of_bare(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
    {
        at += 1;
    }
    at
}

/// The objects of a text that lie in no other whole object, whatever stands around them.
///
/// Each byte is walked through a few times at most: an object that was open where a walk broke
/// is not walked through again.
pub(super) struct Objects<'a> {
    text: &'a [u8],
    at: usize,
    broken: Vec<usize>,
    walker: Walker,
}

impl<'a> Objects<'a> {
    /// The objects of `text` from `start` on.
    pub(super) fn new(text: &'a [u8], start: usize) -> Self {
        Self { text, at: start, broken: Vec::new(), walker: Walker::new(start) }
    }
}

impl Iterator for Objects<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.at + memchr::memchr(b'{', self.text.get(self.at..)?)?;
            self.at = start + 1;
            if self.broken.binary_search(&start).is_ok() {
                continue;
            }
            self.walker.begin(start);
            match self.walker.go_on(self.text) {
                Walk::Whole(end) => {
                    self.at = end;
                    return Some(start..end);
                }
                Walk::Broken(_) | Walk::Open => {
                    add_sorted(&mut self.broken, start, self.walker.open_objects());
                }
            }
        }
    }
}

/// Adds places to a sorted list of places, and forgets those before `from`.
pub(super) fn add_sorted(places: &mut Vec<usize>, from: usize, added: impl Iterator<Item = usize>) {
    let passed = places.partition_point(|place| *place < from);
    places.drain(..passed);
    places.extend(added);
    places.sort_unstable();
    places.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Walk {
        walk(text.as_bytes(), 0)
    }

    #[test]
    fn whole_values_end_where_they_end() {
        for text in [
            "{}",
            "[]",
            "{\"a\":1}",
            "{ \"a\" : [ 1 , {\"b\":null} , \"x]},{\\\"\" ] }",
            "[[],[{}],-1.5e3]",
            "{\"a\":rubbish,\"b\":\"\\x\"}",
        ] {
            assert_eq!(outcome(text), Walk::Whole(text.len()), "{text}");
            assert_eq!(outcome(&format!("{text},{{")), Walk::Whole(text.len()), "{text}");
            for cut in 1..text.len() {
                assert_eq!(outcome(&text[..cut]), Walk::Open, "{}", &text[..cut]);
            }
        }
    }

    #[test]
    fn the_structure_breaks_where_it_cannot_go_on() {
        for (text, place) in [
            ("{{\"a\":1}", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":}", 5),
            ("{\"a\":1,}", 7),
            ("{\"a\":1]", 6),
            ("{\"a\":1 \"b\":2}", 7),
            ("{\"a\":\"x,\"b\":1}", 9),
            ("{a\":1}", 1),
            ("{'a':1}", 1),
            ("[1,]", 3),
            ("{\"a\":\"x\ny\"}", 7),
        ] {
            assert_eq!(outcome(text), Walk::Broken(place), "{text}");
        }
    }

    #[test]
    fn a_walk_goes_on_when_there_is_more() {
        let text = "{\"a\":[{\"b\":\"a long text\"},{\"c\":[1,2]}],\"d\":-12}".as_bytes();
        for step in 1..text.len() {
            let mut walker = Walker::new(0);
            let mut seen = 0;
            while seen + step < text.len() {
                seen += step;
                assert_eq!(walker.go_on(&text[..seen]), Walk::Open);
            }
            assert_eq!(walker.go_on(text), Walk::Whole(text.len()), "in steps of {step}");
        }
    }

    #[test]
    fn objects_are_found_between_broken_ones() {
        let text =
            "{\"id\":1,\"e\":[{\"k\":1},{\"k\":2,{\"id\":2,\"e\":[{}]} x {\"id\":\"{,{\"id\":3}";
        let found: Vec<_> = Objects::new(text.as_bytes(), 0).map(|range| &text[range]).collect();
        assert_eq!(found, ["{\"k\":1}", "{\"id\":2,\"e\":[{}]}", "{\"id\":3}"]);
    }

    #[test]
    fn deep_and_endless_values_end_soon() {
        assert!(matches!(outcome(&"[".repeat(1 << 20)), Walk::Broken(_)));
        let nested = "{\"a\":".repeat(1 << 20);
        assert_eq!(Objects::new(nested.as_bytes(), 0).count(), 0);
    }
}
