//! The rules by which a visit gets its channel: `sql/channel_rules.csv` and `sql/channel_sources.csv`.
//!
//! Both are the user's to edit; where a project has none, the shipped ones hold. Rules are tried in
//! their order and the first that matches wins. Sources are names of sites as they occur in claims and
//! referrers, with the name and the category that they stand for.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::path::Path;

use regex::Regex;

use crate::error::{Error, Problem, Result, shortened};

use super::load::{self, CHANNEL_RULES, CHANNEL_SOURCES, TextFile};

/// How much of a cell a message shows, in characters.
const SHOWN: usize = 120;

const RULE_COLUMNS: [&str; 7] =
    ["channel", "category", "source", "medium", "campaign", "referrer", "paid"];
const SOURCE_COLUMNS: [&str; 3] = ["name", "source", "category"];

/// The rules of channels and the sites that they know.
#[derive(Debug)]
pub struct Channels {
    rules: Vec<Rule>,
    sites: HashMap<String, Site>,
    /// Changes when the files say something else; comments and layout do not count.
    pub fingerprint: String,
}

/// What a name of a site stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The name that all names of the site are brought to, as `facebook` of `fb`.
    pub source: String,
    /// As `search`, `social`; `own` and `ignored` for sites that nobody comes from.
    pub category: String,
}

/// What rules look at: normalised texts, empty where nothing is claimed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// The category of the source.
    pub category: &'a str,
    /// Where the visit came from.
    pub source: &'a str,
    /// How it came.
    pub medium: &'a str,
    /// By which campaign.
    pub campaign: &'a str,
    /// The host that the referrer names, or what else it says.
    pub referrer: &'a str,
    /// Whether an advertising account or a click id says that it was paid for.
    pub is_paid: bool,
}

/// All conditions of one line.
#[derive(Debug)]
struct Rule {
    channel: String,
    category: Cell,
    source: Cell,
    medium: Cell,
    campaign: Cell,
    referrer: Cell,
    is_paid: bool,
}

#[derive(Debug)]
enum Cell {
    Any,
    Nothing,
    Pattern(Regex),
}

impl Cell {
    /// Empty for anything, `-` for nothing, else a regular expression for the whole text.
    fn read(text: &str) -> std::result::Result<Self, String> {
        match text {
            "" => Ok(Self::Any),
            "-" => Ok(Self::Nothing),
            pattern => match Regex::new(&format!("^(?:{pattern})$")) {
                Ok(regex) => Ok(Self::Pattern(regex)),
                Err(_) => {
                    Err(format!("`{}` is not a regular expression", shortened(pattern, SHOWN)))
                }
            },
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => text.is_empty(),
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

impl Channels {
    /// The shipped rules.
    pub fn shipped() -> Self {
        Self::of_files(&[None, None], &mut Vec::new())
    }

    /// The rules of the project in directory `root`, or the shipped ones where it has none. For whoever
    /// asks the lake and needs no pipeline; a loaded project has its rules already.
    ///
    /// Errors: `Invalid` with everything that is wrong in the rules.
    pub fn of_directory(root: &Path) -> Result<Self> {
        let mut problems = Vec::new();
        let channels = Self::of_files(&load::read_channels(root)?, &mut problems);
        if problems.is_empty() {
            Ok(channels)
        } else {
            Err(Error::problems("the rules of channels have mistakes", problems))
        }
    }

    /// The rules in `files`, of which each may be missing; what is wrong is added to `problems`.
    pub(super) fn of_files(files: &[Option<TextFile>; 2], problems: &mut Vec<Problem>) -> Self {
        let shipped = |path: &str, text: &str| TextFile {
            path: path.to_owned(),
            stem: String::new(),
            text: text.to_owned(),
        };
        let [rules, sources] = files.clone();
        let rules = rules
            .unwrap_or_else(|| shipped(CHANNEL_RULES, include_str!("../../sql/channel_rules.csv")));
        let sources = sources.unwrap_or_else(|| {
            shipped(CHANNEL_SOURCES, include_str!("../../sql/channel_sources.csv"))
        });
        Self::read(&rules, &sources, problems)
    }

    fn read(rules: &TextFile, sources: &TextFile, problems: &mut Vec<Problem>) -> Self {
        let rule_lines = lines(rules, RULE_COLUMNS, problems);
        let source_lines = lines(sources, SOURCE_COLUMNS, problems);
        let rule_cells = rule_lines.iter().flat_map(|(_, cells)| cells);
        let source_cells = source_lines.iter().flat_map(|(_, cells)| cells);
        let mut channels = Self {
            rules: Vec::new(),
            sites: HashMap::new(),
            fingerprint: fingerprint(rule_cells.chain(source_cells)),
        };
        for (line, cells) in rule_lines {
            match Rule::read(cells) {
                Ok(rule) => channels.rules.push(rule),
                Err(message) => problems.push(problem(rules, line, message)),
            }
        }
        for (line, [name, source, category]) in source_lines {
            let source = if source.is_empty() { name.clone() } else { source };
            let site = Site { source, category };
            if name.is_empty() || name != name.to_lowercase() {
                problems.push(problem(sources, line, "a name is in lower case".to_owned()));
            } else if channels.sites.insert(name.clone(), site).is_some() {
                let name = shortened(&name, SHOWN);
                problems.push(problem(sources, line, format!("`{name}` stands twice")));
            }
        }
        channels
    }

    /// What `name`, in lower case, stands for.
    pub fn site(&self, name: &str) -> Option<&Site> {
        self.sites.get(name)
    }

    /// The channel of the first rule that `claim` matches.
    pub fn channel(&self, claim: &Claim<'_>) -> Option<&str> {
        self.rules.iter().find(|rule| rule.matches(claim)).map(|rule| rule.channel.as_str())
    }
}

impl PartialEq for Channels {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Channels {}

impl Hash for Channels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl Rule {
    fn read(cells: [String; 7]) -> std::result::Result<Self, String> {
        let [channel, category, source, medium, campaign, referrer, paid] = cells;
        if channel.is_empty() {
            return Err("a rule names its channel".to_owned());
        }
        let is_paid = match paid.as_str() {
            "" => false,
            "yes" => true,
            other => {
                let other = shortened(other, SHOWN);
                return Err(format!("`paid` is `yes` or empty, not `{other}`"));
            }
        };
        Ok(Self {
            channel,
            category: Cell::read(&category)?,
            source: Cell::read(&source)?,
            medium: Cell::read(&medium)?,
            campaign: Cell::read(&campaign)?,
            referrer: Cell::read(&referrer)?,
            is_paid,
        })
    }

    fn matches(&self, claim: &Claim<'_>) -> bool {
        (!self.is_paid || claim.is_paid)
            && self.category.matches(claim.category)
            && self.source.matches(claim.source)
            && self.medium.matches(claim.medium)
            && self.campaign.matches(claim.campaign)
            && self.referrer.matches(claim.referrer)
    }
}

/// The lines of a CSV file below its head, with their numbers. Lines that begin with `#` are comments.
fn lines<const N: usize>(
    file: &TextFile,
    columns: [&str; N],
    problems: &mut Vec<Problem>,
) -> Vec<(usize, [String; N])> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file.text.as_bytes());
    match reader.headers() {
        Ok(head) if head.iter().eq(columns) => {}
        _ => {
            let message = format!("the first line has to be {}", columns.join(","));
            problems.push(problem(file, 1, message));
            return Vec::new();
        }
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                problems.push(problem(file, number(line), format!("this is not CSV: {e}")));
                continue;
            }
        };
        let line = record.position().map_or(0, |position| line_of(&file.text, position));
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let found = cells.len();
        match <[String; N]>::try_from(cells) {
            Ok(cells) => lines.push((line, cells)),
            Err(_) => {
                let message = format!("a line has {N} cells, this one {found}");
                problems.push(problem(file, line, message));
            }
        }
    }
    lines
}

