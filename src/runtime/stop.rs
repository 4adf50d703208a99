//! Stopping: a token that every long loop looks at, set by Ctrl-C or SIGTERM.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};

/// A request to stop, shared by everything that runs for long.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: CancellationToken,
    /// What Ctrl-C stops instead, once there is such a piece of the work.
    piece: Arc<Mutex<Option<CancellationToken>>>,
}

impl Stop {
    /// A token that nobody has set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds this token to stop.
    pub fn set(&self) {
        self.asked.cancel();
    }

    /// A token for one piece of the work. From now on Ctrl-C stops the piece that was begun last, and
    /// nothing when that is over already; whatever else asks to stop stops the piece and all the rest.
    pub fn piece(&self) -> Self {
        let asked = self.asked.child_token();
        *self.piece.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked.clone());
        Self { asked, piece: Arc::default() }
    }

    /// What one Ctrl-C stops.
    fn interrupt(&self) {
        let piece = self.piece.lock().unwrap_or_else(PoisonError::into_inner);
        piece.as_ref().unwrap_or(&self.asked).cancel();
    }

    /// Whether stopping was asked for.
    pub fn is_set(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Fails with [`Kind::Stopped`] once stopping was asked for.
    pub fn check(&self) -> Result<()> {
        if self.is_set() { Err(Self::error()) } else { Ok(()) }
    }

    /// Runs `work` until it ends or stopping is asked for, whichever comes first. What `work`
    /// had not committed by then is dropped.
    pub async fn or_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.asked.cancelled() => Err(Self::error()),
            result = work => result,
        }
    }

    /// Listens from now on: the future sets the token at the first Ctrl-C or SIGTERM and is over at the
    /// next. Ctrl-C counts for neither while there are pieces for it to stop. Must be called inside a
    /// runtime.
    pub fn listen(&self) -> impl Future<Output = ()> + use<> {
        let stop = self.clone();
        let mut signals = Signals::new();
        async move {
            while !stop.is_set() {
                match signals.next().await {
                    Signal::Interrupt => stop.interrupt(),
                    #[cfg(unix)]
                    Signal::Terminate => stop.set(),
                }
            }
            signals.next().await;
        }
    }

    fn error() -> Error {
        Error::new(Kind::Stopped, "stopped before the end, as asked")
            .hint("nothing is half-written; the next run goes on from here")
    }
}

/// What asks to stop.
#[derive(Clone, Copy)]
enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    #[cfg(unix)]
    Terminate,
}

/// Ctrl-C and SIGTERM, as far as the system lets them be heard.
#[cfg(unix)]
struct Signals([Option<tokio::signal::unix::Signal>; 2]);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self([SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()))
    }

    async fn next(&mut self) -> Signal {
        let Self([interrupt, terminate]) = self;
        tokio::select! {
            () = heard(interrupt) => Signal::Interrupt,
            () = heard(terminate) => Signal::Terminate,
        }
    }
}

#[cfg(unix)]
async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    // What cannot be heard never comes.
    std::future::pending().await
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_stops_the_piece_and_nothing_else() {
        let stop = Stop::new();
        let first = stop.piece();
        stop.interrupt();
        assert!(first.is_set() && !stop.is_set());
        // A piece that is over takes nothing else with it.
        stop.interrupt();
        let second = stop.piece();
        assert!(!second.is_set() && !stop.is_set());
        stop.set();
        assert!(second.is_set() && stop.is_set());
    }

    #[test]
    fn without_pieces_ctrl_c_stops_everything() {
        let stop = Stop::new();
        stop.interrupt();
        assert!(stop.is_set());
    }
}
