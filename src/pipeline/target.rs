//! A model on its way to be built: what it reads, what it fills, and what has to be done.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::engine::{LINEAGE, Reach, Use, passed_on, uses};
use crate::error::{Error, Kind, Result};
use crate::lake::{At, Changes, Snapshot, TableSpec, extent};
use crate::name::{Layer, TableName};
use crate::project::{Model, Strategy};

use super::{Run, TableReport};

/// A model, the states of what it reads, and the state of what it fills.
pub(super) struct Target<'a> {
    pub model: &'a Model,
    pub spec: TableSpec,
    pub upstream: Vec<Snapshot>,
    pub base: Option<Snapshot>,
}

/// What has to be done to bring a table up to date.
pub(super) enum Work {
    /// Nothing.
    Nothing,
    /// Everything is computed anew.
    Full { reason: String },
    /// The rows that came are run through the model; an upsert replaces rows of the same keys, unless
    /// all of them are known to be new.
    New { changed: Vec<Changed>, is_append: bool, reason: String },
    /// The keys of the rows that came or went are computed anew.
    Touched { changed: Vec<Changed>, uses: HashMap<TableName, Use>, reason: String },
}

/// The place of a table in [`Target::upstream`], and what happened to it.
pub(super) type Changed = (usize, Changes);

impl Work {
    /// The strategy by which it is done, and why it has to be.
    pub(super) fn how(&self, model: &Model) -> (&'static str, String) {
        match self {
            Self::Nothing => ("none", "nothing new upstream".to_owned()),
            Self::Full { reason } => (Strategy::Full.as_str(), reason.clone()),
            Self::New { reason, .. } | Self::Touched { reason, .. } => {
                (model.strategy.as_str(), reason.clone())
            }
        }
    }
}

