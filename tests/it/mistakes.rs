//! What a user gets wrong: a clear error that names the place, the right exit code, nothing lost.

use std::fs;

use crate::support::{Bench, session};

#[test]
fn a_mistyped_column_is_named_with_file_line_and_nearest_name() {
    let bench = Bench::new();
    bench.edit("sql/silver/visit_count.sql", "CAST(visit_count AS", "CAST(visit_cuont AS");
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("sql/silver/visit_count.sql:8:"), "{}", ended.err);
    assert!(ended.err.contains("did you mean `visit_count`?"), "{}", ended.err);
    assert!(!bench.path("lake").exists(), "something was written");
}

#[test]
fn every_problem_of_every_file_comes_at_once() {
    let bench = Bench::new();
    bench.edit("sql/silver/visit_count.sql", "FROM silver.sessions", "FROM silver.session");
    bench.edit("sql/silver/final_cookies.sql", "    conversion,\n", "    conversio,\n");
    bench.edit(
        "sql/gold/conversions.sql",
        "GROUP BY session_date, element_id, event_type\n",
        "GRUOP BY 1\n",
    );
    bench.edit("pipelines/web_traffic.toml", "schedule =", "schedul =");
    fs::write(bench.path("sql/gold/orphan.sql"), "SELECT 1 AS one").unwrap();
    fs::remove_file(bench.path("sql/gold/session_durations.sql")).unwrap();
    let err = bench.command(&["run"]).err;
    for wanted in [
        "pipelines/web_traffic.toml:3:1: unknown key `schedul` (did you mean `schedule`?)",
        "sql/silver/visit_count.sql:14: there is no table `silver.session` (did you mean `silver.sessions`?)",
        "sql/gold/conversions.sql:",
        "does not parse",
        "there is no column `conversio` (did you mean `conversion`?)",
        "sql/gold/orphan.sql: no pipeline declares `gold.orphan`",
        "`gold.session_durations` has no file sql/gold/session_durations.sql",
    ] {
        assert!(err.contains(wanted), "{wanted}\nis not in\n{err}");
    }
}

#[test]
fn models_that_read_each_other_are_refused() {
    let bench = Bench::new();
    bench.edit(
        "sql/silver/sessions.sql",
        "FROM typed",
        "FROM typed WHERE user_id IN (SELECT user_id FROM silver.visit_count)",
    );
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.err.contains(
            "models read each other: silver.sessions → silver.visit_count → silver.sessions"
        ),
        "{}",
        ended.err
    );
}

#[test]
fn an_expectation_over_an_unknown_column_is_named_with_its_line() {
    let bench = Bench::new();
    bench.edit(
        "pipelines/web_traffic.toml",
        "check = \"session_date IS NOT NULL\"",
        "check = \"session_dat IS NOT NULL\"",
    );
    let err = bench.command(&["run"]).err;
    assert!(err.contains("pipelines/web_traffic.toml:52: there is no column `session_dat` (did you mean `session_date`?)"), "{err}");
}

