//! What is shown while a run goes on.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::shown;
use crate::pipeline::{Progress, Step};

/// Somebody on a terminal sees what goes on; anybody else only the report.
pub(super) fn watcher() -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() { Arc::new(Terminal::default()) } else { Arc::new(Log) }
}

/// Where nobody watches, only what somebody will ask about later.
struct Log;

impl Progress for Log {
    fn begin(&self, step: Step) {
        if let Step::StartOver { because } = step {
            say_start_over(&because);
        }
    }
}

fn say_start_over(because: &str) {
    // Whoever does not listen misses nothing that the report does not count as well.
    drop(writeln!(std::io::stderr(), "starting over: {}", shown(because)));
}

#[derive(Default)]
struct Terminal(std::sync::Mutex<Option<ProgressBar>>);

impl Progress for Terminal {
    fn begin(&self, step: Step) {
        let (bar, message, value, template) = match step {
            Step::StartOver { because } => return say_start_over(&because),
            Step::Verify { table } => (
                ProgressBar::no_length(),
                table.to_string(),
                Arc::default(),
                "{spinner} {msg:28} ({elapsed})",
            ),
            Step::Ingest { table, total_bytes, read_bytes } => (
                ProgressBar::new(total_bytes),
                table.to_string(),
                read_bytes,
                "{spinner} {msg:28} {bar:30} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)",
            ),
            Step::Build { table, rows } => (
                ProgressBar::no_length(),
                table.to_string(),
                rows,
                "{spinner} {msg:28} {human_pos} rows ({elapsed})",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message);
        let watched = bar.clone();
        // The bar follows the count until the next step takes its place.
        std::thread::spawn(move || {
            while !watched.is_finished() {
                watched.set_position(value.load(Ordering::Relaxed));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        if let Ok(mut current) = self.0.lock()
            && let Some(before) = current.replace(bar)
        {
            before.finish_and_clear();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(mut current) = self.0.lock()
            && let Some(bar) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}
