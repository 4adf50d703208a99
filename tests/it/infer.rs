//! From files to tables without a line written by hand.

use std::fs;

use serde_json::{Value, json};

use crate::support::Bench;

/// Puts a file into the project.
fn put(bench: &Bench, name: &str, content: &str) -> String {
    let path = bench.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| record.to_string() + "\n").collect()
}

/// What `infer` prints about the path `path` of the project.
fn infer(bench: &Bench, path: &str, more: &[&str]) -> String {
    let path = bench.path(path);
    let arguments: Vec<&str> =
        ["infer", path.to_str().unwrap()].into_iter().chain(more.iter().copied()).collect();
    bench.command(&arguments).ok()
}

fn text(bench: &Bench, name: &str) -> String {
    fs::read_to_string(bench.path(name)).unwrap()
}

/// The texts of all files that are written.
fn project(bench: &Bench, table: &str) -> [String; 3] {
    ["sql/bronze/{}.sql", "sql/silver/{}.sql", "pipelines/{}.toml"]
        .map(|file| text(bench, &file.replace("{}", table)))
}

/// An event as Google Analytics exports it.
fn exported(number: u64) -> Value {
    let micros = 1_751_362_200_000_000 + number * 1_000_000 * 3600;
    let name = ["page_view", "scroll", "purchase"][usize::try_from(number % 3).unwrap()];
    json!({
        "event_date": "20250701",
        "event_timestamp": micros.to_string(),
        "event_name": name,
        "event_params": [
            {"key": "page_location", "value": {"string_value": format!("/{number}")}},
            {"key": "engagement_time", "value": {"int_value": number * 10}},
        ],
        "user_pseudo_id": format!("u{}", number % 5),
        "device": {"category": "mobile", "web_info": {"browser": "Safari"}},
        "items": [],
    })
}

#[test]
fn an_export_with_nested_parameters_is_typed_and_its_repeats_are_merged() {
    let bench = Bench::bare();
    let first: Vec<Value> = (0..60).map(exported).collect();
    let again: Vec<Value> = (10..13).map(exported).collect();
    put(&bench, "landing/events_20250701.json", &lines(&first));
    put(&bench, "landing/events_20250702.json", &lines(&again));
    let said = infer(&bench, "landing", &["--name", "events"]);
    assert!(said.contains("key user_pseudo_id, event_timestamp: in 100 %"), "{said}");
    assert!(said.contains("60 different values, 3 come again, 0 of them"), "{said}");
    assert!(said.contains("one of page_view (21), purchase (21), scroll (21)"), "{said}");
    assert!(said.contains("3 records came more than once"), "{said}");
    let [bronze, _, pipeline] = project(&bench, "events");
    let params = "event_params ARRAY<STRUCT<\"key\" TEXT, value STRUCT<string_value TEXT, int_value \
                  BIGINT>>>,\n";
    assert!(bronze.contains(params), "{bronze}");
    assert!(bronze.contains("    items JSON"), "{bronze}");
    let by = "by = [\"event_day\", \"user_pseudo_id\", \"event_timestamp\"]\n";
    assert!(pipeline.contains(by) && pipeline.contains("path = \"landing\"\n"), "{pipeline}");
    let report = bench.run();
    assert_eq!(report["sources"][0]["rows_landed"], 63);
    assert_eq!(bench.value("SELECT count(*) FROM silver.events"), 60);
    assert_eq!(bench.value("SELECT count(*) FROM bronze.events WHERE _rescued IS NOT NULL"), 0);
    let time = "SELECT count(*) FROM silver.events WHERE event_timestamp < instant('2025-07-01T11:30:00Z')";
    assert_eq!(bench.value(time), 2);
    let sum = "SELECT sum(p['value']['int_value']) FROM (SELECT unnest(event_params) AS p FROM silver.events)";
    assert_eq!(bench.value(sum), (0..60).map(|n| n * 10).sum::<u64>());
}

