//! TensorBoard event files: scalars in TFRecord frames with masked CRC-32C.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::TrainError;

/// Writes scalars to a TensorBoard event file.
#[derive(Debug)]
pub(crate) struct EventWriter {
    path: PathBuf,
    file: File,
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited protobuf field.
fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// `Event { wall_time = 1, step = 2, ... }` of tensorflow/core/util/event.proto.
fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend_from_slice(&wall_time.to_le_bytes());
    out.push(2 << 3);
    varint(step, &mut out);
    out
}

/// `Summary.Value { tag = 1, simple_value = 2 }` in `Summary { value = 1 }` in `Event { summary = 5 }`.
fn scalars(step: u64, values: &[(String, f32)]) -> Vec<u8> {
    let mut summary = vec![];
    for (tag, value) in values {
        let mut entry = vec![];
        field(1, tag.as_bytes(), &mut entry);
        entry.push(2 << 3 | 5);
        entry.extend_from_slice(&value.to_le_bytes());
        field(1, &entry, &mut summary);
    }
    let mut out = event(now(), step);
    field(5, &summary, &mut out);
    out
}

fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), bytes, &masked_crc(bytes)].concat()
}

impl EventWriter {
    /// Creates `folder/events.out.tfevents.SECONDS.vlp.STEP`, one file each time the run is started or resumed. A number is
    /// appended if that file exists.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub(crate) fn create(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let name = format!("events.out.tfevents.{:010}.vlp.{step}", now() as u64);
        let mut path = folder.join(&name);
        let mut number = 0_u64;
        let mut file = loop {
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number += 1;
                    path = folder.join(format!("{name}.{number}"));
                }
                file => break file.map_err(TrainError::io(&path, "create the event file"))?,
            }
        };
        let mut version = event(now(), step);
        field(3, b"brain.Event:2", &mut version);
        file.write_all(&record(&version))
            .map_err(TrainError::io(&path, "write the event file"))?;
        Ok(Self { path, file })
    }

    /// The event file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the scalars of one step as (tag, value) pairs.
    ///
    /// # Errors
    /// The I/O error.
    pub(crate) fn write(&mut self, step: u64, values: &[(String, f32)]) -> io::Result<()> {
        self.file.write_all(&record(&scalars(step, values)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn frames_follow_the_tfrecord_format() {
        // Length and CRC with which TensorFlow starts a frame of 24 bytes.
        let frame = record(&[0u8; 24]);
        assert_eq!(&frame[..8], &24u64.to_le_bytes());
        assert_eq!(frame[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(frame.len(), 8 + 4 + 24 + 4);
    }

    #[test]
    fn scalars_follow_the_protobuf_format() {
        let bytes = scalars(300, &[("loss".into(), 1.5)]);
        assert_eq!(bytes[0], 0x09, "wall_time: field 1, 64 bit");
        assert_eq!(&bytes[9..12], &[0x10, 0xac, 0x02], "step 300 as a varint");
        assert_eq!(
            &bytes[12..],
            &[
                0x2a, 13, 0x0a, 11, 0x0a, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0xc0, 0x3f
            ]
        );
    }
}
