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

pub use catalog::{LakeCatalog, Tables};
pub use check::{Checked, check};
pub use checksum::row_checksums;
pub use dependency::{Dependency, KeyMapping, dependencies, passed_on};
pub use held::HeldRows;
pub use keys::Keys;
pub use newest::{LINEAGE, Newest, newest_only};
pub use row_hash::share_of_rows;
pub use session::{Engine, Session};
pub use statements::statements;
pub use touched::{Moved, changed_rows, moved_keys};

use datafusion::common::DataFusionError;

use crate::error::{Error, Kind};

/// An error of the engine underneath: running out of memory and reading storage are told apart
/// from what is wrong with the question.
pub(crate) fn engine_error(what: &str, source: DataFusionError) -> Error {
    match source.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(Kind::Unavailable, what).hint("give it more with --memory").because(source)
        }
        DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ParquetError(_) => Error::storage(what, source),
        DataFusionError::External(_) => Error::storage(what, source),
        DataFusionError::Internal(_) => Error::new(Kind::Bug, what).because(source),
        DataFusionError::ArrowError(_, _) | DataFusionError::Execution(_) => {
            Error::new(Kind::Data, what).because(source)
        }
        _ => Error::new(Kind::Invalid, what).because(source),
    }
}
