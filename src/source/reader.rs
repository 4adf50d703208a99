//! Reading a file as what it is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::project::{Format, FormatKind};
use crate::runtime::Stop;

use super::csv::CsvReader;
use super::evidence::Evidence;
use super::frame::Framer;
use super::open::Ended;
use super::parquet::ParquetReader;
use super::{InputFile, Piece};

/// What the files of a source hold.
pub(super) struct Shape {
    columns: SchemaRef,
    format: Format,
    evidence: Evidence,
}

impl Shape {
    /// Records of `columns`, written as `format`.
    pub(super) fn new(columns: &SchemaRef, format: &Format) -> Self {
        let evidence = Evidence::declared(columns.fields());
        Self { columns: Arc::clone(columns), format: format.clone(), evidence }
    }
}

/// A file that is being read.
pub(super) enum Reader {
    Json(Box<Framer>),
    Enveloped(Box<Framer>),
    Csv(Box<CsvReader>),
    Parquet(Box<ParquetReader>),
}

impl Reader {
    /// Opens `file`. Bytes taken from disk are added to `progress`. None when it is not the file any
    /// more that was planned.
    pub(super) fn open(
        file: InputFile,
        shape: &Shape,
        progress: Arc<AtomicU64>,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        let kind = shape.format.of_file(&file.name);
        Ok(match kind {
            FormatKind::Json => {
                let framer = Framer::open(file, shape.evidence.clone(), progress, stop)?;
                let is_enveloped = shape.format.records.is_some();
                let reader = if is_enveloped { Self::Enveloped } else { Self::Json };
                framer.map(Box::new).map(reader)
            }
            FormatKind::Csv | FormatKind::Tsv => {
                let how = (&shape.columns, &shape.format.csv, kind);
                CsvReader::open(file, how, progress, stop)?
                    .map(|reader| Self::Csv(Box::new(reader)))
            }
            FormatKind::Parquet => ParquetReader::open(file, &shape.columns, progress)?
                .map(|reader| Self::Parquet(Box::new(reader))),
        })
    }

    /// The next piece, or None at the end of the file.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn next_piece(&mut self, stop: &Stop) -> Result<Option<Piece>> {
        match self {
            Self::Json(framer) | Self::Enveloped(framer) => framer.next_piece(stop),
            Self::Csv(reader) => reader.next_piece(stop),
            Self::Parquet(reader) => reader.next_piece(stop),
        }
    }

    /// What is known of the file at its end, when records were handed out up to the position
    /// `consumed`. What grows is read on only where each record stands for itself: records of an envelope
    /// need what is around them, rows of Parquet the end of the file. Of rows of CSV the reader knows
    /// itself how far they go.
    ///
    /// Errors: what the storage says; `Stopped`.
    pub(super) fn ended(&self, consumed: u64, stop: &Stop) -> Result<Option<Ended>> {
        match self {
            Self::Json(framer) => Ok(framer.ended(consumed)),
            Self::Enveloped(framer) => Ok(framer.ended(consumed).map(Ended::whole)),
            Self::Csv(reader) => Ok(reader.ended()),
            Self::Parquet(reader) => reader.ended(stop).map(Some),
        }
    }
}
