//! Why a visit has its channel: which line of which file decided.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};

use crate::error::shortened;
use crate::project::Line;

use super::named::Named;
use super::way::{Way, Witness};

/// How much of a claim a reason shows, in characters.
const SHOWN: usize = 120;

/// The lines that decided, and what they decided upon.
#[derive(Debug)]
pub(super) struct Reason {
    rule: Option<Line>,
    site: Option<Line>,
    why: String,
}

impl Reason {
    pub(super) fn of(way: &Way<'_>) -> Self {
        let named = way.source.as_ref().map(|(_, named)| named).or(way.left_out.as_ref());
        Self {
            rule: way.rule.map(|rule| rule.line.clone()),
            site: named.and_then(|named| named.site).map(|site| site.line.clone()),
            why: why(way),
        }
    }
}

/// The fields of the STRUCT that [`array`] makes.
pub(super) fn fields() -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    [
        text("channel"),
        text("rule"),
        number("rule_line"),
        text("site"),
        number("site_line"),
        text("why"),
    ]
    .into_iter()
    .collect()
}

/// A STRUCT for each channel and its reason.
pub(super) fn array(reasons: &[(&str, &Reason)]) -> Result<StructArray, arrow::error::ArrowError> {
    let files = |line: fn(&Reason) -> Option<&Line>| -> ArrayRef {
        let files = reasons.iter().map(|(_, reason)| Some(&*line(reason)?.file));
        Arc::new(files.collect::<StringViewArray>())
    };
    let numbers = |line: fn(&Reason) -> Option<&Line>| -> ArrayRef {
        let numbers = reasons.iter().map(|(_, reason)| i64::try_from(line(reason)?.number).ok());
        Arc::new(numbers.collect::<Int64Array>())
    };
    let channels = reasons.iter().map(|(channel, _)| Some(*channel));
    let whys = reasons.iter().map(|(_, reason)| Some(reason.why.as_str()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(channels.collect::<StringViewArray>()),
        files(|reason| reason.rule.as_ref()),
        numbers(|reason| reason.rule.as_ref()),
        files(|reason| reason.site.as_ref()),
        numbers(|reason| reason.site.as_ref()),
        Arc::new(whys.collect::<StringViewArray>()),
    ];
    StructArray::try_new(fields(), columns, None)
}

/// One sentence about what was claimed and what is known of it.
fn why(way: &Way<'_>) -> String {
    let mut why = match &way.source {
        Some((Witness::Source, named)) => about("source", named),
        Some((Witness::Referrer, named)) => about("referrer", named),
        Some((Witness::ClickId, named)) => about("click id of", named),
        None if way.medium.is_some() => "no source".to_owned(),
        None if way.is_internal || way.left_out.is_some() => "no source or medium".to_owned(),
        None => "no source, medium or referrer".to_owned(),
    };
    if let (None | Some((Witness::Source | Witness::ClickId, _)), Some(referrer)) =
        (&way.source, &way.referrer)
    {
        add(&mut why, "referrer", &referrer.looked_for);
    }
    match &way.medium {
        Some(medium) => add(&mut why, "medium", medium),
        None if way.source.is_some() => why.push_str(", no medium"),
        None => {}
    }
    if let Some(campaign) = &way.campaign {
        add(&mut why, "campaign", campaign);
    }
    if way.is_paid {
        why.push_str(", paid for");
    }
    if way.is_internal {
        why.push_str(", the referrer is a page of the site itself");
    }
    if let Some(named) = &way.left_out {
        let about = about("referrer", named);
        why.extend([", ", about.as_str(), ", which nobody comes from"]);
    }
    why
}

fn about(what: &str, named: &Named<'_>) -> String {
    let looked_for = shortened(&named.looked_for, SHOWN);
    match named.site {
        Some(site) => {
            let category = if site.category.is_empty() { "none" } else { site.category.as_str() };
            format!("{what} {looked_for} is `{}` ({category}) in {}", site.name, site.line)
        }
        None => format!("{what} {looked_for} is no known site"),
    }
}

fn add(why: &mut String, what: &str, text: &str) {
    let text = shortened(text, SHOWN);
    why.extend([", ", what, " ", &*text]);
}
