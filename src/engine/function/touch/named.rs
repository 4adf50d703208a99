//! A source or a referrer, and the site that it stands for.

use crate::project::{Channels, Site};

use super::origin::Origin;

/// What separates the name of an advertiser from `ads`.
const SEPARATORS: [char; 4] = ['_', '-', ' ', '.'];

/// A source or a referrer, and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    /// What it is called in results.
    pub(super) name: String,
    /// What was looked for: a host, an app, a word.
    pub(super) looked_for: String,
    pub(super) site: Option<&'a Site>,
    /// Whether it is the name of an advertising account, as `fbads`.
    pub(super) is_account: bool,
}

impl<'a> Named<'a> {
    /// What a source in its one form stands for.
    pub(super) fn of_source(channels: &'a Channels, text: &str) -> Self {
        let (origin, is_address) = Origin::of_source(text);
        let site = channels.site_of_claim(text).or_else(|| site(channels, &origin));
        let account = if site.is_none() { account(channels, text) } else { None };
        let name = if is_address { origin.name() } else { text };
        Self {
            name: called(site.or(account), name),
            looked_for: origin.text().to_owned(),
            site: site.or(account),
            is_account: account.is_some(),
        }
    }

    /// What a referrer in its one form stands for; None where it says that there is none.
    pub(super) fn of_referrer(channels: &'a Channels, text: &str) -> Option<Self> {
        let origin = Origin::of_referrer(text)?;
        let site = site(channels, &origin);
        let name = called(site, origin.name());
        Some(Self { name, looked_for: origin.text().to_owned(), site, is_account: false })
    }

    /// What kind of site it is, as far as it is known.
    pub(super) fn category(&self) -> &'a str {
        self.site.map_or("", |site| site.category.as_str())
    }

    /// Whether it is a site that nobody comes from: the user's own, or one of payment or sign-in.
    pub(super) fn is_left_out(&self) -> bool {
        matches!(self.category(), "own" | "ignored")
    }
}

fn called(site: Option<&Site>, otherwise: &str) -> String {
    site.map_or(otherwise, |site| site.source.as_str()).to_owned()
}

fn site<'a>(channels: &'a Channels, origin: &Origin) -> Option<&'a Site> {
    match origin {
        Origin::Host(host) => channels.site_of_host(host),
        Origin::App(package) => channels.site_of_app(package),
        Origin::Address(address) => channels.site_of_claim(address),
        // As `google` of `google / organic`.
        Origin::Word(word) => channels.site_of_claim(word).or_else(|| {
            let (first, _) = word.split_once(['/', '?', '#', ':'])?;
            channels.site_of_claim(first.trim())
        }),
    }
}

/// The site whose advertising account is called `text`, as `fbads` or `x_ads`.
fn account<'a>(channels: &'a Channels, text: &str) -> Option<&'a Site> {
    let account = text.strip_suffix("ads").or_else(|| text.strip_suffix("ad"))?;
    let advertiser = account.trim_end_matches(SEPARATORS);
    // One letter before `ads` is the beginning of some word.
    let is_whole = advertiser.len() < account.len() || advertiser.chars().count() > 1;
    channels.site_of_claim(advertiser).filter(|_| is_whole)
}
