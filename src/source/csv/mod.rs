//! Reads a file of CSV in bounded memory and hands it out in pieces of whole rows.
//!
//! A row is broken when something follows the closing quote of a field, or when a quote is never
//! closed. How far a broken row goes cannot be told, so the next one is looked for: the first line
//! that has as many fields as the file has names. What is before it goes to quarantine.
//!
//! A file that has grown is read on behind its last row, in the manner that its beginning tells, if
//! that row had ended with a line break and nothing but the end of the file told where a row ends.

mod encoding;
mod reading;
mod rows;
mod table;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::SchemaRef;
use encoding_rs::Encoding;

use crate::error::{Error, Result};
use crate::project::{CsvOptions, FormatKind, Header};
use crate::runtime::Stop;

use super::around::More;
use super::frame::{HEAD, LARGEST, PIECE};
use super::open::{Content, Damage, Ended};
use super::{InputFile, Piece, Records};

use encoding::TextEncoding;
use reading::{Cut, Reading};
use rows::Dialect;

pub use table::CsvTable;

/// Reads one file from front to back.
pub(super) struct CsvReader {
    file: InputFile,
    content: Content,
    columns: SchemaRef,
    options: CsvOptions,
    /// Bytes that were read and are no whole character.
    carry: Vec<u8>,
    /// Text that was read and not cut into rows.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the content.
    start: u64,
    reading: Option<Reading>,
    ready: VecDeque<Piece>,
    /// What was left behind of a line that is too large.
    too_large: Option<TooLarge>,
    largest: usize,
    ended: bool,
}

/// A line of which only the beginning is kept.
struct TooLarge {
    start: u64,
    head: Vec<u8>,
    length: u64,
}

impl CsvReader {
    /// Opens `file`, whose rows go into `columns`. Bytes taken from disk are added to `progress`.
    /// None when it is not the file any more that was planned.
    pub(super) fn open(
        file: InputFile,
        (columns, options, kind): (&SchemaRef, &CsvOptions, FormatKind),
        progress: Arc<AtomicU64>,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        let Some(content) = Content::open(&file, progress, stop)? else { return Ok(None) };
        let mut options = options.clone();
        let usual = if kind == FormatKind::Tsv { b'\t' } else { b',' };
        options.delimiter = options.delimiter.or(Some(usual));
        let mut reader = Self {
            start: file.from.position,
            file,
            content,
            columns: Arc::clone(columns),
            options,
            carry: Vec::new(),
            buffer: Vec::new(),
            reading: None,
            ready: VecDeque::new(),
            too_large: None,
            largest: LARGEST,
            ended: false,
        };
        if reader.start > 0 {
            reader.go_on()?;
        }
        Ok(Some(reader))
    }

    /// What is known of the file at its end.
    pub(super) fn ended(&self) -> Option<Ended> {
        let ended = self.content.ended(self.start)?;
        let is_at_end = ended.read_on.is_some_and(|read_on| read_on.position == self.start);
        let reading = self.reading.as_ref().filter(|_| is_at_end);
        Some(if reading.is_some_and(Reading::may_go_on) { ended } else { ended.whole() })
    }

    /// Learns from the beginning of the file, of which a part has landed, how its rows are read.
    fn go_on(&mut self) -> Result<()> {
        let failed = |e| Error::io("cannot read a file of the source", &self.file.path, e);
        let mut length = self.start.min(PIECE as u64);
        let mut reading = loop {
            let head = self.content.head(length).map_err(failed)?;
            let (encoding, mark) = Encoding::for_bom(&head).unwrap_or((self.options.encoding, 0));
            let text = head.get(mark..).unwrap_or_default();
            let mut reading = self.begin(TextEncoding::of(encoding), text);
            let mut cut = Cut::default();
            while reading.table.is_none()
                && reading.next(text, More::Follows, &self.columns, &mut cut)
            {}
            if reading.table.is_some() || length == self.start {
                break reading;
            }
            length = self.start.min(length.saturating_mul(2));
        };
        reading.without_names();
        self.reading = Some(reading);
        Ok(())
    }

