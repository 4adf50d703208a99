//! The command line: what was typed, and the one match that acts on it.

mod generate;
mod init;
mod output;
mod plan;
mod run;
mod sql;
mod tables;
mod text;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::pipeline::Runner;
use crate::project::{Channels, Project};
use crate::runtime::{Memory, Stop, parse_size};

use output::Output;

/// A web-traffic lakehouse in one program: raw JSON sessions in, Gold Delta tables out.
#[derive(Debug, Parser)]
#[command(name = "clickwatch", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

/// Where things are; the same for every command.
#[derive(Clone, Debug, Args)]
struct Place {
    /// The project: a directory with `pipelines` and `sql`
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".",
        env = "CLICKWATCH_PROJECT"
    )]
    project: PathBuf,
    /// The lake: a directory, or a URL such as s3://bucket/lake
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "./lake",
        env = "CLICKWATCH_LAKE"
    )]
    lake: String,
    /// Memory to work in, as 1GiB [default: half of what the machine or control group has]
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_size, env = "CLICKWATCH_MEMORY")]
    memory: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Land what is new, build what changed, report what was done
    Run(run::Arguments),
    /// Say what a run would do, and why
    Plan(plan::Arguments),
    /// Compare every table with its full rebuild
    Verify(verify::Arguments),
    /// Ask the tables in SQL
    Sql(sql::Arguments),
    /// List, describe and trace the tables
    #[command(subcommand)]
    Tables(tables::Verb),
    /// Begin a project: pipelines, SQL and sample data in an empty directory
    Init(init::Arguments),
    /// Make synthetic traffic with known truth, of any size, clean or dirty
    Generate(generate::Arguments),
}

/// What a command works with.
struct Context<'a> {
    place: Place,
    stop: Stop,
    output: Output<'a>,
}

impl Context<'_> {
    fn lake(&self) -> Result<Lake> {
        Lake::at(&self.place.lake)
    }

    fn project(&self) -> Result<Project> {
        Project::load(&self.place.project)
    }

    fn memory(&self) -> Result<Memory> {
        self.place.memory.map_or_else(|| Ok(Memory::half_of_machine()), Memory::new)
    }

    fn engine(&self) -> Result<Engine> {
        Engine::new(self.memory()?, &Channels::load(&self.place.project)?.into())
    }

    fn runner(&self) -> Result<Runner> {
        Ok(Runner {
            lake: self.lake()?,
            engine: self.engine()?,
            memory: self.memory()?,
            stop: self.stop.clone(),
            progress: watch::watcher(),
        })
    }
}

/// Runs the program: reads the command line, acts, prints, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    silence_a_caught_panic();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(main_with(arguments, &mut out, &mut err))
}

/// When a disk is full, Delta's writer aborts an upload that has ended already, expects the panic of
/// that, and catches it. The error itself is reported; the panic would only frighten.
fn silence_a_caught_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_expected = panic.payload().downcast_ref::<&str>() == Some(&"Already shut down")
            && panic.location().is_some_and(|at| at.file().ends_with("src/buffered.rs"));
        if !is_expected {
            before(panic);
        }
    }));
}

/// The same with other places to print to: data to `out`, everything else to `err`.
pub fn main_with(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> u8 {
    let command = match Command::try_parse_from(arguments) {
        Ok(command) => command,
        Err(error) => {
            let printed =
                if error.use_stderr() { write!(err, "{error}") } else { write!(out, "{error}") };
            // Whoever closed the pipe has seen enough of the help.
            drop(printed);
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let result = start(command, Output::new(out, err));
    match result {
        Ok(()) => 0,
        Err(error) if output::is_closed_pipe(&error) => 0,
        Err(error) => {
            drop(writeln!(err, "{}", error.render()));
            error.kind().exit_code()
        }
    }
}

fn start(command: Command, output: Output<'_>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Unavailable, "cannot start threads").because(e))?;
    let stop = Stop::new();
    let context = Context { place: command.place, stop: stop.clone(), output };
    let result = runtime.block_on(async {
        stop.on_signals();
        match command.verb {
            Verb::Run(arguments) => run::run(context, arguments).await,
            Verb::Plan(arguments) => plan::run(context, arguments).await,
            Verb::Verify(arguments) => verify::run(context, arguments).await,
            Verb::Sql(arguments) => sql::run(context, arguments).await,
            Verb::Tables(verb) => tables::run(context, verb).await,
            Verb::Init(arguments) => init::run(context, &arguments),
            Verb::Generate(arguments) => generate::run(context, &arguments),
        }
    });
    // Readers that wait for a disk must not keep a stopped program alive.
    runtime.shutdown_background();
    result
}
