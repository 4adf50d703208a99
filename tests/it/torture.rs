//! Runs that die at every step, at any moment and beside each other, as real processes: the next
//! run mends what they left, no record is lost or doubled, and readers see one epoch at a time.
//!
//! A sample is tried every day. `CLICKWATCH_TORTURE=all` tries everything,
//! `CLICKWATCH_TORTURE_SEED=7` the same sample again, `CLICKWATCH_TORTURE_DIR=/mnt/disk` another
//! disk.

#![cfg(unix)]

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::lake::{Lake, Outcome, Settings, is_killed, keep_looking, look, succeeded};
use crate::support::MODELS;
use crate::traffic::Batch;

const POINTS: [&str; 8] = [
    "before-file",
    "after-file",
    "before-sync",
    "after-sync",
    "before-commit",
    "before-rename",
    "after-rename",
    "after-commit",
];

/// The tables besides those of models that a run writes to.
const OTHERS: [&str; 8] = [
    "bronze.web_sessions",
    "ops.batches",
    "ops.files",
    "ops.quarantine",
    "ops.epochs",
    "ops.runs",
    "ops.writes",
    "ops.expectations",
];

/// How many lakes are tortured at the same time.
const THREADS: usize = 2;
/// How many failpoints a lake has to bear one after the other, at most.
const STEPS: usize = 15;
/// So many failpoints of all must be ones that runs come by.
const REACHED: usize = 200;

/// What a run finds that is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    EmptyLake,
    NewDay,
    Corrections,
}

/// Where a run is to die.
#[derive(Clone, Copy)]
struct Failpoint {
    point: &'static str,
    table: &'static str,
    state: State,
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({:?})", self.point, self.table, self.state)
    }
}

/// What came of all failpoints together.
#[derive(Default)]
struct Tally {
    killed: usize,
    not_reached: Vec<String>,
    lost: usize,
    doubled: usize,
    failures: Vec<String>,
}

/// The failpoints to try: for each lake its own, and a seed.
fn failpoints(settings: &Settings) -> Vec<(Vec<Failpoint>, u64)> {
    let mut points: Vec<Failpoint> = Vec::new();
    for state in [State::EmptyLake, State::NewDay, State::Corrections] {
        for table in MODELS.into_iter().chain(OTHERS) {
            points.extend(POINTS.map(|point| Failpoint { point, table, state }));
        }
    }
    points.shuffle(&mut settings.chance());
    points.truncate(settings.either(16, points.len()));
    let is_first = |at: &Failpoint| at.state == State::EmptyLake;
    let (first, later): (Vec<_>, Vec<_>) = points.into_iter().partition(is_first);
    let steps = later.len().div_ceil(THREADS).clamp(1, STEPS);
    let later = later.chunks(steps).map(<[_]>::to_vec);
    later.chain(first.into_iter().map(|at| vec![at])).zip(settings.seed..).collect()
}

/// Runs into a failpoint and then to the end; gives whether the failpoint was reached.
fn survive(lake: &mut Lake, at: Failpoint) -> Outcome<bool> {
    let batch = match at.state {
        State::EmptyLake => lake.traffic.first(),
        State::NewDay => lake.traffic.new_day(),
        State::Corrections => lake.traffic.corrections(),
    };
    lake.land(batch);
    let failpoint = format!("{}@{}", at.point, at.table);
    let ended = lake.command().env("CLICKWATCH_FAILPOINT", failpoint).output().unwrap();
    let killed = is_killed(&ended);
    if killed {
        // What a dead run left behind is no reader's business.
        if at.state != State::EmptyLake {
            look(&lake.bench)?;
        }
        lake.run()?;
    } else {
        succeeded(&ended)?;
    }
    lake.agree()?;
    Ok(killed)
}

/// One failpoint after the other, on the same lake.
fn survive_all(lake: &mut Lake, points: &[Failpoint], tally: &Mutex<Tally>) -> Outcome<()> {
    if points.iter().all(|at| at.state != State::EmptyLake) {
        lake.begin()?;
    }
    for at in points {
        let killed = survive(lake, *at).map_err(|reason| format!("{at}: {reason}"))?;
        let mut tally = tally.lock().unwrap();
        if killed {
            tally.killed += 1;
        } else {
            tally.not_reached.push(at.to_string());
        }
    }
    if points.len() > 1 { lake.verify() } else { Ok(()) }
}