impl Run {
    /// `model` with the states of its tables. What this run has made or seen is read as it left it.
    pub(super) async fn target<'a>(&self, model: &'a Model) -> Result<Target<'a>> {
        let mut upstream = Vec::with_capacity(model.reads.len());
        for table in &model.reads {
            upstream.push(self.state_of(table).await?);
        }
        let base = self.lake.snapshot(&model.table).await?;
        Ok(Target { model, spec: self.spec_of(model)?, upstream, base })
    }

    /// What the table of `model` looks like.
    pub(super) fn spec_of(&self, model: &Model) -> Result<TableSpec> {
        let schema = self.checked.schemas.get(&model.table).ok_or_else(|| {
            Error::new(Kind::Bug, "the model was not planned").at("table", &model.table)
        })?;
        Ok(TableSpec {
            name: model.table.clone(),
            schema: Arc::clone(schema),
            partition_by: model.partition_by.clone(),
            description: model.description.clone(),
            fingerprint: fingerprint(model, schema),
        })
    }

    /// What has to be done for `target`, and in which way it takes the least reading.
    ///
    /// Errors: `Conflict` when another run has built the table from newer states than this one sees.
    pub(super) async fn work(&self, target: &Target<'_>) -> Result<Work> {
        let full = |reason: String| Ok(Work::Full { reason });
        let Some(base) = &target.base else { return full("there was no such table".into()) };
        if base.fingerprint().as_deref() != Some(target.spec.fingerprint.as_str()) {
            return full("the model was changed".into());
        }
        if let Some(reason) = self.refresh.reason(&target.model.table) {
            return full(reason.into());
        }
        let mut moved = Vec::new();
        for ((index, upstream), seen) in
            target.upstream.iter().enumerate().zip(target.seen().await?)
        {
            match seen {
                None => return full(format!("{} was not read before", upstream.name())),
                Some(seen) if seen == version_of(upstream) => {}
                Some(seen) => moved.push((index, seen)),
            }
        }
        if moved.is_empty() {
            return Ok(Work::Nothing);
        }
        let mut changed = Vec::new();
        for (index, seen) in moved {
            let Some(upstream) = target.upstream.get(index) else { continue };
            self.check_not_behind(upstream, seen).await?;
            match upstream.changes_since(u64::try_from(seen).unwrap_or_default()).await? {
                Ok(changes) if target.model.strategy == Strategy::Full && !changes.is_empty() => {
                    return full(describe(upstream.name(), &changes));
                }
                Ok(changes) => changed.push((index, changes)),
                Err(reason) => return full(reason),
            }
        }
        self.incremental_work(target, changed).await
    }

    /// A table that was built from a newer state than this run sees belongs to another run.
    async fn check_not_behind(&self, upstream: &Snapshot, seen: i64) -> Result<()> {
        if seen <= version_of(upstream) {
            return Ok(());
        }
        let newest = self.lake.require(upstream.name(), At::Latest).await?;
        match version_of(&newest) >= seen {
            true => Err(Error::new(Kind::Conflict, "another run has built it from newer rows")
                .at("upstream", upstream.name())),
            // The table itself went back; the changes cannot be told, and that leads to a rebuild.
            false => Ok(()),
        }
    }

    /// What the model wants of each table that it reads.
    pub(super) async fn uses(&self, target: &Target<'_>) -> Result<HashMap<TableName, Use>> {
        uses(&self.engine, target.model, &target.schemas()).await
    }

    /// Whether the rows of each key of an upsert go back to one record in any case, because those
    /// of the one table that it reads do.
    pub(super) async fn has_one_record_per_key(
        &self,
        target: &Target<'_>,
        uses: &HashMap<TableName, Use>,
    ) -> Result<bool> {
        let [only] = target.upstream.as_slice() else { return Ok(false) };
        let Some(upsert) = self.checked.upserts.get(only.name()) else { return Ok(false) };
        // It may have been built by what the project said before.
        if only.fingerprint() != Some(fingerprint(upsert, only.schema())) {
            return Ok(false);
        }
        let Some(Reach::Keyed(columns)) = uses.get(only.name()).map(|usage| &usage.reach) else {
            return Ok(false);
        };
        if !upsert.by.iter().all(|column| columns.contains(column)) {
            return Ok(false);
        }
        passed_on(&self.engine, target.model, &target.schemas(), only.name(), &LINEAGE).await
    }

    async fn incremental_work(
        &self,
        target: &Target<'_>,
        mut changed: Vec<Changed>,
    ) -> Result<Work> {
        let model = target.model;
        changed.retain(|(_, changes)| !changes.is_empty());
        let reason = changed.iter().filter_map(|(index, changes)| {
            Some(describe(target.upstream.get(*index)?.name(), changes))
        });
        let reason = reason.collect::<Vec<_>>().join("; ");
        let full = |reason: String| Ok(Work::Full { reason });
        if self.has_orphaned_rejects(target).await? {
            return full("an interrupted run has left rows in quarantine".into());
        }
        // What was only rearranged changes nothing.
        if changed.is_empty() {
            return Ok(Work::Touched { changed, uses: HashMap::new(), reason });
        }
        let only_came = changed.iter().all(|(_, changes)| changes.removed.is_empty());
        if only_came && self.adds_up(target).await? {
            let is_append = model.strategy == Strategy::Append;
            return Ok(Work::New { changed, is_append, reason });
        }
        if model.strategy == Strategy::Append {
            return full(format!("rows went, and an append only adds: {reason}"));
        }
        let uses = self.uses(target).await?;
        // What the model names but does not read cannot change it.
        changed.retain(|(index, _)| {
            target.upstream.get(*index).is_some_and(|table| uses.contains_key(table.name()))
        });
        // A table with one record per key that only got rows got new keys, and no others.
        let may_append = only_came && !changed.is_empty() && model.strategy == Strategy::Upsert;
        if may_append && self.has_one_record_per_key(target, &uses).await? {
            return Ok(Work::New { changed, is_append: true, reason });
        }
        for (index, changes) in &changed {
            let Some(table) = target.upstream.get(*index).map(Snapshot::name) else { continue };
            if let Some(Reach::Opaque(why)) = uses.get(table).map(|usage| &usage.reach) {
                return full(format!("{}, and {why}", describe(table, changes)));
            }
        }
        if let Some(reason) = doubled(target, &changed, &uses) {
            return full(reason);
        }
        // Telling what is different reads all that came and went, and then the touched keys again.
        let (mut moved, mut whole) = (0, 0);
        for (index, changes) in &changed {
            moved += extent(changes.added.iter().chain(&changes.removed)).2;
            whole += target.upstream.get(*index).map_or(0, |upstream| upstream.size().1);
        }
        if moved > whole {
            return full(format!("{reason}: more than reading everything once"));
        }
        Ok(Work::Touched { changed, uses, reason })
    }
}

impl Run {
    /// Whether rows that come can be run through the model by themselves. For an upsert they must
    /// also be newer than all before: rows of Bronze are, if their origin is passed on as it is.
    async fn adds_up(&self, target: &Target<'_>) -> Result<bool> {
        let model = target.model;
        match (model.strategy, target.upstream.as_slice()) {
            (Strategy::Append, _) => Ok(true),
            (Strategy::Upsert, [only]) if only.name().layer() == Layer::Bronze => {
                passed_on(&self.engine, model, &target.schemas(), only.name(), &LINEAGE).await
            }
            _ => Ok(false),
        }
    }
}

