//! One output file: records set apart by its framing.
//!
//! Owns the framing and the positions of the records. Invariant: a position is the place of the
//! first byte of a record in the uncompressed file; a file without records has no bytes at all.

use std::path::Path;

use super::encoded_file::{Codec, EncodedFile};
use super::layout::push_pretty;
use super::{Compression, Framing, Options};
use crate::error::Result;

/// The framing of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// One record per line.
    Ndjson,
    /// One array on one line.
    Array,
    /// One array over many lines.
    PrettyArray,
    /// Back to back.
    Concatenated,
}

/// Back to back, a line ends after so many objects.
const OBJECTS_PER_LINE: u64 = 100;

/// Bytes gathered before they are handed on.
const CHUNK: usize = 256 << 10;

/// Levels of indentation of a record in a pretty array, and of the value of one of its fields.
const RECORD_DEPTH: usize = 1;
const VALUE_DEPTH: usize = 2;

/// A file being filled with records.
pub(super) struct OutputFile {
    name: String,
    frame: Frame,
    file: EncodedFile,
    buffer: Vec<u8>,
    written: u64,
    records: u64,
    objects: u64,
    line_open: bool,
}

impl OutputFile {
    /// Begins the file with this number in the folder `out`.
    pub(super) fn create(out: &Path, number: u32, options: &Options) -> Result<Self> {
        let codec = codec_of(options.compression, number);
        let name = format!("part-{number:05}.json{}", codec.suffix());
        let file = EncodedFile::create(&out.join(&name), codec)?;
        Ok(Self {
            name,
            frame: frame_of(options.framing, number),
            file,
            buffer: Vec::with_capacity(CHUNK + CHUNK / 8),
            written: 0,
            records: 0,
            objects: 0,
            line_open: false,
        })
    }

    /// The name of the file, without its folder.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The framing of the file.
    pub(super) fn frame(&self) -> Frame {
        self.frame
    }

    /// Appends a minified record, laid out as the framing asks. Comes back with its position.
    pub(super) fn put(&mut self, record: &[u8]) -> Result<u64> {
        self.begin_record();
        let position = self.position();
        match self.frame {
            Frame::Ndjson => {
                self.buffer.extend_from_slice(record);
                self.buffer.push(b'\n');
            }
            Frame::Array => self.buffer.extend_from_slice(record),
            Frame::PrettyArray => push_pretty(record, RECORD_DEPTH, &mut self.buffer),
            Frame::Concatenated => {
                self.buffer.extend_from_slice(record);
                self.objects += 1;
                self.line_open = true;
                if self.objects.is_multiple_of(OBJECTS_PER_LINE) {
                    self.end_line();
                }
            }
        }
        self.hand_on(CHUNK)?;
        Ok(position)
    }

    /// Appends a broken record byte by byte as it is. Comes back with its position.
    pub(super) fn put_broken(&mut self, broken: &[u8]) -> Result<u64> {
        self.begin_record();
        if self.frame == Frame::Concatenated {
            self.end_line();
        }
        let position = self.position();
        self.buffer.extend_from_slice(broken);
        if matches!(self.frame, Frame::Ndjson | Frame::Concatenated) {
            self.buffer.push(b'\n');
        }
        self.hand_on(CHUNK)?;
        Ok(position)
    }