/// An event as a tracking library sends it.
fn tracked(number: u64) -> Value {
    let price = if number.is_multiple_of(2) { json!(5) } else { json!(2.5) };
    json!({
        "messageId": format!("m-{number}"),
        "anonymousId": format!("a-{}", number % 4),
        "type": "track",
        "sentAt": format!("2025-07-02T10:{:02}:05Z", number % 60),
        "timestamp": format!("2025-07-0{}T10:{:02}:00Z", 1 + number % 3, number % 60),
        "properties": {"price": price, "product": {"id": number, "order": format!("o{number}")}},
        "traits": {},
        "order": number,
        "_source": "web",
    })
}

#[test]
fn nested_properties_and_odd_names_land_and_are_built() {
    let bench = Bench::bare();
    let records: Vec<Value> = (0..30).map(tracked).collect();
    let file = bench.path("landing/Tracked-Events.ndjson.gz");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut zipped = flate2::write::GzEncoder::new(
        fs::File::create(&file).unwrap(),
        flate2::Compression::fast(),
    );
    std::io::Write::write_all(&mut zipped, lines(&records).as_bytes()).unwrap();
    zipped.finish().unwrap();
    let said = infer(&bench, "landing/Tracked-Events.ndjson.gz", &[]);
    assert!(said.contains("key messageId: in 100 % of the records, 30 different"), "{said}");
    assert!(said.contains("time timestamp: 100 % read, from 2025-07-01"), "{said}");
    assert!(said.contains("no column can be called so"), "{said}");
    let [bronze, silver, pipeline] = project(&bench, "tracked_events");
    let properties =
        "properties STRUCT<price DOUBLE, product STRUCT<id BIGINT, \"order\" TEXT>>,\n";
    assert!(bronze.contains(properties), "{bronze}");
    assert!(silver.contains("    \"messageId\" AS message_id,\n"), "{silver}");
    assert!(pipeline.contains("strategy = \"append\"\npartition-by = [\"day\"]\n"), "{pipeline}");
    bench.run();
    assert_eq!(bench.value("SELECT count(DISTINCT message_id) FROM silver.tracked_events"), 30);
    assert_eq!(bench.value("SELECT count(DISTINCT day) FROM silver.tracked_events"), 3);
    let sum = "SELECT CAST(sum(properties['price']) * 10 AS BIGINT) FROM silver.tracked_events";
    assert_eq!(bench.value(sum), 15 * 50 + 15 * 25);
    // Only what was said to be no column is rescued.
    let odd = "SELECT count(*) FROM bronze.tracked_events WHERE _rescued NOT LIKE '%\"_source\"%'";
    assert_eq!(bench.value(odd), 0);
}

#[test]
fn an_array_of_records_with_mixed_types_loses_nothing() {
    let bench = Bench::bare();
    let records: Vec<Value> = (0..12)
        .map(|number| match number % 3 {
            0 => json!({"n": number, "v": number, "big": 9_007_199_254_740_993_u64, "id": number}),
            1 => json!({"n": number, "v": "text", "big": u64::MAX, "id": number, "N": 1}),
            _ => json!({"n": 0.5, "v": {"a": [1, "b"]}, "big": 1, "id": number}),
        })
        .collect();
    put(&bench, "mixed.json", &serde_json::to_string_pretty(&records).unwrap());
    let said = infer(&bench, "mixed.json", &[]);
    assert!(said.contains("4 integer as 0, 4 text as \"text\", 4 object as {"), "{said}");
    let bronze = text(&bench, "sql/bronze/mixed.sql");
    for column in ["n DOUBLE", "v JSON", "big JSON", "id BIGINT"] {
        assert!(bronze.contains(&format!("    {column}")), "{bronze}");
    }
    assert_eq!(bronze.lines().count(), 7, "{bronze}");
    bench.run();
    let rows = bench.query("SELECT id, v, big FROM silver.mixed ORDER BY id");
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        let exact =
            |name: &str| serde_json::from_str::<Value>(row[name].as_str().unwrap()).unwrap();
        assert_eq!((exact("v"), exact("big")), (record["v"].clone(), record["big"].clone()));
    }
    let rescued = "SELECT count(*) FROM bronze.mixed WHERE _rescued LIKE '%\"path\":\"N\"%'";
    assert_eq!(bench.value(rescued), 4);
}

