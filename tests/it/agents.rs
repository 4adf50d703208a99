//! User agents, and the names of what they and the sources call systems, browsers and devices:
//! `tests/agents.csv` says for each agent what it has to be read as; `*` leaves open what does not matter.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Bench;

const TABLE: &str = include_str!("../agents.csv");

/// A row of the table: user agent, browser, system, device, whether it is a bot.
fn rows() -> Vec<[String; 5]> {
    csv::Reader::from_reader(TABLE.as_bytes()).deserialize().map(Result::unwrap).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn every_agent_of_the_table_is_read_as_it_says() {
    let rows = rows();
    assert!(rows.len() > 250);
    let agents = rows
        .iter()
        .enumerate()
        .map(|(number, [agent, ..])| format!("({number}, {})", quoted(agent)));
    let query = format!(
        "SELECT coalesce(agent['browser'], '') AS browser, coalesce(agent['os'], '') AS os,
             coalesce(agent['device_type'], '') AS device,
             CAST(coalesce(agent['is_bot'], false) AS TEXT) AS is_bot,
             agent['bot_reason'] IS NOT NULL AS has_reason
         FROM (SELECT number, user_agent(said) AS agent FROM (VALUES {}) agents (number, said))
         ORDER BY number",
        agents.collect::<Vec<_>>().join(", ")
    );
    let found = Bench::new().query(&query);
    assert_eq!(found.len(), rows.len());
    let mut wrong = Vec::new();
    for ([agent, wanted @ ..], found) in rows.iter().zip(&found) {
        let read = ["browser", "os", "device", "is_bot"].map(|part| found[part].as_str().unwrap());
        let is_it = wanted.iter().zip(read).all(|(wanted, read)| wanted == "*" || wanted == read);
        if !is_it || found["has_reason"] != json!(wanted[3] == "true") {
            wrong.push(format!("{agent}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_stands_for_itself() {
    let rows = rows();
    for (function, place) in [("browser_name", 1), ("system_name", 2), ("device_name", 3)] {
        let names: BTreeSet<_> = rows.iter().map(|row| row[place].as_str()).collect();
        let names = names.into_iter().filter(|name| !matches!(*name, "" | "*")).map(quoted);
        let values: Vec<_> = names.map(|name| format!("({name})")).collect();
        let other = format!(
            "SELECT name, {function}(name) AS other FROM (VALUES {}) names (name)
             WHERE {function}(name) IS DISTINCT FROM name",
            values.join(", ")
        );
        assert_eq!(Bench::new().query(&other), Vec::<Value>::new(), "{function}");
    }
}

/// Claims of sessions and of clicks that mean the same, and the name of it: device, system, browser.
const CLAIMS: [([&str; 3], [&str; 3], [&str; 3]); 8] = [
    (
        ["desktop", "Windows 10", "Chrome"],
        ["Desktop", "Windows", "Google Chrome"],
        ["desktop", "Windows", "Chrome"],
    ),
    (
        ["desktop", "Windows 11", "Edge"],
        ["PC", "Win32", "Microsoft Edge"],
        ["desktop", "Windows", "Edge"],
    ),
    (
        ["mobile", "iOS", "Safari"],
        ["smartphone", "iPhone", "Mobile Safari"],
        ["mobile", "iOS", "Safari"],
    ),
    (
        ["tablet", "iOS", "Chrome"],
        ["tablet", "iPad", "Chrome Mobile iOS"],
        ["tablet", "iOS", "Chrome"],
    ),
    (
        ["desktop", "macOS", "Firefox"],
        ["desktop", "MacIntel", "firefox"],
        ["desktop", "macOS", "Firefox"],
    ),
    (
        ["mobile", "Android", "Samsung Internet"],
        ["mobile", "Linux armv8l", "SamsungBrowser"],
        ["mobile", "Android", "Samsung Internet"],
    ),
    (
        ["desktop", "Linux", "Opera"],
        ["desktop", "Linux x86_64", "Opera"],
        ["desktop", "Linux", "Opera"],
    ),
    (
        ["desktop", "Chrome OS", "Chrome 126"],
        ["desktop", "CrOS", "chrome"],
        ["desktop", "ChromeOS", "Chrome"],
    ),
];

#[test]
fn both_pipelines_call_systems_browsers_and_devices_alike() {
    let (mut of_sessions, mut of_clicks) = (Vec::new(), Vec::new());
    for (number, (of_session, of_click, _)) in CLAIMS.iter().enumerate() {
        let at = format!("2025-07-01T10:{number:02}:00Z");
        let [device, os, browser] = of_session;
        of_sessions.push(json!({"session_id": number.to_string(), "user_id": "u", "timestamp": at,
            "device_type": device, "os": os, "browser": browser}));
        let [device, os, browser] = of_click;
        of_clicks.push(json!({"id": number.to_string(), "user_id": "u", "timestamp": at,
            "button": "Buy", "device": {"type": device, "platform": os, "browser": browser}}));
    }
    // What is not claimed is taken from the user agent, by the same names.
    for (number, [agent, ..]) in rows().iter().enumerate() {
        let (id, at) = (format!("a{number}"), "2025-07-02T10:00:00Z");
        of_sessions.push(json!({"session_id": id, "user_id": "a", "timestamp": at,
            "user_agent": agent}));
        of_clicks.push(json!({"id": id, "user_id": "a", "timestamp": at, "button": "Buy",
            "user_agent": agent}));
    }
    let lines = |records: &[Value]| records.iter().map(|it| format!("{it}\n")).collect::<String>();
    let (sessions, clicks) = (Bench::new(), Bench::of_clicks());
    sessions.land("1.json", lines(&of_sessions));
    clicks.land("1.json", lines(&of_clicks));
    sessions.run();
    clicks.run();
    let parts = "device_type, os, browser, is_bot, bot_reason";
    let of_sessions = format!("SELECT session_id AS id, {parts} FROM silver.sessions ORDER BY id");
    let of_clicks = format!("SELECT click_id AS id, {parts} FROM silver.clicks ORDER BY id");
    let found = sessions.query(&of_sessions);
    assert_eq!(found, clicks.query(&of_clicks));
    for (number, (.., [device, os, browser])) in CLAIMS.iter().enumerate() {
        let row = found.iter().find(|row| row["id"] == json!(number.to_string())).unwrap();
        assert_eq!([&row["device_type"], &row["os"], &row["browser"]], [device, os, browser]);
        assert_eq!(row["is_bot"], json!(false));
    }
}

#[test]
fn what_the_generator_writes_has_one_vocabulary() {
    let systems = |bench: &Bench, kind: &str, table: &str| {
        let landing = bench.landing();
        bench.command(&["generate", kind, landing.to_str().unwrap(), "--count", "2000"]).ok();
        bench.run();
        bench.query(&format!("SELECT DISTINCT os FROM {table} WHERE os IS NOT NULL ORDER BY os"))
    };
    let of_sessions = systems(&Bench::new(), "sessions", "silver.sessions");
    let of_clicks = systems(&Bench::of_clicks(), "clicks", "silver.clicks");
    assert_eq!(of_sessions, of_clicks);
    let names = ["Android", "Linux", "Windows", "iOS", "macOS"].map(|os| json!({"os": os}));
    assert_eq!(of_sessions, names);
}

#[test]
fn nobody_of_the_generator_is_a_bot() {
    let bench = Bench::new();
    let landing = bench.landing();
    bench.command(&["generate", "sessions", landing.to_str().unwrap(), "--count", "3000"]).ok();
    bench.run();
    // What its user agents say is what it claims.
    let other = "SELECT user_agent FROM silver.sessions WHERE is_bot
        OR (user_agent(user_agent)['os'] IS DISTINCT FROM os)
        OR (user_agent(user_agent)['browser'] IS DISTINCT FROM browser)";
    assert_eq!(bench.query(other), Vec::<Value>::new());
    assert!(
        bench.value("SELECT count(DISTINCT user_agent) FROM silver.sessions").as_u64() > Some(30)
    );
}
