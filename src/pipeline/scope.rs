//! What a model is computed from this time, and which rows of its table that replaces.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::ViewTable;
use datafusion::functions::expr_fn::nullif;
use datafusion::logical_expr::{Expr, LogicalPlan, cast, ident, lit};
use datafusion::prelude::DataFrame;

use crate::engine::{
    Keys, Moved, Reach, Session, Tables, Use, changed_rows, engine_error, moved_keys,
};
use crate::error::{Error, Result};
use crate::lake::{Changes, DataFile, FILE_NUMBER, Removal, Snapshot, extent};
use crate::name::TableName;
use crate::project::Strategy;

use super::Run;
use super::target::{Changed, Target};
use super::unchanged::partition_name;

/// With so many touched groups for each file, it is not looked which files hold one.
const KEYS_PER_FILE: usize = 1_000;

/// What the SQL of a model sees, and which keys of its table that concerns.
#[derive(Default)]
pub(super) struct Scope {
    inputs: HashMap<TableName, Arc<dyn TableProvider>>,
    /// The keys whose rows are replaced; nothing when it is all of them.
    pub keys: Option<Keys>,
    /// Whether the inputs are nothing but the rows that came, so that all of the model's rows count.
    is_new: bool,
    /// Whether the rows of the model are added and nothing is replaced.
    pub is_append: bool,
    /// What happened upstream, for the keys that are touched by it.
    pub changed: Vec<Changed>,
    /// The partitions in which anything is replaced; nothing when it may be all of them.
    pub within: Option<BTreeSet<String>>,
    /// Bytes of the files that are opened.
    pub bytes_read: u64,
    /// Rows of the files that the model reads.
    pub rows_read: u64,
    /// The partitions that these files belong to.
    pub partitions: HashSet<Vec<(String, Option<String>)>>,
}

/// What goes from a table, and what of that has to be written again.
pub(super) struct Replaced {
    pub removal: Removal,
    pub kept: Option<LogicalPlan>,
}

impl Scope {
    /// Everything that the model reads.
    pub(super) fn full(target: &Target<'_>) -> Result<Self> {
        let mut scope = Self::default();
        for upstream in &target.upstream {
            scope.open(upstream, &upstream.files()?)?;
        }
        Ok(scope)
    }

    /// The tables as a catalog.
    pub(super) fn catalog(&self) -> Arc<dyn CatalogProvider> {
        let mut tables = Tables::default();
        for (name, provider) in &self.inputs {
            tables.add(name.clone(), Arc::clone(provider));
        }
        tables.into_catalog()
    }

    /// Whether nothing is left out and everything is replaced.
    pub(super) fn is_everything(&self) -> bool {
        self.keys.is_none() && !self.is_new
    }

    /// Those rows of the model that have one of the keys of the scope. Rows that came have no others.
    pub(super) fn among_keys(
        &self,
        session: &Session,
        plan: LogicalPlan,
        target: &Target<'_>,
    ) -> Result<LogicalPlan> {
        match self.keys.as_ref().filter(|_| !self.is_new) {
            Some(keys) => keys.among(session, plan, &target.model.by),
            None => Ok(plan),
        }
    }

    /// The rows of `files`, which belong to `table`.
    pub(super) fn open(&mut self, table: &Snapshot, files: &[DataFile]) -> Result<()> {
        self.count(files);
        self.inputs.insert(table.name().clone(), table.view_provider_of(files)?);
        Ok(())
    }

    fn count(&mut self, files: &[DataFile]) {
        let (_, rows, bytes) = extent(files);
        self.rows_read += rows;
        self.partitions.extend(files.iter().map(DataFile::partition));
        self.bytes_read += bytes;
    }

    /// The rows of `table` that have one of `keys` in `columns`.
    fn open_keyed(
        &mut self,
        session: &Session,
        table: &Snapshot,
        columns: &[String],
        keys: &Keys,
    ) -> Result<()> {
        let partition_by = table.partition_by();
        let files = table.files_where(&keys.wanted(columns, &partition_by)?)?;
        // Files of a partition hold no other key when the partition is the key.
        if columns == partition_by {
            return self.open(table, &files);
        }
        self.count(&files);
        let rows = session.table(table.view_provider_of(&files)?)?.into_unoptimized_plan();
        let rows = keys.among(session, rows, columns)?;
        self.inputs.insert(table.name().clone(), Arc::new(ViewTable::new(rows, None)));
        Ok(())
    }
}

