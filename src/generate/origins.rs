//! Where visits come from: source, medium, campaign and referrer.
//!
//! Owns these four vocabularies. Invariant: the medium suits the source (no e-mail from a search
//! engine), and a visit without a source has no paid medium.

use super::dice::{Deck, Dice};

type Word = Option<&'static str>;

/// The kind of place a visit comes from; decides which words suit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Channel {
    #[default]
    Direct,
    Search,
    Social,
    Video,
    Mail,
}

/// A source, its channel, and the address its visits come from if they name one.
#[derive(Clone, Copy, Default)]
struct Source {
    name: Word,
    channel: Channel,
    site: Word,
}

/// Where one visit comes from.
pub(super) struct Origin {
    /// `utm_source`
    pub(super) source: Word,
    /// `utm_medium`
    pub(super) medium: Word,
    /// `utm_campaign`
    pub(super) campaign: Word,
    /// `referrer`
    pub(super) referrer: Word,
}

/// How many of a million visits name the address of their source as referrer.
const NAMED_SITES: u32 = 300_000;
/// How many of a million visits through a paid or sent medium carry no campaign, and how many
/// visits through any other medium carry one.
const UNNAMED_CAMPAIGNS: u32 = 100_000;
const STRAY_CAMPAIGNS: u32 = 50_000;

/// The words suiting one channel.
struct Words {
    media: Deck<Word>,
    referrers: Deck<Word>,
}

/// All origins.
pub(super) struct Origins {
    sources: Deck<Source>,
    campaigns: Deck<Word>,
    direct: Words,
    search: Words,
    social: Words,
    video: Words,
    mail: Words,
}

impl Origins {
    /// Lays the decks out.
    pub(super) fn new() -> Self {
        Self {
            sources: sources(),
            campaigns: campaigns(),
            direct: Words {
                media: words(&[(82, ""), (18, "referral")]),
                referrers: words(&[(55, ""), (9, "forum"), (8, "blog"), (7, "techpro")]),
            },
            search: Words {
                media: words(&[(45, "cpc"), (50, "organic"), (5, "display")]),
                referrers: words(&[(70, "search"), (25, "ads"), (5, "techpro")]),
            },
            social: Words {
                media: words(&[
                    (35, "ad"),
                    (25, "post"),
                    (15, "story"),
                    (14, "social"),
                    (11, "influencer"),
                ]),
                referrers: words(&[(60, "social"), (25, "ads"), (10, "techpro"), (5, "forum")]),
            },
            video: Words {
                media: words(&[(45, "ad"), (35, "influencer"), (20, "display")]),
                referrers: words(&[(50, "social"), (40, "ads"), (10, "techpro")]),
            },
            mail: Words {
                media: words(&[(65, "email"), (35, "campaign")]),
                referrers: words(&[(45, "email"), (45, "newsletter"), (10, "")]),
            },
        }
    }

    /// An origin by chance.
    pub(super) fn draw(&self, dice: &mut Dice) -> Origin {
        let source = self.sources.draw(dice);
        let words = match source.channel {
            Channel::Direct => &self.direct,
            Channel::Search => &self.search,
            Channel::Social => &self.social,
            Channel::Video => &self.video,
            Channel::Mail => &self.mail,
        };
        let medium = words.media.draw(dice);
        let unasked = matches!(medium, None | Some("organic" | "referral" | "social"));
        let named = if unasked { STRAY_CAMPAIGNS } else { 1_000_000 - UNNAMED_CAMPAIGNS };
        let campaign = if dice.chance(named) { self.campaigns.draw(dice) } else { None };
        Origin { source: source.name, medium, campaign, referrer: referrer(source, words, dice) }
    }
}

/// The referrer of a visit: the address of the source, a word, an empty text or nothing.
fn referrer(source: Source, words: &Words, dice: &mut Dice) -> Word {
    if source.site.is_some() && dice.chance(NAMED_SITES) {
        return source.site;
    }
    match words.referrers.draw(dice) {
        // Trackers write both for a visit that came from nowhere.
        None if dice.chance(250_000) => Some(""),
        word => word,
    }
}

/// A deck of words in which an empty word stands for nothing.
fn words(weighted: &[(usize, &'static str)]) -> Deck<Word> {
    let cards: Vec<(usize, Word)> = weighted
        .iter()
        .map(|(weight, word)| (*weight, Some(*word).filter(|word| !word.is_empty())))
        .collect();
    Deck::new(&cards)
}

/// The sources; weights are in percent.
fn sources() -> Deck<Source> {
    let source = |name, channel, site| Source { name: Some(name), channel, site: Some(site) };
    let mail = |name| Source { name: Some(name), channel: Channel::Mail, site: None };
    Deck::new(&[
        (20, Source::default()),
        (28, source("google", Channel::Search, "https://www.google.com/")),
        (5, source("bing", Channel::Search, "https://www.bing.com/")),
        (12, source("facebook", Channel::Social, "https://l.facebook.com/")),
        (10, source("instagram", Channel::Social, "https://l.instagram.com/")),
        (6, source("linkedin", Channel::Social, "https://www.linkedin.com/feed/")),
        (6, source("twitter", Channel::Social, "https://t.co/abc")),
        (5, source("youtube", Channel::Video, "https://www.youtube.com/")),
        (5, mail("mailchimp")),
        (3, mail("newsletter")),
    ])
}

/// The campaigns, a few of them large.
fn campaigns() -> Deck<Word> {
    words(&[
        (22, "productlaunch_aug"),
        (17, "summer_sale"),
        (13, "brand_awareness"),
        (11, "retargeting_q3"),
        (10, "newsletter_weekly"),
        (8, "webinar_series"),
        (7, "free_trial"),
        (5, "partner_promo"),
        (4, "black_friday"),
        (3, "holiday_gift"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::dice::Purpose;

    #[test]
    fn words_suit_the_source() {
        let origins = Origins::new();
        let mut dice = Dice::new(4, Purpose::Traffic);
        let mut direct = 0;
        for _ in 0..10_000 {
            let origin = origins.draw(&mut dice);
            match origin.source {
                None => {
                    direct += 1;
                    assert!(matches!(origin.medium, None | Some("referral")));
                }
                Some("google") => {
                    assert!(matches!(origin.medium, Some("cpc" | "organic" | "display")));
                }
                Some("mailchimp") => assert!(matches!(origin.medium, Some("email" | "campaign"))),
                Some(_) => assert!(origin.medium.is_some()),
            }
        }
        assert!((1800..2200).contains(&direct));
    }
}
