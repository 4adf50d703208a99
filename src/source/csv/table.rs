//! What the fields of rows are called and go into: a row becomes the JSON object that it means.
//!
//! The rest of the way is that of any record, with its rules about what does not fit. A field is a text,
//! so it is its column that tells what it means: a number where a number is wanted and there is one.
//! What is not of its column's type stays a text, and is rescued as one.

use std::borrow::Cow;

use arrow::datatypes::Schema;

use crate::source::around::{BYTE_ORDER_MARK, More};
use crate::source::exact::Note;
use crate::source::wanted::{Wants, add_text, column_of};

use super::encoding::TextEncoding;
use super::rows::{Dialect, Field};

/// How the rows of one file are read.
#[derive(Debug)]
pub struct CsvTable {
    dialect: Dialect,
    encoding: TextEncoding,
    /// The row that named the fields; None when no row did.
    header: Option<Vec<u8>>,
    /// None when the names cannot be read.
    fields: Option<Vec<Target>>,
}

/// What a field goes into.
#[derive(Debug)]
struct Target {
    /// The key in JSON, with the colon behind it.
    key: String,
    wants: Wants,
}

/// A row as a JSON object.
pub(in crate::source) struct Object {
    pub json: String,
    /// What of the row is not in it.
    pub notes: Vec<Note>,
}

impl CsvTable {
    /// The table of fields called `names`, which go into `columns`.
    pub(super) fn new(
        (dialect, encoding): (Dialect, TextEncoding),
        names: &[&str],
        columns: &Schema,
    ) -> Self {
        // A delimiter behind the last name names nothing.
        let count = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        let names = names.get(..count).unwrap_or(names);
        let fields = names.iter().map(|name| Target::new(name, names, columns)).collect();
        Self { dialect, encoding, header: None, fields: Some(fields) }
    }

    /// The table whose fields are named by the row `header`, if that is a text.
    pub(super) fn of_header(
        (dialect, encoding): (Dialect, TextEncoding),
        header: &[u8],
        columns: &Schema,
    ) -> Option<Self> {
        let row = encoding.decode(header).ok()?;
        let fields = Fields { dialect, row: &row, at: Some(0) };
        let names: Vec<_> = fields.map(|field| dialect.text(&row, &field)).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let table = Self::new((dialect, encoding), &names, columns);
        Some(Self { header: Some(header.to_vec()), ..table })
    }

    /// The table of a file whose fields have no names that can be read.
    pub(super) fn nameless((dialect, encoding): (Dialect, TextEncoding)) -> Self {
        Self { dialect, encoding, header: None, fields: None }
    }

    /// Whether the names of the fields are known.
    pub(super) fn has_names(&self) -> bool {
        self.fields.is_some()
    }

    /// The names of the fields.
    pub fn names(&self) -> Vec<String> {
        let fields = self.fields.iter().flatten();
        fields.filter_map(|field| serde_json::from_str(field.key.strip_suffix(':')?).ok()).collect()
    }

    /// The row `row` as the JSON object that it means; or why it is none.
    pub fn json(&self, row: &[u8]) -> Result<String, String> {
        self.read(row).map(|(object, _)| object.json)
    }

    /// The row `row` as an object, and its text; or why it is none.
    pub(in crate::source) fn read<'a>(
        &self,
        row: &'a [u8],
    ) -> Result<(Object, Cow<'a, str>), String> {
        let Some(fields) = &self.fields else {
            return Err("the first row, which has to name the fields, cannot be read".to_owned());
        };
        if fields.len() > 1 && self.is_header(row) {
            return Err("the row that names the fields once more".to_owned());
        }
        let text = self.encoding.decode(row)?;
        let object = self.object(&text, fields);
        Ok((object, text))
    }

    /// The bytes of the file that `row` stands for.
    pub(in crate::source) fn original(&self, row: &[u8]) -> Vec<u8> {
        self.encoding.original(row)
    }

    fn is_header(&self, row: &[u8]) -> bool {
        let header = self.header.as_deref();
        header.is_some_and(|header| row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(row) == header)
    }

    fn object(&self, row: &str, targets: &[Target]) -> Object {
        let (mut json, mut notes, mut count) = (String::from("{"), Vec::new(), 0);
        for field in (Fields { dialect: self.dialect, row, at: Some(0) }) {
            let is_null = field.range.is_empty() && !field.is_quoted;
            match targets.get(count) {
                _ if is_null => {}
                Some(target) => target.add(&mut json, &self.dialect.text(row, &field)),
                None => {
                    let mut value = String::new();
                    add_text(&mut value, &self.dialect.text(row, &field));
                    let reason = "behind the last field that has a name";
                    notes.push(Note { path: format!("[{count}]"), value, reason: reason.into() });
                }
            }
            count += 1;
        }
        json.push('}');
        if count < targets.len() {
            let reason = format!("{count} fields of {}", targets.len());
            notes.push(Note { path: String::new(), value: "null".into(), reason });
        }
        Object { json, notes }
    }
}

impl Dialect {
    /// What a field holds.
    fn text<'a>(self, row: &'a str, field: &Field) -> Cow<'a, str> {
        let text = row.get(field.range.clone()).unwrap_or_default();
        match self.quote.map(char::from) {
            Some(quote) if field.is_quoted && text.contains(quote) => {
                let quote = quote.to_string();
                Cow::Owned(text.replace(&quote.repeat(2), &quote))
            }
            _ => Cow::Borrowed(text),
        }
    }
}

