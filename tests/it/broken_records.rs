//! One broken record among good ones, of every kind, at every place, in every layout: the good ones
//! land, nothing of the broken one becomes a row, and all of its bytes are in quarantine.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::Bench;

/// How records are written, and what stands before, between and behind them.
struct Layout {
    name: &'static str,
    indent: Option<&'static str>,
    around: [&'static str; 3],
}

const LAYOUTS: [Layout; 13] = [
    layout("lines", None, ["", "\n", "\n"]),
    layout("lines with CRLF", None, ["", "\r\n", "\r\n"]),
    layout("pretty array", Some("  "), ["[\n  ", ",\n  ", "\n]\n"]),
    layout("pretty array with CRLF", Some("\r\n"), ["[\r\n  ", ",\r\n  ", "\r\n]\r\n"]),
    layout("array of lines", None, ["[\n", ",\n", "\n]\n"]),
    layout("array of lines, bare", None, ["[", ",\n", "]"]),
    layout("array, commas first", None, ["[\n ", "\n,", "\n]"]),
    layout("compact array", None, ["[", ",", "]"]),
    layout("spaced array", None, ["[", ", ", "]"]),
    layout("one after the other", None, ["", "", ""]),
    layout("one line with spaces", None, ["", " ", "\n"]),
    layout("one line with commas", None, ["", ",", "\n"]),
    layout("pretty objects", Some(""), ["", "\n", "\n"]),
];

const fn layout(
    name: &'static str,
    indent: Option<&'static str>,
    around: [&'static str; 3],
) -> Layout {
    Layout { name, indent, around }
}

impl Layout {
    fn record(&self, record: &Value) -> String {
        let Some(indent) = self.indent else { return record.to_string() };
        let text = serde_json::to_string_pretty(record).unwrap();
        match indent {
            "\r\n" => text.replace('\n', "\r\n  "),
            indent => text.replace('\n', &format!("\n{indent}")),
        }
    }

    fn file(&self, records: &[Vec<u8>]) -> Vec<u8> {
        let [before, between, behind] = self.around.map(str::as_bytes);
        [before, &records.join(between), behind].concat()
    }

    /// Whether the end of a record and the beginning of the next can be told from something that
    /// is too much in one of them.
    fn has_gaps(&self) -> bool {
        !self.around[1].is_empty()
    }
}

/// A record whose texts look like the structure around it.
fn record(name: &str, events: usize) -> Value {
    let event = |number| {
        let element = format!("b{number}");
        json!({"event_type": "click", "element_id": element, "timestamp": "2025-07-01T10:00:00Z"})
    };
    json!({
        "session_id": name, "user_id": "u-1", "timestamp": "2025-07-01T10:00:00Z",
        "user_agent": "B/1.0 \"quoted\" \\ / ü },{\"x", "os": "iOS", "browser": "Safari",
        "page_url": "/p?x=[1]#t", "events": (0..events).map(event).collect::<Vec<_>>(),
        "time_spent_seconds": 3, "is_returning_visitor": true, "visit_count": 1,
    })
}

fn good(number: usize) -> Value {
    record(&format!("s-{number}"), number % 4)
}

/// What is broken, and how a record looks that is broken this way.
fn broken(layout: &Layout) -> Vec<(&'static str, Vec<u8>)> {
    let whole = layout.record(&record("broken", 3));
    let upto = |part: &str| whole.split_once(part).unwrap().0.to_owned();
    let through = |part: &str| upto(part) + part;
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1)
    };
    let events = upto("\"events\"");
    let mut kinds = vec![
        ("cut off in a text", through("Saf")),
        ("cut off in a list", upto("\"b1\"")),
        ("cut off behind a brace", through("\"events\"") + ":[{"),
        ("cut off behind a bracket", through("\"events\"") + ":["),
        ("cut off in a key", through("\"eve")),
        ("cut off behind a colon", through("\"events\"") + ":"),
        ("cut off behind an item", events.clone() + "\"events\":[{\"event_type\":\"x\"}"),
        ("cut off behind a comma", events + "\"events\":[{\"event_type\":\"x\"},"),
        ("no closing brace", whole.trim_end_matches('}').trim_end().to_owned()),
        ("no first brace", whole[1..].trim_start().to_owned()),
        ("no closing quote", with("Safari\"", "Safari")),
        ("no opening quote", with("\"Safari", "Safari")),
        ("no quote before a key", with("\"browser", "browser")),
        ("no quote behind a key", with("browser\"", "browser")),
        ("no colon", with("\"os\":", "\"os\" ")),
        ("no value", with("\"iOS\"", "")),
        ("no comma", with("\"iOS\",", "\"iOS\" ")),
        ("a list without its bracket", with("]", "")),
        ("a brace too many inside", with("\"events\"", "\"x\":1},\"events\"")),
        ("a bracket too many inside", with("\"events\"", "\"x\":1],\"events\"")),
        ("an opening brace inside", with("\"iOS\"", "{\"iOS\"")),
        ("an opening bracket inside", with("\"iOS\"", "[\"iOS\"")),
        ("a wrong closing bracket", whole[..whole.len() - 1].to_owned() + "]"),
        ("a wrong escape", with("Safari", "Sa\\xfari")),
        ("a control character", with("Safari", "Sa\u{1}fari")),
        ("a raw line break", with("Safari", "Sa\nfari")),
        ("no JSON", whole.replace('"', "'")),
        ("a word as value", with("true", "True")),
    ];
    for stray in ["[", "]", "{", "}", "\"", "null", "42", "word", "\"text\"", ",,"] {
        kinds.push((stray, stray.to_owned()));
    }
    kinds.push(("a log line", "[date] starting export {job 17".to_owned()));
    if layout.has_gaps() {
        kinds.push(("a brace too many", whole.clone() + "}"));
        kinds.push(("a bracket too many", whole.clone() + "]"));
        kinds.push(("a brace too many in front", "{".to_owned() + &whole));
    }
    let mut kinds: Vec<_> =
        kinds.into_iter().map(|(what, text)| (what, text.into_bytes())).collect();
    let mut bytes = whole.into_bytes();
    let place = bytes.windows(6).position(|part| part == b"Safari").unwrap();
    bytes.splice(place..place, [0xff, 0xfe]);
    kinds.push(("no UTF-8", bytes));
    kinds
}

