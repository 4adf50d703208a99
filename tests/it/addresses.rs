//! Addresses as they stand in events, as a table: `tests/addresses.csv` says for each what its host, path,
//! campaign and click id are, and why.

use serde_json::Value;

use crate::support::Bench;

const PARTS: [&str; 7] =
    ["host", "path", "utm_source", "utm_medium", "utm_campaign", "click_id", "click_network"];

/// A row of the table: address, the parts in their order, why.
fn rows() -> Vec<[String; 9]> {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/addresses.csv");
    let mut table = csv::Reader::from_path(table).unwrap();
    table.deserialize().map(Result::unwrap).collect()
}

#[test]
fn every_address_of_the_table_has_its_parts() {
    let rows = rows();
    let addresses = rows.iter().enumerate().map(|(number, [address, ..])| {
        let address = address.replace('\'', "''");
        format!("({number}, '{address}')")
    });
    let query = format!(
        "SELECT url_parts(address) AS parts FROM (VALUES {}) addresses (number, address)
         ORDER BY number",
        addresses.collect::<Vec<_>>().join(", ")
    );
    let found = Bench::new().query(&query);
    assert_eq!(found.len(), rows.len());
    let parts = |found: &Value| {
        PARTS.map(|part| found["parts"][part].as_str().unwrap_or_default().to_owned())
    };
    let wrong =
        rows.iter().zip(found.iter().map(parts)).filter(|(row, found)| row[1..8] != found[..]);
    let wrong: Vec<_> = wrong.map(|(row, found)| format!("{row:?}: {found:?}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_address_stands_twice_in_the_table() {
    let mut addresses: Vec<_> = rows().into_iter().map(|[address, ..]| address).collect();
    let count = addresses.len();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), count);
}

#[test]
fn what_is_no_address_is_null_and_so_is_a_part_that_is_not_there() {
    let bench = Bench::new();
    assert_eq!(bench.value("SELECT url_parts('home') IS NULL"), true);
    assert_eq!(bench.value("SELECT url_parts('/p')['host'] IS NULL"), true);
    assert_eq!(bench.value("SELECT url_parts('/p?utm_source=')['utm_source']"), "");
}

/// What a campaign says reaches the channel, whatever the form of the address.
#[test]
fn campaigns_of_all_forms_of_addresses_lead_to_a_channel() {
    let bench = Bench::new();
    for (address, source, channel) in [
        ("https://shop.example/x?utm_source=google&utm_medium=cpc", "google", "Paid Search"),
        ("shop.example/x?utm_source=google&utm_medium=cpc", "google", "Paid Search"),
        ("//shop.example/x?UTM_SOURCE=google&UTM_MEDIUM=cpc", "google", "Paid Search"),
        ("/x?utm%5Fsource=google&utm%5Fmedium=cpc", "google", "Paid Search"),
        ("https://shop.example/?msclkid=1", "bing", "Paid Search"),
        ("https://shop.example/?GCLID=1", "google", "Paid Search"),
    ] {
        let query = format!("SELECT touch(NULL, NULL, NULL, NULL, '{address}') AS touch");
        let touch = &bench.query(&query)[0]["touch"];
        assert_eq!([&touch["source"], &touch["channel"]], [source, channel], "{address}");
    }
}
