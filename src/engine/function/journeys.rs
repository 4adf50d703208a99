//! `journeys(touches, lookback, most)`: for each touch of one visitor the way that led up to it.
//!
//! In: a list of STRUCT(time TIMESTAMP, id TEXT, channel TEXT, is_converting BOOLEAN) in any order, as
//! `array_agg` gives it; an INTERVAL; a BIGINT. Out: a list of STRUCT(at, id, is_converting, number,
//! seconds_since_last, touches, path) in the order of time, touches of one moment in the order of their
//! ids. `number` counts the visitor's touches from 1; `touches` those that are no older than the
//! lookback, this one included, of which at most the `most` newest count; `path` has their channels,
//! oldest first, one after the other the same only once, with ` > ` between them. A touch without a
//! time is none.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, BooleanBuilder, Int64Builder, ListArray,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::interval::microseconds;

/// What stands between the channels of a path.
pub(super) const ARROW: &str = " > ";

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

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [touches, lookbacks, most] = arrays.as_slice() else {
            return exec_err!("journeys takes a list of touches, an interval and a number");
        };
        let Some(lists) = touches.as_list_opt::<i32>() else {
            return exec_err!("journeys takes a list of touches, not {}", touches.data_type());
        };
        let touches = Touches::of(lists.values())?;
        let lookbacks = microseconds(lookbacks)?;
        let most = cast(most, &DataType::Int64)?;
        let most = most.as_primitive::<Int64Type>();
        let mut ways = Ways::default();
        let mut lengths = Vec::with_capacity(lists.len());
        for (row, ends) in lists.offsets().windows(2).enumerate() {
            let (&[start, end], true) = (ends, lists.is_valid(row)) else {
                lengths.push(0);
                continue;
            };
            let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            let lookback = lookbacks.get(row).copied().flatten().unwrap_or(0);
            let most = usize::try_from(most.value(row)).unwrap_or(0).max(1);
            lengths.push(ways.add(&touches, &touches.in_order(range), lookback, most));
        }
        let lists = ListArray::try_new(
            item(),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(ways.finish()?),
            None,
        )?;
        Ok(ColumnarValue::Array(Arc::new(lists) as ArrayRef))
    }
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn fields() -> Fields {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Fields::from(vec![
        field("at", time()),
        field("id", DataType::Utf8),
        field("is_converting", DataType::Boolean),
        field("number", DataType::Int64),
        field("seconds_since_last", DataType::Int64),
        field("touches", DataType::Int64),
        field("path", DataType::Utf8),
    ])
}

fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields()), true))
}

/// All touches of a batch of visitors.
struct Touches {
    times: TimestampMicrosecondArray,
    ids: StringArray,
    channels: StringArray,
    converting: BooleanArray,
}

impl Touches {
    fn of(items: &ArrayRef) -> Result<Self> {
        let columns = items.as_struct_opt().map(StructArray::columns);
        let Some([times, ids, channels, converting]) = columns else {
            return exec_err!(
                "a touch is a STRUCT of time, id, channel and is_converting, not {}",
                items.data_type()
            );
        };
        let text = |column: &ArrayRef| {
            Ok::<_, arrow::error::ArrowError>(cast(column, &DataType::Utf8)?.as_string().clone())
        };
        Ok(Self {
            times: cast(times, &time())?.as_primitive().clone(),
            ids: text(ids)?,
            channels: text(channels)?,
            converting: cast(converting, &DataType::Boolean)?.as_boolean().clone(),
        })
    }

    /// Those of `range` that have a time, by time and id.
    fn in_order(&self, range: std::ops::Range<usize>) -> Vec<usize> {
        let mut order: Vec<_> = range.filter(|index| self.times.is_valid(*index)).collect();
        order.sort_by(|left, right| self.compare(*left, *right));
        order
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        let id = |index: usize| self.ids.is_valid(index).then(|| self.ids.value(index));
        self.times.value(left).cmp(&self.times.value(right)).then(id(left).cmp(&id(right)))
    }

    fn channel(&self, index: usize) -> &str {
        if self.channels.is_valid(index) { self.channels.value(index) } else { "" }
    }
}

/// The result under construction.
#[derive(Default)]
struct Ways {
    times: TimestampMicrosecondBuilder,
    ids: StringBuilder,
    converting: BooleanBuilder,
    numbers: Int64Builder,
    pauses: Int64Builder,
    touches: Int64Builder,
    paths: StringBuilder,
    path: String,
}

impl Ways {
    /// Adds the ways of one visitor, whose touches are given in `order`; gives how many.
    fn add(&mut self, all: &Touches, order: &[usize], lookback: i64, most: usize) -> usize {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut first = 0;
        for (place, &touch) in order.iter().enumerate() {
            let at = all.times.value(touch);
            let is_older = |place: usize| {
                order
                    .get(place)
                    .is_some_and(|other| all.times.value(*other) < at.saturating_sub(lookback))
            };
            while is_older(first) || place - first >= most {
                first += 1;
            }
            let way = order.get(first..=place).unwrap_or_default();
            self.path.clear();
            let mut last = None;
            for channel in way.iter().map(|touch| all.channel(*touch)) {
                if last.is_some_and(|last| last != channel) {
                    self.path.push_str(ARROW);
                }
                if last != Some(channel) {
                    self.path.push_str(channel);
                }
                last = Some(channel);
            }
            let before = place.checked_sub(1).and_then(|before| order.get(before));
            self.times.append_value(at);
            self.ids.append_option(all.ids.is_valid(touch).then(|| all.ids.value(touch)));
            self.converting
                .append_option(all.converting.is_valid(touch).then(|| all.converting.value(touch)));
            self.numbers.append_value(count(place + 1));
            let pause = before.map(|before| (at - all.times.value(*before)) / 1_000_000);
            self.pauses.append_option(pause);
            self.touches.append_value(count(way.len()));
            self.paths.append_value(&self.path);
        }
        order.len()
    }

    fn finish(mut self) -> Result<StructArray> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.times.finish().with_timezone("UTC")),
            Arc::new(self.ids.finish()),
            Arc::new(self.converting.finish()),
            Arc::new(self.numbers.finish()),
            Arc::new(self.pauses.finish()),
            Arc::new(self.touches.finish()),
            Arc::new(self.paths.finish()),
        ];
        Ok(StructArray::try_new(fields(), columns, None)?)
    }
}
