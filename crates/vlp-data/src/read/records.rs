//! Reads annotation files record by record: only one record is in memory at a time, and an invalid one does not affect the
//! others.

use std::{io::BufRead as _, path::Path};

use serde::de::DeserializeOwned;

pub(crate) use super::scanner::MAX_RECORD;
use super::scanner::{Scanner, append};
use crate::DataError;

/// The text of one record.
pub(crate) struct RawRecord<'a> {
    bytes: &'a [u8],
    too_long: bool,
    /// Number of the record in its list, or of the line in JSON lines, from 1.
    pub(crate) number: usize,
}

impl<'a> RawRecord<'a> {
    /// A record that does not come from a list.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            too_long: bytes.len() > MAX_RECORD,
            number: 1,
        }
    }

    /// Deserializes the record.
    ///
    /// # Errors
    /// What is wrong with the record.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        if self.too_long {
            return Err(format!("it is longer than {MAX_RECORD} bytes"));
        }
        serde_json::from_slice(self.bytes).or_else(|error| {
            // Python writes NaN and Infinity, which are not JSON. As `null` only the number is invalid, not the record.
            match replace_non_finite(self.bytes) {
                Some(json) => serde_json::from_slice(&json).map_err(|error| message(&error)),
                None => Err(message(&error)),
            }
        })
    }
}

/// The error with a byte offset, because the line that serde reports is relative to the record.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => format!("{}, at its byte {}", &text[..end], error.column()),
        None => text,
    }
}

/// The record with `null` for NaN and Infinity outside of strings; `None` if it has neither.
fn replace_non_finite(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let (mut in_string, mut escaped, mut replaced) = (false, false, false);
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if !in_string
            && let Some(word) = [&b"NaN"[..], b"-Infinity", b"Infinity", b"-NaN"]
                .into_iter()
                .find(|word| rest.starts_with(word))
        {
            replaced = true;
            output.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
        output.push(byte);
        rest = tail;
    }
    replaced.then_some(output)
}

/// Calls `each` with the name and every element of the top-level lists `required` and `optional`, in the file's order. The
/// name of a file that is itself a list is `""`.
///
/// # Errors
/// [`DataError::Io`], or [`DataError::Format`] if the file is not JSON at the level of lists and fields, or lacks a required
/// list.
pub(crate) fn lists(
    path: &Path,
    required: &[&str],
    optional: &[&str],
    mut each: impl FnMut(&str, RawRecord<'_>),
) -> Result<(), DataError> {
    let mut scanner = Scanner::open(path)?;
    let mut present: Vec<&str> = Vec::new();
    let list_name = |name: &str| {
        let mut lists = required.iter().chain(optional);
        lists.find(|&&list| list == name).copied()
    };
    let file_list = list_name("");
    let expected = match file_list {
        Some(_) => "a list of records".to_owned(),
        None => {
            let names: Vec<String> = required.iter().map(|name| format!("{name:?}")).collect();
            format!("an object with {}", names.join(", "))
        }
    };
    let problem = match (scanner.token()?, file_list) {
        (b'[', Some(name)) => return elements(&mut scanner, name, &mut each),
        (b'[', None) => Some("a list"),
        (b'{', Some(_)) => Some("an object"),
        (b'{', None) => None,
        _ => Some("not JSON"),
    };
    if let Some(problem) = problem {
        return Err(scanner.format_error(format!("{problem}; it must be {expected}")));
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
                .map_err(|_| scanner.format_error("a field without a name".into()))?;
            match list_name(&name) {
                Some(name) => {
                    if scanner.token()? != b'[' {
                        return Err(scanner.format_error(format!("{name:?} is not a list")));
                    }
                    elements(&mut scanner, name, &mut each)?;
                    present.push(name);
                }
                None => {
                    scanner.peek()?;
                    scanner.value(None)?;
                }
            }
            match scanner.token()? {
                b',' => {}
                b'}' => break,
                _ => return Err(scanner.format_error("no comma or } after a field".into())),
            }
        }
    }
    match required.iter().find(|name| !present.contains(name)) {
        Some(name) => Err(scanner.format_error(format!("no list {name:?}; it must be {expected}"))),
        None => Ok(()),
    }
}

/// The elements of a list whose opening bracket has been consumed.
fn elements(
    scanner: &mut Scanner<'_>,
    name: &str,
    each: &mut impl FnMut(&str, RawRecord<'_>),
) -> Result<(), DataError> {
    if scanner.peek()? == b']' {
        return scanner.expect(b']');
    }
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        number += 1;
        scanner.peek()?;
        let too_long = !scanner.value(Some(&mut bytes))?;
        each(
            name,
            RawRecord {
                bytes: &bytes,
                too_long,
                number,
            },
        );
        match scanner.token()? {
            b',' => {}
            b']' => return Ok(()),
            _ => return Err(scanner.format_error("no comma or ] after a record".into())),
        }
    }
}

