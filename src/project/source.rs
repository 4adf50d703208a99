//! Sources: where the records of a Bronze table come from.

use std::path::PathBuf;

use crate::error::Problem;
use crate::name::{Layer, TableName};

use super::load::TextFile;
use super::raw::{self, At, RawSource};
use super::resolve::Resolver;
use super::{Format, KeepRaw, Mistake, Source, ddl, format};

/// How the files of the source called `name` are written, by the pipeline `text` in `file`; None when it
/// has no such source.
pub fn declared_format(name: &str, file: &str, text: &str) -> Result<Option<Format>, Vec<Problem>> {
    let file = TextFile { path: file.to_owned(), stem: String::new(), text: text.to_owned() };
    let mut problems = Vec::new();
    let pipeline = raw::read(&file, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut sources = pipeline.iter().flat_map(|pipeline| &pipeline.sources);
    let Some(source) = sources.find(|source| source.name.value == name) else { return Ok(None) };
    let in_file = |mistakes: Vec<Mistake>| {
        mistakes.into_iter().map(|mistake| mistake.in_file(&file.path)).collect()
    };
    format::resolve(&source.format).map(Some).map_err(in_file)
}

impl Resolver {
    /// The source that `raw` declares in `file`; None when there is a problem with it.
    pub(super) fn source(&mut self, file: &TextFile, raw: &RawSource) -> Option<Source> {
        let table = match TableName::new(Layer::Bronze, &raw.name.value) {
            Ok(table) => table,
            Err(message) => return self.problem(&file.path, raw.name.line, message, None),
        };
        self.declare(file, raw.name.line, &table);
        let paths = self.paths(file, raw);
        let choices = [("rescued", KeepRaw::Rescued), ("always", KeepRaw::Always)];
        let keep_raw = self.choice(file, raw.keep_raw.as_ref(), &choices).unwrap_or_default();
        let format = match format::resolve(&raw.format) {
            Ok(format) => Some(format),
            Err(mistakes) => self.mistakes(file, mistakes),
        };
        let thresholds = self.thresholds(file, &raw.thresholds);
        let ddl = self.file_of(file, &raw.name, &table)?;
        match ddl::read(table.name(), &ddl.text) {
            Ok(declaration) => Some(Source {
                file: ddl.path,
                description: declaration.description,
                columns: declaration.columns,
                paths: paths?,
                format: format?,
                keep_raw,
                thresholds,
                table,
            }),
            Err(mistakes) => self.mistakes(&ddl, mistakes),
        }
    }

    fn paths(&mut self, file: &TextFile, raw: &RawSource) -> Option<Vec<PathBuf>> {
        if raw.paths.is_empty() {
            let message = format!("source `{}` does not say where its files are", raw.name.value);
            let hint = format!("add [source.{}.files] with path = \"…\"", raw.name.value);
            return self.problem(&file.path, raw.name.line, message, Some(hint));
        }
        for (index, path) in raw.paths.iter().enumerate() {
            let place = (path.line, path.column);
            if raw.paths.iter().take(index).any(|other| other.value == path.value) {
                let message = format!("the path `{}` stands twice", path.value);
                self.problem_at(&file.path, place, message, None);
            }
            // A file may well be called like a pattern that is none.
            if let Err(wrong) = globset::Glob::new(&path.value)
                && is_pattern(path)
            {
                let message = format!("`{}` is no pattern: {}", path.value, wrong.kind());
                self.problem_at(&file.path, place, message, None);
            }
        }
        Some(raw.paths.iter().map(|path| PathBuf::from(&path.value)).collect())
    }
}

fn is_pattern(path: &At<String>) -> bool {
    path.value.contains(['*', '?', '[', '{'])
}