/// What is in the lake of the files of a bench: the ids of each, and what is in quarantine.
struct Outcome {
    rows: BTreeMap<String, Vec<String>>,
    quarantined: BTreeMap<String, Vec<u8>>,
}

impl Outcome {
    fn of(bench: &Bench) -> Self {
        bench.command(&["run", "--select", "bronze.web_sessions"]).ok();
        let (mut rows, mut quarantined) = (BTreeMap::new(), BTreeMap::new());
        for row in bench.query("SELECT _source, session_id FROM bronze.web_sessions") {
            let id = row["session_id"].as_str().unwrap_or("no id").to_owned();
            let ids: &mut Vec<String> = rows.entry(file_of(&row)).or_default();
            ids.push(id);
        }
        let sql = "SELECT _source, encode(record, 'hex') AS hex FROM ops.quarantine \
            ORDER BY _source, _position";
        for row in bench.query(sql) {
            let bytes: &mut Vec<u8> = quarantined.entry(file_of(&row)).or_default();
            bytes.extend(from_hex(row["hex"].as_str().unwrap()));
        }
        Self { rows, quarantined }
    }
}

fn file_of(row: &Value) -> String {
    row["_source"].as_str().unwrap().to_owned()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

fn without_separators(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace() && *byte != b',').collect()
}

