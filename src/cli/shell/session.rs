//! What somebody at the prompt has said so far: how answers look, where they go, what was asked last.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use futures::TryStreamExt as _;

use crate::cli::answer::{Manner, answer};
use crate::cli::display::{Chart, Expanded, Screen, chart};
use crate::cli::output::{Output, RowFormat};
use crate::cli::states::States;
use crate::engine::{Engine, LakeCatalog, Session as Asking, engine_error, statements};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Lake};
use crate::name::TableName;
use crate::runtime;

use super::command::{Command, Pin, help};
use super::complete::Names as _;
use super::known::Known;
use super::typed::{self, Typed};
use super::{describe, edit};

/// How many files may be read one out of the other.
const DEEPEST: usize = 16;

/// What comes after something that was typed.
#[derive(Debug)]
pub(super) enum Next {
    /// The prompt.
    Ask,
    /// The prompt, with this behind it already.
    AskAbout(String),
    /// Nothing.
    Leave,
}

/// A conversation.
pub(super) struct Session {
    lake: Lake,
    engine: Engine,
    known: Known,
    states: States,
    manner: Manner,
    /// Where answers go instead of the terminal.
    target: Option<Target>,
    last_sql: String,
    last_rows: Vec<RecordBatch>,
    /// How many files are being read, each named by the one before.
    depth: usize,
}

/// A file for answers.
struct Target {
    path: PathBuf,
    file: File,
    /// How many there are in it.
    answers: u64,
}

/// The tables as a query finds them.
struct View {
    asking: Asking,
    epoch: Option<u64>,
    at: HashMap<TableName, At>,
}

impl Session {
    pub(super) fn new(
        lake: Lake,
        engine: Engine,
        known: Known,
        (states, manner): (States, Manner),
    ) -> Self {
        let (last_sql, last_rows) = (String::new(), Vec::new());
        let (target, depth) = (None, 0);
        Self { lake, engine, known, states, manner, target, last_sql, last_rows, depth }
    }

    /// Looks at the lake for the first time, and gives what is said of it.
    pub(super) async fn begin(&mut self) -> Result<String> {
        let view = self.view().await?;
        self.known.learn_functions(functions(&view.asking).await?);
        Ok(format!(
            "clickwatch {}, {} tables in {}, {}; \\? lists the commands",
            env!("CARGO_PKG_VERSION"),
            self.known.tables().len(),
            self.lake.location(),
            self.epoch_text(view.epoch),
        ))
    }

    /// What stands before what is typed.
    pub(super) fn prompt(&self) -> String {
        match self.states.epoch {
            Some(epoch) => format!("clickwatch, epoch {epoch}> "),
            None => "clickwatch> ".to_owned(),
        }
    }

    /// Does what was typed.
    pub(super) async fn take(&mut self, text: &str, output: &mut Output<'_>) -> Result<Next> {
        // What was stopped has left none of its files.
        self.depth = 0;
        self.act(text, output).await
    }

    async fn act(&mut self, text: &str, output: &mut Output<'_>) -> Result<Next> {
        let Typed { sql, command } = Typed::new(text);
        let command: Option<Command> = command.map(str::parse).transpose()?;
        match &command {
            Some(Command::Edit) => {
                let sql = if sql.trim().is_empty() { self.last_sql.as_str() } else { sql.trim() };
                return edit::edited(sql).map(Next::AskAbout);
            }
            Some(Command::Watch(pause)) => {
                let sql =
                    if sql.trim().is_empty() { self.last_sql.clone() } else { sql.to_owned() };
                return self.watch(&sql, *pause, output).await;
            }
            _ if sql.trim().is_empty() => {}
            _ => self.ask(sql, self.manner, output).await?,
        }
        match command {
            Some(command) => self.obey(command, output).await,
            None => Ok(Next::Ask),
        }
    }

    async fn obey(&mut self, command: Command, output: &mut Output<'_>) -> Result<Next> {
        match command {
            Command::Describe(Some(name)) if !name.contains(['*', '?']) => {
                let view = self.view().await?;
                describe::table((&self.lake, &view.at), &name, output).await?;
            }
            Command::Describe(pattern) | Command::Tables(pattern) => {
                let view = self.view().await?;
                describe::tables((&self.lake, &view.at), pattern.as_deref(), output).await?;
            }
            Command::Functions(pattern) => self.list_functions(pattern.as_deref(), output).await?,
            Command::Chart(kind) => self.draw(kind, output)?,
            Command::Epoch(pin) => self.read_epoch(pin, output).await?,
            Command::Output(path) => self.send_to(path, output)?,
            Command::Include(path) => return self.include(&path, output).await,
            Command::Help => {
                let screen = output.screen().unwrap_or(Screen::USUAL);
                output.text(&help(screen.columns))?;
            }
            Command::Quit => return Ok(Next::Leave),
            Command::Expanded(_) | Command::Format(_) | Command::Timing(_) => {
                output.say(&self.set(&command));
            }
            // These are not done after a query, but with it.
            Command::Edit | Command::Watch(_) => {}
        }
        Ok(Next::Ask)
    }

    /// Changes how answers are printed, and gives how they are now.
    fn set(&mut self, command: &Command) -> String {
        let manner = &mut self.manner;
        match command {
            Command::Expanded(expanded) => {
                manner.expanded = expanded.unwrap_or(match manner.expanded {
                    Expanded::Off => Expanded::On,
                    _ => Expanded::Off,
                });
            }
            Command::Format(format) => manner.format = format.unwrap_or(manner.format),
            Command::Timing(timing) => manner.timing = timing.unwrap_or(!manner.timing),
            _ => {}
        }
        let expanded = match manner.expanded {
            Expanded::On => "on",
            Expanded::Off => "off",
            Expanded::Auto => "auto",
        };
        let timing = if manner.timing { "on" } else { "off" };
        format!("format {}, expanded {expanded}, timing {timing}", manner.format.name())
    }

