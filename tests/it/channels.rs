//! The rules of channels, as a table: `tests/channels.csv` says for each claim the channel that it has
//! to get, by which rule (`3-4`: rule 4, though rule 3 is near) and why.

use serde_json::Value;

use crate::support::Bench;

const TABLE: &str = include_str!("../channels.csv");
/// Referrers with nothing claimed: the referrer, its site, the site's category, the channel.
const REFERRERS: &str = include_str!("../referrers.csv");

/// A row of the table: rule, source, medium, campaign, referrer, channel, why.
fn rows() -> Vec<[&'static str; 7]> {
    let row = |line: &'static str| line.split(',').collect::<Vec<_>>().try_into().unwrap();
    TABLE.lines().skip(1).map(row).collect()
}

#[test]
fn every_claim_of_the_table_gets_its_channel() {
    let rows = rows();
    let claims =
        rows.iter().enumerate().map(|(number, [_, source, medium, campaign, referrer, ..])| {
            format!("({number}, '{source}', '{medium}', '{campaign}', '{referrer}')")
        });
    let query = format!(
        "SELECT channel(source, medium, campaign, referrer) AS channel
         FROM (VALUES {}) claims (number, source, medium, campaign, referrer) ORDER BY number",
        claims.collect::<Vec<_>>().join(", ")
    );
    let found = Bench::new().query(&query);
    assert_eq!(found.len(), rows.len());
    let wrong =
        rows.iter().zip(&found).filter(|([.., channel, _], found)| found["channel"] != *channel);
    let wrong: Vec<_> =
        wrong.map(|(row, found)| format!("{row:?}: {}", found["channel"])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_knows_each_rule_and_no_claim_twice() {
    let rows = rows();
    let rules =
        |row: &[&str; 7]| row[0].split('-').map(str::parse).collect::<Result<Vec<u32>, _>>();
    for rule in 1..=20 {
        assert!(rows.iter().any(|row| rules(row).unwrap().contains(&rule)), "rule {rule}");
    }
    let mut claims: Vec<_> = rows.iter().map(|row| row[1..5].join(",")).collect();
    claims.sort_unstable();
    claims.dedup();
    assert_eq!(claims.len(), rows.len());
}

#[test]
fn no_claim_at_all_is_a_direct_visit() {
    let found = Bench::new().query("SELECT channel(NULL, NULL, NULL, NULL) AS channel");
    assert_eq!(found, [serde_json::json!({"channel": Value::from("Direct")})]);
}

#[test]
fn every_referrer_of_the_table_is_its_site_and_gets_its_channel() {
    let row = |line: &'static str| line.split(',').collect::<Vec<_>>().try_into().unwrap();
    let rows: Vec<[&str; 4]> = REFERRERS.lines().skip(1).map(row).collect();
    let referrers = rows.iter().enumerate().map(|(number, [referrer, ..])| {
        assert!(!referrer.contains('\''), "{referrer}");
        format!("({number}, '{referrer}')")
    });
    let query = format!(
        "SELECT touch['source'] AS source, touch['channel'] AS channel FROM (
             SELECT number, touch(NULL, NULL, NULL, referrer) AS touch
             FROM (VALUES {}) referrers (number, referrer)
         ) touches ORDER BY number",
        referrers.collect::<Vec<_>>().join(", ")
    );
    let found = Bench::new().query(&query);
    assert_eq!(found.len(), rows.len());
    let wrong = rows.iter().zip(&found).filter(|([_, source, _, channel], found)| {
        found["source"] != *source || found["channel"] != *channel
    });
    let wrong: Vec<_> = wrong.map(|(row, found)| format!("{row:?}: {found}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
