//! What all ways of reading give.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// A record: its fields with their values, which are JSON.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// What tells it from others.
    pub text: Cow<'a, str>,
    pub fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether values are texts of which only their form tells what they are.
    pub is_of_texts: bool,
}

/// The entries without those that a later one of the same key overrides.
pub(super) fn last_of_each<'a>(
    entries: &'a [(String, &'a RawValue)],
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let is_last =
        |index: usize, key: &String| entries.iter().skip(index + 1).all(|(later, _)| later != key);
    let entries = entries.iter().enumerate().filter(|(index, (key, _))| is_last(*index, key));
    entries.map(|(_, (key, raw))| (Cow::from(key.as_str()), Cow::from(raw.get()))).collect()
}
