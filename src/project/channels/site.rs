//! The sites that the rules of channels know, by the names under which claims and referrers have them.
//!
//! A name with a dot is a host or an app package; it covers the hosts and packages below it, and the
//! longest that is listed wins. `maps.google.*` is the same below any public suffix. A name without a dot
//! is a claim, and, from four letters on, the label that somebody registered under any public suffix, as
//! `google` of `news.google.co.uk`. Shorter labels belong to too many. A name behind `=` is a claim alone.

use std::collections::HashMap;
use std::iter::successors;

use url::Host;

use crate::error::{Problem, shortened};

use super::SHOWN;
use super::lines::Line;

pub(super) const COLUMNS: [&str; 3] = ["name", "source", "category"];

/// The shortest name, in characters, that stands for hosts without being one.
const SHORTEST_LABEL: usize = 4;
/// No host of the internet is longer, in bytes; nothing longer is looked for part by part.
const LONGEST_HOST: usize = 253;

/// What a name of a site stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The name as it is listed.
    pub name: String,
    /// The name that all names of the site are brought to, as `facebook` of `fb`.
    pub source: String,
    /// As `search`, `social`; `none` for sites without a channel of their own, `own` and `ignored` for
    /// those that nobody comes from.
    pub category: String,
    /// Where it stands.
    pub line: Line,
}

/// All sites, by their names in one form.
#[derive(Debug, Default)]
pub(super) struct Sites(HashMap<String, Site>);

impl Sites {
    /// The sites of one file; what is wrong is added to `problems`.
    pub(super) fn read(lines: Vec<(Line, [String; 3])>, problems: &mut Vec<Problem>) -> Self {
        let mut sites = Self::default();
        for (line, [name, source, category]) in lines {
            let key = match key(&name) {
                Ok(key) => key,
                Err(message) => {
                    problems.push(line.problem(message));
                    continue;
                }
            };
            if sites.0.contains_key(&key) {
                let message = format!("`{}` stands twice", shortened(&name, SHOWN));
                problems.push(line.problem(message));
                continue;
            }
            let source = if source.is_empty() {
                name.strip_prefix('=').unwrap_or(&name).to_owned()
            } else {
                source
            };
            sites.0.insert(key, Site { name, source, category, line });
        }
        sites
    }

