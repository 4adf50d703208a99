//! What happens to the files of a source between two runs, and what lands of it: what is new.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::one_source::OneSource;
use crate::support::{Bench, entry, session};

/// One file, and what becomes of it.
struct Case {
    /// The beginning of all of its names.
    name: &'static str,
    before: Vec<u8>,
    change: Box<dyn Fn(&Path)>,
    /// The sessions that land then, and the content in which they stand.
    lands: Vec<u64>,
    content: String,
    /// What is said about the file.
    said: &'static [&'static str],
}

/// The case number `case` of a file that holds two sessions in lines.
fn case(case: u64, name: &'static str, change: impl Fn(&Path) + 'static) -> Case {
    let before = lines(&[case * 10 + 1, case * 10 + 2]);
    Case {
        name,
        before: before.clone().into_bytes(),
        change: Box::new(change),
        lands: Vec::new(),
        content: before,
        said: &[],
    }
}

fn lines(numbers: &[u64]) -> String {
    numbers.iter().map(|number| session(*number).to_string() + "\n").collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 0).unwrap()
}

fn append(path: &Path, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Gives the file at `path` a time that it never had.
fn touch(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap() - Duration::from_secs(3600);
    file.set_modified(time).unwrap();
}

/// Files that hold what had landed.
fn known_cases() -> Vec<Case> {
    vec![
        Case { said: &["touched"], ..case(1, "touched", touch) },
        Case {
            said: &["touched"],
            ..case(2, "copied_over", |path| {
                let content = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                fs::write(path, content).unwrap();
                touch(path);
            })
        },
        Case {
            said: &["moved"],
            ..case(3, "renamed", |path| fs::rename(path, path.with_extension("moved")).unwrap())
        },
        // Nobody can see this.
        case(5, "backdated", |path| {
            let time = fs::metadata(path).unwrap().modified().unwrap();
            let content = fs::read_to_string(path).unwrap().replace("Safari", "Chrome");
            fs::write(path, content).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }),
    ]
}

/// Files of which the end is new.
fn grown_cases() -> Vec<Case> {
    type Bytes = Vec<u8>;
    let grown = |number: u64, name: &'static str, before: Bytes, more: Bytes, lands: u64| Case {
        before,
        lands: vec![number * 10 + lands],
        content: lines(&[1, 2, 3].map(|session| number * 10 + session)),
        said: &["grown"],
        ..case(number, name, move |path| append(path, &more))
    };
    let [whole, end] = [lines(&[111, 112]), lines(&[113])];
    let unended = lines(&[121, 122]);
    let broken = lines(&[131, 132]);
    let (first, rest) = broken.split_at(broken.len() - 20);
    let texts = |number: u64| (lines(&[number + 1, number + 2]), lines(&[number + 3]));
    let (in_gzip, in_zstd) = (texts(140), texts(150));
    vec![
        grown(11, "appended", whole.into(), end.into(), 3),
        grown(12, "unended", unended.trim_end().into(), format!("\n{}", lines(&[123])).into(), 3),
        Case { content: broken.clone(), ..grown(13, "completed", first.into(), rest.into(), 2) },
        grown(14, "member", gzip(&in_gzip.0), gzip(&in_gzip.1), 3),
        grown(15, "frame", zstd(&in_zstd.0), zstd(&in_zstd.1), 3),
    ]
}

/// Files that hold something else, or what another one holds.
fn other_cases() -> Vec<Case> {
    let array = |numbers: &[u64]| json!(numbers.iter().copied().map(session).collect::<Vec<_>>());
    let (shorter, turned) = (lines(&[211]), lines(&[222, 221]));
    let (longer, split) = (array(&[231, 232, 233]).to_string(), lines(&[241, 242]));
    let (first, rest) = split.split_at(split.len() - 20);
    let rest = gzip(rest);
    vec![
        Case {
            lands: vec![211],
            content: shorter.clone(),
            said: &["rewritten"],
            ..case(21, "truncated", move |path| fs::write(path, &shorter).unwrap())
        },
        Case {
            lands: vec![221, 222],
            content: turned.clone(),
            said: &["rewritten"],
            ..case(22, "same_length", move |path| fs::write(path, &turned).unwrap())
        },
        Case {
            before: array(&[231, 232]).to_string().into(),
            lands: vec![231, 232, 233],
            content: longer.clone(),
            said: &["rewritten"],
            ..case(23, "array", move |path| fs::write(path, &longer).unwrap())
        },
        Case {
            before: gzip(first),
            lands: vec![241, 242],
            content: split.clone(),
            said: &["rewritten"],
            ..case(24, "split", move |path| append(path, &rest))
        },
        Case {
            lands: vec![251, 252],
            said: &["new", "copies"],
            ..case(25, "beside", |path| {
                fs::copy(path, path.with_extension("copy")).unwrap();
            })
        },
    ]
}

