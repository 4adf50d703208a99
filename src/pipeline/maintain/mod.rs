//! Looking after tables: many small files into few.

mod compact;

pub use compact::Compacted;
pub(super) use compact::{compact, tidy};
