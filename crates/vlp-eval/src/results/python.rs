//! Numbers as Python writes and reads them: `NaN`, `Infinity` and `-Infinity` may stand where
//! numbers do, and decimals are read to the last bit.

use std::io::{BufRead, Read};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Marks a string that was a number.
pub(super) const MARK: &str = "#";

/// Reads JSON with decimals and Python's three words turned into strings: [`Number`] then reads
/// them exactly, and what is not finite can be named with its record.
pub(super) struct PythonJson<R> {
    from: R,
    quote: bool,
    /// Bytes ready to be handed out, from `at` on.
    ready: Vec<u8>,
    at: usize,
    in_string: bool,
    escaped: bool,
    /// A number or a word with a capital letter, as far as it was read.
    word: Vec<u8>,
}

impl<R: BufRead> PythonJson<R> {
    /// Without `quote` the text stays as it is, for records without decimals: there the words are
    /// no JSON.
    pub(super) fn new(from: R, quote: bool) -> Self {
        Self {
            from,
            quote,
            ready: Vec::new(),
            at: 0,
            in_string: false,
            escaped: false,
            word: Vec::new(),
        }
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            self.ready.push(byte);
            return;
        }
        let belongs = byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let starts = byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if belongs && (starts || !self.word.is_empty()) {
            self.word.push(byte);
        } else {
            self.end_word();
            self.in_string = byte == b'"';
            self.ready.push(byte);
        }
    }

    fn end_word(&mut self) {
        let decimal = self.word.iter().any(|b| b".eE".contains(b));
        let not_finite = matches!(self.word.as_slice(), b"NaN" | b"Infinity" | b"-Infinity");
        if self.quote && (decimal || not_finite) {
            self.ready.push(b'"');
            self.ready.extend(MARK.as_bytes());
            self.ready.append(&mut self.word);
            self.ready.push(b'"');
        } else {
            self.ready.append(&mut self.word);
        }
    }
}

impl<R: BufRead> Read for PythonJson<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let chunk = self.from.fill_buf()?.to_vec();
            if chunk.is_empty() {
                self.end_word();
                break;
            }
            self.from.consume(chunk.len());
            for byte in chunk {
                self.take(byte);
            }
        }
        let count = into.len().min(self.ready.len() - self.at);
        into[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A number read through [`PythonJson`]; it may not be finite.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("a number")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    /// An integer beyond 64 bits.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Ok(Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
        // Rust reads Python's three words as they are, and what is too large as infinite.
        let number = value.strip_prefix(MARK).and_then(|text| text.parse().ok());
        let wrong = || E::invalid_type(Unexpected::Str(value), &self);
        Ok(Number(number.ok_or_else(wrong)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn decimals_are_quoted_outside_strings_whatever_the_chunks() {
        let text =
            r#"{"NaN": NaN, "a\"1.5": [Infinity,-Infinity], "b\\": 1.5, "c": [true,-1e-5,-10]}"#;
        let expected = r##"{"NaN": "#NaN", "a\"1.5": ["#Infinity","#-Infinity"], "b\\": "#1.5", "c": [true,"#-1e-5",-10]}"##;
        for size in [1, 2, 3, 7, 64, 1000] {
            let from = || std::io::BufReader::with_capacity(size, text.as_bytes());
            let read = |quote| {
                let mut found = String::new();
                PythonJson::new(from(), quote)
                    .read_to_string(&mut found)
                    .unwrap();
                found
            };
            assert_eq!(read(true), expected, "{size}");
            assert_eq!(read(false), text, "{size}");
        }
    }
}
