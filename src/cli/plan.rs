//! `clickwatch plan`

use bytesize::ByteSize;
use clap::Args;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{ModelPlan, PipelinePlan, SourcePlan};

use super::Context;
use super::arguments::{Format, What};
use super::display::cut;
use super::text::{aligned, counted, grouped};

/// What is said of a project that has no pipeline.
pub(super) const EMPTY_PROJECT: &str =
    "the project is empty: clickwatch infer PATH begins a table for your files";

/// What to plan, and how to print it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(context: Context<'_>, arguments: Arguments) -> Result<()> {
    show(context, arguments.what, arguments.format).await
}

pub(super) async fn show(mut context: Context<'_>, what: What, format: Format) -> Result<()> {
    let project = context.project()?;
    let runner = context.runner(&project.channels)?;
    let plans = context.stop.or_stopped(runner.plan(&project, &what.into_options())).await?;
    if format == Format::Json {
        let text = serde_json::to_string_pretty(&plans)
            .map_err(|e| Error::new(Kind::Bug, "cannot write down the plan").because(e))?;
        return context.output.data(&text);
    }
    if project.pipelines.is_empty() {
        return context.output.text(EMPTY_PROJECT);
    }
    let screen = context.output.screen().filter(|_| !context.is_verbose);
    for plan in &plans {
        for line in tables_text(plan, context.is_verbose).lines() {
            let line = match screen {
                Some(screen) => cut(line, screen.columns, screen.is_unicode),
                None => line.into(),
            };
            context.output.text(&line)?;
        }
        for source in &plan.sources {
            if let Some(why) = &source.blocked {
                context.output.text(&blocked_text(source, why))?;
            }
        }
        context.output.text(&summary(plan))?;
    }
    Ok(())
}

/// The lines of the tables that a run would change, or of all; the others are only counted.
fn tables_text(plan: &PipelinePlan, shows_all: bool) -> String {
    let is_shown_source = |source: &&SourcePlan| shows_all || is_touched(source);
    let is_shown_model = |model: &&ModelPlan| shows_all || model.strategy != "none";
    let mut lines = vec![["table", "how", "files", "rows", "bytes", "why"].map(str::to_owned)];
    lines.extend(plan.sources.iter().filter(is_shown_source).map(source_line));
    lines.extend(plan.models.iter().filter(is_shown_model).map(model_line));
    let shown = lines.len() - 1;
    let unchanged = plan.sources.len() + plan.models.len() - shown;
    let mut texts = Vec::new();
    if shown > 0 {
        texts.push(aligned(&lines, &[0, 1, 5]));
    }
    if unchanged > 0 {
        texts.push(format!("{} unchanged", counted(unchanged as u64, "table")));
    }
    texts.join("\n")
}

fn blocked_text(source: &SourcePlan, why: &str) -> String {
    let table = &source.table;
    format!(
        "{table}: a run would publish nothing: {why}; `clickwatch run --accept {table}` publishes it all the same"
    )
}

/// Whether a run would change the table.
fn is_touched(source: &SourcePlan) -> bool {
    source.batch.is_some() || source.redeclared.is_some()
}

fn source_line(source: &SourcePlan) -> [String; 6] {
    let (how, mut why) = match (source.batch, source.resumed) {
        (None, _) => {
            let said = source.deliveries.described().map(|said| format!(": {said}"));
            let how = if is_touched(source) { "rewrite" } else { "none" };
            (how.to_owned(), format!("no new files{}", said.unwrap_or_default()))
        }
        (Some(batch), false) => {
            (format!("batch {batch}"), source.deliveries.described().unwrap_or_default())
        }
        (Some(batch), true) => {
            (format!("batch {batch}"), "an interrupted run had begun with it".to_owned())
        }
    };
    if let Some(what) = &source.redeclared {
        why = format!("it is declared anew: {what}; {why}");
    }
    [
        source.table.to_string(),
        how,
        grouped(source.files),
        String::new(),
        ByteSize(source.bytes).display().iec().to_string(),
        why,
    ]
}

fn model_line(model: &ModelPlan) -> [String; 6] {
    let versions = model
        .upstream
        .iter()
        .map(|(table, seen, newest)| format!(" ({table}: version {seen} to {newest})"));
    [
        model.table.to_string(),
        model.strategy.to_owned(),
        grouped(model.files),
        grouped(model.rows),
        ByteSize(model.bytes).display().iec().to_string(),
        format!("{}{}", model.reason, versions.collect::<String>()),
    ]
}

fn summary(plan: &PipelinePlan) -> String {
    let landing = plan.sources.iter().filter(|source| is_touched(source)).count();
    let building = plan.models.iter().filter(|model| model.strategy != "none").count();
    let is_blocked = plan.sources.iter().any(|source| source.blocked.is_some());
    match (landing, building) {
        (0, 0) if !is_blocked => format!("{}: nothing to do", plan.pipeline),
        _ => format!(
            "{}: {landing} of {} sources to land, {building} of {} models to build; nothing was written",
            plan.pipeline,
            plan.sources.len(),
            plan.models.len()
        ),
    }
}
