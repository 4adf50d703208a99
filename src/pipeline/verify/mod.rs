//! Proof that a table is what its model says: the rows that are there against the rows that a full
//! computation gives, part by part.
//!
//! It shares nothing with the incremental way but the SQL, the choice of the newest record and the
//! expectations.

mod floats;
mod model;
mod report;
mod side;

pub use report::{Difference, Verification, VerifyOptions, unclean};

pub(super) use model::verify_model;