#[test]
fn what_lands_is_what_is_new() {
    let bench = Bench::new();
    let cases: Vec<Case> =
        [known_cases(), grown_cases(), other_cases()].into_iter().flatten().collect();
    for case in &cases {
        bench.land(&format!("{}.json", case.name), &case.before);
    }
    bench.run();
    for case in &cases {
        (case.change)(&bench.landing().join(format!("{}.json", case.name)));
    }
    let planned = bench.command(&["plan"]).ok();
    assert!(
        planned.contains("1 new file, 5 grown, 4 rewritten, 2 touched (known), 1 renamed"),
        "{planned}"
    );
    let report = bench.run();
    let mut said: BTreeMap<&str, u64> = BTreeMap::new();
    cases.iter().flat_map(|case| case.said).for_each(|kind| *said.entry(kind).or_default() += 1);
    let deliveries = &entry(&report, "bronze.web_sessions")["deliveries"];
    for (kind, count) in deliveries.as_object().unwrap() {
        assert_eq!(count, said.get(kind.as_str()).unwrap_or(&0), "{kind}");
    }
    for case in &cases {
        let rows = bench.query(&format!(
            "SELECT session_id, _position FROM bronze.web_sessions \
             WHERE _batch = 2 AND _source LIKE '{}.%' ORDER BY session_id",
            case.name
        ));
        let landed: Vec<String> = rows.iter().map(|row| text(&row["session_id"])).collect();
        let expected: Vec<String> = case.lands.iter().map(|number| format!("s-{number}")).collect();
        assert_eq!(landed, expected, "{}", case.name);
        for (row, number) in rows.iter().zip(&case.lands) {
            let position = usize::try_from(row["_position"].as_u64().unwrap()).unwrap();
            let record = session(*number).to_string();
            assert!(case.content[position..].starts_with(&record), "{}: {position}", case.name);
        }
    }
    // What was found out is remembered.
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!(bronze["batch"], Value::Null);
    assert!(bronze["deliveries"].as_object().unwrap().values().all(|count| count == 0), "{bronze}");
    assert_eq!(bench.value("SELECT count(*) FROM silver.sessions"), 33);
    bench.command(&["verify"]).ok();
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// How often each session is in Bronze, and how often it should be there.
#[track_caller]
fn has_each_once(bench: &Bench, count: u64) {
    let counts = "SELECT count(*) AS n, count(DISTINCT session_id) AS sessions \
                  FROM bronze.web_sessions";
    assert_eq!(bench.query(counts), [json!({"n": count, "sessions": count})]);
}

#[test]
fn a_content_that_comes_back_after_another_is_delivered_again() {
    let bench = Bench::new();
    for number in [1, 2, 1] {
        bench.land("a.json", lines(&[number]));
        bench.run();
    }
    let last = "SELECT max(_batch) FROM bronze.web_sessions WHERE session_id = 's-1'";
    assert_eq!(bench.value(last), 3);
}

#[test]
fn rotated_files_land_once() {
    let bench = Bench::new();
    let landing = bench.landing();
    bench.land("log.json", lines(&[1]));
    bench.run();
    for number in 2..5 {
        for age in (0..number - 1).rev() {
            let name = |age: u64| match age {
                0 => "log.json".to_owned(),
                age => format!("log.{age}.json"),
            };
            fs::rename(landing.join(name(age)), landing.join(name(age + 1))).unwrap();
        }
        bench.land("log.json", lines(&[number]));
        bench.run();
    }
    has_each_once(&bench, 4);
}

#[test]
fn a_file_that_grew_before_it_was_renamed_lands_its_end() {
    let bench = Bench::new();
    let place = |name: &str| bench.landing().join(name);
    let rotate = |more: u64, next: u64| {
        append(&place("log.json"), lines(&[more]).as_bytes());
        if place("log.1.json").exists() {
            fs::rename(place("log.1.json"), place("log.2.json")).unwrap();
        }
        fs::rename(place("log.json"), place("log.1.json")).unwrap();
        bench.land("log.json", lines(&[next]));
    };
    bench.land("log.json", lines(&[1]));
    bench.run();
    rotate(2, 3);
    let report = bench.run();
    let deliveries = &entry(&report, "bronze.web_sessions")["deliveries"];
    assert_eq!((&deliveries["grown"], &deliveries["rewritten"]), (&json!(1), &json!(1)));
    has_each_once(&bench, 3);
    let end = "SELECT _source, _position FROM bronze.web_sessions WHERE session_id = 's-2'";
    let position = lines(&[1]).len();
    assert_eq!(bench.query(end), [json!({"_source": "log.1.json", "_position": position})]);
    // The end is not landed without the beginning.
    fs::remove_dir_all(bench.path("lake/bronze/web_sessions")).unwrap();
    bench.run();
    has_each_once(&bench, 3);
    rotate(4, 5);
    bench.run();
    has_each_once(&bench, 5);
    // What has grown is still there: this is a copy of it.
    bench.land("other.json", lines(&[3]));
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 6);
}

