//! Opening a file: its compression is told by its first bytes, never by its name.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER: usize = 256 << 10;

/// The widest window that zstd itself knows: files made with `--long` need it.
const ZSTD_WINDOW_LOG: u32 = 31;

/// Whether a file begins with a frame of zstd, or with one that zstd skips.
fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(&ZSTD) || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// A file being read, with its compression undone.
pub(super) struct Content {
    reader: Box<dyn Read + Send>,
    storage_failed: Arc<AtomicBool>,
}

/// Why a read did not go on.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// The storage did not give the bytes.
    Storage(io::Error),
    /// The bytes are there but cannot be uncompressed.
    Content(io::Error),
}

impl Content {
    /// Opens `path`. Bytes taken from disk are added to `progress`.
    pub(super) fn open(path: &Path, progress: Arc<AtomicU64>) -> Result<Self> {
        let failed = |e| Error::io("cannot open a file of the source", path, e);
        let file = File::open(path).map_err(failed)?;
        let storage_failed = Arc::new(AtomicBool::new(false));
        let mut tracked = Tracked { file, progress, storage_failed: Arc::clone(&storage_failed) };
        let mut head = Vec::with_capacity(ZSTD.len());
        (&mut tracked)
            .take(ZSTD.len() as u64)
            .read_to_end(&mut head)
            .map_err(|e| Error::io("cannot read a file of the source", path, e))?;
        let kind = head.clone();
        let whole = Cursor::new(head).chain(tracked);
        let reader: Box<dyn Read + Send> = if kind.starts_with(&GZIP) {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
        } else if is_zstd(&kind) {
            let buffered = BufReader::with_capacity(BUFFER, whole);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(failed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(failed)?;
            Box::new(decoder)
        } else {
            Box::new(whole)
        };
        Ok(Self { reader, storage_failed })
    }

    /// Reads until `buffer` has grown by `wanted` bytes or the content ends; returns how much.
    pub(super) fn read_more(
        &mut self,
        buffer: &mut Vec<u8>,
        wanted: usize,
    ) -> Result<usize, ReadFailure> {
        let before = buffer.len();
        let result = (&mut self.reader).take(wanted as u64).read_to_end(buffer);
        match result {
            Ok(_) => Ok(buffer.len() - before),
            Err(e) if self.storage_failed.load(Ordering::Relaxed) => Err(ReadFailure::Storage(e)),
            Err(e) => Err(ReadFailure::Content(e)),
        }
    }
}

/// A file that remembers whether it was the storage that failed, and counts what it gives.
struct Tracked {
    file: File,
    progress: Arc<AtomicU64>,
    storage_failed: Arc<AtomicBool>,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.file.read(buffer);
        match &result {
            Ok(count) => {
                self.progress.fetch_add(*count as u64, Ordering::Relaxed);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.storage_failed.store(true, Ordering::Relaxed),
        }
        result
    }
}
