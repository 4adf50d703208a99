//! What a run costs that has little to do: the same lake is filled anew in every round, gets a new
//! day, nothing, late corrections and nothing again, and is computed in full in the end. Everything
//! goes through the real program, and its whole process is timed.
//!
//! `CLICKWATCH_BENCH_SESSIONS` says how many sessions the first thirty days have,
//! `CLICKWATCH_BENCH_DAY` how many the day after them, `CLICKWATCH_BENCH_ROUNDS` how many rounds
//! there are, `CLICKWATCH_BENCH_DIR` on which disk. No time fails the benchmark; a command that
//! fails does, and so does a run that lands more or less than there is to land.

#![expect(clippy::print_stdout, reason = "whoever starts a benchmark wants to read its numbers")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Into how many files the sessions of the first thirty days are dealt.
const FILES: u64 = 8;
/// How many records are delivered late, at most.
const LATE: u64 = 1000;
/// One in so many of these is a session that was never delivered; the others are corrections.
const ONE_IS_NEW_OF: u64 = 10;

/// A directory with everything that the program reads and writes.
struct Bench {
    directory: TempDir,
    /// Records of the first thirty days.
    sessions: u64,
    /// Records of the day after them.
    day: u64,
    /// Records of the thirty days that come later than that.
    late: u64,
}

/// How many seconds each run of a round took.
struct Round {
    full_load: f64,
    new_day: f64,
    nothing: [f64; 2],
    late: f64,
    full_refresh: f64,
}

/// What the program reported of the runs of a round that are worth a look.
struct Reports {
    new_day: Value,
    nothing: Breakdown,
    late: Value,
}

