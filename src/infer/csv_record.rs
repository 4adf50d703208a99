//! Rows of CSV as records: which columns their fields go into, and what their texts look like.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::project::is_column_name;
use crate::source::{Entries, exact_double, is_whole_number};

use super::naming::plain_words;
use super::record::{Record, last_of_each};

/// The columns that the fields called `names` go into, by these names. A column is named once.
pub(super) fn columns(names: &[String]) -> HashMap<String, String> {
    let mut columns = HashMap::new();
    for name in names {
        let plain = plain_words(name);
        let column = match is_column_name(name) || names.contains(&plain) {
            true => name.clone(),
            false => plain,
        };
        if !column.is_empty() && !columns.values().any(|other| *other == column) {
            columns.insert(name.clone(), column);
        }
    }
    columns
}

/// The record of a row that is `object` in JSON, all of texts, whose fields go into `columns`.
pub(super) fn record<'a>(object: &'a str, columns: &HashMap<String, String>) -> Option<Record<'a>> {
    let Entries(entries) = serde_json::from_str::<Entries<'_>>(object).ok()?;
    let field = |(name, raw): (Cow<'_, str>, Cow<'_, str>)| {
        let text: String = serde_json::from_str(&raw).ok()?;
        let column = columns.get(&*name).filter(|_| !text.is_empty())?;
        Some((Cow::Owned(column.clone()), Cow::Owned(value(&text))))
    };
    let fields = last_of_each(&entries).into_iter().filter_map(field).collect();
    Some(Record { text: Cow::Borrowed(object), fields, is_of_texts: true })
}

/// The value that `text` is by its form, as JSON. Digits behind a zero are no number but a code.
fn value(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let is_json = || serde_json::from_str::<serde_json::Number>(text).is_ok();
    let is_number = match is_whole_number(text) {
        true => text.parse::<i64>().is_ok(),
        false => exact_double(text).is_some() && is_json(),
    };
    match text {
        "true" | "false" => text.to_owned(),
        _ if is_number && !is_code => text.to_owned(),
        _ => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_they_look_like() {
        for (text, json) in [
            ("12", "12"),
            ("-1.5", "-1.5"),
            ("0.5", "0.5"),
            ("0", "0"),
            ("007", "\"007\""),
            ("1.", "\"1.\""),
            ("1e999", "\"1e999\""),
            ("99999999999999999999", "\"99999999999999999999\""),
            ("true", "true"),
            ("True", "\"True\""),
            ("a \"b\"", "\"a \\\"b\\\"\""),
        ] {
            assert_eq!(value(text), json);
        }
    }

    #[test]
    fn fields_go_into_columns_by_their_names() {
        let names = ["Page URL", "n", "", "Page-URL", "a b", "a_b"].map(str::to_owned);
        let columns = columns(&names);
        let object =
            r#"{"Page URL":"/a","n":"1","":"x","Page-URL":"/b","n":"2","a b":"","a_b":"5"}"#;
        let record = record(object, &columns).unwrap();
        let mut fields: Vec<String> =
            record.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        fields.sort();
        assert_eq!(fields, ["a_b=5", "n=2", "page_url=\"/a\""]);
    }
}
