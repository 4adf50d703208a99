//! From files to the beginning of a project: the columns of a Bronze table, a source, a Silver model.
//!
//! Records are read as a run reads them. A first reading tells what the fields hold (`profile`), a
//! second one which of them tell records from each other (`keys`). What is written follows from that,
//! and from what stands already (`proposal`): nothing is overwritten that a person has written, unless
//! he has seen the difference and asks for it.

mod bronze;
mod column_type;
mod csv_record;
mod difference;
mod distinct;
mod keys;
mod naming;
mod place;
mod profile;
mod proposal;
mod read;
mod record;
mod seen;
mod shape;
mod starter;
#[cfg(test)]
mod testing;

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::name::{Layer, TableName, is_identifier};
use crate::project::{Format, RecordPath};
use crate::runtime::Stop;
use crate::source::{InputFile, discover};

use bronze::Column;
use keys::Keys;
use profile::Profile;
use proposal::{Standing, Texts};
use record::Record;
use starter::Starter;

pub use proposal::Change;
pub use read::Totals;
pub use seen::{SeenField, SeenKey, SeenTime};

/// Reads the moment that a text names, in microseconds since 1970.
pub type Instant = fn(&str) -> Option<i64>;

/// What to look at, and what to call it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The files, directories and patterns of files, relative to the working directory.
    pub paths: Vec<PathBuf>,
    /// The table; None to call it after the first path.
    pub name: Option<String>,
    /// The pipeline; None to call it like the table.
    pub pipeline: Option<String>,
    /// Where in the files' values the records are; None to go by the source, or by what is found.
    pub records: Option<String>,
    /// How many records are looked at; None for all.
    pub most: Option<u64>,
}

/// What was seen, and what is proposed.
#[derive(Debug)]
pub struct Inference {
    /// The table, in Bronze and Silver.
    pub table: String,
    /// How many files there are.
    pub files: usize,
    /// What was read of them.
    pub totals: Totals,
    /// Their fields.
    pub fields: Vec<SeenField>,
    /// What may tell records from each other.
    pub keys: Vec<SeenKey>,
    /// What may tell when something happened.
    pub times: Vec<SeenTime>,
    /// What else is worth to be said.
    pub notes: Vec<String>,
    /// The files as they are proposed, those among them that stand so already too.
    pub changes: Vec<Change>,
}

/// Looks at files, and proposes a table for them in the project at `root`. Nothing is written.
///
/// Errors: `Missing` and `Invalid` for paths and names; `Data` when there is no record; what the
/// storage says; `Stopped`.
pub async fn infer(
    root: &Path,
    options: &Options,
    instant: Instant,
    stop: &Stop,
) -> Result<Inference> {
    let table = table_name(options)?;
    let pipeline = pipeline_name(options, &table)?;
    let found = discover(Path::new(""), &options.paths, stop).map_err(|e| match e.kind() {
        Kind::Missing => e.hint("name files, directories or patterns from where you are"),
        _ => e,
    })?;
    let standing = Standing::read(root, &table, &pipeline)?;
    let files = found.files.as_slice();
    let mut format = standing.format(records_asked_for(options)?)?;
    let how = (options.most, instant);
    let (mut profile, mut totals) = profile_of((files, &format), how, stop).await?;
    let mut notes = found.warnings;
    let is_open = format.records.is_none() && options.records.is_none();
    if let Some((path, objects)) = seen::records_inside(&profile).filter(|_| is_open) {
        let is_envelope = !standing.has_source() && totals.records <= files.len() as u64;
        notes.push(said_of_envelopes(&path, objects, (is_envelope, standing.has_source())));
        if is_envelope {
            format.records = Some(path);
            (profile, totals) = profile_of((files, &format), how, stop).await?;
        }
    }
    let mut keys = Keys::of(&profile, &table);
    let mut take = |record: &Record<'_>| keys.add(record, instant);
    read::read((files, &format), options.most, stop, &mut take).await?;
    let columns_seen: Vec<Column> = profile
        .columns()
        .into_iter()
        .map(|(name, field)| (name.to_owned(), profile.column_type(field)))
        .collect();
    if columns_seen.is_empty() {
        return Err(Error::new(Kind::Data, "no field of the records can be a column")
            .hint("what fields are called has to begin with a letter, with letters, digits and `_` behind it"));
    }
    let columns = standing.columns(&columns_seen);
    let time = keys.time.as_ref().and_then(|time| profile.fields.get(time));
    let has_few_days = time.is_some_and(|field| field.times.has_few_days());
    let starter = Starter::new(&table, &columns, (&keys, profile.records), has_few_days);
    let paths = place::in_project(root, &options.paths)?;
    let records = format.records.as_ref().map(ToString::to_string);
    let texts = Texts { paths, records, model: starter.sql(), section: starter.section() };
    notes.extend(seen::notes(&profile));
    notes.extend(standing.said_of_columns(&columns_seen));
    notes.extend(standing.said_of_model(&table, &columns, &texts.model));
    Ok(Inference {
        changes: standing.proposal(&table, &columns, &texts),
        files: files.len(),
        totals,
        fields: seen::fields(&profile),
        keys: seen::keys(&keys, profile.records),
        times: seen::times(&profile, &keys),
        notes,
        table,
    })
}

