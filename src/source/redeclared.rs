//! Rows of a Bronze table whose declaration was changed, as rows of the new one.
//!
//! A row becomes what the new declaration makes of its record: columns that came are filled from what
//! had been rescued, what no column takes any more is rescued, and a value of another type is in its
//! column or rescued. The record is the row's exact text, where that was kept, and else what the row
//! says (see `rebuilt`). Columns whose declaration stands are copied.
//!
//! Values of CSV are texts, and a column takes what it wants of one. Here it takes only what tells the
//! text again, so that no way through other types loses a letter: `007` is no 7, and is rescued.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray, StringBuilder, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Kind, Result};
use crate::project::{Format, FormatKind, JSON};

use super::bronze::bronze_schema;
use super::column::{StructColumn, plain};
use super::exact;
use super::rebuilt::{Part, Rescued, below};
use super::wanted::Wants;

/// How the declaration of a table was changed.
#[derive(Clone, Debug)]
pub struct Redeclaration {
    /// The columns of today, as they are declared.
    columns: SchemaRef,
    /// The table of today.
    schema: SchemaRef,
    /// Columns of today that came or have another type, with it.
    computed: BTreeMap<String, String>,
    /// Former columns that went or had another type, with it.
    former: BTreeMap<String, String>,
    /// Where in these a text is JSON.
    json: BTreeSet<String>,
    /// How the files are written that the rows are of.
    format: Format,
}

/// The places in `columns` that hold JSON as it stands; so a table remembers what its types do not say.
pub fn json_places(columns: &Schema) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    columns.fields().iter().for_each(|field| add_json(field, field.name().clone(), &mut places));
    places
}

fn add_json(field: &Field, path: String, places: &mut BTreeSet<String>) {
    match field.data_type() {
        DataType::Struct(fields) => {
            fields.iter().for_each(|one| add_json(one, below(&path, one.name()), places));
        }
        DataType::List(item) => add_json(item, format!("{path}[]"), places),
        _ if field.metadata().contains_key(JSON) => {
            places.insert(path);
        }
        _ => {}
    }
}

impl Redeclaration {
    /// How the table of `before` has to change to be that of `columns`, if it has to. `json` are the
    /// places in which it holds JSON; None when it does not say.
    pub fn of(
        before: &Schema,
        json: Option<&BTreeSet<String>>,
        columns: &SchemaRef,
    ) -> Option<Self> {
        let (schema, places) = (bronze_schema(columns), json_places(columns));
        let (mut computed, mut former) = (BTreeMap::new(), BTreeMap::new());
        let json = json.unwrap_or(&places);
        for field in columns.fields() {
            let old = before.field_with_name(field.name()).ok();
            let stands = old.is_some_and(|old| old.data_type() == plain(field).data_type())
                && of_column(field.name(), json).eq(of_column(field.name(), &places));
            if !stands {
                computed.insert(field.name().clone(), type_name(field, field.name(), &places));
            }
        }
        for field in before.fields() {
            let goes = schema.field_with_name(field.name()).is_err();
            if goes || computed.contains_key(field.name()) {
                former.insert(field.name().clone(), type_name(field, field.name(), json));
            }
        }
        let is_changed = !(computed.is_empty() && former.is_empty());
        let (columns, json) = (Arc::clone(columns), json.clone());
        let format = Format::default();
        is_changed.then_some(Self { columns, schema, computed, former, json, format })
    }

    /// The same for rows of files that are written as `format`.
    pub fn of_files(self, format: &Format) -> Self {
        Self { format: format.clone(), ..self }
    }

    /// What the columns that are computed want of a text; not those of several values.
    fn wanted(&self) -> BTreeMap<&str, Wants> {
        let fields = self.columns.fields().iter().filter(|field| {
            self.computed.contains_key(field.name()) && !field.data_type().is_nested()
        });
        fields.map(|field| (field.name().as_str(), Wants::of(field))).collect()
    }

