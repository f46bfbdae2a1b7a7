//! Commands that read a run while it is trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use vlp_scenes::Split;

use crate::support::{set_values, succeed, tiny, vlp, write_scenes};

/// Contents of every file below `folder`.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => {
                let bytes = fs::read(&path).unwrap();
                files.insert(path, bytes);
            }
        }
    }
    files
}

#[test]
fn readers_change_nothing_in_a_run_that_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    // A trainer is writing a checkpoint.
    let partial = run.join("checkpoints/.writing-4000000000-0");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("model.bpk"), "half").unwrap();
    let before = tree(&run);
    write_scenes(&folder.path().join("scenes"), Split::Train, 2);
    let image = folder.path().join("scenes/train/000000000001.png");
    let path = |name: &str| folder.path().join(name);
    let mut finetune = vlp(&["finetune", "caption", "--from"]);
    finetune.arg(&run).arg("--out").arg(path("tuned"));
    let set = [
        "train.steps=1",
        "train.schedule.warmup_steps=1",
        "data.batch_size=4",
        "eval.examples=4",
    ];
    set_values(&mut finetune, &set);
    for command in [
        vlp(&["predict"])
            .arg(&run)
            .arg(&image)
            .arg("--out")
            .arg(path("predictions")),
        vlp(&["evaluate"]).arg(&run),
        vlp(&["weights", "export"])
            .arg(&run)
            .arg(path("w.safetensors")),
        vlp(&["weights", "export"]).arg(&run).arg(path("exported")),
        &mut finetune,
    ] {
        succeed(command);
        assert!(tree(&run) == before, "{command:?}");
    }
    // The next trainer holds the lock, so no other process writes that folder.
    succeed(vlp(&["pretrain", "--resume"]).arg(&run));
    assert!(!partial.exists());
}
