//! What rows have to satisfy, and by what they are compared.

mod expectations;
mod totals;

pub(super) use expectations::{Expectations, Gate, all_expectations, failed_expectation};
pub(super) use totals::{Total, add_to_totals, part_names, rows_of_parts, without_floats};
