//! The one error type: what could not be done, where, what to try, and why.
//!
//! A [`Kind`] exists only where the reader would act differently; the exit code follows from it.

mod kind;
mod shown;

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;
use std::path::Path;

pub use kind::Kind;
pub(crate) use shown::{shortened, shown, shown_lines};

use kind::{causes, system_error};

/// How much of one text is shown in an error, in characters.
const LONGEST: usize = 1000;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// A line that a user wrote, and the place in it.
    excerpt: Option<(String, usize)>,
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
            excerpt: None,
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
        Self::caused(Kind::Unavailable, what, source)
    }

    /// An error whose kind follows from the deepest cause of `source` that tells one: what the system or
    /// a store has said, bytes that are not what they should be, a panic. Where none does it is
    /// `otherwise`.
    pub fn caused(
        otherwise: Kind,
        what: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        let kind = Kind::of_cause(&source, otherwise);
        let is_full = matches!(
            system_error(&source),
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        );
        let error = Self::new(kind, what).because(source);
        if is_full {
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

    /// Shows the place at `column` of `line`, which counts characters from 1.
    #[must_use]
    pub fn showing(mut self, line: impl Into<String>, column: usize) -> Self {
        self.0.excerpt = Some((line.into(), column));
        self
    }

    /// The same error of another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
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

    /// Whether the error or one of its causes says `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        causes(self).any(|cause| cause.to_string().contains(text))
    }

    /// The error as a person reads it: the line, its problems, the chain of causes, the hint. What a
    /// terminal would act on is escaped, and no text is endless.
    pub fn render(&self) -> String {
        let readable = |text: &str| shown(&shortened(text, LONGEST)).into_owned();
        let mut text = format!("error: {}", readable(&self.0.what));
        for (key, value) in &self.0.at {
            text.push_str(&format!(" {key}=`{}`", readable(value)));
        }
        for line in self.0.excerpt.iter().flat_map(|(line, column)| shown::excerpt(line, *column)) {
            text.push_str(&format!("\n  | {line}"));
        }
        for problem in &self.0.problems {
            text.push_str(&format!("\n  {}", readable(&problem.to_string())));
        }
        let mut said = self.to_string();
        for cause in causes(self).skip(1) {
            let line = without_noise(&cause.to_string());
            // Wrappers that repeat their cause in their own words say nothing new.
            if !said.contains(&line) {
                text.push_str(&format!("\n  caused by: {}", readable(&line)));
                said.push_str(&line);
            }
        }
        if let Some(hint) = self.hint_of_chain() {
            text.push_str(&format!("\n\nhint: {}", readable(hint)));
        }
        text
    }

    /// The error and its causes on one line, for a table.
    pub fn on_one_line(&self) -> String {
        let rendered = self.render();
        let lines = rendered.lines().take_while(|line| !line.is_empty()).map(str::trim);
        lines.collect::<Vec<_>>().join("; ").trim_start_matches("error: ").to_owned()
    }

    /// What the error says to try, or else the outermost of its causes that says so.
    pub(crate) fn hint_of_chain(&self) -> Option<&str> {
        causes(self).find_map(|cause| cause.downcast_ref::<Self>()?.0.hint.as_deref())
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
    // Some causes go over several lines, as a list of who holds how much memory. Where a backtrace
    // begins, the reader learns nothing more.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.take_while(|line| !line.starts_with("0: "));
    let text = lines.take(5).collect::<Vec<_>>().join(" ");
    let mut line = text.as_str();
    while let Some(rest) = NOISE.iter().find_map(|noise| line.strip_prefix(noise)) {
        line = rest;
    }
    line.to_owned()
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
    fn what_is_rendered_moves_no_terminal_and_has_an_end() {
        let wild = "a\u{1b}]0;x\u{7}\nb\u{202e}";
        let error = Error::new(Kind::Data, wild)
            .at("file", wild)
            .because(Error::new(Kind::Data, format!("inner {wild}")))
            .hint(wild);
        let text = error.render();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(error.to_string().contains(wild), "what is kept is exact");
        let long = Error::new(Kind::Data, "x").at("value", "y".repeat(1 << 20)).render();
        assert!(long.len() < 2 * LONGEST, "{}", long.len());
    }

    #[test]
    fn an_error_fits_on_one_line_with_its_causes() {
        let error =
            Error::new(Kind::Data, "outer").because(Error::new(Kind::Data, "inner")).hint("x");
        assert_eq!(error.on_one_line(), "outer; caused by: inner");
    }

    #[test]
    fn the_place_in_a_line_is_marked() {
        let error = Error::new(Kind::Invalid, "bad").showing("SELECT x", 8).hint("try");
        assert_eq!(error.render(), "error: bad\n  | SELECT x\n  |        ^\n\nhint: try");
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
