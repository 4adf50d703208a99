//! Landing what is new in a source: files into a batch, a batch into Bronze.

mod batch;
mod decode;
mod delivery;
mod filled;
mod pending;
mod redeclare;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::lake::{Change, Snapshot, TableSpec};
use crate::name::TableName;
use crate::ops::note_files;
use crate::project::{Pipeline, Source};
use crate::runtime::Timestamp;
use crate::source::bronze_schema;

use super::context::{Context, milliseconds};
use super::foreign;
use super::thresholds::ACCEPTS;
use super::view::View;
use super::{Deliveries, SourceReport};

use batch::{Batch, give_up, land_batch};
use redeclare::{fingerprint, rearranged, redeclare};

pub(super) use pending::{Pending, pending};
pub(super) use redeclare::{changes, redeclared_since};

/// Lands what is new in `source`: first what an earlier run had planned and not finished, then what
/// was found since. Adds to `reports` what was done, and one report when nothing was.
pub(super) async fn land(
    context: &Context,
    view: &View,
    (pipeline, source): (&Pipeline, &Source),
    (root, accepts): (&Path, &[TableName]),
    reports: &mut Vec<SourceReport>,
) -> Result<()> {
    let placed = |e: Error| e.at("pipeline", &pipeline.name).at("source", source.table.name());
    let started = Instant::now();
    let mut pending = pending(context, pipeline, source, root).await.map_err(placed)?;
    let (is_settled, redeclared) =
        prepare(context, view, (source, accepts), &mut pending).await.map_err(placed)?;
    let newest_file = newest_file(&pending);
    let keys = keys_of(pipeline, source);
    let before = reports.len();
    for (number, files) in std::mem::take(&mut pending.resumed) {
        let replaces = pending.batches.replaced_by(number);
        let application = &pending.application;
        let (keys, is_resumed) = (keys.as_slice(), true);
        let batch = Batch { source, keys, application, number, files, is_resumed, replaces };
        reports.push(land_batch(context, batch).await.map_err(placed)?);
    }
    if !pending.files.is_empty() {
        reports.push(land_new(context, (source, &keys), &pending).await.map_err(placed)?);
    }
    let version = match reports.get(before..).and_then(<[_]>::last) {
        Some(landed) => landed.version,
        None => {
            let base = pending.bronze.as_ref();
            let version = keep_shape(context, source, base).await.map_err(placed)?;
            reports.push(SourceReport {
                committed: is_settled
                    || redeclared.is_some()
                    || base.map(Snapshot::version) != Some(version),
                milliseconds: milliseconds(started),
                ..nothing_new(source, version)
            });
            version
        }
    };
    note_files(&context.lake, &pending.application, &pending.seen, context.stamp())
        .await
        .map_err(placed)?;
    if let Some(first) = reports.get_mut(before) {
        first.deliveries = pending.deliveries;
        first.newest_file = newest_file;
        first.redeclared = redeclared;
        first.warnings.extend(pending.warnings);
    }
    view.leave_at(&source.table, version, pending.bronze.as_ref()).await
}

/// Settles what another program wrote, and gives the table the columns that are declared. Gives whether
/// anything was settled, and what was changed about the columns.
async fn prepare(
    context: &Context,
    view: &View,
    (source, accepts): (&Source, &[TableName]),
    pending: &mut Pending,
) -> Result<(bool, Option<String>)> {
    let Some(bronze) = &pending.bronze else { return Ok((false, None)) };
    let is_settled = settle_foreign(context, view, source, bronze, accepts).await?;
    if is_settled {
        pending.bronze = context.lake.snapshot(&source.table).await?;
    }
    let Some(bronze) = &pending.bronze else { return Ok((is_settled, None)) };
    let Some((redeclared, rescued)) = redeclare(context, source, bronze).await? else {
        // The next commit to the table does that.
        return Ok((is_settled, rearranged(source, bronze)));
    };
    if rescued > 0 {
        pending.warnings.push(format!(
            "{rescued} rows more have something in _rescued, which does not fit what is declared now"
        ));
    }
    pending.bronze = context.lake.snapshot(&source.table).await?;
    Ok((is_settled, Some(redeclared)))
}

