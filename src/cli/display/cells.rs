//! Rows as texts: each value on one line, with nothing in it that a terminal would act on.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{shown, shown_lines};

/// Rows as texts.
#[derive(Debug)]
pub(in crate::cli) struct Cells {
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
    is_plan: bool,
}

/// A column of a table.
#[derive(Debug)]
pub(in crate::cli) struct Column {
    /// Its name, as it can be shown.
    pub(in crate::cli) name: String,
    /// Whether it holds numbers, which stand to the right and are never cut.
    pub(in crate::cli) is_number: bool,
}

impl Cells {
    /// No rows yet. Only a plan, as EXPLAIN gives it, is laid out in lines that are worth keeping.
    pub(in crate::cli) fn new(schema: &Schema) -> Self {
        let is_plan = schema.fields().iter().map(|field| field.name()).eq(["plan_type", "plan"]);
        let columns = schema.fields().iter().map(|field| Column {
            name: shown(field.name()).into_owned(),
            is_number: field.data_type().is_numeric(),
        });
        Self { columns: columns.collect(), rows: Vec::new(), is_plan }
    }

    /// Adds rows.
    pub(in crate::cli) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_display_error(true).with_null("NULL");
        let escape: fn(&str) -> Cow<'_, str> = if self.is_plan { shown_lines } else { shown };
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        // A column of nulls alone has no bitmap that says so.
        let nulls: Vec<_> = batch.columns().iter().map(|column| column.logical_nulls()).collect();
        for row in 0..batch.num_rows() {
            let cells = formatters.iter().zip(&nulls).map(|(formatter, nulls)| {
                let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                (!is_null).then(|| escape(&formatter.value(row).to_string()).into_owned())
            });
            self.rows.push(cells.collect());
        }
        Ok(())
    }

    /// The columns.
    pub(in crate::cli) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows, each with a text for each column; None for NULL.
    pub(in crate::cli) fn rows(&self) -> &[Vec<Option<String>>] {
        &self.rows
    }

    /// Whether the rows are those of a plan.
    pub(in crate::cli) fn is_plan(&self) -> bool {
        self.is_plan
    }
}

#[cfg(test)]
impl Cells {
    /// Cells with these texts; a column is one of numbers when its name begins with `n`.
    pub(super) fn of(names: &[&str], rows: &[&[Option<&str>]]) -> Self {
        let column =
            |name: &&str| Column { name: (*name).to_owned(), is_number: name.starts_with('n') };
        let row = |row: &&[Option<&str>]| row.iter().map(|cell| cell.map(str::to_owned)).collect();
        Self {
            columns: names.iter().map(column).collect(),
            rows: rows.iter().map(row).collect(),
            is_plan: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, NullArray, StringArray};

    use super::*;

    #[test]
    fn null_is_no_text_and_texts_stay_on_their_line() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some("a\n\u{1b}")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)]));
        let nothing: ArrayRef = Arc::new(NullArray::new(3));
        let batch = [("t\u{7}", texts, true), ("n", numbers, true), ("x", nothing, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(batch).unwrap();
        let mut cells = Cells::new(&batch.schema());
        cells.add(&batch).unwrap();
        let row = |row: &[Option<&str>]| -> Vec<Option<String>> {
            row.iter().map(|cell| cell.map(str::to_owned)).collect()
        };
        assert_eq!(
            cells.rows(),
            [
                row(&[Some(""), Some("1"), None]),
                row(&[None, None, None]),
                row(&[Some("a\\n\\u{1b}"), Some("-3"), None])
            ]
        );
        let columns = cells.columns();
        assert_eq!(columns[0].name, "t\\u{7}");
        assert_eq!([columns[0].is_number, columns[1].is_number], [false, true]);
    }
}
