//! Reader threads: files in, pieces out, never more in flight than the budget allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::error::{Error, Kind, Result};
use crate::runtime::Stop;

use super::frame::{Framer, PIECE};
use super::{InputFile, Piece, look_at};

/// The pieces of many files, in no particular order, for any number of takers.
#[derive(Clone)]
pub struct Feed {
    pieces: Arc<tokio::sync::Mutex<mpsc::Receiver<Result<Piece>>>>,
    bytes_read: Arc<AtomicU64>,
}

impl Feed {
    /// The next piece that nobody else has taken; nothing at the end of all files.
    ///
    /// Errors: what a reader met. The other takers see the end of the feed soon after.
    pub async fn next(&self) -> Result<Option<Piece>> {
        self.pieces.lock().await.recv().await.transpose()
    }

    /// How many bytes were taken from disk so far, for showing progress.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }
}

/// Starts `threads` readers over `files`. They hold at most about `memory` bytes of content and
/// end when all is read, when the feed is dropped, or when `stop` is set.
pub fn feed(files: Vec<InputFile>, threads: usize, memory: usize, stop: &Stop) -> Feed {
    let capacity = (memory / PIECE).clamp(2, 64);
    let (sender, receiver) = mpsc::channel(capacity);
    let bytes_read = Arc::new(AtomicU64::new(0));
    let threads = threads.clamp(1, files.len().max(1));
    let queue =
        Arc::new(Queue { files, next: AtomicUsize::new(0), failed: AtomicBool::new(false) });
    for _ in 0..threads {
        let (queue, sender, bytes_read, stop) =
            (Arc::clone(&queue), sender.clone(), Arc::clone(&bytes_read), stop.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read_files(&queue, &sender, &bytes_read, &stop) {
                queue.failed.store(true, Ordering::Relaxed);
                // Nobody listens any more when this fails, and then the error is of no interest.
                drop(sender.blocking_send(Err(error)));
            }
        });
    }
    Feed { pieces: Arc::new(tokio::sync::Mutex::new(receiver)), bytes_read }
}

struct Queue {
    files: Vec<InputFile>,
    next: AtomicUsize,
    failed: AtomicBool,
}

impl Queue {
    fn take(&self) -> Option<&InputFile> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        self.files.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

fn read_files(
    queue: &Queue,
    sender: &mpsc::Sender<Result<Piece>>,
    bytes_read: &Arc<AtomicU64>,
    stop: &Stop,
) -> Result<()> {
    while let Some(file) = queue.take() {
        let mut framer = Framer::open(file.clone(), Arc::clone(bytes_read))?;
        while let Some(piece) = framer.next_piece()? {
            stop.check()?;
            if sender.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        check_unchanged(file)?;
    }
    Ok(())
}

/// A file that grew or was replaced while it was read would be in the ledger under a size that is
/// not what was landed.
fn check_unchanged(file: &InputFile) -> Result<()> {
    let now = look_at(&file.name, &file.path)?;
    if now.bytes == file.bytes && now.modified_at == file.modified_at {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, "a file of the source changed while it was read")
        .at("file", file.path.display())
        .hint("write to a name that ends in .tmp and rename when it is whole; then run again"))
}
