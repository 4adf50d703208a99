//! Files of a project that are not what they should be: named with their place, before anything is done.

use std::fs;

use crate::support::{Bench, session};

const RULES: &str = "sql/channel_rules.csv";
const PIPELINE: &str = "pipelines/web_traffic.toml";

#[test]
fn a_broken_rule_is_reported_by_every_command_that_goes_by_the_rules() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    let ask = ["sql", "--format", "csv", "SELECT channel('google', 'cpc', NULL, NULL) AS channel"];
    assert_eq!(bench.command(&ask).ok(), "channel\nPaid Search\n");
    bench.edit(
        RULES,
        "Paid Search,search,,.*cp.*|ppc|retargeting|paid.*,,,\n",
        "Paid Search,search,,.*cp.*|ppc|(retargeting|paid.*,,,\n",
    );
    for command in [ask.as_slice(), &["run"], &["plan"], &["verify"], &["run", "--dry-run"]] {
        let ended = bench.command(command);
        assert_eq!(ended.code, 2, "{command:?}: {}", ended.out);
        let wanted = "sql/channel_rules.csv:13: `.*cp.*|ppc|(retargeting|paid.*` is not a regular";
        assert!(ended.err.contains(wanted), "{command:?}: {}", ended.err);
    }
    // What computes nothing by the rules goes on.
    for command in [["tables", "list"], ["tables", "compact"]] {
        bench.command(&command).ok();
    }
}

#[test]
fn outside_of_a_project_the_shipped_rules_hold() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("sql")).unwrap();
    fs::remove_dir_all(bench.path("pipelines")).unwrap();
    let ask = ["sql", "--format", "csv", "SELECT channel('google', 'cpc', NULL, NULL) AS channel"];
    assert_eq!(bench.command(&ask).ok(), "channel\nPaid Search\n");
    assert!(bench.command(&["tables", "list"]).ok().contains("0 tables"));
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("there is no project here"), "{}", ended.err);
}

#[test]
fn a_schedule_that_is_none_is_named_with_its_place() {
    let bench = Bench::new();
    let schedule = "schedule = \"*/15 * * * *\"";
    let mut before = schedule.to_owned();
    for (wrong, wanted) in [
        ("whenever it rains", "`whenever it rains` has 3 fields, and a schedule has five"),
        ("0 25 * * *", "`25` is no hour of a schedule (write 0 to 23"),
        ("0 0 * * MUN", "`MUN` is no day of the week of a schedule"),
        ("0 0 30 2 *", "`0 0 30 2 *` is never due"),
        ("@nightly", "there is no schedule called `@nightly`"),
    ] {
        let after = format!("schedule = \"{wrong}\"");
        bench.edit(PIPELINE, &before, &after);
        before = after;
        let ended = bench.command(&["plan"]);
        assert_eq!(ended.code, 2, "{wrong}");
        let place = format!("{PIPELINE}:3:12: ");
        assert!(ended.err.contains(&place), "{wrong}: {}", ended.err);
        assert!(ended.err.contains(wanted), "{wrong}: {}", ended.err);
    }
    for right in ["0 2 * * mon-fri", "0,30 8-18/2 1-7 JAN,jul *", "@daily"] {
        let after = format!("schedule = \"{right}\"");
        bench.edit(PIPELINE, &before, &after);
        before = after;
        bench.command(&["plan"]).ok();
    }
}

#[test]
fn what_is_no_text_is_named_with_the_place_of_its_first_wrong_byte() {
    for (file, before) in
        [("sql/gold/funnel.sql", "-- ä\n-- "), (PIPELINE, "#\n# "), (RULES, "a\nxx")]
    {
        let bench = Bench::new();
        fs::write(bench.path(file), [before.as_bytes(), b"\xff\n"].concat()).unwrap();
        let ended = bench.command(&["plan"]);
        assert_eq!(ended.code, 2, "{file}: {}", ended.err);
        let column = if file == "sql/gold/funnel.sql" { 4 } else { 3 };
        let wanted = format!("{file}:2:{column}: this is not UTF-8");
        assert!(ended.err.contains(&wanted), "{wanted}: {}", ended.err);
    }
    let bench = Bench::new();
    fs::write(bench.path("query.sql"), b"SELECT '\xff'").unwrap();
    let ended = bench.command(&["sql", "-f", bench.path("query.sql").to_str().unwrap()]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("not UTF-8") && ended.err.contains("byte=`8`"), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_and_never_waited_for() {
    use std::process::Command;
    for file in ["sql/gold/more.sql", "pipelines/more.toml", RULES, "sql/channel_sources.csv"] {
        let bench = Bench::new();
        drop(fs::remove_file(bench.path(file)));
        let made = Command::new("mkfifo").arg(bench.path(file)).status().unwrap();
        assert!(made.success());
        let ended = bench.command(&["plan"]);
        assert_eq!(ended.code, 2, "{file}: {}", ended.err);
        let wanted = format!("{file}: this is no regular file");
        assert!(ended.err.contains(&wanted), "{file}: {}", ended.err);
    }
}

#[test]
fn a_pipeline_that_is_no_toml_is_the_only_thing_wrong() {
    let bench = Bench::new();
    bench.edit(PIPELINE, "schedule = ", "schedule == ");
    let ended = bench.command(&["plan"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("pipelines/web_traffic.toml:3:"), "{}", ended.err);
    assert!(!ended.err.contains("no pipeline declares"), "an echo: {}", ended.err);
}
