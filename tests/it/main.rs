//! All integration tests in one binary: linking the engine is the slow step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

/// The program's own: thousands of small runs are a third slower with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod addresses;
mod agents;
mod answers;
mod bots;
mod broken_records;
mod chains;
mod channels;
mod claims;
mod clicks;
mod commands;
mod compaction;
mod credits;
mod csv_sources;
mod damaged_files;
mod deliveries;
mod differences;
mod envelopes;
mod evolution;
mod exits;
mod fuzz;
mod generated;
mod history;
mod incremental;
mod infer;
mod instants;
mod json;
#[cfg(unix)]
mod lake;
mod layers;
mod layouts;
mod limits;
#[cfg(unix)]
mod logs;
mod loud;
mod many_days;
mod mistakes;
mod models;
mod mutants;
mod nasty;
mod odd_times;
mod one_source;
mod oracle;
mod other_writers;
mod own_names;
mod parquet_sources;
mod parts;
#[cfg(unix)]
mod readme;
mod refused;
mod rules;
mod runs;
#[cfg(target_os = "linux")]
mod shell;
mod shown;
#[cfg(target_os = "linux")]
mod signals;
mod support;
#[cfg(unix)]
mod torture;
mod traffic;
mod visits;
mod ways;
