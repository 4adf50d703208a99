//! What a text names as the place that a visit came from: a host, an address, an app, or a word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, form_urlencoded};

use super::words::is_no_referrer;

/// Schemes of addresses whose host is a site.
const OF_SITES: [&str; 5] = ["http", "https", "ftp", "ws", "wss"];
/// Schemes of addresses whose host is the package of an app.
const OF_APPS: [&str; 2] = ["android-app", "ios-app"];
/// Schemes without `//` of what is no site: pages of the browser, of files, of scripts.
const OF_NOTHING: [&str; 10] = [
    "about",
    "blob",
    "data",
    "file",
    "javascript",
    "mailto",
    "sms",
    "tel",
    "view-source",
    "x-apple",
];

/// The place that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A host in ASCII and lower case, without port.
    Host(String),
    /// An IP address.
    Address(String),
    /// The package of an app.
    App(String),
    /// Anything else.
    Word(String),
}

/// An address cut into its scheme and what comes behind it.
enum Cut<'a> {
    /// Behind `http://`, or behind `//`.
    Site(&'a str),
    App(&'a str),
    /// An address of something that is no site.
    Nothing,
    /// No scheme at all.
    Bare(&'a str),
}

impl Origin {
    /// What a referrer in its one form names; None where it says that there is none.
    pub(super) fn of_referrer(text: &str) -> Option<Self> {
        let text = text.trim_matches(['"', '\'', '<', '>']).trim();
        let decoded = decoded(text);
        let text = decoded.as_deref().unwrap_or(text);
        if is_no_referrer(text) {
            return None;
        }
        let origin = match cut(text) {
            Cut::Nothing => return None,
            // A page without a host is one of the site itself.
            Cut::Bare(text) if text.starts_with(['/', '?', '#']) => return None,
            Cut::Site(rest) => of_host(host(rest)),
            Cut::App(rest) => of_package(rest),
            Cut::Bare(text) => of_bare(text),
        };
        (!is_no_referrer(origin.text())).then_some(origin)
    }

    /// What a source in its one form names, and whether it does so as an address does, with its scheme.
    pub(super) fn of_source(text: &str) -> (Self, bool) {
        match cut(text) {
            Cut::Site(rest) => (of_host(host(rest)), true),
            Cut::App(rest) => (of_package(rest), true),
            Cut::Bare(_) | Cut::Nothing => (of_bare(text), false),
        }
    }

    /// The host, address, package or word itself; of a host without `www.`.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Host(host) => without_www(host),
            Self::Address(text) | Self::App(text) | Self::Word(text) => text,
        }
    }

    /// What it is called where nothing is known of it: a host by the part that somebody registered.
    pub(super) fn name(&self) -> &str {
        let text = self.text();
        match self {
            Self::Host(_) => psl::domain_str(text).unwrap_or(text),
            Self::Address(_) | Self::App(_) | Self::Word(_) => text,
        }
    }

    /// Whether both are pages of one site.
    pub(super) fn is_of_the_site_of(&self, other: &Self) -> bool {
        let is_site = |one: &Self| matches!(one, Self::Host(_) | Self::Address(_));
        is_site(self) && is_site(other) && self.name() == other.name()
    }
}

/// An address that was percent-encoded as a whole, as `https%3a%2f%2fwww.google.com%2f`. What comes
/// behind its host does not matter.
fn decoded(text: &str) -> Option<String> {
    let is_encoded = ["http%3a", "https%3a", "android-app%3a", "ios-app%3a"]
        .iter()
        .any(|beginning| text.starts_with(beginning));
    let (decoded, _) = form_urlencoded::parse(text.as_bytes()).next().filter(|_| is_encoded)?;
    Some(decoded.to_lowercase())
}

fn cut(text: &str) -> Cut<'_> {
    if let Some(rest) = text.strip_prefix("//") {
        return Cut::Site(rest);
    }
    let Some((scheme, rest)) = text.split_once(':') else { return Cut::Bare(text) };
    let behind = rest.trim_start_matches(['/', '\\']);
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if OF_SITES.contains(&scheme) {
        Cut::Site(behind)
    } else if OF_APPS.contains(&scheme) {
        Cut::App(behind)
    } else if OF_NOTHING.contains(&scheme) || (is_scheme && rest.starts_with("//")) {
        Cut::Nothing
    } else {
        Cut::Bare(text)
    }
}

/// What comes before a path, a query or a fragment, without user and port.
fn host(text: &str) -> &str {
    let before = text.split(['/', '\\', '?', '#']).next().unwrap_or(text);
    let host = before.rsplit('@').next().unwrap_or(before);
    let is_bare_address = host.parse::<Ipv6Addr>().is_ok();
    match host.rfind(']').or_else(|| host.find(':').filter(|_| !is_bare_address)) {
        Some(end) if host.starts_with('[') => host.get(..=end).unwrap_or(host),
        Some(end) => host.get(..end).unwrap_or(host),
        None => host,
    }
}

