//! The `clickwatch` program: hands the command line to the library and returns its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clickwatch::cli::main(std::env::args_os())
}
