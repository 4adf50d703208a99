//! What stands in a project of a table, and what is proposed instead.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::project::{Format, Header, RecordPath, declared_columns, declared_format};

use super::bronze::{Column, amended, create_table, wanted};
use super::column_type::ColumnType;
use super::difference::difference;
use super::naming::quoted;
use super::starter::source_section;

/// A file as it stands and as it is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, relative to the project, with `/`.
    pub file: String,
    /// Its text; None when there is no such file.
    pub before: Option<String>,
    /// The text that is proposed.
    pub after: String,
}

impl Change {
    /// The lines that differ, with some around them, for a person to read.
    pub fn difference(&self) -> String {
        difference(self.before.as_deref().unwrap_or_default(), &self.after)
    }

    /// Writes the file below `root`: a new one only as long as there is none, and one that stands only
    /// as long as it is what it was.
    ///
    /// Errors: what the storage says; `Conflict` when the file has changed.
    pub fn write(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.file);
        let failed = |e| Error::io("cannot write a file of the project", &path, e);
        let changed = || {
            Error::new(Kind::Conflict, "the file has changed since it was compared")
                .at("file", path.display())
                .hint("nothing of it was written: run the command again")
        };
        let directory = path.parent().unwrap_or(root);
        fs::create_dir_all(directory)
            .map_err(|e| Error::io("cannot create a directory", directory, e))?;
        if read(root, &self.file)? != self.before {
            return Err(changed());
        }
        if self.before.is_none() {
            return match File::create_new(&path) {
                Ok(mut file) => file.write_all(self.after.as_bytes()).map_err(failed),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(changed()),
                Err(e) => Err(failed(e)),
            };
        }
        // Half of a file never takes the place of a whole one.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = directory.join(format!(".{name}.tmp"));
        fs::write(&unfinished, &self.after).map_err(failed)?;
        fs::rename(&unfinished, &path).map_err(failed)
    }
}

/// What stands of the table.
#[derive(Debug)]
pub(super) struct Standing {
    bronze: Option<String>,
    silver: Option<String>,
    /// The columns that are declared; none when no Bronze table is.
    declared: Vec<Column>,
    /// Where the pipeline is, or will be, and its text.
    pipeline: (String, Option<String>),
    /// How the files are written by the source that stands; None when there is none.
    format: Option<Format>,
    has_model: bool,
}

impl Standing {
    /// What stands of the table called `name` in the project at `root`. What no pipeline declares goes
    /// into the one called `pipeline`.
    ///
    /// Errors: `Invalid` when a file that has to be compared cannot be understood.
    pub(super) fn read(root: &Path, name: &str, pipeline: &str) -> Result<Self> {
        let file = bronze_file(name);
        let bronze = read(root, &file)?;
        let declared = match &bronze {
            Some(text) => declared(name, &file, text)?,
            None => Vec::new(),
        };
        let mut standing = Self {
            bronze,
            declared,
            silver: read(root, &silver_file(name))?,
            pipeline: (format!("pipelines/{pipeline}.toml"), None),
            format: None,
            has_model: false,
        };
        standing.pipeline.1 = read(root, &standing.pipeline.0)?;
        for (file, text) in pipelines(root)? {
            let table: toml::Table = toml::from_str(&text).map_err(|e| {
                let error = Error::new(Kind::Invalid, "a pipeline of the project is no TOML");
                error.at("file", &file).because(e)
            })?;
            let has = |key: &str, name: &str| {
                table.get(key).and_then(toml::Value::as_table).is_some_and(|t| t.contains_key(name))
            };
            standing.has_model |= has("model", &format!("silver.{name}"));
            if has("source", name) {
                standing.format = declared_format(name, &file, &text).map_err(|problems| {
                    Error::problems("the pipeline of the source has mistakes", problems)
                })?;
                standing.pipeline = (file, Some(text));
            }
        }
        Ok(standing)
    }

    /// How the files are read: as the source says that stands, with the records at `records`, where that is
    /// asked for.
    ///
    /// Errors: `Invalid` when the source says otherwise.
    pub(super) fn format(&self, records: Option<Option<RecordPath>>) -> Result<Format> {
        let mut format = self.format.clone().unwrap_or_default();
        if let Some(records) = records {
            if self.has_source() && format.records != records {
                let (file, _) = &self.pipeline;
                return Err(Error::new(
                    Kind::Invalid,
                    "the source says otherwise where its records are",
                )
                .at("file", file)
                .hint("change `records` there, and leave out --records"));
            }
            format.records = records;
        }
        if format.csv.header == Header::Declared {
            let names = self.declared.iter().map(|(name, _)| name.clone()).collect();
            format.csv.header = Header::Names(names);
        }
        Ok(format)
    }

