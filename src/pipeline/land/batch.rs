//! One batch into Bronze: rejected records first, rows last, both with the number of the batch.

use std::collections::HashSet;
use std::time::Instant;

use arrow::datatypes::FieldRef;

use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Snapshot, TableSpec, Written};
use crate::ops::{Outdated, Quarantine, note_files, note_left_out, quarantine_of};
use crate::pipeline::context::{Context, milliseconds};
use crate::pipeline::thresholds::{Landing, filled_before};
use crate::pipeline::view::overtaken;
use crate::pipeline::{SourceReport, Step};
use crate::project::Source;
use crate::source::{Feed, InputFile, Lineage, Note, feed};

use super::decode::{Landed, decode_all};
use super::filled::Filled;
use super::{bronze_spec, nothing_new};

/// One batch on its way into Bronze.
pub(super) struct Batch<'a> {
    pub source: &'a Source,
    /// The columns by which models tell its rows apart.
    pub keys: &'a [String],
    pub application: &'a str,
    pub number: i64,
    pub files: Vec<InputFile>,
    /// Whether an earlier run had planned it.
    pub is_resumed: bool,
    /// Batches that will never be landed, and of which nothing may stay in quarantine.
    pub replaces: Vec<i64>,
}

/// Lands `batch`.
///
/// Errors: `Conflict` when another run has landed it meanwhile.
pub(super) async fn land_batch(context: &Context, batch: Batch<'_>) -> Result<SourceReport> {
    let started = Instant::now();
    let source = batch.source;
    let base = context.lake.snapshot(&source.table).await?;
    let spec = bronze_spec(source, base.as_ref());
    check_columns(&spec, base.as_ref())?;
    check_turn(&batch, base.as_ref()).await?;
    let files = batch.files.len() as u64;
    let total_bytes = batch.files.iter().map(InputFile::unread_bytes).sum();
    let feed = feed_of(context, &batch);
    let reading = context.progress.begin(Step::Ingest {
        table: source.table.clone(),
        total_bytes,
        read_bytes: feed.bytes_read(),
    });
    let lineage = Lineage { batch: batch.number, ingested_at: context.as_of };
    let mut quarantine =
        Quarantine::open(&context.lake, &context.engine, &source.table, context.stamp())?;
    let whose = (source, batch.keys);
    let landed = decode_all(context, whose, lineage, &feed, &mut quarantine).await?;
    drop(reading);
    check_whole(&batch, &feed)?;
    let _committing = context.progress.begin(Step::Commit { table: source.table.clone() });
    let rejected = quarantine.rejected();
    let came = Landing {
        batch: batch.number,
        records: landed.written.rows + rejected,
        quarantined: rejected,
        unfinished: landed.unfinished(&feed.files()),
        example: quarantine.example().map(str::to_owned),
        filled: landed.filled.filled(),
        missing: missing(base.as_ref(), &landed.filled).await?,
    };
    commit_rejected(context, quarantine, &batch).await?;
    note_content(context, &batch, &landed, &feed).await?;
    let mut report = SourceReport {
        batch: Some(batch.number),
        resumed: batch.is_resumed,
        files,
        bytes_read: total_bytes,
        records_read: came.records,
        rows_landed: landed.written.rows,
        rows_rescued: landed.rescued,
        records_quarantined: rejected,
        pieces_uncut: landed.pieces_uncut,
        bytes_uncut: landed.bytes_uncut,
        warnings: feed.notes().iter().map(described).collect(),
        files_written: landed.written.adds.len() as u64,
        bytes_written: landed.written.bytes,
        committed: true,
        ..nothing_new(source, 0)
    };
    let change = change(context, &batch, landed.written, &came);
    (report.version, _) = context.lake.commit(&spec, base.as_ref(), change).await?;
    report.milliseconds = milliseconds(started);
    Ok(report)
}

/// Writes down what the files of the batch hold, before that is in Bronze, and which of them are not
/// in it: one that comes back as it was planned would count as landed.
async fn note_content(
    context: &Context,
    batch: &Batch<'_>,
    landed: &Landed,
    feed: &Feed,
) -> Result<()> {
    let (lake, application, stamp) = (&context.lake, batch.application, context.stamp());
    let read = feed.files().into_iter();
    let held: Vec<_> = read.map(|file| landed.content_of(file, batch.number)).collect();
    note_files(lake, application, &held, stamp).await?;
    let notes = feed.notes();
    let left_out: HashSet<&str> =
        notes.iter().filter(|note| note.is_left_out).map(|note| &*note.file).collect();
    let files = batch.files.iter().filter(|file| left_out.contains(&*file.name));
    let files: Vec<InputFile> = files.cloned().collect();
    note_left_out(lake, application, batch.number, &files, stamp).await
}

