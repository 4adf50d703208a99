//! `system_name(text)`, `browser_name(text)`, `device_name(text)`: one name for what sources call by many.
//!
//! In: what somebody claims to be a system, a browser or a kind of device. Out: the name that
//! `user_agent` gives too, as `iOS` for `iPhone`, `macOS` for `MacIntel`, `Windows` for `Windows 10` and
//! `Win32`. A claim that nobody knows stays as it is, without blanks around; NULL where nothing is said.

use std::sync::LazyLock;

use arrow::array::{AsArray as _, StringViewArray};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::{HashMap, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::engine::function::texts;

/// What browsers and apps write into user agents, and their names, in the order of the file: the first
/// that is found counts.
pub(super) static NAMED: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| super::rows(include_str!("browsers.csv")));

/// One of the three functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::engine::function) struct NameOf {
    signature: Signature,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    System,
    Browser,
    Device,
}

impl NameOf {
    pub(in crate::engine::function) fn system() -> Self {
        Self::new(Kind::System)
    }

    pub(in crate::engine::function) fn browser() -> Self {
        Self::new(Kind::Browser)
    }

    pub(in crate::engine::function) fn device() -> Self {
        Self::new(Kind::Device)
    }

    fn new(kind: Kind) -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable), kind }
    }
}

