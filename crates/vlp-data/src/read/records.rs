//! Annotation files record by record: only one record is in memory at a time, and a wrong one does not spoil the rest.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde::de::DeserializeOwned;

use crate::DataError;

/// Longest record that is read, in bytes; a longer one is skipped and a fault.
pub(crate) const MAX_RECORD: usize = 64 << 20;

/// The text of one record.
pub(crate) struct Raw<'a> {
    bytes: &'a [u8],
    too_long: bool,
    /// Number of the record in its list, or of the line it ends on in JSON lines, from 1.
    pub(crate) number: usize,
}

impl<'a> Raw<'a> {
    /// A record that is not from a file of records.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            too_long: bytes.len() > MAX_RECORD,
            number: 1,
        }
    }

    /// The record, or what is wrong with it.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        if self.too_long {
            return Err(format!("it is longer than {MAX_RECORD} bytes"));
        }
        serde_json::from_slice(self.bytes).or_else(|error| {
            // Python writes NaN and Infinity, which JSON does not have: as `null` they are one wrong number, not a
            // wrong record.
            match finite(self.bytes) {
                Some(mended) => serde_json::from_slice(&mended).map_err(|error| reason(&error)),
                None => Err(reason(&error)),
            }
        })
    }
}

/// Without the place, which is that in the record and not in the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => format!("{}, at its byte {}", &text[..at], error.column()),
        None => text,
    }
}

/// The record with `null` for NaN and Infinity outside of strings; `None` where there is none.
fn finite(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut string, mut escaped, mut found) = (Vec::new(), false, false, false);
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if !string
            && let Some(word) = [&b"NaN"[..], b"-Infinity", b"Infinity", b"-NaN"]
                .into_iter()
                .find(|word| rest.starts_with(word))
        {
            found = true;
            out.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = string,
            b'"' => string = !string,
            _ => {}
        }
        out.push(byte);
        rest = tail;
    }
    found.then_some(out)
}