/// Fails when a file is left out of a batch that an earlier run had begun. What that run noted of the
/// file, and what it rejected of it, stands under the number of the batch: this must not be landed.
/// When the run starts over, the batch is given up if the file is another one by then.
///
/// Errors: `Conflict`.
fn check_whole(batch: &Batch<'_>, feed: &Feed) -> Result<()> {
    let notes = feed.notes();
    match notes.iter().find(|note| batch.is_resumed && note.is_left_out) {
        Some(note) => {
            Err(Error::new(Kind::Conflict, "a file of an interrupted batch has changed meanwhile")
                .at("batch", batch.number)
                .at("file", &note.file)
                .hint("run again: what is left to do is found by itself"))
        }
        None => Ok(()),
    }
}

/// Begins to read the files of the batch.
fn feed_of(context: &Context, batch: &Batch<'_>) -> Feed {
    let threads = context.engine.cores();
    let (inputs, memory) = (batch.files.clone(), context.memory.for_ingest());
    let how = (&batch.source.columns, &batch.source.format);
    feed(inputs, how, threads, memory, &context.stop)
}

/// What the batch does to the table.
fn change(context: &Context, batch: &Batch<'_>, written: Written, came: &Landing) -> Change {
    let reason = format!("batch {} of {} files", batch.number, batch.files.len());
    let mut notes = vec![context.note(), ("strategy", "append".into()), ("reason", reason.into())];
    notes.extend(came.notes());
    Change {
        adds: written.adds,
        offsets: vec![(batch.application.to_owned(), batch.number)],
        notes,
        ..Change::default()
    }
}

/// Fails when another run, of another declaration, gave the table other columns meanwhile.
fn check_columns(spec: &TableSpec, base: Option<&Snapshot>) -> Result<()> {
    let stands = |field: &FieldRef| {
        let declared = spec.schema.field_with_name(field.name());
        declared.is_ok_and(|declared| declared.data_type() == field.data_type())
    };
    match base.is_none_or(|base| base.schema().fields().iter().all(stands)) {
        true => Ok(()),
        false => Err(overtaken(&spec.name)),
    }
}

/// Whether nobody has landed the batch meanwhile.
async fn check_turn(batch: &Batch<'_>, base: Option<&Snapshot>) -> Result<()> {
    let Some(base) = base else { return Ok(()) };
    match base.offset_of(batch.application).await? >= Some(batch.number) {
        true => Err(Error::new(Kind::Conflict, "another run has landed this batch meanwhile")
            .at("batch", batch.number)
            .hint("run again: what is left to do is found by itself")),
        false => Ok(()),
    }
}

/// The key columns that the rows of the batch before had and those of this one lack, in words.
async fn missing(base: Option<&Snapshot>, filled: &Filled) -> Result<Option<String>> {
    match base.filter(|_| filled.has_empty()) {
        Some(base) => Ok(filled.missing(&filled_before(base).await?)),
        None => Ok(None),
    }
}

fn described(note: &Note) -> String {
    match note.is_left_out {
        true => format!("{}: {}; it is left for the next run", note.file, note.what),
        false => format!("{}: {}", note.file, note.what),
    }
}

/// Commits what the batch rejected, and takes out what the batches that it replaces had left: these
/// never reached Bronze. What is there already, from a run that died afterwards, is not committed
/// again. The first batch creates the table even when it rejects nothing, so that there always is one
/// to ask.
async fn commit_rejected(
    context: &Context,
    quarantine: Quarantine,
    batch: &Batch<'_>,
) -> Result<()> {
    let base = quarantine_of(&context.lake).await?;
    if let Some(base) = &base
        && base.offset_of(batch.application).await? >= Some(batch.number)
    {
        return quarantine.discard().await;
    }
    let outdated = Outdated::Batches(&batch.replaces);
    let offsets = vec![(batch.application.to_owned(), batch.number)];
    quarantine.commit(base.as_ref(), outdated, offsets, true).await
}

/// Makes sure that `batch` will never be landed by a run that still works on it: Bronze says that it
/// is done with, and that it was given up. Of the two runs, one finds the other's commit.
pub(super) async fn give_up(
    context: &Context,
    source: &Source,
    application: &str,
    batch: i64,
) -> Result<()> {
    let base = context.lake.snapshot(&source.table).await?;
    let (landed, given_up) = match &base {
        Some(base) => (
            base.offset_of(application).await?.unwrap_or(0),
            base.offset_of(&given_up_id(application)).await?,
        ),
        None => (0, None),
    };
    if given_up == Some(batch) {
        return Ok(());
    }
    if base.is_some() && landed == batch {
        return Err(overtaken(&source.table));
    }
    let reason = format!("batch {batch} was given up: its files changed");
    let change = Change {
        offsets: vec![
            (application.to_owned(), landed.max(batch)),
            (given_up_id(application), batch),
        ],
        notes: vec![context.note(), ("reason", reason.into())],
        ..Change::default()
    };
    let spec = bronze_spec(source, base.as_ref());
    context.lake.commit(&spec, base.as_ref(), change).await.map(drop)
}

/// Under which name Bronze remembers the batch that was given up last.
pub(super) fn given_up_id(application: &str) -> String {
    format!("{application}/given-up")
}
