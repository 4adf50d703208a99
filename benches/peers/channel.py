"""GA4's default channel grouping, written from its rules and from nothing else in this project."""

import re

SITES = {
    "search": "google bing yahoo duckduckgo baidu yandex ecosia qwant startpage naver",
    "social": "facebook fb instagram ig linkedin twitter x t pinterest reddit tiktok snapchat "
    "threads mastodon quora whatsapp telegram",
    "video": "youtube yt youtu vimeo twitch dailymotion netflix",
    "shopping": "amazon ebay etsy alibaba walmart shopify mercadolibre",
    "email": "mailchimp sendgrid klaviyo newsletter gmail email",
    "ai": "chatgpt openai perplexity claude gemini copilot",
}
CATEGORY = {site: category for category, sites in SITES.items() for site in sites.split()}
OF_REFERRER = {
    "search": "Organic Search",
    "social": "Organic Social",
    "video": "Organic Video",
    "shopping": "Organic Shopping",
    "ai": "AI Assistant",
    "email": "Email",
}
SOCIAL_MEDIA = {"social", "social-network", "social-media", "sm", "social network", "social media"}
EMAIL = {"email", "e-mail", "e_mail", "e mail"}
PAID = re.compile(r".*cp.*|ppc|retargeting|paid.*")
SHOP = re.compile(r".*((^|[^a-df-z])shop|shopping)")


def _claim(text):
    text = (text or "").strip().lower()
    return "" if text in ("null", "undefined", "(none)", "(not set)") else text


def _site(text):
    host = re.split(r"[/?#:]", text.split("://", 1)[-1])[0].split(".")
    if len(host) > 2 and host[-2] in ("co", "com", "org", "ac", "gov"):
        return host[-3]
    return host[-2] if len(host) > 1 else host[-1]


def channel(source, medium, campaign, referrer):
    """The channel of a visit with these claims, each a text or None."""
    source, medium, campaign, referrer = map(_claim, (source, medium, campaign, referrer))
    if source in ("direct", "(direct)"):
        source = ""
    if not source and not medium:
        return OF_REFERRER.get(CATEGORY.get(_site(referrer)), "Referral") if referrer else "Direct"
    advertiser = re.fullmatch(r"(.*?)[-_ ]*ads?", source)
    hint = CATEGORY.get(advertiser[1]) if advertiser else None
    category = CATEGORY.get(_site(source)) or hint
    paid = bool(PAID.fullmatch(medium))
    shopping = category == "shopping" or bool(SHOP.match(campaign))
    rules = [
        ("cross-network" in campaign, "Cross-network"),
        (shopping and paid, "Paid Shopping"),
        (category == "search" and paid, "Paid Search"),
        (category == "social" and paid, "Paid Social"),
        (category == "video" and paid, "Paid Video"),
        (medium in ("display", "banner", "expandable", "interstitial", "cpm"), "Display"),
        (paid, "Paid Other"),
        (category == "shopping" and hint, "Paid Shopping"),
        (category == "search" and hint, "Paid Search"),
        (category == "social" and hint, "Paid Social"),
        (category == "video" and hint, "Paid Video"),
        (bool(SHOP.match(campaign)), "Organic Shopping"),
        (medium in SOCIAL_MEDIA, "Organic Social"),
        ("video" in medium, "Organic Video"),
        (medium in ("ai-assistant", "ai_assistant", "ai assistant"), "AI Assistant"),
        (medium in EMAIL, "Email"),
        (medium == "affiliate", "Affiliates"),
        (medium == "audio", "Audio"),
        (medium == "sms", "SMS"),
        (medium.endswith("push") or "notification" in medium, "Mobile Push Notifications"),
        (category == "shopping", "Organic Shopping"),
        (category == "social", "Organic Social"),
        (category == "video", "Organic Video"),
        (category == "ai", "AI Assistant"),
        (category == "search" or medium == "organic", "Organic Search"),
        (category == "email" or source in EMAIL, "Email"),
        (source == "sms", "SMS"),
        (source == "firebase" or "mobile" in medium, "Mobile Push Notifications"),
        (medium in ("referral", "app", "link") or "." in referrer, "Referral"),
    ]
    return next((name for holds, name in rules if holds), "Unassigned")
