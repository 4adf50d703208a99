//! The answer to one query: asked, watched and printed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::engine::{Session, engine_error};
use crate::error::{Error, Kind, Result};

use super::display::{Expanded, Look};
use super::output::{Output, RowFormat};

/// How many rows of an answer are kept for who wants to look at them again.
const KEPT: usize = 1000;
/// How long a query takes before somebody on a terminal is told that it is still running.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) format: RowFormat,
    /// How many rows a table for people shows at most.
    pub(super) rows: usize,
    pub(super) expanded: Expanded,
    /// Whether what is longer than the screen is paged.
    pub(super) is_paged: bool,
    /// Whether it is said how long each query took.
    pub(super) timing: bool,
}

/// Prints the rows of one query, and gives the first of them.
pub(super) async fn answer(
    session: &Session,
    query: &str,
    manner: Manner,
    output: &mut Output<'_>,
) -> Result<Vec<RecordBatch>> {
    let started = Instant::now();
    let screen = output.screen();
    if manner.format == RowFormat::Parquet && screen.is_some() {
        return Err(Error::new(Kind::Invalid, "a Parquet file is not for a terminal")
            .hint("send it to a file: > answer.parquet, or \\o answer.parquet in the shell"));
    }
    let mut busy = Busy::begin(output.is_watched());
    let plan = session.plan(query).await?;
    let physical = session.physical(&plan).await?;
    let mut rows = session.execute_all(Arc::clone(&physical))?;
    let Manner { format, expanded, is_paged, .. } = manner;
    let look = Look { screen, expanded, is_paged, counts: true, ..Look::default() };
    let mut printer = output.rows(format, &physical.schema(), look)?;
    let mut kept = vec![RecordBatch::new_empty(physical.schema())];
    let (mut left, mut room) =
        (if format == RowFormat::Table { manner.rows } else { usize::MAX }, KEPT);
    let mut is_cut = false;
    while let Some(batch) =
        rows.try_next().await.map_err(|e| engine_error("cannot answer the query", e))?
    {
        busy.count(&batch, format);
        is_cut = batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        printer.print(&batch)?;
        kept.push(batch.slice(0, batch.num_rows().min(room)));
        left = left.saturating_sub(batch.num_rows());
        room = room.saturating_sub(batch.num_rows());
        if is_cut {
            printer.leave_rest();
            break;
        }
    }
    drop(busy);
    printer.finish()?;
    if is_cut {
        output.note(&format!(
            "only the first {} rows are shown: see --rows, or --format csv for all",
            manner.rows
        ));
    }
    if manner.timing {
        output.say(&format!("Time: {:.3} ms", started.elapsed().as_secs_f64() * 1000.0));
    }
    Ok(kept)
}

/// What somebody on a terminal sees of a query that takes its time; it goes when this is dropped.
struct Busy {
    bar: ProgressBar,
    appearing: Option<JoinHandle<()>>,
}

impl Busy {
    fn begin(is_watched: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let template = "{spinner} still running ({elapsed}), {human_pos} rows; Ctrl-C stops it";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let appears = bar.clone();
        let appearing = is_watched.then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                appears.set_draw_target(ProgressDrawTarget::stderr());
                appears.enable_steady_tick(TICK);
            })
        });
        Self { bar, appearing }
    }

    /// Counts rows that have come.
    fn count(&mut self, batch: &RecordBatch, format: RowFormat) {
        match format {
            RowFormat::Table | RowFormat::Markdown => self.bar.inc(batch.num_rows() as u64),
            // What is printed as it comes shows by itself that something is going on.
            _ => self.end(),
        }
    }

    fn end(&mut self) {
        if let Some(appearing) = self.appearing.take() {
            appearing.abort();
            self.bar.finish_and_clear();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}