    /// Whether the values of the file called `name` are texts, of which the column tells what they are.
    fn is_of_texts(&self, name: &str) -> bool {
        matches!(self.format.of_file(name), FormatKind::Csv | FormatKind::Tsv)
    }

    /// The columns that came, if nothing else was changed: then all rows stand in which nothing of
    /// such a name was rescued.
    pub fn only_added(&self) -> Option<Vec<&str>> {
        self.former.is_empty().then(|| self.computed.keys().map(String::as_str).collect())
    }

    /// The rows of today for former `rows`.
    pub fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut decoded = StructColumn::new(self.columns.fields())?;
        let (rescued, raw) = (texts(rows, "_rescued")?, texts(rows, "_raw")?);
        let (files, wanted, none) = (texts(rows, "_source")?, self.wanted(), BTreeMap::new());
        let given: Vec<(&str, &ArrayRef)> = self
            .former
            .keys()
            .filter_map(|name| Some((name.as_str(), rows.column_by_name(name)?)))
            .collect();
        let mut now = StringBuilder::new();
        for row in 0..rows.num_rows() {
            let (kept, rescued) = (text_in(&raw, row), text_in(&rescued, row));
            let is_of_texts = text_in(&files, row).is_some_and(|name| self.is_of_texts(name));
            // The text of a record of an envelope does not say what is around it.
            let kept = kept.filter(|_| !is_of_texts && self.format.records.is_none());
            match kept.and_then(|text| exact::parse(text.as_bytes()).ok()) {
                Some(record) => now.append_option(exact::append(&mut decoded, &record, Vec::new())),
                None => {
                    let parts = given.iter().filter_map(|(name, column)| {
                        Some(((*name).to_owned(), Part::of(column, row, name, &self.json)?))
                    });
                    let record = (Part::Object(parts.collect()), rescued);
                    let wanted = if is_of_texts { &wanted } else { &none };
                    now.append_option(again(&mut decoded, record, wanted)?);
                }
            }
        }
        let decoded = decoded.finish()?;
        let columns = self.schema.fields().iter().map(|field| {
            let column = match field.name() {
                name if name == "_rescued" => return Arc::new(now.finish()) as ArrayRef,
                name if self.computed.contains_key(name) => decoded.column_by_name(name),
                name => rows.column_by_name(name),
            };
            let none = || new_null_array(field.data_type(), rows.num_rows());
            column.map_or_else(none, Arc::clone)
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect()).map_err(|e| {
            Error::new(Kind::Bug, "cannot arrange rows by another declaration").because(e)
        })
    }
}

/// Appends the record that a row says, of whose columns `record` is and what was `rescued`; `wanted` is
/// what columns want of values that are texts. Gives what is rescued now.
fn again(
    row: &mut StructColumn,
    (mut record, rescued): (Part, Option<&str>),
    wanted: &BTreeMap<&str, Wants>,
) -> Result<Option<String>> {
    let mut carried = Vec::new();
    match rescued.map(serde_json::from_str::<Vec<Rescued<'_>>>) {
        None => {}
        Some(Ok(entries)) => {
            let others = entries.iter().filter(|entry| !record.put(entry));
            carried.extend(others.map(Rescued::as_json));
        }
        // Another program wrote it, and it is kept as it is.
        Some(Err(_)) => {
            let text = serde_json::Value::from(rescued);
            carried.push(format!("{{\"path\":\"\",\"value\":{text},\"reason\":\"kept\"}}"));
        }
    }
    record.take_as_texts(wanted);
    let mut text = String::new();
    record.write(&mut text);
    let record = exact::parse(text.as_bytes())
        .map_err(|e| Error::new(Kind::Bug, "a row says no record").at("reason", e))?;
    if let Some(now) = exact::append_keeping_all(row, &record) {
        let entries = now.strip_prefix('[').and_then(|now| now.strip_suffix(']'));
        carried.insert(0, entries.unwrap_or_default().to_owned());
    }
    Ok((!carried.is_empty()).then(|| format!("[{}]", carried.join(","))))
}

