//! What went wrong in the engine underneath, told by its cause.

use std::any::Any;
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;

use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt as _, StreamExt as _};

use crate::error::{Error, Kind};

/// What the engine says about mistakes of the question for which it has no type of their own: a regular
/// expression that is none, arguments that no signature of a function takes.
const MISTAKES: [&str; 3] = [
    "Regular expression did not compile",
    "not a regular expression",
    "failed to match any signature",
];

/// An error of the engine: what the system or a store has said tells its kind, and where they have said
/// nothing, running out of memory, what is wrong with the data and what is wrong with the question are
/// told apart.
pub(crate) fn engine_error(what: &str, source: DataFusionError) -> Error {
    let root = source.find_root();
    let is_exhausted = matches!(root, DataFusionError::ResourcesExhausted(_));
    let said = root.to_string();
    let otherwise = match root {
        _ if MISTAKES.iter().any(|mistake| said.contains(mistake)) => Kind::Invalid,
        DataFusionError::ResourcesExhausted(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ParquetError(_)
        | DataFusionError::External(_) => Kind::Unavailable,
        DataFusionError::ExecutionJoin(_) => Kind::Stopped,
        DataFusionError::Internal(_) => Kind::Bug,
        DataFusionError::ArrowError(_, _) | DataFusionError::Execution(_) => Kind::Data,
        _ => Kind::Invalid,
    };
    let error = Error::caused(otherwise, what, source);
    if is_exhausted { error.hint("give it more with --memory") } else { error }
}

/// Whether the engine has failed because it may not hold more.
pub fn is_out_of_memory(error: &Error) -> bool {
    let mut causes =
        std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source());
    causes.any(|cause| {
        let engine = cause.downcast_ref::<DataFusionError>();
        engine.is_some_and(|e| matches!(e.find_root(), DataFusionError::ResourcesExhausted(_)))
    })
}

/// The result of `work`, or an error where it panics.
pub(super) async fn caught<T>(
    work: impl Future<Output = datafusion::common::Result<T>>,
) -> datafusion::common::Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// The same rows, with an error where making them panics: the engine hands the panics of its tasks to
/// whoever asks for their rows.
pub(super) fn caught_rows(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = AssertUnwindSafe(rows)
        .catch_unwind()
        .map(|batch| batch.unwrap_or_else(|panic| Err(panicked(&*panic))));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

fn panicked(panic: &(dyn Any + Send)) -> DataFusionError {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("the engine panicked: {}", said.unwrap_or("it does not say why"));
    DataFusionError::External(Box::new(Error::new(Kind::Bug, message)))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use arrow::error::ArrowError;
    use futures::stream;

    use super::*;

    fn kind(error: DataFusionError) -> Kind {
        engine_error("cannot answer", error).kind()
    }

    #[test]
    fn the_cause_says_the_kind_however_it_is_wrapped() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let spilled = ArrowError::IoError("cannot write".to_owned(), full());
        assert_eq!(kind(DataFusionError::from(spilled)), Kind::Unavailable);
        assert_eq!(kind(DataFusionError::IoError(full()).context("spilling")), Kind::Unavailable);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let wrapped = DataFusionError::External(Box::new(ArrowError::ExternalError(denied.into())));
        assert_eq!(kind(wrapped), Kind::Denied);
        let own = Error::new(Kind::Data, "a rule does not hold");
        assert_eq!(kind(DataFusionError::External(Box::new(own))), Kind::Data);
        assert_eq!(kind(ArrowError::DivideByZero.into()), Kind::Data);
        assert_eq!(kind(DataFusionError::Internal("odd".to_owned())), Kind::Bug);
        assert_eq!(kind(DataFusionError::Plan("odd".to_owned())), Kind::Invalid);
    }

    #[test]
    fn a_bad_regular_expression_is_a_mistake_of_the_question() {
        let open = String::from("(");
        let regex = regex::Regex::new(&open).unwrap_err();
        assert_eq!(kind(DataFusionError::External(Box::new(regex))), Kind::Invalid);
        let compute = ArrowError::ComputeError("Regular expression did not compile: (".to_owned());
        assert_eq!(kind(compute.into()), Kind::Invalid);
    }

    #[tokio::test]
    async fn a_panic_is_a_bug_wherever_it_happens() {
        let is_broken = std::hint::black_box(true);
        let task = tokio::spawn(async move { assert!(!is_broken, "a task") });
        let joined = task.await.unwrap_err();
        assert_eq!(kind(DataFusionError::ExecutionJoin(Box::new(joined))), Kind::Bug);
        let found = caught(async move {
            assert!(!is_broken, "a future");
            Ok(())
        });
        assert_eq!(kind(found.await.unwrap_err()), Kind::Bug);
        let rows = stream::iter([0, 1]).map(|row| {
            assert!(row == 0, "row {row}");
            Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
        });
        let rows = RecordBatchStreamAdapter::new(Arc::new(Schema::empty()), rows);
        let found: Vec<_> = caught_rows(Box::pin(rows)).collect().await;
        let [Ok(_), Err(error)] = found.as_slice() else { panic!("{found:?}") };
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}
