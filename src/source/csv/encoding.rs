//! The encoding of a text file, undone without losing a byte.
//!
//! Encodings whose bytes below 128 mean ASCII are left as they are until a row is decoded: what stands
//! between rows and fields is found in them all the same. UTF-16 is turned into UTF-8 before that. What
//! is no UTF-16 becomes something that is no UTF-8, from which it can be told what it was.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Marks the last byte of a file of UTF-16 that has an odd number of them; the halves of the byte
/// follow, each as a byte that no text begins with.
const ODD: u8 = 0xFF;

/// How the text of a file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextEncoding {
    Utf8,
    Utf16 {
        is_big: bool,
    },
    /// One byte for each character.
    Bytes(&'static Encoding),
}

impl TextEncoding {
    pub(super) fn of(encoding: &'static Encoding) -> Self {
        match encoding {
            utf8 if utf8 == UTF_8 => Self::Utf8,
            utf16 if utf16 == UTF_16LE || utf16 == UTF_16BE => {
                Self::Utf16 { is_big: utf16 == UTF_16BE }
            }
            other => Self::Bytes(other),
        }
    }

    /// Adds to `text` what `bytes` of a file mean; gives how many of them were taken. What is left
    /// needs more behind it, unless they are the last.
    pub(super) fn take(self, bytes: &[u8], is_last: bool, text: &mut Vec<u8>) -> usize {
        let Self::Utf16 { is_big } = self else {
            text.extend_from_slice(bytes);
            return bytes.len();
        };
        let unit = |at: usize| {
            let pair = bytes.get(at..)?.first_chunk::<2>()?;
            Some(if is_big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) })
        };
        let mut at = 0;
        while let Some(first) = unit(at) {
            let second = match first {
                0xD800..0xDC00 => unit(at + 2),
                _ => Some(0),
            };
            if second.is_none() && !is_last {
                break;
            }
            let high = u32::from(first);
            match second {
                Some(low @ 0xDC00..0xE000) => {
                    push(text, 0x1_0000 + ((high - 0xD800) << 10) + (u32::from(low) - 0xDC00));
                    at += 4;
                }
                _ => {
                    push(text, high);
                    at += 2;
                }
            }
        }
        if let (true, Some([byte])) = (is_last, bytes.get(at..)) {
            text.extend([ODD, 0x80 | (byte >> 4), 0x80 | (byte & 0xF)]);
            at += 1;
        }
        at
    }

    /// The bytes of the file that `text` stands for.
    pub(super) fn original(self, text: &[u8]) -> Vec<u8> {
        let Self::Utf16 { is_big } = self else { return text.to_vec() };
        let mut bytes = Vec::with_capacity(text.len() * 2);
        let mut add = |unit: u32| {
            let unit = u16::try_from(unit).unwrap_or_default();
            bytes.extend(if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        };
        let mut odd = None;
        let mut at = 0;
        while let Some(lead) = text.get(at) {
            let lead = u32::from(*lead);
            let tail = |offset: usize| u32::from(text.get(at + offset).map_or(0, |b| b & 0x3F));
            let (code, length) = match lead {
                0xC0..0xE0 => (((lead & 0x1F) << 6) | tail(1), 2),
                0xE0..0xF0 => (((lead & 0xF) << 12) | (tail(1) << 6) | tail(2), 3),
                0xF0..0xF8 => (((lead & 7) << 18) | (tail(1) << 12) | (tail(2) << 6) | tail(3), 4),
                0xFF => {
                    odd = u8::try_from((tail(1) << 4) | tail(2)).ok();
                    break;
                }
                _ => (lead, 1),
            };
            match code.checked_sub(0x1_0000) {
                Some(code) => {
                    add(0xD800 + (code >> 10));
                    add(0xDC00 + (code & 0x3FF));
                }
                None => add(code),
            }
            at += length;
        }
        bytes.extend(odd);
        bytes
    }

    /// How many bytes of the file `text` stands for.
    pub(super) fn original_length(self, text: &[u8]) -> u64 {
        match self {
            Self::Utf8 | Self::Bytes(_) => text.len() as u64,
            Self::Utf16 { .. } => text.iter().map(|byte| units(*byte)).sum(),
        }
    }

    /// The text of a row, or why it is none.
    pub(super) fn decode(self, row: &[u8]) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Bytes(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(row)
                .ok_or_else(|| format!("not {}", encoding.name())),
            Self::Utf8 | Self::Utf16 { .. } => match std::str::from_utf8(row) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(e) => {
                    let name = if self == Self::Utf8 { "UTF-8" } else { "UTF-16" };
                    let before = row.get(..e.valid_up_to()).unwrap_or_default();
                    let place = self.original_length(before);
                    Err(format!("not {name} from byte {place} of the record on"))
                }
            },
        }
    }
}

/// How many bytes of UTF-16 the character has that begins with `byte`; none where none begins.
fn units(byte: u8) -> u64 {
    match byte {
        0..0x80 | 0xC0..0xF0 => 2,
        0xF0..0xF8 => 4,
        ODD => 1,
        _ => 0,
    }
}

/// Adds a code point in the manner of UTF-8; half of a surrogate pair, which is no character, too.
fn push(text: &mut Vec<u8>, code: u32) {
    if let Some(character) = char::from_u32(code) {
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return;
    }
    let byte = |lead: u32, bits: u32| u8::try_from(lead | bits).unwrap_or_default();
    text.extend([byte(0xE0, code >> 12), byte(0x80, (code >> 6) & 0x3F), byte(0x80, code & 0x3F)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_taken_in_steps_and_given_back() {
        let units = [0x61, 0xFC, 0x20AC, 0xD83D, 0xDE00, 0x0A, 0xD83D, 0x62, 0xDE00, 0xD83D];
        for is_big in [false, true] {
            let encoding = TextEncoding::Utf16 { is_big };
            let bytes = |unit: &u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let mut file: Vec<u8> = units.iter().flat_map(bytes).collect();
            for odd in [false, true] {
                file.extend(odd.then_some(0xA7));
                for step in 1..file.len() {
                    let (mut text, mut carry) = (Vec::new(), Vec::new());
                    for chunk in file.chunks(step) {
                        carry.extend_from_slice(chunk);
                        let taken = encoding.take(&carry, false, &mut text);
                        carry.drain(..taken);
                    }
                    let taken = encoding.take(&carry, true, &mut text);
                    assert_eq!(taken, carry.len());
                    assert_eq!(encoding.original(&text), file);
                    assert_eq!(encoding.original_length(&text), file.len() as u64);
                    assert!(text.starts_with("aü€😀\n".as_bytes()));
                    assert!(encoding.decode(&text).is_err());
                    assert_eq!(encoding.decode(&text[..11]).unwrap(), "aü€😀\n");
                }
            }
        }
    }

    #[test]
    fn bytes_mean_what_their_encoding_says() {
        let latin = TextEncoding::of(encoding_rs::WINDOWS_1252);
        assert_eq!(latin.decode(b"M\xfcnchen \x80").unwrap(), "München €");
        let error = TextEncoding::Utf8.decode(b"M\xfcnchen").unwrap_err();
        assert_eq!(error, "not UTF-8 from byte 1 of the record on");
    }
}
