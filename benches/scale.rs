//! Whether time grows with the data and memory does not: one, three and ten million generated
//! sessions into all tables of the pipeline, each into a lake of its own. Then what a hundred
//! thousand new sessions cost on top of a million, with less memory. `cargo bench --bench scale`.
//!
//! `CLICKWATCH_BENCH_SIZES` says how many sessions are loaded, as `1_000_000,3_000_000`, and
//! `CLICKWATCH_BENCH_MEMORY` with how much memory; `CLICKWATCH_BENCH_BASE` how many there are before
//! new ones come, `CLICKWATCH_BENCH_NEW` how many of these, `CLICKWATCH_BENCH_NEW_MEMORY` with how
//! much memory; `CLICKWATCH_BENCH_DIR` on which disk: ten million sessions need 20 GB. No time fails
//! the benchmark; a command that fails does, and so does a run that lands more or less than there is.
//!
//! Linux only: the kernel is asked how much memory a process had at most, and how much of the
//! processors it used.

#![expect(clippy::print_stdout, reason = "whoever starts a benchmark wants to read its numbers")]

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Into how many files sessions are dealt.
const FILES: &str = "8";
/// Linux counts the time on processors in hundredths of a second, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often it is looked how much memory a process has had so far: what it takes in its last moment
/// is missed.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much more than the least a million sessions of one size should cost.
const AIM_OF_RATIO: f64 = 1.1;
/// By how much the peak may exceed what `--memory` says.
const AIM_OF_PEAK: f64 = 1.1;
/// How new sessions should be landed: whatever the model declares, but not from everything.
const INCREMENTAL: [&str; 4] = ["append", "upsert", "recompute", "none"];

/// What a process took.
struct Measured {
    output: Output,
    wall: f64,
    cpu: f64,
    /// The most memory that was resident, in bytes.
    peak: f64,
}

/// What a run took, and its report.
struct Run {
    report: Value,
    measured: Measured,
}

/// A directory with everything that the program reads and writes.
struct Bench(TempDir);

fn main() -> Outcome<()> {
    let sizes = setting("CLICKWATCH_BENCH_SIZES", "1_000_000,3_000_000,10_000_000");
    let sizes = sizes.split(',').map(count_of).collect::<Outcome<Vec<u64>>>()?;
    let memory = setting("CLICKWATCH_BENCH_MEMORY", "2GiB");
    let base = count_of(&setting("CLICKWATCH_BENCH_BASE", "1_000_000"))?;
    let new = count_of(&setting("CLICKWATCH_BENCH_NEW", "100_000"))?;
    let new_memory = setting("CLICKWATCH_BENCH_NEW_MEMORY", "1GiB");
    load(&sizes, &memory)?;
    add(base, new, &new_memory)
}

/// Text from the environment.
fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn count_of(text: &str) -> Outcome<u64> {
    let number = text.trim().replace('_', "").parse::<u64>();
    number.map_err(|_| format!("`{text}` is no count of sessions").into())
}

