//! Which browser or app sent a user agent, and in which version.
//!
//! Our own list comes first ([`NAMED`]), then the patterns of uap-core, then what a product calls
//! itself that stands among those of the engine; what is left is one of the few browsers that say
//! nothing else.

use super::bots::without_model;
use super::names::{self, NAMED};
use super::patterns;

/// Products that tell of an engine, a system or a device and not of a browser.
const PARTS: [&str; 66] = [
    "mozilla",
    "applewebkit",
    "applelwebkit",
    "chrome",
    "version",
    "mobile",
    "safari",
    "mobilesafari",
    "firefox",
    "firephp",
    "cordova-amazon-fireos",
    "bro",
    "svn",
    "khtml",
    "build",
    "nettype",
    "language",
    "process",
    "abi",
    "tbs",
    "xweb",
    "mmwebid",
    "mmwebsdk",
    "crosswalk",
    "qtwebengine",
    "electron",
    "ubuntu",
    "fedora",
    "debian",
    "red",
    "hat",
    "centos",
    "suse",
    "linux",
    "tablet",
    "profile",
    "configuration",
    "presto",
    "trident",
    "netscape",
    "hbbtv",
    "ohhtv",
    "smarttv",
    "smart-tv",
    "smart",
    "fvc",
    "android",
    "ios",
    "webkit",
    "windows",
    "scale",
    "cfnetwork",
    "darwin",
    "dalvik",
    "omi",
    "applecoremedia",
    "release",
    "gls",
    "tizen",
    "kaios",
    "webview",
    "ext",
    "web0s",
    "webos",
    "crkey",
    "mobi",
];

/// Bots that neither the patterns nor the form of their agents name; in lower case, and what they are
/// called.
const NAMED_BOTS: [(&str, &str); 3] = [
    ("meta-externalagent", "Meta-ExternalAgent"),
    ("meta-externalfetcher", "Meta-ExternalFetcher"),
    ("google-read-aloud", "Google-Read-Aloud"),
];

/// The longest name that is taken from a text: what is longer is a number or a nonsense.
const LONGEST_NAME: usize = 40;

/// The name and the version of the browser of `text`, which is `lower` in lower case.
pub(super) fn browser(text: &str, lower: &str) -> Option<(String, Option<String>)> {
    let said = without_model(lower);
    if let Some((word, name)) = NAMED.iter().find(|(word, _)| said.contains(word)) {
        return Some(((*name).to_owned(), version_of(name, word, &said)));
    }
    let plain = plain(&said, lower);
    let other = product(text);
    if plain.is_some() && other.is_none() {
        return plain;
    }
    let known = patterns::browser(text).map(|(name, version)| (names::browser(&name), version));
    match (known, plain) {
        (Some((name, version)), _) if !is_plain(&name) => Some((name, version)),
        (_, Some(plain)) => other.or(Some(plain)),
        (known, None) => known,
    }
}

/// What a bot that is `lower` in lower case calls itself, or else the browser that it uses.
pub(super) fn bot(text: &str, lower: &str) -> Option<(String, Option<String>)> {
    if let Some((word, name)) = NAMED_BOTS.iter().find(|(word, _)| lower.contains(word)) {
        return Some(((*name).to_owned(), version_of(name, word, lower)));
    }
    let known = patterns::browser(text).map(|(name, version)| (names::browser(&name), version));
    // A part of an address is no name.
    let known = known.filter(|(name, _)| !name.contains('/'));
    match known {
        Some((name, version)) if !is_plain(&name) => Some((name, version)),
        known => compatible(text).or_else(|| product(text)).or(known),
    }
}

/// What stands behind `compatible;`, if it has a version.
fn compatible(text: &str) -> Option<(String, Option<String>)> {
    let (_, behind) = text.split_once("compatible;")?;
    let (name, version) = behind.split([';', ')']).next()?.trim().split_once('/')?;
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(':');
    is_name.then(|| (name.to_owned(), version_after("/", &format!("/{version}"))))
}

/// The version behind a word of our list.
fn version_of(name: &str, word: &str, said: &str) -> Option<String> {
    // The newest Internet Explorer names itself only by its engine and its revision.
    let word = match (name, word) {
        ("Internet Explorer", "trident/") => "rv:",
        ("Opera", "opera") if said.contains("version/") => "version/",
        _ => word,
    };
    version_after(word, said)
}

