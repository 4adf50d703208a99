//! The command line: what was typed, and the one match that acts on it.

mod answer;
mod arguments;
mod completions;
mod display;
mod flat;
mod generate;
mod help;
mod infer;
mod init;
mod listing;
mod output;
mod panics;
mod plan;
mod run;
mod shell;
mod sql;
mod states;
mod tables;
mod text;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::pipeline::Runner;
use crate::project::{Channels, Project};
use crate::runtime::{Memory, Stop, parse_size};

use output::Output;

/// Room for what goes deep: planning a query takes stack for each level of its nesting. It is address
/// space, of which only what is touched becomes memory.
const COMMAND_STACK_BYTES: usize = 256 << 20;
const WORKER_STACK_BYTES: usize = 64 << 20;

/// A web-traffic lakehouse in one program: raw sessions and clicks in, Gold Delta tables out.
#[derive(Debug, Parser)]
#[command(name = "clickwatch", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
    /// Show neither progress nor notes: only what was asked for, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Show what is left out otherwise: tables that did not change, all columns, reasons in full
    #[arg(short, long, global = true)]
    verbose: bool,
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
    ///
    /// Lands what is new in the sources, brings every model up to date, and publishes the new states
    /// of all tables together.
    Run(run::Arguments),
    /// Say what a run would do, and why
    ///
    /// Says what is new upstream, what would be built and how, what would be built anew and why.
    /// Nothing is written.
    Plan(plan::Arguments),
    /// Compare every table with its full rebuild
    ///
    /// Computes tables anew from the states that they were built from, and compares: rows and sums of
    /// checksums, part by part. Says where they differ, and ends with code 4 if they do.
    Verify(verify::Arguments),
    /// Ask the tables in SQL
    ///
    /// It reads and never writes. Tables are called layer.table, as in silver.sessions; the layer gold
    /// may be left out. Several queries are parted by semicolons and answered in their order. On a
    /// terminal without a query a shell starts, in which \? lists the commands.
    Sql(sql::Arguments),
    /// List, describe and trace the tables
    #[command(subcommand)]
    Tables(tables::Verb),
    /// Look at files, and begin a table for them: columns, a source, a model
    ///
    /// Writes the columns to sql/bronze, a source and a model to a pipeline, and the model to sql/silver.
    /// Where something stands already, the difference is shown and nothing is written, unless --write
    /// asks for it.
    Infer(infer::Arguments),
    /// Begin a project: pipelines, SQL and sample data in an empty directory
    Init(init::Arguments),
    /// Make synthetic traffic with known truth, of any size, clean or dirty
    ///
    /// It is the same for the same seed. What is in it is written beside it, to `_truth.json`.
    Generate(generate::Arguments),
    /// Print what completes commands in a shell
    Completions(completions::Arguments),
    /// Print a page of the manual
    Man(completions::Page),
}

/// What a command works with.
struct Context<'a> {
    place: Place,
    stop: Stop,
    output: Output<'a>,
    /// Whether what is usually left out is shown.
    is_verbose: bool,
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

    /// The rules of channels for a command that needs no project, but goes by its rules.
    fn channels(&self) -> Result<Arc<Channels>> {
        Ok(Arc::new(Channels::of_directory(&self.place.project)?))
    }

    fn engine(&self, channels: &Arc<Channels>) -> Result<Engine> {
        Engine::new(self.memory()?, channels)
    }

    fn runner(&self, channels: &Arc<Channels>) -> Result<Runner> {
        Ok(Runner {
            lake: self.lake()?,
            engine: self.engine(channels)?,
            memory: self.memory()?,
            stop: self.stop.clone(),
            progress: watch::watcher(&self.output),
        })
    }
}

/// Runs the program: reads the command line, acts, prints, and gives the exit code.
///
/// The first Ctrl-C or SIGTERM asks the command to stop, the second ends the process at once. This
/// thread does nothing but listen, so that both are heard however busy the command is.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    panics::remember();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match run_and_listen(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            let error = Error::new(Kind::Unavailable, "cannot start threads").because(e);
            ExitCode::from(fail_without_command(error))
        }
    }
}

