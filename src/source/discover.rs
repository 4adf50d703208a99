//! Which files a source has, and what makes a file one that is known.
//!
//! A delivery is a content under a name. What has landed is remembered by both (`ops.files`), and
//! never lands again, whatever happens to the time of the file:
//!
//! - A file whose name, size and time are those of one that landed is known, and is not opened. One
//!   that is written anew with another content, the same size and the time set back cannot be told
//!   from it.
//! - One with another time or size is hashed. If it holds what landed last under its name, it is
//!   known: it was touched or copied over. If it begins with that, it has grown and lands from
//!   there on, as long as records can be read from there: not when they stand in an array, and of a
//!   compressed file only from a member or frame on. Of CSV it has to end with a row and its line
//!   break, and its first row names the fields of what is added. Anything else under a known name is
//!   a new content, and lands as a whole.
//! - What was rejected at the very end of a file may be the beginning of a record. It is in
//!   quarantine, and when the file grows it is read again together with what follows.
//! - A file that is new by that and as long as one that landed is hashed. If it holds what a file of
//!   another name held, and that name holds it no longer, it was renamed, and is known. If that one
//!   is still there, it is a delivery of its own and lands: two hours may well bring the same.
//! - A file that is new by that too and begins with what a file of another name held, and no file
//!   holds any more, was renamed and has grown: it lands from the end of the longest of these on.
//!   What a file held before it grew counts as held by it.
//! - A file that is another one when it is opened than when it was found is left for the next run,
//!   and does not count as known. One that is not compressed and has only grown meanwhile is read up
//!   to the length that it had.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, Kind, Result};
use crate::runtime::{Stop, Timestamp};

use super::pattern::Pattern;
use super::{InputFile, Place};

/// The directory that makes another one a Delta table.
const LOG: &str = "_delta_log";

/// What there is at the path of a source.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// Its files, sorted by name.
    pub files: Vec<InputFile>,
    /// What was left out, other than by its name, and why.
    pub warnings: Vec<String>,
}

/// The files at `paths`, which are relative to `root`: files, directories with all that is below
/// them, and patterns of files; each once, however many paths and links lead to it.
///
/// Out: no hidden files or directories (`.x`, `_x`) and no `*.tmp`: those are still being written
/// or belong to somebody's bookkeeping. No Delta tables, which are no sources of records. The name
/// of a file is its path below the directory, or below where the pattern begins; where there are
/// several paths, it is that below `root`, so that no two files have the same.
/// Errors: `Missing` when there is no such path, `Denied` when a part of it may not be read,
/// `Invalid` when it is neither a file nor a directory of files, `Stopped`.
pub fn discover(root: &Path, paths: &[PathBuf], stop: &Stop) -> Result<Discovered> {
    let (mut seen, mut found) = (HashSet::new(), Discovered::default());
    for path in paths {
        let pattern = Pattern::new(root, path)?;
        let named = if paths.len() == 1 { named_from(&pattern) } else { root.to_owned() };
        let directories = HashSet::new();
        let real = PathBuf::new();
        let mut search =
            Search { pattern, named, real, stop, directories, seen, found, takes_any: false };
        search.run()?;
        if !search.takes_any && !search.pattern.takes_all() {
            search.found.warnings.push(format!("no file matches `{}`", path.display()));
        }
        (seen, found) = (search.seen, search.found);
    }
    found.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What the names of the files of the only path are relative to.
fn named_from(pattern: &Pattern) -> PathBuf {
    let is_file = pattern.takes_all() && pattern.base.is_file();
    let directory = pattern.base.parent().filter(|_| is_file);
    directory.unwrap_or(&pattern.base).to_owned()
}

/// Whether files below `path`, which is relative to `root`, are searched in `directory`.
pub fn searches(root: &Path, path: &Path, directory: &Path) -> bool {
    Pattern::new(root, path)
        .is_ok_and(|pattern| pattern.is_deep() && holds(&pattern.base, directory))
}

/// A walk through what is at one path of a source.
struct Search<'a> {
    pattern: Pattern,
    /// What the names of files are relative to.
    named: PathBuf,
    /// The base of the pattern, as it really is called.
    real: PathBuf,
    stop: &'a Stop,
    /// The directories that were looked through, by their real paths.
    directories: HashSet<PathBuf>,
    /// The files that were found, by their real paths.
    seen: HashSet<PathBuf>,
    found: Discovered,
    /// Whether there is a file of the pattern, found before or not.
    takes_any: bool,
}

