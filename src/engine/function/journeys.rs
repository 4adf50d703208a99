//! `journeys(touches, lookback, most)`: for each touch of one visitor the way that led up to it.
//!
//! In: a list of STRUCT(time TIMESTAMP, id TEXT, channel TEXT, is_direct BOOLEAN, …) in any order, as
//! `array_agg` gives it; an INTERVAL; a BIGINT. Out: a list of STRUCT(touch, number, first_at,
//! seconds_since_last, touches, last_non_direct, path, previous) in the order of time, touches of one
//! moment in the order of their ids. `touch` is the struct that went in, `previous` that of the touch
//! before, NULL for the first; `number` counts the visitor's touches from 1, and `first_at` is the time of
//! the first. `touches` counts those that are no older than the lookback,
//! this one included, of which at most the `most` newest count; `path` has their channels, oldest first,
//! one after the other the same only once, with ` > ` between them; `last_non_direct` is the number of
//! the last of them that is not direct, of this one where all are. A touch without a time is none.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Int64Array, Int64Builder, ListArray,
    StringViewArray, StructArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
    UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::instant::time;
use super::interval::microseconds;
use super::lists::ranges;
use super::paths::Paths;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Journeys {
    signature: Signature,
}

impl Journeys {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Journeys {
    fn name(&self) -> &str {
        "journeys"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(DataType::List(touch)) if is_touch(touch.data_type()) => {
                Ok(DataType::List(item(touch.data_type())))
            }
            _ => plan_err!(
                "journeys takes a list of touches: STRUCTs of time, id, channel, is_direct and more"
            ),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [touches, lookbacks, most] = arrays.as_slice() else {
            return exec_err!("journeys takes a list of touches, an interval and a number");
        };
        let Some(lists) = touches.as_list_opt::<i32>() else {
            return exec_err!("journeys takes a list of touches, not {}", touches.data_type());
        };
        let (items, ranges) = ranges(lists);
        let touches = Touches::of(&items)?;
        let lookbacks = microseconds(lookbacks)?;
        let most = cast(most, &DataType::Int64)?;
        let most = most.as_primitive::<Int64Type>();
        let mut ways = Ways::default();
        let mut lengths = Vec::with_capacity(lists.len());
        for (row, range) in ranges.into_iter().enumerate() {
            let Some(range) = range else {
                lengths.push(0);
                continue;
            };
            let lookback = lookbacks.get(row).copied().flatten().unwrap_or(0);
            let limit = Limit { lookback, most: longest(most, row)? };
            lengths.push(ways.add(&touches, &touches.in_order(range), &limit)?);
        }
        let item = item(items.data_type());
        let items = ways.finish(&items)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(item, offsets, Arc::new(items), None)?;
        Ok(ColumnarValue::Array(Arc::new(lists) as ArrayRef))
    }
}

/// The whole seconds from one time to a later one, which may be further apart than an i64 counts.
fn seconds(from: i64, to: i64) -> i64 {
    i64::try_from(to.abs_diff(from) / 1_000_000).unwrap_or(i64::MAX)
}

/// How much of what came before belongs to a journey.
struct Limit {
    lookback: i64,
    most: usize,
}

/// How many touches a journey has at most; one where that is not said.
fn longest(most: &Int64Array, row: usize) -> Result<usize> {
    if most.is_null(row) {
        return Ok(1);
    }
    match usize::try_from(most.value(row)) {
        Ok(most) if most > 0 => Ok(most),
        _ => exec_err!(
            "journeys of at most {} touches: there is no journey without one",
            most.value(row)
        ),
    }
}

fn is_touch(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if fields.len() >= 4)
}

fn fields(touch: &DataType) -> Fields {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Fields::from(vec![
        field("touch", touch.clone()),
        field("number", DataType::Int64),
        field("first_at", time()),
        field("seconds_since_last", DataType::Int64),
        field("touches", DataType::Int64),
        field("last_non_direct", DataType::Int64),
        field("path", DataType::Utf8View),
        field("previous", touch.clone()),
    ])
}

fn item(touch: &DataType) -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields(touch)), true))
}

