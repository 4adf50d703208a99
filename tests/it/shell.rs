//! The shell, as somebody at a terminal meets it.
//!
//! The terminal is one that `script` makes. Where that program is not there, nothing is tried, and that
//! is said.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::support::{Bench, session};

/// After how long without a word a shell that owes an answer is taken for dead.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody at a terminal.
struct Person {
    process: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What has come from the terminal so far.
    seen: Vec<u8>,
    /// How much of it, without what only moves the cursor, was waited for already.
    read: usize,
}

impl Person {
    /// Somebody who has just called `clickwatch sql`; None where there are no terminals.
    #[expect(clippy::print_stdout, reason = "what is skipped is said")]
    fn at(bench: &Bench) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            println!("skipped: there is no `script` to make a terminal with");
            return None;
        }
        let quoted = |path: &std::path::Path| format!("'{}'", path.display());
        let command = format!(
            "stty cols 100 rows 30; exec {} sql --memory 512MiB --project {} --lake {}",
            quoted(env!("CARGO_BIN_EXE_clickwatch").as_ref()),
            quoted(&bench.path("")),
            quoted(&bench.path("lake")),
        );
        let mut process = Command::new("script")
            .args(["-q", "-e", "-f", "-c", &command, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .env("PAGER", "sed s/^/paged:/")
            .env("XDG_STATE_HOME", bench.path("state"))
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keys = process.stdin.take().unwrap();
        let mut screen = process.stdout.take().unwrap();
        let (shown, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if shown.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut person = Self { process, keys, screen: receiver, seen: Vec::new(), read: 0 };
        person.sees("clickwatch> ");
        Some(person)
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `wanted` is on the screen, behind all that was waited for before.
    #[track_caller]
    fn sees(&mut self, wanted: &str) {
        loop {
            let text = visible(&self.seen);
            if let Some(found) = text[self.read..].find(wanted) {
                self.read += found + wanted.len();
                return;
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!("no {wanted:?} in:\n{}", &text[self.read..]),
            }
        }
    }

    /// Asks, and waits for the answer and the next prompt.
    #[track_caller]
    fn asks(&mut self, question: &str, answer: &str) {
        self.types(&format!("{question}\r"));
        self.sees(answer);
        self.sees("clickwatch> ");
    }

    /// Leaves, and gives the exit code.
    fn leaves(mut self) -> Option<i32> {
        self.types("\u{4}");
        self.process.wait().unwrap().code()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What is to be seen of what was written to a terminal: without colours and the like.
fn visible(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut visible = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => {
                if rest.next() == Some('[') {
                    // A control sequence ends with the first of these.
                    rest.find(|end| ('@'..='~').contains(end));
                }
            }
            '\r' | '\u{7}' => {}
            _ => visible.push(character),
        }
    }
    visible
}

#[test]
fn queries_over_several_lines_are_answered_and_remembered() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.types("SELECT NULL AS a, ';' AS b,\r");
    person.asks("'' AS c, 20 + 22 AS d;", "| NULL | ; |   | 42 |");
    // Up, and once more.
    person.asks("\u{1b}[A", "| NULL | ; |   | 42 |");
    person.asks("SELECT nothing_like_it FROM silver.sessions;", "error: ");
    person.asks("SELECT count(*) AS n FROM silver.sessions;", "| 20 |");
    assert_eq!(person.leaves(), Some(0));
    let history = bench.path("state/clickwatch/history");
    let text = std::fs::read_to_string(&history).unwrap();
    assert!(text.contains("FROM silver.sessions;"), "{text}");
    assert_eq!(text.matches("AS d;").count(), 1, "the same twice is kept once: {text}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    // The next shell knows them.
    let Some(mut person) = Person::at(&bench) else { return };
    person.asks("\u{1b}[A", "| 20 |");
}

#[test]
fn tab_completes_tables_columns_and_commands() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.asks("SELECT count(*) AS n FROM silver.sess\t;", "| 20 |");
    let keys = "SELECT max(x.utm_camp) AS m FROM silver.sessions x;";
    let back = "\u{1b}[D".repeat(keys.len() - "SELECT max(x.utm_camp".len());
    person.asks(&format!("{keys}{back}\t"), "| newidea_july |");
    person.asks("\\tim\t", "timing on");
    person.asks("\\wach", "did you mean `\\watch`?");
}

#[test]
fn ctrl_c_ends_the_query_and_not_the_shell() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.types("SELECT sum(value) FROM generate_series(1, 100000000000);\r");
    person.sees("still running");
    person.types("\u{3}");
    person.sees("stopped");
    person.sees("clickwatch> ");
    // At the prompt it clears the line.
    person.types("SELECT 'given up\u{3}");
    person.sees("clickwatch> ");
    person.asks("SELECT 40 + 2 AS n;", "| 42 |");
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn answers_look_as_was_asked_for_and_go_where_they_should() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.asks("\\x", "expanded on");
    person.asks("SELECT 6 * 7 AS n, NULL AS nothing;", "-[ row 1 ]");
    person.asks("\\x off", "expanded off");
    person.asks(
        "SELECT repeat('x', 300) AS long, 1 AS n;",
        "… long values are cut; \\x or --format csv shows all",
    );
    person.asks("\\format markdown", "format markdown, expanded");
    person.asks("SELECT 6 * 7 AS n;", "| ---: |");
    person.asks("\\format parquet", "format parquet, expanded");
    person.asks("SELECT 1 AS n;", "not for a terminal");
    let file = bench.path("answers.csv");
    person.asks("\\format csv", "format csv, expanded");
    person.asks(&format!("\\o {}", file.display()), "answers go to");
    person.asks("\\timing", "timing on");
    person.types("SELECT 6 * 7 AS n; SELECT 1 AS m;\r");
    person.sees("Time: ");
    person.sees("Time: ");
    person.sees("clickwatch> ");
    person.asks("\\o", "answers go to the terminal");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "n\n42\n\nm\n1\n");
    person.asks("\\format table", "format table, expanded");
    person.asks("SELECT value AS n FROM generate_series(1, 50);", "paged:(50 rows)");
    person.asks("SELECT 'a' AS name, 8 AS n UNION ALL SELECT 'b', 4 ORDER BY 1;", "(2 rows)");
    person.asks("\\chart", "██ 8");
}

