//! `url_parts(url)`: what an address says.
//!
//! In: a URL, or one without host as `/page?x=1`. Out: STRUCT(host, path, query, fragment, utm_source,
//! utm_medium, utm_campaign, click_id, click_network) of texts, by the rules of the WHATWG URL Standard:
//! the host in lower case, parameters percent-decoded with `+` as a blank, of a repeated one the first.
//! A `click_id` is what advertising networks add (`gclid`, `gbraid` and `wbraid` of google, `msclkid` of
//! bing, `fbclid` of facebook). NULL for a text that is no URL; a part that is not there is NULL too.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use url::Url;

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
const CLICK_IDS: [(&str, &str); 5] = [
    ("gclid", "google"),
    ("gbraid", "google"),
    ("wbraid", "google"),
    ("msclkid", "bing"),
    ("fbclid", "facebook"),
];

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
            let place = match &*key {
                "utm_source" => &mut campaign.source,
                "utm_medium" => &mut campaign.medium,
                "utm_campaign" => &mut campaign.name,
                key => {
                    let network = CLICK_IDS.iter().find(|(name, _)| *name == key);
                    if let (Some((_, network)), None, false) =
                        (network, &campaign.click, value.is_empty())
                    {
                        campaign.click = Some((value.into_owned(), network));
                    }
                    continue;
                }
            };
            place.get_or_insert_with(|| value.into_owned());
        }
        campaign
    }
}

/// Reads `text`; the flag says whether it has a host.
pub(super) fn parse(text: &str) -> Option<(Url, bool)> {
    // What is relative needs some base, which is then left out again.
    const BASE: &str = "http://relative.invalid/";
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) => {
            let has_host = url.host_str().is_some();
            Some((url, has_host))
        }
        Err(url::ParseError::RelativeUrlWithoutBase)
            if text.starts_with(['/', '?', '#']) && !text.starts_with("//") =>
        {
            Some((Url::parse(BASE).ok()?.join(text).ok()?, false))
        }
        Err(_) => None,
    }
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
        for text in ["", "home", "http://", "https://a b/", "//host/x"] {
            assert_eq!(known(text), None, "{text}");
        }
    }
}
