//! The only printer: data to one place, everything else to another.
//!
//! What is printed for programs is exact. What is printed for people shows characters that a terminal
//! would act on escaped.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Kind, Result, shown, shown_lines};

/// How listings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    #[default]
    Table,
    /// An array of objects
    Json,
    /// With a header line
    Csv,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RowFormat {
    /// For people
    #[default]
    Table,
    /// An array of objects
    Json,
    /// With a header line
    Csv,
    /// A Parquet file
    Parquet,
}

impl From<ListFormat> for RowFormat {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::Table => Self::Table,
            ListFormat::Json => Self::Json,
            ListFormat::Csv => Self::Csv,
        }
    }
}

/// Where a command prints to.
pub(super) struct Output<'a> {
    out: Data<'a>,
    err: &'a mut (dyn Write + Send),
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send)) -> Self {
        Self { out: Data { to: out, failure: Failure::default() }, err }
    }

    /// Prints lines of data for programs, as they are.
    pub(super) fn data(&mut self, lines: &str) -> Result<()> {
        writeln!(self.out, "{lines}").and_then(|()| self.out.flush()).map_err(print_error)
    }

    /// Prints lines for people.
    pub(super) fn text(&mut self, lines: &str) -> Result<()> {
        self.data(&shown_lines(lines))
    }

    /// Prints a line about what is going on. Whoever does not listen to these keeps nothing from
    /// being done.
    pub(super) fn note(&mut self, line: &str) {
        drop(writeln!(self.err, "{}", shown_lines(line)));
    }

    /// A printer of rows.
    pub(super) fn rows(&mut self, format: RowFormat, schema: &SchemaRef) -> Result<RowPrinter<'_>> {
        let failure = self.out.failure.clone();
        let out = Data { to: &mut *self.out.to, failure: failure.clone() };
        let writer = RowWriter::new(out, format, schema).map_err(|e| failure.explain(&*e))?;
        Ok(RowPrinter { writer, failure })
    }
}

/// The place for data. Libraries that write to it keep only the text of what went wrong there, or
/// nothing, so it remembers that itself.
struct Data<'a> {
    to: &'a mut (dyn Write + Send),
    failure: Failure,
}

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).inspect_err(|e| self.failure.note(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush().inspect_err(|e| self.failure.note(e))
    }
}

/// How writing has failed, if it has.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn note(&self, error: &io::Error) {
        // The writer tries again by itself after an interruption.
        if error.kind() != io::ErrorKind::Interrupted {
            let same = match error.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(same);
        }
    }

    /// The error of printing rows: that of the output if it has failed, else of the rows.
    fn explain(&self, error: &(dyn StdError + Send + Sync)) -> Error {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => print_error(failure),
            None => Error::new(
                Kind::Invalid,
                format!("cannot print these rows in this format: {error}"),
            )
            .hint("cast the columns to plain types, or choose another --format"),
        }
    }
}

/// Nobody reads the output any more, which is no failure.
#[derive(Debug)]
struct Closed;

impl Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output was closed")
    }
}

impl StdError for Closed {}

fn print_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::new(Kind::Unavailable, "cannot print").because(Closed),
        _ => Error::storage("cannot print", error),
    }
}

/// Whether `error` says that nobody reads the output any more. A closed connection to anything else
/// is a failure like any other.
pub(super) fn is_closed(error: &Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<Closed>())
}

/// Prints rows as they come; tables for people when all have come, so that columns line up.
pub(super) struct RowPrinter<'a> {
    writer: RowWriter<'a>,
    failure: Failure,
}

impl RowPrinter<'_> {
    pub(super) fn print(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|e| self.failure.explain(&*e))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.writer.finish().map_err(|e| self.failure.explain(&*e))
    }
}

