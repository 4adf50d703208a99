//! What happens during a visit: pages, and events on their elements.
//!
//! Owns these vocabularies. Invariant: an event happens to an element it can happen to (what is
//! submitted is a form), and every word is plain ASCII that needs no escape.

use super::dice::{Deck, Dice};

/// One event, without its time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Act {
    /// `event_type`
    pub(super) kind: &'static str,
    /// `element_id`
    pub(super) element: &'static str,
}

/// The kinds of event, as places in the list of elements.
#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    View,
    Click,
    Hover,
    Scroll,
    Submit,
}

/// All pages and events.
pub(super) struct Acts {
    pages: Deck<&'static str>,
    lengths: Deck<u64>,
    kinds: Deck<Kind>,
    viewed: Deck<&'static str>,
    clicked: Deck<&'static str>,
    hovered: Deck<&'static str>,
    scrolled: Deck<&'static str>,
    submitted: Deck<&'static str>,
}

impl Acts {
    /// Lays the decks out.
    pub(super) fn new() -> Self {
        Self {
            pages: pages(),
            lengths: lengths(),
            kinds: Deck::new(&[
                (30, Kind::View),
                (35, Kind::Click),
                (10, Kind::Hover),
                (18, Kind::Scroll),
                (7, Kind::Submit),
            ]),
            viewed: Deck::new(&[
                (15, "featureSection"),
                (20, "pricingTable"),
                (33, "header"),
                (18, "videoIntro"),
                (14, "testimonials"),
            ]),
            clicked: Deck::new(&[
                (24, "learnMoreLink"),
                (25, "tryNowButton"),
                (26, "demoButton"),
                (13, "subscribeButton"),
                (12, "videoIntro"),
            ]),
            hovered: Deck::new(&[
                (30, "pricingTable"),
                (25, "tryNowButton"),
                (25, "header"),
                (20, "demoButton"),
            ]),
            scrolled: Deck::new(&[
                (30, "featureSection"),
                (30, "testimonials"),
                (25, "pricingTable"),
                (15, "contactForm"),
            ]),
            submitted: Deck::new(&[
                (40, "formSubmit"),
                (30, "submitButton"),
                (20, "contactForm"),
                (10, "subscribeButton"),
            ]),
        }
    }

    /// The page a visit lands on, some with a query.
    pub(super) fn page(&self, dice: &mut Dice) -> &'static str {
        self.pages.draw(dice)
    }

    /// How many events a visit has: 0 to 11, about 3.39 on average, none for 6 % of the visits.
    pub(super) fn length(&self, dice: &mut Dice) -> u64 {
        self.lengths.draw(dice)
    }

    /// An event by chance.
    pub(super) fn draw(&self, dice: &mut Dice) -> Act {
        let (kind, elements) = match self.kinds.draw(dice) {
            Kind::View => ("view", &self.viewed),
            Kind::Click => ("click", &self.clicked),
            Kind::Hover => ("hover", &self.hovered),
            Kind::Scroll => ("scroll", &self.scrolled),
            Kind::Submit => (SUBMIT, &self.submitted),
        };
        Act { kind, element: elements.draw(dice) }
    }
}

/// The event a conversion mostly goes with.
pub(super) const SUBMIT: &str = "submit";

/// How many events visits have; weights are in percent.
fn lengths() -> Deck<u64> {
    Deck::new(&[
        (6, 0),
        (15, 1),
        (18, 2),
        (19, 3),
        (15, 4),
        (11, 5),
        (7, 6),
        (4, 7),
        (2, 8),
        (1, 9),
        (1, 10),
        (1, 11),
    ])
}

/// The pages, a few of them with most of the visits.
fn pages() -> Deck<&'static str> {
    Deck::new(&[
        (26, "/product-idea-page"),
        (2, "/product-idea-page?variant=b&ref=launch"),
        (14, "/pricing"),
        (3, "/pricing?plan=pro"),
        (15, "/"),
        (8, "/features"),
        (7, "/blog/how-it-works"),
        (4, "/blog/ten-ideas"),
        (4, "/checkout"),
        (3, "/checkout?step=2"),
        (4, "/signup"),
        (3, "/demo"),
        (3, "/contact"),
        (2, "/about"),
        (2, "/search?q=idea+board&page=1"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::dice::Purpose;

    #[test]
    fn visits_have_the_promised_number_of_events() {
        let acts = Acts::new();
        let mut dice = Dice::new(8, Purpose::Traffic);
        let total: u64 = (0..100_000).map(|_| acts.length(&mut dice)).sum();
        assert!((335_000..343_000).contains(&total), "{total}");
    }

    #[test]
    fn only_forms_are_submitted() {
        let acts = Acts::new();
        let mut dice = Dice::new(8, Purpose::Traffic);
        let submitted = (0..1000).map(|_| acts.draw(&mut dice)).filter(|act| act.kind == SUBMIT);
        let forms = ["formSubmit", "submitButton", "contactForm", "subscribeButton"];
        assert!(submitted.into_iter().all(|act| forms.contains(&act.element)));
    }
}
