//! Writing JSON by hand into a growing byte buffer.
//!
//! Owns the small writers every record goes through, so that no value tree is built per record.
//! Invariant: what these write is valid JSON text, minified, and UTF-8.

/// Appends a string value with its quotes, escaping what JSON asks to be escaped.
pub(super) fn push_string(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if value.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        for byte in value.bytes() {
            push_escaped(byte, out);
        }
    } else {
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'"');
}

/// Appends one byte of a string; bytes of longer UTF-8 sequences need no escape.
fn push_escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0..0x20 => {
            out.extend_from_slice(b"\\u");
            push_hex(u64::from(byte), 4, out);
        }
        _ => out.push(byte),
    }
}

/// Appends `,"name":"value"`. The name is one of ours and needs no escape.
pub(super) fn push_field(name: &str, value: &str, out: &mut Vec<u8>) {
    push_name(name, out);
    push_string(value, out);
}

/// Appends `,"name":"value"`, or `,"name":null` for nothing.
pub(super) fn push_optional(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    push_name(name, out);
    match value {
        Some(value) => push_string(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `,"name":true` or `,"name":false`.
pub(super) fn push_flag(name: &str, value: bool, out: &mut Vec<u8>) {
    push_name(name, out);
    let word: &[u8] = if value { b"true" } else { b"false" };
    out.extend_from_slice(word);
}

/// Appends `,"name":` before a value that is written otherwise.
pub(super) fn push_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a number in decimal, without leading zeros.
pub(super) fn push_number(value: u64, out: &mut Vec<u8>) {
    if value >= 10 {
        push_number(value / 10, out);
    }
    push_digit(value, out);
}

/// Appends the last two decimal digits of a number.
pub(super) fn push_two(value: u64, out: &mut Vec<u8>) {
    push_digit(value / 10, out);
    push_digit(value, out);
}

/// Appends the last decimal digit of a number.
pub(super) fn push_digit(value: u64, out: &mut Vec<u8>) {
    // A remainder below ten fits a byte.
    out.push(b'0' + (value % 10) as u8);
}

/// Appends the last `digits` hexadecimal digits of a number, lower case.
pub(super) fn push_hex(value: u64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits.min(16)).rev() {
        // Four bits fit a byte.
        let nibble = ((value >> (4 * place)) & 15) as u8;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(written(|out| push_string("plain é", out)), "\"plain é\"");
        assert_eq!(
            written(|out| push_string("a\"b\\c\nd\te\u{1}é", out)),
            "\"a\\\"b\\\\c\\nd\\te\\u0001é\""
        );
    }

    #[test]
    fn fields_start_with_a_comma() {
        assert_eq!(written(|out| push_field("a", "b", out)), ",\"a\":\"b\"");
        assert_eq!(written(|out| push_optional("a", None, out)), ",\"a\":null");
        assert_eq!(written(|out| push_flag("a", true, out)), ",\"a\":true");
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(written(|out| push_number(0, out)), "0");
        assert_eq!(written(|out| push_number(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(written(|out| push_two(107, out)), "07");
        assert_eq!(written(|out| push_hex(0xbeef, 8, out)), "0000beef");
    }
}
