//! Reader threads: files in, pieces out, never more in flight than the budget allows.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use blake3::Hash;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::project::Format;
use crate::runtime::Stop;

use super::around::BYTE_ORDER_MARK;
use super::discover::is_as_planned;
use super::frame::PIECE;
use super::open::Ended;
use super::reader::{Reader, Shape};
use super::{InputFile, Piece, Place, Records};

/// What is to be said about a file that changed since it was planned. What it is now has another
/// size or time, so the next run lands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file's name.
    pub file: Arc<str>,
    /// What became of it.
    pub what: &'static str,
    /// Whether nothing of it was read.
    pub is_left_out: bool,
}

/// The pieces of many files, in no particular order, for any number of takers.
#[derive(Clone)]
pub struct Feed {
    pieces: Arc<tokio::sync::Mutex<mpsc::Receiver<Result<Piece>>>>,
    bytes_read: Arc<AtomicU64>,
    notes: Arc<Mutex<Vec<Note>>>,
    files: Arc<Mutex<Vec<ReadFile>>>,
}

/// A file that was read up to the length that it had when it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// The file.
    pub file: InputFile,
    /// What its bytes up to there hash to.
    pub hash: Hash,
    /// From where to read on should it grow; None when it has to be read as a whole then.
    pub read_on: Option<Place>,
    /// Whether it is compressed.
    is_compressed: bool,
}

impl ReadFile {
    /// Tells that what its content ends with, from `start` to `end`, was no record. What follows
    /// when the file grows may complete it, so it is read again then.
    pub fn ends_with_no_record(&mut self, start: u64, end: u64) {
        if self.read_on.is_none_or(|read_on| read_on.position != end) {
            return;
        }
        let start = Place { byte: start, position: start };
        self.read_on = (!self.is_compressed).then_some(start);
    }
}

impl Feed {
    /// The next piece that nobody else has taken; None at the end of all files.
    ///
    /// Errors: what a reader met. The other takers see the end of the feed soon after.
    pub async fn next(&self) -> Result<Option<Piece>> {
        self.pieces.lock().await.recv().await.transpose()
    }

    /// How many bytes were taken from disk so far, for showing progress.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// What is to be said about files that changed since they were planned; all of it at the end of
    /// the feed.
    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files that were read; all of them at the end of the feed.
    pub fn files(&self) -> Vec<ReadFile> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts `threads` readers over `files`, which are written as `format` says and whose records go into
/// a table with these `columns`. They hold at most about `memory` bytes of content and end when all is
/// read, when the feed is dropped, or when `stop` is set.
pub fn feed(
    files: Vec<InputFile>,
    (columns, format): (&SchemaRef, &Format),
    threads: usize,
    memory: usize,
    stop: &Stop,
) -> Feed {
    let capacity = (memory / PIECE).clamp(2, 64);
    let (sender, receiver) = mpsc::channel(capacity);
    let threads = threads.clamp(1, files.len().max(1));
    let queue = Arc::new(Queue {
        files,
        shape: Shape::new(columns, format),
        next: AtomicUsize::new(0),
        has_failed: AtomicBool::new(false),
        bytes_read: Arc::default(),
        notes: Arc::default(),
        read: Arc::default(),
    });
    for _ in 0..threads {
        let (queue, sender, stop) = (Arc::clone(&queue), sender.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read_files(&queue, &sender, &stop) {
                queue.has_failed.store(true, Ordering::Relaxed);
                // Nobody listens any more when this fails, and then the error is of no interest.
                drop(sender.blocking_send(Err(error)));
            }
        });
    }
    Feed {
        pieces: Arc::new(tokio::sync::Mutex::new(receiver)),
        bytes_read: Arc::clone(&queue.bytes_read),
        notes: Arc::clone(&queue.notes),
        files: Arc::clone(&queue.read),
    }
}

struct Queue {
    files: Vec<InputFile>,
    shape: Shape,
    next: AtomicUsize,
    has_failed: AtomicBool,
    bytes_read: Arc<AtomicU64>,
    notes: Arc<Mutex<Vec<Note>>>,
    read: Arc<Mutex<Vec<ReadFile>>>,
}

