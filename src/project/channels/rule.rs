//! One rule of channels: what a visit has to claim for its channel.

use regex::Regex;

use crate::error::shortened;

use super::SHOWN;
use super::lines::Line;

pub(super) const COLUMNS: [&str; 7] =
    ["channel", "category", "source", "medium", "campaign", "referrer", "paid"];

/// What rules look at: normalised texts, empty where nothing is claimed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// The category of the source.
    pub category: &'a str,
    /// Where the visit came from.
    pub source: &'a str,
    /// How it came.
    pub medium: &'a str,
    /// By which campaign.
    pub campaign: &'a str,
    /// The host or the app that the referrer names, or what else it says.
    pub referrer: &'a str,
    /// Whether an advertising account or a click id says that it was paid for.
    pub is_paid: bool,
}

/// A channel, and all conditions of one line.
#[derive(Debug)]
pub struct Rule {
    /// The channel of the visits that match.
    pub channel: String,
    /// Where it stands.
    pub line: Line,
    category: Cell,
    source: Cell,
    medium: Cell,
    campaign: Cell,
    referrer: Cell,
    is_paid: bool,
}

#[derive(Debug)]
enum Cell {
    Any,
    Nothing,
    Pattern(Regex),
}

impl Cell {
    /// Empty for anything, `-` for nothing, else a regular expression for the whole text.
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::Any),
            "-" => Ok(Self::Nothing),
            pattern => match Regex::new(&format!("^(?:{pattern})$")) {
                Ok(regex) => Ok(Self::Pattern(regex)),
                Err(_) => {
                    Err(format!("`{}` is not a regular expression", shortened(pattern, SHOWN)))
                }
            },
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => text.is_empty(),
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

impl Rule {
    /// Reads the cells of one line.
    pub(super) fn read(line: Line, cells: [String; 7]) -> Result<Self, String> {
        let [channel, category, source, medium, campaign, referrer, paid] = cells;
        if channel.is_empty() {
            return Err("a rule names its channel".to_owned());
        }
        let is_paid = match paid.as_str() {
            "" => false,
            "yes" => true,
            other => {
                let other = shortened(other, SHOWN);
                return Err(format!("`paid` is `yes` or empty, not `{other}`"));
            }
        };
        Ok(Self {
            channel,
            line,
            category: Cell::read(&category)?,
            source: Cell::read(&source)?,
            medium: Cell::read(&medium)?,
            campaign: Cell::read(&campaign)?,
            referrer: Cell::read(&referrer)?,
            is_paid,
        })
    }

    /// Whether all of its conditions hold.
    pub(super) fn matches(&self, claim: &Claim<'_>) -> bool {
        (!self.is_paid || claim.is_paid)
            && self.category.matches(claim.category)
            && self.source.matches(claim.source)
            && self.medium.matches(claim.medium)
            && self.campaign.matches(claim.campaign)
            && self.referrer.matches(claim.referrer)
    }
}
