//! All integration tests in one binary: linking the engine is the slow step.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

mod commands;
mod generated;
mod layers;
mod layouts;
mod mistakes;
mod models;
mod runs;
mod support;