#[test]
fn files_that_grew_and_have_other_names_by_another_path_land_their_ends() {
    let bench = Bench::new();
    for (name, numbers) in [("a.json", vec![1]), ("b.json", vec![1, 2]), ("c.json", vec![4])] {
        bench.land(name, lines(&numbers));
    }
    bench.run();
    fs::create_dir(bench.path("more")).unwrap();
    let directory = "path = \"sample_data/web_sessions\"";
    let several = "path = [\"sample_data/web_sessions\", \"more\"]";
    bench.edit("pipelines/web_traffic.toml", directory, several);
    // It goes on from the longer of the two that it begins with.
    fs::remove_file(bench.landing().join("a.json")).unwrap();
    append(&bench.landing().join("b.json"), lines(&[3]).as_bytes());
    let report = bench.run();
    let deliveries = &entry(&report, "bronze.web_sessions")["deliveries"];
    assert_eq!((&deliveries["grown"], &deliveries["moved"]), (&json!(1), &json!(1)));
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 5);
}

#[cfg(unix)]
#[test]
fn a_link_to_the_same_content_is_no_delivery() {
    let bench = Bench::new();
    bench.land("a.json", lines(&[1]));
    bench.run();
    let file = bench.landing().join("a.json");
    fs::rename(&file, bench.path("elsewhere.json")).unwrap();
    touch(&bench.path("elsewhere.json"));
    std::os::unix::fs::symlink(bench.path("elsewhere.json"), &file).unwrap();
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.web_sessions")["deliveries"]["touched"], 1);
    has_each_once(&bench, 1);
}

#[test]
fn a_run_that_died_is_gone_on_with_from_the_same_place() {
    let bench = Bench::new();
    bench.land("a.json", lines(&[1, 2]));
    bench.run();
    append(&bench.landing().join("a.json"), lines(&[3]).as_bytes());
    let died = bench
        .process()
        .env("CLICKWATCH_FAILPOINT", "before-commit@bronze.web_sessions")
        .arg("run")
        .output()
        .unwrap();
    assert!(!died.status.success());
    let report = bench.run();
    let bronze = entry(&report, "bronze.web_sessions");
    assert_eq!((bronze["resumed"].as_bool(), bronze["batch"].as_i64()), (Some(true), Some(2)));
    has_each_once(&bench, 3);
    let place = "SELECT _position FROM bronze.web_sessions WHERE session_id = 's-3'";
    assert_eq!(bench.value(place), lines(&[1, 2]).len());
    // It grows on from there.
    append(&bench.landing().join("a.json"), lines(&[4]).as_bytes());
    bench.run();
    has_each_once(&bench, 4);
}

#[test]
fn parts_of_a_file_land_anew_together_when_bronze_is_thrown_away() {
    let bench = Bench::new();
    bench.land("a.json", lines(&[1]));
    bench.run();
    for number in [2, 3] {
        append(&bench.landing().join("a.json"), lines(&[number]).as_bytes());
        bench.run();
    }
    fs::remove_dir_all(bench.path("lake/bronze/web_sessions")).unwrap();
    bench.run();
    has_each_once(&bench, 3);
}

#[test]
fn a_record_of_several_lines_is_landed_when_its_end_has_come() {
    let bench = Bench::new();
    let indented = |number: u64| serde_json::to_string_pretty(&session(number)).unwrap() + "\n";
    let (first, second) = (indented(1), indented(2));
    let (head, rest) = second.split_at(second.find(",\n").unwrap() + 2);
    bench.land("a.json", first + head);
    bench.run();
    append(&bench.landing().join("a.json"), rest.as_bytes());
    bench.run();
    has_each_once(&bench, 2);
}