/// All touches of a batch of visitors.
struct Touches {
    times: TimestampMicrosecondArray,
    ids: StringViewArray,
    channels: StringViewArray,
    direct: BooleanArray,
    nulls: Option<NullBuffer>,
}

impl Touches {
    fn of(items: &ArrayRef) -> Result<Self> {
        let columns = items.as_struct_opt().map(StructArray::columns);
        let Some([times, ids, channels, direct, ..]) = columns else {
            return exec_err!(
                "a touch is a STRUCT of time, id, channel, is_direct and more, not {}",
                items.data_type()
            );
        };
        Ok(Self {
            times: cast(times, &time())?.as_primitive().clone(),
            ids: cast(ids, &DataType::Utf8View)?.as_string_view().clone(),
            channels: cast(channels, &DataType::Utf8View)?.as_string_view().clone(),
            direct: cast(direct, &DataType::Boolean)?.as_boolean().clone(),
            nulls: items.nulls().cloned(),
        })
    }

    /// Those of `range` that have a time, by time and id.
    fn in_order(&self, range: Range<usize>) -> Vec<usize> {
        let is_touch = |index: &usize| {
            self.times.is_valid(*index)
                && self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*index))
        };
        let mut order: Vec<_> = range.filter(is_touch).collect();
        order.sort_by(|left, right| self.compare(*left, *right));
        order
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        let id = |index: usize| self.ids.is_valid(index).then(|| self.ids.value(index));
        self.times.value(left).cmp(&self.times.value(right)).then_with(|| id(left).cmp(&id(right)))
    }

    fn channel(&self, index: usize) -> &str {
        if self.channels.is_valid(index) { self.channels.value(index) } else { "" }
    }

    fn is_direct(&self, index: usize) -> bool {
        self.direct.is_valid(index) && self.direct.value(index)
    }
}

/// The result under construction.
#[derive(Default)]
struct Ways {
    indices: Vec<u64>,
    previous: Vec<Option<u64>>,
    numbers: Int64Builder,
    firsts: TimestampMicrosecondBuilder,
    pauses: Int64Builder,
    touches: Int64Builder,
    non_direct: Int64Builder,
    paths: Paths,
}

impl Ways {
    /// Adds the ways of one visitor, whose touches are given in `order`; gives how many.
    fn add(&mut self, all: &Touches, order: &[usize], limit: &Limit) -> Result<usize> {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let time = |place: usize| order.get(place).map(|touch| all.times.value(*touch));
        let mut start = 0;
        let mut non_direct = None;
        for (place, &touch) in order.iter().enumerate() {
            let at = all.times.value(touch);
            while time(start).is_some_and(|time| time < at.saturating_sub(limit.lookback))
                || place - start >= limit.most
            {
                start += 1;
            }
            if !all.is_direct(touch) {
                non_direct = Some(place);
            }
            let last = non_direct.filter(|last| *last >= start).unwrap_or(place);
            self.paths.add(all.channel(touch), place - start)?;
            let before = place.checked_sub(1);
            let previous = before.and_then(|before| order.get(before));
            let before = before.and_then(time);
            self.indices.push(touch as u64);
            self.previous.push(previous.map(|touch| *touch as u64));
            self.numbers.append_value(count(place + 1));
            self.firsts.append_option(time(0));
            self.pauses.append_option(before.map(|before| seconds(before, at)));
            self.touches.append_value(count(place - start + 1));
            self.non_direct.append_value(count(last + 1));
        }
        self.paths.end_visitor()?;
        Ok(order.len())
    }

    fn finish(mut self, touches: &ArrayRef) -> Result<StructArray> {
        let columns: Vec<ArrayRef> = vec![
            take(touches, &UInt64Array::from(self.indices), None)?,
            Arc::new(self.numbers.finish()),
            Arc::new(self.firsts.finish().with_timezone("UTC")),
            Arc::new(self.pauses.finish()),
            Arc::new(self.touches.finish()),
            Arc::new(self.non_direct.finish()),
            Arc::new(self.paths.finish()?),
            take(touches, &UInt64Array::from(self.previous), None)?,
        ];
        Ok(StructArray::try_new(fields(touches.data_type()), columns, None)?)
    }
}
