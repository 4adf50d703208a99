//! What users browse with: device, system, browser and the matching user agent.
//!
//! Owns the table of profiles. Invariant: the four fields of a record always agree with each
//! other, and each profile is written out once, at the start, not once per record.

use super::dice::Deck;
use super::text::{push_field, push_string};

/// One way of browsing: its weight in percent, device, system, browser, and how the user agent
/// describes the machine.
type Profile = (usize, &'static str, &'static str, &'static str, &'static str);

const WINDOWS: &str = "Windows NT 10.0; Win64; x64";
const TOUCH: &str = "Windows NT 10.0; Win64; x64; Touch";
const MAC: &str = "Macintosh; Intel Mac OS X 10_15_7";
const LINUX: &str = "X11; Linux x86_64";
const IPHONE: &str = "iPhone; CPU iPhone OS 18_5 like Mac OS X";
const IPAD: &str = "iPad; CPU OS 18_5 like Mac OS X";
/// What Android browsers have come to say of every device, to give nothing away.
const ANDROID: &str = "Linux; Android 10; K";
const GALAXY: &str = "Linux; Android 13; SM-S911B";

/// All profiles.
const PROFILES: [Profile; 28] = [
    (12, "desktop", "Windows 10", "Chrome", WINDOWS),
    (9, "desktop", "Windows 11", "Chrome", WINDOWS),
    (5, "desktop", "Windows 10", "Edge", WINDOWS),
    (4, "desktop", "Windows 11", "Edge", WINDOWS),
    (5, "desktop", "Windows 10", "Firefox", WINDOWS),
    (2, "desktop", "Windows 11", "Firefox", WINDOWS),
    (1, "desktop", "Windows 10", "Opera", WINDOWS),
    (1, "desktop", "Windows 11", "Opera", WINDOWS),
    (5, "desktop", "macOS", "Safari", MAC),
    (4, "desktop", "macOS", "Chrome", MAC),
    (1, "desktop", "macOS", "Firefox", MAC),
    (1, "desktop", "macOS", "Edge", MAC),
    (1, "desktop", "Linux", "Chrome", LINUX),
    (2, "desktop", "Linux", "Firefox", LINUX),
    (12, "mobile", "iOS", "Safari", IPHONE),
    (3, "mobile", "iOS", "Chrome", IPHONE),
    (1, "mobile", "iOS", "Firefox", IPHONE),
    (14, "mobile", "Android", "Chrome", ANDROID),
    (4, "mobile", "Android", "Chrome", GALAXY),
    (1, "mobile", "Android", "Firefox", "Android 14; Mobile"),
    (1, "mobile", "Android", "Edge", GALAXY),
    (1, "mobile", "Android", "Opera", ANDROID),
    (4, "tablet", "iOS", "Safari", IPAD),
    (1, "tablet", "iOS", "Chrome", IPAD),
    (2, "tablet", "Android", "Chrome", ANDROID),
    (1, "tablet", "Android", "Firefox", "Android 13; Tablet"),
    (1, "tablet", "Windows 10", "Chrome", TOUCH),
    (1, "tablet", "Windows 11", "Edge", TOUCH),
];

/// The version of the browser Opera is built on, which its user agent names too.
const OPERA_BASE: &str = "135";

/// The versions of a browser in use, all alike.
fn versions(browser: &str) -> [&'static str; 3] {
    match browser {
        "Safari" => ["18.3", "18.4", "18.5"],
        "Firefox" => ["128", "139", "140"],
        "Opera" => ["118", "119", "120"],
        _ => ["136", "137", "138"],
    }
}

/// The user agent of a profile in one version.
fn user_agent(profile: &Profile, version: &str) -> String {
    let (_, device, os, browser, machine) = *profile;
    let phone = if device == "mobile" { "Mobile " } else { "" };
    let chromium = |base: &str| {
        let engine = "AppleWebKit/537.36 (KHTML, like Gecko)";
        format!("Mozilla/5.0 ({machine}) {engine} Chrome/{base}.0.0.0 {phone}Safari/537.36")
    };
    let webkit = format!("Mozilla/5.0 ({machine}) AppleWebKit/605.1.15 (KHTML, like Gecko)");
    match (browser, os) {
        ("Safari", "macOS") => format!("{webkit} Version/{version} Safari/605.1.15"),
        ("Safari", _) => format!("{webkit} Version/{version} Mobile/15E148 Safari/604.1"),
        ("Chrome", "iOS") => {
            format!("{webkit} CriOS/{version}.0.7204.80 Mobile/15E148 Safari/604.1")
        }
        ("Firefox", "iOS") => format!("{webkit} FxiOS/{version}.0 Mobile/15E148 Safari/605.1.15"),
        ("Firefox", "Android") => {
            let gecko = format!("Gecko/{version}.0 Firefox/{version}.0");
            format!("Mozilla/5.0 ({machine}; rv:{version}.0) {gecko}")
        }
        ("Firefox", _) => {
            format!("Mozilla/5.0 ({machine}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0")
        }
        ("Edge", "Android") => format!("{} EdgA/{version}.0.0.0", chromium(version)),
        ("Edge", _) => format!("{} Edg/{version}.0.0.0", chromium(version)),
        ("Opera", _) => format!("{} OPR/{version}.0.0.0", chromium(OPERA_BASE)),
        _ => chromium(version),
    }
}

/// All profiles, written out as the four fields of a session.
pub(super) struct Agents {
    fragments: Vec<Vec<u8>>,
    deck: Deck<usize>,
}

impl Agents {
    /// Writes every profile in every version out.
    pub(super) fn new() -> Self {
        let mut fragments = Vec::new();
        let mut weighted = Vec::new();
        for profile in &PROFILES {
            let (weight, _, _, browser, _) = *profile;
            for version in versions(browser) {
                weighted.push((weight, fragments.len()));
                fragments.push(fragment(profile, version));
            }
        }
        Self { fragments, deck: Deck::new(&weighted) }
    }

    /// The fields `user_agent` to `browser`, without a comma around them, of the user with this
    /// habit: the same user comes back with the same browser.
    pub(super) fn of_habit(&self, habit: u64) -> &[u8] {
        self.fragments.get(self.deck.at(habit)).map_or(&[], Vec::as_slice)
    }
}

/// One profile in one version.
fn fragment(profile: &Profile, version: &str) -> Vec<u8> {
    let (_, device, os, browser, _) = *profile;
    let mut out = b"\"user_agent\":".to_vec();
    push_string(&user_agent(profile, version), &mut out);
    push_field("device_type", device, &mut out);
    push_field("os", os, &mut out);
    push_field("browser", browser, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_percent() {
        assert_eq!(PROFILES.iter().map(|profile| profile.0).sum::<usize>(), 100);
    }

    #[test]
    fn a_habit_keeps_its_agent() {
        let agents = Agents::new();
        assert_eq!(agents.of_habit(12), agents.of_habit(12));
        let first = agents.of_habit(0);
        assert!(first.starts_with(b"\"user_agent\":\"Mozilla/5.0 (Windows NT 10.0; Win64; x64) "));
        assert!(first.ends_with(
            b"\"device_type\":\"desktop\",\"os\":\"Windows 10\",\"browser\":\"Chrome\""
        ));
    }
}
