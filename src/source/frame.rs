//! Reads a file in bounded memory and hands it out in pieces of whole records.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, Result};
use crate::runtime::Stop;

use super::around::{BYTE_ORDER_MARK, Cuts, More};
use super::cut::Cutter;
use super::evidence::Evidence;
use super::layout::{Layout, layout_of, whole_lines};
use super::open::{Content, Damage, Ended};
use super::{InputFile, Piece, Records};

/// How much content a piece holds, about: enough to be worth handing to another thread, little
/// enough that some of them fit into any budget.
pub(super) const PIECE: usize = 2 << 20;
/// No record is larger. One that is goes to quarantine by its beginning, its place and its length.
pub(super) const LARGEST: usize = 256 << 20;
/// How much is kept of a record that is too large.
pub(super) const HEAD: usize = 64 << 10;

/// Reads one file from front to back.
pub(super) struct Framer {
    file: InputFile,
    content: Content,
    /// Content that was read and not cut.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the content.
    start: u64,
    framing: Option<Framing>,
    evidence: Evidence,
    /// What was cut and not handed out.
    cut: Option<Cut>,
    /// What is to be handed out next.
    ready: Option<Piece>,
    /// What was left behind of a record that is too large.
    too_large: Option<TooLarge>,
    largest: usize,
    ended: bool,
}

/// How records are found.
enum Framing {
    Lines,
    Values(Box<Cutter>),
}

/// Content of which all records are known.
struct Cut {
    start: u64,
    bytes: Vec<u8>,
    cuts: Cuts,
}

/// A record, or a broken stretch, of which only the beginning is kept.
struct TooLarge {
    start: u64,
    head: Vec<u8>,
    length: u64,
}

impl Framer {
    /// Opens `file`, whose records may have the keys that `evidence` knows. Bytes taken from disk
    /// are added to `progress`. None when it is not the file any more that was planned.
    pub(super) fn open(
        file: InputFile,
        evidence: Evidence,
        progress: Arc<AtomicU64>,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        let Some(content) = Content::open(&file, progress, stop)? else { return Ok(None) };
        Ok(Some(Self {
            start: file.from.position,
            file,
            content,
            buffer: Vec::new(),
            framing: None,
            evidence,
            cut: None,
            ready: None,
            too_large: None,
            largest: LARGEST,
            ended: false,
        }))
    }

