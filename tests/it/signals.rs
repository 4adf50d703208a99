//! Ctrl-C and SIGTERM, as the real program hears them.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use crate::support::Bench;

fn send(signal: &str, process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Waits until the program listens to Ctrl-C and SIGTERM: before, they end it as they end any other.
fn until_it_listens(process: &mut Child) {
    const BOTH: u64 = 1 << (2 - 1) | 1 << (15 - 1);
    let status = format!("/proc/{}/status", process.id());
    loop {
        assert!(process.try_wait().unwrap().is_none(), "it is over already");
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & BOTH == BOTH {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_query_that_waits_for_its_text_is_stopped() {
    for signal in ["-INT", "-TERM"] {
        let bench = Bench::new();
        let mut waiting = bench
            .process()
            .arg("sql")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Standard input stays open for as long as this is kept.
        let input = waiting.stdin.take();
        until_it_listens(&mut waiting);
        send(signal, &waiting);
        let ended = waiting.wait_with_output().unwrap();
        drop(input);
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(130), "{signal}: {err}");
        assert!(err.contains("stopped before the end, as asked"), "{signal}: {err}");
    }
}

#[test]
fn the_making_of_traffic_is_stopped() {
    let bench = Bench::new();
    let mut making = bench
        .process()
        .args(["generate", "sessions", "--count", "20000000"])
        .arg(bench.path("made"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until_it_listens(&mut making);
    send("-INT", &making);
    let ended = making.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert!(err.contains("hint: remove what was written"), "{err}");
}

#[test]
fn a_second_signal_ends_a_program_that_cannot_stop() {
    let bench = Bench::new();
    let mut printing = bench
        .process()
        .args(["sql", "--format", "csv", "SELECT value FROM generate_series(1, 100000000)"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It prints, and comes to a stand when the pipe is full: nobody reads on.
    let mut first = [0; 8];
    printing.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let mut sent = 0;
    let status = loop {
        match printing.try_wait().unwrap() {
            Some(status) => break status,
            // Signals that come together are heard as one.
            None => send("-INT", &printing),
        }
        sent += 1;
        assert!(sent < 10_000, "it does not end");
    };
    let mut err = String::new();
    printing.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(status.code(), Some(130), "{err}");
}
