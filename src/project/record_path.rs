//! Where in an envelope the records are: `$.data.events[*]`.

/// The way from a JSON value to the records in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPath {
    /// Its steps, from the outside in.
    pub steps: Vec<PathStep>,
}

/// A step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// The value of this name in an object.
    Name(String),
    /// Each item of an array.
    Each,
}

impl RecordPath {
    /// Reads a path; None when it leads nowhere: the records are the values themselves. That an array
    /// of values is around all of a file goes without saying.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let wrong = |rest: &str| {
            format!("`{rest}` is no step of a path: write .name, [\"name\"], or [*] for each item")
        };
        let mut rest = text.strip_prefix('$').ok_or("a path begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = step(rest).ok_or_else(|| wrong(rest))?;
            steps.push(step);
            rest = behind;
        }
        if steps.first() == Some(&PathStep::Each) {
            steps.remove(0);
        }
        Ok((!steps.is_empty()).then_some(Self { steps }))
    }
}

impl std::fmt::Display for RecordPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                PathStep::Each => f.write_str("[*]")?,
                PathStep::Name(name) if name.contains(['.', '[', ']', '"', '\'', '*']) => {
                    write!(f, "[{}]", serde_json::Value::from(name.as_str()))?;
                }
                PathStep::Name(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// The first step of `text`, and what is behind it.
fn step(text: &str) -> Option<(PathStep, &str)> {
    if let Some(rest) = text.strip_prefix("[*]") {
        return Some((PathStep::Each, rest));
    }
    if let Some(rest) = text.strip_prefix('.') {
        let (name, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        let is_name = !name.is_empty() && !name.contains([']', '*', '"', '\'']);
        return is_name.then(|| (PathStep::Name(name.to_owned()), rest));
    }
    let rest = text.strip_prefix('[')?;
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let (name, rest) = rest.strip_prefix(quote)?.split_once(quote)?;
    Some((PathStep::Name(name.to_owned()), rest.strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_alike() {
        for text in ["$.a", "$.data.events[*]", "$.a[*].b[*][*]", "$[\"a.b\"].c"] {
            let path = RecordPath::parse(text).unwrap().unwrap();
            assert_eq!(path.to_string(), text);
        }
        let path = RecordPath::parse("$[*]['x y'][*]").unwrap().unwrap();
        assert_eq!(path.steps, [PathStep::Name("x y".into()), PathStep::Each]);
        assert_eq!(RecordPath::parse("$[*]"), Ok(None));
        assert_eq!(RecordPath::parse("$"), Ok(None));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "a.b", "$.", "$..a", "$.a[0]", "$.*", "$.a[*", "$[\"a]", "$a"] {
            assert!(RecordPath::parse(text).is_err(), "{text}");
        }
    }
}
