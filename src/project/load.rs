//! The only reader of a project's files.

use std::fs;
use std::path::Path;

use crate::error::{Error, Kind, Result};

use super::channels;

/// A text file of the project.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    /// Its path relative to the project, with `/`.
    pub path: String,
    /// Its name without extension.
    pub stem: String,
    /// What stands in it.
    pub text: String,
}

/// The files of a project as they were found.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// `pipelines/*.toml`
    pub pipelines: Vec<TextFile>,
    /// `sql/<directory>/*.sql`, with the directory.
    pub sql: Vec<(String, TextFile)>,
    /// The rules of channels, and the sites that they know, where the project has its own.
    pub channels: [Option<TextFile>; 2],
}

/// Reads every pipeline and every SQL file below `root`, in the order of their names.
pub(super) fn read(root: &Path) -> Result<Files> {
    let pipelines = root.join("pipelines");
    if !pipelines.is_dir() {
        return Err(Error::new(Kind::Missing, "there is no project here")
            .at("directory", root.display())
            .hint("a project has a directory `pipelines`; start one with `clickwatch init DIR`, or name another with --project"));
    }
    let mut files = Files {
        pipelines: read_directory(&pipelines, "pipelines", "toml")?,
        channels: read_channels(root)?,
        ..Files::default()
    };
    if files.pipelines.is_empty() {
        return Err(Error::new(Kind::Missing, "there is no pipeline in this project")
            .at("directory", pipelines.display())
            .hint("a pipeline is a file such as pipelines/web_traffic.toml"));
    }
    let sql = root.join("sql");
    for layer in names_in(&sql, true)? {
        let shown = format!("sql/{layer}");
        for file in read_directory(&sql.join(&layer), &shown, "sql")? {
            files.sql.push((layer.clone(), file));
        }
    }
    Ok(files)
}

/// The files about channels below `root`, those that are there.
pub(super) fn read_channels(root: &Path) -> Result<[Option<TextFile>; 2]> {
    let file = |shown: &str| {
        let path = root.join(shown);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(TextFile { path: shown.to_owned(), stem: String::new(), text })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot read a file of the project", &path, e)),
        }
    };
    Ok([file(channels::RULES)?, file(channels::SOURCES)?])
}

fn read_directory(directory: &Path, shown: &str, extension: &str) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for name in names_in(directory, false)? {
        let Some(stem) = name.strip_suffix(&format!(".{extension}")) else { continue };
        let path = directory.join(&name);
        let text = fs::read_to_string(&path)
            .map_err(|e| Error::io("cannot read a file of the project", &path, e))?;
        files.push(TextFile { path: format!("{shown}/{name}"), stem: stem.to_owned(), text });
    }
    Ok(files)
}

/// The names in `directory`, sorted, hidden ones left out; none when it does not exist.
fn names_in(directory: &Path, directories: bool) -> Result<Vec<String>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let failed = |e| Error::io("cannot list a directory of the project", directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() == directories && !name.starts_with(['.', '_']) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
