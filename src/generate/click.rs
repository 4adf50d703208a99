//! One click record, in one of four shapes that never agreed with each other.
//!
//! Owns these shapes. Invariant: every shape carries a time stamp, and the record begins with
//! the fields that tell who or what it is about.

use super::Options;
use super::clock::{Clock, Style};
use super::dice::{Deck, Dice, Purpose};
use super::text::{push_digit, push_field, push_hex, push_name, push_number, push_string};

/// The shapes; the names follow who sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    /// A script on the page, describing the element.
    #[default]
    Element,
    /// A web server, knowing user and address.
    Address,
    /// An app, knowing button, device and sometimes place.
    Button,
    /// A legacy page counter.
    Page,
}

type Words = Deck<&'static str>;
type Pair = (&'static str, &'static str);

/// Chances in a million: a time stamp as a number, and a known place.
const NUMERIC_STAMP: u32 = 250_000;
const KNOWN_PLACE: u32 = 500_000;

/// Writes clicks.
pub(super) struct Clicks {
    dice: Dice,
    clock: Clock,
    users: u32,
    shapes: Deck<Shape>,
    tags: Deck<Pair>,
    queries: Words,
    buttons: Words,
    devices: Deck<(&'static str, &'static str, &'static str)>,
    places: Deck<Pair>,
    pages: Words,
}

impl Clicks {
    /// A writer for the clicks of one output.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            dice: Dice::new(options.seed, Purpose::Traffic),
            clock: Clock::new(options.from),
            users: u32::try_from(options.count / 8).unwrap_or(u32::MAX).clamp(50, 2_000_000),
            shapes: Deck::new(&[
                (20, Shape::Element),
                (30, Shape::Address),
                (35, Shape::Button),
                (15, Shape::Page),
            ]),
            tags: Deck::new(&[
                (7, ("button", "grid-item button")),
                (2, ("a", "nav-link")),
                (1, ("div", "card")),
            ]),
            queries: Deck::new(&[
                (5, "?utm_source=google&utm_medium=cpc"),
                (3, "?utm_source=facebook&utm_medium=social"),
                (1, "?utm_source=newsletter&utm_medium=email&utm_campaign=summer_sale"),
                (6, ""),
            ]),
            buttons: Deck::new(&[
                (8, "Amazon"),
                (5, "Flipkart"),
                (3, "Share"),
                (3, "Buy now"),
                (1, "Say \"hi\""),
            ]),
            devices: Deck::new(&[
                (5, ("mobile", "iPhone", "Safari")),
                (6, ("mobile", "Android", "Chrome")),
                (6, ("desktop", "Windows", "Chrome")),
                (2, ("desktop", "Windows", "Edge")),
                (3, ("desktop", "MacIntel", "Safari")),
                (1, ("desktop", "Linux", "Firefox")),
                (1, ("tablet", "iPad", "Safari")),
            ]),
            places: Deck::new(&[
                (6, ("Pune", "India")),
                (5, ("Mumbai", "India")),
                (4, ("London", "United Kingdom")),
                (4, ("New York", "United States")),
                (2, ("São Paulo", "Brazil")),
                (2, ("Zürich", "Switzerland")),
                (1, ("東京", "Japan")),
            ]),
            pages: Deck::new(&[
                (6, "home"),
                (5, "products"),
                (3, "cart"),
                (2, "checkout"),
                (1, "help"),
            ]),
        }
    }

    /// Appends a click that happens at this moment (milliseconds since the first day began).
    /// Comes back with whether it carries a `user_id`.
    pub(super) fn write(&mut self, moment: u64, out: &mut Vec<u8>) -> bool {
        let shape = self.shapes.draw(&mut self.dice);
        match shape {
            Shape::Element => self.write_element(moment, out),
            Shape::Address => self.write_address(moment, out),
            Shape::Button => self.write_button(moment, out),
            Shape::Page => self.write_page(moment, out),
        }
        out.push(b'}');
        matches!(shape, Shape::Address | Shape::Page)
    }

    fn write_element(&mut self, moment: u64, out: &mut Vec<u8>) {
        let (tag, class) = self.tags.draw(&mut self.dice);
        let number = self.dice.below(24) + 1;
        out.push(b'{');
        self.push_stamp(moment, Style::Milliseconds, out);
        push_field("elementTag", tag, out);
        push_field("elementId", &format!("{tag}{number}"), out);
        push_field("elementClass", class, out);
        push_field("elementText", &format!("Button {number}"), out);
    }

    fn write_address(&mut self, moment: u64, out: &mut Vec<u8>) {
        let user = self.user();
        let product = self.dice.below(400) + 1;
        let query = self.queries.draw(&mut self.dice);
        out.extend_from_slice(b"{\"user_id\":\"u-");
        push_number(user, out);
        out.push(b'"');
        push_field("url", &format!("https://shop.example/p/{product}{query}"), out);
        out.push(b',');
        if self.dice.chance(NUMERIC_STAMP) {
            out.extend_from_slice(b"\"timestamp\":");
            self.clock.push_epoch_millis(moment, out);
        } else {
            self.push_stamp(moment, Style::Seconds, out);
        }
    }

    fn write_button(&mut self, moment: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":\"");
        self.push_uuid(out);
        out.push(b'"');
        push_field("button", self.buttons.draw(&mut self.dice), out);
        out.push(b',');
        self.push_stamp(moment, Style::Milliseconds, out);
        let page = self.pages.draw(&mut self.dice);
        push_field("pageUrl", &format!("https://www.shop.example/{page}"), out);
        let (kind, platform, browser) = self.devices.draw(&mut self.dice);
        out.extend_from_slice(b",\"device\":{\"type\":");
        push_string(kind, out);
        push_field("platform", platform, out);
        push_field("browser", browser, out);
        out.push(b'}');
        if self.dice.chance(KNOWN_PLACE) {
            let (city, country) = self.places.draw(&mut self.dice);
            out.extend_from_slice(b",\"location\":{\"city\":");
            push_string(city, out);
            push_field("country", country, out);
            out.push(b'}');
        }
    }

    fn write_page(&mut self, moment: u64, out: &mut Vec<u8>) {
        let user = self.user();
        out.extend_from_slice(b"{\"user_id\":\"user_");
        push_number(user, out);
        out.push(b'"');
        push_field("page", self.pages.draw(&mut self.dice), out);
        let tenths = u64::from(self.dice.below(60)) * u64::from(self.dice.below(60)) + 1;
        push_name("duration", out);
        push_number(tenths / 10, out);
        out.push(b'.');
        push_digit(tenths, out);
        out.push(b',');
        self.push_stamp(moment, Style::Spaced, out);
    }

    /// Appends the field `timestamp`, without a comma before it.
    fn push_stamp(&mut self, moment: u64, style: Style, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"timestamp\":\"");
        self.clock.push(moment, style, out);
        out.push(b'"');
    }

    /// A user by chance; small numbers come more often.
    fn user(&mut self) -> u64 {
        let (first, second) = (self.dice.below(self.users), self.dice.below(self.users));
        u64::from(first.min(second)) + 1
    }

    /// Appends a random (version 4) UUID.
    fn push_uuid(&mut self, out: &mut Vec<u8>) {
        let (head, tail) = (self.dice.word(), self.dice.word());
        push_hex(head >> 32, 8, out);
        out.push(b'-');
        push_hex(head >> 16, 4, out);
        out.extend_from_slice(b"-4");
        push_hex(head, 3, out);
        out.push(b'-');
        push_hex(8 + (tail >> 62), 1, out);
        push_hex(tail >> 48, 3, out);
        out.push(b'-');
        push_hex(tail, 12, out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn shapes_are_told_apart_by_their_keys() -> Result<(), Box<dyn std::error::Error>> {
        let mut clicks = Clicks::new(&Options::sample(1000));
        let mut counts = [0_u32; 4];
        for moment in 0..1000 {
            let mut out = Vec::new();
            let has_user = clicks.write(moment * 1000, &mut out);
            let record: Value = serde_json::from_slice(&out)?;
            assert!(record.get("timestamp").is_some());
            assert_eq!(has_user, record.get("user_id").is_some());
            let keys = ["elementTag", "url", "button", "duration"];
            for (count, key) in counts.iter_mut().zip(keys) {
                *count += u32::from(record.get(key).is_some());
            }
        }
        assert_eq!(counts.iter().sum::<u32>(), 1000);
        assert!(counts.iter().all(|count| *count > 80), "{counts:?}");
        Ok(())
    }
}
