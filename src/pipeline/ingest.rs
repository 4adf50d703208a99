//! Landing what is new in a source: files into a batch, a batch into Bronze.

use std::path::Path;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};
use crate::lake::{Change, Lake, Snapshot, TableSpec, Written};
use crate::project::{Pipeline, Source};
use crate::source::{
    Decoder, Feed, InputFile, Lineage, Quarantined, bronze_schema, discover, feed,
};

use super::batches::Batches;
use super::quarantine::{Quarantine, Rejected};
use super::{Run, SourceReport, Step, millis};

/// One batch on its way into Bronze.
struct Landing<'a> {
    source: &'a Source,
    application: &'a str,
    batch: i64,
    files: Vec<InputFile>,
    resumed: bool,
    /// Batches that will never be landed, and of which nothing may stay in quarantine.
    replaces: Vec<i64>,
}

/// What the workers of a landing made of it together.
#[derive(Default)]
struct Landed {
    written: Written,
    rescued: u64,
}

/// What a source holds that is not in Bronze yet.
pub(super) struct Pending {
    application: String,
    batches: Batches,
    bronze: Option<Snapshot>,
    /// Batches that earlier runs had planned and that are not in Bronze, with their files.
    pub resumed: Vec<(i64, Vec<InputFile>)>,
    /// Batches that will never be landed, because their files are not what they were.
    abandoned: Vec<i64>,
    /// The files of the next batch.
    pub files: Vec<InputFile>,
}

impl Pending {
    /// How many of the files of the next batch were landed before, and changed since.
    pub(super) fn changed(&self) -> u64 {
        self.batches.changed_among(&self.files)
    }

    /// The number of the next batch.
    pub(super) fn next_batch(&self) -> i64 {
        self.batches.newest + 1
    }
}

impl Run {
    /// Lands what is new in `source`: first what an earlier run had planned and not finished, then
    /// what was found since. Adds to `reports` what was done, and one report when nothing was.
    pub(super) async fn ingest(
        &self,
        pipeline: &Pipeline,
        source: &Source,
        root: &Path,
        reports: &mut Vec<SourceReport>,
    ) -> Result<()> {
        let placed = |e: Error| e.at("pipeline", &pipeline.name).at("source", source.table.name());
        let started = Instant::now();
        let mut pending = self.pending(pipeline, source, root).await.map_err(placed)?;
        let before = reports.len();
        for (batch, files) in std::mem::take(&mut pending.resumed) {
            let application = &pending.application;
            let replaces = pending.batches.replaced_by(batch);
            let landing = Landing { source, application, batch, files, resumed: true, replaces };
            reports.push(self.land(landing).await.map_err(placed)?);
        }
        let files = std::mem::take(&mut pending.files);
        if !files.is_empty() {
            let Pending { application, batches, abandoned, .. } = &pending;
            if let Some(newest) = abandoned.last() {
                self.give_up(source, application, *newest).await.map_err(placed)?;
            }
            let batch = self.plan_batch(application, batches, &files, abandoned).await?;
            let replaces = abandoned.clone();
            let files_changed = batches.changed_among(&files);
            let landing = Landing { source, application, batch, files, resumed: false, replaces };
            let landed = self.land(landing).await.map_err(placed)?;
            reports.push(SourceReport { files_changed, ..landed });
        }
        let version = match reports.get(before..).and_then(<[_]>::last) {
            Some(landed) => landed.version,
            None => {
                let version = self.keep_shape(source, pending.bronze.as_ref()).await?;
                reports.push(nothing_new(source, version, millis(started)));
                version
            }
        };
        self.leave_at(&source.table, version, pending.bronze).await
    }