#[test]
fn rows_of_csv_are_typed_by_what_they_look_like() {
    let bench = Bench::bare();
    let mut log = "Request ID,time,status,ms,Page URL,zip\n".to_owned();
    for number in 0..40 {
        let status = if number % 4 == 0 { 404 } else { 200 };
        log.push_str(&format!(
            "r{number},2025-07-01 10:00:{number:02},{status},{number}.5,\"/a,{number}\",0{number}\n"
        ));
    }
    put(&bench, "landing/requests.csv", &log);
    infer(&bench, "landing/requests.csv", &[]);
    assert_eq!(
        text(&bench, "sql/bronze/requests.sql").split_once('\n').unwrap().1,
        "CREATE TABLE requests (\n    request_id TEXT,\n    time TEXT,\n    status BIGINT,\n    ms DOUBLE,\n    \
         page_url TEXT,\n    zip TEXT\n)\n"
    );
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.requests WHERE status = 404"), 10);
    assert_eq!(bench.value("SELECT count(DISTINCT page_url) FROM silver.requests"), 40);
    assert_eq!(bench.value("SELECT CAST(sum(ms) * 10 AS BIGINT) FROM silver.requests"), 8000);
}

#[test]
fn what_stands_is_changed_only_when_asked() {
    let bench = Bench::bare();
    let record = |number: u64| json!({"id": number, "made_at": "2025-07-01", "n": number});
    put(&bench, "landing/a.json", &lines(&(0..10).map(record).collect::<Vec<_>>()));
    infer(&bench, "landing", &["--name", "visits"]);
    let written = project(&bench, "visits");
    let again = infer(&bench, "landing", &["--name", "visits"]);
    assert!(again.contains("nothing to write"), "{again}");
    assert!(again.contains("sql/silver/visits.sql is as it would be written"), "{again}");
    assert_eq!(project(&bench, "visits"), written);
    bench.edit("sql/bronze/visits.sql", "    id BIGINT,", "    id BIGINT, -- of the shop");

    let later = json!({"id": 10, "made_at": "2025-07-02", "n": 1.5, "coupon": "x"});
    put(&bench, "landing/b.json", &lines(&[later]));
    let said = infer(&bench, "landing", &["--name", "visits"]);
    let changed: Vec<&str> =
        said.lines().filter(|line| line.starts_with("+ ") || line.starts_with("- ")).collect();
    assert_eq!(changed, ["-     n BIGINT", "+     n DOUBLE,", "+     coupon TEXT"], "{said}");
    assert!(said.contains("nothing was written: add --write"), "{said}");
    assert!(said.contains("visits.sql is left as it is, and does not select coupon"), "{said}");
    assert!(!text(&bench, "sql/bronze/visits.sql").contains("coupon"));

    infer(&bench, "landing", &["--name", "visits", "--write"]);
    let bronze = text(&bench, "sql/bronze/visits.sql");
    assert!(bronze.contains("    id BIGINT, -- of the shop\n"), "{bronze}");
    assert!(bronze.ends_with("    n DOUBLE,\n    coupon TEXT\n)\n"), "{bronze}");
    assert_eq!(project(&bench, "visits")[1..], written[1..]);
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.visits"), 11);
    assert_eq!(bench.value("SELECT count(*) FROM bronze.visits WHERE coupon = 'x'"), 1);
}

