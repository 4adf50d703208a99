//! `clickwatch infer`

use std::path::PathBuf;

use clap::Args;

use crate::engine::instant;
use crate::error::{Result, shortened};
use crate::infer::{Change, Inference, Options, SeenKey, SeenTime, infer};
use crate::runtime::Timestamp;

use super::Context;
use super::text::{aligned, counted, grouped};

/// How much of a column's type is shown, in characters.
const TYPE: usize = 60;

/// Which files to look at, and what to write of it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files, directories, or patterns such as "landing/*.json.gz"
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What to call the table [default: like the first file or directory]
    #[arg(long)]
    name: Option<String>,
    /// Look at so many records, about as many of each file
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    sample: u64,
    /// Look at all records
    #[arg(long, conflicts_with = "sample")]
    all: bool,
    /// Where in each JSON value the records are, as '$.data.events[*]'; '$' for the value itself
    /// [default: as the source says, or as it looks]
    #[arg(long, value_name = "PATH")]
    records: Option<String>,
    /// The pipeline to write to [default: one called like the table]
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Print the files, and write nothing
    #[arg(long)]
    print: bool,
    /// Write the files that differ from those that stand, too
    #[arg(long, visible_alias = "force", conflicts_with = "print")]
    write: bool,
}

pub(super) async fn run(mut context: Context<'_>, arguments: Arguments) -> Result<()> {
    let options = Options {
        paths: arguments.paths,
        name: arguments.name,
        pipeline: arguments.pipeline,
        records: arguments.records,
        most: (!arguments.all).then_some(arguments.sample),
    };
    let root = context.place.project.clone();
    let read: fn(&str) -> Option<i64> = |text| instant(Some(text));
    let found = infer(&root, &options, read, &context.stop).await?;
    if arguments.print {
        let texts = found.changes.iter().map(|one| format!("-- {}\n{}", one.file, one.after));
        return context.output.text(texts.collect::<Vec<_>>().join("\n").trim_end());
    }
    print(&mut context, &found)?;
    let is_standing = |change: &&Change| change.before.as_ref() == Some(&change.after);
    let differs = |change: &&Change| change.before.is_some() && !is_standing(change);
    for change in found.changes.iter().filter(is_standing) {
        context.output.text(&format!("{} is as it would be written", change.file))?;
    }
    for change in found.changes.iter().filter(differs) {
        context.output.text(&format!("{} would change:\n{}", change.file, change.difference()))?;
    }
    if found.changes.iter().any(|change| differs(&change)) && !arguments.write {
        return context.output.text("nothing was written: add --write to write this");
    }
    let changes: Vec<&Change> = found.changes.iter().filter(|one| !is_standing(one)).collect();
    for change in &changes {
        change.write(&root)?;
        context.output.text(&format!("wrote {}", change.file))?;
    }
    match changes.is_empty() {
        true => context.output.text("nothing to write"),
        false => context.output.text("next: clickwatch run"),
    }
}

fn print(context: &mut Context<'_>, found: &Inference) -> Result<()> {
    let records = found.totals.records;
    let sample = match found.totals.is_all {
        true => "",
        false => "; there are more, and --all reads them",
    };
    let broken = match (found.totals.broken, &found.totals.first_broken) {
        (broken @ 1.., Some(reason)) => {
            format!("; {} broken, for quarantine: {reason}", counted(broken, "piece"))
        }
        _ => String::new(),
    };
    context.output.text(&format!(
        "{}: {} records read of {} files{broken}{sample}",
        found.table,
        grouped(records),
        grouped(found.files as u64),
    ))?;
    let mut lines = vec![["field", "type", "in", "remarks"].map(str::to_owned)];
    lines.extend(found.fields.iter().map(|field| {
        let column_type = shortened(&field.column_type, TYPE).into_owned();
        [field.name.clone(), column_type, percent(field.records, records), field.remarks.join("; ")]
    }));
    context.output.text(&aligned(&lines, &[0, 1, 3]))?;
    for key in &found.keys {
        context.output.text(&key_line(key, records))?;
    }
    for time in &found.times {
        context.output.text(&time_line(time))?;
    }
    for note in &found.notes {
        context.output.text(note)?;
    }
    Ok(())
}

fn key_line(key: &SeenKey, records: u64) -> String {
    let about = if key.is_exact { "" } else { "about " };
    let again = match (key.repeated, key.differing) {
        (0, _) => "none comes again".to_owned(),
        (repeated, differing) => format!(
            "{about}{} come again, {about}{} of them with other records",
            grouped(repeated),
            grouped(differing)
        ),
    };
    format!(
        "{} {}: in {} of the records, {about}{} different values, {again}",
        if key.is_key { "key" } else { "no key" },
        key.fields.join(", "),
        percent(key.records, records),
        grouped(key.values),
    )
}

fn time_line(time: &SeenTime) -> String {
    let (read, of) = time.read;
    let shown = |moment: i64| {
        let moment = Timestamp::from_timestamp_micros(moment);
        moment.map_or_else(String::new, |moment| moment.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let (first, last) = time.range;
    format!(
        "{} {}: {} read, from {} to {}",
        if time.is_time { "time" } else { "another time" },
        time.field,
        percent(read, of),
        shown(first),
        shown(last),
    )
}

/// A share; 100 % only of all, and 0 % only of nothing.
fn percent(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1000) / whole.max(1);
    match (tenths / 10, tenths % 10) {
        (0, 0) if part > 0 => "< 0.1 %".to_owned(),
        (percent, 0) => format!("{percent} %"),
        (percent, tenth) => format!("{percent}.{tenth} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_not_rounded_to_all_or_nothing() {
        for (part, whole, shown) in
            [(0, 5, "0 %"), (5, 5, "100 %"), (9999, 10_000, "99.9 %"), (1, 10_000, "< 0.1 %")]
        {
            assert_eq!(percent(part, whole), shown);
        }
    }
}