/// Lands a file for each of `cases`: its layout, what is broken, at which place.
fn all_good_ones_land(cases: &[(&Layout, &str, &[u8], usize)], count: usize) {
    let bench = Bench::new();
    for (index, (layout, _, broken, place)) in cases.iter().enumerate() {
        let mut records: Vec<Vec<u8>> =
            (0..count).map(|number| layout.record(&good(number)).into_bytes()).collect();
        records.insert(*place, broken.to_vec());
        bench.land(&format!("{index:04}.json"), layout.file(&records));
    }
    let outcome = Outcome::of(&bench);
    let mut wrong = Vec::new();
    for (index, (layout, what, broken, place)) in cases.iter().enumerate() {
        let file = format!("{index:04}.json");
        let ids = outcome.rows.get(&file).cloned().unwrap_or_default();
        let distinct: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let landed = (0..count).filter(|number| distinct.contains(&*format!("s-{number}"))).count();
        let quarantined = outcome.quarantined.get(&file).cloned().unwrap_or_default();
        let is_kept = without_separators(&quarantined) == without_separators(broken);
        if landed != count || ids.len() != count || !is_kept {
            let quarantined = String::from_utf8_lossy(&quarantined).into_owned();
            wrong.push(format!(
                "{}, {what}, at {place}: {landed} good of {} rows, in quarantine {quarantined}",
                layout.name,
                ids.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whatever_is_broken_wherever_it_is_the_good_ones_land() {
    const COUNT: usize = 40;
    for layout in &LAYOUTS {
        let kinds = broken(layout);
        let cases: Vec<_> = kinds
            .iter()
            .flat_map(|(what, bytes)| {
                [0, COUNT / 2, COUNT].map(|place| (layout, *what, &**bytes, place))
            })
            // A file of objects that begins with a bracket is an array that lost its end.
            .filter(|(layout, what, _, place)| {
                let begins_array = matches!(*what, "[" | "a log line") && *place == 0;
                !(begins_array && layout.around[0].is_empty() && layout.around[1] == ",")
            })
            .collect();
        all_good_ones_land(&cases, COUNT);
    }
}

#[test]
fn among_five_thousand_all_others_land() {
    const COUNT: usize = 5000;
    let kinds: Vec<_> = LAYOUTS.iter().map(broken).collect();
    let most = kinds.iter().map(Vec::len).max().unwrap();
    let cases: Vec<_> = (0..most)
        .filter_map(|turn| {
            // Layouts with anything between records: of the others not every kind can be told.
            let index = [0, 2, 4, 7, 12][turn % 5];
            let (what, bytes) = kinds[index].get(turn)?;
            let place = [COUNT / 2, 1, COUNT][turn % 3];
            Some((&LAYOUTS[index], *what, &**bytes, place))
        })
        .collect();
    assert!(cases.len() > 40);
    for cases in cases.chunks(15) {
        all_good_ones_land(cases, COUNT);
    }
}

#[test]
fn several_broken_ones_and_records_within_records_stay_right() {
    let bench = Bench::new();
    let tree = |id: usize| {
        let children: Vec<_> =
            (0..3).map(|child| record(&format!("child-{id}-{child}"), 1)).collect();
        let mut tree = good(id);
        tree["children"] = Value::from(children);
        tree
    };
    for (index, layout) in LAYOUTS.iter().enumerate() {
        let whole = layout.record(&record("broken", 3));
        let swallows = whole.split_once("\"b1\"").unwrap().0.to_owned();
        let mut records: Vec<String> = (0..60).map(|number| layout.record(&good(number))).collect();
        for place in [50, 31, 30, 30, 3, 1] {
            records.insert(place, swallows.clone());
        }
        let bytes = |records: Vec<String>| -> Vec<Vec<u8>> {
            records.into_iter().map(String::into_bytes).collect()
        };
        bench.land(&format!("{index:02}-several.json"), layout.file(&bytes(records)));
        let trees: Vec<String> = (0..60).map(|number| layout.record(&tree(number))).collect();
        bench.land(&format!("{index:02}-trees.json"), layout.file(&bytes(trees)));
    }
    let outcome = Outcome::of(&bench);
    for (index, layout) in LAYOUTS.iter().enumerate() {
        for kind in ["several", "trees"] {
            let ids = &outcome.rows[&format!("{index:02}-{kind}.json")];
            let distinct: BTreeSet<_> = ids.iter().collect();
            assert_eq!((ids.len(), distinct.len()), (60, 60), "{kind}, {}", layout.name);
            assert!(ids.iter().all(|id| id.starts_with("s-")), "{kind}, {}", layout.name);
        }
        assert!(!outcome.quarantined.contains_key(&format!("{index:02}-trees.json")));
    }
}

/// Something broken by chance.
fn mangled(chance: &mut ChaCha8Rng, record: &str) -> Vec<u8> {
    let pieces = ["{", "}", "[", "]", "\"", ",", ":", "\\", "\n", "null", "},{", "\u{1}", "é"];
    let mut bytes = record.as_bytes().to_vec();
    for _ in 0..chance.random_range(1..3) {
        let from = chance.random_range(1..bytes.len());
        match chance.random_range(0..3) {
            0 => bytes.truncate(from.max(2)),
            1 => drop(bytes.drain(from..(from + chance.random_range(1..7)).min(bytes.len()))),
            _ => drop(bytes.splice(from..from, pieces.choose(chance).unwrap().bytes())),
        }
        if bytes.len() < 3 {
            return b"{\"x".to_vec();
        }
    }
    bytes
}

#[test]
fn whatever_chance_breaks_every_byte_is_kept_once_and_the_others_land() {
    const COUNT: usize = 40;
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "path = \"sample_data/web_sessions\"",
        "path = \"sample_data/web_sessions\"\nkeep-raw = \"always\"",
    );
    let mut files = BTreeMap::new();
    for seed in 0..300 {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let layout = LAYOUTS.iter().filter(|layout| layout.has_gaps());
        let layout = *layout.collect::<Vec<_>>().choose(&mut chance).unwrap();
        let mut untouched = BTreeSet::new();
        let mut records = Vec::new();
        for number in 0..COUNT {
            let text = layout.record(&good(number));
            if (1..COUNT - 1).contains(&number) && chance.random_bool(0.1) {
                records.push(mangled(&mut chance, &text));
            } else {
                untouched.insert(format!("s-{number}"));
                records.push(text.into_bytes());
            }
        }
        let name = format!("{seed:03}.json");
        bench.land(&name, layout.file(&records));
        files.insert(name, (layout.file(&records), untouched, layout.name));
    }
    let outcome = Outcome::of(&bench);
    let mut parts: BTreeMap<String, Vec<(usize, Vec<u8>)>> = BTreeMap::new();
    let sql = "SELECT _source, _position, encode(CAST(_raw AS BYTEA), 'hex') AS hex \
        FROM bronze.web_sessions UNION ALL \
        SELECT _source, _position, encode(record, 'hex') FROM ops.quarantine";
    for row in bench.query(sql) {
        let place = usize::try_from(row["_position"].as_u64().unwrap()).unwrap();
        let bytes = from_hex(row["hex"].as_str().unwrap());
        parts.entry(file_of(&row)).or_default().push((place, bytes));
    }
    for (name, (content, untouched, layout)) in files {
        let landed: BTreeSet<String> = outcome.rows[&name].iter().cloned().collect();
        let lost: Vec<_> = untouched.difference(&landed).collect();
        assert!(lost.is_empty(), "{name}, {layout}: {lost:?} did not land");
        let mut parts = parts.remove(&name).unwrap();
        parts.sort();
        let mut kept = 0;
        for (place, bytes) in parts.into_iter().chain([(content.len(), Vec::new())]) {
            assert!(place >= kept, "{name}, {layout}: the bytes at {place} are there twice");
            let between = without_separators(&content[kept..place]);
            let is_array = between.iter().all(|byte| matches!(byte, b'[' | b']'));
            assert!(is_array, "{name}, {layout}: lost {}", String::from_utf8_lossy(&between));
            let skipped = content[place..].iter().take_while(|byte| byte.is_ascii_whitespace());
            let start = place + if bytes.is_empty() { 0 } else { skipped.count() };
            let bytes = bytes.trim_ascii_start();
            kept = start + bytes.len();
            assert_eq!(content.get(start..kept), Some(bytes), "{name}, {layout}, at {place}");
        }
    }
}