    /// Whether a pipeline declares the source.
    pub(super) fn has_source(&self) -> bool {
        self.format.is_some()
    }

    /// The columns that the table needs for those that were seen.
    pub(super) fn columns(&self, seen: &[Column]) -> Vec<Column> {
        wanted(&self.declared, seen)
    }

    /// What is to be said about columns that were declared or seen, and not both.
    pub(super) fn said_of_columns(&self, seen: &[Column]) -> Vec<String> {
        let unseen = names_without(&self.declared, seen);
        let columns = self.columns(seen);
        let left_out = names_without(seen, &columns);
        let mut said = Vec::new();
        if !unseen.is_empty() {
            said.push(format!("declared, and not in what was read: {}", unseen.join(", ")));
        }
        if !left_out.is_empty() {
            said.push(format!(
                "told from a declared column only by case, and goes to _rescued: {}",
                left_out.join(", ")
            ));
        }
        said
    }

    /// Whether there is a model, or something in its place.
    fn has_silver(&self) -> bool {
        self.silver.is_some() || self.has_model
    }

    /// What is to be said about a model that is another than `model`: it is left as it is, whether it
    /// selects the columns that are new or not.
    pub(super) fn said_of_model(
        &self,
        name: &str,
        columns: &[Column],
        model: &str,
    ) -> Option<String> {
        let silver = self.silver.as_ref().filter(|silver| *silver != model)?;
        let is_missing = |name: &str| !silver.contains(&quoted(name));
        let missing = columns.iter().skip(self.declared.len()).map(|(name, _)| name.as_str());
        let missing: Vec<&str> = missing.filter(|name| is_missing(name)).collect();
        let what = match missing.is_empty() {
            true => String::new(),
            false => format!(", and does not select {}", missing.join(", ")),
        };
        Some(format!("{} is left as it is{what}", silver_file(name)))
    }

    /// The files as they are proposed, those among them that stand so already too.
    pub(super) fn proposal(&self, name: &str, columns: &[Column], starter: &Texts) -> Vec<Change> {
        let comment =
            format!("-- One row per delivered record of {name}, as the source said it.\n");
        let bronze = match &self.bronze {
            Some(text) => amended(name, text, &self.declared, columns),
            None => create_table(name, &comment, columns),
        };
        let file = bronze_file(name);
        let mut changes = vec![Change { file, before: self.bronze.clone(), after: bronze }];
        if !self.has_silver() || self.silver.as_ref() == Some(&starter.model) {
            let (before, after) = (self.silver.clone(), starter.model.clone());
            changes.push(Change { file: silver_file(name), before, after });
        }
        let mut sections = Vec::new();
        if !self.has_source() {
            sections.push(source_section(name, &starter.paths, starter.records.as_deref()));
        }
        if !self.has_silver() {
            sections.push(starter.section.clone());
        }
        let (file, before) = self.pipeline.clone();
        let after = match (&before, sections.is_empty()) {
            (Some(text), true) => text.clone(),
            (Some(text), false) if text.trim().is_empty() => sections.join("\n"),
            (Some(text), false) => format!("{}\n\n{}", text.trim_end(), sections.join("\n")),
            (None, _) => format!("description = \"Records of {name}\"\n\n{}", sections.join("\n")),
        };
        changes.push(Change { file, before, after });
        changes
    }
}

/// The texts that go where nothing stands.
#[derive(Debug)]
pub(super) struct Texts {
    pub paths: Vec<String>,
    /// Where in the files' values the records are, if not these themselves.
    pub records: Option<String>,
    pub model: String,
    pub section: String,
}

/// The names of `columns` that are none of `others`.
fn names_without<'a>(columns: &'a [Column], others: &[Column]) -> Vec<&'a str> {
    let is_alone = |name: &&str| !others.iter().any(|(other, _)| other == name);
    columns.iter().map(|(name, _)| name.as_str()).filter(is_alone).collect()
}

fn bronze_file(name: &str) -> String {
    format!("sql/bronze/{name}.sql")
}

