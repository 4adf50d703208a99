//! What the bytes of a file hash to: by that a file is known again, whatever its name and its time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use blake3::{Hash, Hasher};

use crate::error::{Error, Result};
use crate::runtime::Stop;

/// How much is hashed at a time.
const CHUNK: usize = 1 << 20;

/// What the first bytes of the file at `path` hash to, for each of `lengths`; without those that the
/// file does not have, and none when it is not there.
pub fn prefix_hashes(
    path: &Path,
    lengths: &BTreeSet<u64>,
    stop: &Stop,
) -> Result<BTreeMap<u64, Hash>> {
    let failed = |e| Error::io("cannot read a file of the source", path, e);
    let mut hashes = BTreeMap::new();
    // Opening a pipe that has taken the place of a file would wait for somebody who writes into it.
    let file = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => File::open(path),
        Ok(_) => return Ok(hashes),
        Err(e) => Err(e),
    };
    let file = match file {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(hashes),
        Err(e) => return Err(failed(e)),
    };
    let (mut hasher, mut at) = (Hasher::new(), 0);
    for length in lengths {
        let is_there = hash_on(&file, &mut hasher, length - at, stop);
        stop.check()?;
        if !is_there.map_err(failed)? {
            break;
        }
        at = *length;
        hashes.insert(at, hasher.finalize());
    }
    Ok(hashes)
}

/// What hashes `file` and has done so with its first `length` bytes.
///
/// Errors: what the storage says, and one that says nothing when `stop` is set.
pub(super) fn hasher_behind(mut file: &File, length: u64, stop: &Stop) -> io::Result<Hasher> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Hasher::new();
    match hash_on(file, &mut hasher, length, stop)? {
        true => Ok(hasher),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Adds the next `count` bytes of `file` to `hasher`; gives whether there are so many.
fn hash_on(mut file: &File, hasher: &mut Hasher, count: u64, stop: &Stop) -> io::Result<bool> {
    let mut left = count;
    let mut chunk = vec![0; CHUNK.min(usize::try_from(count).unwrap_or(CHUNK))];
    while left > 0 {
        if stop.is_set() {
            return Err(io::Error::other("stopped"));
        }
        let wanted = chunk.len().min(usize::try_from(left).unwrap_or(CHUNK));
        match file.read(chunk.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                hasher.update(chunk.get(..read).unwrap_or_default());
                left -= read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_hash_as_they_would_by_themselves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let content: Vec<u8> = (0..3 * CHUNK).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let lengths = [0, 7, CHUNK as u64 + 1, content.len() as u64, content.len() as u64 + 1];
        let hashes = prefix_hashes(&path, &lengths.into(), &Stop::new()).unwrap();
        assert_eq!(hashes.len(), 4, "there is no hash of what is not there");
        for (length, hash) in hashes {
            assert_eq!(hash, blake3::hash(&content[..usize::try_from(length).unwrap()]));
        }
        let gone = prefix_hashes(&directory.path().join("b"), &lengths.into(), &Stop::new());
        assert!(gone.unwrap().is_empty());
    }
}