/// Calls `each` with every line that is not blank.
///
/// # Errors
/// [`DataError::Io`].
pub(crate) fn lines(path: &Path, mut each: impl FnMut(RawRecord<'_>)) -> Result<(), DataError> {
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
            let consumed = end.map_or(buffer.len(), |end| end + 1);
            too_long |= !append(&mut line, &buffer[..consumed]);
            scanner.reader.consume(consumed);
        }
        if !line.trim_ascii().is_empty() || too_long {
            let bytes = line.trim_ascii();
            each(RawRecord {
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

/// The elements of a file that is a JSON list, or the lines of any other file.
///
/// # Errors
/// As [`lists`].
pub(crate) fn list_or_lines(
    path: &Path,
    mut each: impl FnMut(RawRecord<'_>),
) -> Result<(), DataError> {
    let first = Scanner::open(path)?.token();
    match first? {
        b'[' => lists(path, &[""], &[], |_, record| each(record)),
        _ => lines(path, each),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The name of a list, and a parsed record of it.
    type ListRecord = (String, Result<Value, String>);

    fn read(text: &[u8], required: &[&str]) -> Result<Vec<ListRecord>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut records = Vec::new();
        lists(file.path(), required, &[], |name, record| {
            records.push((name.to_owned(), record.parse()));
        })
        .map_err(|error| error.to_string())?;
        Ok(records)
    }

    #[test]
    fn an_invalid_record_does_not_affect_the_others() {
        let text = br#"{"info": {"a": "]}"}, "n": -1.5e3, "list": [{"x": [1, NaN, "NaN \" ]"]}, {"x": }, 3]}"#;
        let records = read(text, &["list"]).unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].1, Ok(json!({"x": [1, null, "NaN \" ]"]})));
        assert!(records[1].1.as_ref().is_err_and(|why| why.contains("byte")));
        assert_eq!(records[2].1, Ok(json!(3)));
    }

    #[test]
    fn format_errors_name_the_line() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "line 1: the file ends"),
            (b"{\"list\": [1,\n2", "line 2: the file ends"),
            (b"{\"other\": []}", "line 1: no list \"list\""),
            (b"{\n\n\"list\": 3}", "line 3: \"list\" is not a list"),
            (b"[1]", "a list; it must be an object"),
            (b"hello", "not JSON"),
            (b"{\"list\": [1 ]  7}", "no comma or }"),
            (b"{\"list\" 3}", "expected ':'"),
            (b"{\"list\": [{\"a\": ]}]}", "after a record"),
        ];
        for (text, expected) in cases {
            let error = read(text, &["list"]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        for (text, expected) in [
            (
                &b"{\"list\": []}"[..],
                "an object; it must be a list of records",
            ),
            (b"hello", "not JSON; it must be a list of records"),
        ] {
            let error = read(text, &[""]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(read(b"\xef\xbb\xbf{\"list\": []}", &["list"]), Ok(vec![]));
        for text in [b"\xff\xfe[\0]\0", b"\xfe\xff\0[\0]"] {
            assert!(read(text, &[""]).unwrap_err().contains("UTF-16"));
        }
        assert_eq!(read(b"[]", &[""]), Ok(vec![]));
    }

    #[test]
    fn blank_lines_count_in_line_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1\r\n\n{\"a\":\n  3  ").unwrap();
        let mut records = Vec::new();
        lines(file.path(), |record| {
            records.push((record.number, record.parse::<Value>().ok()));
        })
        .unwrap();
        assert_eq!(
            records,
            [(1, Some(json!(1))), (3, None), (4, Some(json!(3)))]
        );
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
        fn any_list_is_split_into_its_records(list in prop::collection::vec(values(), 0..6), other in values(), pretty: bool) {
            let file = json!({ "before": other, "list": list, "zafter": other });
            let text = if pretty { serde_json::to_vec_pretty(&file) } else { serde_json::to_vec(&file) }.unwrap();
            let records: Vec<Value> = read(&text, &["list"]).unwrap().into_iter().map(|(_, value)| value.unwrap()).collect();
            prop_assert_eq!(records, list);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(text in prop::collection::vec(prop::sample::select(b"[]{}\",:\\ \n1a".to_vec()), 0..40)) {
            let _ = read(&text, &["a"]);
            let _ = read(&text, &[""]);
        }
    }
}