#[test]
fn killed_at_every_step_the_next_run_converges() {
    let settings = Settings::read();
    let began = Instant::now();
    let lakes = failpoints(&settings);
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((points, seed)) = lakes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut lake = Lake::new(&settings, *seed);
                    let outcome = survive_all(&mut lake, points, &tally);
                    let mut tally = tally.lock().unwrap();
                    tally.lost += lake.lost;
                    tally.doubled += lake.doubled;
                    tally.failures.extend(outcome.err().map(|reason| lake.complaint(&reason)));
                }
            });
        }
    });
    let Tally { killed, not_reached, lost, doubled, failures } = tally.into_inner().unwrap();
    println!(
        "{killed} combinations killed, {} not reached, records lost {lost}, doubled {doubled}, \
         seed {}, {} s",
        not_reached.len(),
        settings.seed,
        began.elapsed().as_secs(),
    );
    assert!(failures.is_empty(), "seed {}:\n{}", settings.seed, failures.join("\n\n"));
    let enough = settings.either(1, REACHED);
    assert!(killed >= enough, "{killed} were killed, not by:\n{}", not_reached.join("\n"));
}

/// Kills runs until `wanted` died, a few in a row, and looks what the next one makes of it. Gives
/// how many died, and how many had to mend something.
fn kill_at_random(lake: &mut Lake, wanted: u64, chance: &mut ChaCha8Rng) -> Outcome<(u64, u64)> {
    let began = Instant::now();
    lake.begin()?;
    let mut longest = began.elapsed();
    let (mut kills, mut mended) = (0, 0);
    while kills < wanted {
        lake.land_more();
        for _ in 0..chance.random_range(1..5) {
            if !lake.killed_after(longest.mul_f64(chance.random()))? {
                longest = longest.mul_f64(0.9);
                break;
            }
            kills += 1;
            look(&lake.bench)?;
        }
        let began = Instant::now();
        lake.run()?;
        longest = longest.max(began.elapsed());
        lake.agree()?;
        mended += 1;
    }
    lake.verify()?;
    Ok((kills, mended))
}

#[test]
fn killed_at_random_moments_the_next_run_converges() {
    let settings = Settings::read();
    let wanted = settings.either(10, 60);
    let mut lake = Lake::new(&settings, settings.seed);
    let outcome = kill_at_random(&mut lake, wanted, &mut settings.chance());
    let (kills, mended) = lake.insist(outcome);
    println!("{kills} runs killed at random, {mended} mended, seed {}", settings.seed);
}

#[test]
fn two_runs_at_once_neither_double_nor_lose_a_record() {
    let settings = Settings::read();
    let (rounds, per_lake) = settings.either((6, 3), (50, 10));
    let mut chance = settings.chance();
    let (mut all_restarts, mut deaths) = (0, 0);
    for first_round in (0..rounds).step_by(per_lake) {
        let mut lake = Lake::new(&settings, settings.seed + first_round);
        for round in 0..per_lake {
            let batch = if round == 0 { lake.traffic.first() } else { lake.traffic.more() };
            let outcome = lake.race(batch, &mut chance);
            let (restarts, died) = lake.insist(outcome);
            all_restarts += restarts;
            deaths += u64::from(died);
        }
        let outcome = lake.verify();
        lake.insist(outcome);
    }
    println!("{rounds} races, {all_restarts} starts over, {deaths} deaths, seed {}", settings.seed);
}

#[test]
fn a_reader_never_sees_two_epochs() {
    let settings = Settings::read();
    let mut lake = Lake::new(&settings, settings.seed);
    let outcome = lake.begin();
    lake.insist(outcome);
    let rounds = settings.either(8, 50);
    let mut batches: Vec<Batch> = Vec::new();
    for _ in 0..rounds / 2 {
        batches.extend([lake.traffic.new_day(), lake.traffic.corrections()]);
    }
    let is_over = AtomicBool::new(false);
    let (written, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| keep_looking(&lake.bench, &is_over));
        let written = batches.iter().try_for_each(|batch| {
            batch.land(&lake.bench);
            lake.run().map(drop)
        });
        is_over.store(true, Ordering::Relaxed);
        (written, reader.join().unwrap())
    });
    lake.insist(written);
    let mut sums = lake.insist(read);
    println!("{} reads beside {rounds} runs, seed {}", sums.len(), settings.seed);
    assert!(!sums.is_empty(), "nothing was read while runs were going on");
    assert!(sums.is_sorted(), "a reader went back to an earlier epoch: {sums:?}");
    sums.dedup();
    assert!(sums.len() > 1, "all was read from one epoch");
    batches.into_iter().for_each(|batch| lake.has_landed(batch));
    let outcome = lake.agree();
    lake.insist(outcome);
}