/// Why the keys that changed rows lead to cannot be told, if that would need both the rows that
/// another table has and those that it had, and the model counts these.
fn doubled(
    target: &Target<'_>,
    changed: &[Changed],
    uses: &HashMap<TableName, Use>,
) -> Option<String> {
    let named = |(index, changes): &Changed| {
        let table = target.upstream.get(*index)?.name();
        Some((table.clone(), uses.get(table)?.clone(), !changes.removed.is_empty()))
    };
    let changed: Vec<_> = changed.iter().filter_map(named).collect();
    let (linked, ..) = changed.iter().find(|(_, usage, _)| usage.reach == Reach::Linked)?;
    let other = changed
        .iter()
        .find(|(table, usage, has_lost)| table != linked && *has_lost && !usage.is_plain)?;
    Some(format!("{} and {linked} changed at once", other.0))
}

impl Target<'_> {
    /// How many rows the tables have that the model reads, as far as their logs say.
    pub(super) fn upstream_rows(&self) -> u64 {
        self.upstream.iter().filter_map(Snapshot::rows).sum()
    }

    /// The columns of each table that the model reads.
    fn schemas(&self) -> HashMap<TableName, SchemaRef> {
        let upstream = self.upstream.iter();
        upstream.map(|one| (one.name().clone(), Arc::clone(one.schema()))).collect()
    }

    /// How far each upstream table is read with this build.
    pub(super) fn positions(&self) -> Vec<(String, i64)> {
        let positions = self.upstream.iter();
        positions.map(|upstream| (position_id(upstream), version_of(upstream))).collect()
    }

    /// How far each upstream table was read with the build before.
    pub(super) async fn seen(&self) -> Result<Vec<Option<i64>>> {
        let mut seen = Vec::with_capacity(self.upstream.len());
        for upstream in &self.upstream {
            seen.push(match &self.base {
                Some(base) => base.position_of(&position_id(upstream)).await?,
                None => None,
            });
        }
        Ok(seen)
    }

    /// The same for the rows that are rejected with it, which are committed before it.
    pub(super) fn rejects_positions(&self) -> Vec<(String, i64)> {
        let positions = self.positions().into_iter();
        positions.map(|(id, version)| (format!("{}/{id}", self.model.table), version)).collect()
    }

    /// The report when nothing is done.
    pub(super) fn report(&self) -> TableReport {
        let (strategy, reason) = Work::Nothing.how(self.model);
        TableReport {
            table: self.model.table.clone(),
            strategy,
            reason,
            rows_in: 0,
            rows_landed: 0,
            rows_replaced: 0,
            rows_quarantined: 0,
            rows_dropped: 0,
            bytes_read: 0,
            files_written: 0,
            bytes_written: 0,
            rows: self.base.as_ref().and_then(Snapshot::rows),
            version: self.base.as_ref().map_or(0, Snapshot::version),
            milliseconds: 0,
        }
    }
}

/// Under which name a table remembers how far it has read `upstream`. A table that was created
/// anew is another one.
pub(super) fn position_id(upstream: &Snapshot) -> String {
    format!("upstream/{}/{}", upstream.name(), upstream.id())
}

/// The version as a position.
pub(super) fn version_of(snapshot: &Snapshot) -> i64 {
    i64::try_from(snapshot.version()).unwrap_or(i64::MAX)
}

/// What happened to a table, in words.
pub(super) fn describe(table: &TableName, changes: &Changes) -> String {
    let (came, rows, _) = extent(&changes.added);
    let (went, _, _) = extent(&changes.removed);
    let files =
        |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    match (came, went) {
        (_, 0) => format!("{} with {rows} rows came to {table}", files(came)),
        (0, _) => format!("{} went from {table}", files(went)),
        _ => format!("{} came to {table} and {} went", files(came), files(went)),
    }
}

/// Changes when the model means something else than before: comments and layout do not count.
fn fingerprint(model: &Model, schema: &SchemaRef) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(&model.normal_sql);
    part(&model.rules);
    part(model.strategy.as_str());
    model.by.iter().for_each(|column| part(column));
    part("partitioned");
    model.partition_by.iter().for_each(|column| part(column));
    for expectation in &model.expectations {
        part(&expectation.name);
        part(&expectation.check);
        part(expectation.otherwise.as_str());
    }
    for field in schema.fields() {
        part(field.name());
        part(&field.data_type().to_string());
    }
    hasher.finalize().to_hex().to_string()
}
