//! Names: of tables, of columns, and how they are written in SQL.

use std::collections::HashSet;
use std::path::Path;

use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use crate::name::is_identifier;

/// Keywords that every part of the SQL takes as names without quotes.
const PLAIN: [&str; 60] = [
    "account",
    "action",
    "at",
    "begin",
    "bytes",
    "category",
    "channel",
    "class",
    "data",
    "date",
    "day",
    "days",
    "domain",
    "error",
    "event",
    "exception",
    "hash",
    "header",
    "hour",
    "id",
    "items",
    "language",
    "level",
    "location",
    "message",
    "metadata",
    "method",
    "minute",
    "month",
    "name",
    "object",
    "options",
    "other",
    "owner",
    "path",
    "plan",
    "query",
    "region",
    "result",
    "role",
    "session",
    "settings",
    "size",
    "source",
    "start",
    "status",
    "table",
    "tag",
    "target",
    "text",
    "time",
    "timestamp",
    "timezone",
    "type",
    "url",
    "user",
    "value",
    "version",
    "views",
    "year",
];

/// `name` as it stands in SQL: in quotes unless it means itself without them.
pub(super) fn quoted(name: &str) -> String {
    let is_keyword = || {
        let upper = name.to_ascii_uppercase();
        !PLAIN.contains(&name) && ALL_KEYWORDS.contains(&upper.as_str())
    };
    match is_identifier(name) && !is_keyword() {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// `name` in lower snake case, without what is neither a letter nor a digit of ASCII: `pageUrl` is
/// `page_url`, `userID` is `user_id`. Empty when nothing is left.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let letters: Vec<char> = name.chars().collect();
    for (index, letter) in letters.iter().copied().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let behind = letters.get(index + 1);
        let begins_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let is_acronym_end = behind.is_some_and(char::is_ascii_lowercase);
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && is_acronym_end
            });
        if (begins_word || !letter.is_ascii_alphanumeric()) && !snake.ends_with('_') {
            snake.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            snake.push(letter.to_ascii_lowercase());
        }
    }
    snake.trim_matches('_').to_owned()
}

/// The name of a field of CSV as a column's: its words in lower case.
pub(super) fn plain_words(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// The name of the table that the records at `path` may go into: what the file or the directory is
/// called, without what tells its format or its number.
pub(super) fn table_of(path: &Path) -> Option<String> {
    let is_pattern = |text: &str| text.contains(['*', '?', '[', '{']);
    let mut parts = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let name = parts.rfind(|name| !is_pattern(name))?;
    let stem = snake(name.split('.').find(|part| !part.is_empty())?);
    let mut bare = stem.as_str();
    while let Some((before, number)) = bare.rsplit_once('_')
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        bare = before;
    }
    is_identifier(bare).then(|| bare.to_owned())
}

/// Names of columns, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// `wanted`, or that with a number behind it, when it is given already.
    pub(super) fn give(&mut self, wanted: &str) -> String {
        let wanted = match is_identifier(wanted) {
            true => wanted.to_owned(),
            false => format!("column_{wanted}").trim_end_matches('_').to_owned(),
        };
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, sql) in [
            ("event_id", "event_id"),
            ("timestamp", "timestamp"),
            ("pageUrl", "\"pageUrl\""),
            ("order", "\"order\""),
            ("key", "\"key\""),
            ("values", "\"values\""),
            ("a b.c", "\"a b.c\""),
            ("it\"s", "\"it\"\"s\""),
        ] {
            assert_eq!(quoted(name), sql);
        }
    }

    #[test]
    fn names_in_snake_case() {
        for (name, expected) in [
            ("pageUrl", "page_url"),
            ("userID", "user_id"),
            ("HTTPStatus", "http_status"),
            ("event.name", "event_name"),
            ("Page  URL", "page_url"),
            ("$browser", "browser"),
            ("utm_source", "utm_source"),
            ("ga4Id2X", "ga4_id2_x"),
            ("größe", "gr_e"),
            ("日", ""),
        ] {
            assert_eq!(snake(name), expected, "{name}");
        }
        assert_eq!(plain_words("Page-URL (raw)"), "page_url_raw");
        let mut names = Names::default();
        let given = ["user_id", "user_id", "", "1st"].map(|name| names.give(name));
        assert_eq!(given, ["user_id", "user_id_2", "column", "column_1st"]);
    }

    #[test]
    fn tables_are_named_after_files_and_directories() {
        for (path, name) in [
            ("landing/events", Some("events")),
            ("landing/ga4", Some("ga4")),
            ("landing/events_20210131.ndjson.gz", Some("events")),
            ("data/access-log/*.csv", Some("access_log")),
            ("data/part-0001.json", Some("part")),
            ("./UserEvents.json", Some("user_events")),
            ("2025/*/*.json", None),
            ("/", None),
        ] {
            assert_eq!(table_of(Path::new(path)).as_deref(), name, "{path}");
        }
    }
}
