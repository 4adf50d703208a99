//! What the tables must hold, worked out from the input alone: plain loops over plain maps, and
//! nothing of the program's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::differences::{Comparison, differences, surplus};
use crate::support::{Bench, CRAWLER};
use crate::traffic::Batch;
use crate::{visits, ways};

const BRONZE: &str = "SELECT [_source, CAST(_position AS TEXT)] AS r FROM bronze.web_sessions";
const QUARANTINE: &str = "SELECT [_source, CAST(_position AS TEXT)] AS r FROM ops.quarantine \
    WHERE table_name = 'bronze.web_sessions'";
const SESSIONS: &str = "SELECT [CAST(session_date AS TEXT), user_id, session_id, \
    CAST(time_spent_seconds AS TEXT), CAST(conversion AS TEXT), page_path, \
    CAST(event_count AS TEXT)] AS r FROM silver.sessions";
const EVENTS: &str = "SELECT [CAST(session_date AS TEXT), user_id, session_id, \
    CAST(event_index AS TEXT), event_type, element_id] AS r FROM silver.final_cookies";
const VISITS: &str = "SELECT [user_id, CAST(visitor_count AS TEXT), CAST(sessions AS TEXT), \
    CAST(CAST(first_seen_at AS BIGINT) AS TEXT), CAST(CAST(last_seen_at AS BIGINT) AS TEXT)] AS r \
    FROM silver.visit_count";
const ATTRIBUTION: &str = "SELECT [CAST(session_date AS TEXT), platform, utm_medium, utm_campaign, \
    CAST(sum(sessions) AS TEXT), CAST(sum(conversions) AS TEXT), CAST(sum(bounces) AS TEXT)] AS r \
    FROM gold.utm_attribution GROUP BY session_date, platform, utm_medium, utm_campaign";
const BOTS: &str = "SELECT [CAST(session_date AS TEXT), CAST(sessions AS TEXT), \
    CAST(conversions AS TEXT), CAST(bounces AS TEXT), CAST(visitors AS TEXT)] AS r \
    FROM gold.bot_sessions WHERE bot_reason IS NOT NULL";
const CONVERSIONS: &str = "SELECT [CAST(session_date AS TEXT), element_id, event_type, \
    CAST(events AS TEXT), CAST(sessions AS TEXT), CAST(converting_sessions AS TEXT)] AS r \
    FROM gold.conversions";
const VISITORS: &str = "SELECT [CAST(session_date AS TEXT), CAST(visitors AS TEXT), \
    CAST(returning_visitors AS TEXT), CAST(new_visitors AS TEXT), CAST(known_visitors AS TEXT), \
    CAST(sessions AS TEXT)] AS r FROM gold.return_visitors";
const PAGES: &str = "SELECT [CAST(session_date AS TEXT), page_path, CAST(sessions AS TEXT), \
    CAST(visitors AS TEXT), CAST(total_time_spent AS TEXT)] AS r FROM gold.page_engagement";
const USER_PAGES: &str = "SELECT [CAST(session_date AS TEXT), user_id, page_path, \
    CAST(sessions AS TEXT), CAST(total_time_spent AS TEXT)] AS r FROM gold.user_page_engagement";
const DURATIONS: &str = "SELECT [CAST(session_date AS TEXT), CAST(from_seconds AS TEXT), \
    CAST(sessions AS TEXT)] AS r FROM gold.session_durations";
const DIMENSIONS: &str = "SELECT [CAST(session_date AS TEXT), dimension, value, \
    CAST(sessions AS TEXT), CAST(conversions AS TEXT), CAST(bounces AS TEXT)] AS r \
    FROM gold.visits_by_dimension \
    WHERE dimension IN ('device_type', 'claimed_device_type', 'source', 'page')";

/// What was delivered, and what of it counts.
pub(crate) struct Oracle {
    /// Where the records are that belong into Bronze, and those that do not.
    bronze: Vec<String>,
    broken: Vec<String>,
    /// The newest delivery of each session that no expectation rejects.
    pub sessions: Vec<Session>,
    /// Those of them that are no bots'.
    people: Vec<Session>,
}

#[derive(Clone)]
pub(crate) struct Session {
    pub day: NaiveDate,
    pub user: String,
    pub id: String,
    pub started_at: DateTime<Utc>,
    pub record: Value,
}

