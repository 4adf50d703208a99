//! What is known about a record that parses: the flaw worked into it, if any.
//!
//! Owns the words the truth is stated in. Invariant: a record has at most one flaw.

/// The classes of flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// One field of another type than expected.
    Mistyped,
    /// A field nobody expects.
    UnknownField,
    /// A field that is expected but not there.
    MissingField,
    /// A field that is there twice.
    DuplicateKey,
}

/// A field a reader must set aside: its path, its JSON text (minified) and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rescue {
    /// Like `events[0].timestamp`.
    pub(super) path: String,
    /// Like `"170"`, quotes included.
    pub(super) value: String,
    /// Like `expected BIGINT, found string`.
    pub(super) reason: &'static str,
}

/// What is known about a record that parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Whether the record has a `user_id`.
    pub(super) has_user: bool,
    /// The class of its flaw.
    pub(super) class: Option<Class>,
    /// What a reader must set aside; only for sessions, clicks have no schema.
    pub(super) rescue: Option<Rescue>,
}

impl Note {
    /// The note of a record without a flaw.
    pub(super) fn clean(has_user: bool) -> Self {
        Self { has_user, class: None, rescue: None }
    }
}

impl Rescue {
    /// A field at a path, its value as JSON text, and the reason.
    pub(super) fn new(path: impl Into<String>, value: &str, reason: &'static str) -> Self {
        Self { path: path.into(), value: value.to_owned(), reason }
    }
}