#[test]
fn a_record_over_lines_behind_one_in_a_line_is_landed_when_its_end_has_come() {
    let bench = Bench::new();
    let broken = session(2).to_string().replacen(',', ",\n", 3) + "\n";
    let (head, rest) = broken.split_at(broken.match_indices('\n').nth(2).unwrap().0 + 4);
    bench.land("a.json", lines(&[1]) + head);
    bench.run();
    append(&bench.landing().join("a.json"), rest.as_bytes());
    bench.run();
    has_each_once(&bench, 2);
}

fn plain(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A file of rows: its name, how its text is written, the text, and what is added to it. At the end the
/// rows that land then.
type Rows = (&'static str, fn(&str) -> Vec<u8>, &'static str, &'static str, &'static [i64]);

/// Files of which the added rows alone land.
static ROWS_ADDED: [Rows; 10] = [
    ("plain.csv", plain, "id,name\n1,a\n2,\"b\nc\"\n", "3,d\n", &[3]),
    ("marked.csv", plain, "\u{feff}id,name\n1,a\n", "2,b\n", &[2]),
    ("returns.tsv", plain, "id\tname\r\n1\ta\r\n", "2\tb\r\n", &[2]),
    ("old_returns.csv", plain, "id,name\r1,a\r", "2,b\r", &[2]),
    ("names.csv", plain, "name,id\n", "a,1\n", &[1]),
    ("blank.csv", plain, "\n\nid,name\n1,a\n\n", "\n2,b", &[2]),
    ("again.csv", plain, "id,name\n1,a\n", "id,name\n2,b\n", &[2]),
    ("broken.csv", plain, "id,name\n1,\"a\"b\n2,c\n", "3,d\n", &[3]),
    ("member.csv.gz", gzip, "id,name\n1,a\n", "2,b\n", &[2]),
    ("frame.csv.zst", zstd, "id,name\n1,a\n", "2,b\n", &[2]),
];

/// Files that land as a whole: what is added may change what was the last row.
static ROWS_CHANGED: [Rows; 5] = [
    ("unended.csv", plain, "id,name\n1,a", "b\n2,c\n", &[1, 2]),
    ("open.csv", plain, "id,name\n1,\"a\n2,b\n", "c\"\n3,d\n", &[1, 3]),
    ("broken_end.csv", plain, "id,name\n1,a\n2,\"b\"c\n", "3,d\n", &[1, 3]),
    ("unnamed.csv", plain, "id,na", "me\n1,a\n", &[1]),
    ("wide.csv", utf_16, "\u{feff}id,name\n1,a\n", "2,b\n", &[1, 2]),
];

#[test]
fn rows_that_are_added_to_a_file_land_alone() {
    let all = || ROWS_ADDED.iter().chain(ROWS_CHANGED.iter());
    let source = OneSource::new("", "id BIGINT, name TEXT");
    let landed = all()
        .fold(source, |source, (name, write, before, ..)| source.file(name, write(before)))
        .landed();
    let grown = all()
        .fold(landed, |source, (name, write, before, more, _)| {
            source.file(name, [write(before), write(more)].concat())
        })
        .landed();
    let rows = grown.rows(&["_source", "_batch", "id", "_position"]);
    for (name, _, before, more, lands) in all() {
        let landed: Vec<&Value> =
            rows.iter().filter(|row| row[0] == *name && row[1] == 2).collect();
        let ids: Vec<i64> = landed.iter().map(|row| row[2].as_i64().unwrap()).collect();
        assert_eq!(ids, *lands, "{name}");
        let content = [*before, *more].concat();
        // In UTF-16 a position is one of other bytes.
        for row in landed.iter().filter(|_| *name != "wide.csv") {
            let position = usize::try_from(row[3].as_u64().unwrap()).unwrap();
            let line = content[position..].lines().next().unwrap();
            assert!(line.contains(&row[2].to_string()), "{name}: {line}");
        }
    }
    // Another first row makes it another file.
    let renamed = grown.file("plain.csv", "id,title\n1,a\n2,\"b\nc\"\n3,d\n").landed();
    let rows = renamed.rows(&["_source", "_batch", "id"]);
    assert_eq!(rows.iter().filter(|row| row[1] == 3).count(), 3);
}

#[test]
fn rows_are_added_in_the_manner_that_is_declared() {
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("encoding = \"latin1\"", b"id,name\n1,\xe9\n", b"2,\xfc\n"),
        ("header = false", b"1,a\n", "2,\u{fc}\n".as_bytes()),
        ("header = [\"name\", \"id\"]", b"a,1\n", "\u{fc},2\n".as_bytes()),
        ("delimiter = \";\"\nquote = \"'\"", b"id;name\n1;a\n", "2;'\u{fc}'\n".as_bytes()),
    ];
    for (options, before, more) in cases {
        let source = OneSource::new(options, "id BIGINT, name TEXT").file("a.csv", before);
        let grown = source.landed().file("a.csv", [before, more].concat()).landed();
        let rows = grown.rows(&["id", "name", "_batch"]);
        assert_eq!(rows.len(), 2, "{options}: {rows:?}");
        assert_eq!(rows[1], json!([2, "\u{fc}", 2]), "{options}");
    }
}

