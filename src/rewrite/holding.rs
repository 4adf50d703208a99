//! Which files hold rows that have to go, and what of these files stays.

use std::collections::HashSet;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, ident};
use datafusion::prelude::DataFrame;
use futures::TryStreamExt as _;

use crate::engine::{Session, engine_error};
use crate::error::{Error, Result};
use crate::lake::{DataFile, FILE_NUMBER, Snapshot};

/// Those of `files` in which there is one of the rows that `going` picks.
///
/// In: `files` belong to `base`; `going` is given the rows of all of them, with one more column,
/// and leaves those that go.
pub async fn files_holding(
    session: &Session,
    base: &Snapshot,
    files: Vec<DataFile>,
    going: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>,
) -> Result<Vec<DataFile>> {
    if files.is_empty() {
        return Ok(files);
    }
    let rows = session.table(base.numbered_provider_of(&files)?)?.into_unoptimized_plan();
    let numbers = session.frame(going(rows)?);
    let numbers = numbers.select(vec![ident(FILE_NUMBER)]).and_then(DataFrame::distinct);
    let plan = numbers.map_err(failed)?.into_unoptimized_plan();
    let mut stream = session.execute_all(session.physical(&plan).await?)?;
    let mut holding = HashSet::new();
    while let Some(batch) = stream.try_next().await.map_err(failed)? {
        holding.extend(batch.column(0).as_primitive::<Int64Type>().iter().flatten());
    }
    let numbered = files.into_iter().zip(0i64..);
    Ok(numbered.filter(|(_, number)| holding.contains(number)).map(|(file, _)| file).collect())
}

/// The rows of `files`, which belong to `base`.
pub fn rows_of(session: &Session, base: &Snapshot, files: &[DataFile]) -> Result<LogicalPlan> {
    Ok(session.table(base.view_provider_of(files)?)?.into_unoptimized_plan())
}

fn failed(error: DataFusionError) -> Error {
    engine_error("cannot tell which files hold rows that go", error)
}