    /// The tables as they are now, or as they were chosen.
    async fn view(&self) -> Result<View> {
        let (epoch, at) = self.states.read(&self.engine, &self.lake).await?;
        let catalog = LakeCatalog::open(&self.lake, at.clone()).await?;
        self.known.renew(self.lake.tables().await?, at.clone());
        Ok(View { asking: self.engine.session(catalog), epoch, at })
    }

    /// Answers queries, all from the same state of the tables.
    async fn ask(&mut self, sql: &str, manner: Manner, output: &mut Output<'_>) -> Result<()> {
        // Kept even when it fails, for who wants to mend it.
        sql.trim().clone_into(&mut self.last_sql);
        let view = self.view().await?;
        for query in statements(sql) {
            let rows = match &mut self.target {
                None => answer(&view.asking, &query, manner, output).await?,
                Some(target) => {
                    target.make_room(manner.format)?;
                    let mut output = output.elsewhere(&mut target.file);
                    if target.answers > 0 && manner.format != RowFormat::Json {
                        output.data("")?;
                    }
                    target.answers += 1;
                    answer(&view.asking, &query, manner, &mut output).await?
                }
            };
            self.last_rows = rows;
        }
        Ok(())
    }

    /// Asks again and again until somebody stops it.
    async fn watch(&mut self, sql: &str, pause: Duration, output: &mut Output<'_>) -> Result<Next> {
        if sql.is_empty() {
            return Err(Error::new(Kind::Invalid, "there is nothing to ask again")
                .hint("ask it once, or write it above \\watch"));
        }
        // A pager would hold up what comes next.
        let manner = Manner { is_paged: false, ..self.manner };
        let seconds = pause.as_secs_f64();
        loop {
            let now = runtime::now().format("%Y-%m-%d %H:%M:%S UTC");
            output.say(&format!("{now}, every {seconds} s; Ctrl-C stops it"));
            self.ask(sql, manner, output).await?;
            tokio::time::sleep(pause).await;
        }
    }

    async fn list_functions(
        &mut self,
        pattern: Option<&str>,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let found = describe::matching(pattern, self.known.functions())?;
        let view = self.view().await?;
        let manner = Manner { format: RowFormat::Table, timing: false, ..self.manner };
        answer(&view.asking, &describe::functions_query(&found), manner, output).await.map(drop)
    }

    fn draw(&self, kind: Chart, output: &mut Output<'_>) -> Result<()> {
        let screen = output.screen().unwrap_or(Screen::USUAL);
        output.data(chart(&self.last_rows, kind, screen)?.trim_end())
    }

    async fn read_epoch(&mut self, pin: Option<Pin>, output: &mut Output<'_>) -> Result<()> {
        let before = self.states.clone();
        match pin {
            None => {}
            Some(Pin::Latest) => (self.states.epoch, self.states.latest) = (None, false),
            Some(Pin::Number(number)) => {
                (self.states.epoch, self.states.latest) = (Some(number), false);
            }
        }
        match self.view().await {
            Ok(view) => {
                output.say(&self.epoch_text(view.epoch));
                Ok(())
            }
            Err(error) => {
                self.states = before;
                Err(error)
            }
        }
    }

    /// Says of which epoch the tables are.
    fn epoch_text(&self, epoch: Option<u64>) -> String {
        match (epoch, self.states.epoch) {
            (None, _) => "each table as it is now".to_owned(),
            (Some(0), _) => "no epoch yet".to_owned(),
            (Some(epoch), None) => format!("epoch {epoch}, the newest"),
            (Some(epoch), Some(_)) => format!("epoch {epoch}"),
        }
    }

    fn send_to(&mut self, path: Option<PathBuf>, output: &mut Output<'_>) -> Result<()> {
        self.target = path.map(Target::new).transpose()?;
        output.say(&match &self.target {
            Some(target) => format!("answers go to {}", target.path.display()),
            None => "answers go to the terminal".to_owned(),
        });
        Ok(())
    }

    /// Does what is in a file, as if it was typed.
    async fn include(&mut self, path: &Path, output: &mut Output<'_>) -> Result<Next> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io("cannot read the queries", path, e))?;
        if self.depth == DEEPEST {
            return Err(Error::new(Kind::Invalid, "files read each other without end")
                .at("file", path.display()));
        }
        self.depth += 1;
        for part in typed::parts(&text) {
            match Box::pin(self.act(part, output)).await? {
                Next::Ask => {}
                next => return Ok(next),
            }
        }
        self.depth -= 1;
        Ok(Next::Ask)
    }
}

impl Target {
    fn new(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| Error::io("cannot write a file", &path, e))?;
        Ok(Self { path, file, answers: 0 })
    }

    /// Fails when another answer in `format` would spoil the file.
    fn make_room(&self, format: RowFormat) -> Result<()> {
        match (format, self.answers) {
            (RowFormat::Parquet, 1..) => {
                Err(Error::new(Kind::Invalid, "a Parquet file holds the rows of one query")
                    .at("file", self.path.display())
                    .hint("name another file with \\o"))
            }
            _ => Ok(()),
        }
    }
}

/// The names of all functions.
async fn functions(asking: &Asking) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY routine_name";
    let plan = asking.plan(sql).await?;
    let physical = asking.physical(&plan).await?;
    let mut rows = asking.execute_all(physical)?;
    let mut names = Vec::new();
    while let Some(batch) =
        rows.try_next().await.map_err(|e| engine_error("cannot list the functions", e))?
    {
        let own = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
        names.extend(own.into_iter().flatten().flatten().map(str::to_owned));
    }
    Ok(names)
}
