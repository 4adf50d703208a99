//! `channel(source, medium, campaign, referrer)`: the kind of way that led a visitor here.
//!
//! The rules are GA4's default channel grouping, in its order, the first that matches wins, with
//! AI assistants as an addition. Everything is compared without regard to case and surrounding
//! blanks.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
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
        let mut channels =
            StringBuilder::with_capacity(arguments.number_rows, arguments.number_rows * 12);
        for row in 0..source.len() {
            let [source, medium, campaign, referrer] = columns.map(|column| claim(column, row));
            channels.append_value(channel(&source, &medium, &campaign, &referrer));
        }
        Ok(ColumnarValue::Array(Arc::new(channels.finish())))
    }
}

/// The text in lower case; empty where it says nothing.
fn claim(column: &StringArray, row: usize) -> String {
    use arrow::array::Array as _;
    if column.is_null(row) {
        return String::new();
    }
    let text = column.value(row).trim().to_lowercase();
    match text.as_str() {
        "null" | "undefined" | "(none)" | "(not set)" | "(direct)" | "direct" => String::new(),
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

fn category(source: &str) -> Option<Category> {
    let name = source.trim_start_matches("www.").trim_start_matches("m.");
    let name = name.split('.').next().unwrap_or(name);
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
        "mailchimp" | "sendgrid" | "hubspot_email" | "klaviyo" | "newsletter" | "gmail"
        | "mail" => Category::Email,
        "chatgpt" | "openai" | "perplexity" | "claude" | "gemini" | "copilot" => {
            Category::Assistant
        }
        _ => return None,
    })
}

/// Whether the medium says that the visit was paid for.
fn is_paid(medium: &str) -> bool {
    medium == "ppc"
        || medium == "retargeting"
        || medium.starts_with("paid")
        || medium.contains("cp")
}

/// Whether the campaign is about a shop: `shop` at a word's start or after any letter but `e`
/// (as in `eshop`, which names a shop but no campaign of one), or `shopping`.
fn is_shop_campaign(campaign: &str) -> bool {
    campaign.contains("shopping")
        || campaign.match_indices("shop").any(|(at, _)| {
            let before = campaign.get(..at).and_then(|head| head.chars().next_back());
            before != Some('e')
        })
}

fn channel(source: &str, medium: &str, campaign: &str, referrer: &str) -> &'static str {
    let category = category(source);
    let is = |wanted| category == Some(wanted);
    let paid = is_paid(medium);
    let shopping = is(Category::Shopping) || is_shop_campaign(campaign);
    let email = |text: &str| matches!(text, "email" | "e-mail" | "e_mail" | "e mail");
    match medium {
        _ if source.is_empty() && medium.is_empty() && referrer.is_empty() => "Direct",
        _ if campaign.contains("cross-network") => "Cross-network",
        _ if shopping && paid => "Paid Shopping",
        _ if is(Category::Search) && paid => "Paid Search",
        _ if is(Category::Social) && paid => "Paid Social",
        _ if is(Category::Video) && paid => "Paid Video",
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
        _ if is(Category::Email) || email(source) || email(medium) => "Email",
        "affiliate" => "Affiliates",
        "referral" | "app" | "link" => "Referral",
        "audio" => "Audio",
        _ if source == "sms" || medium == "sms" => "SMS",
        _ if medium.ends_with("push")
            || medium.contains("mobile")
            || medium.contains("notification") =>
        {
            "Mobile Push"
        }
        _ if source.is_empty() && medium.is_empty() => "Referral",
        _ => "Unassigned",
    }
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
            ("google", "cpc", "eshop", "", "Paid Search"),
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
            ("unknown", "story", "", "", "Unassigned"),
        ] {
            assert_eq!(
                channel(source, medium, campaign, referrer),
                wanted,
                "{source}/{medium}/{campaign}"
            );
        }
    }
}