impl ScalarUDFImpl for NameOf {
    fn name(&self) -> &str {
        match self.kind {
            Kind::System => "system_name",
            Kind::Browser => "browser_name",
            Kind::Device => "device_name",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [texts] = arrays.as_slice() else {
            return exec_err!("{} takes one text", self.name());
        };
        let texts = cast(texts, &DataType::Utf8View)?;
        let name = match self.kind {
            Kind::System => system,
            Kind::Browser => browser,
            Kind::Device => device,
        };
        let (claims, places) = texts::distinct(texts.as_string_view());
        let names: StringViewArray =
            claims.into_iter().map(|claim| (!is_nothing(claim)).then(|| name(claim))).collect();
        Ok(ColumnarValue::Array(take(&names, &places, None)?))
    }
}

/// Whether a text is what sources write for nothing.
pub(super) fn is_nothing(text: &str) -> bool {
    const NOTHING: [&str; 11] = [
        "",
        "-",
        "null",
        "undefined",
        "none",
        "(none)",
        "(not set)",
        "not set",
        "unknown",
        "n/a",
        "nan",
    ];
    let text = text.trim();
    NOTHING.iter().any(|nothing| text.eq_ignore_ascii_case(nothing))
}

/// What systems are called, in lower case: the whole claim, or its start with no letter behind it.
const SYSTEMS: [(&str, &str); 62] = [
    ("windows phone", "Windows Phone"),
    ("windows mobile", "Windows Phone"),
    ("windows ce", "Windows Phone"),
    ("wince", "Windows Phone"),
    ("windows", "Windows"),
    ("microsoft windows", "Windows"),
    ("win", "Windows"),
    ("winnt", "Windows"),
    ("ios", "iOS"),
    ("iphone", "iOS"),
    ("ipados", "iOS"),
    ("ipad", "iOS"),
    ("ipod", "iOS"),
    ("macos", "macOS"),
    ("mac", "macOS"),
    ("os x", "macOS"),
    ("osx", "macOS"),
    ("macintosh", "macOS"),
    ("macintel", "macOS"),
    ("macppc", "macOS"),
    ("intel mac os x", "macOS"),
    ("android", "Android"),
    ("linux armv", "Android"),
    ("linux aarch64", "Android"),
    ("linux android", "Android"),
    ("fire os", "Android"),
    ("fireos", "Android"),
    ("chromeos", "ChromeOS"),
    ("chrome os", "ChromeOS"),
    ("chromium os", "ChromeOS"),
    ("chrome_os", "ChromeOS"),
    ("cros", "ChromeOS"),
    ("linux", "Linux"),
    ("gnu/linux", "Linux"),
    ("x11", "Linux"),
    ("ubuntu", "Linux"),
    ("debian", "Linux"),
    ("fedora", "Linux"),
    ("centos", "Linux"),
    ("red hat", "Linux"),
    ("arch linux", "Linux"),
    ("opensuse", "Linux"),
    ("suse", "Linux"),
    ("harmonyos", "HarmonyOS"),
    ("openharmony", "HarmonyOS"),
    ("kaios", "KaiOS"),
    ("tizen", "Tizen"),
    ("webos", "webOS"),
    ("web0s", "webOS"),
    ("tvos", "tvOS"),
    ("apple tv", "tvOS"),
    ("watchos", "watchOS"),
    ("visionos", "visionOS"),
    ("roku", "Roku OS"),
    ("blackberry", "BlackBerry"),
    ("symbian", "Symbian"),
    ("playstation", "PlayStation"),
    ("nintendo", "Nintendo"),
    ("xbox", "Xbox"),
    ("freebsd", "FreeBSD"),
    ("openbsd", "OpenBSD"),
    ("netbsd", "NetBSD"),
];

fn system(claim: &str) -> String {
    let claim = claim.trim();
    let lower = claim.to_ascii_lowercase();
    let is_it = |word: &str| {
        lower.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    // Of those that begin alike, the longest.
    let found = SYSTEMS.iter().filter(|(word, _)| is_it(word)).max_by_key(|(word, _)| word.len());
    found.map_or(claim, |(_, name)| name).to_owned()
}

/// Browsers that our list does not know by these words, in lower case and without blanks and signs.
const BROWSERS: [(&str, &str); 31] = [
    ("googlechrome", "Chrome"),
    ("chromewebview", "Android WebView"),
    ("chromemobilewebview", "Android WebView"),
    ("androidwebview", "Android WebView"),
    ("webview", "Android WebView"),
    ("android", "Android Browser"),
    ("androidbrowser", "Android Browser"),
    ("headlesschrome", "HeadlessChrome"),
    ("safari", "Safari"),
    ("applesafari", "Safari"),
    ("safariinapp", "Safari (in-app)"),
    ("mobilesafariui", "Safari (in-app)"),
    ("safariui", "Safari (in-app)"),
    ("iossafari", "Safari"),
    ("wkwebview", "Safari (in-app)"),
    ("mozillafirefox", "Firefox"),
    ("mozilla", "Firefox"),
    ("microsoftedge", "Edge"),
    ("msedge", "Edge"),
    ("edgechromium", "Edge"),
    ("edgelegacy", "Edge"),
    ("microsoftinternetexplorer", "Internet Explorer"),
    ("ie", "Internet Explorer"),
    ("operanext", "Opera"),
    ("samsung", "Samsung Internet"),
    ("amazonsilk", "Silk"),
    ("uc", "UC Browser"),
    ("miui", "Mi Browser"),
    ("twitter", "X"),
    ("huawei", "Huawei Browser"),
    ("duckduckgoprivacybrowser", "DuckDuckGo"),
];

/// Of these a name may be freed: they say where a browser runs and not which it is.
const BESIDES: [&str; 7] =
    ["foriphone", "forandroid", "forios", "mobile", "android", "ios", "desktop"];

/// Names by what they are called, as [`key_of`] writes it; of one that stands twice the first counts.
static BY_KEY: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let themselves = NAMED.iter().map(|(_, name)| (*name, *name));
    for (word, name) in BROWSERS.into_iter().chain(themselves).chain(NAMED.iter().copied()) {
        names.entry(key_of(word)).or_insert(name);
    }
    names
});

pub(super) fn browser(claim: &str) -> String {
    let claim = claim.trim();
    let whole = key_of(claim);
    let mut key = whole.as_str();
    for _ in 0..=BESIDES.len() {
        if let Some(name) = BY_KEY.get(key) {
            return (*name).to_owned();
        }
        let shorter = BESIDES.iter().find_map(|word| {
            key.strip_suffix(word).or_else(|| key.strip_prefix(word)).filter(|it| !it.is_empty())
        });
        match shorter {
            Some(shorter) => key = shorter,
            None => break,
        }
    }
    claim.to_owned()
}

