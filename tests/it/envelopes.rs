//! Records inside of larger values, as programs hand them out over the web: each becomes a row, and
//! what is around them is kept.

use serde_json::{Value, json};

use crate::one_source::OneSource;

const PATH: &str = "records = \"$.data.events[*]\"";
const COLUMNS: &str = "id BIGINT, name TEXT";

/// An envelope of records with these numbers.
fn envelope(ids: &[u64]) -> Value {
    let event = |id: &u64| json!({"id": id, "name": format!("n{id}")});
    let events: Vec<Value> = ids.iter().map(event).collect();
    json!({"next": "abc", "data": {"count": ids.len(), "events": events}})
}

#[test]
fn records_land_from_every_layout_of_envelopes() {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let (first, second) = (envelope(&[1, 2]), envelope(&[3]));
    for content in [
        format!("{first}\n{second}\n"),
        format!("{first}{second}"),
        format!("[{first},{second}]"),
        format!("{}\n{}\n", pretty(&first), pretty(&second)),
        pretty(&json!([first, second])),
        format!("\u{feff}{first}\n{}", envelope(&[3])),
    ] {
        let source = OneSource::new(PATH, COLUMNS).file("a.json", &content).landed();
        let expected = [json!([1, "n1"]), json!([2, "n2"]), json!([3, "n3"])];
        assert_eq!(source.rows(&["id", "name"]), expected, "{content}");
        assert!(source.rejected().is_empty(), "{content}");
        let place = |id: u64| {
            let raw = content.find(&format!("\"id\": {id}"));
            let at = raw.or_else(|| content.find(&format!("\"id\":{id}"))).unwrap();
            json!([content[..at].rfind('{').unwrap()])
        };
        assert_eq!(source.rows(&["_position"]), [place(1), place(2), place(3)], "{content}");
    }
}

#[test]
fn what_is_around_records_is_kept() {
    let content = format!("{}\n{}\n", envelope(&[1, 2]), envelope(&[3]));
    let around = |count: u64| json!({"next": "abc", "data": {"count": count}});
    let source = OneSource::new(PATH, COLUMNS).file("a.json", &content).landed();
    let rescued = |count| json!([{"path": "_envelope", "value": around(count), "reason": "around the records"}]);
    assert_eq!(source.rescued(), [rescued(2), Value::Null, rescued(1)]);

    let columns = format!("{COLUMNS}, _envelope JSON");
    let source = OneSource::new(PATH, &columns).file("a.json", &content).landed();
    let parse = |row: Value| serde_json::from_str(row[0].as_str().unwrap()).unwrap();
    let kept: Vec<Value> = source.rows(&["_envelope"]).into_iter().map(parse).collect();
    assert_eq!(kept, [around(2), around(2), around(1)]);
    assert!(source.rescued().iter().all(Value::is_null));

    let columns = format!("{COLUMNS}, _envelope STRUCT<next TEXT, data STRUCT<count BIGINT>>");
    let source = OneSource::new(PATH, &columns).file("a.json", &content).landed();
    assert_eq!(source.rows(&["id", "_envelope"])[2], json!([3, around(1)]));
}

#[test]
fn arrays_in_arrays_keep_what_is_around_each() {
    let content = r#"{"site": "x", "pages": [{"n": 1, "hits": [{"id": 1}]},
        {"n": 2, "hits": [{"id": 2}, {"id": 3}]}, {"n": 3, "hits": []}, {"n": 4}]}"#;
    let columns = "id BIGINT, _envelope JSON";
    let path = "records = \"$.pages[*].hits[*]\"";
    let source = OneSource::new(path, columns).file("a.json", content).landed();
    let around = |n: u64| format!("{{\"site\":\"x\",\"pages\":[{{\"n\":{n}}}]}}");
    let expected = [json!([1, around(1)]), json!([2, around(2)]), json!([3, around(2)])];
    assert_eq!(source.rows(&["id", "_envelope"]), expected);
    let rejected = source.rejected();
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0].bytes, b"{\"n\": 4}");
    assert_eq!(rejected[0].position, content.find("{\"n\": 4}").unwrap() as u64);
    assert!(rejected[0].reason.contains("there is no `hits`"), "{}", rejected[0].reason);
}

#[test]
fn what_holds_no_records_is_in_quarantine() {
    let error = "{\"error\":\"slow down\"}";
    let content = format!(
        "{}\n{error}\n{{\"data\":{{\"events\":null}}}}\n{{\"data\":{{\"events\":[]}}}}\n",
        envelope(&[1])
    );
    let content =
        format!("{content}{{\"data\":{{\"events\":[{{\"id\":2}},5,{{\"id\":\"x\"}}]}}}}\n");
    let source = OneSource::new(PATH, COLUMNS).file("a.json", &content).landed();
    assert_eq!(source.rows(&["id"]), [json!([1]), json!([2]), json!([null])]);
    assert_eq!(source.rows(&["_raw"])[2], json!(["{\"id\":\"x\"}"]));
    let rejected = source.rejected();
    let texts: Vec<&[u8]> = rejected.iter().map(|one| one.bytes.as_slice()).collect();
    assert_eq!(texts, [error.as_bytes(), b"{\"data\":{\"events\":null}}", b"5"]);
    for (one, said) in
        rejected.iter().zip(["there is no `data`", "null instead of an array", "this is integer"])
    {
        assert!(one.reason.contains(said), "{}", one.reason);
    }
}

#[test]
fn of_a_broken_envelope_the_whole_records_are_left() {
    let whole = serde_json::to_string_pretty(&envelope(&[1, 2, 3, 4])).unwrap();
    let cut_off = whole.split_once("\"n4\"").unwrap().0;
    // What is behind the last record lies with it: where it ends is a part of the envelope.
    let mangled = whole.replace("\"id\": 2,", "\"id\" 2,");
    for (content, good) in [(cut_off, &[1, 2, 3][..]), (mangled.as_str(), &[1, 3][..])] {
        let source = OneSource::new(PATH, COLUMNS).file("a.json", content).landed();
        let ids: Vec<Value> = good.iter().map(|id| json!([id])).collect();
        assert_eq!(source.rows(&["id"]), ids, "{content}");
        assert!(!source.rejected().is_empty(), "{content}");
    }
}

#[test]
fn paths_that_make_no_sense_are_refused() {
    for (options, message) in [
        ("records = \"data.events\"", "a path begins with `$`"),
        ("records = \"$.data[0]\"", "no step of a path"),
        ("format = \"csv\"\nrecords = \"$.a[*]\"", "a path in JSON"),
    ] {
        let said = OneSource::new(options, COLUMNS).refused();
        assert!(said.contains(message), "{options}: {said}");
    }
}
