//! Finding where JSON values end without reading what they mean.
//!
//! The scanner goes byte by byte through values that stand alone, one after the other, or in an
//! array. It trusts nothing inside of a value but its brackets and quotes, so a broken value can
//! hide the next ones; `recover` finds them again.

use std::ops::Range;

/// A scan of a growing buffer.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// How far the buffer was looked at.
    position: usize,
    /// Whether the array around the records is open.
    inside_array: bool,
    /// The value being scanned.
    value: Option<Value>,
}

#[derive(Debug)]
struct Value {
    start: usize,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// An object or an array, and what is open in it.
    Nested { depth: usize, in_string: bool },
    /// A text.
    Text,
    /// A number, a word, or rubbish: it goes on to a separator.
    Bare,
}

impl Scanner {
    /// Scans on to the end of `buffer` and adds the values that ended to `found`.
    pub(super) fn advance(&mut self, buffer: &[u8], found: &mut Vec<Range<usize>>) {
        while let Some(&byte) = buffer.get(self.position) {
            match self.value {
                None => self.between(byte),
                Some(Value { start, shape }) => self.within(buffer, byte, start, shape, found),
            }
            self.position += 1;
        }
    }

    /// Where the value that has begun and not ended starts.
    pub(super) fn open_value(&self) -> Option<usize> {
        self.value.as_ref().map(|value| value.start)
    }

    /// Gives up the open value; the scan begins anew at `position`.
    pub(super) fn restart(&mut self, position: usize) {
        self.value = None;
        self.position = position;
    }

    /// Tells that the first `count` bytes were taken out of the buffer.
    pub(super) fn shift(&mut self, count: usize) {
        self.position -= count;
        if let Some(value) = &mut self.value {
            value.start -= count;
        }
    }

    /// Ends the value that is open at the end of the content; its end is that of the content.
    pub(super) fn finish(&mut self) -> Option<usize> {
        self.value.take().map(|value| value.start)
    }

    fn between(&mut self, byte: u8) {
        let shape = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => return,
            b'[' if !self.inside_array => return self.inside_array = true,
            b']' if self.inside_array => return self.inside_array = false,
            b'{' | b'[' => Shape::Nested { depth: 1, in_string: false },
            b'"' => Shape::Text,
            _ => Shape::Bare,
        };
        self.value = Some(Value { start: self.position, shape });
    }

    fn within(
        &mut self,
        buffer: &[u8],
        byte: u8,
        start: usize,
        shape: Shape,
        found: &mut Vec<Range<usize>>,
    ) {
        match shape {
            Shape::Nested { in_string: true, depth } => self.in_text(buffer, start, depth),
            Shape::Nested { depth, .. } => match byte {
                b'"' => {
                    self.value =
                        Some(Value { start, shape: Shape::Nested { depth, in_string: true } })
                }
                b'{' | b'[' => {
                    self.value = Some(Value {
                        start,
                        shape: Shape::Nested { depth: depth + 1, in_string: false },
                    });
                }
                b'}' | b']' if depth == 1 => self.end(start..self.position + 1, found),
                b'}' | b']' => {
                    self.value = Some(Value {
                        start,
                        shape: Shape::Nested { depth: depth - 1, in_string: false },
                    });
                }
                _ => {}
            },
            Shape::Text => match byte {
                b'\\' => self.position += 1,
                b'"' => self.end(start..self.position + 1, found),
                b'\n' => self.end(start..self.position, found),
                _ => {}
            },
            Shape::Bare => {
                let ends = matches!(byte, b'\n' | b'{')
                    || (self.inside_array && matches!(byte, b',' | b']'));
                if ends {
                    self.end(start..self.position, found);
                    // The byte that ended it belongs to what follows.
                    self.position -= 1;
                }
            }
        }
    }

    /// Goes on to the end of a text inside of a value. A line break ends it too: JSON has none in
    /// its texts, so the closing quote is missing.
    fn in_text(&mut self, buffer: &[u8], start: usize, depth: usize) {
        let rest = buffer.get(self.position..).unwrap_or_default();
        match memchr::memchr3(b'"', b'\\', b'\n', rest) {
            None => self.position = buffer.len() - 1,
            Some(offset) => {
                self.position += offset;
                if rest.get(offset) == Some(&b'\\') {
                    self.position += 1;
                } else {
                    self.value =
                        Some(Value { start, shape: Shape::Nested { depth, in_string: false } });
                }
            }
        }
    }

    fn end(&mut self, range: Range<usize>, found: &mut Vec<Range<usize>>) {
        self.value = None;
        found.push(range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `text`, scanned in steps of `step` bytes.
    fn values(text: &str, step: usize) -> Vec<&str> {
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        let mut seen = 0;
        while seen < text.len() {
            seen = (seen + step).min(text.len());
            scanner.advance(&text.as_bytes()[..seen], &mut found);
        }
        if let Some(start) = scanner.finish() {
            found.push(start..text.len());
        }
        found.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn values_are_found_in_every_layout_and_step() {
        for step in [1, 2, 3, 7, 1000] {
            let pretty = "[\n  {\n    \"a\": \"x]},{\\\"\"\n  },\n  {\"b\": [1, {}]}\n]\n";
            assert_eq!(
                values(pretty, step),
                ["{\n    \"a\": \"x]},{\\\"\"\n  }", "{\"b\": [1, {}]}"]
            );
            assert_eq!(values("{\"a\":1}{\"b\":2}\n{}", step), ["{\"a\":1}", "{\"b\":2}", "{}"]);
            assert_eq!(values("[{},42,null,\"a,b\"]", step), ["{}", "42", "null", "\"a,b\""]);
            assert_eq!(values("[[1,2],{}]", step), ["[1,2]", "{}"]);
            assert_eq!(
                values("{\"a\":1}\nrubbish, and more\n{}", step),
                ["{\"a\":1}", "rubbish, and more", "{}"]
            );
        }
    }

    #[test]
    fn a_missing_quote_ends_with_its_line() {
        let text = "[\n  {\n    \"a\": \"x,\n    \"b\": 1\n  },\n  {}\n]";
        assert_eq!(values(text, 1000).len(), 2);
    }
}
