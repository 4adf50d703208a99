//! Functions whose result is as large as a number says: the engine's own, within bounds.
//!
//! `repeat('x', 1000000000)` makes a gigabyte that no memory pool counts, in one step that nothing can
//! interrupt, and texts and lists of one batch overflow at 2 GiB. So how large the result will be is
//! found out before it is made, from the arguments alone.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// How many bytes one value may have, and those of a batch together.
const ONE: u128 = 64 << 20;
const ALL: u128 = 256 << 20;
/// The bytes of a letter at most.
const LETTER: u128 = 4;
const DAY: i128 = 86_400_000_000_000;

/// A function of the engine that refuses to make too much.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: ScalarUDF,
    size: Size,
}

/// What the size of a result follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Size {
    /// (value, times)
    Times,
    /// (text, letters, …)
    Letters,
    /// (list, length, filled with)
    Length,
    /// (stop), (start, stop) or (start, stop, step)
    Steps,
}

impl Bounded {
    /// `inner` within bounds; `None` where it needs none.
    pub(super) fn of(inner: &ScalarUDF) -> Option<Self> {
        let size = match inner.name() {
            "repeat" | "array_repeat" => Size::Times,
            "lpad" | "rpad" => Size::Letters,
            "array_resize" => Size::Length,
            "range" | "generate_series" => Size::Steps,
            _ => return None,
        };
        Some(Self { inner: inner.clone(), size })
    }

    fn check(&self, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
        let arguments = arguments.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        let name = self.name();
        let mut all: u128 = 0;
        for row in 0..rows {
            let one = self.size.bytes(&arguments, row);
            if one > ONE {
                return exec_err!(
                    "{name} would make a value of {one} bytes, and one may have {ONE}: ask for less"
                );
            }
            all += one;
        }
        if all > ALL {
            return exec_err!(
                "{name} would make {all} bytes for {rows} rows, and that many may have {ALL}: make \
                 each value smaller"
            );
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&arguments.args, arguments.number_rows)?;
        self.inner.invoke_with_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

impl Size {
    /// About how many bytes the result for `row` will have.
    fn bytes(self, arguments: &[Argument], row: usize) -> u128 {
        let argument = |index: usize| arguments.get(index);
        let number = |index: usize| argument(index).and_then(|argument| argument.number(row));
        let count = |index: usize| number(index).and_then(|count| u128::try_from(count).ok());
        let bytes = |index: usize| argument(index).map_or(1, |argument| argument.bytes(row));
        match self {
            Self::Times => bytes(0) * count(1).unwrap_or(0).max(1),
            Self::Letters => bytes(0).max(count(1).unwrap_or(0) * LETTER),
            Self::Length => bytes(0) + bytes(2).max(8) * count(1).unwrap_or(0),
            Self::Steps => {
                let (start, stop, step) = match arguments {
                    [stop] => (Some(0), stop, None),
                    [start, stop, rest @ ..] => (start.moment(row), stop, rest.first()),
                    [] => return 0,
                };
                let step = step.map_or(Some(1), |step| step.step(row));
                let Some(((start, stop), step)) = start.zip(stop.moment(row)).zip(step) else {
                    return 0;
                };
                if step == 0 || (stop < start) != (step < 0) {
                    return 0;
                }
                (stop.abs_diff(start) / step.unsigned_abs() + 1) * 8
            }
        }
    }
}

/// An argument that is not written out for each row when it is the same for all.
struct Argument {
    values: ArrayRef,
    is_scalar: bool,
}

impl Argument {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self { values: Arc::clone(values), is_scalar: false },
            ColumnarValue::Scalar(value) => Self { values: value.to_array()?, is_scalar: true },
        })
    }

    /// Where the value of `row` is; nowhere for NULL.
    fn place(&self, row: usize) -> Option<usize> {
        let place = if self.is_scalar { 0 } else { row };
        (place < self.values.len() && self.values.is_valid(place)).then_some(place)
    }

    fn bytes(&self, row: usize) -> u128 {
        self.place(row).map_or(1, |place| bytes(&self.values, place))
    }

    fn number(&self, row: usize) -> Option<i64> {
        Some(self.values.as_primitive_opt::<Int64Type>()?.value(self.place(row)?))
    }

    /// A number, or a day or time in nanoseconds.
    fn moment(&self, row: usize) -> Option<i128> {
        let place = self.place(row)?;
        let unit: i128 = match self.values.data_type() {
            DataType::Int64 | DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Date32 => DAY,
            _ => return None,
        };
        let value = cast(&self.values.slice(place, 1), &DataType::Int64).ok()?;
        Some(i128::from(value.as_primitive_opt::<Int64Type>()?.value(0)) * unit)
    }

    /// A number, or an interval in nanoseconds, where months are as short as they can be.
    fn step(&self, row: usize) -> Option<i128> {
        if let Some(intervals) = self.values.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let (months, days, nanoseconds) =
                IntervalMonthDayNanoType::to_parts(intervals.value(self.place(row)?));
            return Some(
                (i128::from(months) * 28 + i128::from(days)) * DAY + i128::from(nanoseconds),
            );
        }
        self.number(row).map(i128::from)
    }
}

