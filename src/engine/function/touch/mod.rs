//! `touch(source, medium, campaign, referrer, url)`, `channel(source, medium, campaign, referrer)` and
//! `channel_reason(source, medium, campaign, referrer)`: the way that led a visitor here.
//!
//! In: texts as they were claimed; the URL of the page that was landed on may be left out. Out of
//! `touch`: STRUCT(source, medium, campaign, click_id, channel) of texts; out of `channel`: the channel
//! alone; out of `channel_reason`: STRUCT(channel, rule, rule_line, site, site_line, why), which names
//! the files and lines that decided. Never NULL, but its parts are where nothing is said.
//!
//! Claims are brought to one form: NFKC, lower case, no blanks around and one between, and NULL for what
//! means nothing (`null`, `undefined`, `-`, `(none)`, `(not set)`). What is missing is taken from the
//! URL's `utm_…` parameters, then from its click id (`cpc`, but for facebook's), and when neither source
//! nor medium is there, from the referrer: the site's name, and `organic`, `social` or `referral`. A
//! referrer of the page's own site, or of one that nobody comes from, is none. Names of one site are
//! brought to one. Which channel that makes is for the rules of the project to say ([`Channels`]),
//! `Unassigned` where none matches.

mod named;
mod origin;
mod pages;
mod reason;
mod way;
mod words;

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, StringViewArray, StructArray, UInt64Array, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::{HashMap, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::project::Channels;

use super::texts::{self, Remembered};
use reason::Reason;
use way::{Claims, Way};

const PARTS: [&str; 5] = ["source", "medium", "campaign", "click_id", "channel"];
/// Different claims that are remembered: few are made by many, and these are found again.
const REMEMBERED: usize = 1 << 16;

/// What one claim comes to.
#[derive(Debug)]
struct Touched {
    parts: [Option<String>; 5],
    /// Only where it is asked for.
    reason: Option<Reason>,
}

/// What is wanted of the way that led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Parts,
    Channel,
    Reason,
}

#[derive(Debug)]
pub(super) struct Touch {
    signature: Signature,
    channels: Arc<Channels>,
    wanted: Wanted,
    known: Remembered<Arc<Touched>>,
}

impl Touch {
    pub(super) fn whole(channels: &Arc<Channels>) -> Self {
        Self::new(channels, Wanted::Parts)
    }

    pub(super) fn channel(channels: &Arc<Channels>) -> Self {
        Self::new(channels, Wanted::Channel)
    }

    pub(super) fn reason(channels: &Arc<Channels>) -> Self {
        Self::new(channels, Wanted::Reason)
    }

    fn new(channels: &Arc<Channels>, wanted: Wanted) -> Self {
        let counts = vec![TypeSignature::String(4), TypeSignature::String(5)];
        Self {
            signature: Signature::one_of(counts, Volatility::Immutable),
            channels: Arc::clone(channels),
            wanted,
            known: Remembered::new(REMEMBERED),
        }
    }

    /// What `claims` come to: from memory, if they were asked for before.
    fn of(&self, claims: Claims<'_>, key: &mut String) -> Arc<Touched> {
        key.clear();
        for text in claims {
            // With its length, so that no text can look like the end of another.
            let length = text.map_or_else(|| "-".to_owned(), |text| text.len().to_string());
            key.extend([length.as_str(), ":", text.unwrap_or_default()]);
        }
        self.known.get_or(key, || {
            let way = Way::of(&self.channels, claims);
            let reason = (self.wanted == Wanted::Reason).then(|| Reason::of(&way));
            Arc::new(Touched { parts: way.parts(), reason })
        })
    }

