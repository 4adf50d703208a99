//! What the tests of several modules share.

use std::borrow::Cow;

use crate::source::Entries;

use super::profile::Profile;
use super::record::Record;

/// A record with this text, which is JSON.
pub(super) fn record(text: &str) -> Record<'_> {
    let Entries(entries) = serde_json::from_str::<Entries<'_>>(text).unwrap();
    let fields = entries.into_iter();
    let fields = fields.map(|(key, raw)| (Cow::from(key), Cow::from(raw.get()))).collect();
    Record { text: Cow::from(text), fields, is_of_texts: false }
}

/// What is in `records`.
pub(super) fn profile(records: &[String]) -> Profile {
    let mut profile = Profile::default();
    records.iter().for_each(|text| profile.add(&record(text), seconds));
    profile
}

/// The moment so many seconds after 1970.
pub(super) fn seconds(text: &str) -> Option<i64> {
    Some(text.parse::<i64>().ok()? * 1_000_000)
}
