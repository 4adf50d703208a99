//! Commits: everything that changes about a table, at once.

use serde_json::{Value, json};

use delta_kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, Metadata, Protocol, Remove, StructType, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};

use crate::error::{Error, Kind, Result};

use super::fault::delta_error;
use super::provenance::MADE_BY;
use super::snapshot::{FINGERPRINT, WHOLE_ROWS};
use super::{DataFile, Lake, Snapshot, TableSpec};

/// How many commits lie between two checkpoints: readers replay at most so many entries.
const CHECKPOINT_INTERVAL: &str = "20";

/// How often a commit is tried again when others that do not matter to it came first.
const RETRIES: usize = 15;

/// What a commit does to a table.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The files that come in.
    pub adds: Vec<Add>,
    /// The files that go.
    pub removal: Removal,
    /// Whether the rows that come are those that go, only in other files.
    pub is_rearrangement: bool,
    /// How far each application has come with this commit.
    pub offsets: Vec<(String, i64)>,
    /// What is noted in the history.
    pub notes: Vec<(&'static str, Value)>,
}

/// Which files a commit takes out.
#[derive(Clone, Debug, Default)]
pub enum Removal {
    /// None.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// These, which are all in the version that the commit builds on.
    Files(Vec<DataFile>),
}

impl Lake {
    /// Commits `change` to the table of `spec`, on top of `base`; creates the table when `base`
    /// is nothing. A schema, description or fingerprint that differs from the base's is committed
    /// along. Gives the new version and the number of rows in the files that went.
    ///
    /// Errors: `Conflict` when another writer changed what this commit relies on.
    pub async fn commit(
        &self,
        spec: &TableSpec,
        base: Option<&Snapshot>,
        change: Change,
    ) -> Result<(u64, u64)> {
        let Shape { spec, whole_rows } = &Shape::of(spec, base, &change)?;
        let log_store = match base {
            Some(base) => base.table.log_store(),
            None => self.place_of(&spec.name)?.log_store(),
        };
        let removed = match (base, change.removal) {
            (None, _) | (_, Removal::Nothing) => Vec::new(),
            (Some(base), Removal::Everything) => base.files()?,
            (Some(_), Removal::Files(files)) => files,
        };
        let mode = if removed.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        let is_new = !change.is_rearrangement;
        let mut actions = match change.is_rearrangement {
            true => Vec::new(),
            false => head_actions(spec, base, *whole_rows)?,
        };
        let replaced = removed.iter().filter_map(DataFile::rows).sum();
        actions.extend(removed.iter().map(|file| Action::Remove(remove_action(file, is_new))));
        let adds = change.adds.into_iter();
        actions.extend(adds.map(|add| Action::Add(Add { data_change: is_new, ..add })));
        // A table is created once: whoever comes second must look at what the first has made. And
        // files that a compaction has merged meanwhile would go twice: the library does not see that.
        let retries = if base.is_some() && removed.is_empty() { RETRIES } else { 0 };
        let properties = properties(change.notes, change.offsets, retries);
        let partition_by = (!spec.partition_by.is_empty()).then(|| spec.partition_by.clone());
        let operation = DeltaOperation::Write { mode, partition_by, predicate: None };
        let state = base.map(Snapshot::state).transpose()?;
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(state.map(|state| state as _), log_store, operation)
            .await
            .map_err(|e| commit_error(spec, e))?;
        Ok((committed.version(), replaced))
    }
}

