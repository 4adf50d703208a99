//! Reader threads: files in, pieces out, never more in flight than the budget allows.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use tokio::sync::mpsc;

use crate::error::Result;
use crate::project::Format;
use crate::runtime::Stop;

use super::discover::is_as_planned;
use super::frame::PIECE;
use super::reader::{Reader, Shape};
use super::{InputFile, Piece};

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
    }
}

struct Queue {
    files: Vec<InputFile>,
    shape: Shape,
    next: AtomicUsize,
    has_failed: AtomicBool,
    bytes_read: Arc<AtomicU64>,
    notes: Arc<Mutex<Vec<Note>>>,
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

fn read_files(queue: &Queue, sender: &mpsc::Sender<Result<Piece>>, stop: &Stop) -> Result<()> {
    while let Some(file) = queue.take() {
        let bytes_read = Arc::clone(&queue.bytes_read);
        let reader = Reader::open(file.clone(), &queue.shape, bytes_read, stop)?;
        let Some(mut reader) = reader else {
            queue.note(file, "changed or went before it was read: the next run lands it", true);
            continue;
        };
        while let Some(piece) = reader.next_piece(stop)? {
            if sender.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        // One that is gone was read to its end all the same.
        if fs::metadata(&file.path).is_ok_and(|now| !is_as_planned(file, &now)) {
            let what = "changed while it was read: it was read up to the length that it had, \
                and the next run lands it again";
            queue.note(file, what, false);
        }
    }
    Ok(())
}
