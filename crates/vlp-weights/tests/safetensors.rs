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

#[test]
fn prefixes_of_wrappers_are_removed() {
    let half = 0x3c00_u16.to_le_bytes();
    for prefix in [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
    ] {
        let (first, second) = (format!("{prefix}a.weight"), format!("{prefix}b"));
        let (_folder, path) = write_file(&[
            (&first, Dtype::F16, &[1], &half),
            (&second, Dtype::BF16, &[1], &[0x80, 0x3f]),
        ]);
        let file = WeightsFile::open(&path).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["a.weight", "b"]);
        assert_eq!(file.read_f32("a.weight").unwrap(), [1.0]);
        assert_eq!(file.info("b").unwrap().dtype, DType::BF16);
    }
    // A prefix of some names only belongs to the model.
    let (_folder, path) = write_file(&[
        ("module.a", Dtype::F16, &[1], &half),
        ("b", Dtype::F16, &[1], &half),
    ]);
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["b", "module.a"]);
}

#[test]
fn values_that_are_not_finite_are_not_imported() {
    let values = [1.0_f64, f64::NAN, 1e300].map(f64::to_le_bytes).concat();
    let (_folder, path) = write_file(&[("bn1.weight", Dtype::F64, &[3], &values)]);
    let file = WeightsFile::open(&path).unwrap();
    let parameters = [("model.backbone.stem.norm.gamma".to_owned(), vec![3])];
    let plan = ImportPlan::new(CheckpointLayout::TorchvisionResNet, &file, parameters);
    let text = file
        .read_parameter(&plan.copies[0])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("\"bn1.weight\"") && text.ends_with("2 values are NaN or infinite"),
        "{text}"
    );
}

#[test]
fn headers_with_duplicate_names_or_impossible_shapes_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let entry = |name: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]}}"#)
    };
    for entries in [
        vec![entry("a", "1", 0, 4), entry("a", "1", 4, 8)],
        vec![entry("a", "9223372036854775807,4", 0, 8)],
        vec![entry("a", "18446744073709551615", 0, 8)],
        vec![entry("a", "2", 8, 0)],
        vec![entry("a", "1", 0, 4), entry("b", "2", 0, 8)],
    ] {
        let header = format!("{{{}}}", entries.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend([0; 8]);
        std::fs::write(&path, bytes).unwrap();
        let error = WeightsFile::open(&path).unwrap_err();
        assert!(
            matches!(error, WeightsError::Format { .. }),
            "{header}: {error}"
        );
    }
}

#[test]
fn a_writer_replaces_no_file_that_it_did_not_create() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let other = folder.path().join("w.safetensors.partial");
    std::fs::write(&other, "of somebody else").unwrap();
    let shapes = BTreeMap::from([("a".to_owned(), vec![1])]);
    let create = || SafetensorsWriter::create(&path, &shapes, &BTreeMap::new()).unwrap();
    // Two writers of one path: the last to finish wins.
    let (mut first, mut second, abandoned) = (create(), create(), create());
    first.write("a", &[1.0]).unwrap();
    second.write("a", &[2.0]).unwrap();
    first.finish().unwrap();
    second.finish().unwrap();
    drop(abandoned);
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.read_f32("a").unwrap(), [2.0]);
    assert_eq!(std::fs::read(&other).unwrap(), b"of somebody else");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
