//! The rules by which a visit gets its channel: `sql/channel_rules.csv` and `sql/channel_sources.csv`.
//!
//! Both are the user's to edit; where a project has none, the shipped ones hold. Beside either may stand
//! a file of the project's own lines, `sql/channel_rules.local.csv` and `sql/channel_sources.local.csv`:
//! its rules are tried before the others, its sites take the place of those of the same names. Rules are
//! tried in their order and the first that matches wins. Each line keeps its place, so that whoever asks
//! why a visit has its channel can be told the line.

mod lines;
mod rule;
mod site;

use std::hash::{Hash, Hasher};
use std::path::Path;

use crate::error::{Error, Problem, Result};

use super::load::{self, ChannelFiles, TextFile};

pub use lines::Line;
pub use rule::{Claim, Rule};
pub use site::Site;

use site::Sites;

/// How much of a cell a message shows, in characters.
const SHOWN: usize = 120;

/// The rules of channels and the sites that they know.
#[derive(Debug)]
pub struct Channels {
    rules: Vec<Rule>,
    sites: Sites,
    pub(super) fingerprints: Fingerprints,
}

/// What changes when the files do; comments and layout do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Fingerprints {
    /// Changes when the files say something else.
    pub of_cells: String,
    /// Changes also when a line has another place than before.
    pub of_places: String,
}

impl Channels {
    /// The shipped rules.
    pub fn shipped() -> Self {
        Self::of_files(&ChannelFiles::default(), &mut Vec::new())
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
    pub(super) fn of_files(files: &ChannelFiles, problems: &mut Vec<Problem>) -> Self {
        let shipped = |path: &str, text: &str| TextFile {
            path: format!("{path} (shipped)"),
            stem: String::new(),
            text: text.to_owned(),
        };
        let rules = files.rules.clone().unwrap_or_else(|| {
            shipped("channel_rules.csv", include_str!("../../../sql/channel_rules.csv"))
        });
        let sources = files.sources.clone().unwrap_or_else(|| {
            shipped("channel_sources.csv", include_str!("../../../sql/channel_sources.csv"))
        });
        let rules: Vec<_> = files.local_rules.iter().chain([&rules]).collect();
        let sources: Vec<_> = [&sources].into_iter().chain(&files.local_sources).collect();
        Self::read(&rules, &sources, problems)
    }

    /// The rules of all of `rules`, in their order, and the sites of `sources`, of which a later file
    /// overrides those before it.
    fn read(rules: &[&TextFile], sources: &[&TextFile], problems: &mut Vec<Problem>) -> Self {
        let (mut of_cells, mut of_places) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut add = |line: &Line, cells: &[String]| {
            cells.iter().for_each(|cell| hash(&mut of_cells, cell));
            hash(&mut of_places, &line.to_string());
        };
        let (mut known_rules, mut known_sites) = (Vec::new(), Sites::default());
        for file in rules {
            for (line, cells) in lines::read(file, rule::COLUMNS, problems) {
                add(&line, &cells);
                match Rule::read(line.clone(), cells) {
                    Ok(rule) => known_rules.push(rule),
                    Err(message) => problems.push(line.problem(message)),
                }
            }
        }
        for file in sources {
            let lines = lines::read(file, site::COLUMNS, problems);
            lines.iter().for_each(|(line, cells)| add(line, cells));
            known_sites = known_sites.overridden_by(Sites::read(lines, problems));
        }
        let of_cells = of_cells.finalize().to_hex().to_string();
        hash(&mut of_places, &of_cells);
        let of_places = of_places.finalize().to_hex().to_string();
        let fingerprints = Fingerprints { of_cells, of_places };
        Self { rules: known_rules, sites: known_sites, fingerprints }
    }

    /// The site that a claim in lower case, as `google`, names exactly.
    pub fn site_of_claim(&self, text: &str) -> Option<&Site> {
        self.sites.of_claim(text)
    }

    /// The site of a host in ASCII, as `news.google.co.uk`.
    pub fn site_of_host(&self, host: &str) -> Option<&Site> {
        self.sites.of_host(host)
    }

    /// The site of an app with this package, as `com.google.android.gm`.
    pub fn site_of_app(&self, package: &str) -> Option<&Site> {
        self.sites.of_app(package)
    }

    /// The first rule that `claim` matches.
    pub fn rule(&self, claim: &Claim<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(claim))
    }
}

impl PartialEq for Channels {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprints == other.fingerprints
    }
}

impl Eq for Channels {}

impl Hash for Channels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprints.hash(state);
    }
}

