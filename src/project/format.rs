//! How the files of a source are written: as JSON, CSV or Parquet.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::name::did_you_mean;

use super::Mistake;
use super::raw::{At, RawFormat, RawHeader};
use super::record_path::RecordPath;

/// The names of encodings that are offered where one is not known.
const ENCODINGS: [&str; 8] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "latin1",
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "iso-8859-2",
];

/// How the files of a source are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// What they are; None when each says so by its name.
    pub kind: Option<FormatKind>,
    /// How those are written that are CSV or TSV.
    pub csv: CsvOptions,
    /// Where in each JSON value the records are; None when it is a record itself.
    pub records: Option<RecordPath>,
}

/// What a file of records is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatKind {
    /// JSON objects, in lines, in an array, or one after the other.
    Json,
    /// Fields with commas between them, or what `delimiter` says.
    Csv,
    /// The same with tabs between the fields.
    Tsv,
    /// Columns of rows.
    Parquet,
}

/// How CSV is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// What stands between two fields; None for a comma, or a tab in TSV.
    pub delimiter: Option<u8>,
    /// What stands around a field that holds delimiters or line breaks; None when nothing does.
    pub quote: Option<u8>,
    /// Where the names of the fields are.
    pub header: Header,
    /// The encoding of files that do not begin with a byte order mark.
    pub encoding: &'static Encoding,
}

/// Where the names of the fields of CSV are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// In the first row of each file.
    #[default]
    FirstRow,
    /// In the declaration of the table: the fields are its columns in their order.
    Declared,
    /// These are the names, and the first row is a record.
    Names(Vec<String>),
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: None, quote: Some(b'"'), header: Header::FirstRow, encoding: UTF_8 }
    }
}

impl FormatKind {
    /// All kinds as they are written.
    const NAMES: [(&'static str, Self); 4] =
        [("json", Self::Json), ("csv", Self::Csv), ("tsv", Self::Tsv), ("parquet", Self::Parquet)];
}

impl Format {
    /// What the file called `name` is. Whether it is compressed does not matter.
    pub fn of_file(&self, name: &str) -> FormatKind {
        if let Some(kind) = self.kind {
            return kind;
        }
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => FormatKind::Csv,
            Some("tsv" | "tab") => FormatKind::Tsv,
            Some("parquet") => FormatKind::Parquet,
            _ => FormatKind::Json,
        }
    }
}

/// What `raw` means, or all that is wrong with it.
pub(super) fn resolve(raw: &RawFormat) -> Result<Format, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let format = Format {
        kind: kind(raw, &mut mistakes),
        csv: csv(raw, &mut mistakes),
        records: raw.records.as_ref().and_then(|path| records(path, &mut mistakes)),
    };
    if format.kind.is_some_and(|kind| kind != FormatKind::Json)
        && let Some(path) = &raw.records
    {
        let message = "`records` is a path in JSON, and the files are none".to_owned();
        mistakes.push(mistake(path, message));
    }
    if matches!(format.kind, Some(FormatKind::Json | FormatKind::Parquet))
        && let Some((key, line, column)) = raw.csv_key()
    {
        let message = format!("`{key}` says how CSV is written, and the files are none");
        mistakes.push(Mistake::at(line, column, message).hint("write format = \"csv\""));
    }
    if mistakes.is_empty() { Ok(format) } else { Err(mistakes) }
}

fn kind(raw: &RawFormat, mistakes: &mut Vec<Mistake>) -> Option<FormatKind> {
    let text = raw.format.as_ref()?;
    let found = FormatKind::NAMES.iter().find(|(name, _)| *name == text.value);
    if found.is_none() {
        let names = FormatKind::NAMES.iter().map(|(name, _)| *name);
        let message = format!("`{}` is not a format that can be read", text.value);
        let hint = did_you_mean(&text.value, names);
        mistakes.push(Mistake { hint, ..mistake(text, message) });
    }
    found.map(|(_, kind)| *kind)
}

fn records(path: &At<String>, mistakes: &mut Vec<Mistake>) -> Option<RecordPath> {
    RecordPath::parse(&path.value).unwrap_or_else(|message| {
        mistakes.push(mistake(path, message).hint("write records = \"$.data.events[*]\""));
        None
    })
}

