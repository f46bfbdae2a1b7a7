use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vlp_train::atomic_file::sha256_hex;
use vlp_train::{Checkpoint, CheckpointScore, CheckpointStore, CheckpointWriter, TrainState};

use crate::input::{Mode, files};
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

const STEP: u64 = 7;
const MANIFEST: &str = "manifest.json";
/// A file that manifests may name.
const FILE: (&str, &[u8]) = ("model.bin", b"weights");

/// A manifest without its own hash.
#[derive(Serialize, Deserialize)]
struct Fields {
    format: u32,
    state: TrainState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<CheckpointScore>,
    files: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// A manifest as it is (`0`) or with the right hash of its fields (`1`); or a checkpoint that is saved, and then changed (`2`).
pub fn checkpoints(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    match mode.below(3) {
        0 => check_manifest(scratch, bytes),
        1 => check_manifest(scratch, &signed(bytes)),
        _ => check_saved(scratch, bytes),
    }
}

/// The manifest with the right hash, or what it is if it has no such fields.
fn signed(bytes: &[u8]) -> Vec<u8> {
    let Ok(fields) = serde_json::from_slice::<Fields>(bytes) else {
        return bytes.to_vec();
    };
    let Fields {
        format,
        state,
        score,
        files,
    } = &fields;
    let hashed = serde_json::to_vec(&(format, state, score, files)).must("the fields");
    let mut value = serde_json::to_value(&fields).must("the fields");
    value["sha256"] = sha256_hex(&hashed).into();
    value.to_string().into_bytes()
}

fn check_manifest(scratch: &Scratch, manifest: &[u8]) {
    let folder = scratch.path("checkpoints");
    let checkpoint = folder.join(format!("step-{STEP:08}"));
    if !checkpoint.exists() {
        fs::create_dir_all(&checkpoint).must("a checkpoint");
        fs::write(checkpoint.join(FILE.0), FILE.1).must(FILE.0);
    }
    fs::write(checkpoint.join(MANIFEST), manifest).must(MANIFEST);
    let store = CheckpointStore::open(&folder);
    assert_eq!(store.steps().must("the steps"), [STEP]);
    let _ = (accepted(store.best_step()), accepted(store.best()));
    let read = accepted(store.at_step(STEP));
    let latest = accepted(store.latest()).map(|(checkpoint, errors)| {
        assert!(errors.is_empty());
        checkpoint
    });
    assert_eq!(read.is_some(), latest.is_some());
    for checkpoint in read.iter().chain(&latest) {
        assert_eq!(checkpoint.state.step, STEP);
        for (name, bytes) in &checkpoint.files {
            let is_there = (name.as_str(), bytes.as_slice()) == FILE;
            assert!(is_there, "{name:?} is no file of the checkpoint");
        }
    }
}

/// State, files and changes: of the manifest and of the file, each of a place (two bytes) and what is added to the byte there.
fn check_saved(scratch: &Scratch, input: &[u8]) {
    let [text, contents, changes] = files::<3>(input);
    let text = String::from_utf8_lossy(text).into_owned();
    let state = TrainState {
        step: STEP,
        skipped: contents.len() as u64,
        skipped_in_row: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        config_hash: text.clone(),
    };
    let value = contents
        .first_chunk()
        .map(|bytes| f64::from_le_bytes(*bytes));
    let score = value.map(|value| CheckpointScore {
        metric: text,
        higher_is_better: contents.len().is_multiple_of(2),
        value,
    });
    let folder = scratch.path("saved");
    let writer = CheckpointWriter::open(&folder, 1).must("the folder");
    let path = writer.save(&state, &[(FILE.0, contents.to_vec())], score.as_ref());
    let path = path.must("a checkpoint");
    let saved = writer
        .store()
        .at_step(STEP)
        .must("the checkpoint that was saved");
    assert_eq!(
        (&saved.state, saved.files[FILE.0].as_slice()),
        (&state, contents)
    );
    assert_eq!(saved.score, score.filter(|score| score.value.is_finite()));
    let (changes, _) = changes.as_chunks::<3>();
    if changes.is_empty() {
        return;
    }
    for (index, change) in changes.iter().enumerate() {
        let name = [MANIFEST, FILE.0][index % 2];
        change_byte(&path.join(name), *change);
    }
    if let Some(reread) = accepted(writer.store().at_step(STEP)) {
        // Only white space between the fields was changed.
        let parts = |checkpoint: &Checkpoint| {
            let Checkpoint {
                state,
                score,
                files,
                ..
            } = checkpoint;
            (state.clone(), score.clone(), files.clone())
        };
        assert_eq!(parts(&reread), parts(&saved));
    }
}

fn change_byte(path: &Path, [low, high, difference]: [u8; 3]) {
    let mut bytes = fs::read(path).must("a file of the checkpoint");
    if !bytes.is_empty() {
        let place = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
        bytes[place] = bytes[place].wrapping_add(difference);
        fs::write(path, bytes).must("a file of the checkpoint");
    }
}
