//! SQL over tables. The only module that builds a session.
//!
//! All sessions of a process share one [`Engine`]: its memory, its spill space, its functions. What
//! a session sees is a catalog of layers: a fixed set of tables ([`Tables`]) while models are
//! built, or all of a lake ([`LakeCatalog`]) for questions. Queries only read: nothing but SELECT
//! and EXPLAIN gets past [`Session::plan`].

mod catalog;
mod check;
mod checksum;
mod dependency;
mod expressions;
mod failure;
mod function;
mod held;
mod keys;
mod newest;
mod origin;
mod row_function;
mod row_hash;
mod session;
mod statements;
mod touched;
mod turns;

pub use catalog::{LakeCatalog, Tables};
pub use check::{Checked, check};
pub use checksum::row_checksums;
pub use dependency::{Dependency, KeyMapping, dependencies, passed_on};
pub use held::HeldRows;
pub use keys::Keys;
pub use newest::{LINEAGE, Newest, newest_only};
pub use row_hash::share_of_rows;
pub use session::{Engine, Session};
pub use statements::{Piece, is_finished, pieces, statements};
pub use touched::{Moved, changed_rows, moved_keys};

pub use failure::is_out_of_memory;

pub(crate) use failure::engine_error;
pub(crate) use function::instant;
