//! Other programs that take over the terminal for a while.

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What pages when nobody says otherwise: long lines are cut, colours stay, and what fits the screen
/// is only printed.
const PAGER: &str = "less -SRFX";

/// The program that the first of `variables` names that is set, or else `usual`; None when it is set
/// to nothing.
pub(in crate::cli) fn program(variables: &[&str], usual: &str) -> Option<Command> {
    let named = variables.iter().find_map(|variable| env::var(variable).ok());
    let line = named.unwrap_or_else(|| usual.to_owned());
    let mut words = line.split_whitespace();
    let mut program = Command::new(words.next()?);
    program.args(words);
    Some(program)
}

/// Shows `text` with the user's pager until the user has seen enough. Gives whether there is one.
pub(in crate::cli) fn page(text: &str) -> bool {
    let Some(mut pager) = program(&["PAGER"], PAGER) else { return false };
    if env::var_os("LESS").is_none() {
        pager.env("LESS", "SRFX");
    }
    let Ok(mut pager) = pager.stdin(Stdio::piped()).spawn() else { return false };
    if let Some(mut input) = pager.stdin.take() {
        // Who has seen enough reads no further.
        input.write_all(text.as_bytes()).ok();
    }
    pager.wait().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_arguments() {
        let program = program(&["CLICKWATCH_NO_SUCH_VARIABLE"], "less -S  -R").unwrap();
        assert_eq!(program.get_program(), "less");
        assert_eq!(program.get_args().collect::<Vec<_>>(), ["-S", "-R"]);
    }
}
