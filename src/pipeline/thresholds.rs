//! What is too wrong to be published: thresholds, batches of which nothing is a row, columns that are gone.
//!
//! What landed stays, since Bronze only grows, but nothing is built upon it. Each commit of a batch
//! notes what came of it, and every run judges by these notes, until they are published: so a batch
//! that crosses a threshold keeps the next runs from publishing too. It counts no more once a later
//! run has landed others, once the threshold is another, or once somebody has accepted it.

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::lake::{HistoryEntry, Snapshot};
use crate::project::{Model, Source, Thresholds};
use crate::runtime::{self, Timestamp};

use super::TableReport;
use super::context::RUN;
use super::view::View;

/// The note of a commit after which batches before it may be published, whatever came of them.
pub(super) const ACCEPTS: &str = "accepts";

const BATCH: &str = "batch";
const RECORDS: &str = "records";
const QUARANTINED: &str = "quarantined";
const UNFINISHED: &str = "unfinished";
const EXAMPLE: &str = "quarantined_first";
const FILLED: &str = "filled";
const MISSING: &str = "missing";

/// Among so many commits the newest batches are looked for.
const COMMITS_BACK: usize = 50;

/// What came of one batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Landing {
    /// Its number.
    pub batch: i64,
    /// The records in its files.
    pub records: u64,
    /// Those of them that are in quarantine.
    pub quarantined: u64,
    /// Those of them that are the beginning of a record whose rest is still to come. They are not judged.
    pub unfinished: u64,
    /// The first of those in quarantine, in words.
    pub example: Option<String>,
    /// The columns that nearly every row has a value in.
    pub filled: Vec<String>,
    /// What the rows of the batch before had and these do not, in words.
    pub missing: Option<String>,
}

impl Landing {
    /// What the commit of the batch says of it.
    pub(super) fn notes(&self) -> Vec<(&'static str, Value)> {
        let mut notes = vec![
            (BATCH, self.batch.into()),
            (RECORDS, self.records.into()),
            (QUARANTINED, self.quarantined.into()),
            (UNFINISHED, self.unfinished.into()),
            (FILLED, self.filled.clone().into()),
        ];
        let texts = [(EXAMPLE, &self.example), (MISSING, &self.missing)];
        notes.extend(texts.into_iter().filter_map(|(key, text)| Some((key, text.clone()?.into()))));
        notes
    }

    /// What `entry` says of a batch, if it is the commit of one.
    fn of(entry: &HistoryEntry) -> Option<Self> {
        let text = |key: &str| entry.notes.get(key);
        Some(Self {
            batch: text(BATCH)?.parse().ok()?,
            records: text(RECORDS)?.parse().ok()?,
            quarantined: text(QUARANTINED)?.parse().ok()?,
            unfinished: text(UNFINISHED).and_then(|text| text.parse().ok()).unwrap_or_default(),
            example: text(EXAMPLE).cloned(),
            filled: text(FILLED).and_then(|names| serde_json::from_str(names).ok())?,
            missing: text(MISSING).cloned(),
        })
    }

    fn crossed(&self, source: &Source) -> Option<Error> {
        let Thresholds { max_quarantined, at_least, .. } = &source.thresholds;
        let crossed = |what: &str| {
            let error = Error::new(Kind::Threshold, what).at("table", &source.table);
            error.at("batch", self.batch).at("records", self.records)
        };
        let rejecting = |what: &str| {
            let error = crossed(what).at("quarantined", self.quarantined);
            self.example.iter().fold(error, |error, example| error.at("example", example))
        };
        let may_be_all = max_quarantined.is_some_and(|most| most.is_everything());
        let records = self.records.saturating_sub(self.unfinished);
        let quarantined = self.quarantined.saturating_sub(self.unfinished);
        if records > 0 && quarantined == records && !may_be_all {
            return Some(rejecting("every record of the batch went to quarantine"));
        }
        if let Some(most) = max_quarantined.filter(|it| !it.allows(quarantined, records)) {
            let error = rejecting("more records of the batch went to quarantine than may");
            return Some(error.at("max-quarantined", most));
        }
        if let Some(least) = at_least.filter(|least| self.records < *least) {
            let error = crossed("the batch has fewer records than it must have");
            return Some(error.at("min-records", least));
        }
        let missing = self.missing.as_ref()?;
        Some(crossed("a column is gone that the rows before had").at("missing", missing))
    }
}

/// What of the batches of `source` keeps its table, which is at `state`, from being published.
pub(super) async fn of_batches(
    view: &View,
    source: &Source,
    state: &Snapshot,
) -> Result<Option<Error>> {
    let landings = unpublished(view, state).await?;
    let crossed = landings.iter().find_map(|landing| landing.crossed(source));
    Ok(crossed.map(|error| {
        error.hint(format!(
            "what landed stays, but nothing was built or published; a later batch that is as it should be is published with it, or `clickwatch run --accept {}` does it now",
            source.table
        ))
    }))
}