    /// What of `source` is not in Bronze yet.
    pub(super) async fn pending(
        &self,
        pipeline: &Pipeline,
        source: &Source,
        root: &Path,
    ) -> Result<Pending> {
        let application = format!("{}/{}", pipeline.name, source.table.name());
        let files = discover(&root.join(&source.path))?;
        // Bronze first: what it holds was planned before, whatever other runs do in between.
        let bronze = self.lake.snapshot(&source.table).await?;
        let landed = match &bronze {
            Some(bronze) => bronze.position_of(&application).await?.unwrap_or(0),
            None => 0,
        };
        let mut batches = self.batches(&application).await?;
        if landed > batches.newest {
            let what = "Bronze holds batches that ops.batches does not know";
            return Err(Error::new(Kind::Invalid, what)
                .at("table", &source.table)
                .at("landed", landed)
                .at("known", batches.newest)
                .hint(
                    "which files were landed cannot be told: bring ops.batches back, or remove the Bronze table to land everything anew",
                ));
        }
        let (mut resumed, mut abandoned) = (Vec::new(), Vec::new());
        // One that was given up by a run that died before it had planned another in its place.
        let given_up = match &bronze {
            Some(bronze) => bronze.position_of(&given_up_id(&application)).await?,
            None => None,
        };
        if let Some(batch) = given_up.filter(|batch| batches.holds(*batch)) {
            batches.abandon(batch);
            abandoned.push(batch);
        }
        for batch in landed + 1..=batches.newest {
            match batches.files_of(batch) {
                Ok(files) if files.is_empty() => {}
                Ok(files) => resumed.push((batch, files)),
                // Its files are not what they were, so it cannot be landed as it was planned; what
                // is left of them becomes a part of the next batch.
                Err(e) if matches!(e.kind(), Kind::Missing | Kind::Conflict) => {
                    batches.abandon(batch);
                    abandoned.push(batch);
                }
                Err(e) => return Err(e),
            }
        }
        let files = batches.new_among(&files);
        Ok(Pending { application, batches, bronze, resumed, abandoned, files })
    }

    /// Makes sure that `batch` will never be landed by a run that still works on it: Bronze says that
    /// it is done with, and that it was given up. Of the two runs, one finds the other's commit.
    async fn give_up(&self, source: &Source, application: &str, batch: i64) -> Result<()> {
        let base = self.lake.snapshot(&source.table).await?;
        let landed = match &base {
            Some(base) => base.position_of(application).await?.unwrap_or(0),
            None => 0,
        };
        let given_up = match &base {
            Some(base) => base.position_of(&given_up_id(application)).await?,
            None => None,
        };
        if given_up == Some(batch) {
            return Ok(());
        }
        if base.is_some() && landed == batch {
            return Err(Self::overtaken(&source.table));
        }
        let positions =
            vec![(application.to_owned(), landed.max(batch)), (given_up_id(application), batch)];
        let notes = vec![
            ("run_id", self.id.clone().into()),
            ("reason", format!("batch {batch} was given up: its files changed").into()),
        ];
        let change = Change { positions, notes, ..Change::default() };
        self.lake.commit(&bronze_spec(source), base.as_ref(), change).await.map(drop)
    }

    async fn land(&self, landing: Landing<'_>) -> Result<SourceReport> {
        let started = Instant::now();
        let source = landing.source;
        let base = self.lake.snapshot(&source.table).await?;
        let spec = bronze_spec(source);
        check_evolution(&spec, base.as_ref())?;
        if let Some(base) = &base
            && base.position_of(landing.application).await? >= Some(landing.batch)
        {
            return Err(Error::new(Kind::Conflict, "another run has landed this batch meanwhile")
                .at("batch", landing.batch)
                .hint("run again: what is left to do is found by itself"));
        }
        let total_bytes = landing.files.iter().map(|file| file.bytes).sum();
        let files = landing.files.len() as u64;
        let cores = self.engine.cores();
        let feed = feed(landing.files, cores, self.memory.for_ingest(), &self.stop);
        self.progress.begin(Step::Ingest {
            table: source.table.clone(),
            total_bytes,
            read_bytes: feed.bytes_read(),
        });
        let lineage = Lineage { batch: landing.batch, ingested_at: self.as_of };
        let mut quarantine = self.quarantine(&source.table)?;
        let landed = self.decode_all(source, &spec, lineage, &feed, &mut quarantine).await?;
        let rejected = quarantine.rejected;
        let Landing { application, batch, replaces, .. } = landing;
        self.commit_rejected_records(quarantine, application, batch, &replaces).await?;
        let mut report = SourceReport {
            batch: Some(landing.batch),
            resumed: landing.resumed,
            files,
            bytes_read: total_bytes,
            records_read: landed.written.rows + rejected,
            rows_landed: landed.written.rows,
            rows_rescued: landed.rescued,
            records_quarantined: rejected,
            files_written: landed.written.adds.len() as u64,
            bytes_written: landed.written.bytes,
            ..nothing_new(source, 0, 0)
        };
        let change = Change {
            adds: landed.written.adds,
            positions: vec![(landing.application.to_owned(), landing.batch)],
            notes: vec![
                ("run_id", self.id.clone().into()),
                ("strategy", "append".into()),
                ("reason", format!("batch {} of {files} files", landing.batch).into()),
            ],
            ..Change::default()
        };
        (report.version, _) = self.lake.commit(&spec, base.as_ref(), change).await?;
        report.milliseconds = millis(started);
        Ok(report)
    }

