//! Stopping: a token that every long loop looks at, set by Ctrl-C or SIGTERM.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};

/// A request to stop, shared by everything that runs for long.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A token that nobody has set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that holds this token to stop.
    pub fn set(&self) {
        self.0.cancel();
    }

    /// Whether stopping was asked for.
    pub fn is_set(&self) -> bool {
        self.0.is_cancelled()
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
            () = self.0.cancelled() => Err(Self::error()),
            result = work => result,
        }
    }

    /// Listens from now on: the future sets the token at the first Ctrl-C or SIGTERM and is over at the
    /// second. Must be called inside a runtime.
    pub fn listen(&self) -> impl Future<Output = ()> + use<> {
        let stop = self.clone();
        let mut signals = Signals::new();
        async move {
            signals.next().await;
            stop.set();
            signals.next().await;
        }
    }

    fn error() -> Error {
        Error::new(Kind::Stopped, "stopped before the end, as asked")
            .hint("nothing is half-written; the next run goes on from here")
    }
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

    async fn next(&mut self) {
        let Self([interrupt, terminate]) = self;
        tokio::select! {
            () = heard(interrupt) => {}
            () = heard(terminate) => {}
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

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
