//! A lake that has to bear something, driven through real processes, and what must be true of it
//! afterwards.

#![cfg(unix)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::oracle::Oracle;
use crate::support::Bench;
use crate::traffic::{Batch, Traffic};

/// Each day's sessions, counted in three tables; in one epoch all three agree.
const SESSIONS_PER_DAY: &str = "SELECT CAST(session_date AS TEXT) AS day, \
    sum(a) AS attributed, sum(v) AS visiting, sum(p) AS on_pages FROM (\
    SELECT session_date, sessions AS a, 0 AS v, 0 AS p FROM gold.utm_attribution UNION ALL \
    SELECT session_date, 0, sessions, 0 FROM gold.return_visitors UNION ALL \
    SELECT session_date, 0, 0, sessions FROM gold.page_engagement) GROUP BY session_date";

/// How much is tried, and where.
pub(crate) struct Settings {
    all: bool,
    pub seed: u64,
    directory: PathBuf,
}

impl Settings {
    /// From the environment: see `torture.rs`.
    pub(crate) fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok();
        let seed = text("CLICKWATCH_TORTURE_SEED").map(|seed| seed.parse().unwrap());
        Self {
            all: text("CLICKWATCH_TORTURE").as_deref() == Some("all"),
            seed: seed.unwrap_or_else(|| clickwatch::runtime::now().timestamp().unsigned_abs()),
            directory: text("CLICKWATCH_TORTURE_DIR")
                .map_or_else(std::env::temp_dir, PathBuf::from),
        }
    }

    /// `sample` every day, `all` on demand.
    pub(crate) fn either<T>(&self, sample: T, all: T) -> T {
        if self.all { all } else { sample }
    }

    pub(crate) fn chance(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }
}

/// A lake, everything that was landed for it, and where more comes from.
pub(crate) struct Lake {
    pub bench: Bench,
    pub traffic: Traffic,
    history: Vec<Batch>,
    seed: u64,
    /// Records that were found lost or doubled.
    pub lost: usize,
    pub doubled: usize,
}

/// What a step came to, or what is wrong.
pub(crate) type Outcome<T> = Result<T, String>;

impl Lake {
    pub(crate) fn new(settings: &Settings, seed: u64) -> Self {
        Self {
            bench: Bench::with_directory(&settings.directory),
            traffic: Traffic::new(seed),
            history: Vec::new(),
            seed,
            lost: 0,
            doubled: 0,
        }
    }

    pub(crate) fn land(&mut self, batch: Batch) {
        batch.land(&self.bench);
        self.has_landed(batch);
    }

    /// Takes notice of a batch that was landed already.
    pub(crate) fn has_landed(&mut self, batch: Batch) {
        self.history.push(batch);
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.bench.process();
        command.args(["run", "--format", "json"]);
        command
    }

