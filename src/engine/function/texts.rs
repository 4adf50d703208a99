//! A function of texts, computed once for each different text of a batch, or of many batches.

use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{
    ArrayRef, AsArray as _, NullBufferBuilder, StringViewArray, StringViewBuilder, StructArray,
    UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{HashMap, Result, exec_err};

/// The STRUCT of texts with these fields.
pub(super) fn fields<const N: usize>(names: [&str; N]) -> Fields {
    names.iter().map(|name| Field::new(*name, DataType::Utf8View, true)).collect()
}

/// The different texts of an array, and for each row which of them it holds.
pub(super) fn distinct(texts: &StringViewArray) -> (Vec<&str>, UInt32Array) {
    let mut different = Vec::new();
    let mut known = HashMap::new();
    let places = texts.iter().map(|text| {
        let text = text?;
        let place = known.entry(text).or_insert_with(|| {
            different.push(text);
            different.len() - 1
        });
        // An array has no more rows than its offsets can count.
        u32::try_from(*place).ok()
    });
    let places = places.collect();
    (different, places)
}

/// What was computed of texts before: few different ones come often, and these are found again.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    most: usize,
    known: RwLock<HashMap<String, T>>,
}

impl<T: Clone> Remembered<T> {
    /// Nothing yet. It forgets everything when it has `most` of them.
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: RwLock::default() }
    }

    /// What is remembered of `text`, or else what `compute` gives.
    pub(super) fn get_or(&self, text: &str, compute: impl FnOnce() -> T) -> T {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return known.clone();
        }
        let computed = compute();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(text.to_owned(), computed.clone());
        computed
    }
}

/// The STRUCTs of `names` that `compute` gives for the text of each row, NULL where it gives none.
pub(super) fn structs<const N: usize>(
    arguments: &[ArrayRef],
    names: [&str; N],
    compute: impl Fn(&str) -> Option<[Option<String>; N]>,
) -> Result<ArrayRef> {
    let [texts] = arguments else { return exec_err!("one text is wanted") };
    let texts = cast(texts, &DataType::Utf8View)?;
    let (different, places) = distinct(texts.as_string_view());
    let mut columns = [(); N].map(|()| StringViewBuilder::with_capacity(different.len()));
    let mut nulls = NullBufferBuilder::new(different.len());
    for text in different {
        let values = compute(text);
        nulls.append(values.is_some());
        for (index, column) in columns.iter_mut().enumerate() {
            column.append_option(values.as_ref().and_then(|values| values.get(index)?.as_deref()));
        }
    }
    let columns = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
    let structs = StructArray::try_new(fields(names), columns, nulls.finish())?;
    Ok(take(&structs, &places, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_computed_is_found_again_until_there_is_too_much() {
        let remembered = Remembered::new(2);
        assert_eq!(remembered.get_or("a", || 1), 1);
        assert_eq!(remembered.get_or("b", || 2), 2);
        assert_eq!(remembered.get_or("a", || 3), 1);
        assert_eq!(remembered.get_or("c", || 4), 4);
        assert_eq!(remembered.get_or("a", || 5), 5);
        assert_eq!(remembered.get_or("c", || 6), 4);
    }
}