#[test]
fn a_missing_source_folder_is_missing() {
    let bench = Bench::new();
    let ended = bench.command(&["run", "--source", "web_sessions=/nowhere/at/all"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("/nowhere/at/all"), "{}", ended.err);
    assert!(ended.err.contains("hint: "), "{}", ended.err);
}

#[test]
fn a_name_that_does_not_exist_gets_the_nearest_one() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    for (arguments, wanted) in [
        (["run", "web_trafic"].as_slice(), "did you mean `web_traffic`?"),
        (&["run", "--source", "web_session=x"], "did you mean `web_sessions`?"),
        (&["sql", "SELECT * FROM silver.sesions"], "did you mean `silver.sessions`?"),
        (&["sql", "SELECT sesion_id FROM silver.sessions"], "did you mean `session_id`?"),
        (&["tables", "describe", "gold.conversion"], "did you mean `gold.conversions`?"),
    ] {
        let ended = bench.command(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(wanted), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn a_run_that_failed_is_continued_by_the_next() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.edit(
        "sql/gold/page_engagement.sql",
        "count(*) AS sessions,",
        "CAST(substr(page_path, 1, 3) AS BIGINT) AS sessions,",
    );
    let ended = bench.command(&["run"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert!(ended.err.contains("gold.page_engagement"), "{}", ended.err);
    assert_eq!(bench.value("SELECT status FROM ops.runs"), "failed");
    bench.edit(
        "sql/gold/page_engagement.sql",
        "CAST(substr(page_path, 1, 3) AS BIGINT) AS sessions,",
        "count(*) AS sessions,",
    );
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 1);
    assert_eq!(bench.value("SELECT sum(sessions) FROM gold.page_engagement"), 1);
}

#[test]
fn queries_only_read() {
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    bench.run();
    let before = bench.versions();
    for sql in [
        "INSERT INTO silver.visit_count SELECT * FROM silver.visit_count",
        "CREATE TABLE gold.x AS SELECT 1",
        "COPY silver.visit_count TO '/tmp/clickwatch-never.parquet'",
        "CREATE EXTERNAL TABLE gold.x STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE silver.visit_count",
        "SET datafusion.execution.batch_size = 1",
        "DELETE FROM silver.visit_count",
    ] {
        assert_eq!(bench.command(&["sql", sql]).code, 2, "{sql}");
    }
    assert_eq!(bench.versions(), before);
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_is_denied() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    let bench = Bench::new();
    bench.land("a.json", session(1).to_string());
    let set_mode = |name: &str, mode| {
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(bench.path("lake")).unwrap();
    set_mode("lake", 0o500);
    let program = bench.path("clickwatch");
    fs::copy(env!("CARGO_BIN_EXE_clickwatch"), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--project"]).arg(bench.path("")).arg("--lake").arg(bench.path("lake"));
    if fs::write(bench.path("lake/probe"), "").is_ok() {
        // The superuser may write everywhere, so it is nobody who tries.
        fs::remove_file(bench.path("lake/probe")).unwrap();
        set_mode("", 0o755);
        command.uid(65534).gid(65534).current_dir("/");
    }
    let ended = command.output().unwrap();
    set_mode("lake", 0o700);
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{err}");
    assert!(err.contains("Permission denied") && err.contains("lake"), "{err}");
    bench.run();
    assert_eq!(bench.value("SELECT count(*) FROM bronze.web_sessions"), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_the_next_run_goes_on_when_there_is_room() {
    use std::process::Command;
    let bench = Bench::new();
    let small = bench.path("small");
    fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&small)
            .output();
        mounted.is_ok_and(|mounted| mounted.status.success())
    };
    if !mount("size=1m") {
        println!("skipped: only the superuser may mount a small disk");
        return;
    }
    let landing = bench.landing();
    bench.command(&["generate", "sessions", landing.to_str().unwrap(), "--count", "20000"]).ok();
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_clickwatch"))
            .args(["run", "--project"])
            .arg(bench.path(""))
            .arg("--lake")
            .arg(small.join("lake"))
            .output()
            .unwrap()
    };
    let ended = run();
    let grown = mount("remount,size=200m");
    let again = run();
    let counted = Command::new(env!("CARGO_BIN_EXE_clickwatch"))
        .args(["sql", "--format", "csv", "SELECT count(*) AS n FROM silver.sessions", "--lake"])
        .arg(small.join("lake"))
        .output()
        .unwrap();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(6), "{err}");
    assert!(
        err.contains("No space left on device") && err.contains("hint: free some space"),
        "{err}"
    );
    assert!(err.contains("table=`") && !err.contains("panicked"), "{err}");
    assert!(grown && again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(String::from_utf8(counted.stdout).unwrap(), "n\n20000\n");
}

#[test]
fn a_dot_behind_a_word_of_sql_says_what_to_write() {
    let bench = Bench::new();
    let rows = "FROM (SELECT named_struct('id', 7) AS \"user\") AS t";
    for column in ["user.id", "t.user.id"] {
        let ended = bench.command(&["sql", &format!("SELECT {column} {rows}")]);
        assert_eq!(ended.code, 2, "{}", ended.out);
        assert!(ended.err.contains("put the word in quotes"), "{}", ended.err);
        assert!(ended.err.contains("line=`1`") && !ended.err.contains("Ident"), "{}", ended.err);
    }
    for column in ["\"user\".id", "user['id']"] {
        assert_eq!(bench.value(&format!("SELECT {column} {rows}")), 7);
    }
}
