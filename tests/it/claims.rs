//! How a visit's source is found, as a table: `tests/claims/claims.csv` says by class what claims,
//! referrers and addresses come to. The sites and rules beside it have one line of each form, so that
//! the table holds whatever the shipped ones say.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, session};

const RULES: &str = "sql/channel_rules.csv";
const SOURCES: &str = "sql/channel_sources.csv";
const LOCAL_RULES: &str = "sql/channel_rules.local.csv";
const LOCAL_SOURCES: &str = "sql/channel_sources.local.csv";
const RULES_HEAD: &str = "channel,category,source,medium,campaign,referrer,paid\n";
const SOURCES_HEAD: &str = "name,source,category\n";

/// A project with the sites and rules of the table.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path(RULES), include_str!("../claims/channel_rules.csv")).unwrap();
    fs::write(bench.path(SOURCES), include_str!("../claims/channel_sources.csv")).unwrap();
    bench
}

/// Class, source, medium, campaign, referrer, url; then source, medium and channel that are wanted.
fn rows() -> Vec<[String; 9]> {
    let table = include_str!("../claims/claims.csv");
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(table.as_bytes());
    let row = |record: csv::Result<csv::StringRecord>| {
        let cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        cells.try_into().unwrap()
    };
    reader.records().map(row).collect()
}

