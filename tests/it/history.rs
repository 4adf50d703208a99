//! Histories by chance, over one to twenty runs: whatever is delivered in whatever order, every
//! table holds what the input says, and what one run over all of it would give.
//!
//! `CLICKWATCH_SEEDS=7..8` tries one history, `CLICKWATCH_SEEDS=200` so many, instead of the few of
//! every day.

use std::any::Any;
use std::num::NonZero;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::differences::differences;
use crate::oracle::Oracle;
use crate::support::{Bench, MODELS};
use crate::traffic::{Batch, Traffic};

/// Over so many days a history goes.
const DAYS: u64 = 100;
/// From so many histories on, all ways of bringing a table up to date must have been used.
const MANY: usize = 8;

pub(crate) struct History;

impl History {
    /// The batches of one history, always the same for the same seed.
    pub(crate) fn of(seed: u64) -> Vec<Batch> {
        let mut traffic = Traffic::new(seed);
        // Small ones are the many: they take little time and find as much.
        let runs = 1 + traffic.below(20) * traffic.below(20) / 19;
        let sessions = 40 + traffic.below(161) * traffic.below(161) / 160;
        let sessions_per_run = usize::try_from(sessions / runs).unwrap() + 1;
        (1..=runs).map(|run| traffic.until(DAYS * run / runs, sessions_per_run)).collect()
    }
}

/// Lives through a history run by run and compares what is there then. Gives the runs' reports.
fn replay(seed: u64) -> Vec<Value> {
    let history = History::of(seed);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let compacts = chance.random_bool(0.5);
    let (bench, at_once) = (Bench::new(), Bench::new());
    let mut reports = Vec::new();
    for (run, batch) in history.iter().enumerate() {
        batch.land(&bench);
        batch.land(&at_once);
        reports.push(bench.run());
        if compacts && chance.random_bool(0.3) {
            bench.command(&["tables", "compact"]).ok();
            Oracle::of(&history[..=run]).check(&bench);
        }
    }
    let oracle = Oracle::of(&history);
    oracle.check(&bench);
    bench.command(&["verify"]).ok();
    at_once.run();
    for table in MODELS {
        let wrong = differences(table, &at_once.content(table), &bench.content(table));
        assert!(wrong.is_empty(), "unlike all at once: {}", wrong.join("\n"));
    }
    reports
}

/// The seeds to try: `from..to`, or how many.
fn seeds() -> Range<u64> {
    let text = std::env::var("CLICKWATCH_SEEDS").unwrap_or_else(|_| "8".to_owned());
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

/// What a panic said.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}

#[test]
fn any_history_equals_its_rebuild() {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = catch_unwind(|| replay(seed)).map_err(|panic| reason(&*panic));
                    if let Err(reason) = &outcome {
                        println!("seed {seed} failed: {reason}");
                    }
                    let mut outcomes = outcomes.lock().unwrap();
                    outcomes.push((seed, outcome));
                    let (tried, of) = (outcomes.len() as u64, seeds.end - seeds.start);
                    if tried.is_multiple_of(50) || tried == of {
                        println!("{tried} of {of} histories tried");
                    }
                }
            });
        }
    });
    let (mut reports, mut failures): (Vec<Value>, Vec<String>) = Default::default();
    let outcomes = outcomes.into_inner().unwrap();
    let tried = outcomes.len();
    for (seed, outcome) in outcomes {
        match outcome {
            Ok(of_runs) => reports.extend(of_runs),
            Err(reason) => failures.push(format!("seed {seed}: {reason}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let used = |strategy: &str, replaces: bool| {
        let tables = reports.iter().filter_map(|report| report["tables"].as_array()).flatten();
        let mut tables = tables.filter(|table| table["strategy"] == strategy);
        tables.any(|table| (table["rows_replaced"].as_u64() > Some(0)) == replaces)
    };
    if tried >= MANY {
        assert!(used("upsert", true), "no upsert replaced a row");
        assert!(used("upsert", false), "no upsert only added rows");
        assert!(used("recompute", true), "no group of rows was computed anew");
    }
}
