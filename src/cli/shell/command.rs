//! The commands of the shell, each a line that begins with a backslash.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum as _;

use crate::cli::display::{Chart, Expanded};
use crate::cli::output::RowFormat;
use crate::cli::text::wrapped;
use crate::error::{Error, Kind, Result};
use crate::name::did_you_mean;

/// The commands: name, what may follow, what it does.
pub(super) const COMMANDS: [(&str, &str, &str); 14] = [
    ("\\d", "[TABLE]", "list the tables, or describe one"),
    ("\\dt", "[PATTERN]", "list the tables, as \\dt silver.*"),
    ("\\df", "[PATTERN]", "list the functions, as \\df *date*"),
    (
        "\\x",
        "[on|off|auto]",
        "show each value on a line of its own; auto: when a table would be cut",
    ),
    ("\\format", "[NAME]", "print answers as table, json, ndjson, csv, markdown or parquet"),
    (
        "\\chart",
        "[bar|line]",
        "draw the last answer: its first numbers along its first other column",
    ),
    ("\\timing", "[on|off]", "say how long each query took"),
    ("\\epoch", "[N|latest]", "read the tables as an earlier run left them, or as the latest did"),
    ("\\watch", "[SECONDS]", "ask the last query again and again until Ctrl-C; every 2 seconds"),
    ("\\o", "[FILE]", "send answers to a file, or to the terminal again"),
    ("\\i", "FILE", "do what is in a file, as if it was typed"),
    ("\\e", "", "edit the query above, or the last one, with $VISUAL or $EDITOR"),
    ("\\?", "", "list the commands"),
    ("\\q", "", "leave; so does Ctrl-D"),
];

/// How long `\watch` waits by itself.
const PAUSE: Duration = Duration::from_secs(2);

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Describe a table, or list all.
    Describe(Option<String>),
    /// List the tables whose names match.
    Tables(Option<String>),
    /// List the functions whose names match.
    Functions(Option<String>),
    /// Show values below each other, or not, or the other way round than now.
    Expanded(Option<Expanded>),
    /// Print answers so, or say how they are printed.
    Format(Option<RowFormat>),
    /// Draw the last answer.
    Chart(Chart),
    /// Say how long queries take, or not, or the other way round than now.
    Timing(Option<bool>),
    /// Read the tables as of an epoch, or say of which they are.
    Epoch(Option<Pin>),
    /// Ask again and again, with so long a pause.
    Watch(Duration),
    /// Send answers to a file.
    Output(Option<PathBuf>),
    /// Do what is in a file.
    Include(PathBuf),
    /// Edit a query.
    Edit,
    /// List the commands.
    Help,
    /// Leave.
    Quit,
}

/// Which epoch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// The newest that there is when a query is asked.
    Latest,
    /// One with a number.
    Number(u64),
}

impl FromStr for Command {
    type Err = Error;

    /// Errors: `Missing` for what is no command, `Invalid` for what cannot follow it.
    fn from_str(line: &str) -> Result<Self> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
        let text = rest.map(str::to_owned);
        let wrong = || {
            let usage = COMMANDS.iter().find(|(command, ..)| *command == name);
            let (_, usage, _) = usage.copied().unwrap_or_default();
            Error::new(Kind::Invalid, "the command cannot be read")
                .at("command", line)
                .hint(format!("write {name} {usage}"))
        };
        let switch = |rest: &str| match rest {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(wrong()),
        };
        Ok(match name {
            "\\d" => Self::Describe(text),
            "\\dt" => Self::Tables(text),
            "\\df" => Self::Functions(text),
            "\\x" => Self::Expanded(match rest {
                Some("auto") => Some(Expanded::Auto),
                Some(rest) => Some(if switch(rest)? { Expanded::On } else { Expanded::Off }),
                None => None,
            }),
            "\\format" => Self::Format(rest.map(format).transpose()?),
            "\\chart" => Self::Chart(match rest {
                None | Some("bar") => Chart::Bar,
                Some("line") => Chart::Line,
                Some(_) => return Err(wrong()),
            }),
            "\\timing" => Self::Timing(rest.map(switch).transpose()?),
            "\\epoch" => Self::Epoch(match rest {
                None => None,
                Some("latest") => Some(Pin::Latest),
                Some(rest) => Some(Pin::Number(rest.parse().map_err(|_| wrong())?)),
            }),
            "\\watch" => Self::Watch(match rest {
                None => PAUSE,
                Some(rest) => pause(rest).ok_or_else(wrong)?,
            }),
            "\\o" => Self::Output(rest.map(path)),
            "\\i" => Self::Include(rest.map(path).ok_or_else(wrong)?),
            "\\e" if rest.is_none() => Self::Edit,
            "\\?" if rest.is_none() => Self::Help,
            "\\q" if rest.is_none() => Self::Quit,
            "\\e" | "\\?" | "\\q" => return Err(wrong()),
            _ => return Err(unknown(name)),
        })
    }
}

