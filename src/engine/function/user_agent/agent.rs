//! What a user agent says: device, system, browser, and whether a bot sent it.

use super::{bots, browsers};

/// No agent is longer; what is may be anything, and it is not read to its end.
const LONGEST: usize = 2048;

/// What one text says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) device_type: Option<&'static str>,
    pub(super) os: Option<&'static str>,
    pub(super) browser: Option<String>,
    pub(super) browser_version: Option<String>,
    pub(super) bot_reason: Option<&'static str>,
}

impl Agent {
    /// None for a text that says nothing known. An agent that is missing, or that stands for a missing
    /// one, is no bot by that: claims may come without one. Of a text without an end it takes the
    /// [`start`].
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if super::names::is_nothing(text) {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        let bot_reason = bots::kind(&lower);
        let os = system(&lower);
        let named = match bot_reason {
            None => browsers::browser(text, &lower),
            Some(_) => browsers::bot(text, &lower),
        };
        let device_type = match bot_reason {
            None => device(&lower, os, named.is_some()),
            Some(_) => Some("bot"),
        };
        let (browser, browser_version) = named.unzip();
        let agent = Self {
            device_type,
            os,
            browser,
            browser_version: browser_version.flatten(),
            bot_reason,
        };
        (agent != Self::default()).then_some(agent)
    }
}

/// As much of a text as is read.
pub(super) fn start(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Words of systems in user agents; the first that is found counts, so that what a system pretends to be
/// comes after it.
const SYSTEMS: [(&str, &str); 55] = [
    ("windows phone", "Windows Phone"),
    ("iemobile", "Windows Phone"),
    ("windows mobile", "Windows Phone"),
    ("windows ce", "Windows Phone"),
    ("xbox", "Xbox"),
    ("playstation", "PlayStation"),
    ("nintendo", "Nintendo"),
    ("harmonyos", "HarmonyOS"),
    ("openharmony", "HarmonyOS"),
    ("kaios", "KaiOS"),
    ("tizen", "Tizen"),
    ("web0s", "webOS"),
    ("webos", "webOS"),
    ("hpwos", "webOS"),
    ("roku", "Roku OS"),
    ("apple tv", "tvOS"),
    ("appletv", "tvOS"),
    ("tvos", "tvOS"),
    ("watchos", "watchOS"),
    ("apple watch", "watchOS"),
    ("visionos", "visionOS"),
    ("iphone", "iOS"),
    ("ipad", "iOS"),
    ("ipod", "iOS"),
    (" ios ", "iOS"),
    (" ios/", "iOS"),
    ("(ios ", "iOS"),
    ("cros ", "ChromeOS"),
    ("android", "Android"),
    ("andr0id", "Android"),
    ("dalvik", "Android"),
    ("blackberry", "BlackBerry"),
    ("bb10", "BlackBerry"),
    ("playbook", "BlackBerry"),
    ("symbian", "Symbian"),
    ("series60", "Symbian"),
    ("series 60", "Symbian"),
    ("s60/", "Symbian"),
    ("windows", "Windows"),
    ("win64", "Windows"),
    ("win32", "Windows"),
    ("win98", "Windows"),
    ("win95", "Windows"),
    ("winnt", "Windows"),
    ("mac os", "macOS"),
    ("macos", "macOS"),
    ("macintosh", "macOS"),
    ("mac_powerpc", "macOS"),
    ("freebsd", "FreeBSD"),
    ("openbsd", "OpenBSD"),
    ("netbsd", "NetBSD"),
    ("sunos", "Solaris"),
    ("fuchsia", "Fuchsia"),
    ("linux", "Linux"),
    ("x11;", "Linux"),
];

/// The system of an agent in lower case, by the names of `system_name`.
fn system(agent: &str) -> Option<&'static str> {
    let found = SYSTEMS.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    // The library that apps of all of Apple's systems use names none.
    let is_mac = || ["x86_64", "mac"].iter().any(|word| agent.contains(word));
    found.or_else(|| agent.contains("cfnetwork").then(|| if is_mac() { "macOS" } else { "iOS" }))
}

const TELEVISIONS: [&str; 18] = [
    "hbbtv",
    "smart-tv",
    "smarttv",
    "smart tv",
    "appletv",
    "apple tv",
    "googletv",
    "google tv",
    "android tv",
    "bravia",
    "crkey",
    "netcast",
    "web0s",
    "viera",
    "; aft",
    "dtv",
    "mitv",
    " tv ",
];
const TABLETS: [&str; 6] = ["ipad", "tablet;", "tablet ", "playbook", "kindle", "tablet)"];
const PHONES: [&str; 11] = [
    "mobi",
    "ipod",
    "phone",
    "opera mini",
    "symbian",
    "midp",
    "nokia",
    "ucweb",
    "series60",
    "docomo",
    "up.browser",
];

/// The kind of device, by the names of `device_name`.
fn device(agent: &str, os: Option<&str>, is_browser: bool) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    Some(match os {
        Some("Xbox" | "PlayStation" | "Nintendo") => "console",
        Some("tvOS" | "Roku OS") => "tv",
        Some("watchOS") => "wearable",
        _ if has(&TELEVISIONS) => "tv",
        // Windows says of a computer with a touch screen that it is a tablet.
        Some("Windows") => "desktop",
        _ if has(&TABLETS) => "tablet",
        Some("Android") if agent.contains("silk/") && !agent.contains("mobile") => "tablet",
        _ if has(&PHONES) => "mobile",
        // Of Android's browsers only those of phones say that they are mobile.
        Some("Android" | "HarmonyOS") => {
            if agent.contains("dalvik") {
                "mobile"
            } else {
                "tablet"
            }
        }
        Some("iOS" | "Windows Phone" | "BlackBerry" | "Symbian" | "KaiOS") => "mobile",
        Some("macOS" | "Linux" | "ChromeOS" | "FreeBSD" | "OpenBSD" | "NetBSD" | "Solaris") => {
            "desktop"
        }
        Some(_) => "other",
        None if is_browser => "other",
        None => return None,
    })
}
