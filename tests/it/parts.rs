//! Tables that are large enough to be computed in parts, each core its own days: they hold what the
//! same SQL gives over everything at once, which is how `verify` computes them.

use crate::support::Bench;

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
