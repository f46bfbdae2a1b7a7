use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};
use vlp_weights::{Format, SafetensorsWriter, WeightsFile};

use super::pth::check_tensors;
use crate::input::{Mode, files};
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

/// A file as it is (`0`), or the text of its header and its values (`1`), before which the header's length is put.
pub fn safetensors(scratch: &Scratch, input: &[u8]) {
    let Some((mode, rest)) = Mode::split(input) else {
        return;
    };
    let bytes = match mode.below(2) {
        0 => rest.to_vec(),
        _ => {
            let [header, values] = files::<2>(rest);
            let length = (header.len() as u64).to_le_bytes();
            [&length, header, values].concat()
        }
    };
    let path = scratch.write("model.safetensors", &bytes);
    let opened = accepted(WeightsFile::open(&path));
    let Some(file) = opened else {
        return;
    };
    check_tensors(&file);
    if file.format() == Format::Safetensors {
        check_against_library(&file, &bytes);
        check_rewritten(scratch, &file);
    }
}

/// The library reads the whole file at once, and gives the same names and values.
fn check_against_library(file: &WeightsFile, bytes: &[u8]) {
    let library = SafeTensors::deserialize(bytes).must("a file that was read");
    assert_eq!(library.len(), file.names().len());
    for (name, tensor) in library.iter() {
        // Otherwise a wrapper's part of the names was left out.
        let Ok(info) = file.info(name) else {
            continue;
        };
        assert_eq!(info.shape, tensor.shape());
        if tensor.dtype() == Dtype::F32 {
            let values = file.read_f32(name).must(name);
            let stored: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            assert_eq!(stored, tensor.data());
        }
    }
}

/// Values are the same bits after they were written and read.
fn check_rewritten(scratch: &Scratch, file: &WeightsFile) {
    let tensors = file.tensors().filter_map(|(name, info)| {
        let values = accepted(file.read_f32(name))?;
        Some((name.to_owned(), (info.shape.clone(), values)))
    });
    let tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)> = tensors.collect();
    let shapes = tensors
        .iter()
        .map(|(name, (shape, _))| (name.clone(), shape.clone()))
        .collect();
    let path = scratch.path("rewritten.safetensors");
    let Some(mut writer) = accepted(SafetensorsWriter::create(&path, &shapes, file.metadata()))
    else {
        return;
    };
    for (name, (_, values)) in &tensors {
        writer.write(name, values).must(name);
    }
    writer.finish().must("rewritten");
    let reread = WeightsFile::open(&path).must("rewritten");
    assert_eq!(reread.metadata(), file.metadata());
    let bits = |values: &[f32]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    for (name, (_, values)) in &tensors {
        assert_eq!(bits(&reread.read_f32(name).must(name)), bits(values));
    }
}
