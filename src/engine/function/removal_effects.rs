//! `removal_effects(path, journeys, conversions)` and `removal_effects(came_from, channel, sessions,
//! conversions)`: how much each channel matters, by Markov chains.
//!
//! In: paths as [`super::journeys`] gives them, how many journeys took each (BIGINT), and how many of
//! these ended in a conversion (BIGINT). Or the transitions of journeys: the channel before (NULL where a
//! journey begins), the channel, how many sessions came so, and how many of these converted, which ends
//! their journeys. Out: a list of STRUCT(channel TEXT, removal_effect DOUBLE, share DOUBLE), by
//! channel; NULL for no journey.
//!
//! A chain of order one goes from START over the channels to CONVERSION or NOTHING, with the transitions
//! of all journeys counted; what comes to a channel and does not go on ends in NOTHING. `P` is the
//! probability to end in CONVERSION, `P_c` the same with every way into channel `c` leading to NOTHING,
//! and the removal effect of `c` is `1 - P_c / P`: the part of all conversions that would be lost without
//! it; 0 where nothing converts. `share` is the effect divided by the sum of all effects. (Anderl et al.,
//! "Mapping the customer journey", 2016.) Probabilities are
//! solved for by elimination with the channels in the order of their names: the same journeys always
//! give the same bits, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, ListArray, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Signature, TypeSignature, Volatility,
};

use super::paths::ARROW;

/// More channels than this are a mistake: solving for them takes the fourth power of their number.
const MOST_CHANNELS: usize = 128;
/// So many transitions there are between them: from START and each channel to each, from each channel to
/// CONVERSION.
const MOST_TRANSITIONS: usize = MOST_CHANNELS * (MOST_CHANNELS + 2);

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RemovalEffects {
    signature: Signature,
}

impl RemovalEffects {
    pub(super) fn new() -> Self {
        let arguments = vec![TypeSignature::Any(3), TypeSignature::Any(4)];
        Self { signature: Signature::one_of(arguments, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for RemovalEffects {
    fn name(&self) -> &str {
        "removal_effects"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::<Chain>::default())
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[transitions]", arguments.name);
        Ok(vec![Arc::new(Field::new(name, DataType::Utf8, true))])
    }
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("channel", DataType::Utf8, true),
        Field::new("removal_effect", DataType::Float64, true),
        Field::new("share", DataType::Float64, true),
    ])
}

fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields()), true))
}

/// Where a transition leads from or to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Place {
    Start,
    Channel(String),
    Conversion,
}

/// How often each transition was seen, but for those to NOTHING. Journeys are counted in BIGINTs, of which
/// no number of rows adds up to more than a u128.
#[derive(Debug, Default)]
struct Chain(BTreeMap<(Place, Place), u128>);

impl Chain {
    /// Errors: when there are more channels than make sense, before they fill the memory.
    fn count(&mut self, from: &Place, to: Place, times: u128) -> Result<()> {
        if times > 0 {
            let count = self.0.entry((from.clone(), to)).or_default();
            *count = count.saturating_add(times);
        }
        if self.0.len() > MOST_TRANSITIONS {
            return exec_err!(
                "removal_effects was given more than {MOST_CHANNELS} channels, and fewer make sense"
            );
        }
        Ok(())
    }

    /// Adds `journeys` along `path`, of which `conversions` ended well.
    fn add(&mut self, path: &str, journeys: u128, conversions: u128) -> Result<()> {
        let mut from = Place::Start;
        for channel in path.split(ARROW) {
            let to = Place::Channel(channel.to_owned());
            self.count(&from, to.clone(), journeys)?;
            from = to;
        }
        self.count(&from, Place::Conversion, conversions.min(journeys))
    }

    /// Adds `sessions` on `channel` that come from another channel or begin a journey, and of which
    /// `conversions` end it well.
    fn add_transition(
        &mut self,
        came_from: Option<&str>,
        channel: &str,
        sessions: u128,
        conversions: u128,
    ) -> Result<()> {
        let from = came_from.map_or(Place::Start, |name| Place::Channel(name.to_owned()));
        let to = Place::Channel(channel.to_owned());
        self.count(&from, to.clone(), sessions)?;
        self.count(&to, Place::Conversion, conversions.min(sessions))
    }

