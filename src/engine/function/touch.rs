//! `touch(source, medium, campaign, referrer, url)` and `channel(source, medium, campaign, referrer)`:
//! the way that led a visitor here.
//!
//! In: texts as they were claimed; the URL of the page that was landed on may be left out. Out of
//! `touch`: STRUCT(source, medium, campaign, click_id, channel) of texts; out of `channel`: the channel
//! alone. Never NULL, but its parts are where nothing is said.
//!
//! Claims are brought to one form: NFKC, lower case, no blanks around and one between, and NULL for what
//! means nothing (`null`, `undefined`, `(none)`, `(not set)`). What is missing is taken from the URL's
//! `utm_…` parameters, then from its click id (google and bing: `cpc`), and when neither source nor
//! medium is there, from the referrer: the site's name, and `organic`, `social` or `referral`. Names of
//! one site are brought to one. Which channel that makes is for the rules of the project to say
//! ([`Channels`]), `Unassigned` where none matches.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, StringViewArray, StringViewBuilder, StructArray,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

use crate::project::{Channels, Claim, Site};

use super::texts;
use super::url_parts::{self, Campaign};

const PARTS: [&str; 5] = ["source", "medium", "campaign", "click_id", "channel"];
/// Different claims that are remembered: few are made by many, and these are found again.
const REMEMBERED: usize = 1 << 16;

type Touched = Arc<[Option<String>; 5]>;

#[derive(Debug)]
pub(super) struct Touch {
    signature: Signature,
    channels: Arc<Channels>,
    /// Whether all parts are wanted, and not the channel alone.
    is_whole: bool,
    known: RwLock<HashMap<String, Touched>>,
}

impl Touch {
    pub(super) fn whole(channels: &Arc<Channels>) -> Self {
        Self::new(channels, true)
    }

    pub(super) fn channel(channels: &Arc<Channels>) -> Self {
        Self::new(channels, false)
    }

    fn new(channels: &Arc<Channels>, is_whole: bool) -> Self {
        let counts = vec![TypeSignature::String(4), TypeSignature::String(5)];
        Self {
            signature: Signature::one_of(counts, Volatility::Immutable),
            channels: Arc::clone(channels),
            is_whole,
            known: RwLock::default(),
        }
    }

    /// What `claim` comes to: from memory, if it was asked for before.
    fn of(&self, claim: [Option<&str>; 5], key: &mut String) -> Touched {
        key.clear();
        for text in claim {
            // With its length, so that no text can look like the end of another.
            let length = text.map_or_else(|| "-".to_owned(), |text| text.len().to_string());
            key.extend([length.as_str(), ":", text.unwrap_or_default()]);
        }
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(known);
        }
        let touched = Arc::new(touched(&self.channels, claim));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key.clone(), Arc::clone(&touched));
        touched
    }
}

impl PartialEq for Touch {
    fn eq(&self, other: &Self) -> bool {
        self.is_whole == other.is_whole && self.channels == other.channels
    }
}

impl Eq for Touch {}

impl std::hash::Hash for Touch {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.is_whole.hash(state);
        self.channels.hash(state);
    }
}

impl ScalarUDFImpl for Touch {
    fn name(&self) -> &str {
        if self.is_whole { "touch" } else { "channel" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(if self.is_whole { DataType::Struct(texts::fields(PARTS)) } else { DataType::Utf8View })
    }

    fn invoke_with_args(
        &self,
        arguments: ScalarFunctionArgs,
    ) -> datafusion::common::Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut columns = arrays
            .iter()
            .map(|array| Ok(cast(array, &DataType::Utf8View)?))
            .collect::<datafusion::common::Result<Vec<ArrayRef>>>()?;
        match columns.as_mut_slice() {
            [_, _, _, _] => {
                let rows = columns.first().map_or(0, |column| column.len());
                columns.push(new_null_array(&DataType::Utf8View, rows));
            }
            // Pages differ much more than what they say about campaigns.
            [.., url] => *url = Arc::new(with_campaign(url.as_string_view())),
            [] => {}
        }
        let [source, medium, campaign, referrer, url] = columns.as_slice() else {
            return exec_err!("{} takes source, medium, campaign, referrer and url", self.name());
        };
        let claims = [
            source.as_string_view(),
            medium.as_string_view(),
            campaign.as_string_view(),
            referrer.as_string_view(),
            url.as_string_view(),
        ];
        let mut hashes = vec![0; source.len()];
        create_hashes(&columns, &RandomState::with_seed(0), &mut hashes)?;
        let mut touched = Columns::new(self.is_whole);
        // For each hash the first row that made its claim.
        let mut firsts: HashMap<u64, (usize, Touched)> = HashMap::new();
        let mut key = String::new();
        for (row, hash) in hashes.into_iter().enumerate() {
            let first = firsts.get(&hash).filter(|(first, _)| claim_the_same(claims, *first, row));
            if let Some((_, known)) = first {
                touched.add(known);
                continue;
            }
            let claim = claims.map(|column| column.is_valid(row).then(|| column.value(row)));
            let found = self.of(claim, &mut key);
            touched.add(&found);
            firsts.insert(hash, (row, found));
        }
        Ok(ColumnarValue::Array(touched.finish()?))
    }
}

