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

    /// Sets the token at the first Ctrl-C or SIGTERM. Must be called inside the runtime.
    pub fn on_signals(&self) {
        let stop = self.clone();
        tokio::spawn(async move {
            wait_for_signal().await;
            stop.set();
        });
    }

    fn error() -> Error {
        Error::new(Kind::Stopped, "stopped before the end, as asked")
            .hint("nothing is half-written; the next run goes on from here")
    }
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    drop(tokio::signal::ctrl_c().await);
}