impl Search<'_> {
    fn run(&mut self) -> Result<()> {
        let base = self.pattern.base.clone();
        let metadata = match fs::metadata(&base) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.pattern.takes_all() => {
                return Ok(());
            }
            Err(e) => return Err(no_source(&base, e)),
        };
        let failed = |e| Error::io("cannot find the source", &base, e);
        self.real = base.canonicalize().map_err(failed)?;
        if metadata.is_dir() {
            if self.pattern.takes_all() && base.join(LOG).exists() {
                return Err(Error::new(
                    Kind::Invalid,
                    "the source is a Delta table, not a directory of JSON files",
                )
                .at("path", base.display())
                .hint("correct `path` in the pipeline"));
            }
            let real = self.real.clone();
            return self.directory(&base, &real);
        }
        if metadata.is_file() && self.pattern.takes_all() {
            let real = self.real.clone();
            return self.file(&base, &real, &metadata);
        }
        if metadata.is_file() {
            return Ok(());
        }
        Err(Error::new(Kind::Invalid, "the source is neither a file nor a directory")
            .at("path", base.display())
            .hint("pipes and devices cannot be read twice: write to a file first"))
    }

    /// Looks through the directory that is found as `path` and really called `real`.
    fn directory(&mut self, path: &Path, real: &Path) -> Result<()> {
        let failed = |e| Error::io("cannot list a directory of the source", path, e);
        if !self.directories.insert(real.to_owned()) {
            return Ok(());
        }
        let mut entries =
            fs::read_dir(path).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        if entries.iter().any(|entry| entry.file_name() == LOG) {
            self.leave_out(path, "it is a Delta table");
            return Ok(());
        }
        entries.retain(|entry| !is_left_alone(&entry.file_name().to_string_lossy()));
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            self.stop.check()?;
            self.entry(&entry.path(), &real.join(entry.file_name()), real)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, real: &Path, directory: &Path) -> Result<()> {
        let linked = match path.is_symlink().then(|| path.canonicalize()).transpose() {
            Ok(linked) => linked,
            // Renamed or removed between the listing and now, or a link to what is not there.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => {
                self.leave_out(path, &format!("the link cannot be followed: {e}"));
                return Ok(());
            }
        };
        if let Some(target) = &linked {
            if directory.starts_with(target) || self.real.starts_with(target) {
                self.leave_out(path, "the link leads back to where it stands");
                return Ok(());
            }
            // It is found without the link.
            if self.pattern.takes_all() && target.starts_with(&self.real) {
                return Ok(());
            }
        }
        let real = linked.as_deref().unwrap_or(real);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => match self.pattern.goes_into(path) {
                true => self.directory(path, real),
                false => Ok(()),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(_) | Err(_) if !self.pattern.takes(path) => Ok(()),
            Ok(metadata) if metadata.is_file() => self.file(path, real, &metadata),
            Ok(_) => {
                self.leave_out(path, "it is neither a file nor a directory");
                Ok(())
            }
            Err(e) => Err(Error::io("cannot look at a file of the source", path, e)),
        }
    }

    fn file(&mut self, path: &Path, real: &Path, metadata: &Metadata) -> Result<()> {
        self.takes_any = true;
        if self.seen.insert(real.to_owned()) {
            self.found.files.push(input_file(&self.named, path, metadata)?);
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        self.found.warnings.push(format!("{} is left out: {reason}", path.display()));
    }
}

fn no_source(path: &Path, e: io::Error) -> Error {
    let error = Error::io("cannot find the source", path, e);
    match error.kind() {
        Kind::Missing => error.hint(
            "create it, correct `path` in the pipeline, or point elsewhere with --source NAME=PATH",
        ),
        _ => error,
    }
}

fn is_left_alone(name: &str) -> bool {
    name.starts_with(['.', '_']) || name.ends_with(".tmp")
}

/// Whether `path` is `directory` or below it, whatever links lead there; neither has to exist.
fn holds(directory: &Path, path: &Path) -> bool {
    real_path(path).starts_with(real_path(directory))
}

/// `path` without links, as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut existing = absolute.as_path();
    loop {
        if let Ok(real) = existing.canonicalize() {
            return real.join(absolute.strip_prefix(existing).unwrap_or(Path::new("")));
        }
        match existing.parent() {
            Some(parent) => existing = parent,
            None => return absolute,
        }
    }
}

/// Whether `file` is what it was when it was planned.
pub(super) fn is_as_planned(file: &InputFile, now: &Metadata) -> bool {
    let modified_at = now.modified().ok().map(instant);
    now.len() == file.bytes && modified_at == Some(file.modified_at)
}

