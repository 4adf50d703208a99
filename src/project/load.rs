//! The only reader of a project's files.

use std::fs;
use std::path::Path;

use crate::error::{Error, Kind, Result};

use super::Mistake;
use super::mistake::line_and_column;

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
    /// The files about channels.
    pub channels: ChannelFiles,
}

/// The files about channels, those that the project has.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelFiles {
    /// The rules, instead of the shipped ones.
    pub rules: Option<TextFile>,
    /// Rules that come before the others.
    pub local_rules: Option<TextFile>,
    /// The names of sites, instead of the shipped ones.
    pub sources: Option<TextFile>,
    /// Names of sites that are added to the others or take their place.
    pub local_sources: Option<TextFile>,
}

/// Reads every pipeline and every SQL file below `root`, in the order of their names.
pub(super) fn read(root: &Path) -> Result<Files> {
    let pipelines = root.join("pipelines");
    if !is_directory(&pipelines)? {
        return Err(Error::new(Kind::Missing, "there is no project here")
            .at("directory", root.display())
            .hint("a project has a directory `pipelines`; start one with `clickwatch init DIR`, or name another with --project"));
    }
    let mut files = Files {
        pipelines: read_directory(&pipelines, "pipelines", "toml")?,
        channels: read_channels(root)?,
        ..Files::default()
    };
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
pub(super) fn read_channels(root: &Path) -> Result<ChannelFiles> {
    let file = |shown: &str| {
        let path = root.join(shown);
        match fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => {
                let text = read_text(&path, shown)?;
                Ok(Some(TextFile { path: shown.to_owned(), stem: String::new(), text }))
            }
        }
    };
    Ok(ChannelFiles {
        rules: file("sql/channel_rules.csv")?,
        local_rules: file("sql/channel_rules.local.csv")?,
        sources: file("sql/channel_sources.csv")?,
        local_sources: file("sql/channel_sources.local.csv")?,
    })
}

fn read_directory(directory: &Path, shown: &str, extension: &str) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for name in names_in(directory, false)? {
        let Some(stem) = name.strip_suffix(&format!(".{extension}")) else { continue };
        let path = format!("{shown}/{name}");
        let text = read_text(&directory.join(&name), &path)?;
        files.push(TextFile { path, stem: stem.to_owned(), text });
    }
    Ok(files)
}

/// The text of the file at `path`, which users know as `shown`.
fn read_text(path: &Path, shown: &str) -> Result<String> {
    let failed = |e| Error::io("cannot read a file of the project", path, e);
    let wrong = |mistake: Mistake| {
        Error::problems("the project has a file that is no text", vec![mistake.in_file(shown)])
    };
    // Whoever opens a pipe waits for its writer, and a device may never end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(wrong(
            Mistake::of_file("this is no regular file")
                .hint("put a file in its place, or rename it"),
        ));
    }
    String::from_utf8(fs::read(path).map_err(failed)?).map_err(|e| {
        let place = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(e.as_bytes().get(..place).unwrap_or_default());
        let (line, column) = line_and_column(&before, before.len());
        wrong(Mistake::at(line, column, "this is not UTF-8").hint("save the file as UTF-8"))
    })
}

/// The names in `directory`, sorted, hidden ones left out; none when it does not exist.
fn names_in(directory: &Path, directories: bool) -> Result<Vec<String>> {
    let failed = |e| Error::io("cannot list a directory of the project", directory, e);
    if !is_directory(directory)? {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) && is_directory(&entry.path())? == directories {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Whether there is a directory at `path`; what may not be looked at is an error, not an absence.
fn is_directory(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("cannot look at a file of the project", path, e)),
    }
}