fn run_and_listen(arguments: Vec<OsString>) -> io::Result<u8> {
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Stop::new();
    let listening = {
        let _entered = signals.enter();
        stop.listen()
    };
    let (ended, code) = tokio::sync::oneshot::channel();
    on_deep_stack().spawn(move || {
        let (mut out, mut err) = (io::stdout(), io::stderr());
        // Nobody waits for the code any more after a second Ctrl-C.
        let code = execute(arguments, Output::new(&mut out, &mut err).standard(), &stop);
        // The main thread waits for it until it ends itself.
        ended.send(code).ok();
    })?;
    Ok(signals.block_on(async {
        tokio::select! {
            code = code => code.unwrap_or(Kind::Bug.exit_code()),
            () = listening => {
                let error = Error::new(Kind::Stopped, "ended at once, as asked a second time")
                    .hint("what was committed stays; the next run goes on from there");
                fail_without_command(error)
            }
        }
    }))
}

/// The same for the command alone, with other places to print to: data to `out`, everything else to
/// `err`. Signals and panics are left to whoever calls.
pub fn main_with(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    thread::scope(move |scope| {
        let command = move || execute(arguments, Output::new(out, err), &Stop::new());
        match on_deep_stack().spawn_scoped(scope, command) {
            Ok(command) => command.join().unwrap_or(Kind::Bug.exit_code()),
            Err(_) => Kind::Unavailable.exit_code(),
        }
    })
}

fn on_deep_stack() -> thread::Builder {
    thread::Builder::new().name("command".to_owned()).stack_size(COMMAND_STACK_BYTES)
}

/// The command line, with all that its help says.
fn program() -> clap::Command {
    help::documented(Command::command())
}

fn execute(arguments: Vec<OsString>, mut output: Output<'_>, stop: &Stop) -> u8 {
    let typed = program().try_get_matches_from(arguments);
    let result = match typed.and_then(|typed| Command::from_arg_matches(&typed)) {
        Ok(command) => start(command, output.again(), stop),
        Err(usage) if usage.use_stderr() => {
            output.say(usage.to_string().trim_end_matches('\n'));
            return u8::try_from(usage.exit_code()).unwrap_or(2);
        }
        // Help and version were asked for.
        Err(usage) => output.data(usage.to_string().trim_end()),
    };
    match result {
        Ok(()) => 0,
        // Whoever closed the output has seen enough.
        Err(error) if output::is_closed(&error) => 0,
        Err(error) => fail(error, &mut output),
    }
}

/// Says what went wrong and gives the exit code for it.
fn fail(error: Error, output: &mut Output<'_>) -> u8 {
    let error = panics::explained(error);
    output.fail(&error);
    error.kind().exit_code()
}

/// The same where there is no command, or none that could still say it.
fn fail_without_command(error: Error) -> u8 {
    fail(error, &mut Output::new(&mut io::stdout(), &mut io::stderr()))
}

fn start(command: Command, output: Output<'_>, stop: &Stop) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
        .map_err(|e| Error::new(Kind::Unavailable, "cannot start threads").because(e))?;
    let Command { verb, place, quiet, verbose } = command;
    let output = output.quiet(quiet);
    let context = Context { place, stop: stop.clone(), output, is_verbose: verbose };
    let work = AssertUnwindSafe(|| runtime.block_on(act(verb, context, stop)));
    let ended = catch_unwind(work);
    // Readers that wait for a disk must not keep a stopped program alive.
    runtime.shutdown_background();
    ended.unwrap_or_else(|panic| Err(panics::error_of(&*panic)))
}

/// Acts on what was typed. A run stops by itself and writes down that it did; what only reads is
/// dropped where it is.
async fn act(verb: Verb, context: Context<'_>, stop: &Stop) -> Result<()> {
    match verb {
        Verb::Run(arguments) => run::run(context, arguments).await,
        Verb::Plan(arguments) => plan::run(context, arguments).await,
        Verb::Verify(arguments) => verify::run(context, arguments).await,
        Verb::Sql(arguments) => stop.or_stopped(sql::run(context, arguments)).await,
        Verb::Tables(verb) => stop.or_stopped(tables::run(context, verb)).await,
        Verb::Infer(arguments) => infer::run(context, arguments).await,
        Verb::Init(arguments) => init::run(context, &arguments),
        Verb::Generate(arguments) => generate::run(context, &arguments).await,
        Verb::Completions(arguments) => completions::run(context, &arguments, program()),
        Verb::Man(page) => completions::man(context, &page, program()),
    }
}
