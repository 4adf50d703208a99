//! Time and chance. Nothing else in the program asks the machine for either.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// An instant in UTC.
pub type Timestamp = DateTime<Utc>;

/// The present instant.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
pub fn now() -> Timestamp {
    Utc::now()
}

/// A name that no other call gives; those that are later sort behind.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
pub fn unique_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A pause of up to `longest`, drawn by chance, so that two processes do not keep meeting.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
pub fn random_pause(longest: Duration) -> Duration {
    longest.mul_f64(rand::random::<f64>())
}
