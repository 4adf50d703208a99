//! `sql/bronze/*.sql`: one CREATE TABLE each, whose columns are what Bronze types a record by.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, ColumnDef, DataType as SqlType, Statement, StructField,
};

use crate::error::Problem;
use crate::name::is_identifier;

use super::Mistake;
use super::model::{leading_comment, parse};

/// Marks the field of a column that holds JSON values as they stand.
pub const JSON: &str = "clickwatch.json";

/// The columns that are in each Bronze table besides its own, and those under which readers of Delta
/// show what changed.
const RESERVED: [&str; 9] = [
    "_source",
    "_position",
    "_batch",
    "_ingested_at",
    "_rescued",
    "_raw",
    "_change_type",
    "_commit_version",
    "_commit_timestamp",
];

/// What a Bronze file declares.
#[derive(Debug)]
pub(super) struct Declaration {
    pub description: String,
    pub columns: SchemaRef,
}

/// Reads the CREATE TABLE of the table called `name`.
///
/// The types are those that JSON can hold: TEXT, BIGINT, DOUBLE, BOOLEAN, and ARRAY and STRUCT of
/// them; and JSON, which takes any value as it stands. Everything else, text in particular that means
/// a time, is for Silver to read.
pub(super) fn read(name: &str, text: &str) -> Result<Declaration, Vec<Mistake>> {
    let statements = parse(text)?;
    let [Statement::CreateTable(create)] = statements.as_slice() else {
        return Err(vec![Mistake::of_file(
            "a Bronze file holds one CREATE TABLE and nothing else",
        )]);
    };
    let mut mistakes = Vec::new();
    let declared = create.name.to_string();
    if declared != name && declared != format!("bronze.{name}") {
        mistakes.push(
            Mistake::of_file(format!("the file is called `{name}` but declares `{declared}`"))
                .hint(format!("write CREATE TABLE {name}")),
        );
    }
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for column in &create.columns {
        match column_field(column) {
            Ok(field)
                if fields.iter().any(|other| other.name().eq_ignore_ascii_case(field.name())) =>
            {
                mistakes.push(mistake_at(
                    column,
                    format!("column `{}` is declared twice", field.name()),
                ));
            }
            Ok(field) => fields.push(Arc::new(field)),
            Err(message) => mistakes.push(mistake_at(column, message)),
        }
    }
    if fields.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake::of_file("the table has no columns"));
    }
    if mistakes.is_empty() {
        Ok(Declaration {
            description: leading_comment(text),
            columns: Arc::new(Schema::new(fields)),
        })
    } else {
        Err(mistakes)
    }
}

/// The columns that `text`, the CREATE TABLE in `file` of the Bronze table called `name`, declares.
///
/// Errors: every mistake in it.
pub fn declared_columns(name: &str, file: &str, text: &str) -> Result<SchemaRef, Vec<Problem>> {
    let declaration = read(name, text);
    declaration
        .map(|declaration| declaration.columns)
        .map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.in_file(file)).collect())
}

/// Whether a column of Bronze can be called `name`, in quotes where it has letters of both cases.
pub fn is_column_name(name: &str) -> bool {
    !is_reserved(name) && is_identifier(&name.to_lowercase())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name.to_lowercase().as_str())
}

fn column_field(column: &ColumnDef) -> Result<Field, String> {
    let name = &column.name.value;
    if is_reserved(name) {
        let rescued = "a field of records that is called so goes to `_rescued`";
        return Err(format!("`{name}` is clickwatch's own column or Delta's: {rescued}"));
    }
    let is_quoted = column.name.quote_style.is_some();
    if !(is_identifier(name) || is_quoted && is_identifier(&name.to_lowercase())) {
        let hint = "use lower-case letters, digits and `_`, or put letters of both cases in quotes";
        return Err(format!("`{name}`: {hint}"));
    }
    if let Some(option) = column.options.first() {
        return Err(format!("`{name}`: Bronze takes what comes, so `{option}` has no place here"));
    }
    field(name, &column.data_type)
}

/// A field of a declared type. JSON is a text to everybody but the decoder.
fn field(name: &str, declared: &SqlType) -> Result<Field, String> {
    let field = Field::new(name, arrow_type(declared)?, true);
    let is_json = *declared == SqlType::JSON;
    Ok(if is_json { field.with_metadata([(JSON.to_owned(), String::new())].into()) } else { field })
}

fn arrow_type(declared: &SqlType) -> Result<DataType, String> {
    Ok(match declared {
        SqlType::Text | SqlType::Varchar(_) | SqlType::String(_) | SqlType::JSON => DataType::Utf8,
        SqlType::BigInt(_) | SqlType::Int64 => DataType::Int64,
        SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float64 => DataType::Float64,
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::Array(
            ArrayElemTypeDef::AngleBracket(item)
            | ArrayElemTypeDef::SquareBracket(item, _)
            | ArrayElemTypeDef::Parenthesis(item),
        ) => DataType::List(Arc::new(field_of_item(item)?)),
        SqlType::Struct(fields, _) => {
            let fields = fields.iter().map(struct_field).collect::<Result<Fields, _>>()?;
            let twice = |(index, field): (usize, &Arc<Field>)| {
                fields.iter().take(index).any(|other| other.name() == field.name())
            };
            if fields.iter().enumerate().any(twice) {
                return Err(format!("type {declared} has two fields of the same name"));
            }
            DataType::Struct(fields)
        }
        other => {
            return Err(format!(
                "type {other} is not one that JSON has: use TEXT, BIGINT, DOUBLE, BOOLEAN, ARRAY<…>, STRUCT<…>, or JSON for anything"
            ));
        }
    })
}

fn field_of_item(declared: &SqlType) -> Result<Field, String> {
    field("element", declared)
}

fn struct_field(field: &StructField) -> Result<Field, String> {
    let name = field.field_name.as_ref().ok_or("every field of a STRUCT needs a name")?;
    self::field(&name.value, &field.field_type)
}

fn mistake_at(column: &ColumnDef, message: String) -> Mistake {
    let start = column.name.span.start;
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    Mistake::at(number(start.line), number(start.column), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_types_are_read() {
        let text = "-- Sessions\n-- as delivered\nCREATE TABLE t (a TEXT, n BIGINT, \
                    e ARRAY<STRUCT<x TEXT, y DOUBLE>>, \"pageUrl\" JSON)";
        let declaration = read("t", text).unwrap();
        assert_eq!(declaration.description, "Sessions as delivered");
        let DataType::List(item) = declaration.columns.field(2).data_type() else { panic!() };
        assert!(matches!(item.data_type(), DataType::Struct(fields) if fields.len() == 2));
        let json = declaration.columns.field(3);
        assert!(json.name() == "pageUrl" && json.metadata().contains_key(JSON));
    }

    #[test]
    fn types_that_nest_too_deep_are_refused_with_their_line() {
        let text =
            format!("CREATE TABLE t (\n  a {}TEXT{}\n)", "ARRAY<".repeat(200), ">".repeat(200));
        let mistakes = read("t", &text).unwrap_err();
        assert_eq!(mistakes[0].line, 2);
        assert!(mistakes[0].message.contains("nests deeper"), "{}", mistakes[0].message);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "CREATE TABLE t (\n  a TIMESTAMP,\n  _raw TEXT,\n  c BIGINT NOT NULL,\n  dE TEXT,\n  \
                    f TEXT,\n  \"F\" TEXT\n)";
        let mistakes = read("t", text).unwrap_err();
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7]);
    }
}