/// What a commit carries besides its files.
fn properties(
    notes: Vec<(&'static str, Value)>,
    offsets: Vec<(String, i64)>,
    retries: usize,
) -> CommitProperties {
    let made_by = (MADE_BY, Value::from(env!("CARGO_PKG_VERSION")));
    let notes = notes.into_iter().chain([made_by]);
    let offsets = offsets.into_iter().map(|(id, version)| Transaction::new(id, version));
    CommitProperties::default()
        .with_max_retries(retries)
        .with_metadata(notes.map(|(key, value)| (key.to_owned(), value)))
        .with_application_transactions(offsets.collect())
        // Listing the whole log at every commit is not worth the few files it would clean up.
        .with_cleanup_expired_logs(Some(false))
}

/// What a table is after a commit.
struct Shape {
    /// With the partition columns that its files have.
    spec: TableSpec,
    /// When these are none though the table should have some: its rows when that was chosen.
    whole_rows: Option<u64>,
}

impl Shape {
    /// The shape after `change` to `base`: a table that is written as a whole takes the layout of its
    /// new files, and any other keeps its own.
    fn of(declared: &TableSpec, base: Option<&Snapshot>, change: &Change) -> Result<Self> {
        let kept = base.filter(|_| !matches!(change.removal, Removal::Everything));
        let partition_by = match (change.adds.first(), kept) {
            (Some(add), _) if add.partition_values.is_empty() => Vec::new(),
            (None, Some(kept)) => kept.partition_by(),
            _ => declared.partition_by.clone(),
        };
        let is_separated = !partition_by.is_empty();
        if kept.is_some_and(|kept| kept.partition_by() != partition_by)
            || change.adds.iter().any(|add| add.partition_values.is_empty() == is_separated)
        {
            return Err(Error::new(Kind::Bug, "the files have another layout than their table")
                .at("table", &declared.name));
        }
        let before = base.and_then(Snapshot::whole_rows);
        let whole_rows = match (partition_by == declared.partition_by, kept) {
            (true, _) => None,
            (false, Some(_)) => before,
            // Readers of a table take other metadata for another table.
            (false, None) => {
                let rows = change.adds.iter().filter_map(|add| DataFile::of_add(add).rows());
                let rows = rows.sum::<u64>();
                before.filter(|before| rows / 2 <= *before).or(Some(rows))
            }
        };
        Ok(Self { spec: TableSpec { partition_by, ..declared.clone() }, whole_rows })
    }
}

/// The protocol and metadata of a new table, or the metadata of one that changes its shape.
fn head_actions(
    spec: &TableSpec,
    base: Option<&Snapshot>,
    whole_rows: Option<u64>,
) -> Result<Vec<Action>> {
    let Some(base) = base else {
        let protocol: Protocol =
            from_json(spec, json!({"minReaderVersion": 1, "minWriterVersion": 2}))?;
        return Ok(vec![
            Action::Protocol(protocol),
            Action::Metadata(metadata(spec, None, whole_rows)?),
        ]);
    };
    let is_same = base.schema().fields() == spec.schema.fields()
        && base.partition_by() == spec.partition_by
        && base.whole_rows() == whole_rows
        && base.description() == spec.description
        && base.fingerprint().as_deref() == Some(spec.fingerprint.as_str());
    if is_same {
        return Ok(Vec::new());
    }
    let id = base.state()?.metadata().id().to_owned();
    Ok(vec![Action::Metadata(metadata(spec, Some(id), whole_rows)?)])
}

fn metadata(spec: &TableSpec, id: Option<String>, whole_rows: Option<u64>) -> Result<Metadata> {
    let schema: StructType = spec.schema.as_ref().try_into_kernel().map_err(|e| {
        Error::new(Kind::Invalid, "a column has a type that Delta does not know")
            .at("table", &spec.name)
            .because(e)
    })?;
    let schema = serde_json::to_string(&schema).map_err(|e| {
        Error::new(Kind::Bug, "cannot write down a schema").at("table", &spec.name).because(e)
    })?;
    let mut configuration = json!({
        FINGERPRINT: spec.fingerprint,
        "delta.checkpointInterval": CHECKPOINT_INTERVAL,
    });
    if let (Some(rows), Some(configuration)) = (whole_rows, configuration.as_object_mut()) {
        configuration.insert(WHOLE_ROWS.to_owned(), rows.to_string().into());
    }
    from_json(
        spec,
        json!({
            "id": id.unwrap_or_else(crate::runtime::unique_id),
            "name": spec.name.to_string(),
            "description": spec.description,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema,
            "partitionColumns": spec.partition_by,
            "configuration": configuration,
            "createdTime": crate::runtime::now().timestamp_millis(),
        }),
    )
}

fn from_json<T: serde::de::DeserializeOwned>(spec: &TableSpec, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| {
        Error::new(Kind::Bug, "cannot write down a table's head").at("table", &spec.name).because(e)
    })
}

fn remove_action(file: &DataFile, data_change: bool) -> Remove {
    Remove {
        path: file.path.to_string(),
        data_change,
        deletion_timestamp: Some(crate::runtime::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition.as_ref().clone()),
        size: i64::try_from(file.size).ok(),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}

fn commit_error(spec: &TableSpec, error: DeltaTableError) -> Error {
    let is_conflict = matches!(
        &error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)
            }
    );
    if is_conflict {
        return Error::new(Kind::Conflict, "another writer changed the table in the meantime")
            .at("table", &spec.name)
            .hint("run again: nothing of this table was written")
            .because(error);
    }
    delta_error("cannot commit to the table", &spec.name, error)
}
