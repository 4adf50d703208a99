//! Reads a compressed file to its end before anything of it is believed.
//!
//! A checksum stands behind the content that it is about, so what is decoded cannot be trusted
//! before the end is reached. A file consists of members (of gzip) or frames (of zstd), each with a
//! checksum of its own; those whose checksum holds are read. What comes behind the last of them is
//! damaged, and nothing of it is read, with one exception: a file that was cut off, as by an
//! upload that ended early, holds what was written up to there, and that much is read.
//!
//! Small contents are held, so that they are decoded once only. Large ones are decoded twice, which
//! costs less than undoing what was written of a damaged file.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};

use super::codec::{Codec, ZSTD_WINDOW_LOG};
use crate::runtime::Stop;

/// Contents of at most so many bytes are held.
const HELD: usize = 16 << 20;
/// How much is kept of what cannot be read.
const KEPT: u64 = 1 << 20;
/// How much is decoded at a time.
const CHUNK: usize = 256 << 10;
/// The length at the end of a gzip member and that of what was decoded are taken for the same
/// when neither is so many times the other: what is damaged may be longer or shorter than it was.
const SAME_LENGTH: u64 = 8;

/// How much of a compressed file can be read.
pub(super) struct Verified {
    /// The length of the content up to which it can.
    pub length: u64,
    /// The content up to there, if it is small.
    pub held: Option<Vec<u8>>,
    /// What is behind it.
    pub damage: Option<Damage>,
    /// Whether the content breaks off in the middle of what could be read.
    pub is_cut_off: bool,
}

/// The part of a file that cannot be read.
#[derive(Debug)]
pub(super) struct Damage {
    /// Why.
    pub reason: String,
    /// Its beginning, as it stands in the file.
    pub bytes: Vec<u8>,
    /// Its length in the file.
    pub length: u64,
}

/// What was decoded so far.
struct Decoded {
    length: u64,
    held: Option<Vec<u8>>,
}

impl Decoded {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.held = self.held.take().filter(|held| held.len() + bytes.len() <= HELD);
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
        }
    }
}

/// A file that remembers up to where it was read, and whether that failed.
struct Counted<'a> {
    file: &'a File,
    read: u64,
    has_failed: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.file.read(buffer);
        match &result {
            Ok(count) => self.read += *count as u64,
            Err(e) => self.has_failed |= e.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}

type Reader<'a> = BufReader<Counted<'a>>;

/// Decodes `file` to its end, or up to what cannot be decoded, from its byte `from` on, where a member
/// begins.
///
/// Errors: what the storage says, and one that says nothing when `stop` is set.
pub(super) fn verify(
    mut file: &File,
    from: u64,
    codec: Codec,
    stop: &Stop,
) -> io::Result<Verified> {
    file.seek(SeekFrom::Start(from))?;
    let counted = Counted { file, read: from, has_failed: false };
    let mut reader = BufReader::with_capacity(CHUNK, counted);
    let mut decoded = Decoded { length: 0, held: Some(Vec::new()) };
    let (mut length, mut place) = (0, from);
    let failure = loop {
        if reader.fill_buf()?.is_empty() {
            break None;
        }
        if let Err(e) = member(&mut reader, codec, &mut decoded, stop) {
            break Some(e);
        }
        length = decoded.length;
        place = reader.get_ref().read - reader.buffer().len() as u64;
    };
    let Some(failure) = failure else {
        return Ok(Verified { length, held: decoded.held, damage: None, is_cut_off: false });
    };
    if reader.get_ref().has_failed || stop.is_set() {
        return Err(failure);
    }
    let is_cut_off = failure.kind() == io::ErrorKind::UnexpectedEof
        && decoded.length > length
        && !(codec == Codec::Gzip && ends_with_length(file, decoded.length - length)?);
    let damage = damage(file, place, &failure, is_cut_off)?;
    let length = if is_cut_off { decoded.length } else { length };
    let held = decoded.held.map(|mut held| {
        held.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        held
    });
    Ok(Verified { length, held, is_cut_off: is_cut_off && damage.is_some(), damage })
}

/// Decodes one member or frame.
fn member(
    reader: &mut Reader<'_>,
    codec: Codec,
    decoded: &mut Decoded,
    stop: &Stop,
) -> io::Result<()> {
    match codec {
        Codec::Gzip => decode(flate2::bufread::GzDecoder::new(reader), decoded, stop),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            decode(decoder, decoded, stop)
        }
    }
}

fn decode(mut from: impl Read, decoded: &mut Decoded, stop: &Stop) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.is_set() {
            return Err(io::Error::other("stopped"));
        }
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => decoded.add(chunk.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Whether the file ends with about this length, as a whole member of gzip does. Then its end is
/// there, and it is not cut off but damaged.
fn ends_with_length(mut file: &File, length: u64) -> io::Result<bool> {
    let mut end = [0; 4];
    let from = file.metadata()?.len().saturating_sub(end.len() as u64);
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut end)?;
    let stated = u64::from(u32::from_le_bytes(end));
    Ok(stated <= length.saturating_mul(SAME_LENGTH) && length <= stated.saturating_mul(SAME_LENGTH))
}

/// What is in the file from `place` on; None when it is only the zeros that gzip allows there.
fn damage(
    mut file: &File,
    place: u64,
    failure: &io::Error,
    is_cut_off: bool,
) -> io::Result<Option<Damage>> {
    let length = file.metadata()?.len().saturating_sub(place);
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.take(KEPT).read_to_end(&mut bytes)?;
    if place > 0 && bytes.len() as u64 == length && bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let reason = match is_cut_off {
        true => format!("the compressed content breaks off here: {failure}"),
        false => format!(
            "the file is damaged from its byte {place} on, and nothing of that can be trusted: {failure}"
        ),
    };
    Ok(Some(Damage { reason, bytes, length }))
}
