//! Publishing what a run left behind as an epoch.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::lake::{CommitMark, Snapshot};
use crate::name::{Layer, TableName};
use crate::ops::{Epoch, Published};
use crate::pipeline::build::{offset_id, version_of};
use crate::pipeline::context::Context;
use crate::pipeline::foreign;
use crate::pipeline::view::{View, overtaken};
use crate::project::Pipeline;

/// How often publishing is tried while other runs publish too.
const ATTEMPTS: usize = 20;

/// What became of the states that a run left behind.
pub(super) enum Publication {
    /// They are the epoch of this number.
    Epoch(u64),
    /// None is published, and why.
    Nothing(String),
}

/// Publishes the states that the run leaves behind as a new epoch, unless no table has a new state, or
/// a part of the pipeline that was not selected is behind the rest.
///
/// Errors: `Conflict` when another run has published something that does not go with this one.
pub(super) async fn publish(
    context: &Context,
    view: &View,
    pipeline: &Pipeline,
) -> Result<Publication> {
    let own = match closed_set(view, pipeline).await? {
        Ok(own) => own,
        Err(why) => return Ok(Publication::Nothing(why)),
    };
    for _ in 0..ATTEMPTS {
        let newest = Epoch::read(&context.engine, &context.lake, None).await?;
        let mut news = Vec::with_capacity(own.len());
        for (table, state) in &own {
            news.push((table, compare(context, state, newest.tables.get(table)).await?));
        }
        if !news.iter().any(|(_, news)| *news == News::Newer) {
            let why = format!("no table has other rows than in epoch {}", newest.number);
            return Ok(Publication::Nothing(why));
        }
        if let Some((table, _)) = news.iter().find(|(_, news)| *news == News::Older) {
            return Err(overtaken(table));
        }
        check_others(view, pipeline, &newest).await?;
        let mut tables = newest.tables;
        for (table, state) in &own {
            tables.insert(table.clone(), Published::of(state).await?);
        }
        let epoch = Epoch { number: newest.number + 1, tables };
        match epoch.publish(&context.lake, &pipeline.name, &context.run_id).await {
            Err(e) if e.kind() == Kind::Conflict => {}
            result => return result.map(|()| Publication::Epoch(epoch.number)),
        }
    }
    Err(Error::new(Kind::Conflict, "other runs publish all the time"))
}

/// How a state compares with the published one of its table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    /// It is to be published.
    Newer,
    /// Its rows are those of the published one, if perhaps in other files.
    Same,
    /// Another run has published a later one.
    Older,
}

async fn compare(
    context: &Context,
    state: &Snapshot,
    published: Option<&Published>,
) -> Result<News> {
    let Some(published) = published.filter(|one| one.table_id == state.id()) else {
        return Ok(News::Newer);
    };
    if published.version > state.version() {
        // A table that was restored from a backup is behind what was published of it.
        let newest = context.lake.snapshot(state.name()).await?.map(|newest| newest.version());
        return Ok(if newest == Some(state.version()) { News::Newer } else { News::Older });
    }
    let mark = state.mark_of(published.version).await?.map(CommitMark::as_offset);
    if mark != published.commit_mark {
        return Ok(News::Newer);
    }
    let changes = state.changes_since(published.version).await?;
    let is_same = changes.is_ok_and(|changes| changes.is_empty());
    Ok(if is_same { News::Same } else { News::Newer })
}

/// Another pipeline's table that was read must still be published as it was read.
async fn check_others(view: &View, pipeline: &Pipeline, newest: &Epoch) -> Result<()> {
    let reads = pipeline.models.iter().flat_map(|model| &model.reads);
    for table in reads.filter(|table| !view.owns(table)) {
        let own = Published::of(&view.state_of(table).await?).await?;
        let known = newest.tables.get(table).filter(|known| known.table_id == own.table_id);
        if known.is_some_and(|known| known.version != own.version) {
            return Err(overtaken(table));
        }
    }
    Ok(())
}

/// The states of the tables of `pipeline`, if each model was built from exactly these rows; else why
/// they do not go together.
async fn closed_set(
    view: &View,
    pipeline: &Pipeline,
) -> Result<std::result::Result<BTreeMap<TableName, Snapshot>, String>> {
    let mut own = BTreeMap::new();
    let missing = |table: &TableName| Ok(Err(format!("{table} was never filled")));
    for source in &pipeline.sources {
        let Some(state) = view.state_if_any(&source.table).await? else {
            return missing(&source.table);
        };
        foreign::check(view, &state).await?;
        own.insert(source.table.clone(), state);
    }
    for model in &pipeline.models {
        let Some(state) = view.state_if_any(&model.table).await? else {
            return missing(&model.table);
        };
        for read in &model.reads {
            if !is_built_from(&state, &view.state_of(read).await?).await? {
                let table = &model.table;
                return Ok(Err(format!("{table} was not built from the newest rows of {read}")));
            }
        }
        foreign::check(view, &state).await?;
        own.insert(model.table.clone(), state);
    }
    own.retain(|table, _| table.layer() != Layer::Ops);
    Ok(Ok(own))
}

/// Whether `state` was built from the rows of `upstream`, if perhaps from other files of them.
async fn is_built_from(state: &Snapshot, upstream: &Snapshot) -> Result<bool> {
    let Some(read) = state.offset_of(&offset_id(upstream)).await? else { return Ok(false) };
    if read == version_of(upstream) {
        return Ok(true);
    }
    let changes = upstream.changes_since(u64::try_from(read).unwrap_or_default()).await?;
    Ok(changes.is_ok_and(|changes| changes.is_empty()))
}
