//! Claims in one form, and the words that claim nothing.

use unicode_normalization::UnicodeNormalization as _;

/// What scripts, tools and logs write where nothing is said.
const NOTHING: [&str; 22] = [
    "",
    "-",
    "--",
    "null",
    "(null)",
    "nil",
    "nan",
    "undefined",
    "(undefined)",
    "none",
    "(none)",
    "not set",
    "(not set)",
    "not_set",
    "not provided",
    "(not provided)",
    "n/a",
    "(n/a)",
    "empty",
    "(empty)",
    "blank",
    "(blank)",
];

/// What they write for a visit that nothing led to.
const DIRECT: [&str; 8] = [
    "direct",
    "(direct)",
    "direct/none",
    "direct / none",
    "(direct)/(none)",
    "(direct) / (none)",
    "typein",
    "(typein)",
];

/// What they write for a page that was opened from no other; also for one of the site itself, which
/// stands where [`INTERNAL`] was put.
const NO_REFERRER: [&str; 11] = [
    INTERNAL,
    "no referrer",
    "(no referrer)",
    "no-referrer",
    "noreferrer",
    "no referer",
    "(no referer)",
    "unknown",
    "(unknown)",
    "false",
    "0",
];

/// Stands for all referrers that are pages of the site itself.
pub(super) const INTERNAL: &str = "(internal)";

/// The text in its one form; None where it says nothing.
pub(super) fn normal(text: &str) -> Option<String> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let inside = text.trim_matches(['"', '\'']);
    (!NOTHING.contains(&inside)).then_some(text)
}

/// A source in its one form; None where it says that there is none.
pub(super) fn source(text: &str) -> Option<String> {
    normal(text).filter(|text| !DIRECT.contains(&text.as_str()))
}

/// Whether a text in its one form says that there is no referrer.
pub(super) fn is_no_referrer(text: &str) -> bool {
    [NOTHING.as_slice(), &DIRECT, &NO_REFERRER].iter().any(|words| words.contains(&text))
}