type Key = (Option<NaiveDate>, Option<String>, Option<String>);
/// A greater one is a newer delivery: number of the batch, file, position.
type Origin = (usize, String, usize);
/// What rows are grouped by.
pub(crate) type Group = Vec<Option<String>>;

impl Oracle {
    /// Reads the batches, in the order in which they landed.
    pub(crate) fn of(history: &[Batch]) -> Self {
        let (mut bronze, mut broken) = (Vec::new(), Vec::new());
        let mut newest: BTreeMap<Key, (Origin, Value)> = BTreeMap::new();
        for (number, batch) in history.iter().enumerate() {
            for file in &batch.files {
                let mut position = 0;
                for line in &file.lines {
                    let place = row(&[text(&file.name), text(position)]);
                    match serde_json::from_str::<Value>(line) {
                        Ok(record @ Value::Object(_)) => {
                            bronze.push(place);
                            let origin = (number, file.name.clone(), position);
                            let key = key_of(&record);
                            if newest.get(&key).is_none_or(|(known, _)| *known < origin) {
                                newest.insert(key, (origin, record));
                            }
                        }
                        _ => broken.push(place),
                    }
                    position += line.len() + 1;
                }
            }
        }
        let sessions = newest.into_iter().filter_map(|(key, (_, record))| accepted(key, record));
        let sessions: Vec<Session> = sessions.collect();
        let people = sessions.iter().filter(|session| !session.is_bot()).cloned().collect();
        Self { bronze, broken, sessions, people }
    }

    /// Each table, a query for what is compared of it, and the sorted rows that it must give.
    pub(crate) fn expected(&self) -> Vec<(&'static str, &'static str, Vec<String>)> {
        let mut tables = vec![
            ("bronze.web_sessions", BRONZE, self.bronze.clone()),
            ("ops.quarantine", QUARANTINE, self.broken.clone()),
            ("silver.sessions", SESSIONS, self.sessions.iter().map(Session::row).collect()),
            ("silver.final_cookies", EVENTS, self.events()),
            ("silver.visit_count", VISITS, self.visit_count()),
            ("gold.bot_sessions", BOTS, self.bots()),
            ("gold.utm_attribution", ATTRIBUTION, self.attribution()),
            ("gold.conversions", CONVERSIONS, self.conversions()),
            ("gold.return_visitors", VISITORS, self.return_visitors()),
            ("gold.page_engagement", PAGES, self.page_engagement()),
            ("gold.user_page_engagement", USER_PAGES, self.user_page_engagement()),
            ("gold.session_durations", DURATIONS, self.durations()),
            ("gold.visits_by_dimension", DIMENSIONS, self.dimensions()),
        ];
        let visits = visits::expected(&self.sessions, &self.people);
        tables.extend([ways::expected(&self.people), visits].concat());
        for (_, _, rows) in &mut tables {
            rows.sort();
        }
        tables
    }

    /// Asks the lake for everything, in one query, and says what is not as it must be.
    pub(crate) fn compare(&self, bench: &Bench) -> Comparison {
        let expected = self.expected();
        let parts: Vec<String> = expected
            .iter()
            .map(|(table, sql, _)| format!("SELECT '{table}' AS t, r FROM ({sql})"))
            .collect();
        let ended = bench.command(&["sql", "--format", "json", &parts.join(" UNION ALL ")]);
        let mut comparison = Comparison::default();
        if ended.code != 0 {
            comparison.differences.push(format!("the tables cannot be read: {}", ended.err));
            return comparison;
        }
        let answer: Vec<Value> = serde_json::from_str(&ended.out).unwrap();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in &answer {
            let table = row["t"].as_str().unwrap().to_owned();
            found.entry(table).or_default().push(row["r"].to_string());
        }
        for (table, _, rows) in &expected {
            let found = found.remove(*table).unwrap_or_default();
            if matches!(*table, "bronze.web_sessions" | "ops.quarantine") {
                comparison.lost += surplus(rows, &found).len();
                comparison.doubled += surplus(&found, rows).len();
            }
            comparison.differences.extend(differences(table, rows, &found));
        }
        comparison
    }