    /// Each channel with its removal effect.
    fn effects(&self) -> Result<Vec<(&str, f64)>> {
        let mut channels = BTreeSet::new();
        for (from, to) in self.0.keys() {
            for place in [from, to] {
                if let Place::Channel(name) = place {
                    channels.insert(name.as_str());
                }
            }
        }
        if channels.len() > MOST_CHANNELS {
            return exec_err!(
                "removal_effects was given {} channels, and at most {MOST_CHANNELS} make sense",
                channels.len()
            );
        }
        let channels: Vec<&str> = channels.into_iter().collect();
        let chance = Chances::of(self, &channels);
        let whole = chance.of_conversion(None);
        let effect = |index: usize| match whole > 0.0 {
            true => (1.0 - chance.of_conversion(Some(index)) / whole).clamp(0.0, 1.0),
            false => 0.0,
        };
        Ok(channels.iter().enumerate().map(|(index, name)| (*name, effect(index))).collect())
    }
}

/// The chain's probabilities, with channels as numbers.
struct Chances {
    /// From START to each channel.
    start: Vec<f64>,
    /// From each channel to each.
    between: Vec<Vec<f64>>,
    /// From each channel to CONVERSION.
    conversion: Vec<f64>,
}

impl Chances {
    fn of(chain: &Chain, channels: &[&str]) -> Self {
        let mut coming: BTreeMap<&Place, u128> = BTreeMap::new();
        let mut going: BTreeMap<&Place, u128> = BTreeMap::new();
        for ((from, to), count) in &chain.0 {
            for all in [going.entry(from).or_default(), coming.entry(to).or_default()] {
                *all = all.saturating_add(*count);
            }
        }
        let size = channels.len();
        let mut chances = Self {
            start: vec![0.0; size],
            between: vec![vec![0.0; size]; size],
            conversion: vec![0.0; size],
        };
        let number = |place: &Place| match place {
            Place::Channel(name) => channels.binary_search(&name.as_str()).ok(),
            _ => None,
        };
        for ((from, to), count) in &chain.0 {
            // Nothing comes to START. More goes than comes where rows were left out.
            let all = going.get(from).max(coming.get(from)).copied().unwrap_or(1);
            let cell = match (number(from), number(to), to) {
                (None, Some(to), _) => chances.start.get_mut(to),
                (Some(from), Some(to), _) => {
                    chances.between.get_mut(from).and_then(|row| row.get_mut(to))
                }
                (Some(from), None, Place::Conversion) => chances.conversion.get_mut(from),
                _ => None,
            };
            if let Some(cell) = cell {
                *cell = *count as f64 / all as f64;
            }
        }
        chances
    }

    /// The probability to end in CONVERSION, with the channel `without` leading to nothing.
    fn of_conversion(&self, without: Option<usize>) -> f64 {
        // (I - Q) x = r, where x is the probability from each channel on.
        let is_there = |index: usize| Some(index) != without;
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(self.start.len());
        for (from, (between, conversion)) in self.between.iter().zip(&self.conversion).enumerate() {
            let own = |to: usize| if from == to { 1.0 } else { 0.0 };
            let chance =
                |to: usize, chance: f64| if is_there(from) && is_there(to) { chance } else { 0.0 };
            let mut row: Vec<f64> = between
                .iter()
                .enumerate()
                .map(|(to, value)| own(to) - chance(to, *value))
                .collect();
            row.push(if is_there(from) { *conversion } else { 0.0 });
            rows.push(row);
        }
        let solved = solve(rows);
        self.start.iter().zip(&solved).map(|(start, solved)| start * solved).sum()
    }
}