/// Why the files of `source` are too old, if they are; the newest that landed was changed at
/// `newest_file`.
pub(super) fn of_age(source: &Source, newest_file: Option<Timestamp>) -> Option<Error> {
    let freshness = source.thresholds.freshness.as_ref()?;
    let crossed = |what: &str| {
        Error::new(Kind::Threshold, what)
            .at("table", &source.table)
            .at("freshness", &freshness.text)
            .hint(format!(
                "nothing was built or published; `clickwatch run --accept {}` goes on all the same",
                source.table
            ))
    };
    let Some(changed_at) = newest_file else {
        return Some(crossed("no file has landed yet"));
    };
    // A file from the future is fresh.
    let age = (runtime::now() - changed_at).to_std().unwrap_or_default();
    (age > freshness.longest).then(|| {
        crossed("the newest file that landed is older than it may be")
            .at("changed_at", changed_at.to_rfc3339())
    })
}

/// What came of the batches that are not published yet and were landed by the run that landed last.
async fn unpublished(view: &View, state: &Snapshot) -> Result<Vec<Landing>> {
    let count = match view.published_version(state) {
        Some(published) => state.version() - published,
        None => state.version() + 1,
    };
    let count = usize::try_from(count).unwrap_or(COMMITS_BACK).min(COMMITS_BACK);
    let history = state.history(count).await?;
    let accepted = history.iter().position(|entry| entry.notes.contains_key(ACCEPTS));
    let open = history.get(..accepted.unwrap_or(history.len())).unwrap_or_default();
    let mut landings = open.iter().filter_map(|entry| Some((entry, Landing::of(entry)?)));
    let Some((newest, last)) = landings.next() else { return Ok(Vec::new()) };
    let run = newest.notes.get(RUN);
    let others = landings.take_while(|(entry, _)| entry.notes.get(RUN) == run);
    Ok(others.map(|(_, landing)| landing).chain([last]).collect())
}

/// The columns that nearly every row of the batch before the next one of `bronze` had a value in; not
/// of one that lacked some itself, unless somebody accepted that.
pub(super) async fn filled_before(bronze: &Snapshot) -> Result<Vec<String>> {
    let mut is_accepted = false;
    for entry in bronze.history(COMMITS_BACK).await? {
        is_accepted |= entry.notes.contains_key(ACCEPTS);
        let Some(landing) = Landing::of(&entry) else { continue };
        let has_rows = landing.records > landing.quarantined;
        if has_rows && (is_accepted || landing.missing.is_none()) {
            return Ok(landing.filled);
        }
    }
    Ok(Vec::new())
}

/// Why what was computed for `model` must not become its table, if it must not; `example` is one of
/// the rows that were rejected.
pub(super) fn of_build(
    model: &Model,
    report: &TableReport,
    example: Option<&str>,
) -> Option<Error> {
    let TableReport { rows_in, rows_quarantined, .. } = report;
    let most = model.thresholds.max_quarantined;
    let crossed = |what: &str| {
        let error = Error::new(Kind::Threshold, what)
            .at("table", &model.table)
            .at("rows", rows_in)
            .at("quarantined", rows_quarantined);
        let error = example.iter().fold(error, |error, example| error.at("example", example));
        error.hint(format!(
            "the table was left as it was, and nothing was published; see ops.expectations. The next run looks again, and `clickwatch run --accept {}` builds it all the same",
            model.table
        ))
    };
    let may_be_all = most.is_some_and(|most| most.is_everything());
    if *rows_in > 0 && rows_quarantined >= rows_in && !may_be_all {
        return Some(crossed("every row of the model went to quarantine"));
    }
    let most = most.filter(|most| !most.allows(*rows_quarantined, *rows_in))?;
    Some(crossed("more rows of the model went to quarantine than may").at("max-quarantined", most))
}

/// Fails when the table of `model` has fewer rows than it must have.
pub(super) async fn check_rows(view: &View, model: &Model) -> Result<()> {
    let Some(least) = model.thresholds.at_least else { return Ok(()) };
    let Some(state) = view.state_if_any(&model.table).await? else { return Ok(()) };
    match state.rows().filter(|rows| *rows < least) {
        None => Ok(()),
        Some(rows) => {
            Err(Error::new(Kind::Threshold, "the table has fewer rows than it must have")
                .at("table", &model.table)
                .at("rows", rows)
                .at("min-rows", least)
                .hint(format!(
                    "nothing was published; `clickwatch run --accept {}` publishes it all the same",
                    model.table
                )))
        }
    }
}