    /// The next piece, or None at the end of the file.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn next_piece(&mut self, stop: &Stop) -> Result<Option<Piece>> {
        loop {
            stop.check()?;
            if let Some(piece) = self.ready.take().or_else(|| self.take_cut()) {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(self.last_words());
            }
            self.fill()?;
            let piece = match self.framing.take() {
                None => None,
                Some(Framing::Lines) => {
                    self.framing = Some(Framing::Lines);
                    self.next_lines()
                }
                Some(Framing::Values(mut cutter)) => {
                    let piece = self.next_values(&mut cutter);
                    self.framing = Some(Framing::Values(cutter));
                    piece
                }
            };
            if piece.is_some() {
                return Ok(piece);
            }
        }
    }

    /// What is known of the file at its end, when records were handed out up to `consumed`.
    pub(super) fn ended(&self, consumed: u64) -> Option<Ended> {
        self.content.ended(consumed)
    }

    /// Reads on: more where much is held already, so that what is held is gone through a few
    /// times only.
    fn fill(&mut self) -> Result<()> {
        let room = self.largest.saturating_sub(self.buffer.len());
        let wanted = self.buffer.len().min(room).max(PIECE);
        let read = self.content.read_more(&mut self.buffer, wanted);
        let read =
            read.map_err(|e| Error::io("cannot read a file of the source", &self.file.path, e))?;
        self.ended = read < wanted;
        if self.framing.is_none() && !self.buffer.is_empty() {
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.take_front(BYTE_ORDER_MARK.len());
            }
            self.framing = Some(match layout_of(&self.buffer) {
                Layout::Lines => Framing::Lines,
                Layout::Values => Framing::Values(Box::new(Cutter::new(self.evidence.clone()))),
            });
        }
        Ok(())
    }

    fn next_lines(&mut self) -> Option<Piece> {
        let mut too_large = None;
        if self.too_large.is_some() {
            let end = memchr::memchr(b'\n', &self.buffer);
            self.forget(end.unwrap_or(self.buffer.len()));
            if end.is_some() || self.ended {
                too_large = self.end_too_large(0);
            }
        }
        let is_whole = self.ended && self.content.is_complete();
        let cut = if is_whole { self.buffer.len() } else { whole_lines(&self.buffer) };
        if cut > 0 {
            let (start, bytes) = self.take_front(cut);
            let lines = self.piece(start, bytes, Records::Lines);
            self.ready = too_large;
            return Some(lines);
        }
        if self.buffer.len() >= self.largest {
            self.forget(self.buffer.len());
        }
        too_large
    }

    fn next_values(&mut self, cutter: &mut Cutter) -> Option<Piece> {
        let mut cuts = Cuts::default();
        let is_whole = self.ended && self.content.is_complete();
        let more = if is_whole { More::Ended } else { More::Follows };
        cutter.advance(&self.buffer, more, &mut cuts);
        while cuts.is_empty() && self.buffer.len() >= self.largest {
            if let Some(place) = cutter.give_up(&self.buffer) {
                self.forget(place);
                cutter.shift(place);
                return None;
            }
            cutter.advance(&self.buffer, more, &mut cuts);
        }
        let too_large = match cuts.is_empty() && !is_whole {
            true => None,
            false => {
                let rest = if self.too_large.is_some() { cuts.take_front() } else { 0 };
                self.end_too_large(rest)
            }
        };
        let kept_from = cutter.kept_from();
        if kept_from > 0 {
            let (start, bytes) = self.take_front(kept_from);
            cutter.shift(kept_from);
            self.cut = (!cuts.is_empty()).then_some(Cut { start, bytes, cuts });
        }
        too_large.or_else(|| self.take_cut())
    }

    /// The next records of what was cut. Where it is much, the last come first: nobody relies on
    /// the order, and little has to be moved.
    fn take_cut(&mut self) -> Option<Piece> {
        let mut cut = self.cut.take()?;
        let place = cut.bytes.len().saturating_sub(PIECE);
        let place = if place > PIECE { cut.cuts.end_before(place) } else { 0 };
        let (start, bytes, cuts) = match place {
            0 => (cut.start, cut.bytes, cut.cuts),
            _ => {
                let bytes = cut.bytes.split_off(place);
                let cuts = cut.cuts.split_off(place);
                let start = cut.start + place as u64;
                self.cut = Some(cut);
                (start, bytes, cuts)
            }
        };
        let Cuts { records, broken } = cuts;
        Some(self.piece(start, bytes, Records::Ranges { records, broken }))
    }

    /// What is said at the end of a file that could not be read to its end.
    fn last_words(&mut self) -> Option<Piece> {
        let (start, rest) = self.take_front(self.buffer.len());
        let Damage { reason, bytes, length } = self.content.take_damage()?;
        // What was read and is no whole record tells more than the bytes of the file.
        let is_cut_off = bytes.is_empty() || !rest.trim_ascii().is_empty();
        let (bytes, length) = match is_cut_off {
            true => (rest.get(..HEAD).unwrap_or(&rest).to_vec(), rest.len() as u64),
            false => (bytes, length),
        };
        let records = Records::Rejected { reason, length, is_uncut: false };
        Some(self.piece(start, bytes, records))
    }

    /// Takes the first `count` bytes out of the buffer, which belong to what is too large.
    fn forget(&mut self, count: usize) {
        let (start, bytes) = self.take_front(count);
        let too_large = self.too_large.get_or_insert_with(|| TooLarge {
            start,
            head: bytes.get(..HEAD).unwrap_or(&bytes).to_vec(),
            length: 0,
        });
        too_large.length += bytes.len() as u64;
    }

    /// What is too large, with the `rest` of it that is still in the buffer.
    fn end_too_large(&mut self, rest: usize) -> Option<Piece> {
        let TooLarge { start, head, length } = self.too_large.take()?;
        let length = length + rest as u64;
        let reason = format!(
            "larger than {} bytes: of its {length} bytes the first {} are kept here",
            self.largest,
            head.len()
        );
        Some(self.piece(start, head, Records::Rejected { reason, length, is_uncut: true }))
    }

    fn piece(&self, start: u64, bytes: Vec<u8>, records: Records) -> Piece {
        Piece { file: Arc::clone(&self.file.name), start, bytes, records }
    }

    /// Takes the first `count` bytes out of the buffer.
    fn take_front(&mut self, count: usize) -> (u64, Vec<u8>) {
        let rest = self.buffer.split_off(count);
        let start = self.start;
        self.start += count as u64;
        (start, std::mem::replace(&mut self.buffer, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::ops::Range;

    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::source::Place;
    use crate::source::walk::{Walk, walk};

    /// The records of `content`, each with its position, however they are laid out.
    fn records(content: &[u8]) -> Vec<(u64, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let stop = Stop::new();
        let input = input(&file, content.len());
        let framer = Framer::open(input, evidence(), Arc::default(), &stop).unwrap();
        drain(&mut framer.unwrap())
    }

    fn input(file: &tempfile::NamedTempFile, length: usize) -> InputFile {
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let micros = i64::try_from(since.as_micros()).unwrap();
        InputFile {
            path: file.path().to_owned(),
            name: "x".into(),
            bytes: length as u64,
            modified_at: crate::runtime::Timestamp::from_timestamp_micros(micros).unwrap(),
            from: Place::default(),
            hash: None,
        }
    }

    /// What a table of these columns declares.
    fn evidence() -> Evidence {
        let columns = ["id", "text", "n"].map(|name| Field::new(name, DataType::Utf8, true));
        Evidence::declared(&columns.into_iter().collect())
    }

    /// All records, whole and broken, in the order of the file.
    fn drain(framer: &mut Framer) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        while let Some(piece) = framer.next_piece(&Stop::new()).unwrap() {
            let mut add = |range: Range<usize>| {
                let text = String::from_utf8_lossy(&piece.bytes[range.clone()]).trim().to_owned();
                if !text.is_empty() {
                    found.push((piece.start + range.start as u64, text));
                }
            };
            match &piece.records {
                Records::Ranges { records, broken } => {
                    records.iter().for_each(|range| add(range.clone()));
                    broken.iter().for_each(|broken| add(broken.range.clone()));
                }
                Records::Lines => {
                    let mut start = 0;
                    for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
                        add(start..start + line.len());
                        start += line.len();
                    }
                }
                Records::Rejected { reason, length, .. } => {
                    found.push((piece.start, format!("{length} bytes: {reason}")));
                }
                Records::Rows { .. } | Records::Objects(_) => unreachable!("this is no CSV"),
            }
        }
        found.sort();
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
            let is_whole = |text: &str| walk(text.as_bytes(), 0) == Walk::Whole(text.len());
            assert!(found.iter().all(|(_, record)| is_whole(record)), "{found:?}");
        }
        let found = records(b"{\"a\": \"broken\n{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(found.len(), 3, "a broken first line is one record");
        assert_eq!(records(b"{\"a\": 1\n{\"a\": 2\n").len(), 2);
    }

    #[test]
    fn a_broken_first_record_does_not_swallow_the_others() {
        let good = "{\"id\":1,\"text\":\"".to_owned() + &"x".repeat(500) + "\"}";
        let text = format!("[{{\"id\":\"0,\"text\":\"y\"}},{}]", vec![good; 20_000].join(","));
        assert_eq!(records(text.as_bytes()).len(), 20_001);
    }

    #[test]
    fn what_is_too_large_is_kept_by_its_beginning_and_the_rest_is_read() {
        let good = |id: usize| format!("{{\"id\":{id},\"text\":\"x\"}}");
        let large = format!("{{\"id\":0,\"text\":\"{}\"}}", "y".repeat(5 * PIECE));
        let endless = "[".repeat(5 * PIECE);
        let line = "z".repeat(5 * PIECE);
        let array = |middle: &str| format!("[{},{middle},{}]", good(1), good(2));
        let lines = |middle: &str| format!("{}\n{}\n{middle}\n{}\n", good(0), good(1), good(2));
        for (text, place, length) in [
            (array(&large), good(1).len() + 2, large.len()),
            (array(&endless), good(1).len() + 2, endless.len()),
            (lines(&line), good(0).len() + good(1).len() + 2, line.len()),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let input = input(&file, text.len());
            let stop = Stop::new();
            let framer = Framer::open(input, evidence(), Arc::default(), &stop).unwrap();
            let mut framer = framer.unwrap();
            framer.largest = 2 * PIECE;
            let found = drain(&mut framer);
            let said: Vec<_> = found.iter().filter(|(_, text)| text.contains("larger")).collect();
            assert_eq!(said.len(), 1, "{said:?}");
            assert_eq!(said[0].0, place as u64);
            assert!(said[0].1.starts_with(&format!("{length} bytes")), "{}", said[0].1);
            for id in [1, 2] {
                assert!(found.iter().any(|(_, text)| *text == good(id)), "{id}");
            }
        }
    }

    #[test]
    fn a_file_that_grew_is_read_up_to_the_last_record_of_what_it_was() {
        let stop = Stop::new();
        for (text, planned) in [
            ("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n", 20),
            ("[{\"id\":1},{\"id\":2},{\"id\":3}]", 20),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let input = input(&file, planned);
            let framer = Framer::open(input, evidence(), Arc::default(), &stop).unwrap();
            let found: Vec<_> = drain(&mut framer.unwrap()).into_iter().map(|(_, it)| it).collect();
            assert_eq!(found, ["{\"id\":1}", "{\"id\":2}"], "{text}");
        }
    }

    #[test]
    fn a_longer_file_is_read_only_if_it_begins_with_what_was_planned() {
        let (text, planned, stop) = ("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n", 18, Stop::new());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let hash = Some(blake3::hash(&text.as_bytes()[..planned]));
        let other = Some(blake3::hash(b"other"));
        let (start, second) = (Place::default(), Place { byte: 9, position: 9 });
        for (from, hash, is_read) in [
            (start, None, true),
            (start, hash, true),
            (start, other, false),
            (second, None, false),
            (second, hash, true),
            (second, other, false),
        ] {
            let input = InputFile { from, hash, ..input(&file, planned) };
            let framer = Framer::open(input, evidence(), Arc::default(), &stop).unwrap();
            assert_eq!(framer.is_some(), is_read, "{from:?} {hash:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_what_was_planned_is_not_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"id\":1}\n").unwrap();
        let (planned, stop) = (input(&file, 9), Stop::new());
        let open = |input: InputFile| {
            Framer::open(input, evidence(), Arc::default(), &stop).unwrap().is_some()
        };
        assert!(open(planned.clone()));
        assert!(!open(InputFile { bytes: 10, ..planned.clone() }), "it is shorter now");
        let earlier = planned.modified_at - std::time::Duration::from_secs(60);
        assert!(!open(InputFile { modified_at: earlier, ..planned.clone() }), "it was replaced");
        assert!(!open(InputFile { path: "/nowhere/at/all".into(), ..planned }), "it is gone");
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
        assert!(found.last().unwrap().1.contains("breaks off"), "{:?}", found.last());
    }
}
