//! The prompt: a thread of its own that waits for somebody to type.
//!
//! Reading from a terminal blocks and cannot be called off, so whoever asks for a line can leave
//! without it. The terminal is put right again then.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::sync::oneshot;

use crate::error::{Error, Kind, Result};

use super::complete::Names;
use super::helper::Helper;
use super::history;

/// How many entries of what was typed are kept.
const KEPT: usize = 5_000;

/// What came of a prompt.
pub(super) enum Line {
    /// This was typed.
    Typed(String),
    /// What had been typed was given up.
    Cleared,
    /// There is nothing more to come.
    End,
}

/// A prompt on the terminal.
pub(super) struct Prompt {
    requests: Sender<Request>,
    is_waiting: bool,
}

struct Request {
    prompt: String,
    /// What is there to begin with.
    begun: String,
    line: oneshot::Sender<Result<Line>>,
}

impl Prompt {
    /// A prompt that completes `names`.
    pub(super) fn new(names: impl Names + Send + 'static) -> Result<Self> {
        let (requests, asked) = mpsc::channel();
        thread::Builder::new()
            .name("prompt".to_owned())
            .spawn(move || serve(&asked, names))
            .map_err(|e| Error::new(Kind::Unavailable, "cannot start threads").because(e))?;
        Ok(Self { requests, is_waiting: false })
    }

    /// Waits for a line.
    pub(super) async fn line(&mut self, prompt: &str, begun: String) -> Result<Line> {
        let (line, answer) = oneshot::channel();
        let gone = || Error::new(Kind::Bug, "the prompt ended by itself");
        let request = Request { prompt: prompt.to_owned(), begun, line };
        self.requests.send(request).map_err(|_| gone())?;
        self.is_waiting = true;
        let line = answer.await;
        self.is_waiting = false;
        line.map_err(|_| gone())?
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if self.is_waiting {
            restore_terminal();
        }
    }
}

/// The editor takes each key as it comes, and has no time to undo that when the program ends.
fn restore_terminal() {
    if cfg!(unix) {
        // Without that program the terminal stays as it is, which keeps nobody from ending.
        std::process::Command::new("stty").arg("sane").status().ok();
    }
}

type Typing<N> = Editor<Helper<N>, DefaultHistory>;

fn serve<N: Names>(asked: &Receiver<Request>, names: N) {
    let file = history::file().filter(|file| history::prepare(file).is_ok());
    let mut editor = editor(names, file.as_deref());
    for Request { prompt, begun, line } in asked {
        let read = match &mut editor {
            Ok(editor) => read(editor, file.as_deref(), &prompt, &begun),
            Err(_) => Err(Error::new(Kind::Unavailable, "cannot edit lines on this terminal")
                .hint("write the query behind the command, or into a file for --file")),
        };
        if line.send(read).is_err() {
            return;
        }
    }
}

fn editor<N: Names>(names: N, history: Option<&Path>) -> rustyline::Result<Typing<N>> {
    let config = Config::builder()
        .max_history_size(KEPT)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(false)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Helper::new(names)));
    if let Some(history) = history {
        // What was typed before is a help, and nothing depends on it.
        editor.load_history(history).ok();
    }
    Ok(editor)
}

fn read<N: Names>(
    editor: &mut Typing<N>,
    history: Option<&Path>,
    prompt: &str,
    begun: &str,
) -> Result<Line> {
    match editor.readline_with_initial(prompt, (begun, "")) {
        Ok(text) => {
            // A line that begins with a blank is not kept, as in other shells.
            let is_new = editor.add_history_entry(text.trim_end()).unwrap_or(false);
            if let (true, Some(history)) = (is_new, history) {
                // Written at once: what was typed last is what is missed most.
                editor.append_history(history).ok();
            }
            Ok(Line::Typed(text))
        }
        Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Ok(Line::Cleared),
        Err(ReadlineError::Eof) => Ok(Line::End),
        Err(e) => Err(Error::storage("cannot read from the terminal", e)),
    }
}