#[test]
fn a_query_is_asked_again_until_it_is_stopped() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.types("SELECT 6 * 7 AS n\r\\watch 0.1\r");
    person.sees("| 42 |");
    person.sees("| 42 |");
    person.types("\u{3}");
    person.sees("stopped");
    person.sees("clickwatch> ");
    person.asks("\\q 1", "write \\q");
}

#[test]
fn what_there_is_is_listed_and_described() {
    let bench = Bench::filled();
    let Some(mut person) = Person::at(&bench) else { return };
    person.asks("\\dt silver.*", "3 tables in ");
    person.asks("\\d sessions", "One row per session");
    person.asks("\\df session_num*", "| session_number | window |");
    person.asks("\\d sesions", "did you mean");
    person.asks("\\epoch", "epoch 1, the newest");
    bench.land("b.json", session(100).to_string());
    bench.run();
    person.asks("SELECT count(*) AS n FROM silver.sessions;", "| 21 |");
    person.types("\\epoch 1\r");
    person.sees("clickwatch, epoch 1> ");
    person.types("SELECT count(*) AS n FROM silver.sessions;\r");
    person.sees("| 20 |");
    person.sees("clickwatch, epoch 1> ");
    person.types("\\epoch 99\r");
    person.sees("there is no such epoch");
    person.sees("clickwatch, epoch 1> ");
    person.asks("\\epoch latest", "epoch 2, the newest");
    let file = bench.path("queries.sql");
    std::fs::write(&file, "SELECT 1 AS a;\nSELECT count(*) AS n FROM silver.sessions").unwrap();
    let include = format!("\\i {}", file.display());
    person.asks(&include, "| 21 |");
    // What can be typed can stand in a file.
    std::fs::write(&file, "\\format csv\nSELECT 6 * 7 AS n;\n\\format table\n").unwrap();
    person.types(&format!("{include}\r"));
    person.sees("format csv, expanded off");
    person.sees("n\n42\n");
    person.sees("format table, expanded off");
    person.sees("clickwatch> ");
    std::fs::write(&file, &include).unwrap();
    person.asks(&include, "files read each other without end");
    person.asks("SELECT 6 * 7 AS n \\timing", "timing on");
}
