//! What all ways of reading give.

use std::borrow::Cow;

/// A record: its fields with their values, which are JSON.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// What tells it from others.
    pub text: Cow<'a, str>,
    pub fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether values are texts of which only their form tells what they are.
    pub is_of_texts: bool,
}
