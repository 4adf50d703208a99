//! `url_parts(url)`: what an address says.
//!
//! In: a URL; one without its scheme, as `shop.example/p?x=1`, `//shop.example/p` or `localhost:8080`; or
//! one without a host too, as `/page?x=1`. Out: STRUCT(host, path, query, fragment, utm_source, utm_medium,
//! utm_campaign, click_id, click_network) of texts, by the rules of the WHATWG URL Standard: the host in
//! lower case, parameters percent-decoded with `+` as a blank. NULL for a text that is no URL; a part that
//! is not there is NULL too.
//!
//! Names of parameters count in any case. Of a repeated one the first that is not empty wins. A `click_id`
//! is what advertising networks add (`CLICK_IDS`); of several, the first that is not empty.
//!
//! A text without a scheme has a host if it begins with `www.`, with an IP address, `localhost`, or a name
//! below a public suffix or one that is reserved for tests and own networks: `index.html?x=1` is a page.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use url::{Host, ParseError, Url};

use super::texts;

const PARTS: [&str; 9] = [
    "host",
    "path",
    "query",
    "fragment",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "click_id",
    "click_network",
];

/// Parameters that advertising networks add, and whose they are.
const CLICK_IDS: [(&str, &str); 14] = [
    ("gclid", "google"),
    ("gbraid", "google"),
    ("wbraid", "google"),
    ("dclid", "google"),
    ("msclkid", "bing"),
    ("fbclid", "facebook"),
    ("ttclid", "tiktok"),
    ("twclid", "twitter"),
    ("li_fat_id", "linkedin"),
    ("yclid", "yandex"),
    ("epik", "pinterest"),
    ("sccid", "snapchat"),
    ("rdt_cid", "reddit"),
    ("qclid", "quora"),
];

/// Last labels of names that are in no list of public suffixes: RFC 2606 and 6761, and those that own
/// networks use.
const RESERVED: [&str; 9] =
    ["example", "test", "invalid", "localhost", "local", "internal", "intranet", "lan", "corp"];

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct UrlParts {
    signature: Signature,
}

impl UrlParts {
    pub(super) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UrlParts {
    fn name(&self) -> &str {
        "url_parts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(texts::fields(PARTS)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        Ok(ColumnarValue::Array(texts::structs(&arrays, PARTS, parts)?))
    }
}

/// What an address says that matters for the way by which somebody came.
#[derive(Clone, Debug, Default)]
pub(super) struct Campaign {
    pub(super) source: Option<String>,
    pub(super) medium: Option<String>,
    pub(super) name: Option<String>,
    /// The click id and the network that gave it.
    pub(super) click: Option<(String, &'static str)>,
}

impl Campaign {
    pub(super) fn of(url: &Url) -> Self {
        let mut campaign = Self::default();
        for (key, value) in url.query_pairs() {
            let place = match Parameter::of(&key) {
                Some(Parameter::Source) => &mut campaign.source,
                Some(Parameter::Medium) => &mut campaign.medium,
                Some(Parameter::Name) => &mut campaign.name,
                Some(Parameter::ClickId(network)) => {
                    if campaign.click.is_none() && !value.is_empty() {
                        campaign.click = Some((value.into_owned(), network));
                    }
                    continue;
                }
                None => continue,
            };
            if place.as_deref().is_none_or(str::is_empty) {
                *place = Some(value.into_owned());
            }
        }
        campaign
    }
}

/// A parameter that says something about a campaign.
#[derive(Clone, Copy, Debug)]
enum Parameter {
    Source,
    Medium,
    Name,
    ClickId(&'static str),
}

impl Parameter {
    fn of(key: &str) -> Option<Self> {
        // Of an address that was copied from the source of a page.
        let key = key.strip_prefix("amp;").unwrap_or(key);
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        if is("utm_source") {
            Some(Self::Source)
        } else if is("utm_medium") {
            Some(Self::Medium)
        } else if is("utm_campaign") {
            Some(Self::Name)
        } else {
            let (_, network) = CLICK_IDS.iter().find(|(name, _)| key.eq_ignore_ascii_case(name))?;
            Some(Self::ClickId(network))
        }
    }
}

/// Whether an address may say something about a campaign.
pub(super) fn may_tell(address: &str) -> bool {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| {
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        // `utm%5Fsource` is decoded later.
        key.contains('%') || Parameter::of(key).is_some()
    })
}

/// Reads `text`; the flag says whether it has a host.
pub(super) fn parse(text: &str) -> Option<(Url, bool)> {
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) if is_port(&url) => with_host(text).or(Some((url, false))),
        Ok(url) => {
            let has_host = url.host_str().is_some();
            Some((url, has_host))
        }
        Err(ParseError::RelativeUrlWithoutBase) if text.starts_with("//") => {
            Some((Url::parse(&format!("https:{text}")).ok()?, true))
        }
        Err(ParseError::RelativeUrlWithoutBase) if begins_with_path(text) => {
            Some((without_host(text)?, false))
        }
        Err(ParseError::RelativeUrlWithoutBase) => with_host(text).or_else(|| {
            let (_, query) = text.split_once('?')?;
            let is_query = query.contains('=') && !text.contains(char::is_whitespace);
            Some((without_host(text).filter(|_| is_query)?, false))
        }),
        Err(_) => None,
    }
}

