//! Odd input by chance, through the same doors as users': files that were changed here and there
//! after they had been written well, and queries that a grammar makes of odd values.
//!
//! `tests/corpus` is tried first, then one seed after the other. `cargo test` tries the same few
//! each time; `CLICKWATCH_FUZZ=60` goes on for so many seconds, with others each time, and
//! `CLICKWATCH_FUZZ_SEED=7` tries that one alone.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::mutants::{Mutant, Piece};
use crate::support::Bench;

/// How many seeds are tried when nothing else is said; see `CLICKWATCH_FUZZ`.
const SEEDS: u64 = 4;
/// What has not ended after this long will not end.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many files one run lands.
const FILES: usize = 40;
/// How many queries a seed stands for.
const QUERIES: usize = 20;
/// How deep expressions of the grammar go.
const DEPTH: usize = 5;

/// The functions whose errors are ours to word.
const FUNCTIONS: [&str; 16] = [
    "browser_name",
    "channel",
    "channel_reason",
    "count_events",
    "device_name",
    "first_event",
    "instant",
    "journeys",
    "param",
    "removal_effects",
    "session_number",
    "share",
    "system_name",
    "touch",
    "url_parts",
    "user_agent",
];

/// What may stand in itself without end: how the query begins, what is repeated before the innermost,
/// that, and what is repeated behind it.
const NESTED: [(&str, &str, &str, &str); 12] = [
    ("SELECT ", "(", "1", ")"),
    ("SELECT ", "1 + ", "1", ""),
    ("SELECT ", "- ", "1", ""),
    ("SELECT ", "NOT ", "true", ""),
    ("SELECT ", "false OR ", "true", ""),
    ("SELECT ", "[", "1", "]"),
    ("SELECT ", "struct(", "1", ")"),
    ("SELECT ", "instant(", "1", ")"),
    ("SELECT ", "CASE WHEN true THEN ", "1", " END"),
    ("SELECT ", "'a' || ", "'a'", ""),
    ("", "SELECT 1 UNION ALL ", "SELECT 1", ""),
    ("", "SELECT * FROM (", "SELECT 1", ")"),
];

/// Nothing, or what is wrong.
type Outcome = Result<(), String>;

/// What a process writes, once it has closed `pipe`.
fn listen(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        // Nobody listens any more to a process that was given up.
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}

/// Runs a process to its end. Gives its exit code, none if a signal ended it, and what it printed.
///
/// Errors: when it does not end.
fn finish(command: &mut Command) -> Result<(Option<i32>, String, String), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let out = listen(process.stdout.take().unwrap());
    let err = listen(process.stderr.take().unwrap());
    let Ok(out) = out.recv_timeout(PATIENCE) else {
        process.kill().unwrap();
        process.wait().unwrap();
        return Err(format!("it has not ended after {} s", PATIENCE.as_secs()));
    };
    let status = process.wait().unwrap();
    Ok((status.code(), out, err.recv().unwrap()))
}

/// Tries seeds for as long as is wanted, one at least.
fn fuzz(round: impl Fn(u64) -> Outcome) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (only, seconds) = (number("CLICKWATCH_FUZZ_SEED"), number("CLICKWATCH_FUZZ"));
    let other = || clickwatch::runtime::now().timestamp_micros().unsigned_abs();
    let first = only.unwrap_or_else(|| if seconds.is_some() { other() } else { 0 });
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    for seed in first.. {
        let outcome = catch_unwind(AssertUnwindSafe(|| round(seed)));
        if let Err(reason) = outcome.unwrap_or_else(|_| Err("a check panicked".to_owned())) {
            panic!("CLICKWATCH_FUZZ_SEED={seed}: {reason}");
        }
        let is_enough = match seconds {
            Some(_) => Instant::now() >= until,
            None => seed + 1 >= first + SEEDS,
        };
        if only.is_some() || is_enough {
            break;
        }
    }
}

/// A part of the project's corpus.
fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

