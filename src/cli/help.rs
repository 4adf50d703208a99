//! What `--help` says of each command beside its options: examples, and what its exit codes mean.

/// What each exit code means; the same for every command.
const EXIT_CODES: &str = "Exit codes:
    0  done
    2  a mistake in the command, the project or the SQL, or there is no such thing
    3  permissions or credentials do not allow it
    4  the data break a rule that must hold
    5  another run won: run again
    6  the storage cannot be reached or is full, or memory is too little
    7  a threshold is crossed: nothing was published
   70  a fault of clickwatch: report it
  130  stopped, as asked";

/// The commands, and how they are used.
const EXAMPLES: [(&str, &[&str]); 15] = [
    (
        "clickwatch",
        &[
            "clickwatch init traffic",
            "clickwatch run --project traffic --lake traffic/lake",
            "clickwatch sql --lake traffic/lake",
        ],
    ),
    (
        "clickwatch run",
        &[
            "clickwatch run",
            "clickwatch run web_traffic --source web_sessions=/data/landing",
            "clickwatch run --select silver.sessions+ --full-refresh",
        ],
    ),
    ("clickwatch plan", &["clickwatch plan", "clickwatch plan --select silver.sessions+"]),
    ("clickwatch verify", &["clickwatch verify --sample 3", "clickwatch verify gold.* --repair"]),
    (
        "clickwatch sql",
        &[
            "clickwatch sql",
            "clickwatch sql \"SELECT * FROM gold.return_visitors ORDER BY session_date\"",
            "clickwatch sql --format csv -f query.sql",
            "clickwatch sql --at-version silver.sessions=3 \"SELECT count(*) FROM silver.sessions\"",
        ],
    ),
    ("clickwatch tables", &["clickwatch tables list"]),
    ("clickwatch tables list", &["clickwatch tables list --format json"]),
    ("clickwatch tables describe", &["clickwatch tables describe silver.sessions"]),
    ("clickwatch tables history", &["clickwatch tables history silver.sessions --limit 5"]),
    ("clickwatch tables compact", &["clickwatch tables compact bronze.web_sessions"]),
    (
        "clickwatch infer",
        &["clickwatch infer landing/events", "clickwatch infer --print \"logs/*.csv.gz\""],
    ),
    ("clickwatch init", &["clickwatch init traffic", "clickwatch init --bare shop"]),
    (
        "clickwatch generate",
        &["clickwatch generate sessions landing --count 1000000 --files 8 --dirty"],
    ),
    (
        "clickwatch completions",
        &[
            "clickwatch completions bash > ~/.local/share/bash-completion/completions/clickwatch",
            "clickwatch completions zsh > ~/.zfunc/_clickwatch",
            "clickwatch completions fish > ~/.config/fish/completions/clickwatch.fish",
        ],
    ),
    ("clickwatch man", &["clickwatch man > clickwatch.1", "clickwatch man sql > clickwatch-sql.1"]),
];

/// `command` with examples and exit codes at the end of its help, and of that of all its commands.
pub(super) fn documented(command: clap::Command) -> clap::Command {
    let path = command.get_name().to_owned();
    documented_at(command, &path)
}

fn documented_at(command: clap::Command, path: &str) -> clap::Command {
    let own = EXAMPLES.iter().find(|(command, _)| *command == path);
    let examples = own.map(|(_, examples)| {
        let lines = examples.iter().map(|example| format!("  {example}\n"));
        format!("Examples:\n{}\n", lines.collect::<String>())
    });
    command.after_help(examples.unwrap_or_default() + EXIT_CODES).mut_subcommands(|one| {
        let path = format!("{path} {}", one.get_name());
        documented_at(one, &path)
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Command;

    use super::*;

    /// All commands below `command`, with their names in full.
    fn all(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
        let mut found = vec![(path.to_owned(), command.clone())];
        for one in command.get_subcommands() {
            found.extend(all(one, &format!("{path} {}", one.get_name())));
        }
        found
    }

    /// The words of an example, as a shell takes them apart; what is sent elsewhere is left out.
    fn words(example: &str) -> Vec<String> {
        let quoted = example.split('"').enumerate().flat_map(|(part, text)| match part % 2 {
            1 => vec![text.to_owned()],
            _ => text.split_whitespace().map(str::to_owned).collect(),
        });
        quoted.take_while(|word| word != ">").collect()
    }

    #[test]
    fn every_command_has_examples_that_it_takes_and_exit_codes() {
        let command = documented(Command::command());
        for (path, one) in all(&command, "clickwatch") {
            let help = one.get_after_help().unwrap().to_string();
            assert!(help.contains("Exit codes:\n    0  done"), "{path}: {help}");
            assert!(help.contains(&format!("  {path}")), "{path} has no example: {help}");
        }
        for (path, examples) in &EXAMPLES {
            for example in *examples {
                assert!(example.starts_with(path), "{example}");
                if let Err(wrong) = Command::try_parse_from(words(example)) {
                    panic!("{example}: {wrong}");
                }
            }
        }
    }

    #[test]
    fn the_exit_codes_are_those_of_errors() {
        use crate::error::Kind;
        for kind in [
            Kind::Invalid,
            Kind::Missing,
            Kind::Denied,
            Kind::Data,
            Kind::Conflict,
            Kind::Unavailable,
            Kind::Threshold,
            Kind::Stopped,
            Kind::Bug,
        ] {
            let code = format!("\n{:>5}  ", kind.exit_code());
            assert!(EXIT_CODES.contains(&code), "{kind:?}");
        }
    }
}
