//! Opening a file: its compression is told by its first bytes, never by its name.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::{Hash, Hasher};

use crate::error::{Error, Result};
use crate::runtime::Stop;

use super::codec::{Codec, ZSTD, ZSTD_WINDOW_LOG};
use super::discover::is_as_planned;
use super::hash::hasher_behind;
use super::verify::{Verified, verify};
use super::{InputFile, Place};

pub(super) use super::verify::Damage;

const BUFFER: usize = 256 << 10;

/// A file being read, with its compression undone.
pub(super) struct Content {
    reader: Box<dyn Read + Send>,
    /// The same file, for asking how long it is now.
    file: File,
    codec: Option<Codec>,
    /// Up to where it is to be read; None for compressed files, whose end was looked at.
    planned: Option<u64>,
    /// From where it is read.
    from: Place,
    /// How long the file was.
    bytes: u64,
    read: u64,
    digest: Digest,
    damage: Option<Damage>,
    is_damaged: bool,
    is_cut_off: bool,
}

/// What is known of a file that was read to its end.
pub(super) struct Ended {
    /// What its bytes hash to.
    pub hash: Hash,
    /// From where to read on should it grow; None when it is damaged.
    pub read_on: Option<Place>,
    /// Whether it can be read only from where a part of it begins that was compressed by itself.
    pub is_compressed: bool,
}

impl Ended {
    /// The same of a file that is read from its beginning whatever becomes of it.
    pub(super) fn whole(self) -> Self {
        Self { read_on: None, ..self }
    }
}

/// What the bytes of a file hash to.
enum Digest {
    Known(Hash),
    /// So far; what is read is hashed along.
    Begun(Box<Hasher>),
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
        let is_longer = codec.is_none() && metadata.len() > file.bytes;
        let is_same = match is_as_planned(file, &metadata) {
            true => Ok(true),
            false if is_longer => begins_as_planned(file, &opened, stop),
            false => Ok(false),
        };
        stop.check()?;
        if !is_same.map_err(failed)? {
            return Ok(None);
        }
        let digest = digest(file, &opened, codec, stop);
        stop.check()?;
        let digest = digest.map_err(failed)?;
        let content = Opened { file: opened, input: file, digest, progress };
        match codec {
            None => content.plain().map(Some).map_err(failed),
            Some(codec) => {
                let content = content.compressed(codec, stop);
                stop.check()?;
                content.map(Some).map_err(failed)
            }
        }
    }

    /// Reads until `buffer` has grown by `wanted` bytes or the content ends; returns how much.
    pub(super) fn read_more(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<usize> {
        let before = buffer.len();
        let count = (&mut self.reader).take(wanted as u64).read_to_end(buffer)?;
        self.read += count as u64;
        if let Digest::Begun(hasher) = &mut self.digest {
            hasher.update(buffer.get(before..).unwrap_or_default());
        }
        Ok(count)
    }

    /// How the content begins, up to `count` bytes, from wherever on it is read.
    pub(super) fn head(&self, count: u64) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        // The reader has its place in common with it.
        let at = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        let begun = Tracked { file: self.file.try_clone()?, progress: Arc::default() };
        let begun: Box<dyn Read + Send> = match self.codec {
            None => Box::new(begun),
            Some(codec) => decoder(codec, begun)?,
        };
        let mut head = Vec::new();
        begun.take(count).read_to_end(&mut head)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(head)
    }

    /// Whether what was read ends where a writer ended: the file is not cut off, and did not
    /// change its length while it was read.
    pub(super) fn is_complete(&self) -> bool {
        let length = || self.file.metadata().map_or(self.bytes, |metadata| metadata.len());
        let is_as_long = self
            .planned
            .is_none_or(|planned| planned == self.from.byte + self.read && planned == length());
        is_as_long && !self.is_cut_off
    }

    /// What is known of the file at its end, when records were handed out up to the position
    /// `consumed`. None when it is shorter than it was.
    pub(super) fn ended(&self, consumed: u64) -> Option<Ended> {
        let hash = match &self.digest {
            Digest::Known(hash) => *hash,
            Digest::Begun(hasher) => hasher.finalize(),
        };
        match self.planned {
            Some(planned) if planned != self.from.byte + self.read => None,
            Some(_) => {
                let read_on = Some(Place { byte: consumed, position: consumed });
                Some(Ended { hash, read_on, is_compressed: false })
            }
            None => {
                let end = Place { byte: self.bytes, position: self.from.position + self.read };
                let read_on = (!self.is_damaged).then_some(end);
                Some(Ended { hash, read_on, is_compressed: true })
            }
        }
    }

    /// What of the file could not be read; only the first time.
    pub(super) fn take_damage(&mut self) -> Option<Damage> {
        self.damage.take()
    }
}

/// Whether `opened`, which is longer than `file` was, begins with what was planned. Where that is not
/// known, it does if all of it is read: what is noted then is the hash of what was read.
fn begins_as_planned(file: &InputFile, opened: &File, stop: &Stop) -> io::Result<bool> {
    match file.hash {
        Some(hash) => Ok(hasher_behind(opened, file.bytes, stop)?.finalize() == hash),
        None => Ok(file.from.byte == 0),
    }
}

/// The hash of `file` as far as it is known before it is read: of what is compressed all of it.
fn digest(
    file: &InputFile,
    opened: &File,
    codec: Option<Codec>,
    stop: &Stop,
) -> io::Result<Digest> {
    if let Some(hash) = file.hash {
        return Ok(Digest::Known(hash));
    }
    let before = if codec.is_some() { file.bytes } else { file.from.byte };
    let hasher = hasher_behind(opened, before, stop)?;
    Ok(match codec {
        Some(_) => Digest::Known(hasher.finalize()),
        None => Digest::Begun(Box::new(hasher)),
    })
}

/// A file that is what it was when it was planned.
struct Opened<'a> {
    file: File,
    input: &'a InputFile,
    digest: Digest,
    progress: Arc<AtomicU64>,
}

impl Opened<'_> {
    fn plain(mut self) -> io::Result<Content> {
        let planned = self.input.bytes;
        let length = planned.saturating_sub(self.input.from.byte);
        let reader = Box::new(self.tracked()?.take(length));
        Ok(self.content(reader, Some(planned)))
    }

    fn compressed(mut self, codec: Codec, stop: &Stop) -> io::Result<Content> {
        let from = self.input.from.byte;
        let Verified { length, held, damage, is_cut_off } = verify(&self.file, from, codec, stop)?;
        let reader: Box<dyn Read + Send> = match held {
            Some(held) => {
                let read = self.input.bytes.saturating_sub(from);
                self.progress.fetch_add(read, Ordering::Relaxed);
                Box::new(Cursor::new(held))
            }
            None => Box::new(decoder(codec, self.tracked()?)?.take(length)),
        };
        let is_damaged = damage.is_some();
        let codec = Some(codec);
        Ok(Content { codec, damage, is_damaged, is_cut_off, ..self.content(reader, None) })
    }

    /// The file from the place on from which it is to be read.
    fn tracked(&mut self) -> io::Result<Tracked> {
        self.file.seek(SeekFrom::Start(self.input.from.byte))?;
        Ok(Tracked { file: self.file.try_clone()?, progress: Arc::clone(&self.progress) })
    }

    fn content(self, reader: Box<dyn Read + Send>, planned: Option<u64>) -> Content {
        Content {
            reader,
            file: self.file,
            codec: None,
            planned,
            from: self.input.from,
            bytes: self.input.bytes,
            read: 0,
            digest: self.digest,
            damage: None,
            is_damaged: false,
            is_cut_off: false,
        }
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
