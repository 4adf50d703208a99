//! Places at which the process can be made to die, to prove that dying there does no harm.
//!
//! `CLICKWATCH_FAILPOINT=before-rename@gold.conversions#2` kills the process, as SIGKILL does, when
//! it comes to that step of that table for the second time. Without the variable a place costs a
//! look at a static.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The environment variable that names the place.
const VARIABLE: &str = "CLICKWATCH_FAILPOINT";

/// A step in the life of a file of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// Before a data file is begun.
    BeforeFile,
    /// After a data file is whole, and not yet on the disk for certain.
    AfterFile,
    /// Before the data files of a commit are synced.
    BeforeSync,
    /// After they are.
    AfterSync,
    /// Before anything of a commit is written.
    BeforeCommit,
    /// After a commit is written under a name that nobody reads.
    BeforeRename,
    /// After it got its name, before its directory is synced.
    AfterRename,
    /// After all of that.
    AfterCommit,
}

impl Failpoint {
    /// The name in the environment variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeFile => "before-file",
            Self::AfterFile => "after-file",
            Self::BeforeSync => "before-sync",
            Self::AfterSync => "after-sync",
            Self::BeforeCommit => "before-commit",
            Self::BeforeRename => "before-rename",
            Self::AfterRename => "after-rename",
            Self::AfterCommit => "after-commit",
        }
    }

    /// Dies here if this is the place that was named; `table` gives the table's name.
    pub fn pass(self, table: impl FnOnce() -> String) {
        static CHOSEN: OnceLock<Option<Chosen>> = OnceLock::new();
        let chosen =
            CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok().map(|text| Chosen::parse(&text)));
        let Some(chosen) = chosen else { return };
        if chosen.point == self.name() && chosen.table == table() && chosen.is_turn() {
            die();
        }
    }
}

struct Chosen {
    point: String,
    table: String,
    turns_left: AtomicU32,
}

impl Chosen {
    /// Reads `point@table#turn`; what is missing matches nothing, or the first turn.
    fn parse(text: &str) -> Self {
        let (place, turn) = text.split_once('#').unwrap_or((text, "1"));
        let (point, table) = place.split_once('@').unwrap_or((place, ""));
        Self {
            point: point.to_owned(),
            table: table.to_owned(),
            turns_left: AtomicU32::new(turn.parse().unwrap_or(1)),
        }
    }

    fn is_turn(&self) -> bool {
        self.turns_left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

/// Ends the process at once: no destructor runs, nothing is flushed.
fn die() {
    if let Ok(own) = sysinfo::get_current_pid() {
        let mut system = sysinfo::System::new();
        system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[own]), false);
        if let Some(process) = system.process(own) {
            process.kill();
            // The signal is on its way.
            std::thread::sleep(Duration::from_secs(5));
        }
    }
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_with_and_without_its_turn() {
        let chosen = Chosen::parse("before-file@gold.a#3");
        assert_eq!((chosen.point.as_str(), chosen.table.as_str()), ("before-file", "gold.a"));
        assert_eq!([chosen.is_turn(), chosen.is_turn(), chosen.is_turn()], [false, false, true]);
        assert!(Chosen::parse("after-file@gold.a").is_turn());
    }
}
