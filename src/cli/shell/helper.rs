//! What the line editor asks while somebody types.

use std::borrow::Cow;

use rustyline::Context;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};

use super::complete::{Completion, Names, complete};
use super::highlight::highlighted;
use super::typed::Typed;

/// The answers to the editor's questions, by what names there are.
pub(super) struct Helper<N> {
    names: N,
    paths: FilenameCompleter,
}

impl<N: Names> Helper<N> {
    pub(super) fn new(names: N) -> Self {
        Self { names, paths: FilenameCompleter::new() }
    }
}

impl<N: Names> rustyline::Helper for Helper<N> {}

impl<N: Names> Completer for Helper<N> {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        match complete(line, place, &self.names) {
            Completion::Path => self.paths.complete_path(line, place),
            Completion::Words(start, words) => {
                let pair = |word: String| Pair { display: word.clone(), replacement: word };
                Ok((start, words.into_iter().map(pair).collect()))
            }
        }
    }
}

impl<N: Names> Highlighter for Helper<N> {
    fn highlight<'l>(&self, line: &'l str, _place: usize) -> Cow<'l, str> {
        highlighted(line)
    }

    fn highlight_char(&self, _line: &str, _place: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl<N: Names> Hinter for Helper<N> {
    type Hint = String;
}

impl<N: Names> Validator for Helper<N> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match Typed::new(context.input()).is_finished() {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}
