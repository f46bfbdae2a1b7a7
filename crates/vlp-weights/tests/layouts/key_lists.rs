//! Lists of tensor names and shapes, and files with those tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use vlp_weights::WeightsFile;

pub(crate) type KeyList = BTreeMap<String, Vec<usize>>;

/// Reads lines such as `name 64x3x7x7`, where `[0-2]` stands for the numbers 0 to 2, and `-` is the shape of a scalar.
pub(crate) fn key_list(name: &str) -> KeyList {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys");
    let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let mut keys = KeyList::new();
    for line in text.lines() {
        let (name, shape) = line.split_once(' ').unwrap();
        let sides = shape.split('x').filter(|side| *side != "-");
        let shape: Vec<usize> = sides.map(|side| side.parse().unwrap()).collect();
        let Some((before, rest)) = name.split_once('[') else {
            assert!(keys.insert(name.into(), shape).is_none(), "{name}");
            continue;
        };
        let (range, after) = rest.split_once(']').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        for number in first.parse::<usize>().unwrap()..=last.parse().unwrap() {
            let name = format!("{before}{number}{after}");
            assert!(keys.insert(name.clone(), shape.clone()).is_none(), "{name}");
        }
    }
    keys
}

/// A safetensors file of these tensors; its values are a sparse region that takes no disk space.
pub(crate) fn file(keys: &KeyList) -> (TempDir, WeightsFile) {
    let (mut entries, mut end) = (vec![], 0);
    for (name, shape) in keys {
        let next = end + 4 * shape.iter().product::<usize>();
        entries.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{end},{next}]}}"#
        ));
        end = next;
    }
    let header = format!("{{{}}}", entries.join(","));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.safetensors");
    let mut file = File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
    let file = WeightsFile::open(path).unwrap();
    (folder, file)
}
