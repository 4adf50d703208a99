//! The shape of `src`: imports go one way, and the big crates stay behind their doors.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up; those of one line are siblings and do not know each other.
const RANKS: [&[&str]; 7] = [
    &["error", "name"],
    &["runtime"],
    &["project"],
    &["source", "lake", "generate"],
    &["engine"],
    &["pipeline"],
    &["cli"],
];

fn rank(module: &str) -> usize {
    RANKS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("{module} has no rank"))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_go_downwards_and_delta_stays_in_the_lake() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            for used in line.split("crate::").skip(1) {
                let used =
                    used.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
                let is_own = used == module;
                if !used.is_empty() && !is_own && rank(used) >= rank(module) {
                    wrong.push(format!("{}: {line}", relative.display()));
                }
            }
            if line.contains("deltalake::") && module != "lake" {
                wrong.push(format!("{}: {line}", relative.display()));
            }
        }
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= 400, "{} is too long", relative.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
