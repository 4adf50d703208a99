//! Pieces into rows and rows into files, on all cores.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};
use crate::lake::{Lake, TableSpec, Written};
use crate::ops::{Content, Quarantine, Rejected};
use crate::pipeline::context::Context;
use crate::project::Source;
use crate::source::{Decoder, Feed, InputFile, Lineage, Quarantined, ReadFile};

use super::bronze_spec;
use super::filled::Filled;

/// How many of the records that a file ended with and that were rejected are kept in mind.
const LAST: usize = 64;
/// How many bytes of line breaks and separators two of them may have between them: no record is so short.
const BETWEEN: u64 = 2;

/// What the decoders of a batch made of it together.
#[derive(Default)]
pub(super) struct Landed {
    pub written: Written,
    pub rescued: u64,
    /// Pieces that could not be cut into records, and their bytes.
    pub pieces_uncut: u64,
    pub bytes_uncut: u64,
    /// For each file the last of what was rejected.
    last_rejected: HashMap<Arc<str>, LastRejected>,
    /// What is in the key columns.
    pub filled: Filled,
}

/// What was rejected at the end of a file: where each begins and ends in the content, and whether it
/// begins as a record does.
#[derive(Default)]
struct LastRejected(BTreeMap<u64, (u64, bool)>);

impl LastRejected {
    fn add(&mut self, record: &Quarantined) {
        let is_begun = record.bytes.trim_ascii_start().starts_with(b"{");
        self.0.insert(record.position, (record.position + record.length, is_begun));
        if self.0.len() > LAST {
            self.0.pop_first();
        }
    }

    /// Where the last of them ends.
    fn end(&self) -> Option<u64> {
        self.0.last_key_value().map(|(_, (end, _))| *end)
    }

    /// Where a record may begin that they end with: with the last one that begins as a record does, of
    /// those with nothing between them; else with the last one.
    fn start(&self) -> Option<u64> {
        let mut next = None;
        for (start, (end, is_begun)) in self.0.iter().rev() {
            if next.is_some_and(|next| end + BETWEEN < next) {
                break;
            }
            if *is_begun {
                return Some(*start);
            }
            next = Some(*start);
        }
        self.0.last_key_value().map(|(start, _)| *start)
    }
}

impl Landed {
    /// What `read` holds, which came with `batch`.
    pub(super) fn content_of(&self, mut read: ReadFile, batch: i64) -> (InputFile, Content) {
        let rejected = self.last_rejected.get(&read.file.name);
        if let Some((start, end)) = rejected.and_then(|last| last.start().zip(last.end())) {
            read.ends_with_no_record(start, end);
        }
        let ReadFile { file, hash, read_on, .. } = read;
        let content = Content { batch, bytes: file.bytes, hash, read_on };
        (file, content)
    }

    /// How many of the files that were `read` had grown by what is no record yet: its line has not ended,
    /// so it is read again when there is more.
    pub(super) fn unfinished(&self, read: &[ReadFile]) -> u64 {
        let is_unfinished = |read: &&ReadFile| {
            let last = self.last_rejected.get(&read.file.name).and_then(LastRejected::end);
            let end = read.read_on.map(|read_on| read_on.position);
            read.file.from.byte > 0 && last.is_some() && end == last
        };
        read.iter().filter(is_unfinished).count() as u64
    }

    fn note_rejected(&mut self, record: &Quarantined) {
        self.last_rejected.entry(Arc::clone(&record.file)).or_default().add(record);
    }
}

/// Decodes and writes on all cores until the feed ends; what is rejected goes to `quarantine`.
pub(super) async fn decode_all(
    context: &Context,
    (source, keys): (&Source, &[String]),
    lineage: Lineage,
    feed: &Feed,
    quarantine: &mut Quarantine,
) -> Result<Landed> {
    let (rejects, mut rejected) = mpsc::channel::<Vec<Quarantined>>(16);
    let spec = bronze_spec(source, None);
    let mut workers = JoinSet::new();
    for _ in 0..context.engine.cores() {
        let decoder = Decoder::new(&source.columns, source.keep_raw, lineage)?;
        let decoder = decoder.inside(source.format.records.as_ref());
        let destination = (context.lake.clone(), spec.clone());
        let filled = Filled::of_keys(keys);
        workers.spawn(decode(decoder, destination, feed.clone(), rejects.clone(), filled));
    }
    drop(rejects);
    let mut landed = Landed::default();
    while let Some(records) = rejected.recv().await {
        for piece in records.iter().filter(|one| one.is_uncut) {
            landed.pieces_uncut += 1;
            landed.bytes_uncut += piece.length;
        }
        records.iter().for_each(|record| landed.note_rejected(record));
        let records = records.into_iter();
        let records = records.map(|record| Rejected::of_source(record, lineage.batch));
        quarantine.add(records.collect()).await?;
    }
    while let Some(worker) = workers.join_next().await {
        let part =
            worker.map_err(|e| Error::new(Kind::Bug, "a decoder ended by itself").because(e))??;
        landed.written.merge(part.written);
        landed.rescued += part.rescued;
        landed.filled.merge(part.filled);
    }
    Ok(landed)
}

/// One worker: pieces from the feed, rows to its own files.
async fn decode(
    mut decoder: Decoder,
    (lake, spec): (Lake, TableSpec),
    feed: Feed,
    rejects: mpsc::Sender<Vec<Quarantined>>,
    mut filled: Filled,
) -> Result<Landed> {
    let mut sink = lake.sink(&spec)?;
    let mut rescued = 0;
    loop {
        let piece = match feed.next().await {
            Ok(piece) => piece,
            Err(error) => {
                sink.abort().await;
                return Err(error);
            }
        };
        if let Some(piece) = &piece {
            decoder.decode(piece);
            let records = decoder.take_quarantined();
            if !records.is_empty() && rejects.send(records).await.is_err() {
                // The receiver met an error of its own, and that is the one that is reported.
                sink.abort().await;
                return Ok(Landed::default());
            }
        }
        if decoder.is_full() || (piece.is_none() && decoder.rows() > 0) {
            let rows = decoder.take_rows()?;
            rescued += rescued_rows(&rows);
            filled.note(&rows);
            if let Err(error) = sink.write(&rows).await {
                sink.abort().await;
                return Err(error);
            }
        }
        if piece.is_none() {
            let written = sink.close().await?;
            return Ok(Landed { written, rescued, filled, ..Landed::default() });
        }
    }
}

pub(super) fn rescued_rows(rows: &RecordBatch) -> u64 {
    rows.column_by_name("_rescued").map_or(0, |column| (column.len() - column.null_count()) as u64)
}
