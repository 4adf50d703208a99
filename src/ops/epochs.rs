//! `ops.epochs`: the versions of all tables that one complete run left behind.
//!
//! A commit changes one table; an epoch makes the tables of a run appear together. Readers that
//! keep to an epoch see what one run made and never half of the next.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::lake::{Change, CommitMark, Lake, Snapshot, Wanted};
use crate::name::TableName;
use crate::runtime::{self, Timestamp};

use super::record::{Record as _, read, record, written};

/// The name under which the table of epochs counts them.
const COUNTER: &str = "epochs";

record! {
    /// The state of one table in one epoch.
    pub(super) struct EpochRow is "epochs":
        "One row per epoch and table: the versions that one complete run left behind." {
        /// The number of the epoch, from 1.
        epoch: u64,
        /// The table.
        table_name: TableName,
        /// Its version.
        version: u64,
        /// What tells the table from another one that was created in its place.
        table_id: String,
        /// What tells its commit from another of the same version, if that is there.
        commit_mark: Option<i64>,
        /// The pipeline that published the epoch.
        pipeline: String,
        /// The run that did.
        run_id: String,
        /// When it was published.
        published_at: Timestamp,
    }
}

/// A set of table versions that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, from 1; 0 when nothing was published yet.
    pub number: u64,
    /// The state of each Bronze, Silver and Gold table.
    pub tables: BTreeMap<TableName, Published>,
}

/// The state of a table in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The version.
    pub version: u64,
    /// What tells the table from another one that was created in its place.
    pub table_id: String,
    /// What tells its commit from another of the same version, if that is there.
    pub commit_mark: Option<i64>,
}

impl Published {
    /// The state that `snapshot` is.
    pub async fn of(snapshot: &Snapshot) -> Result<Self> {
        let mark = snapshot.commit_mark().await?.map(CommitMark::as_offset);
        Ok(Self { version: snapshot.version(), table_id: snapshot.id(), commit_mark: mark })
    }
}

impl Epoch {
    /// The newest epoch of `lake`, or the one numbered `number`.
    ///
    /// Out: an empty epoch when nothing was published yet. Errors: `Missing` when there is no such
    /// epoch.
    pub async fn read(engine: &Engine, lake: &Lake, number: Option<u64>) -> Result<Self> {
        let newest = match lake.snapshot(&TableName::ops(EpochRow::TABLE)).await? {
            Some(snapshot) => snapshot.offset_of(COUNTER).await?.map(|newest| (snapshot, newest)),
            None => None,
        };
        let missing = |newest: i64| {
            Error::new(Kind::Missing, "there is no such epoch")
                .at("epoch", number.unwrap_or_default())
                .hint(format!("the newest epoch is {newest}; see ops.epochs"))
        };
        let Some((snapshot, newest)) = newest else {
            return if number.is_none() { Ok(Self::default()) } else { Err(missing(0)) };
        };
        let wanted = number.map_or(newest, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let own = Wanted { column: "epoch".to_owned(), values: vec![ScalarValue::from(wanted)] };
        let rows: Vec<EpochRow> = read(engine, &snapshot, &[own]).await?;
        if rows.is_empty() {
            return Err(missing(newest));
        }
        let state = |row: EpochRow| {
            let EpochRow { version, table_id, commit_mark, .. } = row;
            (row.table_name, Published { version, table_id, commit_mark })
        };
        let number = u64::try_from(wanted).unwrap_or(0);
        Ok(Self { number, tables: rows.into_iter().map(state).collect() })
    }

    /// Publishes this epoch, which follows the newest one, for a run of `pipeline`.
    ///
    /// Errors: `Conflict` when another run has published meanwhile.
    pub async fn publish(&self, lake: &Lake, pipeline: &str, run_id: &str) -> Result<()> {
        let published_at = runtime::now();
        let row = |(table, state): (&TableName, &Published)| EpochRow {
            epoch: self.number,
            table_name: table.clone(),
            version: state.version,
            table_id: state.table_id.clone(),
            commit_mark: state.commit_mark,
            pipeline: pipeline.to_owned(),
            run_id: run_id.to_owned(),
            published_at,
        };
        let rows: Vec<EpochRow> = self.tables.iter().map(row).collect();
        let adds = written(lake, &rows).await?.adds;
        let spec = EpochRow::spec();
        let base = lake.snapshot(&spec.name).await?;
        // Looked at again: the epoch before must be the newest in the state that is built on.
        let newest = match &base {
            Some(base) => base.offset_of(COUNTER).await?.unwrap_or(0),
            None => 0,
        };
        if u64::try_from(newest).ok() != self.number.checked_sub(1) {
            return Err(Error::new(Kind::Conflict, "another run has published meanwhile"));
        }
        let change = Change {
            adds,
            offsets: vec![(COUNTER.to_owned(), newest + 1)],
            notes: vec![("run_id", run_id.into())],
            ..Change::default()
        };
        lake.commit(&spec, base.as_ref(), change).await.map(drop)
    }
}
