//! `user_agent(text)`: what a browser says about itself.
//!
//! In: the text of a User-Agent header. Out: STRUCT(device_type, os, browser, browser_version, is_bot,
//! bot_reason), texts but for the BOOLEAN `is_bot`. A device is `desktop`, `mobile`, `tablet`, `tv`,
//! `console`, `wearable`, `bot` or `other`; systems and browsers have the names of `system_name` and
//! `browser_name`. A reason is `crawler`, `headless browser`, `monitor`, `link preview`, `feed reader`,
//! `http library`, `security scanner` or `not a browser`. NULL for a text that says nothing known, which
//! is no bot by that.

mod agent;
mod bots;
mod browsers;
mod names;
mod patterns;

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, AsArray as _, BooleanBuilder, NullBufferBuilder, StringViewBuilder, StructArray,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::texts::{self, Remembered};

use agent::Agent;

pub(super) use names::NameOf;

/// Different texts that are remembered: few are sent by many, and these are found again.
const REMEMBERED: usize = 1 << 14;

type Known = Option<Arc<Agent>>;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct UserAgent {
    signature: Signature,
}

impl UserAgent {
    pub(super) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UserAgent {
    fn name(&self) -> &str {
        "user_agent"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [texts] = arrays.as_slice() else { return exec_err!("user_agent takes one text") };
        let texts = cast(texts, &DataType::Utf8View)?;
        let (agents, places) = texts::distinct(texts.as_string_view());
        let mut columns = Columns::new(agents.len());
        for text in agents {
            columns.add(known(text).as_deref());
        }
        Ok(ColumnarValue::Array(take(&columns.finish()?, &places, None)?))
    }
}

fn fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8View, true);
    Fields::from(vec![
        text("device_type"),
        text("os"),
        text("browser"),
        text("browser_version"),
        Field::new("is_bot", DataType::Boolean, true),
        text("bot_reason"),
    ])
}

/// What `text` says: from memory, if it was asked for before.
fn known(text: &str) -> Known {
    static MEMORY: LazyLock<Remembered<Known>> = LazyLock::new(|| Remembered::new(REMEMBERED));
    let text = agent::start(text);
    MEMORY.get_or(text, || Agent::of(text).map(Arc::new))
}

/// The result under construction.
struct Columns {
    nulls: NullBufferBuilder,
    device_type: StringViewBuilder,
    os: StringViewBuilder,
    browser: StringViewBuilder,
    browser_version: StringViewBuilder,
    is_bot: BooleanBuilder,
    bot_reason: StringViewBuilder,
}

impl Columns {
    fn new(rows: usize) -> Self {
        let texts = || StringViewBuilder::with_capacity(rows);
        Self {
            nulls: NullBufferBuilder::new(rows),
            device_type: texts(),
            os: texts(),
            browser: texts(),
            browser_version: texts(),
            is_bot: BooleanBuilder::with_capacity(rows),
            bot_reason: texts(),
        }
    }

    fn add(&mut self, agent: Option<&Agent>) {
        self.nulls.append(agent.is_some());
        self.device_type.append_option(agent.and_then(|agent| agent.device_type));
        self.os.append_option(agent.and_then(|agent| agent.os));
        self.browser.append_option(agent.and_then(|agent| agent.browser.as_deref()));
        self.browser_version
            .append_option(agent.and_then(|agent| agent.browser_version.as_deref()));
        self.is_bot.append_option(agent.map(|agent| agent.bot_reason.is_some()));
        self.bot_reason.append_option(agent.and_then(|agent| agent.bot_reason));
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.device_type.finish()),
            Arc::new(self.os.finish()),
            Arc::new(self.browser.finish()),
            Arc::new(self.browser_version.finish()),
            Arc::new(self.is_bot.finish()),
            Arc::new(self.bot_reason.finish()),
        ];
        Ok(Arc::new(StructArray::try_new(fields(), columns, self.nulls.finish())?))
    }
}

/// The rows of a list with two columns, without its comments and its head.
fn rows(list: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = list.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.filter_map(|line| line.split_once(',')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_nothing_is_null_and_no_bot() {
        for text in ["", " ", "-", "NULL", "unknown", "no browser that anybody knows"] {
            assert_eq!(known(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_not_read_to_its_end_if_it_has_none() {
        let start = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 ";
        for filler in ["x", "ü", "("] {
            let found = known(&format!("{start}{}", filler.repeat(100_000))).unwrap();
            assert_eq!(found.browser.as_deref(), Some("Firefox"));
            assert_eq!(found.os, Some("Linux"));
        }
    }
}