/// The texts of a system column; none where another program left it out.
fn texts(rows: &RecordBatch, name: &str) -> Result<StringArray> {
    let Some(column) = rows.column_by_name(name) else {
        return Ok(StringArray::new_null(rows.num_rows()));
    };
    let texts = cast(column, &DataType::Utf8).ok();
    let texts = texts.and_then(|texts| texts.as_string_opt::<i32>().cloned());
    texts.ok_or_else(|| Error::new(Kind::Data, "this is no column of texts").at("column", name))
}

fn text_in(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// Those of `places` that are in the column `name`.
fn of_column<'a>(
    name: &'a str,
    places: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a String> + 'a {
    places.iter().filter(move |place| {
        let rest = place.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// The type of `field` as it is declared.
fn type_name(field: &Field, path: &str, json: &BTreeSet<String>) -> String {
    match field.data_type() {
        DataType::Utf8 if json.contains(path) => "JSON".to_owned(),
        DataType::Utf8 => "TEXT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::List(item) => format!("ARRAY<{}>", type_name(item, &format!("{path}[]"), json)),
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| {
                let name = field.name();
                format!("{name} {}", type_name(field, &below(path, name), json))
            };
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

impl Display for Redeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (name, now) in &self.computed {
            parts.push(match self.former.get(name) {
                Some(before) => format!("{name} was {before} and is {now}"),
                None => format!("{name} {now} came"),
            });
        }
        for (name, before) in &self.former {
            if !self.computed.contains_key(name) {
                parts.push(format!("{name} {before} went"));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array};

    use super::*;
    use crate::project::{PathStep, RecordPath};

    fn declared(fields: &[(&str, DataType)]) -> SchemaRef {
        let fields =
            fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn table(columns: &SchemaRef, values: Vec<ArrayRef>, rescued: Option<&str>) -> RecordBatch {
        let schema = bronze_schema(columns);
        let mut arrays = values;
        for field in schema.fields().iter().skip(arrays.len()) {
            arrays.push(match field.name().as_str() {
                "_rescued" => Arc::new(StringArray::from(vec![rescued])),
                _ => new_null_array(field.data_type(), 1),
            });
        }
        RecordBatch::try_new(schema, arrays).unwrap()
    }

    fn redeclared(rows: &RecordBatch, columns: &SchemaRef) -> RecordBatch {
        let none = BTreeSet::new();
        let change = Redeclaration::of(&rows.schema(), Some(&none), columns).unwrap();
        change.rows(rows).unwrap()
    }

    #[test]
    fn a_type_forth_and_back_gives_the_same_row() {
        let number = declared(&[("n", DataType::Int64), ("other", DataType::Int64)]);
        let text = declared(&[("other", DataType::Int64), ("n", DataType::Utf8)]);
        let values: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![i64::MAX])), Arc::new(Int64Array::from(vec![2]))];
        let before = table(&number, values, None);
        let forth = redeclared(&before, &text);
        assert_eq!(forth.column_by_name("n").unwrap().null_count(), 1);
        let rescued = texts(&forth, "_rescued").unwrap().value(0).to_owned();
        let wanted =
            r#"[{"path":"n","value":9223372036854775807,"reason":"expected TEXT, found integer"}]"#;
        assert_eq!(rescued, wanted);
        assert_eq!(redeclared(&forth, &number), before);
    }

    #[test]
    fn a_column_that_goes_is_rescued_and_comes_back() {
        let both = declared(&[("a", DataType::Utf8), ("x", DataType::Float64)]);
        let one = declared(&[("a", DataType::Utf8)]);
        let values: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["t"])), Arc::new(Float64Array::from(vec![0.25]))];
        let kept = r#"[{"path":"gone[7].x","value":1,"reason":"unknown field"}]"#;
        let before = table(&both, values, Some(kept));
        let after = redeclared(&before, &one);
        let rescued = texts(&after, "_rescued").unwrap().value(0).to_owned();
        assert!(rescued.contains(r#"{"path":"x","value":0.25,"reason":"unknown field"}"#));
        assert!(rescued.contains("gone[7].x"), "{rescued}");
        assert_eq!(redeclared(&after, &both), before);
        assert!(Redeclaration::of(&before.schema(), None, &both).is_none());
    }

    #[test]
    fn what_is_around_a_record_stays_though_its_text_was_kept() {
        let before = declared(&[("a", DataType::Utf8)]);
        let now = declared(&[("a", DataType::Utf8), ("b", DataType::Int64)]);
        let kept = r#"[{"path":"_envelope","value":{"v":1},"reason":"around the records"}]"#;
        let values: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["t"]))];
        let rows = table(&before, values, Some(kept));
        let mut columns = rows.columns().to_vec();
        let place = rows.schema().index_of("_raw").unwrap();
        columns[place] = Arc::new(StringArray::from(vec![r#"{"a":"t"}"#]));
        let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
        let records = RecordPath { steps: vec![PathStep::Name("events".to_owned())] };
        let format = Format { records: Some(records), ..Format::default() };
        let change = Redeclaration::of(&rows.schema(), None, &now).unwrap().of_files(&format);
        let after = change.rows(&rows).unwrap();
        let rescued = texts(&after, "_rescued").unwrap().value(0).to_owned();
        assert!(rescued.contains(r#"{"path":"_envelope","value":{"v":1}"#), "{rescued}");
    }

    /// The same rows, of a file of CSV.
    fn of_csv(rows: &RecordBatch) -> RecordBatch {
        let mut columns = rows.columns().to_vec();
        let place = rows.schema().index_of("_source").unwrap();
        columns[place] = Arc::new(StringArray::from(vec!["a.csv"]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    }

    #[test]
    fn a_column_takes_a_text_of_csv_that_it_tells_again() {
        let text = declared(&[("n", DataType::Utf8)]);
        for (data_type, value, is_taken) in [
            (DataType::Int64, "12", true),
            (DataType::Int64, "-5", true),
            (DataType::Int64, "007", false),
            (DataType::Int64, "1.5", false),
            (DataType::Int64, "x", false),
            (DataType::Float64, "1.5", true),
            (DataType::Float64, "12", true),
            (DataType::Float64, "1.50", false),
            (DataType::Boolean, "true", true),
            (DataType::Boolean, "yes", false),
        ] {
            let values: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![value]))];
            let before = of_csv(&table(&text, values, None));
            let other = declared(&[("n", data_type)]);
            let forth = redeclared(&before, &other);
            assert_eq!(forth.column_by_name("n").unwrap().is_valid(0), is_taken, "{value}");
            assert_eq!(forth.column_by_name("_rescued").unwrap().is_null(0), is_taken, "{value}");
            assert_eq!(redeclared(&forth, &text), before, "{value}");
        }
    }

    #[test]
    fn numbers_of_csv_are_texts_where_a_text_is_wanted() {
        let number = declared(&[("n", DataType::Float64), ("m", DataType::Int64)]);
        let text = declared(&[("n", DataType::Utf8), ("m", DataType::Utf8)]);
        let values: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![0.25])),
            Arc::new(Int64Array::from(vec![None::<i64>])),
        ];
        let kept = r#"[{"path":"m","value":"x","reason":"expected BIGINT, found string"}]"#;
        let before = of_csv(&table(&number, values, Some(kept)));
        let forth = redeclared(&before, &text);
        assert_eq!(texts(&forth, "n").unwrap().value(0), "0.25");
        assert_eq!(texts(&forth, "m").unwrap().value(0), "x");
        assert!(forth.column_by_name("_rescued").unwrap().is_null(0));
        assert_eq!(redeclared(&forth, &number), before);
    }
}