enum RowWriter<'a> {
    Table { out: Data<'a>, batches: Vec<RecordBatch> },
    Csv(Box<arrow::csv::Writer<Data<'a>>>, RecordBatch),
    Json(Box<arrow::json::Writer<Data<'a>, arrow::json::writer::JsonArray>>),
    Parquet(Box<ArrowWriter<Data<'a>>>),
}

/// What a library says about rows that it cannot write.
type Written<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

impl<'a> RowWriter<'a> {
    fn new(out: Data<'a>, format: RowFormat, schema: &SchemaRef) -> Written<Self> {
        let empty = RecordBatch::new_empty(Arc::clone(schema));
        Ok(match format {
            RowFormat::Table => Self::Table { out, batches: vec![readable(&empty)?] },
            RowFormat::Csv => Self::Csv(
                Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(out)),
                empty,
            ),
            RowFormat::Json => Self::Json(Box::new(
                arrow::json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow::json::writer::JsonArray>(out),
            )),
            RowFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Written<()> {
        match self {
            Self::Table { batches, .. } => batches.push(readable(batch)?),
            Self::Csv(writer, _) => writer.write(batch)?,
            Self::Json(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Written<()> {
        match self {
            Self::Table { mut out, batches } => {
                writeln!(out, "{}", pretty_format_batches(&batches)?)?;
                out.flush()?;
            }
            Self::Csv(mut writer, empty) => {
                // The header is printed with the first rows; no rows still have a header.
                writer.write(&empty)?;
                writer.into_inner().flush()?;
            }
            Self::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                writeln!(out)?;
                out.flush()?;
            }
            Self::Parquet(mut writer) => {
                writer.finish()?;
                writer.inner_mut().flush()?;
            }
        }
        Ok(())
    }
}

/// The rows as texts for people, each value on one line. Only a plan, as EXPLAIN gives it, is laid out
/// in lines that are worth keeping.
fn readable(batch: &RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let options = FormatOptions::default().with_display_error(true).with_null("");
    let schema = batch.schema();
    if schema.fields().is_empty() {
        return Ok(batch.clone());
    }
    let is_plan = schema.fields().iter().map(|field| field.name()).eq(["plan_type", "plan"]);
    let escape: fn(&str) -> Cow<'_, str> = if is_plan { shown_lines } else { shown };
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let cells = (0..column.len())
            .map(|row| Some(escape(&formatter.value(row).to_string()).into_owned()));
        columns.push(Arc::new(cells.collect::<StringArray>()));
        fields.push(Field::new(shown(field.name()), DataType::Utf8, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that takes `room` bytes and then fails.
    struct Full {
        room: usize,
        kind: io::ErrorKind,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.room.min(bytes.len());
            self.room -= taken;
            if taken == 0 { Err(self.kind.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(format: RowFormat, room: usize, kind: io::ErrorKind) -> Result<()> {
        let cells: ArrayRef = Arc::new(StringArray::from_iter_values(["a", "b", "c"]));
        let batch = RecordBatch::try_from_iter([("x", cells)])
            .map_err(|e| Error::new(Kind::Bug, "no batch").because(e))?;
        let (mut out, mut err) = (Full { room, kind }, io::sink());
        let mut output = Output::new(&mut out, &mut err);
        let mut printer = output.rows(format, &batch.schema())?;
        printer.print(&batch)?;
        printer.finish()
    }

    #[test]
    fn a_full_and_a_closed_output_are_told_apart_in_every_format() {
        for format in [RowFormat::Table, RowFormat::Json, RowFormat::Csv, RowFormat::Parquet] {
            for room in [0, 3] {
                let full = printed(format, room, io::ErrorKind::StorageFull).unwrap_err();
                assert_eq!(full.kind(), Kind::Unavailable, "{format:?}: {}", full.render());
                assert!(!is_closed(&full));
                let closed = printed(format, room, io::ErrorKind::BrokenPipe).unwrap_err();
                assert!(is_closed(&closed), "{format:?}: {}", closed.render());
            }
            printed(format, 1 << 20, io::ErrorKind::StorageFull).unwrap();
        }
    }

    #[test]
    fn a_connection_that_is_lost_elsewhere_is_no_closed_output() {
        let lost = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(!is_closed(&Error::storage("cannot read the table", lost)));
    }
}
