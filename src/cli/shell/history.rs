//! Where what was typed is kept, for nobody but who typed it.

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The file in the user's directory for state; None when the user has no directory.
pub(super) fn file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(env::home_dir()?.join(".local").join("state")))?;
    Some(state.join("clickwatch").join("history"))
}

/// Makes `file`, if it is not there, and sees to it that only its owner can read it.
pub(super) fn prepare(file: &Path) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::OpenOptions::new().create(true).append(true).open(file)?;
    protect(file)
}

#[cfg(unix)]
fn protect(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn protect(_file: &Path) -> io::Result<()> {
    Ok(())
}