fn begins_with_path(text: &str) -> bool {
    ["/", "?", "#", "./", "../"].iter().any(|beginning| text.starts_with(beginning))
}

/// Whether what was taken for a scheme is a host and the rest begins with its port, as in
/// `shop.example:8080/p`.
fn is_port(url: &Url) -> bool {
    let port = url.path().split('/').next().unwrap_or_default();
    (url.scheme().contains('.') || url.scheme() == "localhost")
        && url.host_str().is_none()
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text that begins with a host.
fn with_host(text: &str) -> Option<(Url, bool)> {
    let url = Url::parse(&format!("https://{text}")).ok()?;
    let is_host = match url.host()? {
        Host::Domain(name) => is_name_of_host(name),
        // Any number would be read as an address.
        Host::Ipv4(address) => text.starts_with(&address.to_string()),
        Host::Ipv6(_) => true,
    };
    let is_mail = !url.username().is_empty() || url.password().is_some();
    (is_host && !is_mail).then_some((url, true))
}

fn is_name_of_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some((below, last)) = name.rsplit_once('.') else { return name == "localhost" };
    let is_public = || {
        psl::suffix(name.as_bytes())
            .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() < name.len())
    };
    !below.is_empty() && (name.starts_with("www.") || RESERVED.contains(&last) || is_public())
}

/// A text that has neither scheme nor host.
fn without_host(text: &str) -> Option<Url> {
    // What is relative needs some base, which is then left out again.
    const BASE: &str = "http://relative.invalid/";
    Url::parse(BASE).ok()?.join(text).ok()
}

fn parts(text: &str) -> Option<[Option<String>; 9]> {
    let (url, has_host) = parse(text)?;
    let Campaign { source, medium, name, click } = Campaign::of(&url);
    let (id, network) = click.unzip();
    let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let host = url.host_str().filter(|_| has_host);
    Some([
        owned(host),
        owned(Some(url.path())),
        owned(url.query()),
        owned(url.fragment()),
        source,
        medium,
        name,
        id,
        network.map(str::to_owned),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Option<Vec<String>> {
        let parts = parts(text)?;
        let named =
            PARTS.iter().zip(parts).filter_map(|(name, part)| Some(format!("{name}={}", part?)));
        Some(named.collect())
    }

    #[test]
    fn parts_of_addresses() {
        let cases: [(&str, &[&str]); 6] = [
            (
                "https://Shop.Example:8443/p/1?a=b#top",
                &["host=shop.example", "path=/p/1", "query=a=b", "fragment=top"],
            ),
            (
                "/page?utm_source=a%20b+c&utm_source=x",
                &["path=/page", "query=utm_source=a%20b+c&utm_source=x", "utm_source=a b c"],
            ),
            (
                "https://x.example/?gclid=1&fbclid=2",
                &[
                    "host=x.example",
                    "path=/",
                    "query=gclid=1&fbclid=2",
                    "click_id=1",
                    "click_network=google",
                ],
            ),
            (
                "https://x.example?utm_medium=cpc&utm_campaign=",
                &[
                    "host=x.example",
                    "path=/",
                    "query=utm_medium=cpc&utm_campaign=",
                    "utm_medium=cpc",
                    "utm_campaign=",
                ],
            ),
            ("https://münchen.example/ü", &["host=xn--mnchen-3ya.example", "path=/%C3%BC"]),
            ("mailto:a@b.example", &["path=a@b.example"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(known(text).unwrap(), wanted, "{text}");
        }
        for text in ["", "home", "http://", "https://a b/", "//"] {
            assert_eq!(known(text), None, "{text}");
        }
    }
}