fn input_file(root: &Path, path: &Path, metadata: &Metadata) -> Result<InputFile> {
    let modified = metadata
        .modified()
        .map_err(|e| Error::io("cannot tell when a file was changed", path, e))?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts = relative.components();
    let parts = parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let name: Vec<_> = parts.map(|part| shown(part.as_os_str())).collect();
    Ok(InputFile {
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        name: Arc::from(name.join("/")),
        bytes: metadata.len(),
        modified_at: instant(modified),
        from: Place::default(),
        hash: None,
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

    /// What is found at one path.
    fn discover(path: &Path, stop: &Stop) -> Result<Discovered> {
        super::discover(Path::new(""), &[path.to_owned()], stop)
    }

    fn names(found: &Discovered) -> Vec<&str> {
        found.files.iter().map(|file| &*file.name).collect()
    }

    #[test]
    fn hidden_and_unfinished_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("day=1")).unwrap();
        fs::create_dir(directory.path().join("_old")).unwrap();
        for name in ["b.json", ".a", "_truth.json", "c.json.tmp", "day=1/a.json", "_old/x.json"] {
            fs::write(directory.path().join(name), "{}").unwrap();
        }
        let found = discover(directory.path(), &Stop::new()).unwrap();
        assert_eq!(names(&found), ["b.json", "day=1/a.json"]);
        assert!(found.warnings.is_empty());
    }

    #[test]
    fn a_missing_source_is_missing() {
        let error = discover(Path::new("/nowhere/at/all"), &Stop::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
    }

    #[cfg(unix)]
    #[test]
    fn each_file_is_found_once_whatever_links_lead_to_it() {
        use std::os::unix::fs::symlink;
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(inside.path().join("a.json"), "{}").unwrap();
        fs::create_dir(outside.path().join("deep")).unwrap();
        fs::write(outside.path().join("deep/b.json"), "{}").unwrap();
        symlink(outside.path(), outside.path().join("deep/up")).unwrap();
        symlink(outside.path(), outside.path().join("itself")).unwrap();
        symlink(outside.path().join("deep/b.json"), inside.path().join("z.json")).unwrap();
        symlink(outside.path(), inside.path().join("link")).unwrap();
        symlink(outside.path().join("deep"), inside.path().join("other")).unwrap();
        symlink(inside.path().join("a.json"), inside.path().join("twin.json")).unwrap();
        symlink(inside.path(), inside.path().join("back")).unwrap();
        symlink("round", inside.path().join("round")).unwrap();
        symlink("/nowhere/at/all", inside.path().join("gone.json")).unwrap();
        let found = discover(inside.path(), &Stop::new()).unwrap();
        assert_eq!(names(&found), ["a.json", "link/deep/b.json"]);
        let said = found.warnings.join("\n");
        for name in ["back", "round", "link/itself", "link/deep/up"] {
            assert!(said.contains(&format!("{name} is left out")), "{name}: {said}");
        }
        assert_eq!(found.warnings.len(), 4, "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(discover(&pipe, &Stop::new()).unwrap_err().kind(), Kind::Invalid);
        let found = discover(directory.path(), &Stop::new()).unwrap();
        assert!(found.files.is_empty() && found.warnings.len() == 1, "{found:?}");
    }

    #[test]
    fn tables_are_no_sources() {
        let directory = tempfile::tempdir().unwrap();
        let table = directory.path().join("bronze/x");
        fs::create_dir_all(table.join(LOG)).unwrap();
        fs::write(table.join("a.json"), "{}").unwrap();
        let found = discover(directory.path(), &Stop::new()).unwrap();
        assert!(found.files.is_empty() && found.warnings.len() == 1, "{found:?}");
        assert_eq!(discover(&table, &Stop::new()).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_walk_stops_when_asked() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.json"), "{}").unwrap();
        let stop = Stop::new();
        stop.set();
        assert_eq!(discover(directory.path(), &stop).unwrap_err().kind(), Kind::Stopped);
    }

    #[test]
    fn a_directory_holds_what_is_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(holds(path, &path.join("lake")) && holds(path, path));
        assert!(holds(path, &path.join("not/there/yet")));
        assert!(!holds(&path.join("landing"), &path.join("lake")));
        assert!(!holds(&path.join("lake"), path));
    }

    #[test]
    fn several_paths_are_one_source_with_names_of_the_project() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a/x.json", "a/y.csv", "b/deep/x.json", "b/x.json", "c.json"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        let found = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            super::discover(root.path(), &paths, &Stop::new()).unwrap()
        };
        let several = found(&["a/*.json", "a/*.csv", "b", "b/*.json", "./c.json"]);
        let all = ["a/x.json", "a/y.csv", "b/deep/x.json", "b/x.json", "c.json"];
        assert_eq!(names(&several), all);
        assert!(several.warnings.is_empty(), "{:?}", several.warnings);
        assert_eq!(names(&found(&["b/**/*.json"])), names(&found(&["b"])));
        assert_eq!(names(&found(&["b/x.json"])), ["x.json"]);
        let none = found(&["a/*.gz", "d/*.json", "c.json"]);
        assert_eq!(names(&none), ["c.json"]);
        assert_eq!(none.warnings, ["no file matches `a/*.gz`", "no file matches `d/*.json`"]);
    }
}