/// The number behind `word`, with nothing but a sign or the rest of a name between.
fn version_after(word: &str, said: &str) -> Option<String> {
    let (_, behind) = said.split_once(word)?;
    let behind = behind.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let behind = behind.trim_start_matches([' ', '/', ':']);
    let end = behind.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let version = behind.get(..end.unwrap_or(behind.len()))?.trim_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

/// The browsers that say nothing but their engine and themselves.
fn plain(said: &str, lower: &str) -> Option<(String, Option<String>)> {
    let is_apple = ["iphone", "ipad", "ipod"].iter().any(|device| lower.contains(device));
    let (name, word) = if said.contains("chrome/") {
        let is_view = lower.contains("; wv)") || said.contains("version/4.0 chrome/");
        (if is_view { "Android WebView" } else { "Chrome" }, "chrome/")
    } else if said.contains("firefox/") {
        ("Firefox", "firefox/")
    } else if !said.contains("applewebkit") {
        return None;
    } else if lower.contains("android") {
        ("Android Browser", "version/")
    } else if said.contains("version/") && said.contains("safari") {
        ("Safari", "version/")
    } else if is_apple {
        ("Safari (in-app)", "version/")
    } else if said.contains("safari/") {
        ("Safari", "version/")
    } else {
        return None;
    };
    Some((name.to_owned(), version_after(word, said)))
}

fn is_plain(name: &str) -> bool {
    matches!(
        name,
        "Chrome"
            | "Chromium"
            | "Firefox"
            | "Safari"
            | "Safari (in-app)"
            | "Android"
            | "Android Browser"
            | "Android WebView"
            | "CFNetwork"
            | "Electron"
    )
}

/// The first product with a version that is no part of an engine.
fn product(text: &str) -> Option<(String, Option<String>)> {
    let mut depth = 0_usize;
    let outside = text.chars().map(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => return letter,
            _ => {}
        }
        ' '
    });
    let outside: String = outside.collect();
    let words = outside.split(|letter: char| letter.is_whitespace() || ";,".contains(letter));
    words.filter_map(|word| word.split_once('/')).find_map(|(name, version)| {
        let is_name = name.len() > 2
            && name.len() <= LONGEST_NAME
            && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        let lower = name.to_ascii_lowercase();
        let is_part = PARTS.contains(&lower.as_str()) || lower.starts_with("gecko");
        let is_it = is_name && !is_part && version.starts_with(|sign: char| sign.is_ascii_digit());
        is_it.then(|| (spaced(name), version_after("/", &format!("/{version}"))))
    })
}

/// `BeakerBrowser` as it is written outside of user agents: `Beaker Browser`.
fn spaced(name: &str) -> String {
    let name = name.replace('_', " ");
    match name.strip_suffix("Browser") {
        Some(before) if before.ends_with(|letter: char| letter.is_ascii_lowercase()) => {
            format!("{before} Browser")
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_behind_its_word() {
        let cases = [
            ("edg/", "chrome/126.0 edg/126.0.1", Some("126.0.1")),
            ("instagram", "instagram 330.0.3.29", Some("330.0.3.29")),
            ("ucbrowser", "ucbrowser/13.4", Some("13.4")),
            ("brave chrome", "brave chrome/86.0", Some("86.0")),
            ("msie", "msie 9.0; windows", Some("9.0")),
            ("ucweb", "ucweb", None),
            ("absent", "chrome/1", None),
        ];
        for (word, said, version) in cases {
            assert_eq!(version_after(word, said).as_deref(), version, "{word} in {said}");
        }
    }

    #[test]
    fn a_product_that_nobody_listed_keeps_its_name() {
        let text = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) BeakerBrowser/1.1.0 Chrome/80.0 Electron/8.2 Safari/537.36";
        assert_eq!(product(text), Some(("Beaker Browser".to_owned(), Some("1.1.0".to_owned()))));
        assert_eq!(product("Mozilla/5.0 (Hidden/1.0) Chrome/126.0.0.0 Safari/537.36"), None);
        assert_eq!(product("((( ))) Mozilla/5.0 / a/1 Name/x"), None);
    }

    #[test]
    fn a_bot_has_the_name_by_which_it_calls_itself() {
        let cases = [
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot",
            ),
            (
                "Mozilla/5.0 Chrome/119.0.0.0 (compatible; AnythingNew/0.1) Safari/537.36",
                "AnythingNew",
            ),
            ("Mozilla/5.0 Chrome/119.0.0.0 Safari/537.36 (team@example.com)", "Chrome"),
            ("anything/2.0 (+https://example.com/bot)", "anything"),
        ];
        for (text, name) in cases {
            assert_eq!(bot(text, &text.to_lowercase()).unwrap().0, name, "{text}");
        }
    }

    #[test]
    fn the_list_is_read() {
        assert!(NAMED.contains(&(" line/", "LINE")));
        assert!(NAMED.iter().all(|(word, name)| !word.is_empty() && !name.is_empty()));
        assert!(NAMED.iter().all(|(word, _)| *word == word.to_lowercase()));
    }
}
