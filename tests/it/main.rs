//! All integration tests in one binary: linking the engine is the slow step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

/// The program's own: thousands of small runs are a third slower with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod broken_records;
mod channels;
mod clicks;
mod commands;
mod compaction;
mod credits;
mod damaged_files;
mod deliveries;
mod exits;
mod fuzz;
mod generated;
mod history;
mod incremental;
mod infer;
#[cfg(unix)]
mod lake;
mod layers;
mod layouts;
mod limits;
#[cfg(unix)]
mod logs;
mod many_days;
mod mistakes;
mod models;
mod mutants;
mod nasty;
mod odd_times;
mod oracle;
mod other_writers;
mod parts;
mod refused;
mod rules;
mod runs;
mod shown;
#[cfg(target_os = "linux")]
mod signals;
mod support;
#[cfg(unix)]
mod torture;
mod traffic;
mod visits;
mod ways;
