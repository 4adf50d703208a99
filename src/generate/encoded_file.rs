//! One file on disk, compressed or not, that appears whole or not at all.
//!
//! Owns the temporary name, the compression and the renaming. Invariant: under the final name
//! there is never a part of a file, and a file given up on leaves nothing behind. The bytes do
//! not depend on when they are written (another build of a compressor may choose others).

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

use crate::error::{Error, Result};

/// Zstandard's fastest regular level: the traffic is written once and thrown away.
const ZSTD_LEVEL: i32 = 1;

/// How one file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Not at all.
    Plain,
    /// Gzip, without a time in its header.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// What the name of such a file ends with, after `.json`.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// The way of the bytes into the file.
enum Encoder {
    Plain(File),
    Gzip(Box<GzEncoder<File>>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Encoder {
    fn new(file: File, codec: Codec) -> io::Result<Self> {
        Ok(match codec {
            Codec::Plain => Self::Plain(file),
            Codec::Gzip => {
                let encoder = GzEncoder::new(file, flate2::Compression::fast());
                Self::Gzip(Box::new(encoder))
            }
            Codec::Zstd => Self::Zstd(zstd::Encoder::new(file, ZSTD_LEVEL)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.finish().map(drop),
            Self::Zstd(encoder) => encoder.finish().map(drop),
        }
    }
}

/// The temporary name of a file; what is under it goes away unless it is kept.
struct Temporary {
    path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Temporary {
    fn new(target: &Path) -> Self {
        let mut path = target.as_os_str().to_owned();
        path.push(".tmp");
        Self { path: PathBuf::from(path), target: target.to_owned(), kept: false }
    }

    /// Gives the file its final name.
    fn keep(mut self) -> Result<()> {
        std::fs::rename(&self.path, &self.target)
            .map_err(|source| Error::io("cannot give a file its name", &self.target, source))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // Already failing: the error on its way matters more than a leftover.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// A file being written. Hand it large pieces: small ones are not gathered.
pub(super) struct EncodedFile {
    // Before the temporary name, so that the file is closed when that goes away.
    encoder: Encoder,
    temporary: Temporary,
}

impl EncodedFile {
    /// Begins a file that will be called `target`.
    pub(super) fn create(target: &Path, codec: Codec) -> Result<Self> {
        let temporary = Temporary::new(target);
        let encoder = File::create(&temporary.path)
            .and_then(|file| Encoder::new(file, codec))
            .map_err(|source| Error::io("cannot create a file", &temporary.path, source))?;
        Ok(Self { encoder, temporary })
    }

    /// Appends bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.encoder
            .write(bytes)
            .map_err(|source| Error::io("cannot write a file", &self.temporary.path, source))
    }

    /// Completes the file and gives it its name.
    pub(super) fn finish(self) -> Result<()> {
        let Self { encoder, temporary } = self;
        encoder
            .finish()
            .map_err(|source| Error::io("cannot complete a file", &temporary.path, source))?;
        temporary.keep()
    }
}

impl Write for EncodedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes).map(|()| bytes.len())
    }

    /// Nothing to do: a file counts as written when it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_file_appears_whole() -> Outcome {
        let folder = tempfile::tempdir()?;
        let target = folder.path().join("a.json");
        let mut file = EncodedFile::create(&target, Codec::Plain).map_err(|e| format!("{e:?}"))?;
        file.append(b"abc").map_err(|e| format!("{e:?}"))?;
        assert!(!target.exists());
        file.finish().map_err(|e| format!("{e:?}"))?;
        assert_eq!(std::fs::read(&target)?, b"abc");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_file_given_up_on_leaves_nothing() -> Outcome {
        let folder = tempfile::tempdir()?;
        for codec in [Codec::Plain, Codec::Gzip, Codec::Zstd] {
            let target = folder.path().join("a.json");
            let file = EncodedFile::create(&target, codec).map_err(|e| format!("{e:?}"))?;
            drop(file);
            assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        }
        Ok(())
    }
}
