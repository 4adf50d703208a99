//! Tables that are large enough to be computed in parts, each core its own days: they hold what the
//! same SQL gives over everything at once, which is how `verify` computes them.

use serde_json::Value;

use crate::support::{Bench, entry, session};

/// More rows than a model needs to have to be cut, with redelivered records among them.
const SESSIONS: &str = "22000";

/// Rows of a table, rows of none, and days that only one of two tables has.
const AWKWARD: &str = "-- Sessions and events per day, and a line of its own.
SELECT s.session_date, count(*) AS sessions, sum(s.event_count) AS events
FROM silver.sessions s WHERE s.bounce GROUP BY s.session_date
UNION ALL
SELECT DATE '1999-12-31' AS session_date, 1 AS sessions, 0 AS events
";

const FAR_SIDE: &str = "-- Days with bounced sessions, whether they have conversions or not.
SELECT b.session_date, b.bounced, c.converted
FROM (SELECT session_date, count(*) AS bounced FROM silver.sessions WHERE bounce GROUP BY session_date) b
LEFT JOIN (SELECT session_date, count(*) AS converted FROM silver.sessions WHERE conversion GROUP BY session_date) c
    ON c.session_date = b.session_date
";

#[test]
fn tables_that_are_computed_in_parts_equal_their_rebuild() {
    let bench = Bench::new();
    std::fs::write(bench.path("sql/gold/awkward.sql"), AWKWARD).unwrap();
    std::fs::write(bench.path("sql/gold/far_side.sql"), FAR_SIDE).unwrap();
    let pipeline = bench.path("pipelines/web_traffic.toml");
    let mut text = std::fs::read_to_string(&pipeline).unwrap();
    for table in ["awkward", "far_side"] {
        text += &format!(
            "\n[model.\"gold.{table}\"]\nstrategy = \"recompute\"\nby = [\"session_date\"]\n"
        );
    }
    std::fs::write(&pipeline, text).unwrap();
    let landing = bench.landing();
    let options = ["--count", SESSIONS, "--files", "3", "--dirty", "--seed", "11"];
    let mut arguments = vec!["generate", "sessions", landing.to_str().unwrap()];
    arguments.extend(options);
    bench.command(&arguments).ok();
    bench.run();
    let verified = bench.command(&["verify"]).ok();
    assert!(verified.contains("gold.awkward"), "{verified}");
    let lines = "SELECT count(*) FROM gold.awkward WHERE session_date = DATE '1999-12-31'";
    assert_eq!(bench.value(lines), 1);
    let files = "SELECT count(DISTINCT _source) FROM silver.final_cookies";
    assert_eq!(bench.value(files), 3);
}

/// Sessions of all users at this time, with numbers from `from` on.
fn sessions_at(time: &str, from: u64) -> String {
    let one = |number: u64| {
        let mut session = session(number);
        session["timestamp"] = time.into();
        session.to_string()
    };
    (from..from + 7).map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn days_that_come_out_as_they_were_are_not_written() {
    let bench = Bench::new();
    let records: Vec<String> = (0..200).map(|number| session(number).to_string()).collect();
    bench.land("a.json", records.join("\n"));
    bench.run();
    let counts = |report: &Value, table: &str| {
        let done = entry(report, table);
        assert_eq!(done["strategy"], "recompute", "{table}: {}", done["reason"]);
        (done["rows_landed"].as_u64().unwrap(), done["rows_replaced"].as_u64().unwrap())
    };
    // All users come again: their earlier journeys are touched, and stay what they were.
    bench.land("b.json", sessions_at("2025-07-20T10:00:00Z", 210));
    let report = bench.run();
    assert_eq!(counts(&report, "gold.journeys"), (7, 0));
    assert_eq!(counts(&report, "gold.conversion_paths").1, 0);
    assert_eq!(counts(&report, "gold.path_summary").1, 0, "of days before");
    bench.command(&["verify"]).ok();
    // A session before all others leads up to every one that came later.
    bench.land("c.json", sessions_at("2025-06-30T10:00:00Z", 220));
    let report = bench.run();
    assert_eq!(counts(&report, "gold.journeys"), (214, 207));
    bench.command(&["verify"]).ok();
    // What is only delivered again changes nothing in what is made of it.
    bench.land("d.json", sessions_at("2025-07-20T10:00:00Z", 210));
    let report = bench.run();
    assert_eq!(entry(&report, "gold.journeys")["rows_landed"], 0);
    bench.command(&["verify"]).ok();
}

#[test]
fn rows_that_came_and_were_merged_since_are_not_taken_for_old_ones() {
    let bench = Bench::new();
    bench.land("a.json", sessions_at("2025-07-01T10:00:00Z", 0));
    bench.run();
    for (name, from) in [("b.json", 10), ("c.json", 20)] {
        bench.land(name, sessions_at("2025-07-02T10:00:00Z", from));
        bench.command(&["run", "--select", "+silver.sessions"]).ok();
    }
    bench.command(&["tables", "compact", "silver.sessions"]).ok();
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM gold.journeys"), 21);
    bench.command(&["verify"]).ok();
}

/// More sessions than `gold.journeys` gathers at a time in so little memory.
const GATHERED: &str = "60000";

#[test]
fn a_model_that_gathers_rows_gives_the_same_in_rounds() {
    let bench = Bench::new();
    let landing = bench.landing();
    let arguments = ["generate", "sessions", landing.to_str().unwrap(), "--count", GATHERED];
    bench.command(&arguments).ok();
    let mut contents = Vec::new();
    for memory in ["256MiB", "4GiB"] {
        let lake = bench.path(memory);
        let run = |arguments: &[&str]| {
            let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_clickwatch"));
            process.args(arguments).args(["--memory", memory, "--lake"]).arg(&lake);
            let output = process.arg("--project").arg(bench.path("")).output().unwrap();
            let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
            assert!(output.status.success(), "{err}");
            String::from_utf8(out).unwrap()
        };
        run(&["run", "--select", "+gold.journeys"]);
        contents.push(run(&[
            "sql",
            "--latest",
            "--format",
            "csv",
            "SELECT count(*), count(DISTINCT user_id), sum(session_number), sum(length(path)), \
             sum(seconds_since_last), min(row), max(row) FROM (SELECT *, md5(concat_ws('|', user_id, \
             session_id, session_date, path, session_number)) AS row FROM gold.journeys)",
        ]));
    }
    assert_eq!(contents[0], contents[1]);
    assert!(contents[0].contains(','), "{}", contents[0]);
}
