//! A Silver model to start from, and what a pipeline says of it.

use super::bronze::Column;
use super::column_type::ColumnType;
use super::keys::Keys;
use super::naming::{Names, quoted, snake};

/// The columns that tell where a row came from.
const ORIGIN: [&str; 4] = ["_source", "_position", "_batch", "_ingested_at"];
/// What ends the name of a time and says nothing else.
const TIME_ENDINGS: [&str; 7] = ["at", "time", "timestamp", "ts", "datetime", "date", "tstamp"];

/// What the model of a table does.
#[derive(Debug)]
pub(super) struct Starter {
    /// The table in Bronze and Silver.
    table: String,
    /// What each column of the model is called, and what it is computed by.
    columns: Vec<(String, String)>,
    /// What is computed from the time, and called so: the day.
    day: Option<(String, String)>,
    /// The columns of the key.
    key: Vec<String>,
    /// Whether records were delivered more than once.
    has_redeliveries: bool,
    /// Whether the day is a partition.
    is_parted: bool,
}

impl Starter {
    /// The model over a Bronze table of these columns, in whose `records` the `keys` were found. Days
    /// that are few are partitions.
    pub(super) fn new(
        table: &str,
        columns: &[Column],
        (keys, records): (&Keys, u64),
        has_few_days: bool,
    ) -> Self {
        let is_there = |name: &String| columns.iter().any(|(other, _)| other == name);
        let time = keys.time.as_ref().filter(|time| is_there(time));
        let mut names = Names::default();
        let day = time.map(|time| {
            let moment = format!("CAST(instant({}) AS DATE)", quoted(time));
            (names.give(&day_name(time)), moment)
        });
        let named: Vec<(&String, String, String)> = columns
            .iter()
            .map(|(name, column_type)| {
                let plain = quoted(name);
                let is_time = keys.times.contains(name) && is_readable(column_type);
                let sql = if is_time { format!("instant({plain})") } else { plain };
                (name, names.give(&snake(name)), sql)
            })
            .collect();
        let key = keys.key(records).filter(|key| key.fields.iter().all(is_there));
        let name_of = |field: &String| {
            named.iter().find(|(other, ..)| *other == field).map(|(_, name, _)| name.clone())
        };
        Self {
            table: table.to_owned(),
            key: key.map_or_else(Vec::new, |key| key.fields.iter().filter_map(name_of).collect()),
            has_redeliveries: key.is_some_and(|key| key.repeated() > 0),
            is_parted: has_few_days && key.is_none_or(|key| key.keeps_day()),
            columns: named.into_iter().map(|(_, name, sql)| (name, sql)).collect(),
            day,
        }
    }

    fn is_upsert(&self) -> bool {
        self.has_redeliveries && !self.key.is_empty()
    }

    /// The partitions, of which there is one or none.
    fn partition(&self) -> Option<&str> {
        self.day.as_ref().filter(|_| self.is_parted).map(|(name, _)| name.as_str())
    }

    /// The model.
    pub(super) fn sql(&self) -> String {
        let key = self.key.join(", ");
        let what = match (self.key.is_empty(), self.is_upsert()) {
            (true, _) => "One row per delivered record, typed.".to_owned(),
            (false, false) => format!("One row per delivered record ({key}), typed."),
            (false, true) => format!("One row per {key}, the newest delivery, typed."),
        };
        let own =
            self.day.iter().chain(&self.columns).map(|(name, sql)| match *sql == quoted(name) {
                true => sql.clone(),
                false => format!("{sql} AS {}", quoted(name)),
            });
        let lines: Vec<String> =
            own.chain(ORIGIN.map(str::to_owned)).map(|line| format!("    {line}")).collect();
        format!("-- {what}\nSELECT\n{}\nFROM bronze.{}\n", lines.join(",\n"), self.table)
    }

    /// What a pipeline says of the model.
    pub(super) fn section(&self) -> String {
        let table = &self.table;
        let mut text = format!("[model.\"silver.{table}\"]\n");
        let by: Vec<&str> =
            self.partition().into_iter().chain(self.key.iter().map(String::as_str)).collect();
        match self.is_upsert() {
            true => text.push_str(&format!("strategy = \"upsert\"\nby = {}\n", list(&by))),
            false => {
                if !self.key.is_empty() {
                    text.push_str(&format!(
                        "# Should records be delivered again: strategy = \"upsert\", by = {}\n",
                        list(&by)
                    ));
                }
                text.push_str("strategy = \"append\"\n");
            }
        }
        if let Some(day) = self.partition() {
            text.push_str(&format!("partition-by = {}\n", list(&[day])));
        }
        for column in &self.key {
            text.push_str(&format!(
                "\n[model.\"silver.{table}\".expect.has_{column}]\ncheck = {}\n\
                 otherwise = \"quarantine\"\n",
                literal(&format!("{} IS NOT NULL", quoted(column)))
            ));
        }
        text
    }
}

