//! Takes the patterns of browsers out of the package `ua-parser`, so that they are part of the program.
//!
//! The package holds `uap-core/regexes.yaml` beside its code, and cargo alone knows where a package is:
//! in the registry's folder or a vendored one. Asked is a manifest that needs nothing else, as asking
//! with that of clickwatch would want packages of tests and of other systems, which may not be there.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATTERNS: &str = "uap-core/regexes.yaml";
const MANIFEST: &str = r#"
[package]
name = "whereabouts"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
ua-parser = "0.2"
[workspace]
"#;

fn main() -> Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let made = PathBuf::from(variable("OUT_DIR")?);
    let patterns = patterns_of(&root, &made.join("whereabouts"))?;
    let text = fs::read_to_string(&patterns)
        .map_err(|error| format!("cannot read {}: {error}", patterns.display()))?;
    fs::write(made.join("browsers.tsv"), browsers(&text)?)?;
    let mut out = io::stdout();
    for file in ["build.rs", "Cargo.lock"] {
        // A file that is not there would count as changed at every build.
        if root.join(file).exists() {
            writeln!(out, "cargo::rerun-if-changed={file}")?;
        }
    }
    writeln!(out, "cargo::rerun-if-changed={}", patterns.display())?;
    Ok(())
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}").into())
}

/// Where the patterns are, of the version that is compiled in.
fn patterns_of(root: &Path, made: &Path) -> Result<PathBuf> {
    fs::create_dir_all(made)?;
    fs::write(made.join("Cargo.toml"), MANIFEST)?;
    fs::write(made.join("lib.rs"), "")?;
    let lock = root.join("Cargo.lock");
    if lock.exists() {
        fs::write(made.join("Cargo.lock"), fs::read(lock)?)?;
    }
    // In the project's folder, where its settings say what is vendored.
    let asked = Command::new(variable("CARGO")?)
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(made.join("Cargo.toml"))
        .current_dir(root)
        .output()?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        return Err(format!("cargo metadata cannot tell where ua-parser is: {said}").into());
    }
    let answer = String::from_utf8(asked.stdout)?;
    let mut folders = answer.split("\"manifest_path\":\"").skip(1).filter_map(|rest| {
        let manifest = rest.split('"').next()?.replace(r"\\", r"\");
        Some(PathBuf::from(manifest).parent()?.to_owned())
    });
    let holding = folders.find_map(|folder| Some(folder.join(PATTERNS)).filter(|it| it.exists()));
    holding.ok_or_else(|| format!("no package of ua-parser holds {PATTERNS}").into())
}

/// A line for each pattern of a browser: the pattern, the name, the first and second part of the version,
/// where they are not those in the pattern's groups.
fn browsers(yaml: &str) -> Result<String> {
    const KEYS: [&str; 4] = ["regex", "family_replacement", "v1_replacement", "v2_replacement"];
    let mut patterns: Vec<[String; 4]> = Vec::new();
    let lines = yaml.lines().skip_while(|line| *line != "user_agent_parsers:").skip(1);
    for line in lines.take_while(|line| !line.starts_with(char::is_alphabetic)) {
        let said = line.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        let begun = said.strip_prefix("- ");
        if begun.is_some() {
            patterns.push(Default::default());
        }
        let place = || {
            let (key, value) = begun.unwrap_or(said).split_once(": ")?;
            let key = KEYS.iter().position(|known| *known == key)?;
            let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (!value.contains('\t')).then(|| (key, value.replace("''", "'")))
        };
        let (key, value) = place().ok_or_else(|| format!("{PATTERNS} says: {line}"))?;
        let value_of = patterns.last_mut().and_then(|pattern| pattern.get_mut(key));
        *value_of.ok_or_else(|| format!("{PATTERNS} begins with: {line}"))? = value;
    }
    if patterns.is_empty() {
        return Err(format!("{PATTERNS} knows no browsers").into());
    }
    Ok(patterns.iter().map(|pattern| pattern.join("\t") + "\n").collect())
}
