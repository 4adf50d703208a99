//! Which files a source has.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, Kind, Result};
use crate::runtime::Timestamp;

use super::InputFile;

/// The files at `path`, sorted by name: the file itself, or all below the directory.
///
/// Out: no hidden files or directories (`.x`, `_x`) and no `*.tmp`: those are still being written
/// or belong to somebody's bookkeeping.
/// Errors: `Missing` when there is no such path, `Denied` when a part of it may not be read.
pub fn discover(path: &Path) -> Result<Vec<InputFile>> {
    let metadata = fs::metadata(path).map_err(|e| {
        let error = Error::io("cannot find the source", path, e);
        if error.kind() == Kind::Missing {
            error.hint("create it, correct `path` in the pipeline, or point elsewhere with --source NAME=PATH")
        } else {
            error
        }
    })?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        walk(path, path, &mut files)?;
    } else {
        let parent = path.parent().unwrap_or(path);
        files.push(input_file(parent, path, &metadata)?);
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<InputFile>) -> Result<()> {
    let failed = |e| Error::io("cannot list a directory of the source", directory, e);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if is_left_alone(&entry.file_name().to_string_lossy()) || is_link_within(root, &path) {
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(root, &path, files)?,
            Ok(metadata) if metadata.is_file() => files.push(input_file(root, &path, &metadata)?),
            // Pipes and sockets hold no records that could be read twice.
            Ok(_) => {}
            // Renamed or removed between the listing and now; its new name is found next time.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("cannot look at a file of the source", &path, e)),
        }
    }
    Ok(())
}

fn is_left_alone(name: &str) -> bool {
    name.starts_with(['.', '_']) || name.ends_with(".tmp")
}

/// Whether `path` is a link to something that is found without it, or to nothing: following it
/// would land files twice, or never end.
fn is_link_within(root: &Path, path: &Path) -> bool {
    path.is_symlink()
        && match (root.canonicalize(), path.canonicalize()) {
            (Ok(root), Ok(target)) => target.starts_with(&root) || root.starts_with(&target),
            _ => true,
        }
}

fn input_file(root: &Path, path: &Path, metadata: &fs::Metadata) -> Result<InputFile> {
    let modified = metadata
        .modified()
        .map_err(|e| Error::io("cannot tell when a file was changed", path, e))?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    let name: Vec<_> = relative.components().map(|part| shown(part.as_os_str())).collect();
    Ok(InputFile {
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        name: Arc::from(name.join("/")),
        bytes: metadata.len(),
        modified_at: instant(modified),
    })
}

/// A name as text; bytes that are none are written as `\xff`, so that no two names look the same.
fn shown(name: &OsStr) -> String {
    let escaped = || name.as_encoded_bytes().escape_ascii().to_string();
    name.to_str().map_or_else(escaped, str::to_owned)
}

/// A file's time; one that no calendar knows counts as the beginning of time.
fn instant(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_timestamp_micros)
        .unwrap_or_default()
}

/// The file at `path` as it is now, under the name that it had.
pub fn look_at(name: &str, path: &Path) -> Result<InputFile> {
    let metadata = fs::metadata(path)
        .map_err(|e| Error::io("cannot look at a file of the source", path, e))?;
    Ok(InputFile { name: Arc::from(name), ..input_file(path, path, &metadata)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_unfinished_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("day=1")).unwrap();
        fs::create_dir(directory.path().join("_old")).unwrap();
        for name in ["b.json", ".a", "_truth.json", "c.json.tmp", "day=1/a.json", "_old/x.json"] {
            fs::write(directory.path().join(name), "{}").unwrap();
        }
        let names: Vec<_> = discover(directory.path())
            .unwrap()
            .into_iter()
            .map(|file| file.name.to_string())
            .collect();
        assert_eq!(names, ["b.json", "day=1/a.json"]);
    }

    #[test]
    fn a_missing_source_is_missing() {
        let error = discover(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
    }
}
