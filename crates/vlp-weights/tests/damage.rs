//! Damaged files: an error or other values, never a panic, never memory out of proportion.
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

/// Bytes taken at once to open a file and read all of it.
fn peak(path: &Path) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    if let Ok(file) = WeightsFile::open(path) {
        for name in file.names() {
            let _ = file.f32(name);
        }
    }
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// What a file of `len` bytes may take: its pickle's objects, its values twice, and the reader's buffers.
///
/// A quarter of a megabyte stands for what does not grow with the file: buffers, the inflater's window and tables.
fn allowed(len: usize) -> usize {
    16 * len + (1 << 18)
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    /// Bytes put elsewhere than they were, as a broken copy does.
    Move(prop::sample::Index, prop::sample::Index, u8),
    Set(Vec<(prop::sample::Index, u8)>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Damage::Cut),
        (index(), index(), any::<u8>()).prop_map(|(from, to, n)| Damage::Move(from, to, n)),
        prop::collection::vec((index(), any::<u8>()), 1..6).prop_map(Damage::Set),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Move(from, to, count) => {
                let (from, to) = (from.index(len), to.index(len));
                let count = usize::from(*count).min(len - from).min(len - to);
                bytes.copy_within(from..from + count, to);
            }
            Self::Set(changes) => {
                for (at, value) in changes {
                    bytes[at.index(len)] = *value;
                }
            }
        }
    }
}

/// A gigabyte, as a hole of the file system, of which one tensor is read.
fn a_large_file_stays_on_disk(folder: &Path) {
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
    assert_eq!(file.f32("small").unwrap(), [0.0; 3]);
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken < 1 << 16, "{taken}");
}

/// One test, so that no other one's memory is counted.
#[test]
fn damage_never_panics_nor_takes_memory() {
    let folder = tempfile::tempdir().unwrap();
    let safe = folder.path().join("good.safetensors");
    let shapes: BTreeMap<_, _> = (0..8).map(|i| (format!("layer.{i}"), vec![i, 3])).collect();
    let mut writer = SafetensorsWriter::create(&safe, &shapes, &BTreeMap::new()).unwrap();
    for (name, shape) in &shapes {
        writer.write(name, &vec![0.5; shape[0] * 3]).unwrap();
    }
    writer.finish().unwrap();
    let mut good: Vec<Vec<u8>> = [
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
    good.push(fs::read(&safe).unwrap());
    for bytes in &good {
        fs::write(&safe, bytes).unwrap();
        assert!(WeightsFile::open(&safe).is_ok());
    }
    // The hostile ones that PyTorch itself would obey: of some 600 bytes to 33 kB.
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        let len = fs::metadata(&path).unwrap().len() as usize;
        let taken = peak(&path);
        // A pickle of 2^20 steps, or one that copies its objects a million times, makes as many objects, whatever the
        // size of the file.
        let bomb = ["nested.pth", "laughs.pth", "objects.pth"]
            .iter()
            .any(|name| path.ends_with(name));
        let most = if bomb { 192 << 20 } else { allowed(len) };
        assert!(taken <= most, "{}: {taken} bytes of {len}", path.display());
    }
    a_large_file_stays_on_disk(folder.path());
    let path = folder.path().join("damaged");
    let strategy = (0..good.len(), prop::collection::vec(damage(), 1..4));
    let config = ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&strategy, |(which, damages)| {
        let mut bytes = good[which].clone();
        for damage in &damages {
            if !bytes.is_empty() {
                damage.apply(&mut bytes);
            }
        }
        fs::write(&path, &bytes).unwrap();
        let taken = peak(&path);
        prop_assert!(
            taken <= allowed(bytes.len()),
            "{taken} bytes for a file of {}",
            bytes.len()
        );
        Ok(())
    });
    result.unwrap();
}
