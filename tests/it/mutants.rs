//! Files that were written well, in every layout and compression, and then changed by chance; and
//! what must become of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::iter::repeat_n;
use std::ops::Range;
use std::path::Path;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use regex::bytes::Regex;

/// What stands before, between and behind the records of a file, and whether each of these goes over
/// several lines.
const LAYOUTS: [(&str, &str, &str, bool); 11] = [
    ("", "\n", "\n", false),
    ("", "\r\n", "\r\n", false),
    ("\u{feff}", "\n\n", "", false),
    ("", "", "", false),
    ("", " ", "\n", false),
    ("[", ",", "]", false),
    ("[\n", ",\n", "\n]\n", false),
    ("\u{feff}[\r\n  ", ",\r\n  ", "\r\n]", false),
    ("[\n", ",\n", "\n]\n", true),
    ("[", ", ", "]", true),
    ("", "\n", "\n", true),
];

/// Values of the columns, well-formed as JSON; some do not fit their column.
const TEXTS: [&str; 10] = [
    "",
    "a",
    "{\"id\":1}",
    "} ] {",
    "[null, 1],",
    "\\\" \\",
    "line\nbreak\r\n\t",
    "é 𝔊 \u{2028}\u{202e}\u{feff}",
    "\u{0}\u{1b}[31m",
    "// #",
];
const NUMBERS: [&str; 11] = [
    "0",
    "-0.0",
    "1.5",
    "1e308",
    "-1E-400",
    "9007199254740993",
    "18446744073709551616",
    "\"12\"",
    "null",
    "[1]",
    "true",
];
const ANYTHING: [&str; 8] = [
    "null",
    "{}",
    "[]",
    "\"a\"",
    "{\"x\":{\"y\":[1,{\"z\":null}]}}",
    "[[[[[[[[1]]]]]]]]",
    "{\"a b\":[{},{ }]}",
    "[{\"k\":1}, {\"k\":2}]",
];

/// What gets into files.
const STRAY: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"\n",
    b"\r\n",
    b" ",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"null",
    b" 42 ",
    b"{}",
    b"[]",
    b"}\n{",
    b"\"\n\"",
    b"\\ud800",
    b"1e400",
    b"// {",
    b"\n[date] starting export {job 17\n",
];
/// What makes records of bytes.
const STRUCTURE: &[u8] = b"{}[]\",:\n";

/// What may be dropped between records, besides a byte order mark.
const SEPARATORS: &[u8] = b" \t\n\r\x0c,[]";
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Some bytes of a file and where they stand in what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub position: usize,
    pub bytes: Vec<u8>,
}

/// A file, and what is known of it.
pub(crate) struct Mutant {
    pub name: String,
    pub bytes: Vec<u8>,
    /// What it holds when its compression is undone; nothing when that was damaged.
    content: Option<Vec<u8>>,
    /// Records that must land: nothing was done to them. Where the compression was damaged these are
    /// all that may.
    good: Vec<Vec<u8>>,
}

impl Mutant {
    /// A file of the corpus. Its records with the text `good` must land.
    pub(crate) fn by_hand(path: &Path) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(path).unwrap();
        let good = Regex::new(r#"\{"id":\d+,"text":"good"\}"#).unwrap();
        let good = good.find_iter(&bytes).map(|found| found.as_bytes().to_vec()).collect();
        Self { name, content: Some(bytes.clone()), bytes, good }
    }

    pub(crate) fn by_chance(number: usize, chance: &mut ChaCha8Rng) -> Self {
        let name = format!("{number:03}.json");
        let mut content = Content::by_chance(chance);
        let compression: u32 = chance.random_range(0..6);
        if compression > 2 && chance.random_bool(0.3) {
            let mut bytes = compressed(&content.bytes, compression);
            damage(&mut bytes, chance);
            return Self { name, bytes, content: None, good: content.untouched() };
        }
        // One change shows most clearly what it does; none must do nothing.
        let dice: usize = chance.random_range(0..8);
        for _ in 0..[0, 1, 1, 1, 1, 2, 3, 5][dice] {
            content.change(chance);
        }
        let bytes = compressed(&content.bytes, compression);
        Self { name, bytes, good: content.untouched(), content: Some(content.bytes) }
    }

