//! Arrow columns that grow by one JSON value at a time, of the types that Bronze knows.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder as _, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray,
    NullBufferBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Kind, Result};
use crate::project::JSON;

/// A column under construction.
pub(super) enum Column {
    Text(StringBuilder),
    /// Any value, as it stands in the record.
    Json(StringBuilder),
    Integer(Int64Builder),
    Decimal(Float64Builder),
    Boolean(BooleanBuilder),
    List(Box<ListColumn>),
    Struct(StructColumn),
}

/// The items of all lists so far, and where each list ends.
pub(super) struct ListColumn {
    field: FieldRef,
    pub(super) items: Column,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// The fields of all structs so far.
pub(super) struct StructColumn {
    pub(super) fields: Fields,
    pub(super) columns: Vec<Column>,
    /// The fields' names as they stand in JSON, with the quote behind them.
    keys: Vec<Box<[u8]>>,
    nulls: NullBufferBuilder,
}

impl Column {
    /// An empty column for `field`.
    ///
    /// Errors: `Bug` for a type that no Bronze table can declare.
    pub(super) fn new(field: &Field) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Utf8 if field.metadata().contains_key(JSON) => {
                Self::Json(StringBuilder::new())
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Decimal(Float64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::List(field) => Self::List(Box::new(ListColumn {
                field: Arc::new(plain(field)),
                items: Self::new(field)?,
                ends: vec![0],
                nulls: NullBufferBuilder::new(0),
            })),
            DataType::Struct(fields) => Self::Struct(StructColumn::new(fields)?),
            other => return Err(Error::new(Kind::Bug, "no such type in Bronze").at("type", other)),
        })
    }

    /// The type as DDL names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "TEXT",
            Self::Json(_) => "JSON",
            Self::Integer(_) => "BIGINT",
            Self::Decimal(_) => "DOUBLE",
            Self::Boolean(_) => "BOOLEAN",
            Self::List(_) => "ARRAY",
            Self::Struct(_) => "STRUCT",
        }
    }

    /// Adds NULL.
    pub(super) fn append_null(&mut self) {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::List(list) => list.end(false),
            Self::Struct(row) => {
                row.columns.iter_mut().for_each(Self::append_null);
                row.nulls.append(false);
            }
        }
    }

    /// The column as an array; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let failed = |e| Error::new(Kind::Bug, "cannot build a column").because(e);
        Ok(match self {
            Self::Text(builder) | Self::Json(builder) => Arc::new(finish_text(builder)),
            Self::Integer(builder) => {
                let next = Int64Builder::with_capacity(builder.len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::List(list) => {
                let ends = std::mem::replace(&mut list.ends, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                let array = ListArray::try_new(
                    Arc::clone(&list.field),
                    offsets,
                    list.items.finish()?,
                    list.nulls.finish(),
                );
                Arc::new(array.map_err(failed)?) as ArrayRef
            }
            Self::Struct(row) => Arc::new(row.finish()?),
        })
    }
}

/// The field without what only the decoder has to know, at any depth.
pub(super) fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(plain(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain(field)).collect())
        }
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}

/// The texts as an array. The next ones will be about as many: their place does not have to grow.
pub(super) fn finish_text(builder: &mut StringBuilder) -> StringArray {
    let next = StringBuilder::with_capacity(builder.len(), builder.values_slice().len());
    std::mem::replace(builder, next).finish()
}

impl ListColumn {
    /// Ends a list after the items that were added since the last one ended.
    pub(super) fn end(&mut self, is_valid: bool) {
        // A batch holds far fewer items than an i32 counts: it is cut by bytes long before.
        self.ends.push(i32::try_from(self.items.len()).unwrap_or(i32::MAX));
        self.nulls.append(is_valid);
    }
}

impl StructColumn {
    /// No structs of `fields`.
    ///
    /// Errors: `Bug` for a type that no Bronze table can declare.
    pub(super) fn new(fields: &Fields) -> Result<Self> {
        let columns = fields.iter().map(|field| Column::new(field));
        Ok(Self {
            fields: fields.iter().map(|field| plain(field)).collect(),
            columns: columns.collect::<Result<_>>()?,
            keys: fields.iter().map(|field| key(field.name())).collect(),
            nulls: NullBufferBuilder::new(0),
        })
    }

    /// Which column is called `name`.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    /// Which column's key `text` begins with, behind the key's opening quote, and how long it is with
    /// its closing one. `expected` is looked at first: records of a source have their keys in one order.
    #[inline]
    pub(super) fn key_at(&self, text: &[u8], expected: usize) -> Option<(usize, usize)> {
        if let Some(key) = self.keys.get(expected)
            && begins_with(text, key)
        {
            return Some((expected, key.len()));
        }
        let index = self.keys.iter().position(|key| begins_with(text, key))?;
        self.keys.get(index).map(|key| (index, key.len()))
    }

    /// Ends a struct whose columns each got a value.
    pub(super) fn end(&mut self) {
        self.nulls.append(true);
    }

    /// The structs as an array; there are none afterwards.
    pub(super) fn finish(&mut self) -> Result<StructArray> {
        let failed = |e| Error::new(Kind::Bug, "cannot build a column").because(e);
        let length = self.nulls.len();
        let nulls = self.nulls.finish();
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        StructArray::try_new_with_length(self.fields.clone(), arrays, nulls, length).map_err(failed)
    }
}

/// `name` as it stands in JSON with its closing quote, or a byte that no text has where it would
/// have to be escaped.
fn key(name: &str) -> Box<[u8]> {
    match name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        true => Box::new([0xFF]),
        false => [name.as_bytes(), b"\""].concat().into_boxed_slice(),
    }
}

impl Column {
    /// How many values there are.
    fn len(&self) -> usize {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.len(),
            Self::Integer(builder) => builder.len(),
            Self::Decimal(builder) => builder.len(),
            Self::Boolean(builder) => builder.len(),
            Self::List(list) => list.nulls.len(),
            Self::Struct(row) => row.nulls.len(),
        }
    }
}

/// Whether `text` begins with `key`. Keys are short: calling out to compare them costs more than that.
#[inline]
fn begins_with(text: &[u8], key: &[u8]) -> bool {
    let Some(text) = text.get(..key.len()) else { return false };
    // Words from the front, and the last one once more with what is left, whichever overlap.
    match (text.last_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(text_end), Some(key_end)) => {
            let mut words = text.as_chunks::<8>().0.iter().zip(key.as_chunks::<8>().0);
            let is_same = |left: &[u8; 8], right: &[u8; 8]| {
                u64::from_ne_bytes(*left) == u64::from_ne_bytes(*right)
            };
            is_same(text_end, key_end) && words.all(|(text, key)| is_same(text, key))
        }
        _ => text.iter().zip(key).all(|(text, key)| text == key),
    }
}
