//! The way that led a visitor here, put together from what is claimed.

use crate::project::{Channels, Claim, Rule};

use super::super::url_parts::{self, Campaign};
use super::named::Named;
use super::words::{INTERNAL, normal, source};

/// What is claimed: source, medium, campaign, referrer, and what the page says about a campaign.
pub(super) type Claims<'a> = [Option<&'a str>; 5];

/// What says where a visit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    Source,
    ClickId,
    Referrer,
}

/// Where a visit came from, how, and by which rule it has its channel.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) source: Option<(Witness, Named<'a>)>,
    pub(super) medium: Option<String>,
    pub(super) campaign: Option<String>,
    pub(super) click_id: Option<String>,
    /// The referrer, if it is a site that somebody can come from.
    pub(super) referrer: Option<Named<'a>>,
    /// The referrer, if it is one that nobody comes from.
    pub(super) left_out: Option<Named<'a>>,
    /// Whether the referrer is a page of the site itself.
    pub(super) is_internal: bool,
    /// Whether an advertising account or a click id says that it was paid for.
    pub(super) is_paid: bool,
    /// The rule that makes its channel.
    pub(super) rule: Option<&'a Rule>,
}

impl<'a> Way<'a> {
    /// The way that `claims` tell.
    pub(super) fn of(channels: &'a Channels, claims: Claims<'_>) -> Self {
        let [own_source, own_medium, own_campaign, referrer, page] = claims;
        let page = page.and_then(url_parts::parse).map(|(url, _)| Campaign::of(&url));
        let page = page.unwrap_or_default();
        let said = own_source.and_then(source).or_else(|| source(page.source.as_deref()?));
        let said = said.map(|text| Named::of_source(channels, &text));
        let (left_out, from) = referrer
            .and_then(normal)
            .and_then(|text| Named::of_referrer(channels, &text))
            .map_or((None, None), |named| {
                if named.is_left_out() { (Some(named), None) } else { (None, Some(named)) }
            });
        let mut way = Self {
            is_paid: said.as_ref().is_some_and(|said| said.is_account),
            source: said.map(|said| (Witness::Source, said)),
            medium: either(own_medium, page.medium.as_deref()),
            campaign: either(own_campaign, page.name.as_deref()),
            click_id: None,
            referrer: from,
            left_out,
            is_internal: referrer == Some(INTERNAL),
            rule: None,
        };
        if let Some((id, network)) = page.click {
            way.click_id = Some(id);
            way.add_click(channels, network);
        }
        way.add_referrer();
        let rule = channels.rule(&way.claim());
        Self { rule, ..way }
    }

    /// A click id tells the source where none is claimed, and that the visit was paid for where none
    /// but the id's own network is.
    fn add_click(&mut self, channels: &'a Channels, network: &str) {
        let named = Named::of_source(channels, network);
        let is_its = self.source.as_ref().is_none_or(|(_, source)| source.name == named.name);
        // Facebook adds its ids to what nobody paid for, too.
        if is_its && network != "facebook" {
            self.is_paid = true;
            self.medium.get_or_insert_with(|| "cpc".to_owned());
        }
        self.source.get_or_insert((Witness::ClickId, named));
    }

    /// A referrer tells source and medium where nothing else tells either.
    fn add_referrer(&mut self) {
        let (None, None, Some(referrer)) = (&self.source, &self.medium, &self.referrer) else {
            return;
        };
        let medium = match referrer.category() {
            "search" => "organic",
            "social" => "social",
            _ => "referral",
        };
        self.medium = Some(medium.to_owned());
        self.source = Some((Witness::Referrer, referrer.clone()));
    }

    /// What rules look at.
    fn claim(&self) -> Claim<'_> {
        let source = self.source.as_ref().map(|(_, source)| source);
        Claim {
            category: source.map_or("", Named::category),
            source: source.map_or("", |source| source.name.as_str()),
            medium: self.medium.as_deref().unwrap_or_default(),
            campaign: self.campaign.as_deref().unwrap_or_default(),
            referrer: self.referrer.as_ref().map_or("", |referrer| referrer.looked_for.as_str()),
            is_paid: self.is_paid,
        }
    }

    /// The channel that its rule makes.
    pub(super) fn channel(&self) -> &'a str {
        self.rule.map_or("Unassigned", |rule| rule.channel.as_str())
    }

    /// Source, medium, campaign, click id and channel, as results have them.
    pub(super) fn parts(&self) -> [Option<String>; 5] {
        let source = self.source.as_ref().map(|(_, source)| source.name.clone());
        let is_nothing = source.is_none() && self.medium.is_none();
        let or_word =
            |text: Option<String>, word: &str| text.or_else(|| is_nothing.then(|| word.to_owned()));
        [
            or_word(source, "(direct)"),
            or_word(self.medium.clone(), "(none)"),
            self.campaign.clone(),
            self.click_id.clone(),
            Some(self.channel().to_owned()),
        ]
    }
}

/// The first of both that says something, in its one form.
fn either(own: Option<&str>, of_page: Option<&str>) -> Option<String> {
    own.and_then(normal).or_else(|| of_page.and_then(normal))
}
