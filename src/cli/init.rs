//! `clickwatch init`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rust_embed::RustEmbed;

use crate::error::{Error, Kind, Result};

use super::Context;

/// Where to begin.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory; it is created, and must be empty when it is there already
    #[arg(default_value = ".")]
    directory: PathBuf,
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
    let mut files = 0u64;
    for name in Embedded::iter() {
        context
            .stop
            .check()
            .map_err(|e| e.hint("empty the directory, then begin the project again"))?;
        let Some(file) = Embedded::get(&name) else { continue };
        let path = directory.join(&*name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .map_err(|e| Error::io("cannot create a directory", parent, e))?;
        }
        fs::write(&path, &file.data).map_err(|e| Error::io("cannot write a file", &path, e))?;
        files += 1;
    }
    context.output.text(&format!(
        "wrote {files} files to {}\nnext: clickwatch run --project {0} --lake {0}/lake",
        directory.display()
    ))
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
