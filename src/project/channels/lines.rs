//! The lines of the CSV files that hold the rules of channels, each with its place.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::error::Problem;
use crate::project::load::TextFile;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file, as a user names it: `sql/channel_rules.csv`, or `channel_rules.csv (shipped)`.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub number: usize,
}

impl Line {
    /// Something wrong in the line.
    pub(super) fn problem(&self, message: String) -> Problem {
        let file = self.file.to_string();
        Problem { file, line: self.number, column: 0, message, hint: None }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.number)
    }
}

/// The lines of `file` below its head, which has to be `columns`. Lines that begin with `#` are
/// comments. What is wrong is added to `problems`.
pub(super) fn read<const N: usize>(
    file: &TextFile,
    columns: [&str; N],
    problems: &mut Vec<Problem>,
) -> Vec<(Line, [String; N])> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file.text.as_bytes());
    let path: Arc<str> = file.path.as_str().into();
    let at = |number: usize| Line { file: Arc::clone(&path), number };
    match reader.headers() {
        Ok(head) if head.iter().eq(columns) => {}
        _ => {
            let message = format!("the first line has to be {}", columns.join(","));
            problems.push(at(1).problem(message));
            return Vec::new();
        }
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                problems.push(at(number(line)).problem(format!("this is not CSV: {e}")));
                continue;
            }
        };
        let line = at(record.position().map_or(0, |position| line_of(&file.text, position)));
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let found = cells.len();
        match <[String; N]>::try_from(cells) {
            Ok(cells) => lines.push((line, cells)),
            Err(_) => {
                problems.push(line.problem(format!("a line has {N} cells, this one {found}")));
            }
        }
    }
    lines
}

/// The line of the record that is read from `position` on: comments and blank lines come before it.
fn line_of(text: &str, position: &csv::Position) -> usize {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let lines = text.get(start..).unwrap_or_default().lines();
    let is_passed_over = |line: &&str| line.is_empty() || line.starts_with('#');
    number(position.line()) + lines.take_while(is_passed_over).count()
}

fn number(line: u64) -> usize {
    usize::try_from(line).unwrap_or(0)
}