/// A claim in lower case, without blanks and signs, and without the version at its end.
fn key_of(claim: &str) -> String {
    let name = claim.split('/').next().unwrap_or(claim);
    let name =
        name.trim_end_matches(|letter: char| letter.is_ascii_digit() || ". ".contains(letter));
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn device(claim: &str) -> String {
    let claim = claim.trim();
    let lower = claim.to_ascii_lowercase();
    let name = match lower.replace(['-', '_', ' '], "").as_str() {
        "desktop" | "pc" | "computer" | "laptop" | "notebook" | "desktopcomputer" => "desktop",
        "mobile" | "phone" | "smartphone" | "mobilephone" | "cellphone" | "featurephone"
        | "phablet" | "handset" | "iphone" | "mobiledevice" => "mobile",
        "tablet" | "ipad" | "tab" | "tabletpc" => "tablet",
        "tv" | "smarttv" | "television" | "connectedtv" | "ctv" | "ott" | "settopbox" => "tv",
        "console" | "gameconsole" | "gamingconsole" | "gamesconsole" => "console",
        "wearable" | "watch" | "smartwatch" => "wearable",
        "bot" | "robot" | "crawler" | "spider" => "bot",
        "other" => "other",
        _ => claim,
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_are_called(called: fn(&str) -> String, cases: &[(&str, &str)]) {
        for (name, claims) in cases {
            for claim in claims.split('|') {
                assert_eq!(called(claim), *name, "{claim}");
            }
        }
    }

    #[test]
    fn systems_have_one_name() {
        let cases = [
            ("Windows", "Windows 10|Windows 11|Win32|Win64|WinNT|windows10|Microsoft Windows"),
            ("macOS", "MacIntel|MacPPC|Mac OS X|Mac OS X 10.15|macOS 14.5|OSX|mac|Mac OS"),
            ("iOS", "iPhone|iPad|iPod|iOS|ios 17.5|iPhone OS 17|iPadOS 17"),
            ("Android", "Android|android 14|Linux armv8l|Linux armv7l|Linux aarch64|Fire OS"),
            ("Linux", "Linux|Linux x86_64|Ubuntu|ubuntu 22.04|X11|Fedora"),
            ("ChromeOS", "CrOS|Chrome OS|ChromeOS|cros x86_64"),
        ];
        all_are_called(system, &cases);
        for claim in ["Winamp", "Macaroni", "iosif", "TempleOS"] {
            assert_eq!(system(&format!(" {claim} ")), claim);
        }
    }

    #[test]
    fn browsers_have_one_name() {
        let cases = [
            (
                "Chrome",
                "Chrome|chrome|Google Chrome|Chrome Mobile|Chrome Mobile iOS|Chrome 126.0|CHROME/126",
            ),
            ("Safari", "Safari|Mobile Safari|safari 17.5|iOS Safari"),
            ("Edge", "Edge|Microsoft Edge|Edge Mobile|MS Edge"),
            ("Firefox", "Firefox|Firefox Mobile|Firefox for iOS|Mozilla Firefox|firefox 128"),
            ("Internet Explorer", "IE|MSIE 9.0|Internet Explorer 11|internet-explorer"),
            ("Samsung Internet", "Samsung Internet|Samsung Browser|samsung internet for Android"),
            ("UC Browser", "UC Browser|UCBrowser|uc"),
            ("Instagram", "instagram|Instagram"),
            ("Android WebView", "Android Webview|Chrome Mobile WebView|Chrome WebView"),
        ];
        all_are_called(browser, &cases);
        assert_eq!(browser(" Some Browser 2 "), "Some Browser 2");
    }

    #[test]
    fn devices_have_one_name() {
        let cases = [
            ("desktop", "Desktop|PC|laptop"),
            ("mobile", "Mobile|smartphone|Mobile Phone"),
            ("tablet", "Tablet|iPad"),
            ("tv", "Smart TV|smarttv|TV|smart-tv"),
        ];
        all_are_called(device, &cases);
        assert_eq!(device(" Fridge "), "Fridge");
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "  ", "-", "NULL", "(not set)", "Unknown"] {
            assert!(is_nothing(text), "{text}");
        }
        assert!(!is_nothing("other"));
    }
}
