//! The shape of `src`: imports go one way, and the big crates stay behind their doors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up; those of one line are siblings and do not know each other.
const RANKS: [&[&str]; 9] = [
    &["error", "name"],
    &["runtime"],
    &["project"],
    &["source", "lake", "generate"],
    &["engine", "infer"],
    &["rewrite"],
    &["ops"],
    &["pipeline"],
    &["cli"],
];

/// A file of `src`, and the module that it is.
struct Source {
    file: String,
    module: Vec<String>,
    is_facade: bool,
    text: String,
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

fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let source = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().with_extension("");
        let mut module: Vec<String> =
            relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let is_facade = module.last().is_some_and(|last| last == "mod");
        module.retain(|part| part != "mod");
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        Source { file, module, is_facade, text: fs::read_to_string(&path).unwrap() }
    };
    let all = files.into_iter().map(source);
    all.filter(|source| !matches!(source.module[0].as_str(), "main" | "lib")).collect()
}

impl Source {
    /// The text without its tests.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests").next().unwrap()
    }

    /// The full paths of all that it imports from this crate.
    fn imports(&self) -> BTreeSet<Vec<String>> {
        let mut paths = BTreeSet::new();
        let code: String =
            self.code().lines().filter(|line| !line.trim().starts_with("//")).collect();
        let statements = code.split(';').filter_map(|statement| statement.rsplit_once("use "));
        for (_, statement) in statements {
            let statement: String = statement.chars().filter(|c| !c.is_whitespace()).collect();
            for path in expanded(&statement) {
                let path: Vec<&str> = path.split("::").collect();
                let supers = path.iter().take_while(|part| **part == "super").count();
                let own = self.module.len() + usize::from(self.is_facade);
                let mut full = match path[0] {
                    "crate" => Vec::new(),
                    "super" => self.module[..own - supers].to_vec(),
                    _ => continue,
                };
                full.extend(path[supers.max(1)..].iter().map(|part| (*part).to_owned()));
                paths.insert(full);
            }
        }
        paths
    }
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d` and `a::c::e`.
fn expanded(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let inside = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut parts, mut start) = (0, Vec::new(), 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.flat_map(|part| expanded(&format!("{head}{part}"))).collect()
}

/// For each folder which of its modules import which others of it. What a folder shows to the outside
/// stands in its `mod.rs`, which is left out.
fn arrows() -> BTreeMap<Vec<String>, BTreeSet<(String, String)>> {
    let all = all();
    let known: BTreeSet<&[String]> =
        all.iter().flat_map(|one| (1..=one.module.len()).map(|end| &one.module[..end])).collect();
    let mut arrows: BTreeMap<Vec<String>, BTreeSet<(String, String)>> = BTreeMap::new();
    for source in &all {
        for path in source.imports() {
            let common = source.module.iter().zip(&path).take_while(|(own, other)| own == other);
            let common = common.count();
            let (Some(own), Some(other)) = (source.module.get(common), path.get(common)) else {
                continue;
            };
            if known.contains(&path[..=common]) {
                let folder = source.module[..common].to_vec();
                arrows.entry(folder).or_default().insert((own.clone(), other.clone()));
            }
        }
    }
    arrows
}

/// A way from a module back to itself, if there is one.
fn circle(arrows: &BTreeSet<(String, String)>) -> Option<String> {
    let mut left = arrows.clone();
    loop {
        let begins: BTreeSet<String> = left.iter().map(|(from, _)| from.clone()).collect();
        let before = left.len();
        left.retain(|(_, to)| begins.contains(to));
        if left.len() == before {
            let names = left.iter().map(|(from, to)| format!("{from} -> {to}"));
            return (before > 0).then(|| names.collect::<Vec<_>>().join(", "));
        }
    }
}

#[test]
fn imports_go_downwards() {
    let rank = |module: &str| {
        let rank = RANKS.iter().position(|modules| modules.contains(&module));
        rank.unwrap_or_else(|| panic!("{module} has no rank"))
    };
    let arrows = arrows();
    let wrong: Vec<String> = arrows[&Vec::new()]
        .iter()
        .filter(|(from, to)| rank(to) >= rank(from))
        .map(|(from, to)| format!("{from} imports {to}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_modules_of_a_folder_import_each_other_in_a_circle() {
    let circles = arrows()
        .into_iter()
        .filter_map(|(folder, arrows)| Some(format!("{}: {}", folder.join("/"), circle(&arrows)?)));
    let circles: Vec<String> = circles.collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn delta_stays_in_the_lake_and_files_are_short() {
    for source in all() {
        let file = &source.file;
        let is_lake = source.module[0] == "lake";
        assert!(is_lake || !source.code().contains("deltalake::"), "{file} names Delta");
        let lines = source.code().lines().count();
        assert!(lines <= 400, "{file} has {lines} lines");
    }
}

#[test]
fn what_is_imported_is_found() {
    assert_eq!(expanded("a::{b,c::{d,e as f},g}"), ["a::b", "a::c::d", "a::c::e as f", "a::g"]);
    let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert!(circle(&BTreeSet::from([arrow("a", "b"), arrow("b", "c")])).is_none());
    let of_three = BTreeSet::from([arrow("a", "b"), arrow("b", "c"), arrow("c", "a")]);
    assert!(circle(&of_three).is_some());
}