/// Solves a system of linear equations, each given as its factors and its right side, by elimination
/// with the largest pivot; a variable that nothing determines is 0.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let size = rows.len();
    let at = |row: &[f64], column: usize| row.get(column).copied().unwrap_or(0.0);
    for column in 0..size {
        let size_of = |row: &Vec<f64>| at(row, column).abs();
        let pivot =
            (column..size).fold(column, |best, next| match (rows.get(best), rows.get(next)) {
                (Some(best_row), Some(row)) if size_of(row) > size_of(best_row) => next,
                _ => best,
            });
        rows.swap(column, pivot);
        let Some(pivot) = rows.get(column).cloned() else { continue };
        let divisor = at(&pivot, column);
        if divisor.abs() < f64::EPSILON {
            continue;
        }
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = at(row, column) / divisor;
            if index != column && factor != 0.0 {
                row.iter_mut().zip(&pivot).for_each(|(cell, pivot)| *cell -= factor * pivot);
            }
        }
    }
    let value = |(index, row): (usize, &Vec<f64>)| match at(row, index) {
        divisor if divisor.abs() < f64::EPSILON => 0.0,
        divisor => at(row, size) / divisor,
    };
    rows.iter().enumerate().map(value).collect()
}

impl Accumulator for Chain {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (came_from, names, journeys, conversions) = match values {
            [paths, journeys, conversions] => (None, paths, journeys, conversions),
            [came_from, channels, sessions, conversions] => {
                (Some(cast(came_from, &DataType::Utf8View)?), channels, sessions, conversions)
            }
            _ => {
                return exec_err!(
                    "removal_effects takes a path, its journeys and its conversions, or the channel \
                     before, a channel, its sessions and its conversions"
                );
            }
        };
        let names = cast(names, &DataType::Utf8View)?;
        let journeys = cast(journeys, &DataType::Int64)?;
        let conversions = cast(conversions, &DataType::Int64)?;
        let counts = journeys
            .as_primitive::<Int64Type>()
            .iter()
            .zip(conversions.as_primitive::<Int64Type>());
        let came_from = came_from.as_ref().map(|names| names.as_string_view());
        let count =
            |count: Option<i64>| count.and_then(|count| u128::try_from(count).ok()).unwrap_or(0);
        for (row, (name, (journeys, conversions))) in
            names.as_string_view().iter().zip(counts).enumerate()
        {
            let Some(name) = name else { continue };
            let (journeys, conversions) = (count(journeys), count(conversions));
            match came_from {
                Some(names) => {
                    let before = names.is_valid(row).then(|| names.value(row));
                    self.add_transition(before, name, journeys, conversions)?;
                }
                None => self.add(name, journeys, conversions)?,
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else { return exec_err!("removal_effects has one state") };
        for state in states.as_string::<i32>().iter().flatten() {
            let transitions: Vec<(Place, Place, u128)> =
                serde_json::from_str(state).map_err(|e| DataFusionError::External(Box::new(e)))?;
            for (from, to, count) in transitions {
                self.count(&from, to, count)?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let transitions: Vec<_> =
            self.0.iter().map(|((from, to), count)| (from, to, count)).collect();
        let state = serde_json::to_string(&transitions)
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(vec![ScalarValue::Utf8(Some(state))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let effects = self.effects()?;
        if effects.is_empty() {
            return ScalarValue::try_from(&DataType::List(item()));
        }
        let total: f64 = effects.iter().map(|(_, effect)| effect).sum();
        let share = |effect: f64| if total > 0.0 { effect / total } else { 0.0 };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(effects.iter().map(|(name, _)| name))),
            Arc::new(Float64Array::from_iter_values(effects.iter().map(|(_, effect)| *effect))),
            Arc::new(Float64Array::from_iter_values(
                effects.iter().map(|(_, effect)| share(*effect)),
            )),
        ];
        let items = StructArray::try_new(fields(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        Ok(ScalarValue::List(Arc::new(ListArray::try_new(item(), offsets, Arc::new(items), None)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.len() * 2 * size_of::<(Place, Place, u128)>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn effects(journeys: &[(&str, u128, u128)]) -> Vec<(String, f64)> {
        let mut chain = Chain::default();
        for (path, all, converting) in journeys {
            chain.add(path, *all, *converting).unwrap();
        }
        let effects = chain.effects().unwrap();
        effects.into_iter().map(|(name, effect)| (name.to_owned(), effect)).collect()
    }

    fn close(found: &[(String, f64)], wanted: &[(&str, f64)]) {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for ((name, found), (wanted_name, wanted)) in found.iter().zip(wanted) {
            assert_eq!(name, wanted_name);
            assert!((found - wanted).abs() < 1e-12, "{name}: {found} instead of {wanted}");
        }
    }

    #[test]
    fn a_chain_solved_by_hand() {
        // P = 2/3 * A + 1/3 * B; A = 1/2 * B + 1/2, B = 1/2: P = 2/3 * 3/4 + 1/3 * 1/2 = 2/3.
        let found = effects(&[("A > B", 1, 1), ("A", 1, 1), ("B", 1, 0)]);
        // Without A: 1/3 * 1/2 = 1/6. Without B: 2/3 * 1/2 = 1/3.
        close(&found, &[("A", 0.75), ("B", 0.5)]);
    }

    #[test]
    fn the_transitions_of_journeys_are_as_good_as_their_paths() {
        // The same journeys: A > B and A convert, B does not.
        let mut chain = Chain::default();
        for (came_from, channel, sessions, conversions) in
            [(None, "A", 2, 1), (Some("A"), "B", 1, 1), (None, "B", 1, 0)]
        {
            chain.add_transition(came_from, channel, sessions, conversions).unwrap();
        }
        let found: Vec<_> =
            chain.effects().unwrap().iter().map(|(name, e)| ((*name).to_owned(), *e)).collect();
        close(&found, &[("A", 0.75), ("B", 0.5)]);
    }

    #[test]
    fn no_more_than_all_go_on_from_a_channel() {
        // One is told to have come to A, yet two went on from there: P = 1, without A 1/2.
        let mut chain = Chain::default();
        chain.add_transition(None, "A", 1, 0).unwrap();
        chain.add_transition(Some("A"), "B", 2, 2).unwrap();
        chain.add_transition(None, "B", 1, 1).unwrap();
        let found: Vec<_> =
            chain.effects().unwrap().iter().map(|(name, e)| ((*name).to_owned(), *e)).collect();
        close(&found, &[("A", 0.5), ("B", 1.0)]);
    }

    #[test]
    fn nothing_converts_or_only_one_channel_is_there() {
        close(&effects(&[("A > B", 5, 0)]), &[("A", 0.0), ("B", 0.0)]);
        close(&effects(&[("A", 5, 2)]), &[("A", 1.0)]);
        close(&effects(&[]), &[]);
    }

    #[test]
    fn coming_back_to_a_channel_is_a_loop() {
        // A = 1/2 * B + 1/2, B = A: A = 1.
        close(&effects(&[("A > B > A", 1, 1)]), &[("A", 1.0), ("B", 0.5)]);
    }

    #[test]
    fn the_largest_counts_add_up_and_survive_being_handed_over() {
        const MOST: i64 = i64::MAX;
        let mut part = Chain::default();
        for _ in 0..5 {
            let counts = || Arc::new(Int64Array::from(vec![MOST])) as ArrayRef;
            let paths = Arc::new(StringArray::from(vec!["A"])) as ArrayRef;
            part.update_batch(&[paths, counts(), counts()]).unwrap();
        }
        let state = part.state().unwrap().remove(0).to_array().unwrap();
        let mut whole = Chain::default();
        whole.merge_batch(&[state]).unwrap();
        assert_eq!(whole.0.values().copied().max(), Some(5 * MOST as u128));
        let found: Vec<_> =
            whole.effects().unwrap().iter().map(|(name, e)| ((*name).to_owned(), *e)).collect();
        close(&found, &[("A", 1.0)]);
    }

    #[test]
    fn a_path_of_countless_channels_is_refused_before_it_is_kept() {
        let path: Vec<String> = (0..MOST_TRANSITIONS + 2).map(|name| name.to_string()).collect();
        let mut chain = Chain::default();
        assert!(chain.add(&path.join(ARROW), 1, 1).is_err());
        assert_eq!(chain.0.len(), MOST_TRANSITIONS + 1);
    }
}