fn reason(bench: &Bench, arguments: &str) -> Value {
    let sql = format!(
        "SELECT r['channel'] AS channel, r['rule'] AS rule, r['rule_line'] AS rule_line,
                r['site'] AS site, r['site_line'] AS site_line, r['why'] AS why
         FROM (SELECT channel_reason({arguments}) AS r)"
    );
    let rows = bench.query(&sql);
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

#[test]
fn every_claim_of_the_table_comes_to_what_it_should() {
    let rows = rows();
    let claims = rows.iter().enumerate().map(|(number, row)| {
        let texts = row[1..6].iter().map(|text| format!("'{}'", text.replace('\'', "''")));
        format!("({number}, {})", texts.collect::<Vec<_>>().join(", "))
    });
    let found = bench().query(&format!(
        "SELECT coalesce(touch['source'], '') AS source, coalesce(touch['medium'], '') AS medium,
                touch['channel'] AS channel, alone, reason['channel'] AS reasoned
         FROM (SELECT number, touch(source, medium, campaign, referrer, url) AS touch,
                      channel(source, medium, campaign, referrer, url) AS alone,
                      channel_reason(source, medium, campaign, referrer, url) AS reason
               FROM (VALUES {}) claims (number, source, medium, campaign, referrer, url))
         ORDER BY number",
        claims.collect::<Vec<_>>().join(", ")
    ));
    assert_eq!(found.len(), rows.len());
    let wrong = rows.iter().zip(&found).filter(|([.., source, medium, channel], found)| {
        let wanted = json!({
            "source": source, "medium": medium, "channel": channel, "alone": channel,
            "reasoned": channel,
        });
        **found != wanted
    });
    let wrong: Vec<_> = wrong.map(|(row, found)| format!("{row:?}: {found}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_cases_of_each_class_and_none_twice() {
    let rows = rows();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut claims: Vec<_> = rows.iter().map(|row| &row[1..6]).collect();
    rows.iter().for_each(|row| *classes.entry(row[0].as_str()).or_default() += 1);
    assert!(rows.len() >= 200, "{classes:?}");
    assert!(classes.values().all(|count| *count >= 5), "{classes:?}");
    claims.sort_unstable();
    claims.dedup();
    assert_eq!(claims.len(), rows.len());
}

/// A reason with these lines of the table's rules and sites.
fn told(channel: &str, rule_line: Option<u32>, site_line: Option<u32>, why: &str) -> Value {
    json!({
        "channel": channel,
        "rule": rule_line.map(|_| RULES),
        "rule_line": rule_line,
        "site": site_line.map(|_| SOURCES),
        "site_line": site_line,
        "why": why,
    })
}

#[test]
fn a_reason_names_the_lines_that_decided() {
    let bench = bench();
    for (arguments, wanted) in [
        (
            "NULL, NULL, NULL, 'https://www.google.com/'",
            told(
                "Search",
                Some(16),
                Some(3),
                "referrer google.com is `google` (search) in sql/channel_sources.csv line 3, \
                        medium organic",
            ),
        ),
        ("NULL, NULL, NULL, NULL", told("Direct", Some(3), None, "no source, medium or referrer")),
        (
            "'fbads', NULL, 'june', 'https://blog.example/x', '/p'",
            told(
                "Paid Social",
                Some(11),
                Some(14),
                "source fbads is `fb` (social) in sql/channel_sources.csv line 14, \
                        referrer blog.example, no medium, campaign june, paid for",
            ),
        ),
    ] {
        assert_eq!(reason(&bench, arguments), wanted, "{arguments}");
    }
}

#[test]
fn a_reason_tells_why_no_line_decided() {
    let bench = bench();
    for (arguments, wanted) in [
        (
            "'unheard', 'story', NULL, NULL",
            told("Unassigned", None, None, "source unheard is no known site, medium story"),
        ),
        (
            "NULL, NULL, NULL, 'https://paypal.com/x'",
            told(
                "Direct",
                Some(3),
                Some(35),
                "no source or medium, referrer paypal.com is `paypal.com` (ignored) in \
                        sql/channel_sources.csv line 35, which nobody comes from",
            ),
        ),
        (
            "NULL, NULL, NULL, 'https://shop.example/a', 'https://www.shop.example/b'",
            told(
                "Direct",
                Some(3),
                None,
                "no source or medium, the referrer is a page of the site itself",
            ),
        ),
        (
            "NULL, NULL, NULL, NULL, '/p?gclid=a'",
            told(
                "Paid Search",
                Some(8),
                Some(3),
                "click id of google is `google` (search) in sql/channel_sources.csv line 3, \
                        medium cpc, paid for",
            ),
        ),
    ] {
        assert_eq!(reason(&bench, arguments), wanted, "{arguments}");
    }
}

#[test]
fn a_reason_says_when_the_shipped_lines_decided() {
    let bench = bench();
    fs::remove_file(bench.path(RULES)).unwrap();
    fs::remove_file(bench.path(SOURCES)).unwrap();
    let shipped = reason(&bench, "'google', 'cpc', NULL, NULL");
    assert_eq!(shipped["rule"], "channel_rules.csv (shipped)");
    assert_eq!(shipped["site"], "channel_sources.csv (shipped)");
}

#[test]
fn lines_of_the_project_come_before_all_others() {
    let bench = bench();
    let asked = "NULL, NULL, NULL, 'https://forum.example/x'";
    assert_eq!(reason(&bench, asked)["channel"], "Referral");
    fs::write(
        bench.path(LOCAL_SOURCES),
        format!("{SOURCES_HEAD}# ours\nforum.example,our forum,community\nx.com,,video\n"),
    )
    .unwrap();
    fs::write(bench.path(LOCAL_RULES), format!("{RULES_HEAD}Community,community,,,,,\n")).unwrap();
    let found = reason(&bench, asked);
    assert_eq!(found["channel"], "Community");
    assert_eq!((&found["rule"], &found["rule_line"]), (&json!(LOCAL_RULES), &json!(2)));
    assert_eq!((&found["site"], &found["site_line"]), (&json!(LOCAL_SOURCES), &json!(3)));
    // A name that both files have means what the project says, and all other lines still hold.
    for (referrer, channel) in [
        ("https://x.com/", "Video"),
        ("https://t.co/", "Social"),
        ("https://google.com/", "Search"),
    ] {
        assert_eq!(reason(&bench, &format!("NULL, NULL, NULL, '{referrer}'"))["channel"], channel);
    }
    // They stand above the shipped files, too.
    fs::remove_file(bench.path(RULES)).unwrap();
    fs::remove_file(bench.path(SOURCES)).unwrap();
    assert_eq!(reason(&bench, asked)["channel"], "Community");
    assert_eq!(reason(&bench, "'google', 'cpc', NULL, NULL")["channel"], "Paid Search");
}

#[test]
fn mistakes_in_the_lines_of_the_project_are_named() {
    let bench = bench();
    let sources =
        "Google,,search\nhttps://a.example/,,own\na.example,,own\na.example,,own\nb,own\n";
    fs::write(bench.path(LOCAL_SOURCES), format!("{SOURCES_HEAD}{sources}")).unwrap();
    fs::write(bench.path(LOCAL_RULES), format!("{RULES_HEAD}# one\nA,,,(,,,\n,,,,,,\nB,,,,,,no\n"))
        .unwrap();
    for command in [["sql", "SELECT channel('a', 'b', 'c', 'd')"].as_slice(), &["run"], &["plan"]] {
        let ended = bench.command(command);
        assert_eq!(ended.code, 2, "{command:?}");
        for wanted in [
            "sql/channel_rules.local.csv:3: `(` is not a regular expression",
            "sql/channel_rules.local.csv:4: a rule names its channel",
            "sql/channel_rules.local.csv:5: `paid` is `yes` or empty, not `no`",
            "sql/channel_sources.local.csv:2: a name is in lower case",
            "sql/channel_sources.local.csv:3: `https://a.example/` is no host",
            "sql/channel_sources.local.csv:5: `a.example` stands twice",
            "sql/channel_sources.local.csv:6: a line has 3 cells, this one 2",
        ] {
            assert!(ended.err.contains(wanted), "{command:?}: {wanted}\nis not in\n{}", ended.err);
        }
    }
    fs::write(bench.path(LOCAL_SOURCES), "name,category\n").unwrap();
    let ended = bench.command(&["sql", "SELECT 1"]);
    let wanted = "sql/channel_sources.local.csv:1: the first line has to be name,source,category";
    assert!(ended.err.contains(wanted), "{}", ended.err);
}

#[test]
fn a_model_that_names_lines_is_computed_anew_when_they_move() {
    let bench = bench();
    let records: Vec<String> = (0..3).map(|number| session(number).to_string()).collect();
    bench.land("a.json", records.join("\n"));
    bench.edit(
        "sql/gold/recency_frequency.sql",
        "    count(*) AS users,",
        "    count(*) AS users,
             min(channel_reason('google', NULL, NULL, NULL)['rule_line']) AS rule_line,",
    );
    bench.run();
    let line = "SELECT min(rule_line) FROM gold.recency_frequency";
    let before = bench.value(line).as_u64().unwrap();
    bench.edit(RULES, RULES_HEAD, &format!("{RULES_HEAD}# One line more.\n"));
    let report = bench.run();
    let tables = report["tables"].as_array().unwrap().iter();
    let changed = tables.filter(|table| table["reason"] == "the model was changed");
    let changed: Vec<_> = changed.map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(changed, ["gold.recency_frequency"]);
    assert_eq!(bench.value(line), before + 1);
    bench.command(&["verify"]).ok();
}