fn csv(raw: &RawFormat, mistakes: &mut Vec<Mistake>) -> CsvOptions {
    let mut csv = CsvOptions::default();
    if let Some(text) = &raw.delimiter {
        csv.delimiter = one_byte(text, "delimiter", mistakes);
    }
    if let Some(text) = &raw.quote {
        csv.quote = if text.value.is_empty() { None } else { one_byte(text, "quote", mistakes) };
        if csv.quote.is_some() && csv.quote == csv.delimiter {
            mistakes.push(mistake(text, "`quote` and `delimiter` are the same".to_owned()));
        }
    }
    if let Some(text) = &raw.encoding {
        match Encoding::for_label_no_replacement(text.value.as_bytes()).filter(is_readable) {
            Some(encoding) => csv.encoding = encoding,
            None => {
                let message = format!("`{}` is not an encoding that can be read", text.value);
                let hint = did_you_mean(&text.value.to_ascii_lowercase(), ENCODINGS);
                mistakes.push(Mistake { hint, ..mistake(text, message) });
            }
        }
    }
    match raw.header.as_ref().map(|header| &header.value) {
        None | Some(RawHeader::Has(true)) => {}
        Some(RawHeader::Has(false)) => csv.header = Header::Declared,
        Some(RawHeader::Names(names)) => csv.header = header(names, mistakes),
    }
    csv
}

/// A list of names, each of which stands there once.
fn header(names: &[At<String>], mistakes: &mut Vec<Mistake>) -> Header {
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other.value == name.value) {
            mistakes.push(mistake(name, format!("`{}` stands twice", name.value)));
        }
    }
    Header::Names(names.iter().map(|name| name.value.clone()).collect())
}

/// Rows are found by their bytes, so a byte must not be a part of several characters.
fn is_readable(encoding: &&'static Encoding) -> bool {
    [UTF_8, UTF_16LE, UTF_16BE].contains(encoding) || encoding.is_single_byte()
}

fn one_byte(text: &At<String>, key: &str, mistakes: &mut Vec<Mistake>) -> Option<u8> {
    match text.value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => {
            let message = format!("`{key}` is one ASCII character and no line break");
            mistakes.push(mistake(text, message));
            None
        }
    }
}

fn mistake<T>(place: &At<T>, message: String) -> Mistake {
    Mistake::at(place.line, place.column, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: &str) -> Option<At<String>> {
        Some(At { value: value.to_owned(), line: 3, column: 5 })
    }

    #[test]
    fn the_name_of_a_file_tells_its_format() {
        let format = Format::default();
        for (name, kind) in [
            ("a.json", FormatKind::Json),
            ("a.ndjson.gz", FormatKind::Json),
            ("csv", FormatKind::Json),
            ("day=1/a.csv", FormatKind::Csv),
            ("a.CSV.GZ", FormatKind::Csv),
            ("a.tsv.zst", FormatKind::Tsv),
            ("a.snappy.parquet", FormatKind::Parquet),
        ] {
            assert_eq!(format.of_file(name), kind, "{name}");
        }
        let said = Format { kind: Some(FormatKind::Csv), ..format };
        assert_eq!(said.of_file("a.log"), FormatKind::Csv);
    }

    #[test]
    fn options_are_read() {
        let raw = RawFormat {
            format: at("csv"),
            delimiter: at(";"),
            quote: at(""),
            encoding: at("latin1"),
            ..RawFormat::default()
        };
        let csv = resolve(&raw).unwrap().csv;
        assert_eq!((csv.delimiter, csv.quote), (Some(b';'), None));
        assert_eq!(csv.encoding, encoding_rs::WINDOWS_1252);
    }

    #[test]
    fn every_mistake_is_named() {
        for raw in [
            RawFormat { format: at("cvs"), ..RawFormat::default() },
            RawFormat { delimiter: at("||"), ..RawFormat::default() },
            RawFormat { delimiter: at("ü"), ..RawFormat::default() },
            RawFormat { delimiter: at("'"), quote: at("'"), ..RawFormat::default() },
            RawFormat { encoding: at("utf-7"), ..RawFormat::default() },
            RawFormat { encoding: at("shift_jis"), ..RawFormat::default() },
            RawFormat { format: at("json"), delimiter: at(";"), ..RawFormat::default() },
            RawFormat { format: at("csv"), records: at("$.a[*]"), ..RawFormat::default() },
            RawFormat { records: at("a[*]"), ..RawFormat::default() },
        ] {
            let mistakes = resolve(&raw).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{raw:?}: {mistakes:?}");
            assert_eq!((mistakes[0].line, mistakes[0].column), (3, 5), "{raw:?}");
        }
    }
}