/// The line of the record that is read from `position` on: comments and blank lines come before it.
fn line_of(text: &str, position: &csv::Position) -> usize {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let lines = text.get(start..).unwrap_or_default().lines();
    let is_passed_over = |line: &&str| line.is_empty() || line.starts_with('#');
    number(position.line()) + lines.take_while(is_passed_over).count()
}

fn fingerprint<'a>(cells: impl Iterator<Item = &'a String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for cell in cells {
        hasher.update(&(cell.len() as u64).to_le_bytes()).update(cell.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn number(line: u64) -> usize {
    usize::try_from(line).unwrap_or(0)
}

fn problem(file: &TextFile, line: usize, message: String) -> Problem {
    Problem { file: file.path.clone(), line, column: 0, message, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TextFile {
        TextFile { path: "sql/x.csv".into(), stem: "x".into(), text: text.into() }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = file(
            "channel,category,source,medium,campaign,referrer,paid\n# none\nDirect,,-,-,,,\n\
             Paid,,,cp.,,,\nPaid,search,,,,,yes\nSearch,search,,,,,\n",
        );
        let mut problems = Vec::new();
        let channels = Channels::read(&rules, &file("name,source,category\n"), &mut problems);
        assert!(problems.is_empty());
        let claim = Claim { source: "x", ..Claim::default() };
        for (claim, wanted) in [
            (Claim::default(), Some("Direct")),
            (claim, None),
            (Claim { medium: "cpc", ..claim }, Some("Paid")),
            (Claim { medium: "xcpc", category: "search", ..claim }, Some("Search")),
            (Claim { is_paid: true, category: "search", ..claim }, Some("Paid")),
        ] {
            assert_eq!(channels.channel(&claim), wanted, "{claim:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_count_as_lines() {
        let rules = file(
            "channel,category,source,medium,campaign,referrer,paid\n# one\n# two\n\nA,,,(,,,\n",
        );
        let mut problems = Vec::new();
        drop(Channels::read(&rules, &file("name,source,category\n"), &mut problems));
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let rules = file(
            "channel,category,source,medium,campaign,referrer,paid\nA,,,(,,,\n,,,,,,\nB,,,,,,maybe\nC,\n",
        );
        let sources = file("name,source,category\nG,,search\nfb,,social\nfb,,x\n");
        let mut problems = Vec::new();
        drop(Channels::read(&rules, &sources, &mut problems));
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [5, 2, 3, 4, 2, 4]);
        drop(Channels::read(&file("channel\n"), &sources, &mut problems));
        assert!(problems.iter().any(|problem| problem.line == 1));
    }

    #[test]
    fn the_shipped_rules_have_no_mistake() {
        let mut problems = Vec::new();
        let channels = Channels::of_files(&[None, None], &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(channels, Channels::shipped());
        assert_eq!(channels.site("fb").unwrap().source, "facebook");
    }
}
