//! What of a source is not in Bronze yet.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::lake::Snapshot;
use crate::ops::{Batches, Content};
use crate::pipeline::Deliveries;
use crate::pipeline::context::Context;
use crate::project::{Pipeline, Source};
use crate::source::{InputFile, discover, searches};

use super::batch::given_up_id;
use super::delivery::{Sorted, sort};

/// What a source holds that is not in Bronze yet.
pub(in crate::pipeline) struct Pending {
    /// The source in records and offsets, as `<pipeline>/<source>`.
    pub application: String,
    /// Its batches so far.
    pub batches: Batches,
    /// The Bronze table as it is.
    pub bronze: Option<Snapshot>,
    /// Batches that earlier runs had planned and that are not in Bronze, with their files.
    pub resumed: Vec<(i64, Vec<InputFile>)>,
    /// Batches that will never be landed, because their files are not what they were.
    pub abandoned: Vec<i64>,
    /// The files of the next batch, each from where on it is new.
    pub files: Vec<InputFile>,
    /// Files that hold what has landed under another time or name, with what they hold.
    pub seen: Vec<(InputFile, Content)>,
    /// Those of the next batch that begin with what has landed under another name, with that.
    pub outgrown: Vec<(InputFile, Content)>,
    /// How what was found differs from what has landed.
    pub deliveries: Deliveries,
    /// What at the source's path was left out, and why.
    pub warnings: Vec<String>,
}

impl Pending {
    /// The number of the next batch.
    pub(in crate::pipeline) fn next_batch(&self) -> i64 {
        self.batches.newest() + 1
    }
}

/// What of `source` is not in Bronze yet; its path is relative to `root`.
///
/// Errors: `Invalid` when the table of batches does not go with Bronze.
pub(in crate::pipeline) async fn pending(
    context: &Context,
    pipeline: &Pipeline,
    source: &Source,
    root: &Path,
) -> Result<Pending> {
    let application = format!("{}/{}", pipeline.name, source.table.name());
    if let Some(lake) = context.lake.local_root()
        && let Some(path) = source.paths.iter().find(|path| searches(root, path, &lake))
    {
        return Err(Error::new(Kind::Invalid, "the lake lies in the directory of its own source")
            .at("directory", root.join(path).display())
            .at("lake", context.lake.location())
            .hint("what is written there would be read as records: give the source a directory of its own, or choose another --lake"));
    }
    let found = discover(root, &source.paths, &context.stop)?;
    // Bronze first: what it holds was planned before, whatever other runs do in between.
    let bronze = context.lake.snapshot(&source.table).await?;
    let landed = match &bronze {
        Some(bronze) => bronze.offset_of(&application).await?.unwrap_or(0),
        None => 0,
    };
    let batches = Batches::read(&context.engine, &context.lake, &application).await?;
    if landed > batches.newest() {
        return Err(unknown_batches(source, landed, batches.newest()));
    }
    let given_up = match &bronze {
        Some(bronze) => bronze.offset_of(&given_up_id(&application)).await?,
        None => None,
    };
    let mut pending = Pending {
        application,
        batches,
        bronze,
        resumed: Vec::new(),
        abandoned: Vec::new(),
        files: Vec::new(),
        seen: Vec::new(),
        outgrown: Vec::new(),
        deliveries: Deliveries::default(),
        warnings: found.warnings,
    };
    pending.sort_out(landed, given_up)?;
    let sorted = sort(&pending.batches, found.files, &context.stop)?;
    let Sorted { files, seen, outgrown, deliveries } = sorted;
    Ok(Pending { files, seen, outgrown, deliveries, ..pending })
}

impl Pending {
    /// Tells the batches behind `landed` that can still be landed from those that cannot.
    fn sort_out(&mut self, landed: i64, given_up: Option<i64>) -> Result<()> {
        // One that was given up by a run that died before it had planned another in its place.
        if let Some(batch) = given_up.filter(|batch| self.batches.holds(*batch)) {
            self.batches.abandon(batch);
            self.abandoned.push(batch);
        }
        for batch in landed + 1..=self.batches.newest() {
            match self.batches.files_of(batch)? {
                Some(files) if files.is_empty() => {}
                Some(files) => self.resumed.push((batch, files)),
                // What is left of its files becomes a part of the next batch.
                None => {
                    self.batches.abandon(batch);
                    self.abandoned.push(batch);
                }
            }
        }
        Ok(())
    }
}

fn unknown_batches(source: &Source, landed: i64, known: i64) -> Error {
    Error::new(Kind::Invalid, "Bronze holds batches that ops.batches does not know")
        .at("table", &source.table)
        .at("landed", landed)
        .at("known", known)
        .hint("which files were landed cannot be told: bring ops.batches back, or remove the Bronze table to land everything anew")
}