    /// Takes the sites of `others` over its own of the same names.
    pub(super) fn overridden_by(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The site that is called exactly `text`.
    pub(super) fn of_claim(&self, text: &str) -> Option<&Site> {
        // The mark of a listed claim is no part of one.
        let is_claim = !text.starts_with('=');
        self.0.get(&format!("={text}")).or_else(|| self.0.get(text)).filter(|_| is_claim)
    }

    /// The site of a host, without port and in ASCII.
    pub(super) fn of_host(&self, host: &str) -> Option<&Site> {
        if host.len() > LONGEST_HOST {
            return None;
        }
        let suffix = public_suffix(host);
        let below_any = |name: &str| self.0.get(&format!("{}*", name.strip_suffix(suffix?)?));
        let parents = successors(Some(host), |host| Some(host.split_once('.')?.1));
        let mut names = parents.filter(|name| name.contains('.'));
        let of_label = || {
            let label = label(host)?;
            self.0.get(label).filter(|_| label.chars().count() >= SHORTEST_LABEL)
        };
        names.find_map(|name| self.0.get(name).or_else(|| below_any(name))).or_else(of_label)
    }

    /// The site of an app, by the name of its package.
    pub(super) fn of_app(&self, package: &str) -> Option<&Site> {
        if package.len() > LONGEST_HOST {
            return None;
        }
        let parents = successors(Some(package), |package| Some(package.rsplit_once('.')?.0));
        let mut names = parents.filter(|name| name.contains('.'));
        names.find_map(|name| self.0.get(name)).or_else(|| self.of_claim(package))
    }
}

/// The one form of a name that is listed.
fn key(name: &str) -> Result<String, String> {
    if name.trim_start_matches('=').is_empty() {
        return Err("a line names a site".to_owned());
    }
    if name != name.to_lowercase() {
        return Err("a name is in lower case".to_owned());
    }
    if name.starts_with('=') || !name.contains('.') {
        return Ok(name.to_owned());
    }
    let (host, below_any) = name.strip_suffix(".*").map_or((name, ""), |host| (host, ".*"));
    match Host::parse(host) {
        Ok(Host::Domain(host)) if is_host(&host, below_any) => {
            Ok(format!("{}{below_any}", host.trim_matches('.')))
        }
        Ok(Host::Ipv4(address)) if below_any.is_empty() => Ok(address.to_string()),
        _ => Err(format!(
            "`{}` is no host without scheme, port and path (a claim is written with `=`)",
            shortened(name, SHOWN)
        )),
    }
}

/// Whether `name` is a host of more than one label; before `.*` one is enough.
fn is_host(name: &str, below_any: &str) -> bool {
    let labels = name.trim_matches('.');
    let is_long = labels.contains('.') || !below_any.is_empty();
    is_long && !labels.is_empty() && !labels.contains('*')
}

/// The suffix of a host below which anybody can register a name, as `co.uk`.
fn public_suffix(host: &str) -> Option<&str> {
    let suffix = psl::suffix(host.as_bytes())?;
    let is_public = suffix.typ() == Some(psl::Type::Icann);
    std::str::from_utf8(suffix.as_bytes()).ok().filter(|_| is_public)
}

/// The label of a host that somebody registered, as `google` of `news.google.co.uk`.
fn label(host: &str) -> Option<&str> {
    let Some((first, parent)) = host.split_once('.') else { return Some(host) };
    let suffix = psl::suffix(host.as_bytes())?;
    match suffix.typ()? {
        psl::Type::Icann => psl::domain_str(host)?.split('.').next(),
        // Below a suffix that a company rents out anybody may call himself google. The suffix itself
        // was registered like others.
        psl::Type::Private if suffix == host => {
            let above = psl::suffix(parent.as_bytes())?;
            (above == parent && above.typ() == Some(psl::Type::Icann)).then_some(first)
        }
        psl::Type::Private => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Line {
        Line { file: "x.csv".into(), number }
    }

    fn sites(names: &[&str]) -> (Sites, Vec<usize>) {
        let lines = names.iter().enumerate().map(|(index, name)| {
            (line(index + 1), [(*name).to_owned(), String::new(), "a".to_owned()])
        });
        let mut problems = Vec::new();
        let sites = Sites::read(lines.collect(), &mut problems);
        (sites, problems.iter().map(|problem| problem.line).collect())
    }

    fn name(site: Option<&Site>) -> &str {
        site.map_or("", |site| site.name.as_str())
    }

    #[test]
    fn the_longest_listed_suffix_of_a_host_wins() {
        let (sites, wrong) = sites(&[
            "google",
            "mail.google.com",
            "co.jp",
            "x.com",
            "blogspot",
            "яндекс.рф",
            "maps.google.*",
        ]);
        assert!(wrong.is_empty());
        for (host, wanted) in [
            ("google.com", "google"),
            ("news.google.co.uk", "google"),
            ("mail.google.com", "mail.google.com"),
            ("a.mail.google.com", "mail.google.com"),
            ("xmail.google.com", "google"),
            ("mail.google.de", "google"),
            ("google.co.jp", "co.jp"),
            ("netflix.com", ""),
            ("x.com", "x.com"),
            ("www.x.com", "x.com"),
            ("google.example.org", ""),
            ("google.blogspot.com", ""),
            ("google.localhost", ""),
            ("blogspot.com", "blogspot"),
            ("me.blogspot.com", ""),
            ("xn--d1acpjx3f.xn--p1ai", "яндекс.рф"),
            ("maps.google.com", "maps.google.*"),
            ("a.maps.google.co.uk", "maps.google.*"),
            ("maps.google.blogspot.com", ""),
            ("xmaps.google.com", "google"),
            ("google", "google"),
            ("com", ""),
            ("", ""),
        ] {
            assert_eq!(name(sites.of_host(host)), wanted, "{host}");
        }
        assert_eq!(sites.of_host(&"google.".repeat(1000)), None);
    }

    #[test]
    fn short_labels_and_exact_claims_are_no_hosts() {
        let (sites, wrong) = sites(&["t", "msn", "=ig", "=gemini", "bing", "=bing"]);
        assert!(wrong.is_empty());
        for host in ["t.me", "t.co", "msn.com", "ig.com.br", "ig.com", "gemini.com", "t", "ig"] {
            assert_eq!(sites.of_host(host), None, "{host}");
        }
        for (claim, wanted) in [
            ("t", "t"),
            ("msn", "msn"),
            ("ig", "=ig"),
            ("gemini", "=gemini"),
            ("=gemini", ""),
            ("bing", "=bing"),
            ("google", ""),
        ] {
            assert_eq!(name(sites.of_claim(claim)), wanted, "{claim}");
        }
        assert_eq!(sites.of_claim("ig").unwrap().source, "ig");
        assert_eq!(name(sites.of_host("www.bing.com")), "bing");
    }

    #[test]
    fn the_longest_listed_prefix_of_a_package_wins() {
        let (sites, wrong) = sites(&["com.google", "com.google.android.gm", "com", "=1234"]);
        assert!(wrong.is_empty());
        for (package, wanted) in [
            ("com.google.android.gm", "com.google.android.gm"),
            ("com.google.android.gm.lite", "com.google.android.gm"),
            ("com.google.android.gms", "com.google"),
            ("com.googlex", ""),
            ("1234", "=1234"),
            ("12345", ""),
        ] {
            assert_eq!(name(sites.of_app(package)), wanted, "{package}");
        }
    }

    #[test]
    fn names_that_stand_for_nothing_are_mistakes() {
        let names = [
            "",
            "=",
            "Google",
            "a.b/c",
            "https://a.b",
            "a.b:80",
            "*.a.b",
            "a b.c",
            "a.",
            "fb",
            "fb",
            "a.b",
            "a.b.",
            "=a.b",
        ];
        let (_, wrong) = sites(&names);
        assert_eq!(wrong, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13]);
    }
}