    /// The next piece, or None at the end of the file.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn next_piece(&mut self, stop: &Stop) -> Result<Option<Piece>> {
        loop {
            stop.check()?;
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(self.last_words());
            }
            self.fill()?;
            if let Some(mut reading) = self.reading.take() {
                self.cut(&mut reading);
                self.reading = Some(reading);
            }
        }
    }

    /// Reads on: more where much is held already, so that what is held is gone through a few times
    /// only.
    fn fill(&mut self) -> Result<()> {
        let room = self.largest.saturating_sub(self.buffer.len());
        let wanted = self.buffer.len().min(room).max(PIECE);
        let read = self.content.read_more(&mut self.carry, wanted);
        let read =
            read.map_err(|e| Error::io("cannot read a file of the source", &self.file.path, e))?;
        self.ended = read < wanted;
        let mut encoding = self.reading.as_ref().map(|reading| reading.encoding);
        if encoding.is_none() && !self.carry.is_empty() {
            let (found, mark) =
                Encoding::for_bom(&self.carry).unwrap_or((self.options.encoding, 0));
            self.carry.drain(..mark);
            self.start = mark as u64;
            encoding = Some(TextEncoding::of(found));
        }
        let Some(encoding) = encoding else { return Ok(()) };
        let taken = encoding.take(&self.carry, self.ended, &mut self.buffer);
        self.carry.drain(..taken);
        if self.reading.is_none() {
            self.reading = Some(self.begin(encoding, &self.buffer));
        }
        Ok(())
    }

    /// How the file is read that begins with `text`.
    fn begin(&self, encoding: TextEncoding, text: &[u8]) -> Reading {
        let delimiter = self.options.delimiter.unwrap_or(b',');
        let dialect = Dialect::of(delimiter, self.options.quote, text);
        let declared: Vec<&str> =
            self.columns.fields().iter().map(|column| column.name().as_str()).collect();
        let names = match &self.options.header {
            Header::FirstRow => None,
            Header::Declared => Some(declared),
            Header::Names(names) => Some(names.iter().map(String::as_str).collect()),
        };
        let fields = names.as_ref().map_or(0, Vec::len);
        let table = names.map(|names| CsvTable::new((dialect, encoding), &names, &self.columns));
        let table = table.map(Arc::new);
        Reading { dialect, encoding, table, fields, is_settled: false, is_guessed: false }
    }

    /// Cuts what can be cut of the buffer, and makes a piece of it.
    fn cut(&mut self, reading: &mut Reading) {
        if self.too_large.is_some() {
            self.skip_line(reading);
        }
        let is_whole = self.ended && self.content.is_complete();
        let more = if is_whole { More::Ended } else { More::Follows };
        let mut cut = Cut { place: (0, self.start), ..Cut::default() };
        while reading.next(&self.buffer, more, &self.columns, &mut cut) {}
        if cut.end > 0 {
            let end = cut.end;
            let start = self.start;
            let bytes = self.take_front(end, reading.encoding);
            if let (Some(table), false) = (&reading.table, cut.rows.is_empty()) {
                let table = Arc::clone(table);
                let records = Records::Rows { rows: cut.rows, table };
                self.ready.push_back(self.piece(start, bytes, records));
            }
        } else if self.buffer.len() >= self.largest {
            let fields = reading.fields;
            let end = reading.dialect.resume(&self.buffer, 0, fields, More::Ended);
            let end = end.unwrap_or(self.buffer.len());
            let is_line = self.buffer.get(end.wrapping_sub(1)) == Some(&reading.dialect.newline);
            self.forget(end, reading.encoding);
            if is_line || self.ended {
                self.end_too_large();
            }
            reading.is_settled = false;
            reading.without_names();
        }
    }

    /// Goes on to the end of the line that is too large.
    fn skip_line(&mut self, reading: &Reading) {
        let end = memchr::memchr(reading.dialect.newline, &self.buffer).map(|place| place + 1);
        self.forget(end.unwrap_or(self.buffer.len()), reading.encoding);
        if end.is_some() || self.ended {
            self.end_too_large();
        }
    }

    /// Takes the first `count` bytes out of the buffer, which belong to what is too large.
    fn forget(&mut self, count: usize, encoding: TextEncoding) {
        let start = self.start;
        let text = self.take_front(count, encoding);
        let too_large = self.too_large.get_or_insert_with(|| TooLarge {
            start,
            head: encoding.original(text.get(..HEAD).unwrap_or(&text)),
            length: 0,
        });
        too_large.length += encoding.original_length(&text);
    }

    fn end_too_large(&mut self) {
        let Some(TooLarge { start, head, length }) = self.too_large.take() else { return };
        let kept = head.len();
        let reason = format!(
            "larger than {} bytes: of its {length} bytes the first {kept} are kept here",
            self.largest
        );
        let records = Records::Rejected { reason, length, is_uncut: true };
        self.ready.push_back(self.piece(start, head, records));
    }

    /// What is said at the end of a file that could not be read to its end.
    fn last_words(&mut self) -> Option<Piece> {
        let Damage { reason, bytes, length } = self.content.take_damage()?;
        let encoding = self.reading.as_ref().map_or(TextEncoding::Utf8, |one| one.encoding);
        let start = self.start;
        let text = self.take_front(self.buffer.len(), encoding);
        // What was read and is no whole row tells more than the bytes of the file.
        let is_cut_off = bytes.is_empty() || !text.trim_ascii().is_empty();
        let rest = encoding.original(&text);
        let (bytes, length) = match is_cut_off {
            true => (rest.get(..HEAD).unwrap_or(&rest).to_vec(), rest.len() as u64),
            false => (bytes, length),
        };
        let records = Records::Rejected { reason, length, is_uncut: false };
        Some(self.piece(start, bytes, records))
    }

    fn piece(&self, start: u64, bytes: Vec<u8>, records: Records) -> Piece {
        Piece { file: Arc::clone(&self.file.name), start, bytes, records }
    }

    /// Takes the first `count` bytes out of the buffer.
    fn take_front(&mut self, count: usize, encoding: TextEncoding) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        let front = std::mem::replace(&mut self.buffer, rest);
        self.start += encoding.original_length(&front);
        front
    }
}
