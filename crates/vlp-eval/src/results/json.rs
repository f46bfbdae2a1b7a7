//! JSON files read and written record by record.

use std::cell::{Cell, RefCell};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use vlp_files::PartialFile;

use super::error::FileError;
use super::python::{NUMBER_PREFIX, PythonJson};
use super::text_file::{TextReader, open_text};

/// Callback for a record and its index.
type Each<'a, T> = dyn FnMut(usize, T) -> Result<(), FileError> + 'a;

/// Calls `each` with every record of the JSON array in `file`.
pub(super) fn read_array<T: DeserializeOwned>(
    file: &Path,
    expected: &'static str,
    each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read_records(file, expected, false, each)
}

/// Same as [`read_array`] for records with [`super::python::Number`]s and without text.
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
    quote_numbers: bool,
    mut each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read(file, expected, quote_numbers, |deserializer, state| {
        let list = Records {
            state,
            each: &mut each,
        };
        list.deserialize(deserializer)
    })
}

/// Calls `each` with every record of the array under `key` of the JSON object in `file`.
pub(super) fn read_list<T: DeserializeOwned>(
    file: &Path,
    key: &'static str,
    expected: &'static str,
    each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    read_list_under_key(file, key, true, expected, each).map(|_| ())
}

/// Same as [`read_list`] for a key that may be absent or null, for which it returns `false`.
pub(super) fn read_optional_list<T: DeserializeOwned>(
    file: &Path,
    key: &'static str,
    expected: &'static str,
    each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<bool, FileError> {
    read_list_under_key(file, key, false, expected, each)
}

fn read_list_under_key<T: DeserializeOwned>(
    file: &Path,
    key: &'static str,
    required: bool,
    expected: &'static str,
    mut each: impl FnMut(usize, T) -> Result<(), FileError>,
) -> Result<bool, FileError> {
    let mut is_present = false;
    read(file, expected, false, |deserializer, state| {
        let list = Records {
            state,
            each: &mut each,
        };
        is_present = deserializer.deserialize_map(ListUnderKey {
            key,
            required,
            list,
        })?;
        Ok(())
    })?;
    Ok(is_present)
}

/// Index of the current record, and the error of the callback.
#[derive(Default)]
struct State {
    index: Cell<usize>,
    error: RefCell<Option<FileError>>,
}

type Json = serde_json::Deserializer<serde_json::de::IoRead<PythonJson<TextReader>>>;

fn read(
    file: &Path,
    expected: &'static str,
    quote_numbers: bool,
    run: impl FnOnce(&mut Json, &State) -> serde_json::Result<()>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Read {
        file: file.to_owned(),
        source,
    };
    let reader = PythonJson::new(open_text(file)?, quote_numbers);
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let state = State::default();
    let result = run(&mut deserializer, &state).and_then(|()| deserializer.end());
    if let Some(error) = state.error.take() {
        return Err(error);
    }
    result.map_err(|error| match error.io_error_kind() {
        Some(_) => fail(error.into()),
        None => FileError::BadRecord {
            file: file.to_owned(),
            index: state.index.get(),
            reason: error
                .to_string()
                .replace(&format!("string \"{NUMBER_PREFIX}"), "number \""),
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

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Records<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(record) = access.next_element::<T>()? {
            let index = self.state.index.get();
            if let Err(error) = (self.each)(index, record) {
                self.state.error.replace(Some(error));
                return Err(serde::de::Error::custom("stopped"));
            }
            self.state.index.set(index + 1);
        }
        Ok(())
    }
}

/// [`Records`] or null; whether it was a list.
struct OptionalRecords<'a, 'b, T>(Records<'a, 'b, T>);

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for OptionalRecords<'_, '_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for OptionalRecords<'_, '_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.0.deserialize(deserializer).map(|()| true)
    }
}

/// The list under a key of an object; whether there is one.
struct ListUnderKey<'a, 'b, T> {
    key: &'static str,
    required: bool,
    list: Records<'a, 'b, T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for ListUnderKey<'_, '_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object with the list {:?}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let Self {
            key: list_key,
            required,
            list,
        } = self;
        let (mut list, mut is_present) = (Some(list), false);
        while let Some(key) = access.next_key::<String>()? {
            if key != list_key {
                access.next_value::<IgnoredAny>()?;
                continue;
            }
            // Python keeps the last of several lists, other tools the first.
            let Some(list) = list.take() else {
                let error = format!("there is a second list {list_key:?}");
                return Err(serde::de::Error::custom(error));
            };
            is_present = match required {
                true => access.next_value_seed(list).map(|()| true)?,
                false => access.next_value_seed(OptionalRecords(list))?,
            };
        }
        if required && !is_present {
            let error = format!("no list {list_key:?}");
            return Err(serde::de::Error::custom(error));
        }
        Ok(is_present)
    }
}

/// Writes records as one JSON array, one per line, if `check` accepts all of them. The file is renamed into place
/// when it is complete.
pub(super) fn write_array<T: Serialize>(
    file: &Path,
    records: impl IntoIterator<Item = T>,
    mut check: impl FnMut(usize, &T) -> Result<(), FileError>,
) -> Result<(), FileError> {
    write(file, |writer, fail| {
        let mut open = "[\n";
        for (index, record) in records.into_iter().enumerate() {
            check(index, &record)?;
            writer.write_all(open.as_bytes()).map_err(fail)?;
            serde_json::to_writer(&mut *writer, &record).map_err(|e| fail(e.into()))?;
            open = ",\n";
        }
        let close = if open == "[\n" { "[]\n" } else { "\n]\n" };
        writer.write_all(close.as_bytes()).map_err(fail)
    })
}

type Fail<'a> = &'a dyn Fn(std::io::Error) -> FileError;

/// Writes a temporary file in the same folder and renames it when it is complete.
pub(super) fn write(
    file: &Path,
    fill: impl FnOnce(&mut BufWriter<PartialFile>, Fail<'_>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Write {
        file: file.to_owned(),
        source,
    };
    let partial = PartialFile::create(file).map_err(fail)?;
    let mut writer = BufWriter::new(partial);
    fill(&mut writer, &fail)?;
    let partial = writer.into_inner().map_err(|e| fail(e.into_error()))?;
    partial.finish().map_err(fail)
}