#[test]
fn printing_writes_nothing_and_a_sample_is_said_to_be_one() {
    let bench = Bench::bare();
    let records: Vec<Value> = (0..50).map(|number| json!({"id": number})).collect();
    put(&bench, "landing/a.json", &lines(&records));
    put(&bench, "landing/b.json", &lines(&[json!({"other": true})]));
    let printed = infer(&bench, "landing", &["--name", "t", "--print", "--sample", "10"]);
    assert!(
        printed.contains("CREATE TABLE t (\n    id BIGINT,\n    other BOOLEAN\n)"),
        "{printed}"
    );
    assert!(!bench.path("sql/bronze/t.sql").exists() && !bench.path("pipelines/t.toml").exists());
    let sample = infer(&bench, "landing", &["--name", "t", "--sample", "10"]);
    assert!(sample.contains("6 records read of 2 files; there are more"), "{sample}");
    let all = infer(&bench, "landing", &["--name", "t", "--all"]);
    assert!(all.contains("51 records read of 2 files\n"), "{all}");
}

#[test]
fn what_cannot_be_looked_at_ends_with_its_code() {
    let bench = Bench::bare();
    let garbage = put(&bench, "landing/garbage.json", "no JSON\nat all\n");
    let pattern = bench.path("landing/*.gz");
    let missing = bench.path("nowhere");
    for (arguments, code, says) in [
        (vec![garbage.as_str()], 4, "hold no record"),
        (vec![missing.to_str().unwrap()], 2, "cannot find the source"),
        (vec![missing.to_str().unwrap()], 2, "patterns from where you are"),
        (vec![pattern.to_str().unwrap(), "--name", "t"], 2, "there is no file"),
        (vec![garbage.as_str(), "--name", "No-Name"], 2, "--name"),
        (vec![garbage.as_str(), "--pipeline", "../x"], 2, "no name of a pipeline"),
        (vec![garbage.as_str(), "--print", "--write"], 2, "cannot be used with"),
        (vec![], 2, "PATHS"),
    ] {
        let ended = bench.command(&[vec!["infer"], arguments].concat());
        assert_eq!(ended.code, code, "{}", ended.err);
        assert!(ended.err.contains(says), "{}", ended.err);
    }
    assert_eq!(fs::read_dir(bench.path("sql/bronze")).unwrap().count(), 0);
}

#[test]
fn an_empty_project_runs_and_its_example_is_right() {
    let bench = Bench::bare();
    for command in ["run", "plan"] {
        let said = bench.command(&[command]).ok();
        assert!(said.contains("clickwatch infer PATH"), "{said}");
    }
    let example = text(&bench, "pipelines/_example.toml");
    put(&bench, "pipelines/example.toml", &example);
    // The SQL stands in its comments.
    let lines: Vec<&str> = example.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some(name) = line.split(" by sql/").nth(1).or(line.split(" in sql/").nth(1)) else {
            continue;
        };
        let sql = lines[at..].iter().map_while(|line| line.strip_prefix("#     "));
        let sql: Vec<&str> = sql.collect();
        put(&bench, &format!("sql/{}", name.trim_end_matches(':')), &sql.join("\n"));
    }
    let order = json!({"order_id": "o1", "ordered_at": "2025-07-01T10:00:00Z", "days": 200});
    put(&bench, "landing/orders/a.json", &order.to_string());
    bench.run();
    assert_eq!(bench.value("SELECT days FROM silver.orders"), 90);
    assert_eq!(bench.value("SELECT orders FROM orders_by_day"), 1);
}

/// A page of events, as programs hand them out over the web.
fn page(ids: std::ops::Range<u64>) -> Value {
    let event = |id: u64| json!({"id": id, "at": 1_700_000_000 + id, "user": {"tags": ["a"]}});
    json!({"status": "ok", "data": {"next": null, "events": ids.map(event).collect::<Vec<_>>()}})
}