/// Fails when another program has written to the table, unless `accepts` names it: then a commit says
/// that its rows are taken over. Gives whether there is such a commit now.
async fn settle_foreign(
    context: &Context,
    view: &View,
    source: &Source,
    bronze: &Snapshot,
    accepts: &[TableName],
) -> Result<bool> {
    if !accepts.contains(&source.table) {
        return foreign::check(view, bronze).await.map(|()| false);
    }
    let foreign = foreign::unsettled(view, bronze).await?;
    if foreign.is_empty() {
        return Ok(false);
    }
    let accepted: Vec<String> = foreign.iter().map(ToString::to_string).collect();
    let notes = vec![
        context.note(),
        ("reason", format!("taken over: {}", accepted.join("; ")).into()),
        (foreign::SETTLES, true.into()),
    ];
    let change = Change { notes, ..Change::default() };
    // The columns are not changed before the rows are.
    let spec = bronze_spec(source, Some(bronze));
    let spec = TableSpec { schema: Arc::clone(bronze.schema()), ..spec };
    context.lake.commit(&spec, Some(bronze), change).await?;
    Ok(true)
}

/// Lets what has landed of `source` be published, whatever thresholds its batches cross.
pub(super) async fn accept(context: &Context, view: &View, source: &Source) -> Result<()> {
    let base = view.state_of(&source.table).await?;
    let reason = "accepted as it is";
    let notes = vec![context.note(), ("reason", reason.into()), (ACCEPTS, true.into())];
    let change = Change { notes, ..Change::default() };
    let spec = bronze_spec(source, Some(&base));
    let (version, _) = context.lake.commit(&spec, Some(&base), change).await?;
    view.leave_at(&source.table, version, None).await
}

/// The columns of `source` by which the models that read it tell their rows apart.
fn keys_of(pipeline: &Pipeline, source: &Source) -> Vec<String> {
    let models = pipeline.models.iter().filter(|model| model.reads.contains(&source.table));
    let keys = models.flat_map(|model| &model.by);
    let is_column = |key: &&String| source.columns.field_with_name(key).is_ok();
    keys.filter(is_column).cloned().collect()
}

/// When the newest file was changed of all that are in a batch or will be.
fn newest_file(pending: &Pending) -> Option<Timestamp> {
    let new = pending.files.iter().map(|file| file.modified_at);
    new.chain(pending.batches.newest_file()).max()
}

/// Plans the files that are in no batch as the next one, and lands it.
async fn land_new(
    context: &Context,
    (source, keys): (&Source, &[String]),
    pending: &Pending,
) -> Result<SourceReport> {
    let Pending { application, batches, abandoned, files, outgrown, .. } = pending;
    if let Some(newest) = abandoned.last() {
        give_up(context, source, application, *newest).await?;
    }
    // Before the batch: what it lands of such a file is nothing without what the file begins with.
    note_files(&context.lake, application, outgrown, context.stamp()).await?;
    let number = batches.plan(&context.lake, files, abandoned, context.stamp()).await?;
    let batch = Batch {
        source,
        keys,
        application,
        number,
        files: files.clone(),
        is_resumed: false,
        replaces: abandoned.clone(),
    };
    land_batch(context, batch).await
}

/// Gives a Bronze table into which nothing lands the shape that models may rely on: creates it when
/// it is not there, puts its columns into the order of its declaration. Gives its version.
async fn keep_shape(context: &Context, source: &Source, base: Option<&Snapshot>) -> Result<u64> {
    let spec = bronze_spec(source, base);
    if let Some(base) = base
        && base.schema().fields() == spec.schema.fields()
    {
        return Ok(base.version());
    }
    let change = Change { notes: vec![context.note()], ..Change::default() };
    Ok(context.lake.commit(&spec, base, change).await?.0)
}

/// The table of `source`, which remembers what made it when it is at `base` already.
fn bronze_spec(source: &Source, base: Option<&Snapshot>) -> TableSpec {
    let before = base.and_then(Snapshot::fingerprint);
    TableSpec {
        name: source.table.clone(),
        schema: bronze_schema(&source.columns),
        partition_by: Vec::new(),
        description: source.description.clone(),
        fingerprint: before.unwrap_or_else(|| fingerprint(source)),
    }
}

/// The report of a source in which nothing was done.
fn nothing_new(source: &Source, version: u64) -> SourceReport {
    SourceReport {
        table: source.table.clone(),
        batch: None,
        resumed: false,
        files: 0,
        redeclared: None,
        newest_file: None,
        deliveries: Deliveries::default(),
        bytes_read: 0,
        records_read: 0,
        rows_landed: 0,
        rows_rescued: 0,
        records_quarantined: 0,
        pieces_uncut: 0,
        bytes_uncut: 0,
        warnings: Vec::new(),
        files_written: 0,
        bytes_written: 0,
        committed: false,
        version,
        milliseconds: 0,
    }
}
