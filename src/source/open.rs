//! Opening a file: its compression is told by its first bytes, never by its name.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::runtime::Stop;

use super::InputFile;
use super::codec::{Codec, ZSTD, ZSTD_WINDOW_LOG};
use super::discover::is_as_planned;
use super::verify::{Verified, verify};

pub(super) use super::verify::Damage;

const BUFFER: usize = 256 << 10;

/// A file being read, with its compression undone.
pub(super) struct Content {
    reader: Box<dyn Read + Send>,
    /// The same file, for asking how long it is now.
    file: File,
    /// How much of it is to be read; None for compressed files, whose end was looked at.
    planned: Option<u64>,
    read: u64,
    damage: Option<Damage>,
    is_cut_off: bool,
}

impl Content {
    /// Opens `file`; None when it is not what it was when it was planned. A file that is not
    /// compressed and only grew is read up to the length that it had. Bytes taken from disk are
    /// added to `progress`.
    pub(super) fn open(
        file: &InputFile,
        progress: Arc<AtomicU64>,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        let failed = |e| Error::io("cannot read a file of the source", &file.path, e);
        // Opening a pipe would wait for somebody who writes into it.
        match std::fs::metadata(&file.path) {
            Ok(metadata) if metadata.is_file() => {}
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            Ok(_) | Err(_) => return Ok(None),
        }
        let mut opened = match File::open(&file.path) {
            Ok(opened) => opened,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let metadata = opened.metadata().map_err(failed)?;
        let mut head = Vec::with_capacity(ZSTD.len());
        (&mut opened).take(ZSTD.len() as u64).read_to_end(&mut head).map_err(failed)?;
        let codec = Codec::of(&head);
        let has_only_grown = codec.is_none() && metadata.len() > file.bytes;
        if !has_only_grown && !is_as_planned(file, &metadata) {
            return Ok(None);
        }
        opened.seek(SeekFrom::Start(0)).map_err(failed)?;
        let Some(codec) = codec else {
            let twin = opened.try_clone().map_err(failed)?;
            let reader = Box::new(Tracked { file: twin, progress }.take(file.bytes));
            let planned = Some(file.bytes);
            let content =
                Self { reader, file: opened, planned, read: 0, damage: None, is_cut_off: false };
            return Ok(Some(content));
        };
        let verified = verify(&opened, codec, stop);
        stop.check()?;
        let Verified { length, held, damage, is_cut_off } = verified.map_err(failed)?;
        let reader: Box<dyn Read + Send> = match held {
            Some(held) => {
                progress.fetch_add(file.bytes, Ordering::Relaxed);
                Box::new(Cursor::new(held))
            }
            None => {
                opened.seek(SeekFrom::Start(0)).map_err(failed)?;
                let twin = opened.try_clone().map_err(failed)?;
                let decoder = decoder(codec, Tracked { file: twin, progress }).map_err(failed)?;
                Box::new(decoder.take(length))
            }
        };
        Ok(Some(Self { reader, file: opened, planned: None, read: 0, damage, is_cut_off }))
    }

    /// Reads until `buffer` has grown by `wanted` bytes or the content ends; returns how much.
    pub(super) fn read_more(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<usize> {
        let count = (&mut self.reader).take(wanted as u64).read_to_end(buffer)?;
        self.read += count as u64;
        Ok(count)
    }

    /// Whether what was read ends where a writer ended: the file is not cut off, and did not
    /// change its length while it was read.
    pub(super) fn is_complete(&self) -> bool {
        let length = || self.file.metadata().map_or(self.read, |metadata| metadata.len());
        let is_as_long =
            self.planned.is_none_or(|planned| planned == self.read && planned == length());
        is_as_long && !self.is_cut_off
    }

    /// What of the file could not be read; only the first time.
    pub(super) fn take_damage(&mut self) -> Option<Damage> {
        self.damage.take()
    }
}

/// The content of a file that was verified.
fn decoder(codec: Codec, file: Tracked) -> io::Result<Box<dyn Read + Send>> {
    let buffered = BufReader::with_capacity(BUFFER, file);
    Ok(match codec {
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// A file that counts what it gives.
struct Tracked {
    file: File,
    progress: Arc<AtomicU64>,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.progress.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