fn hash(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "channel,category,source,medium,campaign,referrer,paid\n";
    const SOURCES: &str = "name,source,category\n";

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), stem: String::new(), text: text.into() }
    }

    fn read(rules: &[&str], sources: &[&str]) -> (Channels, Vec<(String, usize)>) {
        let files = |name: &str, head: &str, texts: &[&str]| -> Vec<TextFile> {
            let texts = texts.iter().enumerate();
            texts
                .map(|(index, text)| file(&format!("{name}{index}"), &[head, *text].concat()))
                .collect()
        };
        let (rules, sources) = (files("rules", RULES, rules), files("sources", SOURCES, sources));
        let (rules, sources): (Vec<_>, Vec<_>) = (rules.iter().collect(), sources.iter().collect());
        let mut problems = Vec::new();
        let channels = Channels::read(&rules, &sources, &mut problems);
        (channels, problems.into_iter().map(|problem| (problem.file, problem.line)).collect())
    }

    fn channel<'a>(channels: &'a Channels, claim: &Claim<'_>) -> Option<&'a str> {
        channels.rule(claim).map(|rule| rule.channel.as_str())
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules =
            "# none\nDirect,,-,-,,,\nPaid,,,cp.,,,\nPaid,search,,,,,yes\nSearch,search,,,,,\n";
        let (channels, problems) = read(&[rules], &[""]);
        assert!(problems.is_empty(), "{problems:?}");
        let claim = Claim { source: "x", ..Claim::default() };
        for (claim, wanted) in [
            (Claim::default(), Some("Direct")),
            (claim, None),
            (Claim { medium: "cpc", ..claim }, Some("Paid")),
            (Claim { medium: "xcpc", category: "search", ..claim }, Some("Search")),
            (Claim { is_paid: true, category: "search", ..claim }, Some("Paid")),
        ] {
            assert_eq!(channel(&channels, &claim), wanted, "{claim:?}");
        }
    }

    #[test]
    fn earlier_rules_come_first_and_later_sites_take_the_place_of_others() {
        let (channels, problems) = read(
            &["A,,,a,,,\n", "B,,,a,,,\n# here\nC,,,c,,,\n"],
            &["fb,facebook,social\nmy.example,,search\n", "\nfb,meta,own\nnew.example,,video\n"],
        );
        assert!(problems.is_empty(), "{problems:?}");
        let claim = Claim { medium: "a", ..Claim::default() };
        let rule = channels.rule(&claim).unwrap();
        assert_eq!(
            (rule.channel.as_str(), rule.line.to_string()),
            ("A", "rules0 line 2".to_owned())
        );
        let rule = channels.rule(&Claim { medium: "c", ..claim }).unwrap();
        assert_eq!(rule.line.to_string(), "rules1 line 4");
        let fb = channels.site_of_claim("fb").unwrap();
        assert_eq!((fb.source.as_str(), fb.category.as_str()), ("meta", "own"));
        assert_eq!(fb.line.to_string(), "sources1 line 3");
        assert_eq!(
            channels.site_of_host("my.example").unwrap().line.to_string(),
            "sources0 line 3"
        );
        assert!(channels.site_of_host("a.new.example").is_some());
    }

    #[test]
    fn fingerprints_tell_what_is_said_from_where_it_stands() {
        let (one, _) = read(&["A,,,a,,,\n"], &["fb,,social\n"]);
        let (moved, _) = read(&["# here\nA,,, a,,,\n"], &["fb,,social\n"]);
        assert_eq!(one.fingerprints.of_cells, moved.fingerprints.of_cells);
        assert_ne!(one, moved);
        let (other, _) = read(&["A,,,a,,,\n"], &["fb,,social\n", "fb,,video\n"]);
        assert_ne!(one.fingerprints.of_cells, other.fingerprints.of_cells);
    }

    #[test]
    fn every_mistake_is_named_with_its_file_and_line() {
        let (_, problems) = read(
            &["# one\n# two\n\nA,,,(,,,\n", "A,,,(,,,\n,,,,,,\nB,,,,,,maybe\nC,\n"],
            &["G,,search\nfb,,social\nfb,,x\n", "fb,,video\nfb,,video\n"],
        );
        let problems: Vec<_> = problems.iter().map(|(file, line)| (file.as_str(), *line)).collect();
        assert_eq!(
            problems,
            [
                ("rules0", 5),
                ("rules1", 5),
                ("rules1", 2),
                ("rules1", 3),
                ("rules1", 4),
                ("sources0", 2),
                ("sources0", 4),
                ("sources1", 3),
            ]
        );
        let mut problems = Vec::new();
        drop(Channels::read(&[&file("x", "channel\n")], &[], &mut problems));
        assert_eq!(problems.first().map(|problem| problem.line), Some(1));
    }

    #[test]
    fn the_shipped_rules_have_no_mistake() {
        let mut problems = Vec::new();
        let channels = Channels::of_files(&ChannelFiles::default(), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(channels, Channels::shipped());
        assert_eq!(channels.site_of_claim("fb").unwrap().source, "facebook");
    }
}