impl Queue {
    fn take(&self) -> Option<&InputFile> {
        if self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        self.files.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn note(&self, file: &InputFile, what: &'static str, is_left_out: bool) {
        let note = Note { file: Arc::clone(&file.name), what, is_left_out };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

/// How far the records of a file were handed out.
struct Consumed {
    position: u64,
    /// Whether they stand in an array: when it grows, its end is not where it was.
    is_array: bool,
}

impl Consumed {
    fn add(&mut self, piece: &Piece) {
        let length = match &piece.records {
            Records::Rejected { length, .. } => *length,
            Records::Lines | Records::Rows { .. } | Records::Objects(_) => piece.bytes.len() as u64,
            Records::Ranges { records, broken } => {
                let bytes = piece.bytes.trim_ascii_start();
                let is_first = piece.start <= BYTE_ORDER_MARK.len() as u64;
                self.is_array |= is_first && bytes.starts_with(b"[");
                // Space behind something broken may stand in the middle of a record.
                let records = records.iter().map(|record| record.end);
                let ends = records.chain(broken.iter().map(|broken| broken.range.end));
                ends.max().unwrap_or_default() as u64
            }
        };
        self.position = self.position.max(piece.start + length);
    }
}

fn read_files(queue: &Queue, sender: &mpsc::Sender<Result<Piece>>, stop: &Stop) -> Result<()> {
    while let Some(file) = queue.take() {
        let bytes_read = Arc::clone(&queue.bytes_read);
        let reader = Reader::open(file.clone(), &queue.shape, bytes_read, stop)?;
        let Some(mut reader) = reader else {
            queue.note(file, "changed or went before it was read: the next run lands it", true);
            continue;
        };
        let mut consumed = Consumed { position: file.from.position, is_array: false };
        while let Some(piece) = reader.next_piece(stop)? {
            consumed.add(&piece);
            if sender.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        let ended = reader.ended(consumed.position, stop)?;
        if let Some(Ended { hash, read_on, is_compressed }) = ended {
            let read_on = read_on.filter(|_| !consumed.is_array);
            let read = ReadFile { file: file.clone(), hash, read_on, is_compressed };
            queue.read.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        }
        // One that is gone was read to its end all the same.
        if fs::metadata(&file.path).is_ok_and(|now| !is_as_planned(file, &now)) {
            let what = "changed while it was read: it was read up to the length that it had, \
                and the next run lands what it has become";
            queue.note(file, what, false);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::source::look_at;

    /// What is known of a file that was `planned` bytes long, and holds `content` when it is read.
    fn read(content: &[u8], planned: u64) -> ReadFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let input = InputFile { bytes: planned, ..look_at("x", file.path()).unwrap() };
        let columns = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let feed =
                feed(vec![input], (&columns, &Format::default()), 1, usize::MAX, &Stop::new());
            while feed.next().await.unwrap().is_some() {}
            feed.files().remove(0)
        })
    }

    fn place(byte: u64) -> Option<Place> {
        Some(Place { byte, position: byte })
    }

    #[test]
    fn a_file_that_grows_is_read_on_from_where_its_records_ended() {
        let text = b"{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n";
        let whole = read(text, text.len() as u64);
        assert_eq!(whole.read_on, place(text.len() as u64));
        assert_eq!(whole.hash, blake3::hash(text));
        // It grew while it was read: what was its last line then may not be one.
        for planned in [18, 20, 26] {
            let part = read(text, planned);
            assert_eq!(part.read_on, place(18), "{planned}");
            assert_eq!(part.hash, blake3::hash(&text[..usize::try_from(planned).unwrap()]));
        }
        let array = b"[{\"id\":1},{\"id\":2}]";
        assert_eq!(read(array, array.len() as u64).read_on, None);
    }

    #[test]
    fn what_may_be_the_beginning_of_a_record_is_read_again() {
        let text = b"{\"id\":1}\n{\"id\":";
        let mut whole = read(text, text.len() as u64);
        whole.ends_with_no_record(2, 5);
        assert_eq!(whole.read_on, place(text.len() as u64), "it does not end with that");
        whole.ends_with_no_record(9, text.len() as u64);
        assert_eq!(whole.read_on, place(9));
        // Where records go over several lines, a line that has ended is not the end of one.
        let text = b"{\n \"id\": 1\n}\n{\n \"id\":\n";
        let mut indented = read(text, text.len() as u64);
        indented.ends_with_no_record(13, 21);
        assert_eq!(indented.read_on, place(13));
    }
}
