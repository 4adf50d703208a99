//! The one error type: what could not be done, where, what to try, and why.
//!
//! A [`Kind`] exists only where the reader would act differently; the exit code follows from it.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;
use std::path::Path;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the reader of an error should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Correct the configuration, the flag or the SQL.
    Invalid,
    /// Check the name: there is no such thing.
    Missing,
    /// Use other credentials or permissions.
    Denied,
    /// Look at the data: a rule that must hold does not.
    Data,
    /// Run again: another writer won.
    Conflict,
    /// Wait, or check the storage.
    Unavailable,
    /// Nothing: it was asked to stop.
    Stopped,
    /// Report it, with the chain.
    Bug,
}

impl Kind {
    /// The process exit code for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid | Self::Missing => 2,
            Self::Denied => 3,
            Self::Data => 4,
            Self::Conflict => 5,
            Self::Unavailable => 6,
            Self::Bug => 70,
            Self::Stopped => 130,
        }
    }

    /// The kind that the deepest input/output cause of `error` stands for, or `otherwise`.
    fn of_cause(error: &(dyn StdError + 'static), otherwise: Self) -> Self {
        let mut kind = otherwise;
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                kind = Self::of_io(io.kind()).unwrap_or(kind);
            } else if let Some(store) = cause.downcast_ref::<object_store::Error>() {
                kind = match store {
                    object_store::Error::NotFound { .. } => Self::Missing,
                    object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. } => Self::Denied,
                    _ => kind,
                };
            } else if let Some(own) = cause.downcast_ref::<Error>() {
                return own.kind();
            }
            next = cause.source();
        }
        kind
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        Some(match kind {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::TimedOut
            | io::ErrorKind::ConnectionRefused => Self::Unavailable,
            _ => return None,
        })
    }
}

/// One thing wrong in a file that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the user would name it.
    pub file: String,
    /// The line, from 1; 0 when the problem is the file as a whole.
    pub line: usize,
    /// The column, from 1; 0 when only the line is known.
    pub column: usize,
    /// What is wrong, lower case, without a dot.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", self.file, self.message)?,
            (line, 0) => write!(f, "{}:{line}: {}", self.file, self.message)?,
            (line, column) => write!(f, "{}:{line}:{column}: {}", self.file, self.message)?,
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why something could not be done.
///
/// `Display` gives one line without the cause; [`Error::render`] gives all of it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    at: Vec<(&'static str, String)>,
    hint: Option<String>,
    problems: Vec<Problem>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`: `what` says in lower case and without a dot what could not be done.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            at: Vec::new(),
            hint: None,
            problems: Vec::new(),
            source: None,
        }))
    }

    /// An error of reading or writing `path`; the kind follows from `source`.
    pub fn io(what: impl Into<String>, path: &Path, source: io::Error) -> Self {
        Self::storage(what, source).at("file", path.display())
    }

    /// An error of storage underneath; the kind follows from the deepest cause of `source`.
    pub fn storage(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        let kind = Kind::of_cause(&source, Kind::Unavailable);
        let full = is_full(&source);
        let error = Self::new(kind, what).because(source);
        if full {
            error.hint(
                "free some space, then run again: what was committed stays, the rest is done anew",
            )
        } else {
            error
        }
    }

    /// Everything that is wrong in the files of a project, in the order of the files.
    pub fn problems(what: impl Into<String>, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        let mut error = Self::new(Kind::Invalid, what);
        error.0.problems = problems;
        error
    }

    /// Names where it happened, for instance `.at("table", name)`.
    #[must_use]
    pub fn at(mut self, key: &'static str, value: impl Display) -> Self {
        self.0.at.push((key, value.to_string()));
        self
    }

    /// Says what to try.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.0.hint = Some(text.into());
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What the reader should do.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The places that the error names, outermost last.
    pub fn places(&self) -> &[(&'static str, String)] {
        &self.0.at
    }

    /// The error as a person reads it: the line, its problems, the chain of causes, the hint.
    pub fn render(&self) -> String {
        let mut text = format!("error: {self}");
        for problem in &self.0.problems {
            text.push_str(&format!("\n  {problem}"));
        }
        let mut said = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let line = without_noise(&cause.to_string());
            // Wrappers that repeat their cause in their own words say nothing new.
            if !said.contains(&line) {
                text.push_str(&format!("\n  caused by: {line}"));
                said.push_str(&line);
            }
            next = cause.source();
        }
        if let Some(hint) = self.hint_of_chain() {
            text.push_str(&format!("\n\nhint: {hint}"));
        }
        text
    }

    fn hint_of_chain(&self) -> Option<&str> {
        if let Some(hint) = &self.0.hint {
            return Some(hint);
        }
        let mut next = self.source();
        while let Some(cause) = next {
            if let Some(hint) = cause.downcast_ref::<Self>().and_then(|own| own.0.hint.as_deref()) {
                return Some(hint);
            }
            next = cause.source();
        }
        None
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        for (key, value) in &self.0.at {
            write!(f, " {key}=`{value}`")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// The beginning of `text` as one line, without what wrappers of wrappers put before it, some of it wrong: a
/// file that cannot be written is no failure to parse.
fn without_noise(text: &str) -> String {
    const NOISE: [&str; 7] = [
        "Failed to parse parquet: ",
        "Parquet error: ",
        "External: ",
        "External error: ",
        "Arrow error: ",
        "Object Store error: ",
        "Generic LocalFileSystem error: ",
    ];
    // Some causes go over several lines, as a list of who holds how much memory.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.take(5).collect::<Vec<_>>().join(" ");
    let mut line = text.as_str();
    while let Some(rest) = NOISE.iter().find_map(|noise| line.strip_prefix(noise)) {
        line = rest;
    }
    line.to_owned()
}

fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_follows_the_deepest_cause() {
        let io = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::storage("cannot write", io).at("table", "gold.x");
        assert_eq!(error.kind(), Kind::Denied);
        assert_eq!(error.to_string(), "cannot write table=`gold.x`");
    }

    #[test]
    fn a_full_disk_says_so_and_what_to_do() {
        let error = Error::storage("cannot write", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.kind().exit_code(), 6);
        assert!(error.render().contains("free some space"));
    }

    #[test]
    fn problems_are_listed_once_and_in_order() {
        let problem = |line, message: &str| Problem {
            file: "a.toml".into(),
            line,
            column: 0,
            message: message.into(),
            hint: None,
        };
        let error = Error::problems("bad", vec![problem(9, "b"), problem(2, "a"), problem(9, "b")]);
        assert_eq!(error.render(), "error: bad\n  a.toml:2: a\n  a.toml:9: b");
    }
}
