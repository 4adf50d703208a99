//! The models of a pipeline, each when what it reads is there.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::name::TableName;
use crate::pipeline::build::{BuildContext, Built, carry_out, plan_build};
use crate::pipeline::context::milliseconds;
use crate::pipeline::{PipelineReport, TableReport};
use crate::project::Model;

/// Work on fewer bytes of new files does not keep all cores busy.
const LIGHT_BYTES: u64 = 16 << 20;
/// So many models are built beside each other at most: each may hold keys in memory.
const MOST_AT_ONCE: usize = 4;

/// Brings the tables of `models`, which are in an order in which they can be built, up to date.
/// Those with little to do are built beside each other, first what most others wait for. After an
/// error no other is begun.
pub(super) async fn build_all(
    context: &BuildContext,
    models: &[&Model],
    report: &mut PipelineReport,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(models_at_once(&context.run.engine)));
    let chains = chains(models);
    let mut waiting = models.to_vec();
    let mut unbuilt: HashSet<&TableName> = models.iter().map(|model| &model.table).collect();
    // Each is a task of its own, since planning keeps a core busy too. Dropping the set ends them.
    let mut running = JoinSet::new();
    let (mut done, mut result) = (Vec::new(), Ok(()));
    loop {
        if result.is_ok() {
            let is_ready = |model: &&Model| model.reads.iter().all(|one| !unbuilt.contains(one));
            let (mut ready, others) = waiting.into_iter().partition::<Vec<_>, _>(is_ready);
            waiting = others;
            ready.sort_by_key(|model| Reverse(chains.get(&model.table).copied()));
            for model in ready {
                let (context, model, room) = (context.clone(), model.clone(), Arc::clone(&room));
                running.spawn(async move { build_one(&context, model, &room).await });
            }
        }
        let Some(ended) = running.join_next().await else { break };
        let (table, built, outcome) = match ended {
            Ok(ended) => ended,
            Err(e) => {
                running.shutdown().await;
                let bug = Error::new(Kind::Bug, "the building of a model ended by itself");
                result = result.and(Err(bug.because(e)));
                break;
            }
        };
        unbuilt.remove(&table);
        done.push((table, built));
        if outcome.is_err() {
            // Models that wait for room are not begun any more.
            room.close();
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

async fn build_one(
    context: &BuildContext,
    model: Model,
    room: &Semaphore,
) -> (TableName, Built, Result<()>) {
    let mut built = Built::default();
    let outcome = build(context, &model, room, &mut built).await;
    let outcome = outcome.map_err(|e| match e.places().iter().any(|(key, _)| *key == "table") {
        true => e,
        false => e.at("table", &model.table),
    });
    (model.table, built, outcome)
}

/// Brings the table of `model` up to date when there is room: light work takes one place, the rest
/// all of them. Notes in `built` what was done; None when no work is to be begun any more.
async fn build(
    context: &BuildContext,
    model: &Model,
    room: &Semaphore,
    built: &mut Built,
) -> Result<()> {
    let started = Instant::now();
    let plan = plan_build(context, model).await?;
    let planned = milliseconds(started);
    let is_light = plan.least_bytes() < LIGHT_BYTES;
    let wanted = if is_light { 1 } else { models_at_once(&context.run.engine) };
    let wanted = u32::try_from(wanted).unwrap_or(1);
    let Ok(room) = room.acquire_many(wanted).await else { return Ok(()) };
    let started = Instant::now();
    let table = carry_out(context, &plan, room, built).await?;
    context.view.leave_at(&model.table, table.version, plan.target.base.as_ref()).await?;
    built.table = Some(TableReport { milliseconds: planned + milliseconds(started), ..table });
    Ok(())
}

/// One more than there are cores, since each waits for storage now and then.
fn models_at_once(engine: &Engine) -> usize {
    (engine.cores() + 1).clamp(1, MOST_AT_ONCE)
}

/// For each table how long the longest chain of models is that wait for it, one after the other.
fn chains(models: &[&Model]) -> HashMap<TableName, usize> {
    let mut chains: HashMap<TableName, usize> = HashMap::new();
    // Who reads a table stands behind it.
    for model in models.iter().rev() {
        let own = chains.get(&model.table).copied().unwrap_or(0);
        for read in &model.reads {
            let chain = chains.entry(read.clone()).or_default();
            *chain = (*chain).max(own + 1);
        }
    }
    chains
}
