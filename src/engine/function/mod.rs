//! SQL functions of clickwatch, one per file, known in every session.

mod channel;
mod count_events;
mod instant;

use datafusion::logical_expr::ScalarUDF;

/// All functions.
pub(super) fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(channel::Channel::new()),
        ScalarUDF::new_from_impl(count_events::CountEvents::new()),
        ScalarUDF::new_from_impl(instant::Instant::new()),
    ]
}
