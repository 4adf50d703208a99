//! `channel(source, medium, campaign, referrer)`: the kind of way that led a visitor here.
//!
//! The rules are GA4's default channel grouping, in its order, the first that matches wins, with
//! AI assistants as an addition. Everything is compared without regard to case and surrounding
//! blanks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Channel {
    signature: Signature,
}

impl Channel {
    pub(super) fn new() -> Self {
        Self { signature: Signature::string(4, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Channel {
    fn name(&self) -> &str {
        "channel"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(
        &self,
        arguments: ScalarFunctionArgs,
    ) -> datafusion::common::Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = arrays
            .iter()
            .map(|array| Ok(cast(array, &DataType::Utf8)?))
            .collect::<datafusion::common::Result<Vec<ArrayRef>>>()?;
        let [source, medium, campaign, referrer] = texts.as_slice() else {
            return datafusion::common::exec_err!(
                "channel takes source, medium, campaign and referrer"
            );
        };
        let columns = [
            as_string_array(source)?,
            as_string_array(medium)?,
            as_string_array(campaign)?,
            as_string_array(referrer)?,
        ];
        let mut hashes = vec![0; source.len()];
        create_hashes(&texts, &RandomState::with_seed(0), &mut hashes)?;
        let mut channels =
            StringBuilder::with_capacity(arguments.number_rows, arguments.number_rows * 12);
        // Few claims are made by many rows: for each hash the first row that made its claim.
        let mut known: HashMap<u64, (usize, &str)> = HashMap::new();
        for (row, hash) in hashes.into_iter().enumerate() {
            let first = known.get(&hash).filter(|(first, _)| claim_the_same(columns, *first, row));
            let channel = match first {
                Some((_, channel)) => channel,
                None => {
                    let [source, medium, campaign, referrer] =
                        columns.map(|column| claim(column, row));
                    let channel = channel(&source, &medium, &campaign, &referrer);
                    known.insert(hash, (row, channel));
                    channel
                }
            };
            channels.append_value(channel);
        }
        Ok(ColumnarValue::Array(Arc::new(channels.finish())))
    }
}

fn claim_the_same(columns: [&StringArray; 4], left: usize, right: usize) -> bool {
    columns.iter().all(|column| {
        column.is_null(left) == column.is_null(right) && column.value(left) == column.value(right)
    })
}

/// The text in lower case; empty where it says nothing.
fn claim(column: &StringArray, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    let text = column.value(row).trim().to_lowercase();
    match text.as_str() {
        "null" | "undefined" | "(none)" | "(not set)" => String::new(),
        _ => text,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Search,
    Social,
    Video,
    Shopping,
    Email,
    Assistant,
}

/// The category of a name that stands for a site, as `google` or `fb`.
fn category(name: &str) -> Option<Category> {
    Some(match name {
        "google" | "bing" | "yahoo" | "duckduckgo" | "baidu" | "yandex" | "ecosia" | "qwant"
        | "startpage" | "naver" => Category::Search,
        "facebook" | "fb" | "instagram" | "ig" | "linkedin" | "twitter" | "x" | "t"
        | "pinterest" | "reddit" | "tiktok" | "snapchat" | "threads" | "mastodon" | "quora"
        | "whatsapp" | "telegram" => Category::Social,
        "youtube" | "yt" | "youtu" | "vimeo" | "twitch" | "dailymotion" | "netflix" => {
            Category::Video
        }
        "amazon" | "ebay" | "etsy" | "alibaba" | "walmart" | "shopify" | "mercadolibre" => {
            Category::Shopping
        }
        "mailchimp" | "sendgrid" | "klaviyo" | "newsletter" | "gmail" | "email" => Category::Email,
        "chatgpt" | "openai" | "perplexity" | "claude" | "gemini" | "copilot" => {
            Category::Assistant
        }
        _ => return None,
    })
}

/// The name of the site that a source or referrer speaks of: of a URL or a host the part that is
/// registered (`google` of `https://news.google.com/`), of a plain word the word.
fn site(text: &str) -> &str {
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or(host);
    let mut labels = host.rsplit('.');
    let (last, second, third) = (labels.next(), labels.next(), labels.next());
    match (second, third) {
        // `example.co.uk` is registered below `co.uk`.
        (Some("co" | "com" | "org" | "ac" | "gov"), Some(third)) => third,
        (Some(second), _) => second,
        (None, _) => last.unwrap_or(host),
    }
}

/// The site behind the name of an advertising account, as `fb` of `fbads`.
fn advertiser(source: &str) -> Option<&str> {
    let name = source.strip_suffix("ads").or_else(|| source.strip_suffix("ad"))?;
    Some(name.trim_end_matches(['_', '-', ' ']))
}

/// Whether the medium says that the visit was paid for.
fn is_paid(medium: &str) -> bool {
    medium == "ppc"
        || medium == "retargeting"
        || medium.starts_with("paid")
        || medium.contains("cp")
}

/// Whether the campaign is about a shop: `shopping`, or `shop` unless a letter other than `e`
/// stands before it (`eshop` is one, `workshop` is not).
fn is_shop_campaign(campaign: &str) -> bool {
    campaign.contains("shopping")
        || campaign.match_indices("shop").any(|(at, _)| {
            let before = campaign.get(..at).and_then(|head| head.chars().next_back());
            before.is_none_or(|before| before == 'e' || !before.is_ascii_lowercase())
        })
}

/// The channel of a visit; all texts in lower case, empty where there is no claim.
fn channel(source: &str, medium: &str, campaign: &str, referrer: &str) -> &'static str {
    let source = if matches!(source, "direct" | "(direct)") { "" } else { source };
    match (source, medium, referrer) {
        ("", "", "") => "Direct",
        ("", "", _) => by_referrer(referrer),
        _ => by_site(source, medium, campaign)
            .or_else(|| by_medium(source, medium, referrer))
            .unwrap_or("Unassigned"),
    }
}

/// Rules 2 to 13: those that ask what kind of site the source is.
fn by_site(source: &str, medium: &str, campaign: &str) -> Option<&'static str> {
    let hinted = advertiser(source).and_then(category);
    let category = category(site(source)).or(hinted);
    let is = |wanted| category == Some(wanted);
    let paid = is_paid(medium);
    let paid_here = paid || hinted.is_some();
    let shopping = is(Category::Shopping) || is_shop_campaign(campaign);
    Some(match medium {
        _ if campaign.contains("cross-network") => "Cross-network",
        _ if shopping && paid => "Paid Shopping",
        _ if is(Category::Search) && paid_here => "Paid Search",
        _ if is(Category::Social) && paid_here => "Paid Social",
        _ if is(Category::Video) && paid_here => "Paid Video",
        "display" | "banner" | "expandable" | "interstitial" | "cpm" => "Display",
        _ if paid => "Paid Other",
        _ if shopping => "Organic Shopping",
        "social" | "social-network" | "social-media" | "sm" | "social network" | "social media" => {
            "Organic Social"
        }
        _ if is(Category::Social) => "Organic Social",
        _ if is(Category::Video) || medium.contains("video") => "Organic Video",
        _ if is(Category::Assistant) => "AI Assistants",
        _ if is(Category::Search) || medium == "organic" => "Organic Search",
        _ if is(Category::Email) => "Email",
        _ => return None,
    })
}

/// Rules 14 to 19: those that ask what the medium says.
fn by_medium(source: &str, medium: &str, referrer: &str) -> Option<&'static str> {
    let email = |text: &str| matches!(text, "email" | "e-mail" | "e_mail" | "e mail");
    Some(match medium {
        _ if email(source) || email(medium) => "Email",
        "affiliate" => "Affiliates",
        "referral" | "app" | "link" => "Referral",
        _ if referrer.contains('.') => "Referral",
        "audio" => "Audio",
        _ if source == "sms" || medium == "sms" => "SMS",
        _ if is_push(source, medium) => "Mobile Push",
        _ => return None,
    })
}

/// The channel of a visit that claims nothing but where it came from.
fn by_referrer(referrer: &str) -> &'static str {
    match category(site(referrer)) {
        Some(Category::Search) => "Organic Search",
        Some(Category::Social) => "Organic Social",
        Some(Category::Video) => "Organic Video",
        Some(Category::Shopping) => "Organic Shopping",
        Some(Category::Assistant) => "AI Assistants",
        Some(Category::Email) => "Email",
        None => "Referral",
    }
}

fn is_push(source: &str, medium: &str) -> bool {
    source == "firebase"
        || medium.ends_with("push")
        || medium.contains("mobile")
        || medium.contains("notification")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_wins() {
        for (source, medium, campaign, referrer, wanted) in [
            ("", "", "", "", "Direct"),
            ("", "", "", "https://blog.example/", "Referral"),
            ("google", "cpc", "x_cross-network", "", "Cross-network"),
            ("google", "cpc", "summer_shopping", "", "Paid Shopping"),
            ("google", "cpc", "eshop", "", "Paid Shopping"),
            ("google", "cpc", "workshop", "", "Paid Search"),
            ("fbads", "", "", "", "Paid Social"),
            ("google", "cpc", "", "", "Paid Search"),
            ("instagram", "paid_social", "", "", "Paid Social"),
            ("youtube", "cpv", "", "", "Paid Video"),
            ("unknown", "cpm", "", "", "Display"),
            ("unknown", "cpc", "", "", "Paid Other"),
            ("etsy", "organic", "", "", "Organic Shopping"),
            ("instagram", "organic", "", "", "Organic Social"),
            ("unknown", "sm", "", "", "Organic Social"),
            ("youtube", "", "", "", "Organic Video"),
            ("chatgpt.com", "", "", "", "AI Assistants"),
            ("bing", "organic", "", "", "Organic Search"),
            ("mailchimp", "campaign", "", "", "Email"),
            ("unknown", "affiliate", "", "", "Affiliates"),
            ("unknown", "referral", "", "", "Referral"),
            ("unknown", "audio", "", "", "Audio"),
            ("sms", "", "", "", "SMS"),
            ("unknown", "web-push", "", "", "Mobile Push"),
            ("firebase", "", "", "", "Mobile Push"),
            ("unknown", "story", "", "https://blog.example/", "Referral"),
            ("unknown", "story", "", "blog", "Unassigned"),
            ("", "direct", "", "", "Unassigned"),
            ("direct", "", "", "", "Direct"),
            ("", "", "", "https://news.google.com/x?y", "Organic Search"),
            ("", "", "", "https://m.facebook.co.uk/", "Organic Social"),
            ("", "", "", "newsletter", "Email"),
            ("x.partner.example", "", "", "", "Unassigned"),
        ] {
            assert_eq!(
                channel(source, medium, campaign, referrer),
                wanted,
                "{source}/{medium}/{campaign}"
            );
        }
    }
}
