//! SQL functions of clickwatch, one per file, known in every session.

mod bounded;
mod count_events;
mod first_event;
mod instant;
mod interval;
mod journeys;
mod json;
mod lists;
mod param;
mod paths;
mod removal_effects;
mod session_number;
mod share;
mod texts;
mod touch;
mod url_parts;
mod user_agent;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion::prelude::SessionContext;

use crate::project::Channels;

use bounded::Bounded;
pub(super) use json::without_unions;

pub(crate) use instant::instant;

/// The version of one of our functions, and of those about JSON; None for those of the engine. It counts
/// when the function gives other results than before for what it was given before, so that tables that
/// were built with it are built anew.
pub(super) fn version(name: &str) -> Option<u32> {
    match name {
        "browser_name" | "channel_reason" | "count_events" | "device_name" | "param"
        | "removal_effects" | "session_number" | "share" | "system_name" => Some(1),
        "channel" | "first_event" | "instant" | "journeys" | "touch" | "url_parts"
        | "user_agent" => Some(2),
        name if name.starts_with("json_") => Some(1),
        _ => None,
    }
}

/// All functions.
pub(super) struct Functions {
    of_row: Vec<ScalarUDF>,
    of_many_rows: Vec<AggregateUDF>,
    of_row_among_others: Vec<WindowUDF>,
}

impl Functions {
    /// All functions; those about channels go by the rules of `channels`.
    pub(super) fn new(channels: &Arc<Channels>) -> Self {
        Self {
            of_row: vec![
                count_events::CountEvents::new().into(),
                first_event::FirstEvent::new().into(),
                instant::Instant::new().into(),
                journeys::Journeys::new().into(),
                param::Param::new().into(),
                touch::Touch::whole(channels).into(),
                touch::Touch::channel(channels).into(),
                touch::Touch::reason(channels).into(),
                url_parts::UrlParts::new().into(),
                user_agent::UserAgent::new().into(),
                user_agent::NameOf::system().into(),
                user_agent::NameOf::browser().into(),
                user_agent::NameOf::device().into(),
            ],
            of_many_rows: vec![removal_effects::RemovalEffects::new().into()],
            of_row_among_others: vec![
                session_number::SessionNumber::new().into(),
                share::Share::new().into(),
            ],
        }
    }

    /// Makes them known to a session, and keeps the engine's own within bounds.
    ///
    /// Errors: none from a session, which takes whatever is registered.
    pub(super) fn register(&self, context: &SessionContext) -> Result<()> {
        let bounded: Vec<_> = context
            .state_ref()
            .read()
            .scalar_functions()
            .values()
            .filter_map(|function| Bounded::of(function))
            .collect();
        bounded.into_iter().for_each(|function| context.register_udf(function.into()));
        self.of_row.iter().for_each(|function| context.register_udf(function.clone()));
        self.of_many_rows.iter().for_each(|function| context.register_udaf(function.clone()));
        self.of_row_among_others
            .iter()
            .for_each(|function| context.register_udwf(function.clone()));
        json::register(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_version() {
        let functions = Functions::new(&Arc::new(Channels::shipped()));
        let names = functions
            .of_row
            .iter()
            .map(ScalarUDF::name)
            .chain(functions.of_many_rows.iter().map(AggregateUDF::name))
            .chain(functions.of_row_among_others.iter().map(WindowUDF::name));
        for name in names {
            assert!(version(name).is_some(), "{name}");
        }
        assert_eq!(version("lower"), None);
        let context = SessionContext::new();
        functions.register(&context).unwrap();
        let state = context.state();
        let of_json = state.scalar_functions().keys().filter(|name| name.starts_with("json_"));
        assert!(of_json.count() > 10);
    }
}
