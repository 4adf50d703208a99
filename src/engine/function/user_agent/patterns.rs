//! The browsers of the project uap-core, which `build.rs` takes out of the package `ua-parser`.
//!
//! Asked for what our own list does not know. They are compiled when the first text needs them: that
//! takes longer than all else that is read from a text.

use std::borrow::Cow;
use std::sync::OnceLock;

use ua_parser::user_agent::{Builder, Extractor, Parser};

const PATTERNS: &str = include_str!(concat!(env!("OUT_DIR"), "/browsers.tsv"));

/// The name and the version of the browser that sent this text.
pub(super) fn browser(text: &str) -> Option<(String, Option<String>)> {
    static COMPILED: OnceLock<Option<Extractor<'static>>> = OnceLock::new();
    let patterns = COMPILED.get_or_init(|| compiled().ok()).as_ref()?;
    let found = patterns.extract(text)?;
    let version: Vec<&str> = [found.major, found.minor, found.patch]
        .into_iter()
        .map_while(std::convert::identity)
        .collect();
    let version = (!version.is_empty()).then(|| version.join("."));
    let name = found.family.replace("%20", " ").trim().to_owned();
    (!matches!(name.as_str(), "" | "Other")).then_some((name, version))
}

fn compiled() -> Result<Extractor<'static>, ua_parser::Error> {
    let mut patterns = Builder::new();
    for line in PATTERNS.lines() {
        let mut columns = line.split('\t');
        let regex = Cow::Borrowed(columns.next().unwrap_or_default());
        let mut column = || columns.next().filter(|text| !text.is_empty()).map(Cow::Borrowed);
        patterns = patterns.push(Parser {
            regex,
            family_replacement: column(),
            v1_replacement: column(),
            v2_replacement: column(),
            ..Parser::default()
        })?;
    }
    Ok(patterns.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_compiled_in() {
        assert!(compiled().is_ok());
        assert!(PATTERNS.lines().count() > 300);
    }

    #[test]
    fn a_browser_of_the_patterns_has_name_and_version() {
        let text = "ELinks/0.11.1 (textmode; Linux 2.6.18 i686; 80x24-2)";
        assert_eq!(browser(text), Some(("ELinks".to_owned(), Some("0.11".to_owned()))));
        assert_eq!(browser("nothing that anybody knows"), None);
    }
}
