//! JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` stand where numbers do.

use std::io::{BufRead, Read};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Reads JSON with Python's three words put into quotes, so that the record they stand in can be
/// named. No other text outside strings holds a capital letter.
pub(super) struct PythonJson<R> {
    from: R,
    quote: bool,
    /// Bytes ready to be handed out, from `at` on.
    ready: Vec<u8>,
    at: usize,
    in_string: bool,
    escaped: bool,
    /// A minus or a word with a capital letter, as far as it was read.
    word: Vec<u8>,
}

impl<R: BufRead> PythonJson<R> {
    /// Without `quote` the text stays as it is, for records without numbers that may be such a
    /// word: there it is no JSON.
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
        let goes_on = !self.word.is_empty() && byte.is_ascii_alphabetic();
        if !goes_on {
            self.end_word();
        }
        if goes_on || byte.is_ascii_uppercase() || byte == b'-' {
            self.word.push(byte);
        } else {
            self.in_string = byte == b'"';
            self.ready.push(byte);
        }
    }

    fn end_word(&mut self) {
        let quoted =
            self.quote && matches!(self.word.as_slice(), b"NaN" | b"Infinity" | b"-Infinity");
        let quote: &[u8] = if quoted { b"\"" } else { b"" };
        self.ready.extend(quote);
        self.ready.append(&mut self.word);
        self.ready.extend(quote);
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

/// A number that may not be finite.
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

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Ok(Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
        match value {
            "NaN" => Ok(Number(f64::NAN)),
            "Infinity" => Ok(Number(f64::INFINITY)),
            "-Infinity" => Ok(Number(f64::NEG_INFINITY)),
            other => Err(E::invalid_type(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_quoted_outside_strings_whatever_the_chunks() {
        let text =
            r#"{"NaN": NaN, "a\"NaN": [Infinity,-Infinity], "b\\": NaN, "c": true, "d": -1e-5}"#;
        let expected = r#"{"NaN": "NaN", "a\"NaN": ["Infinity","-Infinity"], "b\\": "NaN", "c": true, "d": -1e-5}"#;
        for size in [1, 2, 3, 7, 64, 1000] {
            let from = std::io::BufReader::with_capacity(size, text.as_bytes());
            let mut found = String::new();
            PythonJson::new(from, true)
                .read_to_string(&mut found)
                .unwrap();
            assert_eq!(found, expected, "{size}");
        }
    }
}
