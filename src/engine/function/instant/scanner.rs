//! A text that is read from its beginning to its end.

use chrono::{Month, Weekday};

/// What of the text has not been read. Each method reads what it is named after, if that comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(super) fn is_end(self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of these letters comes next.
    pub(super) fn is_at(self, letters: &[char]) -> bool {
        self.0.starts_with(letters)
    }

    /// The letters that belong, as far as they come one behind the other.
    pub(super) fn all(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|letter: char| !belongs(letter)).unwrap_or(self.0.len());
        let (head, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        head
    }

    pub(super) fn digits(&mut self) -> &'a str {
        self.all(|letter| letter.is_ascii_digit())
    }

    pub(super) fn letters(&mut self) -> &'a str {
        self.all(|letter| letter.is_ascii_alphabetic())
    }

    /// Blanks; whether there were any.
    pub(super) fn blanks(&mut self) -> bool {
        !self.all(|letter| letter == ' ').is_empty()
    }

    /// One of these letters.
    pub(super) fn one_of(&mut self, letters: &[char]) -> Option<char> {
        let next = self.0.chars().next().filter(|letter| letters.contains(letter))?;
        self.0 = self.0.get(next.len_utf8()..)?;
        Some(next)
    }

    /// A text; whether it was there.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// What stands between a date and its time, or a day and its year: a comma, blanks, `at`.
    pub(super) fn gap(&mut self) -> bool {
        let mut ahead = *self;
        ahead.take(",");
        if !ahead.blanks() {
            return false;
        }
        if ahead.take("at ") {
            ahead.blanks();
        }
        *self = ahead;
        true
    }

    /// A number of one or two digits.
    pub(super) fn one_or_two(&mut self) -> Option<u32> {
        let digits = self.digits();
        number(digits).filter(|_| digits.len() < 3)
    }

    /// A number of two digits.
    pub(super) fn two(&mut self) -> Option<u32> {
        let digits = self.digits();
        number(digits).filter(|_| digits.len() == 2)
    }

    /// The day of a week, whole or by its first three letters, and the comma and blanks behind it.
    pub(super) fn weekday(&mut self) -> Option<Weekday> {
        let mut ahead = *self;
        let day = ahead.letters().parse().ok()?;
        let has_comma = ahead.take(",");
        if !ahead.blanks() && !has_comma {
            return None;
        }
        *self = ahead;
        Some(day)
    }
}

/// The month of this name, whole or its first three letters.
pub(super) fn month(word: &str) -> Option<u32> {
    let word = if word.eq_ignore_ascii_case("sept") { "sep" } else { word };
    Some(word.parse::<Month>().ok()?.number_from_month())
}

/// The number that one to nine digits are.
pub(super) fn number(digits: &str) -> Option<u32> {
    digits.parse().ok()
}

/// What the digits behind a point are, in units of which ten to the power of `places` make a whole.
pub(super) fn fraction(digits: &str, places: u32) -> i64 {
    let digits = digits.bytes().map(|digit| i64::from(digit.wrapping_sub(b'0')));
    (0..places).zip(digits.chain(std::iter::repeat(0))).fold(0, |sum, (_, digit)| sum * 10 + digit)
}
