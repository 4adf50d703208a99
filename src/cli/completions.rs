//! `clickwatch completions` and `clickwatch man`: the command line described for other programs.

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::{Error, Kind, Result};
use crate::name::did_you_mean;

use super::Context;

/// For which shell.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Of which command.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// The command; without one, the page of the whole program
    command: Option<String>,
}

/// Prints what completes `program` in a shell.
pub(super) fn run(
    mut context: Context<'_>,
    arguments: &Arguments,
    mut program: clap::Command,
) -> Result<()> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, name, &mut text);
    context.output.data(String::from_utf8_lossy(&text).trim_end())
}

/// Prints a page of the manual of `program`.
pub(super) fn man(mut context: Context<'_>, page: &Page, mut program: clap::Command) -> Result<()> {
    program.build();
    let command = match &page.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            let names: Vec<_> = program.get_subcommands().map(clap::Command::get_name).collect();
            let error = Error::new(Kind::Missing, "there is no such command").at("command", name);
            match did_you_mean(name, names) {
                Some(hint) => error.hint(hint),
                None => error.hint("see `clickwatch --help`"),
            }
        })?,
    };
    let mut text = Vec::new();
    // A command has no version of its own.
    let source = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    Man::new(command)
        .source(source)
        .render(&mut text)
        .map_err(|e| Error::new(Kind::Bug, "cannot write a page of the manual").because(e))?;
    context.output.data(String::from_utf8_lossy(&text).trim_end())
}
