//! Which user agents are no people, and what they are.
//!
//! Three things tell: what programs call themselves, an address to ask at, which no browser has, and that
//! nothing of a browser or of an app is there. Models of phones are left out, and some words of browsers
//! that look like those of bots. The words are in `bots.csv`.

use std::sync::LazyLock;

/// Kinds and words, in the order of the file.
static WORDS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| super::rows(include_str!("bots.csv")));

/// Ends of hosts at which the makers of bots want to be asked.
const DOMAINS: [&str; 6] = [".com", ".net", ".org", ".io", ".ai", ".eu"];

/// What kind of bot sent `agent`, which is in lower case; None if people did.
pub(super) fn kind(agent: &str) -> Option<&'static str> {
    let mut said = without_model(agent);
    for word in words("harmless").filter(|word| agent.contains(word)) {
        said = said.replace(word, "");
    }
    let is_bots = |(kind, word): &&(&str, &str)| {
        !matches!(*kind, "harmless" | "person") && said.contains(word)
    };
    if let Some((kind, _)) = WORDS.iter().find(is_bots) {
        return Some(kind);
    }
    // The messenger fetches what its users link to; its browser names itself at the end.
    if said.starts_with("whatsapp/") {
        return Some("link preview");
    }
    let is_crawler = is_named_bot(&said)
        || said.contains('@')
        || adds_to_engine(&said)
        || is_compatible_with_nothing(&said)
        || names_host(&said);
    if is_crawler { Some("crawler") } else { (!is_of_people(agent)).then_some("not a browser") }
}

fn words(kind: &str) -> impl Iterator<Item = &'static str> {
    WORDS.iter().filter(move |(of, _)| *of == kind).map(|(_, word)| *word)
}

fn is_of_people(text: &str) -> bool {
    words("person").any(|word| text.contains(word))
}

/// The agent without what an Android browser says of the device: models have all kinds of names.
pub(super) fn without_model(agent: &str) -> String {
    let whole = || agent.to_owned();
    let Some((before, rest)) = agent.split_once('(') else { return whole() };
    let mut depth = 1_usize;
    let end = rest.find(|letter| {
        depth = match letter {
            '(' => depth + 1,
            ')' => depth - 1,
            _ => depth,
        };
        depth == 0
    });
    let Some((device, behind)) = end.and_then(|end| rest.split_at_checked(end)) else {
        return whole();
    };
    // Opera names itself there.
    let is_more = agent.starts_with("opera")
        || ["http", "compatible", "mozilla"].iter().any(|word| device.contains(word));
    if is_more || !device.contains("android") { whole() } else { format!("{before}({behind}") }
}

/// Whether a word ends in `bot`.
fn is_named_bot(agent: &str) -> bool {
    agent.split("bot").skip(1).any(|behind| !behind.starts_with(char::is_alphabetic))
}

/// Whether something stands beside the name of the engine, as in `(KHTML, like Gecko; compatible; …)`.
fn adds_to_engine(agent: &str) -> bool {
    let Some((_, behind)) = agent.split_once("(khtml, like gecko") else { return false };
    let Some(more) = behind.trim_start().strip_prefix([',', ';']) else { return false };
    // Of old browsers, and of a console.
    !["safari", "hevc"].iter().any(|known| more.trim_start().starts_with(known))
}

/// Whether the agent calls itself compatible, and what follows is no browser.
fn is_compatible_with_nothing(agent: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "linux",
        "intel mac",
        "macintosh",
        "windows",
        "tablet",
        "smartphone",
        "yandex",
        "lephone",
        "google desktop",
        "mozilla",
        "antgalio",
        "emac",
        "u)",
        "u;",
    ];
    let Some((_, behind)) = agent.split_once("compatible;") else { return false };
    let behind = behind.trim_start();
    let named = behind.split([';', ')']).next().unwrap_or(behind).trim();
    !named.is_empty()
        && !is_of_people(named)
        && !KNOWN.iter().any(|known| behind.starts_with(known))
}

/// Whether the name of a host is in it, as `devin.ai`; packages as `com.example` are none.
fn names_host(agent: &str) -> bool {
    DOMAINS.iter().any(|domain| {
        agent.match_indices(domain).any(|(place, _)| {
            let (before, rest) = agent.split_at(place);
            let behind = rest.strip_prefix(domain).unwrap_or_default();
            let is_end = !behind
                .starts_with(|letter: char| letter.is_alphanumeric() || "_-.".contains(letter));
            let label = before
                .rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
                .next()
                .unwrap_or_default();
            let is_name = label.len() > 1
                && label.chars().rev().skip(1).any(|letter| letter.is_ascii_alphabetic());
            is_end && is_name
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_phones_are_no_bots() {
        for model in ["CUBOT X30", "Power Bot", "Discovery SE", "Seoul S8", "C9+ robot (2)"] {
            let agent = format!(
                "Mozilla/5.0 (Linux; Android 9; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
            );
            assert_eq!(kind(&agent.to_lowercase()), None, "{model}");
        }
        let bot = "mozilla/5.0 (linux; android 9; cubot x30) applewebkit/537.36 (compatible; examplebot/2.1)";
        assert_eq!(kind(bot), Some("crawler"));
        assert_eq!(kind("mozilla/5.0 (linux; android 9; never closed"), None);
    }

    #[test]
    fn hosts_tell_bots_and_packages_do_not() {
        assert!(names_host("chrome/126.0 example-tool.io/2"));
        assert!(names_host("(+devin.ai)"));
        for agent in ["com.example.app", "asp .net clr", "tool/1.2.3.ai", "a.community", ".com"] {
            assert!(!names_host(agent), "{agent}");
        }
    }

    #[test]
    fn what_is_compatible_with_a_browser_is_one() {
        assert!(is_compatible_with_nothing("mozilla/5.0 (compatible; anything/1.0)"));
        assert!(!is_compatible_with_nothing("mozilla/5.0 (compatible; msie 10.0; windows nt 6.2)"));
        assert!(!is_compatible_with_nothing("mozilla/5.0 (compatible;"));
    }
}