    /// What is wanted of each of `touched`.
    fn array(&self, touched: &[Arc<Touched>]) -> datafusion::common::Result<ArrayRef> {
        let part = |index: usize| -> ArrayRef {
            let texts = touched.iter().map(|one| one.parts.get(index)?.as_deref());
            Arc::new(texts.collect::<StringViewArray>())
        };
        let channel = PARTS.len() - 1;
        let array: ArrayRef = match self.wanted {
            Wanted::Channel => part(channel),
            Wanted::Parts => {
                let columns = (0..PARTS.len()).map(part).collect();
                Arc::new(StructArray::try_new(texts::fields(PARTS), columns, None)?)
            }
            Wanted::Reason => {
                let reasons = touched.iter().filter_map(|one| {
                    Some((one.parts.get(channel)?.as_deref()?, one.reason.as_ref()?))
                });
                Arc::new(reason::array(&reasons.collect::<Vec<_>>())?)
            }
        };
        Ok(array)
    }
}

impl PartialEq for Touch {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted && self.channels == other.channels
    }
}

impl Eq for Touch {}

impl std::hash::Hash for Touch {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.wanted.hash(state);
        self.channels.hash(state);
    }
}

impl ScalarUDFImpl for Touch {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Parts => "touch",
            Wanted::Channel => "channel",
            Wanted::Reason => "channel_reason",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(match self.wanted {
            Wanted::Parts => DataType::Struct(texts::fields(PARTS)),
            Wanted::Channel => DataType::Utf8View,
            Wanted::Reason => DataType::Struct(reason::fields()),
        })
    }

    fn invoke_with_args(
        &self,
        arguments: ScalarFunctionArgs,
    ) -> datafusion::common::Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut columns = arrays
            .iter()
            .map(|array| Ok(cast(array, &DataType::Utf8View)?))
            .collect::<datafusion::common::Result<Vec<ArrayRef>>>()?;
        if let [_, _, _, referrer] = columns.as_slice() {
            let rows = referrer.len();
            columns.push(new_null_array(&DataType::Utf8View, rows));
        }
        let [_, _, _, referrer, page] = columns.as_mut_slice() else {
            return exec_err!("{} takes source, medium, campaign, referrer and url", self.name());
        };
        // Addresses differ much more than what they say about the way.
        *referrer = Arc::new(pages::referrers(referrer.as_string_view(), page.as_string_view()));
        *page = Arc::new(pages::campaigns(page.as_string_view()));
        let (touched, places) = self.distinct(&columns)?;
        Ok(ColumnarValue::Array(take(&self.array(&touched)?, &places, None)?))
    }
}

impl Touch {
    /// What the different claims of `columns` come to, and for each row the place of its own.
    fn distinct(
        &self,
        columns: &[ArrayRef],
    ) -> datafusion::common::Result<(Vec<Arc<Touched>>, UInt64Array)> {
        let [source, medium, campaign, referrer, page] = columns else {
            return exec_err!("{} takes five texts", self.name());
        };
        let claims =
            [source, medium, campaign, referrer, page].map(|column| column.as_string_view());
        let mut hashes = vec![0; source.len()];
        create_hashes(columns, &RandomState::with_seed(0), &mut hashes)?;
        let mut touched = Vec::new();
        // For each hash the first row that made its claim, and the claim's place.
        let mut firsts: HashMap<u64, (usize, u64)> = HashMap::new();
        let mut key = String::new();
        let places = hashes.into_iter().enumerate().map(|(row, hash)| {
            let first = firsts.get(&hash).filter(|(first, _)| claim_the_same(claims, *first, row));
            if let Some((_, place)) = first {
                return *place;
            }
            let claim = claims.map(|column| column.is_valid(row).then(|| column.value(row)));
            let place = touched.len() as u64;
            touched.push(self.of(claim, &mut key));
            firsts.insert(hash, (row, place));
            place
        });
        let places: UInt64Array = places.collect::<Vec<_>>().into();
        Ok((touched, places))
    }
}

fn claim_the_same(columns: [&StringViewArray; 5], left: usize, right: usize) -> bool {
    columns.iter().all(|column| {
        column.is_null(left) == column.is_null(right) && column.value(left) == column.value(right)
    })
}