    /// Whether it is right that of this file those records landed and these were rejected.
    pub(crate) fn check(&self, landed: &[Piece], rejected: &[Piece]) -> Result<(), String> {
        let Some(content) = &self.content else {
            let foreign = landed.iter().find(|piece| !self.good.contains(&piece.bytes));
            let of =
                |piece: &Piece| format!("landed unlike it was written: {}", text(&piece.bytes));
            return foreign.map_or(Ok(()), |piece| Err(of(piece)));
        };
        let here: BTreeSet<&[u8]> = landed.iter().map(|piece| piece.bytes.as_slice()).collect();
        if let Some(lost) = self.good.iter().find(|record| !here.contains(record.as_slice())) {
            return Err(format!("not landed: {}\nof: {}", text(lost), text(content)));
        }
        let mut pieces: Vec<&Piece> = landed.iter().chain(rejected).collect();
        pieces.sort_by_key(|piece| piece.position);
        let mut end = 0;
        for piece in pieces {
            let start = place(content, piece)?;
            let between = content.get(end..start);
            if !between.is_some_and(separates) {
                let what = if between.is_some() { "bytes are missing before" } else { "twice" };
                return Err(format!(
                    "{what} {start}: {}\nof: {}",
                    text(&piece.bytes),
                    text(content)
                ));
            }
            end = start + piece.bytes.len();
        }
        if separates(&content[end..]) {
            return Ok(());
        }
        Err(format!("bytes are missing behind {end} of: {}", text(content)))
    }
}

/// Where the bytes of `piece` begin. What says where it stands may mean the white space before it.
fn place(content: &[u8], piece: &Piece) -> Result<usize, String> {
    let rest = content.get(piece.position..).unwrap_or_default();
    let trimmed = rest.trim_ascii_start();
    let found = [rest, trimmed].into_iter().find(|rest| rest.starts_with(&piece.bytes));
    found.map(|found| content.len() - found.len()).ok_or_else(|| {
        format!("not at {}: {}\nof: {}", piece.position, text(&piece.bytes), text(content))
    })
}

/// Whether nothing is lost when `bytes` between records are dropped.
fn separates(mut bytes: &[u8]) -> bool {
    while let Some(first) = bytes.first() {
        bytes = match bytes.strip_prefix(MARK) {
            Some(rest) => rest,
            None if SEPARATORS.contains(first) => &bytes[1..],
            None => return false,
        };
    }
    true
}

/// What people may read of bytes.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().map(char::from).take(4000).collect()
}

/// The content of a file. Each byte knows the record that it belongs to.
struct Content {
    bytes: Vec<u8>,
    owners: Vec<Option<usize>>,
    records: Vec<String>,
    /// Records that were changed, or that something was changed beside.
    touched: BTreeSet<usize>,
}

impl Content {
    fn by_chance(chance: &mut ChaCha8Rng) -> Self {
        let (begin, between, end, is_pretty) = LAYOUTS[chance.random_range(0..LAYOUTS.len())];
        let count: usize = chance.random_range(0..40);
        let records: Vec<String> = (0..count).map(|id| record(id, is_pretty, chance)).collect();
        let (bytes, owners) = (Vec::new(), Vec::new());
        let mut content = Self { bytes, owners, records: Vec::new(), touched: BTreeSet::new() };
        content.push(begin, None);
        for (index, record) in records.iter().enumerate() {
            content.push(if index > 0 { between } else { "" }, None);
            content.push(record, Some(index));
        }
        content.push(end, None);
        Self { records, ..content }
    }

