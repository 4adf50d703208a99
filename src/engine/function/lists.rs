//! Lists as ranges of their items.

use std::ops::Range;

use arrow::array::{Array as _, ArrayRef, ListArray};

/// The items of `lists`, no others that they may be a part of, and for each list where its items are;
/// None for NULL.
pub(super) fn ranges(lists: &ListArray) -> (ArrayRef, Vec<Option<Range<usize>>>) {
    let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
    let ends: Vec<usize> = lists.offsets().iter().map(|offset| place(*offset)).collect();
    let first = ends.first().copied().unwrap_or(0);
    let last = ends.last().copied().unwrap_or(0);
    let range = |(row, ends): (usize, &[usize])| match ends {
        [start, end] if lists.is_valid(row) => Some(start - first..end - first),
        _ => None,
    };
    let ranges = ends.windows(2).enumerate().map(range).collect();
    (lists.values().slice(first, last - first), ranges)
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray as _, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_part_of_some_lists_has_its_own_items_only() {
        let list = |items: &[i64]| Some(items.iter().copied().map(Some).collect::<Vec<_>>());
        let lists = [list(&[1, 2]), None, list(&[]), list(&[3]), list(&[4, 5])];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        let (items, found) = ranges(&lists.slice(1, 3));
        assert_eq!(items.as_primitive::<Int64Type>(), &Int64Array::from(vec![3]));
        assert_eq!(found, [None, Some(0..0), Some(0..1)]);
    }
}