fn of_host(host: &str) -> Origin {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Origin::Address(address.to_string());
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) => Origin::Host(name.trim_end_matches('.').to_owned()),
        Ok(Host::Ipv4(address)) => Origin::Address(address.to_string()),
        Ok(Host::Ipv6(address)) => Origin::Address(address.to_string()),
        Err(_) => Origin::Word(host.to_owned()),
    }
}

fn of_package(text: &str) -> Origin {
    Origin::App(text.split(['/', '?', '#']).next().unwrap_or(text).to_owned())
}

/// A text without scheme: a host where it looks like one, else a word.
fn of_bare(text: &str) -> Origin {
    let host = host(text);
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or(host);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok();
    let has_port = text
        .strip_prefix(host)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|port| port.starts_with(|digit: char| digit.is_ascii_digit()));
    let looks_like_a_host = is_address
        || host.starts_with('[')
        || (!is_number && !host.contains(' ') && (host.contains('.') || has_port));
    match of_host(host) {
        origin @ (Origin::Host(_) | Origin::Address(_)) if looks_like_a_host => origin,
        _ => Origin::Word(text.to_owned()),
    }
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(origin: &Origin) -> (&'static str, &str) {
        let kind = match origin {
            Origin::Host(_) => "host",
            Origin::Address(_) => "address",
            Origin::App(_) => "app",
            Origin::Word(_) => "word",
        };
        (kind, origin.text())
    }

    #[test]
    fn referrers_name_hosts_addresses_apps_and_words() {
        for (text, wanted) in [
            ("https://www.google.com/search?q=x", ("host", "google.com")),
            ("http:/www.google.com/", ("host", "google.com")),
            ("//google.com/", ("host", "google.com")),
            ("google.com/search?q=http://x.example/", ("host", "google.com")),
            ("google.com:443", ("host", "google.com")),
            ("https://google.com.:443/", ("host", "google.com")),
            ("https://user:pass@google.com:8080/x@y", ("host", "google.com")),
            ("https://google.com?x", ("host", "google.com")),
            ("https://google.com\\x", ("host", "google.com")),
            ("https%3a%2f%2fwww.google.com%2fsearch%3fq%3da%26b", ("host", "google.com")),
            ("\"https://www.google.com/\"", ("host", "google.com")),
            ("https://www.com/", ("host", "www.com")),
            ("https://münchen.example/", ("host", "xn--mnchen-3ya.example")),
            ("https://localhost:3000/", ("host", "localhost")),
            ("localhost:3000", ("host", "localhost")),
            ("10.0.0.1", ("address", "10.0.0.1")),
            ("http://10.0.0.1:8080/x", ("address", "10.0.0.1")),
            ("10.0.0.1:8080/x", ("address", "10.0.0.1")),
            ("http://[2001:db8::1]:8080/x", ("address", "2001:db8::1")),
            ("[2001:db8::1]:8080", ("address", "2001:db8::1")),
            ("2001:db8::1", ("address", "2001:db8::1")),
            ("android-app://com.google.android.gm/", ("app", "com.google.android.gm")),
            ("android-app://com.x.y/https/x.com", ("app", "com.x.y")),
            ("ios-app://389801252/x", ("app", "389801252")),
            ("social", ("word", "social")),
            ("1.5", ("word", "1.5")),
            ("20250701", ("word", "20250701")),
            ("letter 2. june", ("word", "letter 2. june")),
            ("http://two words/x", ("word", "two words")),
        ] {
            let origin = Origin::of_referrer(text);
            assert_eq!(origin.as_ref().map(kind), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_site_is_no_referrer() {
        for text in [
            "",
            "-",
            "\"-\"",
            "(direct)",
            "direct / none",
            "about:blank",
            "about:srcdoc",
            "data:text/html,x",
            "javascript:void(0)",
            "file:///home/x.html",
            "chrome-extension://abc/x",
            "blob:https://x.example/1",
            "https://",
            "//",
            "http://null/",
            "https://undefined/x",
            "https://(not set)/",
            "android-app://",
            "/pricing",
            "?page=2",
            "#top",
            "no-referrer",
        ] {
            assert_eq!(Origin::of_referrer(text), None, "{text}");
        }
    }

    #[test]
    fn pages_are_of_one_site_by_what_somebody_registered() {
        let origin = |text: &str| Origin::of_referrer(text).unwrap();
        for (one, other, wanted) in [
            ("https://shop.example.com/x", "http://www.example.com:8080", true),
            ("https://a.github.io/", "https://b.github.io/", false),
            ("https://a.co.uk/", "https://b.co.uk/", false),
            ("http://10.0.0.1:80/", "http://10.0.0.1:8080/", true),
            ("http://10.0.0.1/", "http://10.0.0.2/", false),
            ("http://localhost:3000/", "http://localhost:4000/", true),
            ("android-app://com.x.y", "android-app://com.x.y", false),
            ("home", "home", false),
        ] {
            assert_eq!(origin(one).is_of_the_site_of(&origin(other)), wanted, "{one} {other}");
        }
    }
}