    /// Decodes and writes on all cores until the feed ends.
    async fn decode_all(
        &self,
        source: &Source,
        spec: &TableSpec,
        lineage: Lineage,
        feed: &Feed,
        quarantine: &mut Quarantine,
    ) -> Result<Landed> {
        let (rejects, mut rejected) = tokio::sync::mpsc::channel(16);
        let mut workers = JoinSet::new();
        for _ in 0..self.engine.cores() {
            let decoder = Decoder::new(&source.columns, source.keep_raw, lineage)?;
            workers.spawn(decode(
                decoder,
                self.lake.clone(),
                spec.clone(),
                feed.clone(),
                rejects.clone(),
            ));
        }
        drop(rejects);
        while let Some(records) = rejected.recv().await {
            let records: Vec<Quarantined> = records;
            let records =
                records.into_iter().map(|record| Rejected::of_source(record, lineage.batch));
            self.reject(quarantine, records.collect()).await?;
        }
        let mut landed = Landed::default();
        while let Some(worker) = workers.join_next().await {
            let part = worker
                .map_err(|e| Error::new(Kind::Bug, "a decoder ended by itself").because(e))??;
            landed.written.merge(part.written);
            landed.rescued += part.rescued;
        }
        Ok(landed)
    }

    /// Gives a Bronze table into which nothing lands the shape that models may rely on: creates it
    /// when it is not there, adds the columns that are new in its declaration.
    async fn keep_shape(&self, source: &Source, base: Option<&Snapshot>) -> Result<u64> {
        let spec = bronze_spec(source);
        check_evolution(&spec, base)?;
        if let Some(base) = base
            && base.schema().fields() == spec.schema.fields()
        {
            return Ok(base.version());
        }
        let change = Change {
            adds: Vec::new(),
            notes: vec![("run_id", self.id.clone().into())],
            ..Change::default()
        };
        Ok(self.lake.commit(&spec, base, change).await?.0)
    }
}

/// One worker: pieces from the feed, rows to its own files.
async fn decode(
    mut decoder: Decoder,
    lake: Lake,
    spec: TableSpec,
    feed: Feed,
    rejects: tokio::sync::mpsc::Sender<Vec<Quarantined>>,
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
            if let Err(error) = sink.write(&rows).await {
                sink.abort().await;
                return Err(error);
            }
        }
        if piece.is_none() {
            return Ok(Landed { written: sink.close().await?, rescued });
        }
    }
}

/// Under which name Bronze remembers the batch that was given up last.
fn given_up_id(application: &str) -> String {
    format!("{application}/given-up")
}

fn rescued_rows(rows: &arrow::array::RecordBatch) -> u64 {
    use arrow::array::Array as _;
    rows.column_by_name("_rescued").map_or(0, |column| (column.len() - column.null_count()) as u64)
}

fn bronze_spec(source: &Source) -> TableSpec {
    TableSpec {
        name: source.table.clone(),
        schema: bronze_schema(&source.columns),
        partition_by: Vec::new(),
        description: source.description.clone(),
        fingerprint: env!("CARGO_PKG_NAME").to_owned(),
    }
}

/// Bronze may get new columns; those that it has stay as they are, because what they hold was
/// decoded by the old declaration.
fn check_evolution(spec: &TableSpec, base: Option<&Snapshot>) -> Result<()> {
    let Some(base) = base else { return Ok(()) };
    for old in base.schema().fields() {
        let new = spec.schema.field_with_name(old.name()).ok();
        if new.map(arrow::datatypes::Field::data_type) != Some(old.data_type()) {
            return Err(Error::new(Kind::Invalid, "the declaration does not go with what has landed already")
                .at("table", &spec.name)
                .at("column", old.name())
                .at("landed_as", old.data_type())
                .hint("columns can be added; to change or drop one, load into another table or an empty lake"));
        }
    }
    Ok(())
}

fn nothing_new(source: &Source, version: u64, milliseconds: u64) -> SourceReport {
    SourceReport {
        table: source.table.clone(),
        batch: None,
        resumed: false,
        files: 0,
        files_changed: 0,
        bytes_read: 0,
        records_read: 0,
        rows_landed: 0,
        rows_rescued: 0,
        records_quarantined: 0,
        files_written: 0,
        bytes_written: 0,
        version,
        milliseconds,
    }
}
