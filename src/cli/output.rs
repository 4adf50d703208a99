//! The only printer: data to one place, everything else to another.
//!
//! What is printed for programs is exact. What is printed for people shows characters that a terminal
//! would act on escaped.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::{JsonArray, LineDelimited};
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Kind, Result, shown_lines};

use super::display::{self, Cells, Look, Screen};
use super::flat::flat;

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
    /// An array of objects, on one line
    Json,
    /// An object on each line
    Ndjson,
    /// With a header line; nested values as JSON
    Csv,
    /// A table of Markdown
    Markdown,
    /// A Parquet file
    Parquet,
}

impl RowFormat {
    /// The format as it is written on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |name| name.get_name().to_owned())
    }

    /// The names of all formats.
    pub(super) fn names() -> Vec<String> {
        Self::value_variants().iter().map(|format| format.name()).collect()
    }
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
    /// Whether data goes to the standard output of the process.
    is_standard: bool,
    is_quiet: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send)) -> Self {
        let out = Data { to: out, failure: Failure::default() };
        Self { out, err, is_standard: false, is_quiet: false }
    }

    /// The same, where `out` is the standard output of the process.
    pub(super) fn standard(self) -> Self {
        Self { is_standard: true, ..self }
    }

    /// The same without notes, if `is_quiet`.
    pub(super) fn quiet(self, is_quiet: bool) -> Self {
        Self { is_quiet, ..self }
    }

    /// The same for somebody else for a while.
    pub(super) fn again(&mut self) -> Output<'_> {
        let out = Data { to: &mut *self.out.to, failure: self.out.failure.clone() };
        let (is_standard, is_quiet) = (self.is_standard, self.is_quiet);
        Output { out, err: &mut *self.err, is_standard, is_quiet }
    }

    /// The same with another place for data.
    pub(super) fn elsewhere<'b>(&'b mut self, out: &'b mut (dyn Write + Send)) -> Output<'b> {
        Output::new(out, &mut *self.err).quiet(self.is_quiet)
    }

    /// The terminal that data goes to, if it goes to one.
    pub(super) fn screen(&self) -> Option<Screen> {
        if self.is_standard { Screen::of_output() } else { None }
    }

    /// Whether nobody wants notes.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Whether somebody may be shown how far something has come.
    pub(super) fn is_watched(&self) -> bool {
        self.is_standard && !self.is_quiet
    }

    /// Prints lines of data for programs, as they are.
    pub(super) fn data(&mut self, lines: &str) -> Result<()> {
        writeln!(self.out, "{lines}").and_then(|()| self.out.flush()).map_err(print_error)
    }

    /// Prints lines for people.
    pub(super) fn text(&mut self, lines: &str) -> Result<()> {
        self.data(&shown_lines(lines))
    }

    /// Prints a line about what is going on, unless nobody wants any.
    pub(super) fn note(&mut self, line: &str) {
        if !self.is_quiet {
            self.say(line);
        }
    }

    /// Prints a line that was asked for and is no data. Whoever does not listen to these keeps nothing
    /// from being done.
    pub(super) fn say(&mut self, line: &str) {
        drop(writeln!(self.err, "{}", shown_lines(line)));
    }

    /// Says what went wrong.
    pub(super) fn fail(&mut self, error: &Error) {
        drop(writeln!(self.err, "{}", error.render()));
    }

    /// A printer of rows; how they look matters to formats for people.
    pub(super) fn rows(
        &mut self,
        format: RowFormat,
        schema: &SchemaRef,
        look: Look,
    ) -> Result<RowPrinter<'_>> {
        let failure = self.out.failure.clone();
        let out = Data { to: &mut *self.out.to, failure: failure.clone() };
        let writer = RowWriter::new(out, format, schema, look).map_err(|e| failure.explain(&*e))?;
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

    /// Says that there are more rows than were printed.
    pub(super) fn leave_rest(&mut self) {
        if let RowWriter::Table { look, .. } = &mut self.writer {
            look.is_cut = true;
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        self.writer.finish().map_err(|e| self.failure.explain(&*e))
    }
}

enum RowWriter<'a> {
    Table { out: Data<'a>, cells: Cells, look: Look },
    Markdown { out: Data<'a>, cells: Cells },
    Csv(Box<arrow::csv::Writer<Data<'a>>>, RecordBatch),
    Json(Box<arrow::json::Writer<Data<'a>, JsonArray>>),
    Ndjson(Box<arrow::json::Writer<Data<'a>, LineDelimited>>),
    Parquet(Box<ArrowWriter<Data<'a>>>),
}

/// What a library says about rows that it cannot write.
type Written<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

impl<'a> RowWriter<'a> {
    fn new(out: Data<'a>, format: RowFormat, schema: &SchemaRef, look: Look) -> Written<Self> {
        let json = || arrow::json::WriterBuilder::new().with_explicit_nulls(true);
        Ok(match format {
            RowFormat::Table => Self::Table { out, cells: Cells::new(schema), look },
            RowFormat::Markdown => Self::Markdown { out, cells: Cells::new(schema) },
            RowFormat::Csv => Self::Csv(
                Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(out)),
                flat(&RecordBatch::new_empty(Arc::clone(schema)))?,
            ),
            RowFormat::Json => Self::Json(Box::new(json().build::<_, JsonArray>(out))),
            RowFormat::Ndjson => Self::Ndjson(Box::new(json().build::<_, LineDelimited>(out))),
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
            Self::Table { cells, .. } | Self::Markdown { cells, .. } => cells.add(batch)?,
            Self::Csv(writer, _) => writer.write(&flat(batch)?)?,
            Self::Json(writer) => writer.write(batch)?,
            Self::Ndjson(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Written<()> {
        match self {
            Self::Table { mut out, cells, look } => {
                let text = display::rows(&cells, &look);
                let is_long = |screen: Screen| text.lines().count() >= screen.lines;
                let is_paged = look.is_paged && look.screen.is_some_and(is_long);
                if !is_paged || !display::page(&text) {
                    out.write_all(text.as_bytes())?;
                    out.flush()?;
                }
            }
            Self::Markdown { mut out, cells } => {
                out.write_all(display::markdown(&cells).as_bytes())?;
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
            Self::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Self::Parquet(mut writer) => {
                writer.finish()?;
                writer.inner_mut().flush()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};

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
        let mut printer = output.rows(format, &batch.schema(), Look::default())?;
        printer.print(&batch)?;
        printer.finish()
    }

    #[test]
    fn a_full_and_a_closed_output_are_told_apart_in_every_format() {
        for format in RowFormat::value_variants().iter().copied() {
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
