//! `.safetensors` files of other writers and of this crate, and conversion to parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;
use vlp_weights::{
    CheckpointLayout, DType, Format, ImportPlan, SafetensorsWriter, WeightsError, WeightsFile,
};

/// A file written by the `safetensors` crate.
fn write_file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> (TempDir, PathBuf) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.to_vec(), bytes).unwrap();
        (*name, view)
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), &path).unwrap();
    (folder, path)
}

#[test]
fn types_and_metadata_are_read() {
    let (_folder, path) = write_file(&[
        ("half", Dtype::F16, &[2], &[0x00, 0x3c, 0x00, 0xc0]),
        ("long", Dtype::I64, &[1], &5_i64.to_le_bytes()),
        ("tiny", Dtype::F8_E4M3, &[3], &[1, 2, 3]),
    ]);
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.format(), Format::Safetensors);
    assert_eq!(file.metadata()["format"], "pt");
    assert_eq!(file.names().collect::<Vec<_>>(), ["half", "long", "tiny"]);
    assert_eq!(file.read_f32("half").unwrap(), [1.0, -2.0]);
    assert_eq!(file.read_f32("long").unwrap(), [5.0]);
    assert_eq!(file.info("tiny").unwrap().dtype, DType::Other("F8_E4M3"));
    let error = file.read_f32("tiny").unwrap_err();
    assert!(matches!(error, WeightsError::Type { .. }));
    assert!(
        error
            .to_string()
            .contains("\"tiny\" is of type F8_E4M3; save it as float32")
    );
}

#[test]
fn a_truncated_file_is_rejected_on_open() {
    let (_folder, path) = write_file(&[("a", Dtype::F32, &[2], &[0; 8])]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let error = WeightsFile::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("the header declares 8 bytes of values, the file has 5"),
        "{error}"
    );
}

#[test]
fn a_joint_projection_is_split_into_three_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detr.safetensors");
    let attention = "transformer.decoder.layers.1.multihead_attn";
    let shapes = BTreeMap::from([
        (format!("{attention}.in_proj_weight"), vec![6, 2]),
        (format!("{attention}.in_proj_bias"), vec![6]),
    ]);
    let mut writer = SafetensorsWriter::create(&path, &shapes, &BTreeMap::new()).unwrap();
    let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
    writer
        .write(&format!("{attention}.in_proj_weight"), &values)
        .unwrap();
    writer
        .write(&format!("{attention}.in_proj_bias"), &values[..6])
        .unwrap();
    writer.finish().unwrap();

    let file = WeightsFile::open(&path).unwrap();
    let parameters = ["query", "key", "value"]
        .into_iter()
        .flat_map(|projection| {
            let path = format!("model.decoder.layers.1.cross_attention.{projection}");
            [
                (format!("{path}.weight"), vec![2, 2]),
                (format!("{path}.bias"), vec![2]),
            ]
        });
    let plan = ImportPlan::new(CheckpointLayout::FacebookDetr, &file, parameters);
    let values: Vec<_> = plan
        .copies
        .iter()
        .map(|copy| file.read_parameter(copy).unwrap())
        .collect();
    // `[out, in]` becomes `[in, out]`.
    let expected: [&[f32]; 6] = [
        &[0.0, 2.0, 1.0, 3.0],
        &[0.0, 1.0],
        &[4.0, 6.0, 5.0, 7.0],
        &[2.0, 3.0],
        &[8.0, 10.0, 9.0, 11.0],
        &[4.0, 5.0],
    ];
    assert_eq!(values, expected);
    assert_eq!(
        plan.to_string(),
        "facebook-detr: 6 parameters from the file, 0 shape mismatches, 0 missing, 0 untouched; other tensors: \
         0 unused, 0 of layers that the model lacks, 0 unknown"
    );
}