    /// The value of a field of a record as its bytes stand in this file.
    pub(super) fn value_text(&self, value: &str) -> String {
        if self.frame != Frame::PrettyArray {
            return value.to_owned();
        }
        let mut text = Vec::with_capacity(value.len());
        push_pretty(value.as_bytes(), VALUE_DEPTH, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Completes the file. Comes back with its uncompressed length in bytes.
    pub(super) fn finish(mut self) -> Result<u64> {
        if self.records > 0 {
            match self.frame {
                Frame::Array => self.buffer.extend_from_slice(b"]\n"),
                Frame::PrettyArray => self.buffer.extend_from_slice(b"\n]\n"),
                Frame::Ndjson | Frame::Concatenated => {}
            }
        }
        self.hand_on(1)?;
        self.file.finish()?;
        Ok(self.written)
    }

    /// Appends what stands between two records, or before the first one.
    fn begin_record(&mut self) {
        let first = self.records == 0;
        let between: &[u8] = match self.frame {
            Frame::Array if first => b"[",
            Frame::Array => b",",
            Frame::PrettyArray if first => b"[\n  ",
            Frame::PrettyArray => b",\n  ",
            Frame::Ndjson | Frame::Concatenated => b"",
        };
        self.buffer.extend_from_slice(between);
        self.records += 1;
    }

    /// Back to back: ends the current line unless it is empty.
    fn end_line(&mut self) {
        if self.line_open {
            self.buffer.push(b'\n');
            self.line_open = false;
        }
    }

    /// The place of the next byte.
    fn position(&self) -> u64 {
        self.written + u64::try_from(self.buffer.len()).unwrap_or(u64::MAX)
    }

    /// Hands the gathered bytes on if they are at least so many.
    fn hand_on(&mut self, least: usize) -> Result<()> {
        if self.buffer.len() >= least {
            self.file.append(&self.buffer)?;
            self.written = self.position();
            self.buffer.clear();
        }
        Ok(())
    }
}

/// The framing of the file with this number.
fn frame_of(framing: Framing, number: u32) -> Frame {
    match (framing, number % 3) {
        (Framing::Ndjson, _) | (Framing::Mixed, 0) => Frame::Ndjson,
        (Framing::PrettyArray, _) | (Framing::Mixed, 1) => Frame::PrettyArray,
        (Framing::Concatenated | Framing::Mixed, _) => Frame::Concatenated,
        (Framing::Array, _) => Frame::Array,
    }
}

/// The compression of the file with this number.
fn codec_of(compression: Compression, number: u32) -> Codec {
    match (compression, number % 3) {
        (Compression::None, _) | (Compression::Mixed, 0) => Codec::Plain,
        (Compression::Gzip, _) | (Compression::Mixed, 1) => Codec::Gzip,
        (Compression::Zstd | Compression::Mixed, _) => Codec::Zstd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    /// Writes two objects and a broken record between them; their positions and the length.
    fn fill(folder: &Path, options: &Options) -> Result<([u64; 3], u64)> {
        let mut output = OutputFile::create(folder, 0, options)?;
        let positions =
            [output.put(b"{\"a\":1}")?, output.put_broken(b"{\"a")?, output.put(b"{\"b\":2}")?];
        Ok((positions, output.finish()?))
    }

    /// What that file holds.
    fn written(framing: Framing) -> std::result::Result<String, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let options = Options { framing, ..Options::sample(2) };
        let filled = fill(folder.path(), &options).map_err(|error| format!("{error:?}"));
        let (positions, length) = filled?;
        let text = std::fs::read_to_string(folder.path().join("part-00000.json"))?;
        assert_eq!(u64::try_from(text.len())?, length);
        for (position, start) in positions.into_iter().zip(["{", "{\"a", "{"]) {
            let rest = text.get(usize::try_from(position)?..).ok_or("within the file")?;
            assert!(rest.starts_with(start));
        }
        Ok(text)
    }

    #[test]
    fn records_are_set_apart_as_asked() -> Outcome {
        assert_eq!(written(Framing::Ndjson)?, "{\"a\":1}\n{\"a\n{\"b\":2}\n");
        assert_eq!(written(Framing::Array)?, "[{\"a\":1},{\"a,{\"b\":2}]\n");
        assert_eq!(
            written(Framing::PrettyArray)?,
            "[\n  {\n    \"a\": 1\n  },\n  {\"a,\n  {\n    \"b\": 2\n  }\n]\n"
        );
        assert_eq!(written(Framing::Concatenated)?, "{\"a\":1}\n{\"a\n{\"b\":2}");
        Ok(())
    }

    #[test]
    fn files_take_turns_when_mixed() {
        let frames: Vec<Frame> = (0..4).map(|number| frame_of(Framing::Mixed, number)).collect();
        let turns = [Frame::Ndjson, Frame::PrettyArray, Frame::Concatenated, Frame::Ndjson];
        assert_eq!(frames, turns);
        let codecs: Vec<Codec> =
            (0..3).map(|number| codec_of(Compression::Mixed, number)).collect();
        assert_eq!(codecs, [Codec::Plain, Codec::Gzip, Codec::Zstd]);
    }
}
