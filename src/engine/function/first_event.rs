//! `first_event(events, after, type, element)`: the first event of a session that is what is looked
//! for and comes later than another.
//!
//! In: a list of STRUCTs with the text fields `event_type`, `element_id` and `timestamp`; STRUCT(at
//! TIMESTAMP, place BIGINT); a text; a regular expression that some part of the element's id has to
//! match. Out: STRUCT(at TIMESTAMP, place BIGINT), where `place` is the event's index in the list;
//! NULL where there is none, or nothing to come after. What happens at one moment is in the order of
//! the list, and an event whose time cannot be read never happened.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int64Builder, NullBufferBuilder, StringViewArray,
    StructArray, TimestampMicrosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use super::instant::{instant, time};
use super::lists::ranges;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FirstEvent {
    signature: Signature,
}

impl FirstEvent {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(4, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FirstEvent {
    fn name(&self) -> &str {
        "first_event"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [events, after, types, elements] = arrays.as_slice() else {
            return exec_err!(
                "first_event takes events, what they come after, a type and a pattern"
            );
        };
        let Some(lists) = events.as_list_opt::<i32>() else {
            return exec_err!("first_event takes a list of events, not {}", events.data_type());
        };
        let (items, ranges) = ranges(lists);
        let events = Events::of(&items)?;
        let after = cast(after, &DataType::Struct(fields()))
            .map_err(|e| exec_datafusion_err!("events come after a STRUCT(at, place): {e}"))?;
        let after = after.as_struct();
        let (at, place) =
            (cast(after.column(0), &time())?, after.column(1).as_primitive::<Int64Type>());
        let at = at.as_primitive::<TimestampMicrosecondType>();
        let (types, elements) = (text(types)?, text(elements)?);
        let mut pattern = Pattern::default();
        let mut found = Found::default();
        for (row, range) in ranges.into_iter().enumerate() {
            let is_asked = after.is_valid(row)
                && at.is_valid(row)
                && types.is_valid(row)
                && elements.is_valid(row);
            let Some(range) = range.filter(|_| is_asked) else {
                found.add(None);
                continue;
            };
            let after = (at.value(row), if place.is_valid(row) { place.value(row) } else { -1 });
            pattern.set(elements.value(row))?;
            found.add(events.first(range, after, types.value(row), &pattern));
        }
        Ok(ColumnarValue::Array(found.finish()?))
    }
}

fn fields() -> Fields {
    Fields::from(vec![Field::new("at", time(), true), Field::new("place", DataType::Int64, true)])
}

fn text(column: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast(column, &DataType::Utf8View)?.as_string_view().clone())
}

/// The events of all sessions of a batch.
struct Events {
    types: StringViewArray,
    elements: StringViewArray,
    times: StringViewArray,
}

impl Events {
    fn of(items: &ArrayRef) -> Result<Self> {
        let field = |name: &str| {
            let column = items.as_struct_opt().and_then(|events| events.column_by_name(name));
            match column {
                Some(column) => text(column),
                None => exec_err!("first_event takes events with a field {name}"),
            }
        };
        Ok(Self {
            types: field("event_type")?,
            elements: field("element_id")?,
            times: field("timestamp")?,
        })
    }

    /// Time and place of the first event in `range` that is later than `after`.
    fn first(
        &self,
        range: std::ops::Range<usize>,
        after: (i64, i64),
        wanted: &str,
        pattern: &Pattern,
    ) -> Option<(i64, i64)> {
        let start = range.start;
        let element = |index: usize| {
            if self.elements.is_valid(index) { self.elements.value(index) } else { "" }
        };
        range
            .filter(|index| self.types.is_valid(*index) && self.types.value(*index) == wanted)
            .filter(|index| pattern.matches(element(*index)))
            .filter_map(|index| {
                let at = instant(self.times.is_valid(index).then(|| self.times.value(index)))?;
                Some((at, i64::try_from(index - start).ok()?))
            })
            .filter(|event| *event > after)
            .min()
    }
}

/// The pattern of the last row, since the next row's is the same as a rule.
#[derive(Default)]
struct Pattern {
    text: String,
    regex: Option<Regex>,
}

impl Pattern {
    fn set(&mut self, text: &str) -> Result<()> {
        if self.regex.is_none() || self.text != text {
            let regex = Regex::new(text);
            self.regex =
                Some(regex.map_err(|e| exec_datafusion_err!("not a regular expression: {e}"))?);
            text.clone_into(&mut self.text);
        }
        Ok(())
    }

    fn matches(&self, element: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(element))
    }
}

#[derive(Default)]
struct Found {
    times: TimestampMicrosecondBuilder,
    places: Int64Builder,
    nulls: Option<NullBufferBuilder>,
}

impl Found {
    fn add(&mut self, event: Option<(i64, i64)>) {
        self.times.append_option(event.map(|(at, _)| at));
        self.places.append_option(event.map(|(_, place)| place));
        self.nulls.get_or_insert_with(|| NullBufferBuilder::new(0)).append(event.is_some());
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.times.finish().with_timezone("UTC")),
            Arc::new(self.places.finish()),
        ];
        let nulls = self.nulls.as_mut().and_then(NullBufferBuilder::finish);
        Ok(Arc::new(StructArray::try_new(fields(), columns, nulls)?))
    }
}
