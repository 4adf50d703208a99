//! `ops.epochs`: the versions of all tables that one complete run left behind.
//!
//! A commit changes one table; an epoch makes the tables of a run appear together. Readers that
//! keep to an epoch see what one run made and never half of the next.

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;

use crate::engine::{Engine, Tables, engine_error};
use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Lake, Snapshot, Wanted};
use crate::name::{Layer, TableName};
use crate::project::Pipeline;

use super::Run;
use super::ledger::{Values, count, rows, spec, text};
use super::target::{position_id, version_of};

/// The name under which the table of epochs counts them.
const COUNTER: &str = "epochs";
/// How often publishing is tried while other runs publish too.
const ATTEMPTS: usize = 20;

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
}

impl Epoch {
    /// The newest epoch of `lake`, or the one numbered `number`.
    ///
    /// Out: an empty epoch when nothing was published yet. Errors: `Missing` when there is no such
    /// epoch.
    pub async fn read(engine: &Engine, lake: &Lake, number: Option<u64>) -> Result<Self> {
        let table = TableName::ops("epochs");
        let newest = match lake.snapshot(&table).await? {
            Some(snapshot) => snapshot.position_of(COUNTER).await?.map(|newest| (snapshot, newest)),
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
        let value = vec![ScalarValue::from(wanted)];
        let files =
            snapshot.files_where(&[Wanted { column: "epoch".to_owned(), values: value }])?;
        let mut tables = Tables::default();
        tables.add(table, snapshot.provider_of(&files)?);
        let session = engine.session(tables.into_catalog());
        let failed = |e| engine_error("cannot read the epochs", e);
        let sql =
            format!("SELECT table_name, version, table_id FROM ops.epochs WHERE epoch = {wanted}");
        let batches = session.query(&sql).await?.collect().await.map_err(failed)?;
        let mut epoch = Self { number: u64::try_from(wanted).unwrap_or(0), ..Self::default() };
        for batch in &batches {
            let names = batch.column(0).as_string::<i32>();
            let versions = batch.column(1).as_primitive::<Int64Type>();
            let ids = batch.column(2).as_string::<i32>();
            for ((name, version), id) in names.iter().zip(versions).zip(ids) {
                let name = name.and_then(|name| name.parse().ok());
                let version = version.and_then(|version| u64::try_from(version).ok());
                let table_id = id.unwrap_or_default().to_owned();
                let state = version.map(|version| Published { version, table_id });
                epoch.tables.extend(name.zip(state));
            }
        }
        if epoch.tables.is_empty() { Err(missing(newest)) } else { Ok(epoch) }
    }
}

impl Run {
    /// Publishes the states that this run leaves behind as a new epoch. Gives its number, or
    /// nothing when no table has a new state, or when a part of the pipeline that was not selected
    /// is behind the rest.
    ///
    /// Errors: `Conflict` when another run has published something that does not go with this one.
    pub(super) async fn publish(&self, pipeline: &Pipeline) -> Result<Option<u64>> {
        let Some(own) = self.closed_set(pipeline).await? else { return Ok(None) };
        for _ in 0..ATTEMPTS {
            let newest = Epoch::read(&self.engine, &self.lake, None).await?;
            // Versions compare only as long as it is the same table.
            let known = |table: &TableName, own: &Published| {
                let known = newest.tables.get(table).filter(|known| known.table_id == own.table_id);
                known.map(|known| known.version)
            };
            if own.iter().all(|(table, own)| known(table, own) >= Some(own.version)) {
                return Ok(None);
            }
            let ahead = own.iter().find(|(table, own)| known(table, own) > Some(own.version));
            if let Some((table, _)) = ahead {
                return Err(Self::overtaken(table));
            }
            self.check_foreign(pipeline, &newest).await?;
            let mut tables = newest.tables;
            tables.extend(own.clone());
            let epoch = Epoch { number: newest.number + 1, tables };
            match self.write_epoch(&epoch, &pipeline.name).await {
                Err(e) if e.kind() == Kind::Conflict => {}
                result => return result.map(|()| Some(epoch.number)),
            }
        }
        Err(Error::new(Kind::Conflict, "other runs publish all the time"))
    }

    /// Another pipeline's table that was read must still be published as it was read.
    async fn check_foreign(&self, pipeline: &Pipeline, newest: &Epoch) -> Result<()> {
        let reads = pipeline.models.iter().flat_map(|model| &model.reads);
        for table in reads.filter(|table| !self.own.contains(table)) {
            let own = published(&self.state_of(table).await?);
            let known = newest.tables.get(table).filter(|known| known.table_id == own.table_id);
            if known.is_some_and(|known| known.version != own.version) {
                return Err(Self::overtaken(table));
            }
        }
        Ok(())
    }

    /// The versions of the tables of `pipeline`, if each model was built from exactly these.
    async fn closed_set(
        &self,
        pipeline: &Pipeline,
    ) -> Result<Option<BTreeMap<TableName, Published>>> {
        let mut own = BTreeMap::new();
        for source in &pipeline.sources {
            let Some(state) = self.state_if_any(&source.table).await? else { return Ok(None) };
            own.insert(source.table.clone(), published(&state));
        }
        for model in &pipeline.models {
            let Some(state) = self.state_if_any(&model.table).await? else { return Ok(None) };
            for read in &model.reads {
                let upstream = self.state_of(read).await?;
                let seen = state.position_of(&position_id(&upstream)).await?;
                if seen != Some(version_of(&upstream)) {
                    return Ok(None);
                }
            }
            own.insert(model.table.clone(), published(&state));
        }
        own.retain(|table, _| table.layer() != Layer::Ops);
        Ok(Some(own))
    }

    async fn write_epoch(&self, epoch: &Epoch, pipeline: &str) -> Result<()> {
        let length = epoch.tables.len();
        let number = count(epoch.number);
        let states = || epoch.tables.values();
        let columns = vec![
            ("epoch", Values::Count(vec![number; length])),
            ("table_name", Values::Text(epoch.tables.keys().map(text).collect())),
            ("version", Values::Count(states().map(|one| count(one.version)).collect())),
            ("table_id", Values::Text(states().map(|one| text(&one.table_id)).collect())),
            ("pipeline", Values::Text(vec![text(pipeline); length])),
            ("run_id", Values::Text(vec![text(&self.id); length])),
            ("published_at", Values::Instant(vec![Some(self.clock.now()); length])),
        ];
        let spec = spec(
            "epochs",
            "One row per epoch and table: the versions that one complete run left behind.",
            &columns,
        );
        let mut sink = self.lake.sink(&spec)?;
        sink.write(&rows(&spec, columns)?).await?;
        let adds = sink.close().await?.adds;
        let base = self.lake.snapshot(&spec.name).await?;
        // Looked at again: the epoch before must be the newest in the state that is built on.
        let newest = match &base {
            Some(base) => base.position_of(COUNTER).await?.unwrap_or(0),
            None => 0,
        };
        if count(epoch.number - 1) != Some(newest) {
            return Err(Error::new(Kind::Conflict, "another run has published meanwhile"));
        }
        let change = Change {
            adds,
            positions: vec![(COUNTER.to_owned(), newest + 1)],
            notes: vec![("run_id", self.id.clone().into())],
            ..Change::default()
        };
        self.lake.commit(&spec, base.as_ref(), change).await.map(drop)
    }
}

fn published(state: &Snapshot) -> Published {
    Published { version: state.version(), table_id: state.id() }
}