    /// Every table must be as it must be.
    #[track_caller]
    pub(crate) fn check(&self, bench: &Bench) {
        let differences = self.compare(bench).differences;
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    fn events(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for session in &self.sessions {
            let of_event = |index: Option<String>, event: &Value| {
                let mut values = vec![text(session.day), text(&session.user), text(&session.id)];
                values.extend([index, word(event, "event_type"), word(event, "element_id")]);
                row(&values)
            };
            for (index, event) in session.events().iter().enumerate() {
                rows.push(of_event(text(index), event));
            }
            if session.events().is_empty() {
                rows.push(of_event(None, &Value::Null));
            }
        }
        rows
    }

    fn visit_count(&self) -> Vec<String> {
        let key = |session: &Session| vec![text(&session.user)];
        grouped(&self.sessions, key, |sessions| {
            let claimed: i64 = sessions.iter().filter_map(|one| one.number("visit_count")).sum();
            let times = || sessions.iter().map(|one| one.started_at.timestamp_micros());
            let (first, last) = (times().min().unwrap(), times().max().unwrap());
            vec![text(claimed), text(sessions.len()), text(first), text(last)]
        })
    }

    fn attribution(&self) -> Vec<String> {
        let key = |session: &Session| {
            let claim = ["utm_source", "utm_medium", "utm_campaign"];
            let claim = claim.map(|name| word(&session.record, name));
            [text(session.day)].into_iter().chain(claim).collect::<Group>()
        };
        grouped(&self.people, key, claims)
    }

    fn bots(&self) -> Vec<String> {
        let key = |session: &Session| vec![text(session.day)];
        grouped(self.sessions.iter().filter(|session| session.is_bot()), key, |sessions| {
            let visitors: BTreeSet<&str> = sessions.iter().map(|one| one.user.as_str()).collect();
            [claims(sessions), vec![text(visitors.len())]].concat()
        })
    }

    fn conversions(&self) -> Vec<String> {
        let mut groups: BTreeMap<Group, [usize; 3]> = BTreeMap::new();
        for session in &self.people {
            let mut events: BTreeMap<Group, usize> = BTreeMap::new();
            for event in session.events() {
                if matches!(event["event_type"].as_str(), Some("click" | "submit")) {
                    let (element, kind) = (word(event, "element_id"), word(event, "event_type"));
                    *events.entry(vec![text(session.day), element, kind]).or_default() += 1;
                }
            }
            for (group, count) in events {
                let totals = groups.entry(group).or_default();
                totals[0] += count;
                totals[1] += 1;
                totals[2] += usize::from(session.says("conversion"));
            }
        }
        let with_totals = |(group, totals): (Group, [usize; 3])| {
            row(&group.into_iter().chain(totals.map(text)).collect::<Group>())
        };
        groups.into_iter().map(with_totals).collect()
    }

    fn return_visitors(&self) -> Vec<String> {
        let mut first_seen: BTreeMap<&str, NaiveDate> = BTreeMap::new();
        for session in &self.people {
            let day = first_seen.entry(&session.user).or_insert(session.day);
            *day = session.day.min(*day);
        }
        let key = |session: &Session| vec![text(session.day)];
        grouped(&self.people, key, |sessions| {
            let claim_return = sessions.iter().filter(|one| one.says("is_returning_visitor"));
            let claim_return: BTreeSet<&str> = claim_return.map(|one| one.user.as_str()).collect();
            let visitors: BTreeSet<&str> = sessions.iter().map(|one| one.user.as_str()).collect();
            let today = sessions[0].day;
            let new = visitors.iter().filter(|user| first_seen[**user] == today).count();
            let known = visitors.len() - new;
            [visitors.len(), claim_return.len(), new, known, sessions.len()].map(text).to_vec()
        })
    }

    fn page_engagement(&self) -> Vec<String> {
        let key = |session: &Session| vec![text(session.day), session.page()];
        grouped(&self.people, key, |sessions| {
            let visitors: BTreeSet<&str> = sessions.iter().map(|one| one.user.as_str()).collect();
            vec![text(sessions.len()), text(visitors.len()), text(time_spent(sessions))]
        })
    }

    fn user_page_engagement(&self) -> Vec<String> {
        let key = |session: &Session| vec![text(session.day), text(&session.user), session.page()];
        grouped(&self.people, key, |all| vec![text(all.len()), text(time_spent(all))])
    }

    fn durations(&self) -> Vec<String> {
        let seconds = |session: &Session| session.number("time_spent_seconds").unwrap_or(-1);
        let key =
            |session: &Session| vec![text(session.day), text(seconds(session).min(600) / 10 * 10)];
        let timed = self.people.iter().filter(|session| seconds(session) >= 0);
        grouped(timed, key, |sessions| vec![text(sessions.len())])
    }

    fn dimensions(&self) -> Vec<String> {
        // The devices that occur have the names that they are told by.
        let device = |session: &Session| word(&session.record, "device_type");
        let dimensions: [(&str, Claim<'_>); 4] = [
            ("device_type", &device),
            ("claimed_device_type", &device),
            ("source", &ways::source),
            ("page", &Session::page),
        ];
        let rows = |(name, value): (&str, Claim<'_>)| {
            let key = |session: &Session| vec![text(session.day), text(name), value(session)];
            grouped(&self.people, key, claims)
        };
        dimensions.into_iter().flat_map(rows).collect()
    }
}

/// What is asked of a session.
type Claim<'a> = &'a dyn Fn(&Session) -> Option<String>;

impl Session {
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        self.record[field].as_i64()
    }

    pub(crate) fn says(&self, field: &str) -> bool {
        self.record[field].as_bool() == Some(true)
    }

    fn is_bot(&self) -> bool {
        word(&self.record, "user_agent").is_some_and(|agent| agent == CRAWLER)
    }

    pub(crate) fn events(&self) -> &[Value] {
        self.record["events"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The path of the page: without host, query and fragment.
    fn page(&self) -> Option<String> {
        let url = self.record["page_url"].as_str()?;
        let path = match url.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                rest.find(['/', '?', '#']).map_or("", |start| &rest[start..])
            }
            _ => url,
        };
        path.split(['?', '#']).next().map(str::to_owned)
    }

    fn row(&self) -> String {
        row(&[
            text(self.day),
            text(&self.user),
            text(&self.id),
            self.number("time_spent_seconds").and_then(text),
            self.record["conversion"].as_bool().and_then(text),
            self.page(),
            text(self.events().len()),
        ])
    }
}

fn key_of(record: &Value) -> Key {
    let day = started_at(record).map(|at| at.date_naive());
    (day, word(record, "user_id"), word(record, "session_id"))
}

fn started_at(record: &Value) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(record["timestamp"].as_str()?).ok()?;
    Some(at.to_utc())
}