fn unknown(name: &str) -> Error {
    let error = Error::new(Kind::Missing, "there is no such command").at("command", name);
    let names = COMMANDS.iter().map(|(command, ..)| *command);
    // The beginning of a name says more than its likeness to others.
    let begun = names.clone().find(|command| name.len() > 1 && command.starts_with(name));
    let begun = begun.map(|command| format!("did you mean `{command}`?"));
    match begun.or_else(|| did_you_mean(name, names)) {
        Some(hint) => error.hint(hint),
        None => error.hint("\\? lists the commands"),
    }
}

fn format(name: &str) -> Result<RowFormat> {
    RowFormat::from_str(name, true).map_err(|_| {
        let names = RowFormat::names();
        let error = Error::new(Kind::Missing, "there is no such format").at("format", name);
        match did_you_mean(name, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// A pause in seconds: longer than none, and no longer than a day.
fn pause(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    let is_possible = seconds > 0.0 && seconds <= 86_400.0;
    is_possible.then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// A path as a shell takes it: in quotes, with its blanks escaped, or below the home directory.
fn path(text: &str) -> PathBuf {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| {
        text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).map(str::to_owned)
    });
    let text = match quoted {
        Some(quoted) => quoted,
        None if cfg!(windows) => text.to_owned(),
        None => unescaped(text),
    };
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(text),
    }
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut unescaped = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => unescaped.extend(characters.next()),
            _ => unescaped.push(character),
        }
    }
    unescaped
}

/// The list of the commands, in lines of at most `room` characters.
pub(super) fn help(room: usize) -> String {
    let usage = |(name, arguments, _): &(&str, &str, &str)| format!("{name} {arguments}");
    let width = COMMANDS.iter().map(|one| usage(one).len()).max().unwrap_or(0);
    let line = |one: &(&str, &str, &str)| {
        wrapped(&format!("  {:width$}  {}", usage(one), one.2), room, width + 4) + "\n"
    };
    let rest = "A query goes on over several lines until its semicolon, or a command behind it. Tab \
                completes, Ctrl-R searches what was typed before, Ctrl-C clears the line or stops \
                the query.";
    COMMANDS.iter().map(line).collect::<String>() + &wrapped(rest, room, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Command {
        line.parse().unwrap_or_else(|e: Error| panic!("{line}: {}", e.render()))
    }

    #[test]
    fn commands_are_read_with_what_follows_them() {
        for (line, wanted) in [
            ("\\d", Command::Describe(None)),
            ("\\d silver.sessions;", Command::Describe(Some("silver.sessions".into()))),
            ("\\dt silver.*", Command::Tables(Some("silver.*".into()))),
            ("\\x", Command::Expanded(None)),
            ("\\x auto", Command::Expanded(Some(Expanded::Auto))),
            ("\\x off", Command::Expanded(Some(Expanded::Off))),
            ("\\format NDJSON", Command::Format(Some(RowFormat::Ndjson))),
            ("\\chart", Command::Chart(Chart::Bar)),
            ("\\chart line", Command::Chart(Chart::Line)),
            ("\\timing on", Command::Timing(Some(true))),
            ("\\epoch 3", Command::Epoch(Some(Pin::Number(3)))),
            ("\\epoch latest", Command::Epoch(Some(Pin::Latest))),
            ("\\watch", Command::Watch(Duration::from_secs(2))),
            ("\\watch 0.5", Command::Watch(Duration::from_millis(500))),
            ("\\o", Command::Output(None)),
            ("\\o 'my file'", Command::Output(Some("my file".into()))),
            ("\\i my\\ file", Command::Include("my file".into())),
            ("\\q", Command::Quit),
        ] {
            assert_eq!(read(line), wanted, "{line}");
        }
    }

    #[test]
    fn every_command_of_the_list_is_one() {
        for (name, ..) in COMMANDS {
            let line = if name == "\\i" { "\\i x" } else { name };
            read(line);
            assert!(help(80).contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_command_names_the_nearest() {
        let said = |line: &str| line.parse::<Command>().unwrap_err().render();
        assert!(said("\\wat 2").contains("did you mean `\\watch`?"), "{}", said("\\wat 2"));
        assert!(said("\\form csv").contains("did you mean `\\format`?"));
        assert!(said("\\wach 2").contains("did you mean `\\watch`?"), "{}", said("\\wach 2"));
        assert!(said("\\nothing_like_it").contains("\\? lists"), "{}", said("\\nothing_like_it"));
        assert!(said("\\format marckdown").contains("did you mean `markdown`?"));
        for wrong in ["\\x maybe", "\\i", "\\watch -1", "\\watch soon", "\\epoch first", "\\q 1"] {
            let name = wrong.split(' ').next().unwrap();
            assert!(said(wrong).contains(&format!("write {name}")), "{}", said(wrong));
        }
    }
}
