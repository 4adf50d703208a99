//! Cuts the content of a file into pieces of whole records, in bounded memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde::de::IgnoredAny;

use crate::error::{Error, Kind, Result};

use super::open::{Content, ReadFailure};
use super::scan::Scanner;
use super::{InputFile, Openings, Piece, Records};

/// How much content a piece holds, about: enough to be worth handing to another thread, little
/// enough that some of them fit into any budget.
pub(super) const PIECE: usize = 2 << 20;
/// A value that has not ended after so much is looked at for a record that begins inside of it.
const SUSPECT: usize = 1 << 20;
/// No record is larger: it could not be held as one value.
const LARGEST: usize = 1 << 30;
/// In how many pieces it is tried to learn how records begin.
const PIECES_TRIED: usize = 8;
/// How much of a file is looked at to tell its layout.
const SAMPLE: usize = 64 << 10;

/// Reads one file from front to back.
pub(super) struct Framer {
    file: InputFile,
    content: Content,
    /// Content that was read and not handed out.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the content.
    start: u64,
    layout: Option<Layout>,
    openings: Arc<Openings>,
    pieces_tried: usize,
    ended: bool,
    unreadable: Option<String>,
}

enum Layout {
    Lines,
    Values(Scanner),
}

impl Framer {
    /// Opens `file`; bytes taken from disk are added to `progress`.
    pub(super) fn open(file: InputFile, progress: Arc<AtomicU64>) -> Result<Self> {
        let content = Content::open(&file.path, progress)?;
        Ok(Self {
            file,
            content,
            buffer: Vec::new(),
            start: 0,
            layout: None,
            openings: Arc::default(),
            pieces_tried: 0,
            ended: false,
            unreadable: None,
        })
    }

    /// The next piece, or nothing at the end of the file.
    ///
    /// Errors: what the storage says; `Data` for a record of more than 1 GiB.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            if !self.ended {
                self.fill()?;
            }
            let ready = match self.layout.take() {
                None => (0, Records::Lines),
                Some(Layout::Lines) => {
                    self.layout = Some(Layout::Lines);
                    (self.whole_lines(), Records::Lines)
                }
                Some(Layout::Values(mut scanner)) => {
                    let found = self.whole_values(&mut scanner);
                    self.layout = Some(Layout::Values(scanner));
                    (found.last().map_or(0, |last| last.end), Records::Ranges(found))
                }
            };
            match ready {
                (0, _) if self.ended => return Ok(self.last_words()),
                (0, _) => self.check_size()?,
                (cut, records) => return Ok(Some(self.take(cut, records))),
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        match self.content.read_more(&mut self.buffer, PIECE) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(ReadFailure::Storage(e)) => {
                return Err(Error::io("cannot read a file of the source", &self.file.path, e));
            }
            Err(ReadFailure::Content(e)) => {
                self.ended = true;
                self.unreadable = Some(format!("the compressed content breaks off here: {e}"));
            }
        }
        if self.layout.is_none() && !self.buffer.is_empty() {
            if self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
                self.start = 3;
            }
            self.layout = Some(layout_of(&self.buffer));
        }
        Ok(())
    }

    /// How many bytes at the front of the buffer are whole lines.
    fn whole_lines(&self) -> usize {
        if self.ended && self.unreadable.is_none() {
            return self.buffer.len();
        }
        memchr::memrchr(b'\n', &self.buffer).map_or(0, |position| position + 1)
    }

    /// The whole values in the buffer; at the end of the content what is left of a value too.
    fn whole_values(&mut self, scanner: &mut Scanner) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        scanner.advance(&self.buffer, &mut found);
        self.learn_openings(&found);
        if let Some(start) = scanner.open_value() {
            let open = self.buffer.get(start..).unwrap_or_default();
            if self.ended && self.unreadable.is_none() {
                scanner.finish();
                found.push(start..self.buffer.len());
                return found;
            }
            if open.len() > SUSPECT && self.openings.is_empty() {
                self.openings = Arc::new(Openings::learn_within(open));
            }
            if open.len() > SUSPECT
                && let Some(next) = self.openings.last_place(open)
            {
                found.push(start..start + next);
                scanner.restart(start + next);
            }
        }
        found
    }

    /// Learns how records begin, from the first pieces that tell.
    fn learn_openings(&mut self, found: &[Range<usize>]) {
        if self.openings.is_empty() && self.pieces_tried < PIECES_TRIED {
            self.pieces_tried += 1;
            self.openings = Arc::new(Openings::learn(&self.buffer, found));
        }
    }

    /// Takes the first `cut` bytes out of the buffer as a piece.
    fn take(&mut self, cut: usize, records: Records) -> Piece {
        let rest = self.buffer.split_off(cut);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let start = self.start;
        self.start += bytes.len() as u64;
        if let Some(Layout::Values(scanner)) = &mut self.layout {
            scanner.shift(cut);
        }
        Piece {
            file: Arc::clone(&self.file.name),
            start,
            bytes,
            records,
            openings: Arc::clone(&self.openings),
        }
    }

    /// What is said at the end of a file that could not be read to its end.
    fn last_words(&mut self) -> Option<Piece> {
        let reason = self.unreadable.take()?;
        let cut = self.buffer.len();
        self.layout = None;
        Some(self.take(cut, Records::Unreadable(reason)))
    }

    fn check_size(&self) -> Result<()> {
        if self.buffer.len() <= LARGEST {
            return Ok(());
        }
        Err(Error::new(Kind::Data, "a record of more than 1 GiB cannot be read")
            .at("file", self.file.path.display())
            .at("offset", self.start)
            .hint("is this a file of JSON records? Move it out of the source's directory, or split the record"))
    }
}