/// The session of a record that has all that the pipeline expects, a year near enough included.
fn accepted((day, user, id): Key, record: Value) -> Option<Session> {
    let (day, user, id) = (day?, user?, id?);
    if user.is_empty() || id.is_empty() || !(1995..2200).contains(&day.year()) {
        return None;
    }
    Some(Session { day, user, id, started_at: started_at(&record)?, record })
}

/// One row per group of sessions: what they are grouped by, and what they come to.
pub(crate) fn grouped<'a>(
    sessions: impl IntoIterator<Item = &'a Session>,
    key: impl Fn(&Session) -> Group,
    values: impl Fn(&[&Session]) -> Group,
) -> Vec<String> {
    let mut groups: BTreeMap<Group, Vec<&Session>> = BTreeMap::new();
    for session in sessions {
        groups.entry(key(session)).or_default().push(session);
    }
    let with_values = |(group, sessions): (&Group, &Vec<&Session>)| {
        row(&[group.clone(), values(sessions)].concat())
    };
    groups.iter().map(with_values).collect()
}

/// Sessions, conversions, bounces.
pub(crate) fn claims(sessions: &[&Session]) -> Group {
    let saying = |field: &str| sessions.iter().filter(|one| one.says(field)).count();
    vec![text(sessions.len()), text(saying("conversion")), text(saying("bounce"))]
}

/// The time that counts: of one session at least none and at most a day.
fn time_spent(sessions: &[&Session]) -> i64 {
    let seconds = sessions.iter().filter_map(|one| one.number("time_spent_seconds"));
    seconds.map(|seconds| seconds.clamp(0, 86_400)).sum()
}

pub(crate) fn word(record: &Value, field: &str) -> Option<String> {
    record[field].as_str().map(str::to_owned)
}

pub(crate) fn text(value: impl Display) -> Option<String> {
    Some(value.to_string())
}

/// A row as the queries give it.
pub(crate) fn row(values: &[Option<String>]) -> String {
    json!(values).to_string()
}
