//! What the user declared: pipelines, sources, models, expectations.
//!
//! [`Project::load`] reads `pipelines/*.toml` and `sql/<layer>/*.sql`; everything after the reading
//! is pure. Every problem of every file is found, not only the first; `engine::check` adds what
//! planning shows and refuses a project that has any, before anything is read or written for it.

mod channels;
mod ddl;
mod format;
mod graph;
mod load;
mod mistake;
mod model;
mod nesting;
mod parameters;
mod raw;
mod record_path;
mod resolve;
mod schedule;
mod source;
mod threshold;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::error::{Error, Kind, Problem, Result};
use crate::name::{TableName, did_you_mean};

pub use channels::{Channels, Claim, Line, Rule, Site};
pub use ddl::{JSON, declared_columns, is_column_name};
pub use format::{CsvOptions, Format, FormatKind, Header};
pub use nesting::{Excess, check_nesting};
pub use record_path::{PathStep, RecordPath};
pub use schedule::Schedule;
pub use source::declared_format;
pub use threshold::{Age, Limit, Thresholds};

pub(crate) use mistake::Mistake;

/// A directory of pipelines and models, checked as far as it can be without planning SQL.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory that `path` settings are relative to.
    pub root: PathBuf,
    /// The pipelines, by name, without what is wrong in them.
    pub pipelines: Vec<Pipeline>,
    /// The rules of channels.
    pub channels: Arc<Channels>,
    /// What is wrong in its files, as far as it shows without planning SQL. Whoever plans reports
    /// these together with what the planning shows, so that a user sees everything at once.
    pub problems: Vec<Problem>,
}

/// One file of `pipelines/`: sources, and the models that are built from them.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file's name without `.toml`.
    pub name: String,
    /// The file, relative to the project.
    pub file: String,
    /// What it is for.
    pub description: String,
    /// When to run it.
    pub schedule: Option<Schedule>,
    /// Where records come from; each fills one Bronze table.
    pub sources: Vec<Source>,
    /// What is built, each after all that it reads.
    pub models: Vec<Model>,
}

/// Where the records of one Bronze table come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The Bronze table.
    pub table: TableName,
    /// The file of the table's DDL, relative to the project.
    pub file: String,
    /// The leading comment of the DDL.
    pub description: String,
    /// The declared columns, without the system columns.
    pub columns: SchemaRef,
    /// The files, directories and patterns of files that hold the records; relative to the project.
    pub paths: Vec<PathBuf>,
    /// How the files are written.
    pub format: Format,
    /// Which records keep their exact text.
    pub keep_raw: KeepRaw,
    /// What must hold of its batches.
    pub thresholds: Thresholds,
}

/// Which records keep their exact text in `_raw`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepRaw {
    /// Those with something rescued.
    #[default]
    Rescued,
    /// All.
    Always,
}

/// One SELECT that fills one table.
#[derive(Clone, Debug)]
pub struct Model {
    /// The table that it fills.
    pub table: TableName,
    /// The SQL file, relative to the project.
    pub file: String,
    /// The leading comment of the SQL.
    pub description: String,
    /// The SELECT as it was written, with the values of parameters in their places.
    pub sql: String,
    /// The SELECT in a form that comments and layout do not change.
    pub normal_sql: String,
    /// Changes when rules outside of its SQL do that it goes by, those of channels; else empty.
    pub rules: String,
    /// The tables that it reads, each once, sorted.
    pub reads: Vec<TableName>,
    /// How the table is kept up to date.
    pub strategy: Strategy,
    /// The columns that identify what is replaced together.
    pub by: Vec<String>,
    /// The columns that the table's files are separated by.
    pub partition_by: Vec<String>,
    /// What its rows must satisfy.
    pub expectations: Vec<Expectation>,
    /// What must hold of all of them.
    pub thresholds: Thresholds,
    /// The place of the declaration: file and line.
    pub declared_at: (String, usize),
}

/// How a table is kept up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// New upstream rows are added.
    Append,
    /// Rows with the `by` values of new upstream rows are replaced; the newest record wins.
    Upsert,
    /// Groups with touched `by` values are computed anew.
    Recompute,
    /// Everything is computed anew.
    #[default]
    Full,
}

impl Strategy {
    /// All strategies as they are written.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("append", Self::Append),
        ("upsert", Self::Upsert),
        ("recompute", Self::Recompute),
        ("full", Self::Full),
    ];

    /// The strategy as it is written in a pipeline.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Recompute => "recompute",
            Self::Full => "full",
        }
    }
}

/// A SQL predicate that rows of a model must satisfy.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its name, unique in its model.
    pub name: String,
    /// The predicate over the model's columns.
    pub check: String,
    /// What happens to a row for which it is not true.
    pub otherwise: Outcome,
    /// The place of the predicate: file and line.
    pub declared_at: (String, usize),
}

/// What happens to a row that does not satisfy an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is counted and kept.
    Warn,
    /// It is counted and left out.
    Drop,
    /// It goes to `ops.quarantine` instead.
    Quarantine,
    /// The table is not written and the run fails.
    Fail,
}

impl Outcome {
    /// All outcomes as they are written.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("warn", Self::Warn),
        ("drop", Self::Drop),
        ("quarantine", Self::Quarantine),
        ("fail", Self::Fail),
    ];

    /// The outcome as it is written in a pipeline.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drop => "drop",
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        }
    }
}

impl Project {
    /// Reads the project in directory `root`.
    ///
    /// Errors: `Missing` when there is no project, `Invalid` when one of its files is no text. Mistakes
    /// in what is written there are no error yet: they are in [`Project::problems`].
    pub fn load(root: &Path) -> Result<Self> {
        let resolved = resolve::resolve(&load::read(root)?);
        let resolve::Resolved { pipelines, channels, problems } = resolved;
        Ok(Self { root: root.to_owned(), pipelines, channels: Arc::new(channels), problems })
    }

    /// The pipeline called `name`, or the only one, or all when no name is given.
    pub fn select(&self, name: Option<&str>) -> Result<Vec<&Pipeline>> {
        let Some(name) = name else { return Ok(self.pipelines.iter().collect()) };
        let found: Vec<_> =
            self.pipelines.iter().filter(|pipeline| pipeline.name == name).collect();
        if found.is_empty() {
            let error = Error::new(Kind::Missing, "there is no such pipeline").at("pipeline", name);
            let names = self.pipelines.iter().map(|pipeline| pipeline.name.as_str());
            return Err(match did_you_mean(name, names) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(found)
    }

    /// All models of all pipelines, each after what it reads.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.pipelines.iter().flat_map(|pipeline| &pipeline.models)
    }

    /// All sources of all pipelines.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.pipelines.iter().flat_map(|pipeline| &pipeline.sources)
    }
}