/// What a pipeline says of the source `name`, whose files are at `paths`, and the records in them at
/// `records`.
pub(super) fn source_section(name: &str, paths: &[String], records: Option<&str>) -> String {
    let paths = match paths {
        [path] => literal(path),
        _ => list(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    let records = records.map(|path| format!("records = {}\n", literal(path)));
    format!("[source.{name}.files]\npath = {paths}\n{}", records.unwrap_or_default())
}

fn is_readable(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::Text | ColumnType::Integer)
}

/// What the day of the time called `name` is called: `event_day` for `event_time`.
fn day_name(name: &str) -> String {
    let name = snake(name);
    let words: Vec<&str> = name.split('_').filter(|word| !TIME_ENDINGS.contains(word)).collect();
    match words.is_empty() || words == ["day"] {
        true => "day".to_owned(),
        false => format!("{}_day", words.join("_")),
    }
}

/// A text in TOML.
fn literal(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::testing::{profile, record, seconds};

    fn starter(records: &[String]) -> Starter {
        let profile = profile(records);
        let mut keys = Keys::of(&profile, "visits");
        records.iter().for_each(|text| keys.add(&record(text), seconds));
        let columns = profile.columns().into_iter();
        let columns: Vec<Column> =
            columns.map(|(name, field)| (name.to_owned(), profile.column_type(field))).collect();
        Starter::new("visits", &columns, (&keys, profile.records), true)
    }

    #[test]
    fn times_are_typed_and_names_made_plain() {
        let visit = |n: u64| format!("{{\"visitId\":{n},\"startTime\":{n},\"order\":\"x\"}}");
        let records: Vec<String> = (0..5).map(visit).collect();
        assert_eq!(
            starter(&records).sql(),
            "-- One row per delivered record (visit_id), typed.\nSELECT\n    \
             CAST(instant(\"startTime\") AS DATE) AS start_day,\n    \"visitId\" AS visit_id,\n    \
             instant(\"startTime\") AS start_time,\n    \"order\",\n    _source,\n    \
             _position,\n    _batch,\n    _ingested_at\nFROM bronze.visits\n"
        );
        let section = starter(&records).section();
        assert!(section.contains("\nstrategy = \"append\"\npartition-by = [\"start_day\"]\n"));
        assert!(section.contains("check = \"visit_id IS NOT NULL\"\n"), "{section}");
    }

    #[test]
    fn what_was_delivered_again_is_an_upsert() {
        let visit = |n: u64| format!("{{\"visit_id\":{n},\"ts\":{n}}}");
        let records: Vec<String> = (0..5).chain(0..2).map(visit).collect();
        let section = starter(&records).section();
        let expected = "[model.\"silver.visits\"]\nstrategy = \"upsert\"\n\
                        by = [\"day\", \"visit_id\"]\npartition-by = [\"day\"]\n\n";
        assert!(section.starts_with(expected), "{section}");
        assert!(starter(&records).sql().starts_with("-- One row per visit_id, the newest"));
    }

    #[test]
    fn without_a_key_or_a_time_rows_are_added() {
        let records = ["{\"a\":1.5}".to_owned(), "{\"a\":2}".to_owned()];
        assert_eq!(
            starter(&records).section(),
            "[model.\"silver.visits\"]\nstrategy = \"append\"\n"
        );
        let section = source_section("visits", &["a \"b\".json".to_owned(), "c".to_owned()], None);
        let table: toml::Table = section.parse().unwrap();
        let paths = table["source"]["visits"]["files"]["path"].as_array().unwrap();
        assert_eq!(paths[0].as_str(), Some("a \"b\".json"));
        let section = source_section("visits", &["c".to_owned()], Some("$.\"a\"[*]"));
        let table: toml::Table = section.parse().unwrap();
        assert_eq!(table["source"]["visits"]["files"]["records"].as_str(), Some("$.\"a\"[*]"));
    }

    #[test]
    fn days_are_named_after_their_times() {
        for (name, day) in [
            ("ts", "day"),
            ("event_time", "event_day"),
            ("createdAt", "created_day"),
            ("event_date", "event_day"),
            ("day", "day"),
        ] {
            assert_eq!(day_name(name), day);
        }
    }
}