#[test]
fn records_inside_of_envelopes_are_found() {
    let bench = Bench::bare();
    put(&bench, "pages/1.json", &page(0..100).to_string());
    put(&bench, "pages/2.json", &page(90..140).to_string());
    let said = infer(&bench, "pages", &["--name", "events"]);
    let found = "there are 150 objects at $.data.events[*]: each is taken for a record";
    assert!(said.contains(found) && said.contains("events: 150 records read"), "{said}");
    let [bronze, _, pipeline] = project(&bench, "events");
    assert!(bronze.contains("    at BIGINT,\n    id BIGINT,\n    user STRUCT<"), "{bronze}");
    assert!(pipeline.contains("path = \"pages\"\nrecords = \"$.data.events[*]\"\n"), "{pipeline}");
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.events WHERE id IS NOT NULL"), 150);
    assert_eq!(bench.value("SELECT count(*) FROM silver.events"), 140);
    // What stands says where the records are.
    let again = infer(&bench, "pages", &["--name", "events"]);
    assert!(again.contains("nothing to write"), "{again}");
    let pages = bench.path("pages");
    let other = ["infer", pages.to_str().unwrap(), "--name", "events", "--records", "$"];
    let ended = bench.command(&other);
    assert_eq!(ended.code, 2, "{}", ended.out);
    assert!(ended.err.contains("says otherwise where its records are"), "{}", ended.err);
    // The envelopes themselves, when they are asked for.
    let whole = infer(&bench, "pages", &["--name", "whole", "--records", "$", "--print"]);
    assert!(whole.contains("data STRUCT<") && !whole.contains("records ="), "{whole}");
}

#[test]
fn lists_inside_of_records_are_named_and_not_taken() {
    let bench = Bench::bare();
    put(&bench, "orders.ndjson", &lines(&[page(0..30), page(0..30)]));
    let said = infer(&bench, "orders.ndjson", &[]);
    assert!(said.contains("--records '$.data.events[*]' makes each a record"), "{said}");
    assert!(said.contains("orders: 2 records read"), "{said}");
    let taken = ["--name", "events", "--records", "$.data.events[*]"];
    let said = infer(&bench, "orders.ndjson", &taken);
    assert!(said.contains("events: 60 records read"), "{said}");
    let path = bench.path("orders.ndjson");
    let ended = bench.command(&["infer", path.to_str().unwrap(), "--records", "data"]);
    assert!(ended.code == 2 && ended.err.contains("a path begins with `$`"), "{}", ended.err);
}

#[test]
fn files_are_looked_at_as_the_source_says_and_a_run_reads_them() {
    let bench = Bench::bare();
    let rows: String = (0..20).map(|n| format!("{n};M\u{fc}ller;0,{n}\n")).collect();
    let latin1: Vec<u8> = rows.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    put(&bench, "s/a.txt", "");
    fs::write(bench.path("s/a.txt"), latin1).unwrap();
    let section = "[source.s.files]\npath = \"s\"\nformat = \"csv\"\ndelimiter = \";\"\n\
                   encoding = \"latin1\"\nheader = [\"id\", \"name\", \"share\"]\n";
    fs::write(bench.path("pipelines/s.toml"), section).unwrap();
    let said = infer(&bench, "s", &["--write"]);
    assert!(said.contains("s: 20 records read of 1 files\n"), "{said}");
    let bronze = text(&bench, "sql/bronze/s.sql");
    assert!(bronze.contains("    id BIGINT,\n    name TEXT,\n    \"share\" TEXT\n"), "{bronze}");
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM silver.s WHERE name = 'M\u{fc}ller'"), 20);
}

#[test]
fn rows_that_a_run_takes_for_broken_are_said_to_be() {
    let bench = Bench::bare();
    let rows: String = (0..40).map(|n| format!("{n}\t\"open {n}\tx\n")).collect();
    put(&bench, "a.tsv", &format!("id\tname\tkind\n{rows}1\tgood\tx\n"));
    let said = infer(&bench, "a.tsv", &["--name", "t"]);
    assert!(said.contains("t: 1 records read of 1 files; 1 piece broken"), "{said}");
    assert!(said.contains("a quote is opened and not closed"), "{said}");
    let report = bench.run();
    assert_eq!(report["sources"][0]["rows_landed"], 1);
    assert_eq!(report["sources"][0]["records_quarantined"], 1);
}
