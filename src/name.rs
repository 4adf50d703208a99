//! Names of layers and tables, parsed once and never checked again.

use std::fmt::{self, Display};
use std::str::FromStr;

/// The four places a table can live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// What the sources said.
    Bronze,
    /// Cleaned and typed.
    Silver,
    /// Answers.
    Gold,
    /// What clickwatch records about itself.
    Ops,
}

impl Layer {
    /// All layers, in the order of the data.
    pub const ALL: [Self; 4] = [Self::Bronze, Self::Silver, Self::Gold, Self::Ops];

    /// The layer as it stands in paths and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
            Self::Ops => "ops",
        }
    }
}

impl Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no layer: use bronze, silver, gold or ops"))
    }
}

/// A table: its layer and its name, written `silver.sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    layer: Layer,
    name: String,
}

impl TableName {
    /// A table of `layer` called `name`; fails with a reason unless the name is lower snake case.
    pub fn new(layer: Layer, name: &str) -> Result<Self, String> {
        if is_identifier(name) {
            Ok(Self { layer, name: name.to_owned() })
        } else {
            Err(format!("`{name}` is no table name: use lower-case letters, digits and `_`"))
        }
    }

    /// The table of clickwatch's own records called `name`.
    pub(crate) fn ops(name: &'static str) -> Self {
        Self { layer: Layer::Ops, name: name.to_owned() }
    }

    /// The layer.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The name without its layer.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer, self.name)
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (layer, name) = text.split_once('.').ok_or_else(|| {
            format!("`{text}` is no table: write layer.table, as in silver.sessions")
        })?;
        Self::new(layer.parse()?, name)
    }
}

/// Whether `text` is lower snake case and starts with a letter or `_`: the names that every SQL
/// engine takes without quotes.
pub fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The candidate nearest to `wanted`, when one is near enough to be what was meant.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wanted, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(wanted.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The hint that names the nearest candidate, or else lists them all.
pub fn did_you_mean<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(wanted, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<_> = candidates.into_iter().map(|name| format!("`{name}`")).collect();
    (!all.is_empty() && all.len() <= 12).then(|| format!("there are {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_parse_and_print_alike() {
        let name: TableName = "silver.final_cookies".parse().unwrap();
        assert_eq!((name.layer(), name.name()), (Layer::Silver, "final_cookies"));
        assert_eq!(name.to_string(), "silver.final_cookies");
        for bad in ["sessions", "iron.x", "silver.", "silver.A", "silver.a-b", "silver.1a"] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        assert_eq!(nearest("stratgy", ["strategy", "by"]), Some("strategy"));
        assert_eq!(nearest("colour", ["strategy", "by"]), None);
    }
}
