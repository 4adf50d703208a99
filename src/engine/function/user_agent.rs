//! `user_agent(text)`: what a browser says about itself.
//!
//! In: the text of a User-Agent header. Out: STRUCT(device_type, os, browser, browser_version) of texts,
//! where a device is `desktop`, `mobile`, `tablet`, `bot` or `other`; NULL for a text that says nothing
//! known. By the rules of the woothee project.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use woothee::parser::Parser;

use super::texts;

const PARTS: [&str; 4] = ["device_type", "os", "browser", "browser_version"];

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
        Ok(DataType::Struct(texts::fields(PARTS)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        Ok(ColumnarValue::Array(texts::structs(&arrays, PARTS, parts)?))
    }
}

fn parts(text: &str) -> Option<[Option<String>; 4]> {
    let known = Parser::new().parse(text)?;
    // Where nothing is known, the parser says so in words.
    let said = |text: &str| (!matches!(text, "" | "UNKNOWN")).then(|| text.to_owned());
    if [known.category, known.os, known.name].into_iter().all(|text| said(text).is_none()) {
        return None;
    }
    let device = match (known.category, known.os) {
        ("crawler", _) => "bot",
        (_, "iPad") => "tablet",
        // Of Android, only phones say that they are mobile.
        ("smartphone", "Android") if !text.contains("Mobile") => "tablet",
        ("smartphone" | "mobilephone", _) => "mobile",
        ("pc", _) => "desktop",
        _ => "other",
    };
    Some([Some(device.to_owned()), said(known.os), said(known.name), said(known.version)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_tell_what_they_are() {
        let cases = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                ["desktop", "Windows 10", "Chrome"],
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                ["mobile", "iPhone", "Safari"],
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                ["tablet", "iPad", "Safari"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                ["mobile", "Android", "Chrome"],
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                ["bot", "", "Googlebot"],
            ),
        ];
        for (text, wanted) in cases {
            let found = parts(text).unwrap();
            let found = [0, 1, 2].map(|index: usize| found[index].as_deref().unwrap_or_default());
            assert_eq!(found, wanted, "{text}");
        }
        assert_eq!(parts("no browser at all"), None);
        assert_eq!(parts(""), None);
        assert_eq!(parts("-"), None);
    }
}