/// Loads each of `sizes` and prints what a million sessions cost.
fn load(sizes: &[u64], memory: &str) -> Outcome<()> {
    let allowed = bytes_of(memory)?;
    println!("full loads into all tables, --memory {memory}");
    println!(
        "{:>12}{:>10}{:>10}{:>16}{:>16}{:>10}{:>10}",
        "sessions", "wall, s", "CPU, s", "wall s/million", "CPU s/million", "peak", "of memory"
    );
    let (mut walls, mut cpus, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for size in sizes {
        let bench = Bench::new()?;
        bench.generate("landing", *size, &["--days", "30", "--seed", "5"])?;
        let Measured { wall, cpu, peak, .. } = bench.run(memory, *size)?.measured;
        let millions = float(*size) / 1e6;
        println!(
            "{size:>12}{wall:>10.2}{cpu:>10.2}{:>16.2}{:>16.2}{:>10}{:>10.2}",
            wall / millions,
            cpu / millions,
            gibibytes(peak),
            peak / allowed
        );
        walls.push(wall / millions);
        cpus.push(cpu / millions);
        peaks.push(peak / allowed);
    }
    println!();
    print_aim("dearest million / cheapest, wall", dearest(&walls), AIM_OF_RATIO);
    print_aim("dearest million / cheapest, CPU", dearest(&cpus), AIM_OF_RATIO);
    print_aim("highest peak / --memory", peaks.into_iter().fold(0.0, f64::max), AIM_OF_PEAK);
    Ok(())
}

/// Adds `new` sessions of the days after `base`, and prints what became of each table.
fn add(base: u64, new: u64, memory: &str) -> Outcome<()> {
    let allowed = bytes_of(memory)?;
    let bench = Bench::new()?;
    bench.generate("landing", base, &["--days", "30", "--seed", "5"])?;
    bench.generate("new", new, &["--days", "3", "--from", "2025-07-31", "--seed", "6"])?;
    let loaded = bench.run(memory, base)?.measured;
    for file in fs::read_dir(bench.path("new"))? {
        let file = file?;
        if file.file_name().to_string_lossy().starts_with("part-") {
            let name = format!("new-{}", file.file_name().display());
            fs::rename(file.path(), bench.path("landing").join(name))?;
        }
    }
    let Run { report, measured } = bench.run(memory, new)?;
    println!("\n{new} new sessions on {base}, --memory {memory}");
    println!("{:<28}{:<12}{:>10}{:>10}{:>8}", "table", "how", "landed", "replaced", "ms");
    for table in entries(&report, "tables") {
        println!(
            "{:<28}{:<12}{:>10}{:>10}{:>8}",
            text(table, "table"),
            text(table, "strategy"),
            count(table, "rows_landed"),
            count(table, "rows_replaced"),
            count(table, "milliseconds")
        );
    }
    let rebuilt = |table: &&Value| !INCREMENTAL.contains(&text(table, "strategy"));
    for table in entries(&report, "tables").filter(rebuilt) {
        println!("rebuilt: {}, because {}", text(table, "table"), text(table, "reason"));
    }
    println!();
    for (what, run) in [("load", &loaded), ("new sessions", &measured)] {
        let peak = gibibytes(run.peak);
        println!("{what:<14}{:>8.2} s wall{:>8.2} s CPU{peak:>10} peak", run.wall, run.cpu);
    }
    let aim = loaded.wall * float(new) / float(base) + 1.0;
    print_aim("new sessions, s", measured.wall, aim);
    print_aim("peak / --memory", measured.peak / allowed, AIM_OF_PEAK);
    Ok(())
}

impl Bench {
    fn new() -> Outcome<Self> {
        let parent = std::env::var_os("CLICKWATCH_BENCH_DIR");
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        fs::create_dir_all(&parent)?;
        // The program is started in it: it has to be known by a name that holds everywhere.
        Ok(Self(TempDir::with_prefix_in("clickwatch-scale-", parent.canonicalize()?)?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn generate(&self, directory: &str, sessions: u64, more: &[&str]) -> Outcome<()> {
        let sessions = sessions.to_string();
        let mut arguments = vec!["generate", "sessions", directory, "--count", &sessions];
        arguments.extend(["--files", FILES]);
        arguments.extend(more);
        self.program(&arguments).map(drop)
    }

    /// Runs the pipeline, which has to land so many rows.
    fn run(&self, memory: &str, landed: u64) -> Outcome<Run> {
        let source = "web_sessions=landing";
        let arguments = ["run", "web_traffic", "--format", "json", "--source", source];
        let measured = self.program(&[&arguments[..], &["--memory", memory]].concat())?;
        let whole = serde_json::from_slice::<Value>(&measured.output.stdout)?;
        let report = whole["pipelines"][0].clone();
        let rows: u64 = entries(&report, "sources").map(|one| count(one, "rows_landed")).sum();
        if rows != landed {
            return Err(format!("a run landed {rows} rows, and there were {landed} to land").into());
        }
        Ok(Run { report, measured })
    }

    /// Runs the program to its end, which must be a good one.
    fn program(&self, arguments: &[&str]) -> Outcome<Measured> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clickwatch"));
        command.args(arguments).args(["--lake", "lake"]);
        command.args(["--project", env!("CARGO_MANIFEST_DIR")]);
        command.current_dir(self.0.path());
        let measured = measure(&mut command)?;
        if !measured.output.status.success() {
            io::stderr().write_all(&measured.output.stderr)?;
            let (what, status) = (arguments.join(" "), measured.output.status);
            return Err(format!("clickwatch {what} ended with {status}").into());
        }
        Ok(measured)
    }
}

/// Runs a process to its end beside a thread that looks at its memory.
fn measure(command: &mut Command) -> Outcome<Measured> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let used_before = seconds_of_children()?;
    let started = Instant::now();
    let process = command.spawn()?;
    let (id, has_ended) = (process.id(), AtomicBool::new(false));
    let (output, wall, peak) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0.0_f64;
            while !has_ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_of(id));
                thread::sleep(LOOK_EVERY);
            }
            peak
        });
        let output = process.wait_with_output();
        let wall = started.elapsed().as_secs_f64();
        has_ended.store(true, Ordering::Relaxed);
        (output, wall, watcher.join())
    });
    let peak = peak.map_err(|_| "the thread that looks at memory has panicked")?;
    Ok(Measured { output: output?, wall, cpu: seconds_of_children()? - used_before, peak })
}

/// The most memory that a process has had so far, in bytes; 0 when it is not there any more.
fn peak_of(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0
}

/// How long all processes that this one has started and seen the end of were on processors.
fn seconds_of_children() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets, in which anything may stand.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let mut ticks = 0.0;
    // cutime and cstime, the 16th and 17th field.
    for field in fields.split_whitespace().skip(13).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_SECOND)
}

/// How many bytes a size as `2GiB` is.
fn bytes_of(size: &str) -> Outcome<f64> {
    let bytes = size.parse::<bytesize::ByteSize>().map_err(|e| format!("`{size}`: {e}"))?;
    Ok(float(bytes.as_u64()))
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

fn gibibytes(bytes: f64) -> String {
    format!("{:.2} GiB", bytes / f64::from(1 << 30))
}

/// How many times the least of `values` the greatest is.
fn dearest(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    most / values.iter().copied().fold(f64::MAX, f64::min)
}

fn print_aim(what: &str, value: f64, aim: f64) {
    println!("{what:<36}{value:>8.2}  aim: at most {aim:.2}");
}

/// A report's entries about sources or tables.
fn entries<'a>(report: &'a Value, part: &str) -> impl Iterator<Item = &'a Value> {
    report[part].as_array().into_iter().flatten()
}

/// A text of an entry; empty where it has none.
fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_default()
}

/// A number of an entry; 0 where it has none.
fn count(entry: &Value, key: &str) -> u64 {
    entry[key].as_u64().unwrap_or_default()
}
