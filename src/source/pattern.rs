//! The path of a source: a file, a directory, or a pattern of files such as `landing/**/*.json.gz`.
//!
//! What is there under the very name is meant, even if that looks like a pattern.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Kind, Result};

/// Where files are searched, and which of them are wanted.
pub(super) struct Pattern {
    /// The file, or the directory below which they are.
    pub base: PathBuf,
    wanted: Option<Wanted>,
}

struct Wanted {
    /// Matches paths below the base.
    matcher: GlobMatcher,
    /// How deep below the base they are; None when they may be anywhere there.
    depth: Option<usize>,
}

impl Pattern {
    /// The pattern `path`, relative to `root`.
    ///
    /// Errors: `Invalid` when it cannot be understood.
    pub(super) fn new(root: &Path, path: &Path) -> Result<Self> {
        let mut base = root.join(path);
        if !is_pattern(path) || base.exists() {
            return Ok(Self { base, wanted: None });
        }
        base = root.to_owned();
        let mut rest = PathBuf::new();
        for part in path.components().map(|part| Path::new(part.as_os_str())) {
            let is_fixed = !is_pattern(part) || base.join(part).exists();
            match rest.as_os_str().is_empty() && is_fixed {
                true => base.push(part),
                false => rest.push(part),
            }
        }
        let text = rest.to_string_lossy();
        let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(|e| {
            Error::new(Kind::Invalid, "the path of a source is no pattern")
                .at("path", path.display())
                .hint("`*` stands for a part of a name, `**` for directories, `{a,b}` for one of them")
                .because(e)
        })?;
        let depth = (!text.contains("**")).then(|| rest.components().count());
        Ok(Self { base, wanted: Some(Wanted { matcher: glob.compile_matcher(), depth }) })
    }

    /// Whether all files below the base are wanted.
    pub(super) fn takes_all(&self) -> bool {
        self.wanted.is_none()
    }

    /// Whether the file at `path` is wanted.
    pub(super) fn takes(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.base).unwrap_or(path);
        self.wanted.as_ref().is_none_or(|wanted| wanted.matcher.is_match(below))
    }

    /// Whether there may be wanted files in the directory at `path`.
    pub(super) fn goes_into(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.base).unwrap_or(path).components().count();
        let depth = self.wanted.as_ref().and_then(|wanted| wanted.depth);
        depth.is_none_or(|depth| below < depth)
    }

    /// Whether files of any depth below the base may be wanted.
    pub(super) fn is_deep(&self) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.depth.is_none())
    }
}

fn is_pattern(path: &Path) -> bool {
    let special = |byte: &u8| b"*?[{".contains(byte);
    path.as_os_str().as_encoded_bytes().iter().any(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_searched_from_where_it_begins() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a[1]")).unwrap();
        for (path, base, takes, leaves) in [
            ("in/*.json", "in", "in/a.json", "in/day/a.json"),
            ("in/**/*.json", "in", "in/day/2/a.json", "in/a.csv"),
            ("in/day=*/x-?.{json,csv}", "in", "in/day=1/x-1.csv", "in/day=1/x-10.csv"),
            ("a[1]/*.json", "a[1]", "a[1]/x.json", "a[1]/x.csv"),
        ] {
            let pattern = Pattern::new(root.path(), Path::new(path)).unwrap();
            assert_eq!(pattern.base, root.path().join(base));
            assert!(pattern.takes(&root.path().join(takes)), "{path}");
            assert!(!pattern.takes(&root.path().join(leaves)), "{path}");
            assert_eq!(pattern.is_deep(), path.contains("**"));
        }
        let pattern = Pattern::new(root.path(), Path::new("in/*/*.json")).unwrap();
        assert!(pattern.goes_into(&root.path().join("in/day")));
        assert!(!pattern.goes_into(&root.path().join("in/day/hour")));
        let wrong = Pattern::new(root.path(), Path::new("in/{a")).err().unwrap();
        assert_eq!(wrong.kind(), Kind::Invalid);
    }
}
