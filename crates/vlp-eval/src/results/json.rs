//! JSON files of many records, read and written one record at a time.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};

use super::FileError;
use super::python::{MARK, PythonJson};

/// What is done with a record and its index.
type Each<'a, T> = dyn FnMut(usize, T) -> Result<(), FileError> + 'a;

/// Hands every record of the JSON array in `file` to `each`.
pub(super) fn read_array<T: DeserializeOwned>(
    file: &Path,
    expected: &'static str,
    each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read_records(file, expected, false, each)
}

/// As [`read_array`], for records that hold [`super::python::Number`]s and no text.
pub(super) fn read_numbers<T: DeserializeOwned>(
    file: &Path,
    expected: &'static str,
    each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read_records(file, expected, true, each)
}

fn read_records<T: DeserializeOwned>(
    file: &Path,
    expected: &'static str,
    quote: bool,
    mut each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read(file, expected, quote, |from, state| {
        let list = Records {
            state,
            each: &mut each,
        };
        list.deserialize(from)
    })
}

/// Hands every record of the array under `key` of the JSON object in `file` to `each`.
pub(super) fn read_list<T: DeserializeOwned>(
    file: &Path,
    key: &'static str,
    expected: &'static str,
    mut each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read(file, expected, false, |from, state| {
        let list = Records {
            state,
            each: &mut each,
        };
        from.deserialize_map(Keyed { key, list })
    })
}

/// Where reading is, and the error of ours that ended it.
#[derive(Default)]
struct State {
    index: Cell<usize>,
    stopped: RefCell<Option<FileError>>,
}

type Json = serde_json::Deserializer<serde_json::de::IoRead<PythonJson<BufReader<File>>>>;

fn read(
    file: &Path,
    expected: &'static str,
    quote: bool,
    run: impl FnOnce(&mut Json, &State) -> serde_json::Result<()>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Read {
        file: file.to_owned(),
        source,
    };
    let opened = File::open(file).map_err(fail)?;
    let mut from =
        serde_json::Deserializer::from_reader(PythonJson::new(BufReader::new(opened), quote));
    let state = State::default();
    let result = run(&mut from, &state).and_then(|()| from.end());
    if let Some(error) = state.stopped.take() {
        return Err(error);
    }
    result.map_err(|error| match error.io_error_kind() {
        Some(_) => fail(error.into()),
        None => FileError::BadRecord {
            file: file.to_owned(),
            index: state.index.get(),
            reason: error
                .to_string()
                .replace(&format!("string \"{MARK}"), "number \""),
            expected,
        },
    })
}

struct Records<'a, 'b, T> {
    state: &'a State,
    each: &'a mut Each<'b, T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Records<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Records<'_, '_, T> {
    type Value = ();

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        while let Some(record) = from.next_element::<T>()? {
            let index = self.state.index.get();
            if let Err(error) = (self.each)(index, record) {
                self.state.stopped.replace(Some(error));
                return Err(serde::de::Error::custom("stopped"));
            }
            self.state.index.set(index + 1);
        }
        Ok(())
    }
}

struct Keyed<'a, 'b, T> {
    key: &'static str,
    list: Records<'a, 'b, T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Keyed<'_, '_, T> {
    type Value = ();

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "an object with the list {:?}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let mut list = Some(self.list);
        while let Some(key) = from.next_key::<String>()? {
            match (key == self.key).then(|| list.take()).flatten() {
                Some(list) => from.next_value_seed(list)?,
                None => {
                    from.next_value::<IgnoredAny>()?;
                }
            }
        }
        match list {
            None => Ok(()),
            Some(_) => Err(serde::de::Error::custom(format!("no list {:?}", self.key))),
        }
    }
}

/// Writes records as one JSON array, one a line, after `check` has passed each. The file appears
/// whole or not at all.
pub(super) fn write_array<T: Serialize>(
    file: &Path,
    records: impl IntoIterator<Item = T>,
    mut check: impl FnMut(usize, &T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    write(file, |to, fail| {
        let mut open = "[\n";
        for (index, record) in records.into_iter().enumerate() {
            check(index, &record)?;
            to.write_all(open.as_bytes()).map_err(fail)?;
            serde_json::to_writer(&mut *to, &record).map_err(|e| fail(e.into()))?;
            open = ",\n";
        }
        let close = if open == "[\n" { "[]\n" } else { "\n]\n" };
        to.write_all(close.as_bytes()).map_err(fail)
    })
}

type Fail<'a> = &'a dyn Fn(std::io::Error) -> FileError;

/// Writes a file beside and renames it when it is whole.
pub(super) fn write(
    file: &Path,
    fill: impl FnOnce(&mut BufWriter<File>, Fail<'_>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Write {
        file: file.to_owned(),
        source,
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let mut to = BufWriter::new(File::create(&partial).map_err(fail)?);
    let filled = fill(&mut to, &fail)
        .and_then(|()| to.flush().map_err(fail))
        .and_then(|()| std::fs::rename(&partial, file).map_err(fail));
    if filled.is_err() {
        // What is half written is of no use; that it stays would be no second error to report.
        let _ = std::fs::remove_file(&partial);
    }
    filled
}