impl Run {
    /// The rows that came, and no others: a model that adds up sees each row by itself. Nothing when
    /// their keys are too many to be held.
    pub(super) async fn scope_of_new(
        &self,
        target: &Target<'_>,
        changed: &[Changed],
        is_append: bool,
    ) -> Result<Option<Scope>> {
        let mut scope = Scope { is_new: true, is_append, ..Scope::default() };
        for (place, upstream) in target.upstream.iter().enumerate() {
            let own = changed.iter().find(|(index, _)| *index == place);
            scope.open(upstream, own.map_or(&[], |(_, changes)| &changes.added))?;
        }
        if is_append {
            return Ok(Some(scope));
        }
        let session = self.engine.session(scope.catalog());
        let plan = target.rows(&session).await?;
        let plan = distinct_keys(session.frame(plan), &target.model.by)?;
        scope.keys = self.keys(&session, target, plan).await?;
        Ok(scope.keys.is_some().then_some(scope))
    }

    /// The upstream rows of the keys that changed rows touch. Nothing when the keys are too many to
    /// be held.
    pub(super) async fn scope_of_touched(
        &self,
        target: &Target<'_>,
        changed: &[Changed],
        uses: &HashMap<TableName, Use>,
    ) -> Result<Option<Scope>> {
        let session = self.engine.session(Tables::default().into_catalog());
        let mut scope = Scope::default();
        let mut keys: Option<DataFrame> = None;
        for (index, changes) in changed {
            let Some(upstream) = target.upstream.get(*index) else { continue };
            let Some(usage) = uses.get(upstream.name()) else { continue };
            scope.bytes_read += extent(changes.added.iter().chain(&changes.removed)).2;
            let moved = moved(upstream, changes, usage)?;
            let plan = match &usage.reach {
                Reach::Keyed(columns) => moved_keys(&session, &moved, columns, &target.model.by)?,
                _ => {
                    // Held, so that a join knows how few they are.
                    let rows = changed_rows(&session, &moved)?;
                    let (schema, limit) = (upstream.schema(), self.memory.for_keys());
                    match Keys::collect(&session, &rows, schema, limit).await? {
                        Some(rows) => {
                            self.linked_keys(target, changed, *index, rows, &mut scope).await?
                        }
                        None => return Ok(None),
                    }
                }
            };
            let frame = session.frame(plan);
            keys = Some(match keys {
                Some(keys) => keys.union(frame).map_err(keys_failed)?,
                None => frame,
            });
        }
        let keys = match keys {
            Some(keys) => {
                let plan = keys.distinct().map_err(keys_failed)?.into_unoptimized_plan();
                match self.keys(&session, target, plan).await? {
                    Some(keys) => keys,
                    None => return Ok(None),
                }
            }
            None => Keys::none(&key_schema(target)),
        };
        if keys.count() > 0 {
            for upstream in &target.upstream {
                match uses.get(upstream.name()).map(|usage| &usage.reach) {
                    Some(Reach::Keyed(columns)) => {
                        scope.open_keyed(&session, upstream, columns, &keys)?;
                    }
                    _ => scope.open(upstream, &upstream.files()?)?,
                }
            }
        }
        scope.keys = Some(keys);
        scope.changed = changed.to_vec();
        Ok(Some(scope))
    }

    /// The keys that the model yields for the changed `rows` of one table. Of the others it sees
    /// what is there and what went, for a key that only the two together had is touched as well.
    async fn linked_keys(
        &self,
        target: &Target<'_>,
        changed: &[Changed],
        index: usize,
        rows: Keys,
        scope: &mut Scope,
    ) -> Result<LogicalPlan> {
        let rows = rows.into_table()?;
        let mut inputs = Scope::default();
        for (place, upstream) in target.upstream.iter().enumerate() {
            if place == index {
                inputs.inputs.insert(upstream.name().clone(), Arc::clone(&rows));
                continue;
            }
            let mut files = upstream.files()?;
            let own = changed.iter().find(|(changed, _)| *changed == place);
            files.extend(own.into_iter().flat_map(|(_, changes)| changes.removed.iter().cloned()));
            inputs.open(upstream, &files)?;
        }
        scope.bytes_read += inputs.bytes_read;
        let session = self.engine.session(inputs.catalog());
        let plan = target.rows(&session).await?;
        distinct_keys(session.frame(plan), &target.model.by)
    }

    /// The keys that `plan` yields, as they stand in the table of the model.
    async fn keys(
        &self,
        session: &Session,
        target: &Target<'_>,
        plan: LogicalPlan,
    ) -> Result<Option<Keys>> {
        let limit = self.memory.for_keys();
        let keys = Keys::collect(session, &plan, &key_schema(target), limit).await?;
        keys.map(|keys| keys.with_twins(&target.spec.partition_by)).transpose()
    }

