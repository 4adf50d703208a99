//! Charts of the rows of an answer.
//!
//! What is drawn is the first column of numbers; along it stand the values of the first column of
//! anything else that is one value, or the numbers of the rows. NULL and what is not finite is left
//! blank.

mod bars;
mod lines;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Kind, Result, shown};

use super::screen::Screen;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Chart {
    /// A bar for each row.
    Bar,
    /// A line through all rows.
    Line,
}

/// What is drawn.
struct Series {
    /// The column of numbers.
    name: String,
    points: Vec<Point>,
}

/// What is drawn of one row.
struct Point {
    label: String,
    /// The number as the table shows it.
    text: String,
    value: Option<f64>,
}

impl Series {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|point| point.value)
    }
}

/// A chart of the rows in `batches`, as wide as `screen`.
///
/// Errors: `Invalid` when there is nothing to draw.
pub(in crate::cli) fn chart(
    batches: &[RecordBatch],
    kind: Chart,
    screen: Screen,
) -> Result<String> {
    let series = series(batches)?;
    if series.values().next().is_none() {
        return Err(Error::new(Kind::Invalid, "the last answer has no number to draw")
            .at("column", series.name));
    }
    let drawing = match kind {
        Chart::Bar => bars::draw(&series, screen),
        Chart::Line => lines::draw(&series, screen),
    };
    Ok(format!("{}\n{drawing}", series.name))
}

fn series(batches: &[RecordBatch]) -> Result<Series> {
    let Some(first) = batches.first() else {
        return Err(
            Error::new(Kind::Invalid, "there is no answer to draw yet").hint("ask something first")
        );
    };
    let wrong =
        |e: ArrowError| Error::new(Kind::Invalid, "the last answer cannot be drawn").because(e);
    let rows = concat_batches(&first.schema(), batches).map_err(wrong)?;
    let schema = rows.schema();
    let column = |is_wanted: fn(&DataType) -> bool| {
        schema.fields().iter().position(|field| is_wanted(field.data_type()))
    };
    let Some(number) = column(DataType::is_numeric) else {
        return Err(Error::new(Kind::Invalid, "the last answer has no column of numbers")
            .hint("cast a column: a number in quotes is a text"));
    };
    let numbers = texts(rows.column(number)).map_err(wrong)?;
    let labels = match column(|kind| !kind.is_numeric() && !kind.is_nested()) {
        Some(label) => texts(rows.column(label)).map_err(wrong)?,
        None => (1..=rows.num_rows()).map(|row| row.to_string()).collect(),
    };
    let values = cast(rows.column(number), &DataType::Float64).map_err(wrong)?;
    let values = values.as_primitive::<Float64Type>();
    let points = labels.into_iter().zip(numbers).zip(values.iter());
    let points = points.map(|((label, text), value)| Point {
        label,
        text,
        value: value.filter(|value| value.is_finite()),
    });
    Ok(Series { name: shown(schema.field(number).name()).into_owned(), points: points.collect() })
}

fn texts(column: &ArrayRef) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default().with_display_error(true).with_null("NULL");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let text = |row| shown(&formatter.value(row).to_string()).into_owned();
    Ok((0..column.len()).map(text).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    /// A screen of 40 columns.
    pub(super) fn screen(is_unicode: bool) -> Screen {
        Screen { columns: 40, lines: 14, is_unicode, has_colours: false }
    }

    #[test]
    fn the_first_numbers_are_drawn_along_the_first_other_column() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(4), None, Some(8)]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c\n"]));
        let shares: ArrayRef = Arc::new(Float64Array::from(vec![9.0; 3]));
        let batch =
            RecordBatch::try_from_iter([("n", ids), ("name", names), ("share", shares)]).unwrap();
        let series = series(&[batch.clone(), batch]).unwrap();
        assert_eq!(series.name, "n");
        let points: Vec<_> = series
            .points
            .iter()
            .map(|point| (point.label.as_str(), point.text.as_str(), point.value))
            .collect();
        let one = [("a", "4", Some(4.0)), ("b", "NULL", None), ("c\\n", "8", Some(8.0))];
        assert_eq!(points, [one, one].concat());
    }

    #[test]
    fn without_numbers_there_is_no_chart() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("name", names)]).unwrap();
        let refused = |batches: &[RecordBatch]| {
            chart(batches, Chart::Bar, screen(true)).unwrap_err().to_string()
        };
        assert!(refused(&[batch]).contains("no column of numbers"));
        assert!(refused(&[]).contains("no answer"));
        let none: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN)]));
        let batch = RecordBatch::try_from_iter([("n", none)]).unwrap();
        assert!(refused(&[batch]).contains("no number"));
    }
}
