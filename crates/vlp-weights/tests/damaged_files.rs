//! Damaged files give an error or wrong values, never a panic or memory out of proportion to their size.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use vlp_weights::{SafetensorsWriter, WeightsFile};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/files")
        .join(name)
}

/// Peak memory of opening a file and reading all its tensors.
fn peak_memory(path: &Path) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    if let Ok(file) = WeightsFile::open(path) {
        for name in file.names() {
            let _ = file.read_f32(name);
        }
    }
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// Memory allowed for a file of `len` bytes: objects of its pickle, its values twice, and a fixed 256 KiB for buffers
/// and the tables of the decompressor.
fn max_memory(len: usize) -> usize {
    16 * len + (1 << 18)
}

#[derive(Debug, Clone)]
enum Damage {
    Truncate(prop::sample::Index),
    /// Copies bytes from one offset to another.
    Copy(prop::sample::Index, prop::sample::Index, u8),
    Set(Vec<(prop::sample::Index, u8)>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Damage::Truncate),
        (index(), index(), any::<u8>()).prop_map(|(from, to, n)| Damage::Copy(from, to, n)),
        prop::collection::vec((index(), any::<u8>()), 1..6).prop_map(Damage::Set),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Truncate(index) => bytes.truncate(index.index(len)),
            Self::Copy(from, to, count) => {
                let (from, to) = (from.index(len), to.index(len));
                let count = usize::from(*count).min(len - from).min(len - to);
                bytes.copy_within(from..from + count, to);
            }
            Self::Set(changes) => {
                for (index, value) in changes {
                    bytes[index.index(len)] = *value;
                }
            }
        }
    }
}

/// A header whose lengths exceed 64 bits is refused.
fn check_length_overflow(folder: &Path) {
    let path = folder.join("overflow.safetensors");
    for side in [u64::MAX, u64::MAX - 8, 1 << 63] {
        let header =
            format!(r#"{{"a":{{"dtype":"U8","shape":[{side}],"data_offsets":[0,{side}]}}}}"#);
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        fs::write(&path, bytes).unwrap();
        let error = WeightsFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("not a complete safetensors file"), "{error}");
    }
}

/// Reading a small tensor of a sparse file of 1 GiB takes little memory.
fn check_large_file(folder: &Path) {
    let path = folder.join("large.safetensors");
    let end = (1_usize << 30) + 12;
    let header = format!(
        r#"{{"large":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}},"small":{{"dtype":"F32","shape":[3],"data_offsets":[{},{end}]}}}}"#,
        1 << 28,
        1 << 30,
        1 << 30
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    fs::write(&path, &bytes).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len((bytes.len() + end) as u64).unwrap();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.read_f32("small").unwrap(), [0.0; 3]);
    let memory = ALLOCATOR.peak_usage() - before;
    assert!(memory < 1 << 16, "{memory}");
}

/// A single test, because the allocator counts the memory of all threads.
#[test]
fn damaged_files_do_not_panic_or_exhaust_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.safetensors");
    let shapes: BTreeMap<_, _> = (0..8).map(|i| (format!("layer.{i}"), vec![i, 3])).collect();
    let mut writer = SafetensorsWriter::create(&path, &shapes, &BTreeMap::new()).unwrap();
    for (name, shape) in &shapes {
        writer.write(name, &vec![0.5; shape[0] * 3]).unwrap();
    }
    writer.finish().unwrap();
    let mut intact: Vec<Vec<u8>> = [
        "plain",
        "views",
        "types",
        "legacy",
        "deflated",
        "state_dict",
    ]
    .iter()
    .map(|name| fs::read(fixture(&format!("{name}.pth"))).unwrap())
    .collect();
    intact.push(fs::read(&path).unwrap());
    for bytes in &intact {
        fs::write(&path, bytes).unwrap();
        assert!(WeightsFile::open(&path).is_ok());
    }
    // Malicious files of 600 bytes to 33 kB, which PyTorch itself would load.
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        let len = fs::metadata(&path).unwrap().len() as usize;
        let memory = peak_memory(&path);
        // These create up to a million objects regardless of the size of the file.
        let bomb = ["nested.pth", "laughs.pth", "objects.pth"]
            .iter()
            .any(|name| path.ends_with(name));
        let limit = if bomb { 192 << 20 } else { max_memory(len) };
        let path = path.display();
        assert!(memory <= limit, "{path} of {len} bytes: {memory}");
    }
    check_large_file(folder.path());
    check_length_overflow(folder.path());
    let path = folder.path().join("damaged");
    let strategy = (0..intact.len(), prop::collection::vec(damage(), 1..4));
    let config = ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&strategy, |(index, damages)| {
        let mut bytes = intact[index].clone();
        for damage in &damages {
            if !bytes.is_empty() {
                damage.apply(&mut bytes);
            }
        }
        fs::write(&path, &bytes).unwrap();
        let memory = peak_memory(&path);
        prop_assert!(
            memory <= max_memory(bytes.len()),
            "{memory} bytes for a file of {}",
            bytes.len()
        );
        Ok(())
    });
    result.unwrap();
}
