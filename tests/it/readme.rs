//! The commands of the documentation, as they stand there, on the sample data: they print what it says.
//!
//! Taken are the blocks of `console`. A line that begins with `$ ` is a command, which goes on over the
//! next lines while a quote is open; behind it is what it prints, unless nothing stands there. Set
//! `UPDATE_README=1` to write what is printed now, and read the difference before you commit it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use tempfile::TempDir;

/// A project with the sample data, and a shell in it that finds the program.
struct Shell {
    project: TempDir,
    path: OsString,
}

impl Shell {
    fn new() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_clickwatch"));
        let mut path = program.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let shell = Self { project: tempfile::tempdir().unwrap(), path };
        shell.answer("clickwatch init . && clickwatch run");
        shell
    }

    /// The lines that a command prints.
    #[track_caller]
    fn answer(&self, command: &str) -> Vec<String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.project.path()).stdin(Stdio::null());
        shell.env("PATH", &self.path).env("CLICKWATCH_MEMORY", "512MiB");
        shell.env_remove("CLICKWATCH_PROJECT").env_remove("CLICKWATCH_LAKE");
        let ended = shell.output().unwrap();
        assert!(ended.status.success(), "{command}\n{}", String::from_utf8_lossy(&ended.stderr));
        let printed = String::from_utf8(ended.stdout).unwrap();
        printed.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// A text with what its commands print now.
    fn answered(&self, text: &str) -> String {
        let (mut answered, mut is_console) = (Vec::new(), false);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            answered.push(line.to_owned());
            if line.starts_with("```") {
                is_console = line == "```console";
            }
            let Some(begun) = line.strip_prefix("$ ").filter(|_| is_console) else { continue };
            let mut command = begun.to_owned();
            while !command.matches('"').count().is_multiple_of(2) {
                let next = lines.next().unwrap();
                answered.push(next.to_owned());
                command.push('\n');
                command.push_str(next);
            }
            let printed = self.answer(&command);
            let mut is_shown = false;
            while lines.next_if(|line| *line != "```" && !line.starts_with("$ ")).is_some() {
                is_shown = true;
            }
            if is_shown {
                answered.extend(printed);
            }
        }
        answered.join("\n") + "\n"
    }
}

#[test]
fn commands_print_what_the_documentation_says() {
    let shell = Shell::new();
    let mut wrong = Vec::new();
    for file in ["README.md", "sql/README.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("```console\n$ clickwatch sql "), "{file} asks nothing");
        let answered = shell.answered(&text);
        if env::var_os("UPDATE_README").is_some() {
            fs::write(&path, answered).unwrap();
        } else if answered != text {
            let mut lines = text.lines().zip(answered.lines()).zip(1..);
            let first = lines.find(|((said, printed), _)| said != printed);
            wrong.push(format!("{file}: said and printed, line: {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
