//! A model, the states of what it reads, and the state of what it fills.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::engine::Checked;
use crate::error::{Error, Kind, Result};
use crate::lake::{Changes, CommitMark, Snapshot, TableSpec};
use crate::name::TableName;
use crate::pipeline::TableReport;
use crate::project::Model;

/// A model on its way to be built.
pub(in crate::pipeline) struct Target {
    /// The model.
    pub model: Model,
    /// What its table is to look like.
    pub spec: TableSpec,
    /// The tables that it reads, in the order of [`Model::reads`].
    pub upstream: Vec<Snapshot>,
    /// For each of them what tells its commit from another of the same version, if that is there.
    pub marks: Vec<Option<CommitMark>>,
    /// Its table as it is.
    pub base: Option<Snapshot>,
}

impl Target {
    /// How many rows the tables have that the model reads, as far as their logs say.
    pub(super) fn upstream_rows(&self) -> u64 {
        self.upstream.iter().filter_map(Snapshot::rows).sum()
    }

    /// The columns of each table that the model reads.
    pub(super) fn schemas(&self) -> HashMap<TableName, SchemaRef> {
        let upstream = self.upstream.iter();
        upstream.map(|one| (one.name().clone(), Arc::clone(one.schema()))).collect()
    }

    /// How far each upstream table is read with this build.
    pub(super) fn versions(&self) -> Vec<(String, i64)> {
        let upstream = self.upstream.iter();
        upstream.map(|one| (offset_id(one), version_of(one))).collect()
    }

    /// The same as it is committed with the build, with what identifies the commits that were read.
    pub(super) fn offsets(&self) -> Vec<(String, i64)> {
        let mut offsets = self.versions();
        let marks = self.upstream.iter().zip(&self.marks);
        offsets.extend(marks.filter_map(|(one, mark)| Some((mark_id(one), (*mark)?.as_offset()))));
        offsets
    }

    /// How far each upstream table was read with the build before.
    pub(in crate::pipeline) async fn offsets_before(&self) -> Result<Vec<Option<i64>>> {
        let mut offsets = Vec::with_capacity(self.upstream.len());
        for upstream in &self.upstream {
            offsets.push(match &self.base {
                Some(base) => base.offset_of(&offset_id(upstream)).await?,
                None => None,
            });
        }
        Ok(offsets)
    }

    /// [`Self::versions`] for the rows that are rejected with it, which are committed before it.
    pub(super) fn rejects_offsets(&self) -> Vec<(String, i64)> {
        let versions = self.versions().into_iter();
        versions.map(|(id, version)| (format!("{}/{id}", self.model.table), version)).collect()
    }

    /// The report when nothing is done, for the reason given.
    pub(super) fn report(&self, reason: &str) -> TableReport {
        TableReport {
            table: self.model.table.clone(),
            strategy: "none",
            reason: reason.to_owned(),
            rows_in: 0,
            rows_landed: 0,
            rows_replaced: 0,
            rows_quarantined: 0,
            rows_dropped: 0,
            bytes_read: 0,
            files_written: 0,
            bytes_written: 0,
            rows: self.base.as_ref().and_then(Snapshot::rows),
            committed: false,
            version: self.base.as_ref().map_or(0, Snapshot::version),
            milliseconds: 0,
        }
    }
}

/// The place of a table in [`Target::upstream`], and what happened to it.
pub(in crate::pipeline) type Changed = (usize, Changes);

/// What the table of `model` looks like.
///
/// Errors: `Bug` when the model was not planned before.
pub(in crate::pipeline) fn spec_of(model: &Model, checked: &Checked) -> Result<TableSpec> {
    let schema = checked.schemas.get(&model.table).ok_or_else(|| {
        Error::new(Kind::Bug, "the model was not planned").at("table", &model.table)
    })?;
    Ok(TableSpec {
        name: model.table.clone(),
        schema: Arc::clone(schema),
        partition_by: model.partition_by.clone(),
        description: model.description.clone(),
        fingerprint: fingerprint(model, schema, checked),
    })
}

/// Under which name a table remembers how far it has read `upstream`. A table that was created
/// anew is another one.
pub(in crate::pipeline) fn offset_id(upstream: &Snapshot) -> String {
    format!("upstream/{}/{}", upstream.name(), upstream.id())
}

/// Under which name it remembers which commit of `upstream` it has read.
pub(in crate::pipeline) fn mark_id(upstream: &Snapshot) -> String {
    format!("upstream-commit/{}/{}", upstream.name(), upstream.id())
}

/// The version as an offset.
pub(in crate::pipeline) fn version_of(snapshot: &Snapshot) -> i64 {
    i64::try_from(snapshot.version()).unwrap_or(i64::MAX)
}

/// Changes when the model means something else than before: comments and layout do not count.
pub(super) fn fingerprint(model: &Model, schema: &SchemaRef, checked: &Checked) -> String {
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
    // What functions and the engine make of the SQL may change with the program.
    part(checked.semantics.get(&model.table).map_or("", String::as_str));
    hasher.finalize().to_hex().to_string()
}
