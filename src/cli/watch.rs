//! What is shown while a run goes on.
//!
//! Each step that is under way has a line, and the line goes with its step: before anything else is
//! printed, and whether the step ended well or not.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::error::shown;
use crate::pipeline::{Progress, Step, Underway};

use super::output::Output;

const TICK: Duration = Duration::from_millis(100);

const PREPARING: &str = "{spinner} {msg} ({elapsed})";
const COMPARING: &str = "{spinner} {msg:28} comparing ({elapsed})";
const COMMITTING: &str = "{spinner} {msg:28} committing ({elapsed})";
const COUNTING: &str = "{spinner} {msg:28} {human_pos} rows ({elapsed})";
const READING: &str =
    "{spinner} {msg:28} {bar:30} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)";
/// All bytes are read, and what came of the last of them is still being written.
const WRITING: &str = "{spinner} {msg:28} {bytes} read, writing the rest ({elapsed})";

/// Somebody on a terminal sees what goes on; anybody else only the report.
pub(super) fn watcher(output: &Output<'_>) -> Arc<dyn Progress> {
    if output.is_quiet() {
        Arc::new(())
    } else if output.is_watched() && std::io::stderr().is_terminal() {
        Arc::new(Terminal(MultiProgress::new()))
    } else {
        Arc::new(Log)
    }
}

/// Where nobody watches, only what somebody will ask about later.
struct Log;

impl Progress for Log {
    fn begin(&self, step: Step) -> Underway {
        if let Step::StartOver { because } = step {
            say_start_over(&because);
        }
        Underway::default()
    }
}

fn say_start_over(because: &str) {
    // Whoever does not listen misses nothing that the report does not count as well.
    drop(writeln!(std::io::stderr(), "starting over: {}", shown(because)));
}

struct Terminal(MultiProgress);

impl Progress for Terminal {
    fn begin(&self, step: Step) -> Underway {
        let line = match step {
            Step::StartOver { because } => {
                self.0.suspend(|| say_start_over(&because));
                return Underway::default();
            }
            Step::Check => Line::new("checking the SQL", PREPARING),
            Step::Record => Line::new("writing the run down", PREPARING),
            Step::Verify { table } => Line::new(table.to_string(), COMPARING),
            Step::Commit { table } => Line::new(table.to_string(), COMMITTING),
            Step::Build { table, rows } => {
                Line { counted: rows, ..Line::new(table.to_string(), COUNTING) }
            }
            Step::Ingest { table, total_bytes, read_bytes } => Line {
                total: Some(total_bytes),
                counted: read_bytes,
                ..Line::new(table.to_string(), READING)
            },
        };
        self.show(line).1
    }
}

impl Terminal {
    /// Shows a line until its step ends.
    fn show(&self, line: Line) -> (ProgressBar, Underway) {
        let bar = self.0.add(line.bar());
        let (lines, followed, ended) = (self.0.clone(), bar.clone(), bar.clone());
        thread::spawn(move || line.follow(&followed));
        let underway = Underway::until(move || {
            ended.finish_and_clear();
            lines.remove(&ended);
        });
        (bar, underway)
    }
}

/// What is shown of a step.
struct Line {
    message: String,
    template: &'static str,
    /// What the count will be at the end, if that is known.
    total: Option<u64>,
    counted: Arc<AtomicU64>,
}

impl Line {
    fn new(message: impl Into<String>, template: &'static str) -> Self {
        Self { message: message.into(), template, total: None, counted: Arc::default() }
    }

    fn bar(&self) -> ProgressBar {
        let bar = self.total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        look(&bar, self.template);
        bar.set_message(self.message.clone());
        bar
    }

    /// Keeps `bar` up to the count until its step ends.
    fn follow(&self, bar: &ProgressBar) {
        let mut is_read = false;
        while !bar.is_finished() {
            let count = self.counted.load(Ordering::Relaxed);
            bar.set_position(count);
            if !is_read && self.total.is_some_and(|total| count >= total) {
                // A full bar that stands still would say that it is over.
                is_read = true;
                look(bar, WRITING);
            }
            bar.tick();
            thread::sleep(TICK);
        }
    }
}

fn look(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// Keeps all that was ever shown.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn text(&self) -> String {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        fn wait_for(&self, wanted: &str) {
            while !self.text().contains(wanted) {
                thread::yield_now();
            }
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }

        fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal() -> (Terminal, Paper) {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        (Terminal(MultiProgress::with_draw_target(target)), paper)
    }

    #[test]
    fn steps_beside_each_other_are_shown_until_each_of_them_ends() {
        let (terminal, paper) = terminal();
        let rows = Arc::new(AtomicU64::new(1234));
        let building = Line { counted: rows, ..Line::new("silver.a", COUNTING) };
        let (first, building) = terminal.show(building);
        paper.wait_for("1,234 rows");
        let (second, committing) = terminal.show(Line::new("silver.b", COMMITTING));
        paper.wait_for("committing");
        assert!(!first.is_finished() && !second.is_finished());
        drop(building);
        assert!(first.is_finished() && !second.is_finished());
        drop(committing);
        assert!(second.is_finished());
    }

    #[test]
    fn a_source_that_is_read_to_its_end_says_that_it_is_still_busy() {
        let (terminal, paper) = terminal();
        let read_bytes = Arc::new(AtomicU64::new(10));
        let reading = terminal.begin(Step::Ingest {
            table: "bronze.a".parse().unwrap(),
            total_bytes: 100,
            read_bytes: Arc::clone(&read_bytes),
        });
        paper.wait_for("10 B of 100 B");
        assert!(!paper.text().contains("writing the rest"));
        read_bytes.store(100, Ordering::Relaxed);
        paper.wait_for("writing the rest");
        drop(reading);
    }
}
