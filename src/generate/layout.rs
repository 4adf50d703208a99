//! Spreading a minified value over indented lines.
//!
//! Owns the layout of the pretty framing. Invariant: only white space between tokens is added,
//! laid out as `json.dumps(value, indent=2)` does; strings and numbers keep their bytes.

use super::fields::{string_end, text_at};

/// Appends the value `text`, whose first line is already indented, with its inner lines indented
/// by two spaces per level from `depth` on.
pub(super) fn push_pretty(text: &[u8], depth: usize, out: &mut Vec<u8>) {
    let mut depth = depth;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = string_end(text, at);
                out.extend_from_slice(text_at(text, at..end));
                at = end;
                continue;
            }
            b'{' | b'[' => {
                out.push(byte);
                if let Some(&closing @ (b'}' | b']')) = text.get(at + 1) {
                    // Nothing inside: the brackets stay together.
                    out.push(closing);
                    at += 1;
                } else {
                    depth += 1;
                    push_line(depth, out);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                push_line(depth, out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                push_line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
        at += 1;
    }
}

/// Begins a line at a depth.
pub(super) fn push_line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    for _ in 0..depth {
        out.extend_from_slice(b"  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(text: &str, depth: usize) -> String {
        let mut out = Vec::new();
        push_pretty(text.as_bytes(), depth, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_are_laid_out_like_the_reference() {
        let text = r#"{"a":"x, {y}: \"z\"","b":[{"c":1},{}],"d":[],"e":null}"#;
        let expected = r#"{
  "a": "x, {y}: \"z\"",
  "b": [
    {
      "c": 1
    },
    {}
  ],
  "d": [],
  "e": null
}"#;
        assert_eq!(pretty(text, 0), expected);
    }

    #[test]
    fn depth_moves_the_inner_lines_only() {
        assert_eq!(pretty("[\"a\"]", 2), "[\n      \"a\"\n    ]");
        assert_eq!(pretty("12", 5), "12");
    }
}