fn silver_file(name: &str) -> String {
    format!("sql/silver/{name}.sql")
}

fn declared(name: &str, file: &str, text: &str) -> Result<Vec<Column>> {
    let columns = declared_columns(name, file, text).map_err(|problems| {
        Error::problems("the Bronze table that stands cannot be compared", problems)
    })?;
    let fields = columns.fields().iter();
    Ok(fields.map(|field| (field.name().clone(), ColumnType::declared(field))).collect())
}

/// The text of a file of the project; None when there is none.
fn read(root: &Path, file: &str) -> Result<Option<String>> {
    let path = root.join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("cannot read a file of the project", &path, e)),
    }
}

/// The pipelines of the project with their texts, in the order of their names.
fn pipelines(root: &Path) -> Result<Vec<(String, String)>> {
    let directory = root.join("pipelines");
    let failed = |e| Error::io("cannot list a directory of the project", &directory, e);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with(['.', '_']) {
            let file = format!("pipelines/{name}");
            found.extend(read(root, &file)?.map(|text| (file, text)));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        Texts {
            paths: vec!["data".to_owned()],
            records: None,
            model: "SELECT 1 AS a\n".to_owned(),
            section: "[model.\"silver.t\"]\nstrategy = \"append\"\n".to_owned(),
        }
    }

    fn proposal(root: &Path, columns: &[(&str, ColumnType)]) -> Vec<Change> {
        let standing = Standing::read(root, "t", "t").unwrap();
        let seen: Vec<Column> =
            columns.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect();
        standing.proposal("t", &standing.columns(&seen), &texts())
    }

    #[test]
    fn what_was_written_is_proposed_no_more() {
        let root = tempfile::tempdir().unwrap();
        let columns = [("a", ColumnType::Integer)];
        let changes = proposal(root.path(), &columns);
        let files: Vec<&str> = changes.iter().map(|change| change.file.as_str()).collect();
        assert_eq!(files, ["sql/bronze/t.sql", "sql/silver/t.sql", "pipelines/t.toml"]);
        changes.iter().for_each(|change| change.write(root.path()).unwrap());
        let again = proposal(root.path(), &columns);
        assert!(again.iter().all(|change| change.before.as_ref() == Some(&change.after)));
        let more = proposal(root.path(), &[("a", ColumnType::Double), ("b", ColumnType::Text)]);
        assert_eq!(
            more[0].difference(),
            "  -- One row per delivered record of t, as the source said it.\n  CREATE TABLE t (\n\
             -     a BIGINT\n+     a DOUBLE,\n+     b TEXT\n  )"
        );
        assert_eq!(more.iter().filter(|one| one.before.as_ref() != Some(&one.after)).count(), 1);
    }

    #[test]
    fn columns_that_are_only_declared_or_only_seen_are_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sql/bronze")).unwrap();
        fs::write(root.path().join("sql/bronze/t.sql"), "CREATE TABLE t (a TEXT, b TEXT)").unwrap();
        let standing = Standing::read(root.path(), "t", "t").unwrap();
        let seen = ["B", "c"].map(|name| (name.to_owned(), ColumnType::Text));
        assert_eq!(
            standing.said_of_columns(&seen),
            [
                "declared, and not in what was read: a, b",
                "told from a declared column only by case, and goes to _rescued: B",
            ]
        );
        assert_eq!(standing.columns(&seen).len(), 3);
    }

    #[test]
    fn nothing_is_overwritten_that_changed_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        let change = |before: Option<&str>| Change {
            file: "a/b.sql".to_owned(),
            before: before.map(str::to_owned),
            after: "new".to_owned(),
        };
        change(None).write(root.path()).unwrap();
        assert_eq!(change(None).write(root.path()).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(change(Some("old")).write(root.path()).unwrap_err().kind(), Kind::Conflict);
        change(Some("new")).write(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn sections_go_to_the_pipeline_that_has_the_source() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("pipelines")).unwrap();
        let text = "# mine\n[source.t.files]\npath = \"x\"";
        fs::write(root.path().join("pipelines/other.toml"), text).unwrap();
        let changes = proposal(root.path(), &[("a", ColumnType::Integer)]);
        let last = changes.last().unwrap();
        assert_eq!(last.file, "pipelines/other.toml");
        assert_eq!(last.after, format!("{text}\n\n{}", texts().section));
    }
}