#[test]
fn a_copy_of_a_renamed_file_is_a_delivery_of_its_own() {
    let bench = Bench::new();
    bench.land("a.json", lines(&[1]));
    bench.run();
    let place = |name: &str| bench.landing().join(name);
    fs::rename(place("a.json"), place("b.json")).unwrap();
    bench.run();
    has_each_once(&bench, 1);
    fs::copy(place("b.json"), place("c.json")).unwrap();
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 2);
}

#[test]
fn a_file_grows_from_what_was_found_under_its_name_last() {
    let bench = Bench::new();
    let place = |name: &str| bench.landing().join(name);
    bench.land("a.json", lines(&[1]));
    bench.run();
    bench.land("b.json", lines(&[2]));
    bench.run();
    fs::remove_file(place("b.json")).unwrap();
    fs::rename(place("a.json"), place("b.json")).unwrap();
    bench.run();
    append(&place("b.json"), lines(&[3]).as_bytes());
    let report = bench.run();
    assert_eq!(entry(&report, "bronze.web_sessions")["deliveries"]["grown"], 1);
    has_each_once(&bench, 3);
}

#[test]
fn a_lake_without_hashes_goes_on_by_size_and_time() {
    let bench = Bench::new();
    bench.land("a.json", lines(&[1]));
    bench.run();
    fs::remove_dir_all(bench.path("lake/ops/files")).unwrap();
    bench.run();
    has_each_once(&bench, 1);
    // Whether this is the same cannot be told any more; from then on it can.
    for deliveries in [2, 2] {
        touch(&bench.landing().join("a.json"));
        bench.run();
        assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), deliveries);
    }
}

#[test]
fn a_source_may_be_patterns_and_files_of_many_places() {
    let bench = Bench::new();
    bench.land("day=1/a.json", lines(&[1]));
    bench.land("day=2/a.json", lines(&[2]));
    bench.land("day=2/a.csv", "session_id");
    let setting = |paths: &str| format!("path = {paths}");
    let [directory, pattern, several] = [
        "\"sample_data/web_sessions\"",
        "\"sample_data/web_sessions/**/*.json\"",
        "[\"sample_data/web_sessions/day=*/*.json\", \"more.json\", \"none/*.gz\"]",
    ]
    .map(setting);
    bench.edit("pipelines/web_traffic.toml", &directory, &pattern);
    bench.run();
    has_each_once(&bench, 2);
    let sources = "SELECT DISTINCT _source FROM bronze.web_sessions ORDER BY _source";
    let names = |rows: &[Value]| rows.iter().map(|row| text(&row["_source"])).collect::<Vec<_>>();
    assert_eq!(names(&bench.query(sources)), ["day=1/a.json", "day=2/a.json"]);
    // The names are other ones now, the contents are not.
    fs::write(bench.path("more.json"), lines(&[3])).unwrap();
    bench.edit("pipelines/web_traffic.toml", &pattern, &several);
    let said = bench.command(&["run"]).ok();
    assert!(said.contains("1 new file, 2 renamed (known)"), "{said}");
    assert!(said.contains("no file matches `none/*.gz`"), "{said}");
    has_each_once(&bench, 3);
    assert_eq!(names(&bench.query(sources)), ["day=1/a.json", "day=2/a.json", "more.json"]);
    for (paths, what) in [("[]", "does not say where"), ("\"a/[b*\"", "is no pattern")] {
        bench.edit("pipelines/web_traffic.toml", &several, &setting(paths));
        let ended = bench.command(&["plan"]);
        assert_eq!(ended.code, 2, "{}", ended.out);
        assert!(ended.err.contains(what), "{}", ended.err);
        bench.edit("pipelines/web_traffic.toml", &setting(paths), &several);
    }
}
