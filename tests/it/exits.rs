//! Each kind of fault has its exit code, whichever command meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Bench, session};

fn filled() -> Bench {
    let bench = Bench::new();
    bench.land("a.json", session(5).to_string());
    bench.run();
    bench
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_the_user_wrote_is_two() {
    let bench = filled();
    let file = bench.path("file");
    fs::write(&file, "SELECT 1").unwrap();
    let (file, directory) = (file.to_str().unwrap(), bench.path("sql"));
    for arguments in [
        ["sql", "SELECT 'a' ~ '('"].as_slice(),
        &["sql", "SELECT regexp_replace(element_id, '(', 'x') FROM gold.conversions"],
        &["sql", "-f", directory.to_str().unwrap()],
        &["sql", "-f", "/nowhere/at/all.sql"],
        &["run", "--source", "web_sessions=/nowhere/at/all"],
        &["init", file],
        &["tables", "describe", "gold.nothing"],
        &["nonsense"],
    ] {
        let ended = bench.command(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
    }
    for place in ["--project", "--lake"] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_clickwatch"));
        let ended = process.args(["sql", "SELECT 1", place, file]).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{place}: {}", text(&ended.stderr));
    }
}

#[test]
fn a_value_that_does_not_fit_is_four() {
    let bench = filled();
    for sql in [
        "SELECT CAST(element_id AS BIGINT) FROM gold.conversions",
        "SELECT CAST('(os error 13)' AS BIGINT) FROM gold.conversions",
    ] {
        let ended = bench.command(&["sql", sql]);
        assert_eq!(ended.code, 4, "{sql}: {}", ended.err);
    }
}

/// Starts the program as somebody whom permissions bind: the superuser they do not.
#[cfg(unix)]
fn as_somebody(bench: &Bench, program: &Path, arguments: &[&str]) -> Output {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.args(arguments).arg("--project").arg(bench.path("")).arg("--lake");
    command.arg(bench.path("lake")).current_dir("/");
    if fs::metadata(bench.path("")).is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0) {
        command.uid(65534).gid(65534);
    }
    command.output().unwrap()
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_not_permitted_is_three() {
    let bench = filled();
    set_mode(&bench.path(""), 0o755);
    let program = bench.path("clickwatch");
    fs::copy(env!("CARGO_BIN_EXE_clickwatch"), &program).unwrap();
    fs::write(bench.path("query.sql"), "SELECT 1").unwrap();
    fs::create_dir(bench.path("shut")).unwrap();
    let (query, shut) = (bench.path("query.sql"), bench.path("shut"));
    let (query, shut) = (query.to_str().unwrap(), shut.to_str().unwrap());
    let log = "lake/gold/conversions/_delta_log";
    let commit = "lake/gold/conversions/_delta_log/00000000000000000000.json";
    let data = fs::read_dir(bench.path("lake/gold/conversions")).unwrap();
    let mut names = data.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let data = names.find(|name| name.ends_with(".parquet")).unwrap();
    let data = format!("lake/gold/conversions/{data}");
    let select = "SELECT * FROM gold.conversions";
    let describe = ["tables", "describe", "gold.conversions"];
    for (shut_path, arguments) in [
        ("pipelines/web_traffic.toml", ["plan"].as_slice()),
        ("pipelines", &["plan"]),
        ("sql/gold", &["plan"]),
        ("sql/gold/funnel.sql", &["run"]),
        ("sql/channel_rules.csv", &["sql", "SELECT 1"]),
        ("sql/channel_sources.csv", &["plan"]),
        ("sample_data/web_sessions", &["plan"]),
        ("query.sql", &["sql", "-f", query]),
        ("shut", &["init", shut]),
        ("shut", &["generate", "sessions", shut, "--count", "1"]),
        (commit, &describe),
        (commit, &["sql", select]),
        (commit, &["tables", "list"]),
        (log, &describe),
        (log, &["sql", select]),
        (log, &["tables", "list", "--format", "json"]),
        ("lake/gold/conversions", &["tables", "list", "--format", "csv"]),
        ("lake/gold/conversions", &["sql", select]),
        (&data, &["sql", select]),
        ("lake/gold", &["tables", "list"]),
    ] {
        let before = fs::metadata(bench.path(shut_path)).unwrap().permissions();
        set_mode(&bench.path(shut_path), 0);
        let ended = as_somebody(&bench, &program, arguments);
        fs::set_permissions(bench.path(shut_path), before).unwrap();
        let err = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{shut_path} {arguments:?}: {err}");
        assert!(err.contains("Permission denied"), "{shut_path} {arguments:?}: {err}");
    }
}

#[cfg(unix)]
#[test]
fn a_table_that_cannot_be_read_is_listed_with_what_is_wrong() {
    let bench = filled();
    let commit = "lake/gold/conversions/_delta_log/00000000000000000000.json";
    fs::write(bench.path(commit), "{ broken").unwrap();
    let ended = bench.command(&["tables", "list", "--format", "json"]);
    assert_ne!(ended.code, 0, "{}", ended.out);
    assert!(ended.err.contains("tables cannot be read tables=`gold.conversions`"), "{}", ended.err);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ended.out).unwrap();
    let problem = |name: &str| {
        let row = rows.iter().find(|row| row["table"] == name).unwrap();
        (row["version"].clone(), row["problem"].as_str().map(str::to_owned))
    };
    assert_eq!(problem("gold.funnel").1, None);
    let (version, what) = problem("gold.conversions");
    assert!(version.is_null() && what.as_ref().unwrap().contains("read"), "{what:?}");
    let ended = bench.command(&["tables", "list"]);
    assert!(ended.out.contains("| problem"), "{}", ended.out);
    let sound = filled().command(&["tables", "list"]).ok();
    assert!(!sound.contains("problem"), "{sound}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_six_in_every_format() {
    let bench = filled();
    for arguments in [
        ["sql", "SELECT 1 AS one", "--format", "table"].as_slice(),
        &["sql", "SELECT 1 AS one", "--format", "csv"],
        &["sql", "SELECT 1 AS one", "--format", "json"],
        &["sql", "SELECT 1 AS one", "--format", "parquet"],
        &["tables", "list", "--format", "csv"],
        &["plan", "--format", "json"],
        &["run"],
        &["--help"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = bench.process().args(arguments).stdout(full).output().unwrap();
        let err = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(6), "{arguments:?}: {err}");
        assert!(err.contains("No space left on device"), "{arguments:?}: {err}");
    }
}

#[test]
fn an_output_that_nobody_reads_is_a_quiet_success() {
    let bench = filled();
    for arguments in [
        ["sql", "SELECT * FROM generate_series(1, 30000)", "--format", "csv"].as_slice(),
        &["sql", "SELECT * FROM generate_series(1, 30000)", "--format", "json"],
        &["sql", "SELECT * FROM generate_series(1, 30000)", "--rows", "30000"],
        &["sql", "SELECT value, random() FROM generate_series(1, 30000)", "--format", "parquet"],
    ] {
        let mut process = bench.process();
        let process = process.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut deaf = process.spawn().unwrap();
        drop(deaf.stdout.take());
        let ended = deaf.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {}", text(&ended.stderr));
        assert_eq!(text(&ended.stderr), "", "{arguments:?}");
    }
}

#[test]
fn no_statement_ends_the_program_otherwise_than_by_one_error() {
    let bench = Bench::new();
    for sql in [
        "SELECT session_number(instant('2025-07-01'), INTERVAL '999999999 days', INTERVAL '1 day') OVER ()",
        "SELECT removal_effects('a', 9223372036854775807, 1) FROM generate_series(1, 5)",
        &format!("SELECT {} AS sum", ["1"; 3000].join(" + ")),
    ] {
        let ended = bench.process().args(["sql", sql]).output().unwrap();
        let (code, err) = (ended.status.code(), text(&ended.stderr));
        let shown = sql.get(..80).unwrap_or(sql);
        assert!(matches!(code, Some(0 | 2 | 4 | 6 | 70)), "{shown}: {code:?} {err}");
        assert!(
            !err.contains("panicked at") && err.matches("\nerror: ").count() == 0,
            "{shown}: {err}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_for_what_is_spilled_is_six() {
    let bench = Bench::new();
    let small = bench.path("small");
    fs::create_dir(&small).unwrap();
    let mut mount = Command::new("mount");
    let mount = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&small).output();
    if !mount.is_ok_and(|mounted| mounted.status.success()) {
        println!("skipped: only the superuser may mount a small disk");
        return;
    }
    let sql = "SELECT repeat('x', 500) || value AS x FROM generate_series(1, 400000) ORDER BY x";
    let ended = Command::new(env!("CARGO_BIN_EXE_clickwatch"))
        .args(["sql", "--memory", "256MiB", "--format", "csv", sql])
        .env("TMPDIR", &small)
        .current_dir(bench.path(""))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    let err = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(6), "{err}");
    assert!(err.contains("No space left on device") && err.contains("free some space"), "{err}");
}