/// Where the milliseconds of a run went that had nothing to do.
struct Breakdown(Vec<(&'static str, f64)>);

fn main() -> Outcome<()> {
    let rounds = setting("CLICKWATCH_BENCH_ROUNDS", 5)?.max(1);
    let bench = Bench::new()?;
    println!(
        "{} sessions of 30 days, {} of the next one, {} late; {rounds} rounds",
        bench.sessions, bench.day, bench.late
    );
    let mut done = Vec::new();
    for number in 1..rounds {
        done.push(bench.round(number, false)?.0);
    }
    let (last, reports) = bench.round(rounds, true)?;
    done.push(last);
    print_seconds(&done);
    println!("\n{:<28}{:>9}", "nothing new, last round", "ms");
    for (what, milliseconds) in &reports.nothing.0 {
        println!("{what:<28}{milliseconds:>9.0}");
    }
    print_tables("new day, last round", &reports.new_day);
    print_tables("late, last round", &reports.late);
    Ok(())
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> Outcome<u64> {
    let Some(text) = std::env::var_os(name) else { return Ok(default) };
    let number = text.to_str().and_then(|text| text.replace('_', "").parse().ok());
    number.ok_or_else(|| format!("{name} is {}, which is no count", text.display()).into())
}

impl Bench {
    /// Makes all records, of which only those of the thirty days have landed.
    fn new() -> Outcome<Self> {
        let sessions = setting("CLICKWATCH_BENCH_SESSIONS", 1_000_000)?;
        let day = setting("CLICKWATCH_BENCH_DAY", 33_000)?;
        let parent = std::env::var_os("CLICKWATCH_BENCH_DIR");
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        fs::create_dir_all(&parent)?;
        // The program is started in it: it has to be known by a name that holds everywhere.
        let directory = TempDir::with_prefix_in("clickwatch-bench-", parent.canonicalize()?)?;
        let mut bench = Self { directory, sessions, day, late: 0 };
        let files = FILES.to_string();
        bench.generate("landing", sessions, &["--days", "30", "--files", &files, "--seed", "5"])?;
        bench.generate("day", day, &["--days", "1", "--from", "2025-07-31", "--seed", "6"])?;
        bench.late = bench.write_late()?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn generate(&self, directory: &str, sessions: u64, more: &[&str]) -> Outcome<()> {
        let sessions = sessions.to_string();
        let mut arguments = vec!["generate", "sessions", directory, "--count", &sessions];
        arguments.extend(more);
        self.program(&arguments)?;
        Ok(())
    }

    /// Writes what is delivered late: some sessions of all days with another duration, and new
    /// sessions of the same days. Gives how many records that is.
    fn write_late(&self) -> Outcome<u64> {
        let mut file = BufWriter::new(File::create(self.path("late.json"))?);
        let every = self.sessions.div_ceil(LATE).max(1);
        let (mut seen, mut written) = (0_u64, 0_u64);
        for part in 0..FILES {
            let part = self.path(&format!("landing/part-{part:05}.json"));
            for line in BufReader::new(File::open(part)?).lines() {
                let line = line?;
                seen += 1;
                if !seen.is_multiple_of(every) {
                    continue;
                }
                written += 1;
                let mut record: Value = serde_json::from_str(&line)?;
                if written.is_multiple_of(ONE_IS_NEW_OF) {
                    record["session_id"] = format!("late-{written}").into();
                } else {
                    let spent = record["time_spent_seconds"].as_u64().unwrap_or_default();
                    record["time_spent_seconds"] = (spent + 60).into();
                }
                writeln!(file, "{record}")?;
            }
        }
        file.flush()?;
        Ok(written)
    }

    /// Runs the program to its end; gives what it printed, and the seconds that it took.
    fn program(&self, arguments: &[&str]) -> Outcome<(String, f64)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clickwatch"));
        command.args(arguments).args(["--lake", "lake"]);
        command.args(["--project", env!("CARGO_MANIFEST_DIR")]);
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        let started = Instant::now();
        let ended = command.output()?;
        let seconds = started.elapsed().as_secs_f64();
        if !ended.status.success() {
            io::stdout().write_all(&ended.stdout)?;
            io::stderr().write_all(&ended.stderr)?;
            let what = format!("clickwatch {} ended with {}", arguments.join(" "), ended.status);
            return Err(what.into());
        }
        Ok((String::from_utf8(ended.stdout)?, seconds))
    }

    /// Runs the pipeline, which has to land so many rows; gives its part of the report, and the
    /// seconds that the program took.
    fn run(&self, more: &[&str], landed: u64) -> Outcome<(Value, f64)> {
        let mut arguments = vec!["run", "web_traffic", "--format", "json"];
        arguments.extend(["--source", "web_sessions=landing"]);
        arguments.extend(more);
        let (text, seconds) = self.program(&arguments)?;
        let whole = serde_json::from_str::<Value>(&text)?;
        let mut report = whole["pipelines"][0].clone();
        report["preparing_milliseconds"] = whole["preparing_milliseconds"].clone();
        let landings = entries(&report, "sources").map(|source| count(source, "rows_landed"));
        let rows: u64 = landings.sum();
        if rows != landed {
            return Err(format!("a run landed {rows} rows, and there were {landed} to land").into());
        }
        Ok((report, seconds))
    }

    /// Lets a file land that was made before.
    fn land(&self, made: &str, name: &str) -> Outcome<()> {
        let (made, name) = (self.path(made), self.path("landing").join(name));
        // Not every disk knows hard links.
        fs::hard_link(&made, &name).or_else(|_| fs::copy(&made, &name).map(|_| ()))?;
        Ok(())
    }

    /// All runs on a lake of their own, in the same order each time: when the machine is slower for
    /// a while, it is slower for all of them. In the last round, the tables are compared with their
    /// rebuild before they are rebuilt.
    fn round(&self, number: u64, is_last: bool) -> Outcome<(Round, Reports)> {
        let (_, full_load) = self.run(&[], self.sessions)?;
        self.land("day/part-00000.json", "day.json")?;
        let (day_report, new_day) = self.run(&[], self.day)?;
        let (nothing_report, nothing) = self.run(&[], 0)?;
        self.land("late.json", "late.json")?;
        let (late_report, late) = self.run(&[], self.late)?;
        let (_, nothing_again) = self.run(&[], 0)?;
        if is_last {
            println!("\n{}\n", self.program(&["verify"])?.0.trim_end());
        }
        let (_, full_refresh) = self.run(&["--full-refresh"], 0)?;
        fs::remove_dir_all(self.path("lake"))?;
        for name in ["day.json", "late.json"] {
            fs::remove_file(self.path("landing").join(name))?;
        }
        println!(
            "round {number}, seconds: full load {full_load:.3}, new day {new_day:.3}, \
             nothing {nothing:.3}, late {late:.3}, nothing {nothing_again:.3}, \
             full refresh {full_refresh:.3}"
        );
        let nothing = [nothing, nothing_again];
        let round = Round { full_load, new_day, nothing, late, full_refresh };
        let breakdown = Breakdown::of(&nothing_report, round.nothing[0]);
        Ok((round, Reports { new_day: day_report, nothing: breakdown, late: late_report }))
    }
}

impl Breakdown {
    /// `seconds` are those of the whole process.
    fn of(report: &Value, seconds: f64) -> Self {
        let milliseconds = |value: &Value| value.as_f64().unwrap_or_default();
        let sources = entries(report, "sources");
        let sources: f64 = sources.map(|one| milliseconds(&one["milliseconds"])).sum();
        let prepared = milliseconds(&report["preparing_milliseconds"]);
        let ran = milliseconds(&report["milliseconds"]);
        let recorded = milliseconds(&report["recording_milliseconds"]);
        Self(vec![
            ("plan all SQL", prepared),
            ("list sources, read ledger", sources),
            ("look at models and epoch", ran - sources),
            ("write down the run", recorded),
            ("start and end the process", seconds * 1000.0 - prepared - ran - recorded),
        ])
    }
}

/// The seconds of each kind of run, and how they compare within a round.
fn print_seconds(rounds: &[Round]) {
    println!("\n{:<28}{:>9}{:>10}  ..{:>9}", "seconds", "median", "min", "max");
    print_spread("full load", rounds.iter().map(|round| round.full_load), "");
    print_spread("new day", rounds.iter().map(|round| round.new_day), "");
    let nothing = rounds.iter().flat_map(|round| round.nothing);
    print_spread("nothing new", nothing, "aim: at most 0.5");
    print_spread("late corrections", rounds.iter().map(|round| round.late), "");
    print_spread("full refresh", rounds.iter().map(|round| round.full_refresh), "");
    println!("\n{:<28}{:>9}{:>10}  ..{:>9}", "ratio within a round", "median", "min", "max");
    let ratio = rounds.iter().map(|round| round.new_day / round.full_load);
    print_spread("new day / full load", ratio, "aim: at most 0.125");
    let ratio = rounds.iter().map(|round| round.new_day / round.full_refresh);
    print_spread("new day / full refresh", ratio, "");
    let ratio = rounds.iter().map(|round| round.late / round.full_refresh);
    print_spread("corrections / full refresh", ratio, "");
}

fn print_spread(what: &str, values: impl Iterator<Item = f64>, aim: &str) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return };
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    println!("{}", format!("{what:<28}{median:>9.3}{min:>10.3}  ..{max:>9.3}  {aim}").trim_end());
}

/// What a run did to each table. Files that a model opened count as read in full, though it may
/// have needed a few columns only.
fn print_tables(what: &str, report: &Value) {
    println!(
        "\n{what:<28}{:<11}{:>10}{:>10}{:>12}{:>12}{:>8}",
        "how", "landed", "replaced", "KiB read", "KiB written", "ms"
    );
    for entry in entries(report, "sources").chain(entries(report, "tables")) {
        let how = match entry["strategy"].as_str() {
            Some(strategy) => strategy.to_owned(),
            None => format!("batch {}", entry["batch"]),
        };
        println!(
            "{:<28}{how:<11}{:>10}{:>10}{:>12}{:>12}{:>8}",
            entry["table"].as_str().unwrap_or_default(),
            count(entry, "rows_landed"),
            count(entry, "rows_replaced"),
            count(entry, "bytes_read").div_ceil(1024),
            count(entry, "bytes_written").div_ceil(1024),
            count(entry, "milliseconds"),
        );
    }
}

/// A report's entries about sources or tables.
fn entries<'a>(report: &'a Value, part: &str) -> impl Iterator<Item = &'a Value> {
    report[part].as_array().into_iter().flatten()
}

/// A number of an entry; 0 where it has none.
fn count(entry: &Value, key: &str) -> u64 {
    entry[key].as_u64().unwrap_or_default()
}
