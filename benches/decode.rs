//! How fast records become rows, on one core and without writing them: this decoder beside that of
//! arrow-json, on the same bytes in the same run, in turn. `cargo bench --bench decode`.
//!
//! arrow-json gets clean input only, since it ends at the first record that does not fit;
//! ours decodes clean and dirty input, with everything that rescues and quarantines records on.
//! `CLICKWATCH_BENCH_SESSIONS` says how many sessions, `CLICKWATCH_BENCH_ROUNDS` how many rounds.

#![expect(clippy::print_stdout, reason = "whoever starts a benchmark wants to read its numbers")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use clickwatch::generate::{Compression, Framing, Options, Traffic, generate};
use clickwatch::project::Project;
use clickwatch::runtime::Stop;
use clickwatch::source::{Decoder, Lineage, Piece, discover, feed};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Rows that arrow-json gives at a time.
const ROWS: usize = 8 << 10;

/// What was decoded.
#[derive(Default)]
struct Decoded {
    rows: usize,
    quarantined: usize,
    seconds: f64,
}

fn main() -> Outcome<()> {
    let sessions = setting("CLICKWATCH_BENCH_SESSIONS", 200_000)?;
    let rounds = setting("CLICKWATCH_BENCH_ROUNDS", 7)?.max(1);
    let directory = tempfile::tempdir()?;
    let clean = pieces(&directory.path().join("clean"), sessions, false)?;
    let dirty = pieces(&directory.path().join("dirty"), sessions, true)?;
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let theirs = arrow_json(&clean)?;
        let ours = ours(&clean)?;
        if ours.rows != theirs.rows || ours.quarantined > 0 {
            return Err(format!("{} rows and not {}", ours.rows, theirs.rows).into());
        }
        let rescuing = self::ours(&dirty)?;
        figures[0].push(speed(&clean, &theirs));
        figures[1].push(speed(&clean, &ours));
        figures[2].push(speed(&dirty, &rescuing));
    }
    println!("{sessions} sessions, {rounds} rounds, one core");
    println!("\n{:<28}{:>9}{:>10}  ..{:>9}", "MB of JSON per second", "median", "min", "max");
    print_spread("arrow-json, clean", &figures[0]);
    print_spread("clickwatch, clean", &figures[1]);
    print_spread("clickwatch, dirty", &figures[2]);
    let ratios = |index: usize| {
        let pairs = figures[index].iter().zip(&figures[0]);
        pairs.map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>()
    };
    println!("\n{:<28}{:>9}{:>10}  ..{:>9}", "ratio within a round", "median", "min", "max");
    print_spread("clean / arrow-json", &ratios(1));
    print_spread("dirty / arrow-json's clean", &ratios(2));
    Ok(())
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> Outcome<u64> {
    let Some(text) = std::env::var_os(name) else { return Ok(default) };
    let number = text.to_str().and_then(|text| text.replace('_', "").parse().ok());
    number.ok_or_else(|| format!("{name} is {}, which is no count", text.display()).into())
}

/// Generated sessions, read into memory in the pieces in which a run reads them.
fn pieces(directory: &Path, count: u64, dirty: bool) -> Outcome<Vec<Piece>> {
    let options = Options {
        traffic: Traffic::Sessions,
        count,
        days: 30,
        from: chrono::NaiveDate::from_ymd_opt(2025, 7, 1).ok_or("no such day")?,
        seed: 5,
        files: 1,
        framing: Framing::Ndjson,
        compression: Compression::None,
        dirty,
    };
    generate(&options, directory)?;
    let (source, stop) = (source()?, Stop::new());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let found = discover(Path::new(""), &[directory.to_owned()], &stop)?;
        let how = (&source.columns, &source.format);
        let feed = feed(found.files, how, 1, usize::MAX, &stop);
        let mut pieces = Vec::new();
        while let Some(piece) = feed.next().await? {
            pieces.push(piece);
        }
        Ok(pieces)
    })
}

fn megabytes(pieces: &[Piece]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "bytes that fit into memory are exact")]
    let bytes = pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>() as f64;
    bytes / 1e6
}

fn speed(pieces: &[Piece], decoded: &Decoded) -> f64 {
    megabytes(pieces) / decoded.seconds
}

/// The declared source of the shipped pipeline.
fn source() -> Outcome<clickwatch::project::Source> {
    let project = Project::load(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let mut sources = project.pipelines.into_iter().flat_map(|pipeline| pipeline.sources);
    let wanted = sources.find(|source| source.table.name() == "web_sessions");
    wanted.ok_or_else(|| "there is no source web_sessions".into())
}

fn ours(pieces: &[Piece]) -> Outcome<Decoded> {
    let source = source()?;
    let lineage = Lineage { batch: 1, ingested_at: clickwatch::runtime::now() };
    let mut decoder = Decoder::new(&source.columns, source.keep_raw, lineage)?;
    let started = Instant::now();
    let mut decoded = Decoded::default();
    for piece in pieces {
        decoder.decode(piece);
        decoded.quarantined += decoder.take_quarantined().len();
        if decoder.is_full() {
            decoded.rows += hold(decoder.take_rows()?);
        }
    }
    decoded.rows += hold(decoder.take_rows()?);
    decoded.seconds = started.elapsed().as_secs_f64();
    Ok(decoded)
}

fn arrow_json(pieces: &[Piece]) -> Outcome<Decoded> {
    let columns = source()?.columns;
    let started = Instant::now();
    let mut decoder = ReaderBuilder::new(columns).with_batch_size(ROWS).build_decoder()?;
    let mut decoded = Decoded::default();
    for piece in pieces {
        let mut rest = piece.bytes.as_slice();
        while !rest.is_empty() {
            let used = decoder.decode(rest)?;
            rest = &rest[used..];
            if !rest.is_empty() {
                decoded.rows += decoder.flush()?.map_or(0, hold);
            }
        }
    }
    decoded.rows += decoder.flush()?.map_or(0, hold);
    decoded.seconds = started.elapsed().as_secs_f64();
    Ok(decoded)
}

/// The rows of a batch, which the compiler must not leave out as unused.
fn hold(rows: RecordBatch) -> usize {
    std::hint::black_box(rows).num_rows()
}

fn print_spread(what: &str, values: &[f64]) {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return };
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    println!("{what:<28}{median:>9.2}{min:>10.2}  ..{max:>9.2}");
}
