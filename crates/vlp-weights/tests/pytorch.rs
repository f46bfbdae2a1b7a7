//! Files written by PyTorch, and malicious ones (`scripts/weights/files.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use vlp_weights::{DType, Format, WeightsError, WeightsFile};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/files")
        .join(name)
}

fn open(name: &str) -> WeightsFile {
    WeightsFile::open(path(name)).unwrap_or_else(|e| panic!("{e}"))
}

fn names(file: &WeightsFile) -> Vec<&str> {
    file.names().collect()
}

#[test]
fn state_dicts_are_unwrapped() {
    let files = [
        ("plain.pth", Format::PyTorch),
        ("legacy.pth", Format::PyTorchLegacy),
        ("deflated.pth", Format::PyTorch),
        ("detr_like.pth", Format::PyTorch),
        ("parallel.pth", Format::PyTorch),
    ];
    for (name, format) in files {
        let file = open(name);
        assert_eq!(file.format(), format, "{name}");
        assert_eq!(names(&file), ["layer.bias", "layer.weight"], "{name}");
        let info = file.info("layer.weight").unwrap();
        assert_eq!((info.dtype, &info.shape[..]), (DType::F32, &[2, 3][..]));
        let weight = file.read_f32("layer.weight").unwrap();
        assert_eq!(weight, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        assert_eq!(file.read_f32("layer.bias").unwrap(), [-0.5, 0.5], "{name}");
        assert!(file.metadata().is_empty());
    }
    let file = open("state_dict.pth");
    let expected = [
        "0.bias",
        "0.weight",
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
    ];
    assert_eq!(names(&file), expected);
    assert_eq!(
        file.read_f32("0.weight").unwrap(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(file.read_f32("1.num_batches_tracked").unwrap(), [1.0]);
    // `model` is a submodule here, not a wrapper.
    let file = open("part_called_model.pth");
    assert_eq!(names(&file), ["head", "model.bias", "model.weight"]);
}

#[test]
fn all_types_convert_to_f32() {
    let file = open("types.pth");
    for name in [
        "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    ] {
        assert_eq!(file.read_f32(name).unwrap(), [0.0, 1.0, 2.0, 3.0], "{name}");
    }
    assert_eq!(file.read_f32("bool").unwrap(), [0.0, 1.0, 1.0, 1.0]);
    assert_eq!(file.read_f32("parameter").unwrap(), [0.0, 1.0]);
    assert_eq!(file.read_f32("scalar").unwrap(), [3.5]);
    assert!(file.info("scalar").unwrap().shape.is_empty());
    assert!(file.read_f32("empty").unwrap().is_empty());
    assert_eq!(file.info("bfloat16").unwrap().dtype, DType::BF16);
}

#[test]
fn views_are_read_contiguously() {
    let file = open("views.pth");
    let whole: Vec<f32> = (0..12_u8).map(f32::from).collect();
    assert_eq!(file.read_f32("whole").unwrap(), whole);
    let transposed = [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0];
    assert_eq!(file.read_f32("turned").unwrap(), transposed);
    assert_eq!(file.read_f32("part").unwrap(), [4.0, 5.0, 7.0, 8.0]);
    assert_eq!(
        file.read_f32("steps").unwrap(),
        [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]
    );
    let expanded = file.read_f32("expanded").unwrap();
    assert_eq!(expanded, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn code_in_a_file_is_not_run() {
    let file = open("command.pth");
    assert_eq!(names(&file), ["weight"]);
    assert_eq!(file.read_f32("weight").unwrap(), [0.0, 1.0]);
    WeightsFile::open(path("command_alone.pth")).unwrap_err();
    assert!(!Path::new("executed-by-a-pickle").exists());
}

/// Error of opening a malicious file or of reading its only tensor.
fn read_error(name: &str) -> WeightsError {
    match WeightsFile::open(path(name)) {
        Err(error) => error,
        Ok(file) => file.read_f32("w").unwrap_err(),
    }
}

#[test]
fn malicious_files_are_rejected() {
    for name in [
        "storage_bomb",
        "pickle_bomb",
        "step_bomb",
        "long_string",
        "expanded",
    ] {
        let error = read_error(&format!("{name}.pth"));
        assert!(
            matches!(error, WeightsError::Limit { .. }),
            "{name}: {error}"
        );
    }
    let format_errors = [
        ("laughs", "memo bomb"),
        ("nested", "nesting"),
        ("outside", "needs 8 elements, but storage '0' declares 4"),
        ("negative", "non-negative"),
        ("sparse", "sparse"),
    ];
    for (name, expected) in format_errors {
        let error = read_error(&format!("{name}.pth"));
        assert!(
            matches!(error, WeightsError::Format { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    for name in ["short_storage", "no_storage"] {
        let error = read_error(&format!("{name}.pth"));
        let text = error.to_string();
        assert!(
            text.contains("weights ") && text.contains("\"w\""),
            "{name}: {text}"
        );
    }
}

#[test]
fn other_kinds_of_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 6] = [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\n<!doctype html>", "web page"),
        (b"\x80\x02}.", "plain pickle"),
        (b"PK\x03\x04 and nothing more", "not a complete zip archive"),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
            "a header of 18446744073709551615 bytes",
        ),
    ];
    for (bytes, expected) in cases {
        let path = folder.path().join("w.pth");
        std::fs::write(&path, bytes).unwrap();
        let error = WeightsFile::open(&path).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("w.pth"),
            "{error}"
        );
    }
    let error = WeightsFile::open(folder.path().join("none")).unwrap_err();
    assert!(matches!(error, WeightsError::Read { .. }));
}

#[test]
fn unknown_names_give_the_nearest() {
    let error = open("plain.pth").read_f32("layer.weights").unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("no tensor \"layer.weights\"; nearest of 2: layer.weight, layer.bias"),
        "{text}"
    );
}
