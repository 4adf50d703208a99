//! Queries in the user's own editor.

use std::fs;
use std::io::Write as _;

use crate::cli::display::program;
use crate::error::{Error, Kind, Result};

/// `text` after somebody has edited it.
///
/// Errors: `Invalid` when there is no editor, or it says that nothing is to be done.
pub(super) fn edited(text: &str) -> Result<String> {
    let refused =
        |what: &str| Error::new(Kind::Invalid, what).hint("name your editor in $VISUAL or $EDITOR");
    let mut file = tempfile::Builder::new()
        .prefix("clickwatch-")
        .suffix(".sql")
        .tempfile()
        .map_err(|e| Error::storage("cannot make a file to edit", e))?;
    let path = file.path().to_owned();
    file.write_all(text.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|e| Error::io("cannot write a file", &path, e))?;
    let mut editor =
        program(&["VISUAL", "EDITOR"], "vi").ok_or_else(|| refused("there is no editor"))?;
    let ended =
        editor.arg(&path).status().map_err(|e| refused("cannot start the editor").because(e))?;
    if !ended.success() {
        return Err(Error::new(Kind::Invalid, "the editor gave the query up"));
    }
    // An editor may have put another file in the place of this one.
    let text = fs::read_to_string(&path)
        .map_err(|e| Error::io("cannot read what was edited", &path, e))?;
    Ok(text.trim_end().to_owned())
}
