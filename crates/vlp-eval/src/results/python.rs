//! JSON numbers as in Python: `NaN`, `Infinity` and `-Infinity` are numbers, and decimals are rounded correctly.

use std::io::{BufRead, Read};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Prefix of a string that was a number.
pub(super) const NUMBER_PREFIX: &str = "#";

/// A reader that turns decimals and the three words of Python into strings. [`Number`] parses
/// those exactly, and errors for values that are not finite can name their record.
pub(super) struct PythonJson<R> {
    inner: R,
    quote_numbers: bool,
    /// Output, of which the first `consumed` bytes have been read.
    output: Vec<u8>,
    consumed: usize,
    in_string: bool,
    escaped: bool,
    /// The number or the word with a capital letter that the input is in.
    word: Vec<u8>,
}

impl<R: BufRead> PythonJson<R> {
    /// Without `quote_numbers` the words of Python become null, and other numbers are not changed.
    pub(super) fn new(inner: R, quote_numbers: bool) -> Self {
        Self {
            inner,
            quote_numbers,
            output: Vec::new(),
            consumed: 0,
            in_string: false,
            escaped: false,
            word: Vec::new(),
        }
    }

    fn push(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            self.output.push(byte);
            return;
        }
        let continues_word = byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let starts_word = byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if continues_word && (starts_word || !self.word.is_empty()) {
            self.word.push(byte);
        } else {
            self.end_word();
            self.in_string = byte == b'"';
            self.output.push(byte);
        }
    }

    fn end_word(&mut self) {
        let is_decimal = self.word.iter().any(|b| b".eE".contains(b));
        let is_not_finite = matches!(self.word.as_slice(), b"NaN" | b"Infinity" | b"-Infinity");
        if self.quote_numbers && (is_decimal || is_not_finite) {
            self.output.push(b'"');
            self.output.extend(NUMBER_PREFIX.as_bytes());
            self.output.append(&mut self.word);
            self.output.push(b'"');
        } else if is_not_finite {
            self.word.clear();
            self.output.extend(b"null");
        } else {
            self.output.append(&mut self.word);
        }
    }
}

impl<R: BufRead> Read for PythonJson<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.consumed == self.output.len() {
            self.output.clear();
            self.consumed = 0;
            let chunk = self.inner.fill_buf()?.to_vec();
            if chunk.is_empty() {
                self.end_word();
                break;
            }
            self.inner.consume(chunk.len());
            for byte in chunk {
                self.push(byte);
            }
        }
        let count = buffer.len().min(self.output.len() - self.consumed);
        buffer[..count].copy_from_slice(&self.output[self.consumed..self.consumed + count]);
        self.consumed += count;
        Ok(count)
    }
}

/// A number read through [`PythonJson`]; may be infinite or NaN.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number")
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
        // Rust parses the three words of Python, and values that are too large as infinite.
        let number = value
            .strip_prefix(NUMBER_PREFIX)
            .and_then(|text| text.parse().ok());
        let invalid = || E::invalid_type(Unexpected::Str(value), &self);
        Ok(Number(number.ok_or_else(invalid)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_outside_strings_are_quoted_for_any_chunk_size() {
        let text =
            r#"{"NaN": NaN, "a\"1.5": [Infinity,-Infinity], "b\\": 1.5, "c": [true,-1e-5,-10]}"#;
        let expected = r##"{"NaN": "#NaN", "a\"1.5": ["#Infinity","#-Infinity"], "b\\": "#1.5", "c": [true,"#-1e-5",-10]}"##;
        let nulls = r#"{"NaN": null, "a\"1.5": [null,null], "b\\": 1.5, "c": [true,-1e-5,-10]}"#;
        for size in [1, 2, 3, 7, 64, 1000] {
            let reader = || std::io::BufReader::with_capacity(size, text.as_bytes());
            let read = |quote_numbers| {
                let mut output = String::new();
                PythonJson::new(reader(), quote_numbers)
                    .read_to_string(&mut output)
                    .unwrap();
                output
            };
            assert_eq!(read(true), expected, "{size}");
            assert_eq!(read(false), nulls, "{size}");
        }
    }
}