/// About how many bytes one value has, which is not NULL.
fn bytes(values: &ArrayRef, row: usize) -> u128 {
    let of_items = |items: ArrayRef| {
        let is_there = |item: &usize| items.is_valid(*item);
        (0..items.len()).filter(is_there).map(|item| bytes(&items, item)).sum::<u128>() + 8
    };
    let length = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(row).len(),
        DataType::Utf8View => values.as_string_view().value(row).len(),
        DataType::Binary => values.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => values.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => values.as_binary_view().value(row).len(),
        DataType::List(_) => return of_items(values.as_list::<i32>().value(row)),
        DataType::LargeList(_) => return of_items(values.as_list::<i64>().value(row)),
        DataType::Struct(_) => {
            let columns = values.as_struct().columns().iter();
            return columns.map(|column| bytes(column, row)).sum();
        }
        other => other.primitive_width().unwrap_or(16),
    };
    length as u128
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray, StringArray};
    use datafusion::common::ScalarValue;

    use super::*;

    fn number(number: i64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Int64(Some(number)))
    }

    fn text(text: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(text))
    }

    fn size(size: Size, arguments: &[ColumnarValue]) -> u128 {
        let arguments: Vec<_> =
            arguments.iter().map(|argument| Argument::of(argument).unwrap()).collect();
        size.bytes(&arguments, 0)
    }

    #[test]
    fn sizes_follow_from_the_arguments_and_do_not_overflow() {
        assert_eq!(size(Size::Times, &[text("abc"), number(5)]), 15);
        assert_eq!(size(Size::Times, &[text("abc"), number(-5)]), 3);
        assert_eq!(size(Size::Times, &[text("ab"), number(i64::MAX)]), 2 * (i64::MAX as u128));
        assert_eq!(size(Size::Letters, &[text("a"), number(100), text("ü")]), 400);
        assert_eq!(size(Size::Steps, &[number(10)]), 88);
        assert_eq!(size(Size::Steps, &[number(i64::MIN), number(i64::MAX)]), 8 << 64);
        assert_eq!(size(Size::Steps, &[number(1_000_000_000), number(0)]), 0);
        assert_eq!(size(Size::Steps, &[number(10), number(0), number(-5)]), 24);
        assert_eq!(size(Size::Steps, &[number(0), number(9), number(0)]), 0);
        let day = |day| ColumnarValue::Scalar(ScalarValue::Date32(Some(day)));
        let step = ScalarValue::new_interval_mdn(0, 0, 1);
        let years = size(Size::Steps, &[day(0), day(1), ColumnarValue::Scalar(step)]);
        assert_eq!(years, (DAY as u128 + 1) * 8);
    }

    #[test]
    fn a_list_is_as_large_as_its_items() {
        let lists = [Some(vec![Some(1), None, Some(3)]), None];
        let lists = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)) as ArrayRef;
        assert_eq!(bytes(&lists, 0), 24);
        let lists = ColumnarValue::Array(lists);
        assert_eq!(size(Size::Times, &[lists.clone(), number(1000)]), 24_000);
        assert_eq!(size(Size::Length, &[lists, number(1000)]), 8024);
    }

    #[test]
    fn one_value_and_a_batch_have_their_bounds() {
        let repeat = Bounded::of(&datafusion::functions::string::repeat()).unwrap();
        let all: ArrayRef = Arc::new(StringArray::from(vec!["x"; 100]));
        let times = |times| ColumnarValue::Array(Arc::new(Int64Array::from(vec![times; 100])));
        let of = |count| repeat.check(&[ColumnarValue::Array(Arc::clone(&all)), times(count)], 100);
        assert!(of(1_000_000).is_ok());
        assert!(of(10_000_000).unwrap_err().to_string().contains("for 100 rows"));
        assert!(of(1_000_000_000).unwrap_err().to_string().contains("a value of 1000000000 bytes"));
        // The same text for every row is written out for every row.
        assert!(repeat.check(&[text("x"), number(10_000_000)], 1).is_ok());
        assert!(repeat.check(&[text("x"), number(10_000_000)], 1000).is_err());
        assert!(Bounded::of(&datafusion::functions::string::lower()).is_none());
    }
}
