//! `clickwatch init`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rust_embed::RustEmbed;

use crate::error::{Error, Kind, Result};

use super::Context;

/// Where the SQL of a project stands.
const DIRECTORIES: [&str; 3] = ["sql/bronze", "sql/silver", "sql/gold"];
/// What a pipeline looks like; its name keeps it from being one.
const EXAMPLE: (&str, &str) = ("pipelines/_example.toml", include_str!("example.toml"));

/// Where to begin.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory; it is created, and must be empty when it is there already
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Write an empty project, with no more than an example of a pipeline
    #[arg(long)]
    bare: bool,
}

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR"]
#[include = "pipelines/*"]
#[include = "sql/*"]
#[include = "sample_data/*"]
#[exclude = "target/*"]
#[exclude = "lake/*"]
#[exclude = ".*"]
struct Embedded;

pub(super) fn run(mut context: Context<'_>, arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    refuse_full(directory)?;
    if arguments.bare {
        return bare(context, directory);
    }
    let mut files = 0u64;
    for name in Embedded::iter() {
        context
            .stop
            .check()
            .map_err(|e| e.hint("empty the directory, then begin the project again"))?;
        let Some(file) = Embedded::get(&name) else { continue };
        write(&directory.join(&*name), &file.data)?;
        files += 1;
    }
    context.output.text(&format!(
        "wrote {files} files to {}\nnext: clickwatch run --project {0} --lake {0}/lake",
        directory.display()
    ))
}

fn bare(mut context: Context<'_>, directory: &Path) -> Result<()> {
    for name in DIRECTORIES {
        create(&directory.join(name))?;
    }
    let (example, text) = EXAMPLE;
    write(&directory.join(example), text.as_bytes())?;
    context.output.text(&format!(
        "an empty project is in {}; {example} shows what a pipeline looks like\n\
         next: clickwatch infer PATH --project {0}",
        directory.display()
    ))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    path.parent().map_or(Ok(()), create)?;
    fs::write(path, content).map_err(|e| Error::io("cannot write a file", path, e))
}

fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|e| Error::io("cannot create a directory", directory, e))
}

fn refuse_full(directory: &Path) -> Result<()> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::new(Kind::Invalid, "the directory is not empty")
                .at("directory", directory.display())
                .hint("name another one: nothing is overwritten")),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("cannot look into the directory", directory, e)),
    }
}
