//! What of addresses matters for the way by which somebody came, so that few different claims are left:
//! of a page what it says about a campaign, of a referrer its host, and whether it is a page of the same
//! site.

use arrow::array::StringViewArray;
use datafusion::common::HashMap;
use url::Position;

use super::super::url_parts::{self, Campaign};
use super::origin::Origin;
use super::words::{INTERNAL, normal};

/// The query and the fragment of pages that say something about a campaign, NULL for all others.
pub(super) fn campaigns(pages: &StringViewArray) -> StringViewArray {
    pages.iter().map(|page| campaign(page?)).collect()
}

fn campaign(page: &str) -> Option<String> {
    if !url_parts::may_tell(page) {
        return None;
    }
    let (url, _) = url_parts::parse(page)?;
    let said = Campaign::of(&url);
    let is_said = said.source.is_some()
        || said.medium.is_some()
        || said.name.is_some()
        || said.click.is_some();
    is_said.then(|| url[Position::AfterPath..].to_owned())
}

/// Referrers without their paths; [`INTERNAL`] for pages of the site that is visited.
pub(super) fn referrers(referrers: &StringViewArray, pages: &StringViewArray) -> StringViewArray {
    let mut known: HashMap<(&str, &str), bool> = HashMap::new();
    let pairs = referrers.iter().zip(pages.iter());
    let short = pairs.map(|(referrer, page)| {
        let referrer = before_path(referrer?);
        let Some(page) = page.map(before_path).filter(|page| !page.is_empty()) else {
            return Some(referrer);
        };
        let is_internal =
            known.entry((referrer, page)).or_insert_with(|| is_of_one_site(referrer, page));
        Some(if *is_internal { INTERNAL } else { referrer })
    });
    short.collect()
}

/// An address without what comes behind its host, as far as that is told at a glance; nothing of a page
/// that has none, all of any other text.
fn before_path(text: &str) -> &str {
    if text.starts_with('/') && !text.starts_with("//") {
        return "";
    }
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let behind = rest.find(['/', '?', '#', '\\']).filter(|behind| is_scheme && *behind > 0);
    let end = behind.map(|behind| scheme.len() + "://".len() + behind);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn is_of_one_site(referrer: &str, page: &str) -> bool {
    let origin = |text: &str| Origin::of_referrer(&normal(text)?);
    match (origin(referrer), origin(page)) {
        (Some(referrer), Some(page)) => referrer.is_of_the_site_of(&page),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn referrers_lose_their_paths_and_those_of_the_site_become_one() {
        let shop = "https://www.shop.example/p?x=http://a.example";
        for (referrer, page, wanted) in [
            ("https://google.com/search?q=x", "", "https://google.com"),
            ("https://google.com?q=x", "/p", "https://google.com"),
            ("https:///shop.example/x", "/p", "https:///shop.example/x"),
            ("/cart", "/p", ""),
            ("https://shop.example:8080/cart", shop, INTERNAL),
            ("HTTPS://Blog.Shop.Example", shop, INTERNAL),
            ("shop.example/cart", shop, INTERNAL),
            ("//shop.example/cart", shop, INTERNAL),
            ("https://shop.example./", "shop.example/p?utm_source=a", INTERNAL),
            ("http://127.0.0.1:80/", "http://127.0.0.1:8080/", INTERNAL),
            ("http://[::1]:80/a", "http://[::1]/b", INTERNAL),
            ("https://shop.example.org/", shop, "https://shop.example.org"),
            ("https://other.example/?u=shop.example", shop, "https://other.example"),
            ("android-app://com.x/a", shop, "android-app://com.x"),
            ("social", "home", "social"),
            ("home", "home", "home"),
            ("(direct)/(none)", shop, "(direct)/(none)"),
        ] {
            let pages = StringViewArray::from_iter([(!page.is_empty()).then_some(page)]);
            let found = referrers(&StringViewArray::from_iter([Some(referrer)]), &pages);
            assert_eq!(found.iter().next().flatten(), Some(wanted), "{referrer} on {page}");
        }
    }

    #[test]
    fn pages_keep_what_they_say_about_campaigns() {
        for (page, wanted) in [
            ("https://a.example/p?x=1", None),
            ("/p", None),
            ("/p?utm_source=a#top", Some("?utm_source=a#top")),
            ("https://a.example/p?x=1&msclkid=2", Some("?x=1&msclkid=2")),
            ("/p?%75tm_source=a", Some("?%75tm_source=a")),
            ("/p?gclid=", None),
        ] {
            assert_eq!(campaign(page).as_deref(), wanted, "{page}");
        }
    }
}