/// How the records of a file are laid out, judged by its beginning.
fn layout_of(beginning: &[u8]) -> Layout {
    let first_line = memchr::memchr(b'\n', beginning).map_or(beginning.len(), |end| end + 1);
    let sample = beginning.get(..SAMPLE.max(first_line)).unwrap_or(beginning);
    let first = sample.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'[') => Layout::Values(Scanner::default()),
        Some(b'{') if !holds_lines(sample) => Layout::Values(Scanner::default()),
        _ => Layout::Lines,
    }
}

/// Whether each line of `sample` is a record of its own, whole or broken, rather than a part of
/// an object that goes over several lines.
fn holds_lines(sample: &[u8]) -> bool {
    let (mut start, mut some_whole, mut all_begin) = (0, false, true);
    for line in sample.split_inclusive(|byte| *byte == b'\n') {
        let rest = sample.get(start..).unwrap_or_default();
        start += line.len();
        if line.trim_ascii().is_empty() {
            continue;
        }
        all_begin &= line.starts_with(b"{\"");
        if is_whole(line) {
            some_whole |= line.starts_with(b"{");
        } else if line.trim_ascii_start().starts_with(b"{") {
            // A broken line stays broken however many lines are added to it.
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
            if matches!(values.next(), Some(Ok(_))) {
                return false;
            }
        }
    }
    some_whole || all_begin
}

/// Whether `line` holds one or more JSON values and nothing else.
fn is_whole(line: &[u8]) -> bool {
    serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>().all(|value| value.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// The records of `content`, each with its position, however they are laid out.
    fn records(content: &[u8]) -> Vec<(u64, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let input = InputFile {
            path: file.path().to_owned(),
            name: "x".into(),
            bytes: content.len() as u64,
            modified_at: crate::runtime::now(),
        };
        let mut framer = Framer::open(input, Arc::default()).unwrap();
        let mut found = Vec::new();
        while let Some(piece) = framer.next_piece().unwrap() {
            let text =
                |range: Range<usize>| String::from_utf8_lossy(&piece.bytes[range]).into_owned();
            match &piece.records {
                Records::Ranges(ranges) => {
                    found.extend(
                        ranges
                            .iter()
                            .map(|range| (piece.start + range.start as u64, text(range.clone()))),
                    );
                }
                Records::Lines => {
                    let mut offset = 0;
                    for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
                        let trimmed = String::from_utf8_lossy(line).trim().to_owned();
                        if !trimmed.is_empty() {
                            found.push((piece.start + offset, trimmed));
                        }
                        offset += line.len() as u64;
                    }
                }
                Records::Unreadable(reason) => {
                    found.push((piece.start, format!("unreadable: {reason}")))
                }
            }
        }
        found
    }

    #[test]
    fn the_byte_order_mark_counts_in_positions() {
        assert_eq!(
            records(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n{\"b\":2}"),
            [(3, "{\"a\":1}".into()), (14, "{\"b\":2}".into())]
        );
    }

    #[test]
    fn objects_over_several_lines_are_not_taken_for_lines() {
        for text in [
            "{\n \"a\": 1\n}\n{}\n",
            "{\"a\":1}\n{\n \"b\": 2,\n \"c\": 3\n}\n",
            "{\n\"a\": [\n{\"x\": 1},\n{\"x\": 2}\n]\n}\n",
        ] {
            let found = records(text.as_bytes());
            assert!(found.iter().all(|(_, record)| is_whole(record.as_bytes())), "{found:?}");
        }
        let found = records(b"{\"a\": \"broken\n{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(found.len(), 3, "a broken first line is one record");
        let found = records(b"{\"a\": \"broken\nrubbish\n{\"a\":1}\n{\"b\n");
        assert_eq!(found.len(), 4, "each broken line is one record, however many there are");
        assert_eq!(records(b"{\"a\": 1\n{\"a\": 2\n").len(), 2);
    }

    #[test]
    fn a_broken_first_record_does_not_swallow_the_others() {
        let good = "{\"id\":1,\"text\":\"".to_owned() + &"x".repeat(500) + "\"}";
        let text = format!("[{{\"id\":\"0,\"text\":\"y\"}},{}]", vec![good; 20_000].join(","));
        assert!(records(text.as_bytes()).len() > 1, "it is cut into pieces that can be recovered");
    }

    #[test]
    fn an_empty_file_has_no_records() {
        assert!(records(b"").is_empty());
        assert!(records(b" \n\n").is_empty());
        assert!(records(b"[]").is_empty());
    }

    #[test]
    fn arrays_larger_than_a_piece_keep_their_positions() {
        let record = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
        let count = 3 * PIECE / record.len();
        let text = format!("[{}]", vec![record.clone(); count].join(",\n"));
        let found = records(text.as_bytes());
        assert_eq!(found.len(), count);
        for (index, (position, text)) in found.iter().enumerate() {
            assert_eq!(*position as usize, 1 + index * (record.len() + 2));
            assert_eq!(*text, record);
        }
    }

    #[test]
    fn a_truncated_gzip_stream_gives_what_it_has_and_says_where_it_breaks() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let line = "{\"a\":1}\n";
        for _ in 0..100_000 {
            encoder.write_all(line.as_bytes()).unwrap();
        }
        let mut bytes = encoder.finish().unwrap();
        bytes.truncate(bytes.len() / 2);
        let found = records(&bytes);
        assert!(found.len() > 1000);
        assert!(found.last().unwrap().1.starts_with("unreadable"), "{:?}", found.last());
    }
}
