//! The models of a pipeline, each when what it reads is there.

use std::collections::HashSet;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Result;
use crate::lake::extent;
use crate::name::TableName;
use crate::project::Model;

use super::target::{Target, Work};
use super::{ExpectationReport, PipelineReport, Run, TableReport};

/// Work on fewer bytes of new files does not keep all cores busy.
const LIGHT_BYTES: u64 = 8 << 20;
/// So many models are built beside each other at most: each may hold keys in memory.
const MOST_AT_ONCE: usize = 4;

/// What became of a model.
#[derive(Default)]
pub(super) struct Built {
    /// Its table, if it is up to date.
    pub table: Option<TableReport>,
    /// What its rows were expected to be.
    pub expectations: Vec<ExpectationReport>,
}

impl Run {
    /// Brings the tables of `models`, which are in an order in which they can be built, up to date.
    /// Those with little to do are built beside each other. After an error no other is begun.
    pub(super) async fn build_all(
        &self,
        models: &[&Model],
        report: &mut PipelineReport,
    ) -> Result<()> {
        let cores = Semaphore::new(self.models_at_once());
        let mut waiting = models.to_vec();
        let mut unbuilt: HashSet<&TableName> = models.iter().map(|model| &model.table).collect();
        let mut running = FuturesUnordered::new();
        let (mut done, mut result) = (Vec::new(), Ok(()));
        loop {
            if result.is_ok() {
                let is_ready =
                    |model: &&Model| model.reads.iter().all(|one| !unbuilt.contains(one));
                let (ready, others) = waiting.into_iter().partition::<Vec<_>, _>(is_ready);
                waiting = others;
                running.extend(ready.into_iter().map(|model| self.build_one(model, &cores)));
            }
            let Some((model, built, outcome)) = running.next().await else { break };
            unbuilt.remove(&model.table);
            done.push((&model.table, built));
            if outcome.is_err() {
                // Whoever waits for room goes home.
                cores.close();
            }
            result = result.and(outcome);
        }
        let place = |table: &TableName| models.iter().position(|model| model.table == *table);
        done.sort_by_key(|(table, _)| place(table));
        for (_, built) in done {
            report.tables.extend(built.table);
            report.expectations.extend(built.expectations);
        }
        result
    }

    async fn build_one<'a>(
        &self,
        model: &'a Model,
        cores: &Semaphore,
    ) -> (&'a Model, Built, Result<()>) {
        let mut built = Built::default();
        let outcome = self.build(model, cores, &mut built).await;
        let outcome =
            outcome.map_err(|e| match e.places().iter().any(|(key, _)| *key == "table") {
                true => e,
                false => e.at("table", &model.table),
            });
        (model, built, outcome)
    }

    /// Waits until there is room for `work`: light work takes one core, the rest all of them. Nothing
    /// when no work is to be begun any more.
    pub(super) async fn room_for<'a>(
        &self,
        work: &Work,
        target: &Target<'_>,
        cores: &'a Semaphore,
    ) -> Option<SemaphorePermit<'a>> {
        let bytes = match work {
            Work::Nothing => 0,
            Work::Full { .. } => target.upstream.iter().map(|upstream| upstream.size().1).sum(),
            Work::New { changed, .. } | Work::Touched { changed, .. } => {
                let moved = changed.iter().flat_map(|(_, moved)| [&moved.added, &moved.removed]);
                moved.map(|files| extent(files).2).sum()
            }
        };
        let wanted = if bytes < LIGHT_BYTES { 1 } else { self.models_at_once() };
        cores.acquire_many(u32::try_from(wanted).unwrap_or(1)).await.ok()
    }

    fn models_at_once(&self) -> usize {
        self.engine.cores().clamp(1, MOST_AT_ONCE)
    }
}