/// A project that lands `mutants` and builds nothing of them.
fn prepare(bench: &Bench, mutants: &[Mutant]) {
    fs::create_dir(bench.path("landing")).unwrap();
    let pipeline = "[source.records]\nmax-quarantined = \"100%\"\n\
        [source.records.files]\npath = \"landing\"\nkeep-raw = \"always\"\n";
    fs::write(bench.path("pipelines/fuzz.toml"), pipeline).unwrap();
    let columns = "id BIGINT, text TEXT, number DOUBLE, flag BOOLEAN, list ARRAY<TEXT>, any JSON";
    let table = format!("CREATE TABLE records ({columns})");
    fs::write(bench.path("sql/bronze/records.sql"), table).unwrap();
    for mutant in mutants {
        fs::write(bench.path("landing").join(&mutant.name), &mutant.bytes).unwrap();
    }
}

/// The rows of a query that gives `file`, `position` and the bytes in hexadecimal digits, by file.
fn pieces(bench: &Bench, sql: &str) -> BTreeMap<String, Vec<Piece>> {
    let mut pieces: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for row in bench.query(sql) {
        let file = row["file"].as_str().unwrap().to_owned();
        let position = usize::try_from(row["position"].as_u64().unwrap()).unwrap();
        let hex = row["hex"].as_str().unwrap().as_bytes();
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let bytes = hex.chunks(2).map(|pair| (digit(pair[0]) << 4) | digit(pair[1])).collect();
        pieces.entry(file).or_default().push(Piece { position, bytes });
    }
    pieces
}

/// Lands all of them in one run and looks what became of each.
fn land(bench: &Bench, mutants: &[Mutant]) -> Outcome {
    prepare(bench, mutants);
    let (code, out, err) = finish(bench.process().args(["run", "--format", "json"]))?;
    if code != Some(0) || err.contains("panicked at") {
        return Err(format!("the run ended with {code:?}: {err}\n{out}"));
    }
    let report: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}"))?;
    let source = &report["pipelines"][0]["sources"][0];
    let [read, landed, rejected] = ["records_read", "rows_landed", "records_quarantined"]
        .map(|key| usize::try_from(source[key].as_u64().unwrap()).unwrap());
    let find = |rows: usize, sql: &str| match rows {
        0 => BTreeMap::new(),
        _ => pieces(bench, sql),
    };
    let in_bronze = find(
        landed,
        "SELECT _source AS file, _position AS position, encode(_raw, 'hex') AS hex \
         FROM bronze.records",
    );
    let in_quarantine = find(
        rejected,
        "SELECT _source AS file, _position AS position, encode(record, 'hex') AS hex \
         FROM ops.quarantine",
    );
    let count = |found: &BTreeMap<String, Vec<Piece>>| found.values().map(Vec::len).sum::<usize>();
    let found = (count(&in_bronze), count(&in_quarantine));
    if read != landed + rejected || found != (landed, rejected) {
        return Err(format!("{read} read, {landed} landed, {rejected} rejected, {found:?} there"));
    }
    for mutant in mutants {
        let of = |found: &BTreeMap<String, Vec<Piece>>| {
            found.get(&mutant.name).cloned().unwrap_or_default()
        };
        mutant
            .check(&of(&in_bronze), &of(&in_quarantine))
            .map_err(|reason| format!("{}: {reason}", mutant.name))?;
    }
    Ok(())
}

/// The same, and leaves everything where it is when something is wrong.
fn land_or_keep(mutants: &[Mutant]) -> Outcome {
    let mut bench = Bench::bare();
    let outcome = land(&bench, mutants);
    outcome.map_err(|reason| format!("{reason}\nthe files are kept in {}", bench.keep().display()))
}

/// Whether an internal error is about our functions, or comes from a place in our source.
fn is_ours(error: &str) -> bool {
    let is_named = |name: &&str| error.contains(&format!("'{name}'"));
    let places = ["at src/", "`src/"];
    FUNCTIONS.iter().any(is_named) || places.iter().any(|place| error.contains(place))
}

