//! `pipelines/*.toml` as written: every key with its place, unknown keys refused, no meaning yet.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Problem, shortened};
use crate::name::did_you_mean;

use super::load::TextFile;
use super::mistake::{LONGEST, line_and_column};

/// A value and the line that it stands in.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Default)]
pub(super) struct RawPipeline {
    pub description: Option<At<String>>,
    pub schedule: Option<At<String>>,
    /// Names, and the SQL literals that they stand for.
    pub parameters: Vec<(At<String>, String)>,
    pub sources: Vec<RawSource>,
    pub models: Vec<RawModel>,
}

#[derive(Debug)]
pub(super) struct RawSource {
    pub name: At<String>,
    /// One text, or several.
    pub paths: Vec<At<String>>,
    pub keep_raw: Option<At<String>>,
    pub format: RawFormat,
    pub thresholds: RawThresholds,
}

/// What is said about how the files of a source are written.
#[derive(Debug, Default)]
pub(super) struct RawFormat {
    pub format: Option<At<String>>,
    pub delimiter: Option<At<String>>,
    pub quote: Option<At<String>>,
    pub encoding: Option<At<String>>,
    pub header: Option<At<RawHeader>>,
    pub records: Option<At<String>>,
}

#[derive(Debug)]
pub(super) enum RawHeader {
    Has(bool),
    Names(Vec<At<String>>),
}

impl RawFormat {
    /// A key that is about CSV alone, and where it stands.
    pub(super) fn csv_key(&self) -> Option<(&'static str, usize, usize)> {
        let header = self.header.as_ref().map(|header| ("header", header.line, header.column));
        let texts =
            [("delimiter", &self.delimiter), ("quote", &self.quote), ("encoding", &self.encoding)];
        let place = |(key, text): (&'static str, &Option<At<String>>)| {
            text.as_ref().map(|text| (key, text.line, text.column))
        };
        texts.into_iter().find_map(place).or(header)
    }
}

#[derive(Debug)]
pub(super) struct RawModel {
    pub name: At<String>,
    pub strategy: Option<At<String>>,
    pub by: Vec<At<String>>,
    pub partition_by: Vec<At<String>>,
    pub expectations: Vec<RawExpectation>,
    pub thresholds: RawThresholds,
}

/// Numbers and texts that say how much may go wrong, as they were written.
#[derive(Debug, Default)]
pub(super) struct RawThresholds {
    pub max_quarantined: Option<At<String>>,
    pub at_least: Option<At<String>>,
    pub freshness: Option<At<String>>,
}

#[derive(Debug)]
pub(super) struct RawExpectation {
    pub name: At<String>,
    pub check: Option<At<String>>,
    pub otherwise: Option<At<String>>,
}

/// Reads one pipeline file, unless it is no TOML; what is wrong with it is added to `problems`.
pub(super) fn read(file: &TextFile, problems: &mut Vec<Problem>) -> Option<RawPipeline> {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    let mut reader = Reader { file, problems };
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        let message = shortened(error.message(), LONGEST);
        reader.problem(&at, format!("this is not TOML: {message}"), None);
    }
    if !errors.is_empty() {
        return None;
    }
    Some(reader.pipeline(&table))
}

struct Reader<'a> {
    file: &'a TextFile,
    problems: &'a mut Vec<Problem>,
}

type Table<'a> = Spanned<DeTable<'a>>;

