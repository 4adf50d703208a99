//! Arrow columns that grow by one JSON value at a time, of the types that Bronze knows.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder as _, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray,
    NullBufferBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use simd_json::{Node, StaticNode};

use crate::error::{Error, Kind, Result};

/// A column under construction.
pub(super) enum Column {
    Text(StringBuilder),
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
    fields: Fields,
    pub(super) columns: Vec<Column>,
    nulls: NullBufferBuilder,
}

/// The largest whole number up to which a DOUBLE holds every whole number.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

impl Column {
    /// An empty column of `data_type`.
    ///
    /// Errors: `Bug` for a type that no Bronze table can declare.
    pub(super) fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Decimal(Float64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::List(field) => Self::List(Box::new(ListColumn {
                field: Arc::clone(field),
                items: Self::new(field.data_type())?,
                ends: vec![0],
                nulls: NullBufferBuilder::new(0),
            })),
            DataType::Struct(fields) => Self::Struct(StructColumn {
                fields: fields.clone(),
                columns: fields
                    .iter()
                    .map(|field| Self::new(field.data_type()))
                    .collect::<Result<_>>()?,
                nulls: NullBufferBuilder::new(0),
            }),
            other => return Err(Error::new(Kind::Bug, "no such type in Bronze").at("type", other)),
        })
    }

    /// The type as DDL names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "TEXT",
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
            Self::Text(builder) => builder.append_null(),
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

    /// Whether the value at the head of `nodes` fits as it is; if so, how many nodes it takes.
    pub(super) fn fits(&self, nodes: &[Node<'_>]) -> Option<usize> {
        match (self, nodes.first()?) {
            (_, Node::Static(StaticNode::Null))
            | (Self::Text(_), Node::String(_))
            | (Self::Integer(_), Node::Static(StaticNode::I64(_)))
            | (Self::Decimal(_), Node::Static(StaticNode::F64(_)))
            | (Self::Boolean(_), Node::Static(StaticNode::Bool(_))) => Some(1),
            (Self::Integer(_), Node::Static(StaticNode::U64(number))) => {
                i64::try_from(*number).ok().map(|_| 1)
            }
            (Self::Decimal(_), Node::Static(number)) => exact_double(number).map(|_| 1),
            (Self::List(list), Node::Array { len, .. }) => {
                let mut used = 1;
                for _ in 0..*len {
                    used += list.items.fits(nodes.get(used..)?)?;
                }
                Some(used)
            }
            (Self::Struct(row), Node::Object { len, .. }) => row.fits(nodes, *len),
            _ => None,
        }
    }

    /// Adds the value at the head of `nodes`, which fits; gives how many nodes it took.
    pub(super) fn append(&mut self, nodes: &[Node<'_>]) -> usize {
        match (&mut *self, nodes.first()) {
            (Self::Text(builder), Some(Node::String(text))) => builder.append_value(text),
            (Self::Integer(builder), Some(Node::Static(StaticNode::I64(number)))) => {
                builder.append_value(*number)
            }
            (Self::Integer(builder), Some(Node::Static(StaticNode::U64(number)))) => {
                builder.append_option(i64::try_from(*number).ok());
            }
            (Self::Decimal(builder), Some(Node::Static(number))) => {
                builder.append_option(exact_double(number))
            }
            (Self::Boolean(builder), Some(Node::Static(StaticNode::Bool(flag)))) => {
                builder.append_value(*flag)
            }
            (Self::List(list), Some(Node::Array { len, .. })) => {
                let mut used = 1;
                for _ in 0..*len {
                    used += list.items.append(nodes.get(used..).unwrap_or_default());
                }
                list.end(true);
                return used;
            }
            (Self::Struct(row), Some(Node::Object { len, .. })) => return row.append(nodes, *len),
            _ => self.append_null(),
        }
        1
    }

    /// The column as an array; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let failed = |e| Error::new(Kind::Bug, "cannot build a column").because(e);
        Ok(match self {
            Self::Text(builder) => Arc::new(finish_text(builder)),
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
            Self::Struct(row) => {
                let length = row.nulls.len();
                let nulls = row.nulls.finish();
                let arrays =
                    row.columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                let array =
                    StructArray::try_new_with_length(row.fields.clone(), arrays, nulls, length);
                Arc::new(array.map_err(failed)?)
            }
        })
    }
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
    /// Which column is called `name`; `expected` is looked at first.
    pub(super) fn find(&self, name: &str, expected: usize) -> Option<usize> {
        find(&self.fields, name, expected)
    }

    /// Ends a struct whose columns each got a value.
    pub(super) fn end(&mut self) {
        self.nulls.append(true);
    }

    fn fits(&self, nodes: &[Node<'_>], keys: usize) -> Option<usize> {
        let mut used = 1;
        let mut seen = 0u128;
        for expected in 0..keys {
            let Node::String(key) = nodes.get(used)? else { return None };
            let index = self.find(key, expected)?;
            let bit = 1u128.checked_shl(u32::try_from(index).ok()?)?;
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            used += 1 + self.columns.get(index)?.fits(nodes.get(used + 1..)?)?;
        }
        Some(used)
    }

    fn append(&mut self, nodes: &[Node<'_>], keys: usize) -> usize {
        let rows = self.nulls.len() + 1;
        let mut used = 1;
        for expected in 0..keys {
            let Some(Node::String(key)) = nodes.get(used) else { break };
            let column = self.find(key, expected).and_then(|index| self.columns.get_mut(index));
            let Some(column) = column else { break };
            used += 1 + column.append(nodes.get(used + 1..).unwrap_or_default());
        }
        self.fill(rows);
        self.end();
        used
    }

    /// Adds NULL to the columns that have fewer than `rows` values.
    fn fill(&mut self, rows: usize) {
        for column in &mut self.columns {
            if column.len() < rows {
                column.append_null();
            }
        }
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name().clone()).collect()
    }
}

impl Column {
    /// How many values there are.
    fn len(&self) -> usize {
        match self {
            Self::Text(builder) => builder.len(),
            Self::Integer(builder) => builder.len(),
            Self::Decimal(builder) => builder.len(),
            Self::Boolean(builder) => builder.len(),
            Self::List(list) => list.nulls.len(),
            Self::Struct(row) => row.nulls.len(),
        }
    }
}

/// Which of `fields` is called `name`; `expected` is looked at first, because records of one
/// source have their keys in the same order.
pub(super) fn find(fields: &Fields, name: &str, expected: usize) -> Option<usize> {
    let is_named = |field: &Field| is_same(field.name().as_bytes(), name.as_bytes());
    if fields.get(expected).is_some_and(|field| is_named(field)) {
        return Some(expected);
    }
    fields.iter().position(|field| is_named(field))
}

/// Whether two keys are the same. They are short: calling out to compare them costs more than that.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    // Words from the front, and the last one once more with what is left, whichever overlap.
    match (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        (Some(left_end), Some(right_end)) => {
            let words = left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0);
            let is_word = |left: &[u8; 8], right: &[u8; 8]| {
                u64::from_ne_bytes(*left) == u64::from_ne_bytes(*right)
            };
            is_word(left_end, right_end)
                && words.into_iter().all(|(left, right)| is_word(left, right))
        }
        _ => left.iter().zip(right).all(|(left, right)| left == right),
    }
}

/// The number as a DOUBLE, when that is the same number.
fn exact_double(number: &StaticNode) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "the bound is what a DOUBLE holds exactly")]
    match number {
        StaticNode::F64(number) => Some(*number),
        StaticNode::I64(number) if number.unsigned_abs() <= EXACT_IN_DOUBLE => Some(*number as f64),
        StaticNode::U64(number) if *number <= EXACT_IN_DOUBLE => Some(*number as f64),
        _ => None,
    }
}
