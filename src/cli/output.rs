//! The only printer: data to one place, everything else to another.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Kind, Result};

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
    out: &'a mut (dyn Write + Send),
    err: &'a mut (dyn Write + Send),
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), err: &'a mut (dyn Write + Send)) -> Self {
        Self { out, err }
    }

    /// Prints a line of data.
    pub(super) fn data(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(print_error)
    }

    /// Prints a line about what is going on.
    pub(super) fn note(&mut self, line: &str) -> Result<()> {
        writeln!(self.err, "{line}").map_err(print_error)
    }

    /// A printer of rows.
    pub(super) fn rows(
        &mut self,
        format: RowFormat,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<RowPrinter<'_>> {
        let out: &mut (dyn Write + Send) = self.out;
        Ok(match format {
            RowFormat::Table => {
                RowPrinter::Table { out, batches: vec![RecordBatch::new_empty(Arc::clone(schema))] }
            }
            RowFormat::Csv => RowPrinter::Csv(
                Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(out)),
                RecordBatch::new_empty(Arc::clone(schema)),
            ),
            RowFormat::Json => RowPrinter::Json(Box::new(
                arrow::json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow::json::writer::JsonArray>(out),
            )),
            RowFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties));
                RowPrinter::Parquet(Box::new(writer.map_err(|e| row_error(&e))?))
            }
        })
    }
}

/// Prints rows as they come; tables for people when all have come, so that columns line up.
pub(super) enum RowPrinter<'a> {
    Table { out: &'a mut (dyn Write + Send), batches: Vec<RecordBatch> },
    Csv(Box<arrow::csv::Writer<&'a mut (dyn Write + Send)>>, RecordBatch),
    Json(Box<arrow::json::Writer<&'a mut (dyn Write + Send), arrow::json::writer::JsonArray>>),
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
}

impl RowPrinter<'_> {
    pub(super) fn print(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table { batches, .. } => {
                batches.push(batch.clone());
                Ok(())
            }
            Self::Csv(writer, empty) => {
                *empty = RecordBatch::new_empty(empty.schema());
                writer.write(batch).map_err(|e| row_error(&e))
            }
            Self::Json(writer) => writer.write(batch).map_err(|e| row_error(&e)),
            Self::Parquet(writer) => writer.write(batch).map_err(|e| row_error(&e)),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Table { out, batches } => {
                let options = FormatOptions::default().with_display_error(true).with_null("");
                let table = pretty_format_batches_with_options(&batches, &options)
                    .map_err(|e| row_error(&e))?;
                writeln!(out, "{table}").and_then(|()| out.flush()).map_err(print_error)
            }
            Self::Csv(mut writer, empty) => {
                // The header is printed with the first rows; no rows still have a header.
                writer.write(&empty).map_err(|e| row_error(&e))?;
                let out = writer.into_inner();
                out.flush().map_err(print_error)
            }
            Self::Json(mut writer) => {
                writer.finish().map_err(|e| row_error(&e))?;
                let out = writer.into_inner();
                writeln!(out).and_then(|()| out.flush()).map_err(print_error)
            }
            Self::Parquet(mut writer) => {
                writer.finish().map_err(|e| row_error(&e))?;
                writer.inner_mut().flush().map_err(print_error)
            }
        }
    }
}

fn row_error(error: &(dyn std::error::Error + 'static)) -> Error {
    if is_broken_pipe(error) || error.to_string().contains("Broken pipe") {
        return print_error(io::Error::from(io::ErrorKind::BrokenPipe));
    }
    Error::new(Kind::Invalid, format!("cannot print these rows in this format: {error}"))
        .hint("cast the columns to plain types, or choose another --format")
}

fn print_error(error: io::Error) -> Error {
    Error::storage("cannot print", error)
}

/// Whether `error` says that nobody reads the output any more, which is no failure.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    is_broken_pipe(error)
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        next = cause.source();
    }
    false
}