impl Reader<'_> {
    fn pipeline(&mut self, table: &Table<'_>) -> RawPipeline {
        self.only(table.get_ref(), &["description", "schedule", "parameters", "source", "model"]);
        let mut raw = RawPipeline {
            description: self.text(table.get_ref(), "description"),
            schedule: self.text(table.get_ref(), "schedule"),
            parameters: self.parameters(table.get_ref()),
            ..RawPipeline::default()
        };
        for (name, source) in self.tables(table.get_ref(), "source") {
            raw.sources.push(self.source(name, source));
        }
        for (name, model) in self.tables(table.get_ref(), "model") {
            raw.models.push(self.model(name, model));
        }
        raw
    }

    fn parameters(&mut self, table: &DeTable<'_>) -> Vec<(At<String>, String)> {
        let Some(value) = table.get("parameters") else { return Vec::new() };
        let Some(inner) = value.get_ref().as_table() else {
            let hint = Some("write [parameters]".to_owned());
            self.problem(&value.span(), "`parameters` is a table".to_owned(), hint);
            return Vec::new();
        };
        let mut parameters = Vec::new();
        for (name, value) in inner {
            let literal = match value.get_ref() {
                DeValue::String(text) => Some(format!("'{}'", text.replace('\'', "''"))),
                DeValue::Integer(number) => {
                    i64::from_str_radix(number.as_str(), number.radix()).map(|n| n.to_string()).ok()
                }
                DeValue::Float(number) => {
                    let number = number.as_str().parse::<f64>().ok().filter(|n| n.is_finite());
                    number.map(|number| format!("{number:?}"))
                }
                DeValue::Boolean(flag) => Some(flag.to_string()),
                _ => None,
            };
            let literal = match literal {
                Some(literal) => literal,
                None => {
                    let kind = value.get_ref().type_str();
                    let message =
                        format!("`{}` is a text, a number or a flag, not {kind}", name.get_ref());
                    self.problem(&value.span(), message, None);
                    continue;
                }
            };
            parameters.push((self.place(&name.span(), name.get_ref().to_string()), literal));
        }
        parameters
    }

    fn source(&mut self, name: At<String>, table: &DeTable<'_>) -> RawSource {
        self.only(table, &["files", "max-quarantined", "min-records", "freshness"]);
        let thresholds = RawThresholds {
            max_quarantined: self.text_or_number(table, "max-quarantined"),
            at_least: self.text_or_number(table, "min-records"),
            freshness: self.text(table, "freshness"),
        };
        let format = RawFormat::default();
        let mut source = RawSource { name, paths: Vec::new(), keep_raw: None, format, thresholds };
        for (key, value) in table {
            let (true, Some(files)) = (key.get_ref() == "files", value.get_ref().as_table()) else {
                continue;
            };
            self.only(
                files,
                &[
                    "path",
                    "keep-raw",
                    "format",
                    "delimiter",
                    "quote",
                    "encoding",
                    "header",
                    "records",
                ],
            );
            source.paths = self.text_or_texts(files, "path");
            source.keep_raw = self.text(files, "keep-raw");
            source.format = self.format(files);
        }
        source
    }

    fn format(&mut self, files: &DeTable<'_>) -> RawFormat {
        RawFormat {
            format: self.text(files, "format"),
            delimiter: self.text(files, "delimiter"),
            quote: self.text(files, "quote"),
            encoding: self.text(files, "encoding"),
            header: self.header(files),
            records: self.text(files, "records"),
        }
    }

    fn header(&mut self, files: &DeTable<'_>) -> Option<At<RawHeader>> {
        let value = files.get("header")?;
        let header = match value.get_ref() {
            DeValue::Boolean(has_header) => RawHeader::Has(*has_header),
            DeValue::Array(_) => RawHeader::Names(self.texts(files, "header")),
            other => {
                let message =
                    format!("`header` is true, false or a list, not {}", other.type_str());
                let hint = Some("write header = [\"…\"] for files without one".to_owned());
                self.problem(&value.span(), message, hint);
                return None;
            }
        };
        Some(self.place(&value.span(), header))
    }

    fn model(&mut self, name: At<String>, table: &DeTable<'_>) -> RawModel {
        let known = ["strategy", "by", "partition-by", "expect", "max-quarantined", "min-rows"];
        self.only(table, &known);
        RawModel {
            name,
            thresholds: RawThresholds {
                max_quarantined: self.text_or_number(table, "max-quarantined"),
                at_least: self.text_or_number(table, "min-rows"),
                freshness: None,
            },
            strategy: self.text(table, "strategy"),
            by: self.texts(table, "by"),
            partition_by: self.texts(table, "partition-by"),
            expectations: self
                .tables(table, "expect")
                .into_iter()
                .map(|(name, expectation)| self.expectation(name, expectation))
                .collect(),
        }
    }

    fn expectation(&mut self, name: At<String>, table: &DeTable<'_>) -> RawExpectation {
        self.only(table, &["check", "otherwise"]);
        RawExpectation {
            name,
            check: self.text(table, "check"),
            otherwise: self.text(table, "otherwise"),
        }
    }

    /// Refuses every key of `table` that is not one of `known`.
    fn only(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = did_you_mean(name, known.iter().copied());
                self.problem(&key.span(), format!("unknown key `{name}`"), hint);
            }
        }
    }

    fn text(&mut self, table: &DeTable<'_>, key: &str) -> Option<At<String>> {
        let value = table.get(key)?;
        let text = self.as_text(key, value)?;
        Some(self.place(&value.span(), text))
    }

    fn text_or_number(&mut self, table: &DeTable<'_>, key: &str) -> Option<At<String>> {
        let value = table.get(key)?;
        let Some(number) = value.get_ref().as_integer() else { return self.text(table, key) };
        let number = match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.as_str().to_owned(),
        };
        Some(self.place(&value.span(), number))
    }

    fn texts(&mut self, table: &DeTable<'_>, key: &str) -> Vec<At<String>> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            let message = format!("`{key}` is a list of names, not {}", value.get_ref().type_str());
            self.problem(&value.span(), message, Some(format!("write {key} = [\"…\"]")));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            if let Some(text) = self.as_text(key, item) {
                texts.push(self.place(&item.span(), text));
            }
        }
        texts
    }

    fn text_or_texts(&mut self, table: &DeTable<'_>, key: &str) -> Vec<At<String>> {
        match table.get(key) {
            Some(value) if value.get_ref().as_array().is_some() => self.texts(table, key),
            _ => self.text(table, key).into_iter().collect(),
        }
    }

    fn as_text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            let message = format!("`{key}` is a text, not {}", value.get_ref().type_str());
            self.problem(&value.span(), message, None);
        }
        text
    }

    /// The tables below `key`, with their names.
    fn tables<'t>(
        &mut self,
        table: &'t DeTable<'_>,
        key: &str,
    ) -> Vec<(At<String>, &'t DeTable<'t>)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(inner) = value.get_ref().as_table() else {
            self.problem(
                &value.span(),
                format!("`{key}` is a table"),
                Some(format!("write [{key}.NAME]")),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in inner {
            match value.get_ref().as_table() {
                Some(table) => {
                    found.push((self.place(&name.span(), name.get_ref().to_string()), table))
                }
                None => {
                    let message = format!("`{key}.{}` is a table", name.get_ref());
                    self.problem(&value.span(), message, None);
                }
            }
        }
        found
    }

    fn place<T>(&self, span: &Range<usize>, value: T) -> At<T> {
        let (line, column) = line_and_column(&self.file.text, span.start);
        At { value, line, column }
    }

    fn problem(&mut self, span: &Range<usize>, message: String, hint: Option<String>) {
        let At { line, column, .. } = self.place(span, ());
        let file = self.file.path.clone();
        self.problems.push(Problem { file, line, column, message, hint });
    }
}