    fn push(&mut self, text: &str, owner: Option<usize>) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.owners.extend(repeat_n(owner, text.len()));
    }

    /// Replaces the bytes of `range`.
    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let beside = range.start.saturating_sub(1)..self.owners.len().min(range.end + 1);
        self.touched.extend(self.owners[beside].iter().flatten());
        // What is cut off in its middle, with all that stood between it and the next record, may hold
        // that one: nothing tells it from a part of it any more.
        let is_cut = self.owners.get(range.start).is_some_and(Option::is_some);
        if is_cut && with.is_empty() && self.owners.get(range.end).is_some_and(Option::is_none) {
            self.touched.extend(self.owners[range.end..].iter().flatten().next());
        }
        // Behind the last record a bracket too many looks like one whose other half is gone.
        let opens = self.bytes[range.clone()].contains(&b'[') && range.start < 8;
        if opens {
            self.touched.extend(self.owners.iter().flatten().last());
        }
        if with.contains(&b']') && self.owners[range.end..].iter().flatten().next().is_none() {
            self.touched.extend(self.owners[..range.start].iter().flatten().last());
        }
        // A bracket that is opened between records may hold the next one.
        if with.iter().any(|byte| matches!(byte, b'{' | b'[')) {
            self.touched.extend(self.owners[range.end..].iter().flatten().next());
        }
        drop(self.owners.splice(range.clone(), repeat_n(None, with.len())));
        drop(self.bytes.splice(range, with.iter().copied()));
    }

    fn change(&mut self, chance: &mut ChaCha8Rng) {
        let length = self.bytes.len();
        let place = chance.random_range(0..=length);
        let few: usize = chance.random_range(1..20);
        let some = place..length.min(place + few);
        let dice: u32 = chance.random_range(0..20);
        match dice {
            0 => self.splice(place..length, b""),
            1..=3 => self.splice(some, b""),
            4..=5 => {
                let copy = self.bytes[some].repeat(chance.random_range(1..40));
                self.splice(place..place, &copy);
            }
            6..=7 if !some.is_empty() => self.splice(place..place + 1, &[chance.random::<u8>()]),
            8..=12 => {
                let is_structure = |byte: &u8| STRUCTURE.contains(byte);
                let found = self.bytes[place..].iter().position(is_structure);
                let found = found.map_or(place..place, |at| place + at..place + at + 1);
                self.splice(found, b"");
            }
            _ => {
                let stray = STRAY[chance.random_range(0..STRAY.len())];
                self.splice(place..place, stray);
            }
        }
    }

    fn untouched(&self) -> Vec<Vec<u8>> {
        let records = self.records.iter().enumerate();
        let untouched = records.filter(|(index, _)| !self.touched.contains(index));
        untouched.map(|(_, record)| record.clone().into_bytes()).collect()
    }
}

/// A well-formed record.
fn record(id: usize, is_pretty: bool, chance: &mut ChaCha8Rng) -> String {
    fn one_of<'a>(chance: &mut ChaCha8Rng, values: &[&'a str]) -> &'a str {
        values[chance.random_range(0..values.len())]
    }
    fn quoted(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }
    let mut fields = vec![format!("\"id\":{id}")];
    let values = [
        ("text", quoted(one_of(chance, &TEXTS))),
        ("number", one_of(chance, &NUMBERS).to_owned()),
        ("flag", one_of(chance, &["true", "false", "null", "0"]).to_owned()),
        ("list", format!("[{}, null]", quoted(one_of(chance, &TEXTS)))),
        ("any", one_of(chance, &ANYTHING).to_owned()),
        ("undeclared", one_of(chance, &ANYTHING).to_owned()),
        ("text", quoted("once more")),
    ];
    for (index, (name, value)) in values.into_iter().enumerate() {
        if chance.random_bool(if index < 5 { 0.7 } else { 0.05 }) {
            fields.push(format!("\"{name}\":{value}"));
        }
    }
    // Some are larger than the pieces that files are read in.
    if chance.random_bool(0.002) {
        let text = one_of(chance, &TEXTS).repeat(chance.random_range(0..600_000));
        fields.push(format!("\"text\":{}", quoted(&text)));
    }
    if is_pretty {
        return format!("{{\n  {}\n}}", fields.join(",\n  "));
    }
    format!("{{{}}}", fields.join(","))
}

/// `content` as it lies on the disk.
fn compressed(content: &[u8], compression: u32) -> Vec<u8> {
    let gzip = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let (front, back) = content.split_at(content.len() / 2);
    match compression {
        0..=2 => content.to_vec(),
        3 => gzip(content),
        4 => [gzip(front), gzip(back)].concat(),
        _ => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// Changes a compressed file.
fn damage(bytes: &mut Vec<u8>, chance: &mut ChaCha8Rng) {
    let place = chance.random_range(0..bytes.len());
    let (dice, bit): (u32, u32) = (chance.random_range(0..3), chance.random_range(0..8));
    match dice {
        0 => bytes.truncate(place),
        1 => bytes[place] ^= 1_u8 << bit,
        _ => bytes.insert(place, chance.random::<u8>()),
    }
}
