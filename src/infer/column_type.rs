//! The types of Bronze columns: how they are written, and what they take.

use std::fmt::{self, Display};

use arrow::datatypes::{DataType, Field};

use crate::project::JSON;

use super::naming::quoted;

/// The type of a column, or of what is inside of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Integer,
    Double,
    Boolean,
    /// Any value as it stands.
    Json,
    Array(Box<Self>),
    Struct(Vec<(String, Self)>),
    /// Nothing but NULL was seen.
    Null,
    /// Nothing but arrays without a value was seen.
    EmptyArray,
    /// Nothing but objects without a field was seen.
    EmptyObject,
}

impl ColumnType {
    /// The type that `field` declares.
    pub(super) fn declared(field: &Field) -> Self {
        match field.data_type() {
            DataType::Utf8 if !field.metadata().contains_key(JSON) => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Float64 => Self::Double,
            DataType::Boolean => Self::Boolean,
            DataType::List(item) => Self::Array(Box::new(Self::declared(item))),
            DataType::Struct(fields) => Self::Struct(
                fields.iter().map(|field| (field.name().clone(), Self::declared(field))).collect(),
            ),
            _ => Self::Json,
        }
    }

    /// Whether every value of the type `seen` fits.
    pub(super) fn takes(&self, seen: &Self) -> bool {
        match (self, seen) {
            (_, Self::Null) | (Self::Json, _) => true,
            (Self::Double, Self::Integer)
            | (Self::Array(_), Self::EmptyArray)
            | (Self::Struct(_), Self::EmptyObject) => true,
            (Self::Array(own), Self::Array(seen)) => own.takes(seen),
            (Self::Struct(own), Self::Struct(seen)) => {
                seen.iter().all(|(name, seen)| find(own, name).is_some_and(|own| own.takes(seen)))
            }
            (own, seen) => own == seen,
        }
    }

    /// This type if it takes what was seen; else the one that does, with what this one has and was
    /// not seen.
    pub(super) fn widened(&self, seen: &Self) -> Self {
        match (self, seen) {
            _ if self.takes(seen) => self.clone(),
            (Self::Array(own), Self::Array(seen)) => Self::Array(Box::new(own.widened(seen))),
            (Self::Struct(own), Self::Struct(seen)) => {
                let kept = own.iter().map(|(name, own)| {
                    let wider = find(seen, name).map_or_else(|| own.clone(), |s| own.widened(s));
                    (name.clone(), wider)
                });
                let new = seen.iter().filter(|(name, _)| find(own, name).is_none()).cloned();
                Self::Struct(kept.chain(new).collect())
            }
            _ => seen.clone(),
        }
    }
}

fn find<'a>(fields: &'a [(String, ColumnType)], name: &str) -> Option<&'a ColumnType> {
    fields.iter().find(|(other, _)| other == name).map(|(_, found)| found)
}

impl Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text | Self::Null => f.write_str("TEXT"),
            Self::Integer => f.write_str("BIGINT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Json | Self::EmptyArray | Self::EmptyObject => f.write_str("JSON"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {field}", quoted(name))?;
                }
                f.write_str(">")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::declared_columns;

    fn of(text: &str) -> ColumnType {
        let ddl = format!("CREATE TABLE t (x {text})");
        ColumnType::declared(declared_columns("t", "t.sql", &ddl).unwrap().field(0))
    }

    #[test]
    fn a_type_reads_back_as_it_was_written() {
        for text in [
            "TEXT",
            "BIGINT",
            "DOUBLE",
            "BOOLEAN",
            "JSON",
            "ARRAY<JSON>",
            "ARRAY<STRUCT<\"key\" TEXT, value STRUCT<string_value TEXT, \"intValue\" BIGINT>>>",
            "STRUCT<\"a b\" TEXT, \"a.b\" BIGINT, \"it\"\"s\" ARRAY<ARRAY<DOUBLE>>, \"order\" JSON>",
        ] {
            assert_eq!(of(text).to_string(), text);
        }
        let empty = [ColumnType::Null, ColumnType::EmptyArray, ColumnType::EmptyObject];
        assert_eq!(empty.map(|one| one.to_string()), ["TEXT", "JSON", "JSON"]);
    }

    #[test]
    fn a_type_takes_what_it_holds_and_else_becomes_wider() {
        use ColumnType::{EmptyArray, EmptyObject, Null};
        for (declared, seen) in [
            ("TEXT", Null),
            ("JSON", of("STRUCT<a TEXT>")),
            ("DOUBLE", of("BIGINT")),
            ("ARRAY<BIGINT>", EmptyArray),
            ("STRUCT<a TEXT>", EmptyObject),
            ("STRUCT<a TEXT, b DOUBLE>", of("STRUCT<b BIGINT>")),
        ] {
            assert!(of(declared).takes(&seen), "{declared} {seen}");
            assert_eq!(of(declared).widened(&seen).to_string(), declared);
        }
        for (declared, seen, wider) in [
            ("BIGINT", "DOUBLE", "DOUBLE"),
            ("TEXT", "BIGINT", "BIGINT"),
            ("BIGINT", "JSON", "JSON"),
            ("STRUCT<a TEXT>", "STRUCT<b BIGINT>", "STRUCT<a TEXT, b BIGINT>"),
            ("STRUCT<a BIGINT, c TEXT>", "STRUCT<a DOUBLE>", "STRUCT<a DOUBLE, c TEXT>"),
            ("ARRAY<STRUCT<a TEXT>>", "ARRAY<STRUCT<A TEXT>>", "ARRAY<STRUCT<a TEXT, \"A\" TEXT>>"),
            ("ARRAY<TEXT>", "TEXT", "TEXT"),
        ] {
            assert!(!of(declared).takes(&of(seen)), "{declared} {seen}");
            assert_eq!(of(declared).widened(&of(seen)).to_string(), wider);
        }
    }
}
