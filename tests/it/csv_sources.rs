//! CSV and TSV: what is a row becomes one, what is none is in quarantine, byte for byte.

use std::io::Write as _;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::one_source::OneSource;

const COLUMNS: &str =
    "id BIGINT, name TEXT, share DOUBLE, is_new BOOLEAN, tags ARRAY<TEXT>, x JSON";
const ALL: [&str; 6] = ["id", "name", "share", "is_new", "tags", "x"];

fn utf_16(text: &str, is_big: bool) -> Vec<u8> {
    let bytes = |unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn fields_become_values_of_their_columns() {
    let text = "id,name,share,is_new,tags,x\r\n\
                1,\"a, \"\"b\"\"\r\nc\",0.5,true,\"[\"\"p\"\",\"\"q\"\"]\",\"{\"\"k\"\": 1}\"\r\n\
                2,,,,,\r\n\
                \r\n\
                3,\"\",1e3,no,[],plain\r\n\
                +4, d ,7,F,,5";
    let source = OneSource::new("", COLUMNS).file("a.csv", text).landed();
    assert_eq!(
        source.rows(&ALL),
        [
            json!([1, "a, \"b\"\r\nc", 0.5, true, ["p", "q"], "{\"k\": 1}"]),
            json!([2, null, null, null, null, null]),
            json!([3, "", 1000.0, false, [], "\"plain\""]),
            json!([4, " d ", 7.0, false, null, "5"]),
        ]
    );
    assert!(source.rescued().iter().all(Value::is_null), "{:?}", source.rescued());
    assert!(source.rejected().is_empty());
    let places: Vec<Value> = source.rows(&["_position"]);
    let starts = ["1,\"a", "2,,", "3,\"\"", "+4"].map(|row| json!([text.find(row).unwrap()]));
    assert_eq!(places, starts);
}

#[test]
fn what_does_not_fit_is_rescued() {
    let text = "id,name,Is New,other\nfive,a,maybe,b\n6,a,t,,,more\n7,a\n99999999999999999999,,,\n";
    let source = OneSource::new("", COLUMNS).file("a.csv", text).landed();
    assert_eq!(
        source.rows(&["id", "name", "is_new", "_raw"]),
        [
            json!([null, "a", null, "five,a,maybe,b"]),
            json!([6, "a", true, "6,a,t,,,more"]),
            json!([7, "a", null, "7,a"]),
            json!([null, null, null, "99999999999999999999,,,"]),
        ]
    );
    let entry = |path: &str, value: Value, reason: &str| json!({"path": path, "value": value, "reason": reason});
    let number: Value = serde_json::from_str("99999999999999999999").unwrap();
    let expected = [
        json!([
            entry("other", json!("b"), "unknown field"),
            entry("id", json!("five"), "expected BIGINT, found string"),
            entry("is_new", json!("maybe"), "expected BOOLEAN, found string"),
        ]),
        json!([entry("[5]", json!("more"), "behind the last field that has a name")]),
        json!([entry("", Value::Null, "2 fields of 4")]),
        json!([entry("id", number, "out of range for BIGINT")]),
    ];
    assert_eq!(source.rescued(), expected);
}

/// Options, the name of a file, its content.
type Written = (&'static str, &'static str, Vec<u8>);

#[test]
fn the_same_rows_in_every_manner_of_writing() {
    let commas = "id,name\n1,Zoë €\n2,\"x\n\"\"y\"\"\"\n";
    let tabs = "id\tname\n1\tZoë €\n2\t\"x\n\"\"y\"\"\"\n";
    let with_mark = |text: &str| format!("\u{feff}{text}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(commas.as_bytes()).unwrap();
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(commas);
    let headless = commas.split_once('\n').unwrap().1;
    let written: [Written; 14] = [
        ("", "a.csv", commas.into()),
        ("", "a.CSV", with_mark(commas).into()),
        (
            "",
            "a.csv",
            commas
                .replace(",\"x\n", ",\"x\u{1}")
                .replace('\n', "\r\r\n")
                .replace('\u{1}', "\n")
                .into(),
        ),
        ("", "a.csv", commas.trim_end().into()),
        ("", "a.tsv", tabs.into()),
        ("", "a.csv.gz", gzip.finish().unwrap()),
        ("", "a.csv.zst", zstd::encode_all(commas.as_bytes(), 3).unwrap()),
        ("", "a.csv", utf_16(&with_mark(commas), false)),
        ("", "a.csv", utf_16(&with_mark(commas), true)),
        ("encoding = \"utf-16le\"", "a.csv", utf_16(commas, false)),
        ("encoding = \"latin1\"", "a.csv", latin.into_owned()),
        ("format = \"csv\"\ndelimiter = \"\\t\"", "a.log", tabs.into()),
        ("header = false", "a.csv", headless.into()),
        (
            "header = [\"id\", \"name\"]\ndelimiter = \";\"\nquote = \"'\"",
            "a.csv",
            headless
                .replace(',', ";")
                .replace("\"\"", "\u{1}")
                .replace('"', "'")
                .replace('\u{1}', "\"")
                .into(),
        ),
    ];
    for (options, name, content) in written {
        let source = OneSource::new(options, "id BIGINT, name TEXT").file(name, content).landed();
        let rows = [json!([1, "Zoë €", null]), json!([2, "x\n\"y\"", null])];
        assert_eq!(source.rows(&["id", "name", "_rescued"]), rows, "{options} {name}");
        assert!(source.rejected().is_empty(), "{options} {name}: {:?}", source.rejected());
    }
}

/// A broken row, and the reason why it is none.
const BROKEN: [(&str, &str); 5] = [
    ("5,\"never closed,x", "not closed"),
    ("5,\"closed\" too early,x", "follows the closing quote"),
    ("5,\"closed\" and\",\"open,x", "follows the closing quote"),
    ("id,name,note", "once more"),
    ("5,\"", "not closed"),
];

#[test]
fn a_broken_row_leaves_its_neighbours_alone() {
    let around: [&[&str]; 3] = [
        &["1,a,b", "2,\"c\",d", "3,\"e\nf\",\"\"", "4,g,\"h\""],
        &["1,a,b", "2,c,d"],
        &["1,\"\",\"b\"", "2,\"\",\"\""],
    ];
    for (broken, reason) in BROKEN {
        for rows in around {
            for place in 0..=rows.len() {
                let mut all = rows.to_vec();
                all.insert(place, broken);
                let text = format!("id,name,note\n{}\n", all.join("\n"));
                let columns = "id BIGINT, name TEXT, note TEXT";
                let source = OneSource::new("", columns).file("a.csv", &text).landed();
                let ids: Vec<Value> = source.rows(&["id", "_rescued"]);
                let expected: Vec<Value> = (1..=rows.len()).map(|id| json!([id, null])).collect();
                assert_eq!(ids, expected, "{text}");
                let rejected = source.rejected();
                assert_eq!(rejected.len(), 1, "{text}: {rejected:?}");
                let position = "id,name,note\n".len()
                    + rows[..place].iter().map(|row| row.len() + 1).sum::<usize>();
                assert_eq!(rejected[0].position, position as u64, "{text}");
                assert_eq!(rejected[0].bytes, broken.as_bytes(), "{text}");
                assert!(rejected[0].reason.contains(reason), "{text}: {}", rejected[0].reason);
            }
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let mut odd = utf_16("\u{feff}id,name\n1,a\n2,", false);
    odd.extend([0x00, 0xD8, 0x0A, 0x00, 0x33, 0x00, 0x2C, 0x00, 0x7A]);
    for (content, good, rejected) in [
        (
            b"id,name\n1,a\n2,\xff\xfe\n3,c\n".to_vec(),
            vec![1, 3],
            vec![(12, b"2,\xff\xfe".to_vec())],
        ),
        (
            odd,
            vec![1],
            vec![(26, vec![0x32, 0, 0x2C, 0, 0x00, 0xD8]), (34, vec![0x33, 0, 0x2C, 0, 0x7A])],
        ),
        (b"id,\xff\n1,a\n".to_vec(), vec![], vec![(0, b"id,\xff".to_vec()), (5, b"1,a".to_vec())]),
    ] {
        let source = OneSource::new("", "id BIGINT, name TEXT").file("a.csv", &content).landed();
        let ids: Vec<Value> = good.iter().map(|id| json!([id])).collect();
        assert_eq!(source.rows(&["id"]), ids, "{content:?}");
        let found = source.rejected().into_iter().map(|one| (one.position, one.bytes));
        assert_eq!(found.collect::<Vec<_>>(), rejected, "{content:?}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (option, message) in [
        ("format = \"xml\"", "not a format"),
        ("delimiter = \"\"", "one ASCII character"),
        ("header = 1", "`header` is true, false or a list"),
        ("header = [\"a\", \"a\"]", "stands twice"),
        ("encoding = \"ebcdic\"", "not an encoding"),
        ("format = \"json\"\nquote = \"'\"", "how CSV is written"),
    ] {
        let said = OneSource::new(option, COLUMNS).refused();
        assert!(said.contains(message), "{option}: {said}");
    }
}

/// A field of letters and of all that separates fields and rows.
fn field(random: &mut ChaCha8Rng) -> String {
    let parts = ["a", "ü", " ", ",", "\"", "\n", "\r\n", "\r", "'", "\t", "\\", "{", "0"];
    (0..random.random_range(0..6)).map(|_| *parts.choose(random).unwrap()).collect()
}

#[test]
fn whatever_is_in_fields_comes_back() {
    for seed in 0..12 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let end = *["\n", "\r\n"].choose(&mut random).unwrap();
        let (mut text, mut expected) = (format!("id,a,b{end}"), Vec::new());
        let mut positions = Vec::new();
        for id in 0..300 {
            positions.push(json!(text.len()));
            let (a, b) = (field(&mut random), field(&mut random));
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let is_last = id == 299 && random.random();
            let end = if is_last { "" } else { end };
            text += &format!("{id},{},{}{end}", quoted(&a), quoted(&b));
            expected.push(json!([id, a, b, null]));
        }
        let source = OneSource::new("", "id BIGINT, a TEXT, b TEXT").file("a.csv", &text).landed();
        assert_eq!(source.rows(&["id", "a", "b", "_rescued"]), expected, "seed {seed}");
        let found = source.rows(&["_position"]);
        let positions: Vec<Value> = positions.into_iter().map(|place| json!([place])).collect();
        assert_eq!(found, positions, "seed {seed}");
        assert!(source.rejected().is_empty(), "seed {seed}");
    }
}

#[test]
fn every_byte_of_a_mangled_file_is_somewhere() {
    for seed in 0..25 {
        let mut random = ChaCha8Rng::seed_from_u64(1000 + seed);
        let mut text = String::from("id,a,b\n");
        for id in 0..200 {
            let (a, b) = (field(&mut random), field(&mut random));
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            text += &format!("{id},{},{}\n", quoted(&a), quoted(&b));
        }
        let head = "id,a,b\n".len();
        let mut bytes = text.into_bytes();
        for _ in 0..random.random_range(1..8) {
            let place = random.random_range(head..bytes.len());
            match random.random_range(0..3) {
                0 => {
                    bytes.remove(place);
                }
                1 => bytes.insert(place, *b"\",\n\r\xffa".choose(&mut random).unwrap()),
                _ => bytes.truncate(place.max(bytes.len() / 2)),
            }
        }
        let source = OneSource::new("keep-raw = \"always\"", "id BIGINT, a TEXT, b TEXT")
            .file("a.csv", &bytes)
            .landed();
        let rows = source.rows(&["_position", "_raw"]).into_iter().map(|row| {
            let raw = row[1].as_str().unwrap().as_bytes().to_vec();
            (row[0].as_u64().unwrap(), raw)
        });
        let rejected = source.rejected().into_iter().map(|one| (one.position, one.bytes));
        let mut found: Vec<(u64, Vec<u8>)> = rows.chain(rejected).collect();
        found.sort();
        let mut at = head;
        for (position, content) in found {
            let position = usize::try_from(position).unwrap();
            let between = &bytes[at..position];
            assert!(between.iter().all(|byte| b"\r\n".contains(byte)), "seed {seed}: {between:?}");
            at = position + content.len();
            assert_eq!(bytes[position..at], content, "seed {seed}");
        }
        let rest = &bytes[at..];
        assert!(rest.iter().all(|byte| b"\r\n".contains(byte)), "seed {seed}: {rest:?}");
    }
}