/// The fields of a row.
struct Fields<'a> {
    dialect: Dialect,
    row: &'a str,
    /// Where the next one begins; None behind the last.
    at: Option<usize>,
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        let row = self.row.as_bytes();
        let field = self.dialect.field(row, self.at.take()?, More::Ended).ok()?;
        self.at = (row.get(field.end) == Some(&self.dialect.delimiter)).then_some(field.end + 1);
        Some(field)
    }
}

impl Target {
    /// What the field `name` of all `names` goes into. Without a column it is an unknown field.
    fn new(name: &str, names: &[&str], columns: &Schema) -> Self {
        let column = column_of(name, names, columns);
        let mut key = String::new();
        add_text(&mut key, column.map_or(name, |column| column.name().as_str()));
        key.push(':');
        Self { key, wants: column.map_or(Wants::Text, Wants::of) }
    }

    /// Adds the entry to the object that `json` begins.
    fn add(&self, json: &mut String, text: &str) {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&self.key);
        self.wants.add(text, json);
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field as Column};

    use super::*;
    use crate::project::JSON;

    const READ: (Dialect, TextEncoding) =
        (Dialect { delimiter: b',', quote: Some(b'"'), newline: b'\n' }, TextEncoding::Utf8);

    fn columns() -> Schema {
        let any = [(JSON.to_owned(), String::new())].into();
        Schema::new(vec![
            Column::new("name", DataType::Utf8, true),
            Column::new("n", DataType::Int64, true),
            Column::new("share", DataType::Float64, true),
            Column::new("page_url", DataType::Utf8, true),
            Column::new("is_new", DataType::Boolean, true),
            Column::new("extra", DataType::Utf8, true).with_metadata(any),
        ])
    }

    fn object(header: &str, row: &str) -> (String, Vec<String>) {
        let table = CsvTable::of_header(READ, header.as_bytes(), &columns()).unwrap();
        let (object, text) = table.read(row.as_bytes()).unwrap();
        assert_eq!(text, row);
        let note = |note: Note| format!("{} {} {}", note.path, note.value, note.reason);
        (object.json, object.notes.into_iter().map(note).collect())
    }

    #[test]
    fn a_field_means_what_its_column_wants() {
        for (name, field, value) in [
            ("name", "12", "\"12\""),
            ("name", "\"a \"\"b\"\"\nc\"", "\"a \\\"b\\\"\\nc\""),
            ("name", "\"\"", "\"\""),
            ("n", " -5", "-5"),
            ("n", "+5", "5"),
            ("n", "007", "7"),
            ("n", "5.0", "5.0"),
            ("n", "five", "\"five\""),
            ("n", "99999999999999999999", "99999999999999999999"),
            ("share", ".5", "0.5"),
            ("share", "1.E2", "100.0"),
            ("share", "nan", "\"nan\""),
            ("share", "+99999999999999999999", "\"+99999999999999999999\""),
            ("is_new", "YES", "true"),
            ("is_new", "0", "false"),
            ("is_new", "2", "\"2\""),
            ("extra", "\"{\"\"a\"\": [1]}\"", "{\"a\": [1]}"),
            ("extra", "plain", "\"plain\""),
            ("other", "5", "\"5\""),
        ] {
            let (json, notes) = object(name, field);
            assert_eq!(json, format!("{{\"{name}\":{value}}}"), "{name} {field}");
            assert!(notes.is_empty());
        }
    }

    #[test]
    fn rows_of_another_length_say_so() {
        let (json, notes) = object("name,n", "a,1,b,,c");
        assert_eq!(json, "{\"name\":\"a\",\"n\":1}");
        let behind = "behind the last field that has a name";
        assert_eq!(notes, [format!("[2] \"b\" {behind}"), format!("[4] \"c\" {behind}")]);
        let (json, notes) = object("name,n,share", "a,");
        assert_eq!(
            (json.as_str(), notes),
            ("{\"name\":\"a\"}", vec![" null 2 fields of 3".to_owned()])
        );
        assert_eq!(object("name,n,,", "a,1").1, Vec::<String>::new());
    }

    #[test]
    fn names_are_those_of_columns_in_snake_case_too() {
        assert_eq!(object("Page URL,N", "/x,1").0, "{\"page_url\":\"/x\",\"n\":1}");
        assert_eq!(
            object("Page URL,page_url", "/x,/y").0,
            "{\"Page URL\":\"/x\",\"page_url\":\"/y\"}"
        );
    }

    #[test]
    fn rows_that_are_none_say_why() {
        let table = CsvTable::of_header(READ, b"name,n", &columns()).unwrap();
        for row in ["name,n", "\u{feff}name,n"] {
            assert!(table.read(row.as_bytes()).err().unwrap().contains("once more"), "{row}");
        }
        assert!(table.read(b"\xff,1").err().unwrap().contains("not UTF-8"));
        assert!(CsvTable::of_header(READ, b"\xff,n", &columns()).is_none());
        let nameless = CsvTable::nameless(READ);
        assert!(nameless.read(b"a,1").err().unwrap().contains("cannot be read"));
    }
}