/// Asks a query in a process of its own: rows come, or an error that its author can act on.
fn ask(bench: &Bench, query: &str) -> Outcome {
    let file = bench.path("query.sql");
    fs::write(&file, query).unwrap();
    let mut process = bench.process();
    let ended = finish(process.args(["sql", "--format", "json", "--file"]).arg(file));
    let ended = ended.and_then(|(code, out, err)| {
        let is_fine = match code {
            Some(0) => serde_json::from_str::<Vec<Value>>(&out).is_ok(),
            Some(2 | 4) => true,
            // A bug of DataFusion is not looked for here, unless it is about our functions.
            Some(70) => !is_ours(&err),
            _ => false,
        };
        if is_fine {
            Ok(())
        } else {
            Err(format!("it ended with {code:?}: {err:.3000}\n{out:.300}"))
        }
    });
    ended.map_err(|reason| format!("{query:.3000}\n{reason}"))
}

/// The ways to write each name of `tests/corpus/queries.grammar`.
struct Grammar(BTreeMap<String, Vec<String>>);

impl Grammar {
    fn read() -> Self {
        let text = fs::read_to_string(corpus("queries.grammar")).unwrap();
        let mut ways: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, way)) = line.split_once(':') {
                ways.entry(name.to_owned()).or_default().push(way.trim().to_owned());
            }
        }
        Self(ways)
    }

    /// Writes `name` in one of its ways, which may hold others `depth` times inside each other.
    fn write(&self, name: &str, depth: usize, chance: &mut ChaCha8Rng, text: &mut String) {
        let Some(ways) = self.0.get(name) else { panic!("the grammar does not know {name}") };
        let flat = ways.iter().take_while(|way| !way.contains('{')).count();
        let choices = if depth == 0 { flat } else { ways.len() };
        let mut rest = ways[chance.random_range(0..choices)].as_str();
        while let Some((before, inner)) = rest.split_once('{') {
            let (name, behind) = inner.split_once('}').unwrap();
            text.push_str(before);
            self.write(name, depth.saturating_sub(1), chance, text);
            rest = behind;
        }
        text.push_str(rest);
    }

    fn query(&self, chance: &mut ChaCha8Rng) -> String {
        let mut query = String::new();
        self.write("query", DEPTH, chance, &mut query);
        // Some are no SQL.
        if chance.random_bool(0.05) {
            let mut characters: Vec<char> = query.chars().collect();
            let place = chance.random_range(0..characters.len());
            characters.remove(place);
            query = characters.into_iter().collect();
        }
        query
    }
}

/// A query in which something stands in itself, more or less often.
fn nested(chance: &mut ChaCha8Rng) -> String {
    let (begin, before, innermost, behind) = NESTED[chance.random_range(0..NESTED.len())];
    let dice: usize = chance.random_range(0..4);
    let times = [20, 100, 500, 3000][dice];
    format!("{begin}{}{innermost}{}", before.repeat(times), behind.repeat(times))
}

#[test]
fn every_byte_of_an_odd_file_is_kept_once_and_good_records_land() {
    let directory = fs::read_dir(corpus("files")).unwrap();
    let known = directory.map(|entry| entry.unwrap().path()).map(|path| Mutant::by_hand(&path));
    if let Err(reason) = land_or_keep(&known.collect::<Vec<_>>()) {
        panic!("tests/corpus/files: {reason}");
    }
    fuzz(|seed| {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mutants = (0..FILES).map(|number| Mutant::by_chance(number, &mut chance));
        land_or_keep(&mutants.collect::<Vec<_>>())
    });
}

#[test]
fn an_odd_query_gets_rows_or_an_error() {
    let bench = Bench::new();
    let queries = fs::read_to_string(corpus("queries.sql")).unwrap();
    for query in queries.lines().filter(|line| !line.starts_with("--")) {
        if let Err(reason) = ask(&bench, query) {
            panic!("tests/corpus/queries.sql: {reason}");
        }
    }
    let grammar = Grammar::read();
    fuzz(|seed| {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        ask(&bench, &nested(&mut chance))?;
        (1..QUERIES).try_for_each(|_| ask(&bench, &grammar.query(&mut chance)))
    });
}
