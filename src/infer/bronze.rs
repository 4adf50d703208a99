//! The CREATE TABLE of a Bronze table: written, and amended where one stands.

use std::ops::Range;

use super::column_type::ColumnType;
use super::naming::quoted;

/// A column's name and type.
pub(super) type Column = (String, ColumnType);

/// The DDL of the table called `name`, under the lines of `comment`.
pub(super) fn create_table(name: &str, comment: &str, columns: &[Column]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("    {}", line(column))).collect();
    format!("{comment}CREATE TABLE {name} (\n{}\n)\n", columns.join(",\n"))
}

/// The comment that a file begins with.
pub(super) fn leading_comment(text: &str) -> &str {
    let is_comment = |line: &&str| line.trim_start().starts_with("--");
    let length: usize = text.split_inclusive('\n').take_while(is_comment).map(str::len).sum();
    text.get(..length).unwrap_or_default()
}

/// The columns that a table which declares some needs for those that were `seen`: the types that are
/// too narrow made wider, and those that are new.
pub(super) fn wanted(declared: &[Column], seen: &[Column]) -> Vec<Column> {
    let kept = declared.iter().map(|(name, column_type)| {
        let seen = seen.iter().find(|(other, _)| other == name).map(|(_, seen)| seen);
        let wider = seen.map_or_else(|| column_type.clone(), |seen| column_type.widened(seen));
        (name.clone(), wider)
    });
    let is_new =
        |(name, _): &&Column| !declared.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    kept.chain(seen.iter().filter(is_new).cloned()).collect()
}

/// The DDL `text`, which declares the columns `declared`, changed to declare those `wanted`, which
/// begin with the same names. Nothing else of the text is changed, unless its columns cannot be found.
pub(super) fn amended(name: &str, text: &str, declared: &[Column], wanted: &[Column]) -> String {
    let places = definitions(text);
    let Some(last) = places.last().filter(|_| places.len() == declared.len()) else {
        return create_table(name, leading_comment(text), wanted);
    };
    let (mut amended, mut at) = (String::with_capacity(text.len() + 64), 0);
    for ((place, before), after) in places.iter().zip(declared).zip(wanted) {
        if before != after {
            amended.push_str(text.get(at..place.start).unwrap_or_default());
            amended.push_str(&line(after));
            at = place.end;
        }
    }
    amended.push_str(text.get(at..last.end).unwrap_or_default());
    for column in wanted.iter().skip(declared.len()) {
        amended.push_str(&format!(",\n    {}", line(column)));
    }
    amended.push_str(text.get(last.end..).unwrap_or_default());
    amended
}

fn line((name, column_type): &Column) -> String {
    format!("{} {column_type}", quoted(name))
}

/// Where the definitions of columns are in a CREATE TABLE.
fn definitions(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut current, mut depth, mut at) = (Vec::new(), None::<Range<usize>>, 0usize, 0);
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        let (length, is_code) = token(rest);
        let first = rest.first().copied().unwrap_or_default();
        let is_quoted = matches!(first, b'"' | b'\'');
        let before = depth;
        match first {
            _ if is_quoted || !is_code => {}
            b'(' | b'<' | b'[' => depth += 1,
            b')' | b'>' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = before == 1 && (depth == 0 || first == b',');
        if ends {
            found.extend(current.take());
        } else if is_code && before > 0 {
            current.get_or_insert(at..at).end = at + length;
        }
        at += length;
    }
    found
}

/// How long what `text` begins with is, and whether that is neither space nor a comment.
fn token(text: &[u8]) -> (usize, bool) {
    let until = |end: &[u8], from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let found = rest.windows(end.len()).position(|window| window == end);
        found.map_or(text.len(), |place| from + place + end.len())
    };
    match text {
        [b'-', b'-', ..] => (until(b"\n", 2), false),
        [b'/', b'*', ..] => (until(b"*/", 2), false),
        [quote @ (b'"' | b'\''), ..] => (until(&[*quote], 1), true),
        [first, ..] => (1, !first.is_ascii_whitespace()),
        [] => (0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::declared_columns;

    fn columns(text: &str) -> Vec<Column> {
        let declared = declared_columns("t", "t.sql", text).unwrap();
        let fields = declared.fields().iter();
        fields.map(|field| (field.name().clone(), ColumnType::declared(field))).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = create_table(
            "t",
            "-- Records.\n",
            &[
                ("id".to_owned(), ColumnType::Integer),
                ("pageUrl".to_owned(), ColumnType::Text),
                ("order".to_owned(), ColumnType::Array(Box::new(ColumnType::Double))),
            ],
        );
        assert_eq!(
            text,
            "-- Records.\nCREATE TABLE t (\n    id BIGINT,\n    \"pageUrl\" TEXT,\n    \
             \"order\" ARRAY<DOUBLE>\n)\n"
        );
        assert_eq!(create_table("t", leading_comment(&text), &columns(&text)), text);
    }

    #[test]
    fn only_what_has_to_change_is_changed() {
        let text = "-- A (table), <of> mine\nCREATE TABLE t (\n  a BIGINT, -- count, or (so)\n  \
                    \"b\" STRUCT<x TEXT, y ARRAY<BIGINT>>,\n  c /* ) */ TEXT -- the last\n);\n";
        let declared = columns(text);
        assert_eq!(amended("t", text, &declared, &declared), text);
        let seen =
            columns("CREATE TABLE t (d JSON, a DOUBLE, b STRUCT<z TEXT>, c TEXT, \"eF\" BIGINT)");
        let wanted = wanted(&declared, &seen);
        let after = amended("t", text, &declared, &wanted);
        assert_eq!(
            after,
            "-- A (table), <of> mine\nCREATE TABLE t (\n  a DOUBLE, -- count, or (so)\n  \
             b STRUCT<x TEXT, y ARRAY<BIGINT>, z TEXT>,\n  c /* ) */ TEXT,\n    d JSON,\n    \
             \"eF\" BIGINT -- the last\n);\n"
        );
        assert_eq!(columns(&after), wanted);
    }
}