    fn start(&self) -> Child {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs to the end, which must be a good one; gives the pipeline's report.
    pub(crate) fn run(&self) -> Outcome<Value> {
        succeeded(&self.command().output().unwrap())
    }

    /// Fills the empty lake.
    pub(crate) fn begin(&mut self) -> Outcome<()> {
        let batch = self.traffic.first();
        self.land(batch);
        self.run().map(drop)
    }

    /// Lands a few more sessions.
    pub(crate) fn land_more(&mut self) {
        let batch = self.traffic.more();
        self.land(batch);
    }

    /// Runs, kills the run after `delay`, and gives whether it was still at work.
    pub(crate) fn killed_after(&self, delay: Duration) -> Outcome<bool> {
        let mut run = self.start();
        std::thread::sleep(delay);
        run.kill().unwrap();
        let ended = run.wait_with_output().unwrap();
        if is_killed(&ended) {
            return Ok(true);
        }
        succeeded(&ended).map(|_| false)
    }

    /// Runs twice at the same time. In some rounds one of the two is killed. Gives how often a run
    /// started over, and whether one died.
    pub(crate) fn race(&mut self, batch: Batch, chance: &mut ChaCha8Rng) -> Outcome<(u64, bool)> {
        self.land(batch);
        let mut runs = [self.start(), self.start()];
        let victim = chance.random_bool(0.3).then(|| chance.random_range(0..runs.len()));
        if let Some(victim) = victim {
            std::thread::sleep(Duration::from_millis(chance.random_range(0..700)));
            runs[victim].kill().unwrap();
        }
        let (mut restarts, mut died) = (0, false);
        for (index, run) in runs.into_iter().enumerate() {
            let ended = run.wait_with_output().unwrap();
            if victim == Some(index) && is_killed(&ended) {
                died = true;
            } else {
                restarts += succeeded(&ended)?["restarts"].as_u64().unwrap_or(0);
            }
        }
        if died {
            self.run()?;
        }
        self.agree()?;
        Ok((restarts, died))
    }

    /// Whether all tables hold what was landed, and nothing else.
    pub(crate) fn agree(&mut self) -> Outcome<()> {
        let comparison = Oracle::of(&self.history).compare(&self.bench);
        self.lost += comparison.lost;
        self.doubled += comparison.doubled;
        if comparison.differences.is_empty() {
            return Ok(());
        }
        Err(comparison.differences.join("\n"))
    }

    /// Whether all tables equal their rebuild.
    pub(crate) fn verify(&self) -> Outcome<()> {
        let ended = self.bench.command(&["verify"]);
        if ended.code == 0 { Ok(()) } else { Err(format!("{}\n{}", ended.out, ended.err)) }
    }

    /// What went wrong, and where one can look at it.
    pub(crate) fn complaint(&mut self, reason: &str) -> String {
        let seed = self.seed;
        format!("{reason}\nseed {seed}; the lake is kept in {}", self.bench.keep().display())
    }

    /// What an outcome gives that must be good.
    #[track_caller]
    pub(crate) fn insist<T>(&mut self, outcome: Outcome<T>) -> T {
        match outcome {
            Ok(value) => value,
            Err(reason) => panic!("{}", self.complaint(&reason)),
        }
    }
}

/// Whether a run was killed, by whomever.
pub(crate) fn is_killed(ended: &Output) -> bool {
    const SIGKILL: i32 = 9;
    ended.status.signal() == Some(SIGKILL)
}

/// The pipeline's report of a run that must have ended well.
pub(crate) fn succeeded(ended: &Output) -> Outcome<Value> {
    let (out, err) = (&ended.stdout, &ended.stderr);
    let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    if !ended.status.success() {
        return Err(format!("a run ended with {}: {err}\n{out}", ended.status));
    }
    let report: Value =
        serde_json::from_str(&out).map_err(|e| format!("the report is none: {e}: {out}"))?;
    let pipeline = report["pipelines"][0].clone();
    if pipeline["status"] != "succeeded" {
        return Err(format!("a run that did not succeed ended well: {pipeline:#}"));
    }
    Ok(pipeline)
}

/// Reads three tables at once, which must be of one epoch; gives the sum of sessions.
pub(crate) fn look(bench: &Bench) -> Outcome<u64> {
    let ended = bench.command(&["sql", "--format", "json", SESSIONS_PER_DAY]);
    if ended.code != 0 {
        return Err(format!("a reader is turned away: {}", ended.err));
    }
    let days: Vec<Value> = serde_json::from_str(&ended.out).unwrap();
    let is_mixed =
        |day: &&Value| day["attributed"] != day["visiting"] || day["attributed"] != day["on_pages"];
    let mixed: Vec<String> = days.iter().filter(is_mixed).map(Value::to_string).collect();
    if days.is_empty() || !mixed.is_empty() {
        return Err(format!("of {} days these are mixed: {}", days.len(), mixed.join(", ")));
    }
    Ok(days.iter().filter_map(|day| day["attributed"].as_u64()).sum())
}

/// Reads until `is_over`; gives all the sums.
pub(crate) fn keep_looking(bench: &Bench, is_over: &AtomicBool) -> Outcome<Vec<u64>> {
    let mut sums = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        sums.push(look(bench)?);
    }
    Ok(sums)
}