/// The URLs that say something about a campaign.
fn with_campaign(urls: &StringViewArray) -> StringViewArray {
    let may_tell = |url: &&str| url_parts::may_tell(url);
    urls.iter().map(|url| url.filter(may_tell)).collect()
}

fn claim_the_same(columns: [&StringViewArray; 5], left: usize, right: usize) -> bool {
    columns.iter().all(|column| {
        column.is_null(left) == column.is_null(right) && column.value(left) == column.value(right)
    })
}

/// The result under construction: all parts, or the last alone.
struct Columns(Vec<StringViewBuilder>);

impl Columns {
    fn new(is_whole: bool) -> Self {
        Self(
            (0..if is_whole { PARTS.len() } else { 1 }).map(|_| StringViewBuilder::new()).collect(),
        )
    }

    fn add(&mut self, touched: &[Option<String>; 5]) {
        let skipped = PARTS.len() - self.0.len();
        for (column, part) in self.0.iter_mut().zip(touched.iter().skip(skipped)) {
            column.append_option(part.as_deref());
        }
    }

    fn finish(mut self) -> datafusion::common::Result<ArrayRef> {
        if let [channel] = self.0.as_mut_slice() {
            return Ok(Arc::new(channel.finish()));
        }
        let columns = self.0.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        Ok(Arc::new(StructArray::try_new(texts::fields(PARTS), columns.collect(), None)?))
    }
}

/// Source, medium, campaign, click id and channel of a visit that claims `claim`: source, medium,
/// campaign, referrer and URL.
fn touched(channels: &Channels, claim: [Option<&str>; 5]) -> [Option<String>; 5] {
    let [source, medium, campaign, referrer, url] = claim;
    let url = url.and_then(url_parts::parse).map(|(url, _)| Campaign::of(&url)).unwrap_or_default();
    let either = |own: Option<&str>, of_url: Option<String>| {
        own.and_then(normal).or_else(|| of_url.as_deref().and_then(normal))
    };
    let said = either(source, url.source).filter(|source| !is_direct(source));
    let mut medium = either(medium, url.medium);
    let campaign = either(campaign, url.name);
    let referrer = referrer.and_then(normal).map(|text| Named::of(channels, &text));
    let referrer = referrer.filter(|named| !matches!(named.category(), "own" | "ignored"));
    let mut source = said.map(|said| Named::of(channels, &said));
    if let Some((_, network)) = url.click {
        let is_its = source.as_ref().is_none_or(|source| source.name == network);
        if is_its && medium.is_none() && network != "facebook" {
            medium = Some("cpc".to_owned());
        }
        source = source.or_else(|| Some(Named::of(channels, network)));
    }
    if source.is_none() && medium.is_none() {
        medium = referrer.as_ref().map(|named| match named.category() {
            "search" => "organic".to_owned(),
            "social" => "social".to_owned(),
            _ => "referral".to_owned(),
        });
        source.clone_from(&referrer);
    }
    let of_network = |network: &str| source.as_ref().is_some_and(|source| source.name == network);
    let claim = Claim {
        category: source.as_ref().map_or("", Named::category),
        source: source.as_ref().map_or("", |source| source.name.as_str()),
        medium: medium.as_deref().unwrap_or_default(),
        campaign: campaign.as_deref().unwrap_or_default(),
        referrer: referrer.as_ref().map_or("", |referrer| referrer.host.as_str()),
        is_paid: source.as_ref().is_some_and(|source| source.is_account)
            || url
                .click
                .as_ref()
                .is_some_and(|(_, network)| *network != "facebook" && of_network(network)),
    };
    let channel = channels.channel(&claim).unwrap_or("Unassigned").to_owned();
    let is_nothing = source.is_none() && medium.is_none();
    let source =
        source.map(|source| source.name).or_else(|| is_nothing.then(|| "(direct)".to_owned()));
    let medium = medium.or_else(|| is_nothing.then(|| "(none)".to_owned()));
    [source, medium, campaign, url.click.map(|(id, _)| id), Some(channel)]
}

fn is_direct(source: &str) -> bool {
    matches!(source, "direct" | "(direct)")
}

/// The text in its one form; None where it says nothing.
fn normal(text: &str) -> Option<String> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match text.as_str() {
        "" | "null" | "undefined" | "(none)" | "(not set)" => None,
        _ => Some(text),
    }
}

/// A source or referrer, and what it stands for.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    host: String,
    site: Option<Site>,
    /// Whether it is the name of an advertising account, as `fbads`.
    is_account: bool,
}

