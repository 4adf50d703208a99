//! Panics, of which each is one error with exit code 70.
//!
//! A panic unwinds through the command, or a library catches it in a task and reports an error. Either
//! way the hook prints nothing: it remembers what was said and where, and the error that comes of it is
//! what is printed. A panic that does no harm, as that of Delta's writer when it aborts an upload that
//! has ended already, is never heard of.

use std::any::Any;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Kind};

/// The last panic of the process.
static LAST: Mutex<Option<Panic>> = Mutex::new(None);

struct Panic {
    message: String,
    place: String,
}

/// From now on a panic prints nothing.
pub(super) fn remember() {
    std::panic::set_hook(Box::new(|info| {
        let message = message_of(info.payload());
        let place = info.location().map(Location::to_string).unwrap_or_default();
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Panic { message, place });
    }));
}

/// The error of a panic that has unwound through a command.
pub(super) fn error_of(payload: &(dyn Any + Send)) -> Error {
    Error::new(Kind::Bug, format!("the command broke off: {}", message_of(payload)))
}

/// `error` as it is reported: a bug if a panic is behind it, with the place of the panic.
pub(super) fn explained(error: Error) -> Error {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    let panic = last.filter(|panic| !panic.message.is_empty() && error.says(&panic.message));
    let error = match panic {
        Some(panic) => error.of_kind(Kind::Bug).at("panic", panic.place),
        None => error,
    };
    if error.kind() == Kind::Bug && error.hint_of_chain().is_none() {
        error.hint("this is a fault of clickwatch: report it with this message and the command")
    } else {
        error
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_behind_an_error_makes_it_a_bug_with_its_place() {
        let happened = |message: &str| {
            *LAST.lock().unwrap() = Some(Panic {
                message: message.to_owned(),
                place: "library/src/x.rs:1:2".to_owned(),
            });
        };
        let caught = || {
            let cause = std::io::Error::other("task 7 panicked with message \"offset overflow\"");
            Error::new(Kind::Unavailable, "cannot write").because(cause)
        };
        happened("offset overflow");
        let told = explained(caught());
        assert_eq!(told.kind().exit_code(), 70);
        let text = told.render();
        assert!(
            text.contains("panic=`library/src/x.rs:1:2`") && text.contains("report it"),
            "{text}"
        );
        // One that was caught for good has nothing to do with what fails later.
        happened("Already shut down");
        assert_eq!(explained(caught()).kind(), Kind::Unavailable);
        happened("");
        assert_eq!(explained(caught()).kind(), Kind::Unavailable);
    }

    #[test]
    fn what_unwinds_is_an_error_that_says_what_was_said() {
        let panic =
            std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("gone".to_owned())));
        let error = error_of(&*panic.unwrap_err());
        assert_eq!(error.kind(), Kind::Bug);
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
