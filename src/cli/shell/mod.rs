//! The shell: a prompt on the terminal at which one query after the other is asked.
//!
//! What is typed is read in a thread of its own ([`prompt`]); what it means ([`typed`], [`command`])
//! and what could be meant ([`complete`]) is decided over texts. Each thing that is typed is one piece
//! of work: Ctrl-C ends the piece, an error is said, and the prompt comes back. Every query reads the
//! newest epoch that there is then, unless another one was chosen.

mod command;
mod complete;
mod describe;
mod edit;
mod helper;
mod highlight;
mod history;
mod keywords;
mod known;
mod prompt;
mod session;
mod typed;

use tokio::runtime::Handle;

use crate::error::{Kind, Result};

use super::Context;
use super::answer::Manner;
use super::panics;
use super::states::States;

use known::Known;
use prompt::{Line, Prompt};
use session::{Next, Session};

/// Asks and answers until somebody leaves.
pub(super) async fn run(mut context: Context<'_>, states: States, manner: Manner) -> Result<()> {
    // From now on Ctrl-C ends a piece of the work.
    let beginning = context.stop.piece();
    let lake = context.lake()?;
    let engine = context.engine(&context.channels()?)?;
    let known = Known::new(&lake, Handle::current());
    let mut session = Session::new(lake, engine, known.clone(), (states, manner));
    let greeting = beginning.or_stopped(session.begin()).await?;
    context.output.note(&greeting);
    let mut prompt = Prompt::new(known)?;
    let mut begun = String::new();
    loop {
        let typed = match prompt.line(&session.prompt(), std::mem::take(&mut begun)).await? {
            Line::Typed(typed) => typed,
            Line::Cleared => continue,
            Line::End => return Ok(()),
        };
        let piece = context.stop.piece();
        match piece.or_stopped(session.take(&typed, &mut context.output)).await {
            Ok(Next::Ask) => {}
            Ok(Next::AskAbout(text)) => begun = text,
            Ok(Next::Leave) => return Ok(()),
            Err(error) if context.stop.is_set() => return Err(error),
            Err(error) if error.kind() == Kind::Stopped => context.output.say("stopped"),
            Err(error) => context.output.fail(&panics::explained(error)),
        }
    }
}
