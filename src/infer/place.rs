//! Paths as a pipeline names them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// The `paths`, which are relative to the working directory, as the project at `root` names them:
/// relative to itself where they are in it. Many files of a directory become one pattern, when it means
/// just them.
///
/// Errors: `Invalid` when a path is no text.
pub(super) fn in_project(root: &Path, paths: &[PathBuf]) -> Result<Vec<String>> {
    let failed = |e| Error::io("cannot tell where the project is", root, e);
    let root = std::path::absolute(root).map_err(failed)?;
    let pattern = pattern_of(paths).map(|pattern| vec![pattern]);
    let mut named = Vec::new();
    for path in pattern.as_deref().unwrap_or(paths) {
        let absolute = std::path::absolute(path)
            .map_err(|e| Error::io("cannot tell where the files are", path, e))?;
        let inside = absolute.strip_prefix(&root).unwrap_or(&absolute);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let text = inside.to_str().ok_or_else(|| {
            Error::new(Kind::Invalid, "a pipeline cannot name this path, which is not UTF-8")
                .at("path", path.display())
                .hint("rename it, or name its directory")
        })?;
        if !named.iter().any(|other| other == text) {
            named.push(text.to_owned());
        }
    }
    Ok(named)
}

/// The pattern that means just the files `paths`, if they are several files of one directory.
fn pattern_of(paths: &[PathBuf]) -> Option<PathBuf> {
    let [first, _, ..] = paths else { return None };
    let directory = first.parent()?;
    let extension = first.extension()?;
    let is_alike =
        |path: &Path| path.parent() == Some(directory) && path.extension() == Some(extension);
    if !paths.iter().all(|path| is_alike(path) && path.is_file()) {
        return None;
    }
    let place = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let names = fs::read_dir(place).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let count = names.filter(|name| Path::new(name).extension() == Some(extension)).count();
    let plain =
        |text: &OsStr| text.to_str().is_some_and(|text| !text.contains(['*', '?', '[', '{']));
    (count == paths.len() && plain(extension) && plain(directory.as_os_str()))
        .then(|| directory.join(format!("*.{}", extension.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_project() {
        let root = tempfile::tempdir().unwrap();
        let named = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| root.path().join(name)).collect();
            in_project(root.path(), &paths).unwrap()
        };
        for name in ["a.json", "b.json", "c.txt"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(named(&["data"]), ["data"]);
        assert_eq!(named(&["data/*.json", "data/*.json"]), ["data/*.json"]);
        assert_eq!(named(&["a.json", "b.json"]), ["*.json"]);
        assert_eq!(named(&["a.json", "c.txt"]), ["a.json", "c.txt"]);
        assert_eq!(named(&["../x"]), ["../x"]);
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("y.json");
        let found = in_project(root.path(), std::slice::from_ref(&path)).unwrap();
        assert_eq!(found, [path.to_str().unwrap()]);
    }
}