    /// What of the table has to go for the keys of `scope`: only files that hold one of them, and
    /// what else is in these files is written again.
    pub(super) async fn replaced(
        &self,
        session: &Session,
        target: &Target<'_>,
        scope: &mut Scope,
    ) -> Result<Replaced> {
        let nothing = Replaced { removal: Removal::Nothing, kept: None };
        let Some(base) = target.base.as_ref().filter(|_| !scope.is_append) else {
            return Ok(nothing);
        };
        let Some(keys) = &scope.keys else {
            return Ok(Replaced { removal: Removal::Everything, kept: None });
        };
        let model = target.model;
        let partition_by = base.partition_by();
        let wanted = keys.wanted(&model.by, &partition_by)?;
        let mut files = base.files_where(&wanted)?;
        if let Some(within) = &scope.within {
            files.retain(|file| within.contains(&partition_name(file, &partition_by)));
        }
        if files.is_empty() {
            return Ok(nothing);
        }
        // When the partition is the key, and each is looked for, all of a file goes. With several
        // columns, what is looked for in one goes with anything in another.
        if model.by == partition_by && model.by.len() == 1 && wanted.len() == 1 {
            return Ok(Replaced { removal: Removal::Files(files), kept: None });
        }
        scope.bytes_read += extent(&files).2;
        // Of many groups each file holds one, as good as certainly; and if not, it is only rewritten.
        // Records are another matter: those that come are new as a rule.
        let is_certain =
            model.strategy == Strategy::Recompute && keys.count() >= KEYS_PER_FILE * files.len();
        if !is_certain {
            let holders = files_with(session, base, &files, keys, &model.by).await?;
            let mut number = 0;
            files.retain(|_| {
                number += 1;
                holders.contains(&(number - 1))
            });
        }
        if files.is_empty() {
            return Ok(nothing);
        }
        let rows = session.table(base.view_provider_of(&files)?)?.into_unoptimized_plan();
        let kept = keys.without(session, rows, &model.by)?;
        Ok(Replaced { removal: Removal::Files(files), kept: Some(kept) })
    }
}

impl Target<'_> {
    /// The rows of the model, with its keys as the table stores them: what differs only beyond that
    /// is one key.
    pub(super) async fn rows(&self, session: &Session) -> Result<LogicalPlan> {
        let plan = session.plan(&self.model.sql).await?;
        let schema = &self.spec.schema;
        let mut differs = false;
        let columns = plan.schema().fields().iter().zip(schema.fields()).map(|(own, stored)| {
            let name = stored.name();
            let mut column = ident(name);
            if self.model.by.contains(name) {
                let is_text = *stored.data_type() == DataType::Utf8;
                let is_view = is_text && *own.data_type() == DataType::Utf8View;
                if own.data_type() != stored.data_type() && !is_view {
                    differs = true;
                    column = cast(column, stored.data_type().clone());
                }
                if is_text && self.spec.partition_by.contains(name) {
                    differs = true;
                    column = nullif(column, lit(""));
                }
            }
            column.alias(name)
        });
        let columns: Vec<Expr> = columns.collect();
        if !differs {
            return Ok(plan);
        }
        Ok(session.frame(plan).select(columns).map_err(keys_failed)?.into_unoptimized_plan())
    }
}

/// The numbers of those of `files` in which there is a row with one of `keys`.
async fn files_with(
    session: &Session,
    base: &Snapshot,
    files: &[DataFile],
    keys: &Keys,
    by: &[String],
) -> Result<Vec<i64>> {
    let rows = session.table(base.numbered_provider_of(files)?)?.into_unoptimized_plan();
    let rows = session.frame(keys.among(session, rows, by)?);
    let plan = distinct_keys(rows, &[FILE_NUMBER.to_owned()])?;
    let batches = session.frame(plan).collect().await.map_err(keys_failed)?;
    let numbers =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter());
    Ok(numbers.flatten().collect())
}

fn moved(upstream: &Snapshot, changes: &Changes, usage: &Use) -> Result<Moved> {
    let removed = match changes.removed.as_slice() {
        [] => None,
        removed => Some(upstream.view_provider_of(removed)?),
    };
    let added = upstream.view_provider_of(&changes.added)?;
    Ok(Moved { added, removed, columns: usage.columns.clone() })
}

fn distinct_keys(rows: DataFrame, by: &[String]) -> Result<LogicalPlan> {
    let keys: Vec<Expr> = by.iter().map(ident).collect();
    let keys = rows.select(keys).and_then(DataFrame::distinct);
    Ok(keys.map_err(keys_failed)?.into_unoptimized_plan())
}

/// The key columns as the table of the model stores them.
fn key_schema(target: &Target<'_>) -> SchemaRef {
    let fields = target
        .model
        .by
        .iter()
        .filter_map(|column| target.spec.schema.field_with_name(column).ok().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn keys_failed(error: DataFusionError) -> Error {
    engine_error("cannot tell which keys are touched", error)
}
