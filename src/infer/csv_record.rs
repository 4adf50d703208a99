//! Rows of CSV as records, whose fields are named by the first row.

use std::borrow::Cow;
use std::io::Read;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use crate::error::{Error, Kind, Result};
use crate::project::is_column_name;
use crate::source::{exact_double, is_whole_number};

use super::naming::plain_words;
use super::record::Record;

/// What stands between the fields of the file called `name`; None when it is none of CSV.
pub(super) fn delimiter_of(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Some(b','),
        Some("tsv" | "tab") => Some(b'\t'),
        _ => None,
    }
}

/// The rows of one file.
pub(super) struct CsvRecords {
    reader: Reader<Box<dyn Read + Send>>,
    /// None before the first row.
    names: Option<Vec<String>>,
}

impl CsvRecords {
    /// The rows of `content`.
    pub(super) fn new(content: Box<dyn Read + Send>, delimiter: u8) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(content);
        Self { reader, names: None }
    }

    /// The next row; `Some(None)` for one that is no text, None at the end.
    ///
    /// Errors: what the storage says; `Data` when the first row is no text.
    pub(super) fn next_row(&mut self) -> Result<Option<Option<Record<'static>>>> {
        if self.names.is_none() {
            let Some(header) = self.row()? else { return Ok(None) };
            let names = texts(&header).ok_or_else(|| {
                Error::new(Kind::Data, "the first row, which has to name the fields, is not UTF-8")
                    .hint("save the file as UTF-8")
            })?;
            self.names = Some(column_names(&names));
        }
        let Some(row) = self.row()? else { return Ok(None) };
        Ok(Some(texts(&row).map(|texts| self.record(&texts))))
    }

    fn row(&mut self) -> Result<Option<ByteRecord>> {
        let mut row = ByteRecord::new();
        match self.reader.read_byte_record(&mut row) {
            Ok(is_there) => Ok(is_there.then_some(row)),
            Err(e) => Err(match e.into_kind() {
                ErrorKind::Io(e) => Error::storage("cannot read a file of the source", e),
                other => Error::new(Kind::Data, format!("cannot read a row: {other:?}")),
            }),
        }
    }

    fn record(&self, texts: &[String]) -> Record<'static> {
        let names = self.names.iter().flatten();
        let fields = names.zip(texts).filter(|(name, text)| !name.is_empty() && !text.is_empty());
        let fields = fields.map(|(name, text)| (Cow::from(name.clone()), Cow::from(value(text))));
        Record {
            text: Cow::from(texts.join("\u{1f}")),
            fields: fields.collect(),
            is_of_texts: true,
        }
    }
}

fn texts(row: &ByteRecord) -> Option<Vec<String>> {
    row.iter().map(|field| std::str::from_utf8(field).ok().map(str::to_owned)).collect()
}

/// The columns that the fields called `names` go into; each once.
fn column_names(names: &[String]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for name in names {
        let plain = plain_words(name);
        let column = match is_column_name(name) || names.contains(&plain) {
            true => name.clone(),
            false => plain,
        };
        let is_new = !columns.contains(&column);
        columns.push(if is_new { column } else { String::new() });
    }
    columns
}

/// The value that `text` is by its form, as JSON. Digits behind a zero are no number but a code.
fn value(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let is_json = || serde_json::from_str::<serde_json::Number>(text).is_ok();
    let is_number = match is_whole_number(text) {
        true => text.parse::<i64>().is_ok(),
        false => exact_double(text).is_some() && is_json(),
    };
    match text {
        "true" | "false" => text.to_owned(),
        _ if is_number && !is_code => text.to_owned(),
        _ => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_they_look_like() {
        for (text, json) in [
            ("12", "12"),
            ("-1.5", "-1.5"),
            ("0.5", "0.5"),
            ("0", "0"),
            ("007", "\"007\""),
            ("1.", "\"1.\""),
            ("1e999", "\"1e999\""),
            ("99999999999999999999", "\"99999999999999999999\""),
            ("true", "true"),
            ("True", "\"True\""),
            ("a \"b\"", "\"a \\\"b\\\"\""),
        ] {
            assert_eq!(value(text), json);
        }
    }

    #[test]
    fn rows_are_named_by_the_first_one() {
        let text = "\u{feff}Page URL,n,,n\r\n\"a,b\",1,x,2\r\n,3\r\n";
        let mut records = CsvRecords::new(Box::new(std::io::Cursor::new(text)), b',');
        let mut rows = Vec::new();
        while let Some(record) = records.next_row().unwrap() {
            let fields = record.unwrap().fields;
            rows.push(fields.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>());
        }
        assert_eq!(rows, [vec!["page_url=\"a,b\"", "n=1"], vec!["n=3"]]);
        assert_eq!(delimiter_of("a/B.TSV.gz"), Some(b'\t'));
        assert_eq!(delimiter_of("a.csv.json"), None);
    }
}