impl Named {
    fn of(channels: &Channels, text: &str) -> Self {
        let host = host_of(text);
        let site = site(channels, &host).cloned();
        let account = || {
            let name = text.strip_suffix("ads").or_else(|| text.strip_suffix("ad"))?;
            channels.site(name.trim_end_matches(['_', '-', ' '])).cloned()
        };
        let of_account = if site.is_none() { account() } else { None };
        let is_account = of_account.is_some();
        let site = site.or(of_account);
        let name = match &site {
            Some(site) => site.source.clone(),
            None if text.contains("://") => domain_of(&host).unwrap_or(&host).to_owned(),
            None => text.to_owned(),
        };
        Self { name, host, site, is_account }
    }

    fn category(&self) -> &str {
        self.site.as_ref().map_or("", |site| site.category.as_str())
    }
}

/// The host of a URL, or of a text that begins like one; else the text.
fn host_of(text: &str) -> String {
    let url = Url::parse(text).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or(text);
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or(host);
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

/// The part of a host that somebody registered, as `google.co.uk` of `news.google.co.uk`.
fn domain_of(host: &str) -> Option<&str> {
    if host.contains(' ') { None } else { psl::domain_str(host) }
}

/// The site of a host or a plain word: by the whole, by the domain, by the domain's first label.
fn site<'a>(channels: &'a Channels, host: &str) -> Option<&'a Site> {
    let whole = channels.site(host);
    let domain = domain_of(host);
    let of_domain = || channels.site(domain?);
    // Below a suffix that a company rents out anybody may call himself google.
    let label = || {
        let domain = domain?;
        let suffix = psl::suffix(domain.as_bytes())?;
        let is_public = suffix.typ() != Some(psl::Type::Private);
        channels.site(domain.split('.').next().filter(|_| is_public)?)
    };
    whole.or_else(of_domain).or_else(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(claim: [&str; 5]) -> [String; 5] {
        let channels = Channels::shipped();
        let claim = claim.map(|text| (!text.is_empty()).then_some(text));
        touched(&channels, claim).map(Option::unwrap_or_default)
    }

    #[test]
    fn claims_are_brought_to_one_form() {
        for (claim, wanted) in [
            (["", "", "", "", ""], ["(direct)", "(none)", "", "", "Direct"]),
            (
                [" Google ", "CPC", "Summer\tSale ", "", ""],
                ["google", "cpc", "summer sale", "", "Paid Search"],
            ),
            (
                ["FB", "Paid_Social", "(not set)", "", ""],
                ["facebook", "paid_social", "", "", "Paid Social"],
            ),
            (
                ["ｇｏｏｇｌｅ", "organic", "", "", ""],
                ["google", "organic", "", "", "Organic Search"],
            ),
            (["googleads", "", "", "", ""], ["google", "", "", "", "Paid Search"]),
            (
                ["", "", "", "https://news.google.co.uk/x", ""],
                ["google", "organic", "", "", "Organic Search"],
            ),
            (["", "", "", "https://t.co/abc", ""], ["twitter", "social", "", "", "Organic Social"]),
            (
                ["", "", "", "https://blog.partner.example/x", ""],
                ["partner.example", "referral", "", "", "Referral"],
            ),
            (
                ["", "", "", "https://google.blogspot.com/", ""],
                ["google.blogspot.com", "referral", "", "", "Referral"],
            ),
            (
                ["", "", "", "https://www.paypal.com/pay", ""],
                ["(direct)", "(none)", "", "", "Direct"],
            ),
            (["", "", "", "https://mail.google.com/", ""], ["gmail", "referral", "", "", "Email"]),
        ] {
            assert_eq!(touch(claim), wanted, "{claim:?}");
        }
    }

    #[test]
    fn an_address_fills_in_what_is_not_claimed() {
        for (claim, wanted) in [
            (
                ["", "", "", "", "/p?utm_source=Bing&utm_medium=organic"],
                ["bing", "organic", "", "", "Organic Search"],
            ),
            (
                ["google", "", "", "", "/p?utm_source=bing&utm_medium=cpc"],
                ["google", "cpc", "", "", "Paid Search"],
            ),
            (
                ["", "", "", "https://blog.example/", "/p?gclid=a1"],
                ["google", "cpc", "", "a1", "Paid Search"],
            ),
            (
                ["google", "organic", "", "", "/p?gclid=a1"],
                ["google", "organic", "", "a1", "Paid Search"],
            ),
            (["newsletter", "", "", "", "/p?gclid=a1"], ["newsletter", "", "", "a1", "Email"]),
            (["", "", "", "", "/p?msclkid=b2"], ["bing", "cpc", "", "b2", "Paid Search"]),
            (["", "", "", "", "/p?fbclid=c3"], ["facebook", "", "", "c3", "Organic Social"]),
            (["direct", "", "", "", "/p?gclid=a1"], ["google", "cpc", "", "a1", "Paid Search"]),
        ] {
            assert_eq!(touch(claim), wanted, "{claim:?}");
        }
    }
}