/// Gives each element of the top-level lists `required` and `optional` to `each`, with the list's name, in the file's
/// order. A file that is a list itself has the name `""`.
///
/// # Errors
/// [`DataError::Io`], or [`DataError::Format`] where the file is no JSON as far as lists and fields go, or lacks a
/// required list.
pub(crate) fn lists(
    path: &Path,
    required: &[&str],
    optional: &[&str],
    mut each: impl FnMut(&str, Raw<'_>),
) -> Result<(), DataError> {
    let mut scanner = Scanner::open(path)?;
    let mut found: Vec<&str> = Vec::new();
    let wanted = |name: &str| {
        let mut all = required.iter().chain(optional);
        all.find(|&&wanted| wanted == name).copied()
    };
    let listed = || {
        let names: Vec<String> = required.iter().map(|name| format!("{name:?}")).collect();
        format!("an object with {}", names.join(", "))
    };
    match scanner.token()? {
        b'[' => match wanted("") {
            Some(name) => return scanner.elements(name, &mut each),
            None => return Err(scanner.wrong(format!("a list; it must be {}", listed()))),
        },
        b'{' => {}
        _ => return Err(scanner.wrong(format!("no JSON; it must be {}", listed()))),
    }
    let mut key = Vec::new();
    if scanner.peek()? == b'}' {
        scanner.token()?;
    } else {
        loop {
            key.clear();
            scanner.peek()?;
            scanner.value(Some(&mut key))?;
            scanner.expect(b':')?;
            let name: String = serde_json::from_slice(&key)
                .map_err(|_| scanner.wrong("a field without a name".into()))?;
            match wanted(&name) {
                Some(name) => {
                    if scanner.token()? != b'[' {
                        return Err(scanner.wrong(format!("{name:?} is not a list")));
                    }
                    scanner.elements(name, &mut each)?;
                    found.push(name);
                }
                None => {
                    scanner.peek()?;
                    scanner.value(None)?;
                }
            }
            match scanner.token()? {
                b',' => {}
                b'}' => break,
                _ => return Err(scanner.wrong("no comma or } after a field".into())),
            }
        }
    }
    match required.iter().find(|name| !found.contains(name)) {
        Some(name) => Err(scanner.wrong(format!("no list {name:?}; it must be {}", listed()))),
        None => Ok(()),
    }
}

/// Gives each line that is not blank to `each`.
///
/// # Errors
/// [`DataError::Io`].
pub(crate) fn lines(path: &Path, mut each: impl FnMut(Raw<'_>)) -> Result<(), DataError> {
    let mut scanner = Scanner::open(path)?;
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let (mut too_long, mut ended) = (false, false);
        while !ended {
            let buffer = scanner.reader.fill_buf().map_err(DataError::io(path))?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            ended = end.is_some();
            let taken = end.map_or(buffer.len(), |end| end + 1);
            too_long |= !append(&mut line, &buffer[..taken]);
            scanner.reader.consume(taken);
        }
        if !line.trim_ascii().is_empty() || too_long {
            let bytes = line.trim_ascii();
            each(Raw {
                bytes,
                too_long,
                number,
            });
        }
        if !ended {
            return Ok(());
        }
    }
}

/// The elements of a file that is one JSON list, or its lines where it is JSON lines.
///
/// # Errors
/// As [`lists`].
pub(crate) fn list_or_lines(path: &Path, mut each: impl FnMut(Raw<'_>)) -> Result<(), DataError> {
    let first = Scanner::open(path)?.token();
    match first? {
        b'[' => lists(path, &[""], &[], |_, raw| each(raw)),
        _ => lines(path, each),
    }
}

/// Appends to a record, or refuses where it would grow too long.
fn append(record: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let fits = record.len() + bytes.len() <= MAX_RECORD;
    if fits {
        record.extend_from_slice(bytes);
    }
    fits
}

struct Scanner<'a> {
    reader: BufReader<File>,
    path: &'a Path,
    /// From 1.
    line: usize,
}

impl<'a> Scanner<'a> {
    /// At the file's first byte, or after the mark of byte order that some editors write.
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io(path))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        if reader
            .fill_buf()
            .map_err(DataError::io(path))?
            .starts_with(b"\xef\xbb\xbf")
        {
            reader.consume(3);
        }
        Ok(Self {
            reader,
            path,
            line: 1,
        })
    }

    fn wrong(&self, what: String) -> DataError {
        DataError::Format {
            path: self.path.into(),
            reason: format!("line {}: {what}", self.line),
        }
    }

    fn cut_off(&self) -> DataError {
        self.wrong("the file ends in the middle; is it a part of the file only?".into())
    }

    /// The next byte that is not white space, not taken.
    fn peek(&mut self) -> Result<u8, DataError> {
        loop {
            let buffer = self.reader.fill_buf().map_err(DataError::io(self.path))?;
            match buffer.first() {
                None => return Err(self.cut_off()),
                Some(b'\n') => self.line += 1,
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(&byte) => return Ok(byte),
            }
            self.reader.consume(1);
        }
    }

    /// The next byte that is not white space, taken.
    fn token(&mut self) -> Result<u8, DataError> {
        let byte = self.peek()?;
        self.reader.consume(1);
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), DataError> {
        if self.token()? == byte {
            return Ok(());
        }
        Err(self.wrong(format!("no {:?} where one belongs", char::from(byte))))
    }

    /// The elements of a list of which the bracket has been taken.
    fn elements(
        &mut self,
        name: &str,
        each: &mut impl FnMut(&str, Raw<'_>),
    ) -> Result<(), DataError> {
        if self.peek()? == b']' {
            return self.expect(b']');
        }
        let (mut record, mut number) = (Vec::new(), 0);
        loop {
            record.clear();
            number += 1;
            self.peek()?;
            let too_long = !self.value(Some(&mut record))?;
            each(
                name,
                Raw {
                    bytes: &record,
                    too_long,
                    number,
                },
            );
            match self.token()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(self.wrong("no comma or ] after a record".into())),
            }
        }
    }

    /// Takes a value by its brackets and quotes; `false` where it was too long to keep.
    fn value(&mut self, mut keep: Option<&mut Vec<u8>>) -> Result<bool, DataError> {
        let (mut depth, mut string, mut escaped, mut fits) = (0_usize, false, false, true);
        loop {
            let buffer = self.reader.fill_buf().map_err(DataError::io(self.path))?;
            if buffer.is_empty() {
                return Err(self.cut_off());
            }
            let mut end = None;
            for (at, &byte) in buffer.iter().enumerate() {
                if byte == b'\n' {
                    self.line += 1;
                }
                if string {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => string = false,
                        _ => continue,
                    }
                    if string || depth > 0 {
                        continue;
                    }
                    end = Some(at + 1);
                    break;
                }
                match byte {
                    b'"' => string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' | b',' | b':' if depth == 0 => end = Some(at),
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            end = Some(at + 1);
                        }
                    }
                    _ => {}
                }
                if end.is_some() {
                    break;
                }
            }
            let taken = end.unwrap_or(buffer.len());
            if let Some(keep) = keep.as_deref_mut() {
                fits &= append(keep, &buffer[..taken]);
            }
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(fits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A list's name, and a record of it.
    type Listed = (String, Result<Value, String>);

    fn read(text: &[u8], required: &[&str]) -> Result<Vec<Listed>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut got = Vec::new();
        lists(file.path(), required, &[], |name, raw| {
            got.push((name.to_owned(), raw.parse()));
        })
        .map_err(|error| error.to_string())?;
        Ok(got)
    }

    #[test]
    fn one_wrong_record_does_not_spoil_the_rest() {
        let text = br#"{"info": {"a": "]}"}, "n": -1.5e3, "list": [{"x": [1, NaN, "NaN \" ]"]}, {"x": }, 3]}"#;
        let got = read(text, &["list"]).unwrap();
        assert_eq!(got.len(), 3);
        assert_eq!(got[0].1, Ok(json!({"x": [1, null, "NaN \" ]"]})));
        assert!(got[1].1.as_ref().is_err_and(|why| why.contains("byte")));
        assert_eq!(got[2].1, Ok(json!(3)));
    }

    #[test]
    fn wrong_files_are_named_with_their_line() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "line 1: the file ends"),
            (b"{\"list\": [1,\n2", "line 2: the file ends"),
            (b"{\"other\": []}", "line 1: no list \"list\""),
            (b"{\n\n\"list\": 3}", "line 3: \"list\" is not a list"),
            (b"[1]", "a list; it must be an object"),
            (b"hello", "no JSON"),
            (b"{\"list\": [1 ]  7}", "no comma or }"),
            (b"{\"list\" 3}", "no ':'"),
            (b"{\"list\": [{\"a\": ]}]}", "after a record"),
        ];
        for (text, expected) in cases {
            let error = read(text, &["list"]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(read(b"\xef\xbb\xbf{\"list\": []}", &["list"]), Ok(vec![]));
        assert_eq!(read(b"[]", &[""]), Ok(vec![]));
    }

    #[test]
    fn lines_keep_their_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1\r\n\n{\"a\":\n  3  ").unwrap();
        let mut got = Vec::new();
        lines(file.path(), |raw| {
            got.push((raw.number, raw.parse::<Value>().ok()));
        })
        .unwrap();
        assert_eq!(got, [(1, Some(json!(1))), (3, None), (4, Some(json!(3)))]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\\[\\]{}\",:\\\\\n é]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"{\\]]{0,4}", inner, 0..4)
                    .prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn any_list_is_cut_at_its_records(list in prop::collection::vec(values(), 0..6), other in values(), pretty: bool) {
            let file = json!({ "before": other, "list": list, "zafter": other });
            let text = if pretty { serde_json::to_vec_pretty(&file) } else { serde_json::to_vec(&file) }.unwrap();
            let got: Vec<Value> = read(&text, &["list"]).unwrap().into_iter().map(|(_, value)| value.unwrap()).collect();
            prop_assert_eq!(got, list);
        }

        #[test]
        fn any_bytes_are_no_panic(text in prop::collection::vec(prop::sample::select(b"[]{}\",:\\ \n1a".to_vec()), 0..40)) {
            let _ = read(&text, &["a"]);
            let _ = read(&text, &[""]);
        }
    }
}
