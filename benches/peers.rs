//! The same job done by clickwatch, DuckDB, Polars and Spark, in turn and on the same files, and then
//! ten queries over the tables: `cargo bench --bench peers`. What is compared, and how, is in
//! `benches/peers/run.py` and `queries.py`; to the first all arguments behind `--` are passed on, as
//! in `cargo bench --bench peers -- --rounds 5 --peers duckdb`.
//!
//! Needs Python, and for Spark Java and Maven; what else it needs it fetches from PyPI and Maven
//! Central into `CLICKWATCH_BENCH_DIR`, or `target/peers`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = project.join("benches/peers");
    let directory = std::env::var_os("CLICKWATCH_BENCH_DIR");
    let directory = directory.map_or_else(|| project.join("target/peers"), PathBuf::from);
    let tools = directory.join("tools");
    let work = directory.join("work");
    std::fs::create_dir_all(&work)?;
    succeed(Command::new(scripts.join("setup.sh")).arg(&tools))?;
    let mut run = Command::new(tools.join("peers/bin/python"));
    run.arg(scripts.join("run.py")).arg(env!("CARGO_BIN_EXE_clickwatch"));
    run.arg(project).arg(&tools).arg(&work);
    // Cargo adds a word of its own.
    run.args(std::env::args_os().skip(1).filter(|argument| argument != "--bench"));
    succeed(&mut run)?;
    let mut queries = Command::new(tools.join("readers/venv/bin/python"));
    queries.arg(scripts.join("queries.py")).arg(env!("CARGO_BIN_EXE_clickwatch"));
    succeed(queries.arg(work.join("lake-clickwatch")))
}

fn succeed(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{} ended with {status}", command.get_program().display()).into()),
    }
}