/// What the fields of the files hold, of all records or of so many.
async fn profile_of(
    files: (&[InputFile], &Format),
    (most, instant): (Option<u64>, Instant),
    stop: &Stop,
) -> Result<(Profile, Totals)> {
    let mut profile = Profile::default();
    let mut take = |record: &Record<'_>| profile.add(record, instant);
    let totals = read::read(files, most, stop, &mut take).await?;
    match totals.records {
        0 => Err(no_record(files.0, &totals)),
        _ => Ok((profile, totals)),
    }
}

/// Where the records are asked for; `Some(None)` when each value is one.
fn records_asked_for(options: &Options) -> Result<Option<Option<RecordPath>>> {
    let Some(path) = &options.records else { return Ok(None) };
    RecordPath::parse(path).map(Some).map_err(|message| {
        Error::new(Kind::Invalid, message).hint("write --records '$.data.events[*]'")
    })
}

fn said_of_envelopes(
    path: &RecordPath,
    objects: u64,
    (is_taken, has_source): (bool, bool),
) -> String {
    let what = match (is_taken, has_source) {
        (true, _) => {
            "each is taken for a record; --records '$' takes what is around them".to_owned()
        }
        (false, true) => format!("records = '{path}' in the source makes each a record"),
        (false, false) => format!("--records '{path}' makes each a record"),
    };
    format!("there are {objects} objects at {path}: {what}")
}

fn table_name(options: &Options) -> Result<String> {
    let hint = "name the table with --name";
    let name = match &options.name {
        Some(name) => name.clone(),
        None => options.paths.first().and_then(|path| naming::table_of(path)).ok_or_else(|| {
            Error::new(Kind::Invalid, "cannot tell what to call the table").hint(hint)
        })?,
    };
    match TableName::new(Layer::Bronze, &name) {
        Ok(_) => Ok(name),
        Err(message) => Err(Error::new(Kind::Invalid, message).hint(hint)),
    }
}

fn pipeline_name(options: &Options, table: &str) -> Result<String> {
    let name = options.pipeline.as_deref().unwrap_or(table);
    if is_identifier(name) && !name.starts_with('_') {
        return Ok(name.to_owned());
    }
    Err(Error::new(Kind::Invalid, "this is no name of a pipeline")
        .at("pipeline", name)
        .hint("use lower-case letters, digits and `_`, and begin with a letter"))
}

fn no_record(files: &[InputFile], totals: &Totals) -> Error {
    let error = match (files.is_empty(), totals.broken) {
        (true, _) => Error::new(Kind::Missing, "there is no file to look at")
            .hint("hidden files, names that begin with `_`, and *.tmp are left alone"),
        (false, 0) => Error::new(Kind::Data, "the files hold no record"),
        (false, broken) => Error::new(
            Kind::Data,
            format!("the files hold no record, but {broken} pieces that are none"),
        )
        .hint("a record is an object of JSON, or a row of CSV in a file called *.csv or *.tsv; a source that says format, encoding or delimiter in its pipeline is looked at as it says"),
    };
    totals.first_broken.iter().fold(error, |error, reason| error.at("first", reason))
}
