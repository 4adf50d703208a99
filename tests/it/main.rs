//! All integration tests in one binary: linking the engine is the slow step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

/// The program's own: thousands of small runs are a third slower with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod channels;
mod clicks;
mod commands;
mod compaction;
mod credits;
mod fuzz;
mod generated;
mod history;
mod incremental;
#[cfg(unix)]
mod lake;
mod layers;
mod layouts;
mod mistakes;
mod models;
mod mutants;
mod nasty;
mod oracle;
mod parts;
mod rules;
mod runs;
mod support;
#[cfg(unix)]
mod torture;
mod traffic;
mod visits;
mod ways;
