//! Dictionary pages, exported weights, and checkpoints of other projects.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use vlp_weights::WeightsFile;

use crate::soho_command;
use crate::support::{fail, resume, succeed, tiny, vlp};

#[test]
fn dictionary_page_and_weight_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (run, e2e) = (folder.path().join("run"), folder.path().join("e2e"));
    succeed(&mut soho_command(&run, &[]));
    let output = vlp(&["dictionary"])
        .arg(&run)
        .args(["--images", "6"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("mutual information with color"), "{text}");
    assert!(
        fs::read_to_string(run.join("dictionary.html"))
            .unwrap()
            .contains("Perplexity")
    );
    succeed(&mut tiny(&e2e, &[]));
    let line = fail(vlp(&["dictionary"]).arg(&e2e));
    assert!(line.contains("has no visual dictionary"), "{line}");
    let file = folder.path().join("run.safetensors");
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&file));
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let codes = tensors
        .tensor("model.quantizer.dictionary.running_codes")
        .unwrap();
    assert_eq!(codes.shape(), [12, 16]);
    let line = fail(
        tiny(&folder.path().join("unused"), &[])
            .arg("--weights")
            .arg(&file),
    );
    assert!(line.contains("match no known layout"), "{line}");
    let line = fail(vlp(&["weights", "inspect"]).arg(run.join("config.toml")));
    assert!(line.contains("config.toml"), "{line}");
}

#[test]
fn run_starts_from_a_torchvision_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (
        folder.path().join("run"),
        folder.path().join("run.safetensors"),
    );
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/resnet18_small.weights.pth");
    let weights = folder.path().join("resnet18.pth");
    fs::copy(&fixture, &weights).unwrap();
    let backbone = [
        "data.scenes.resolution=64",
        "model.backbone.depth=18",
        "model.backbone.width=4",
        "model.backbone.stem=standard",
        "model.backbone.stages=4",
        "model.backbone.norm=frozen",
        "model.backbone.frozen_stages=2",
        "checkpoint.every=2",
    ];
    let mut command = tiny(&run, &backbone);
    command.arg("--weights").arg(&weights);
    succeed(command.args(["--stop-at", "2"]));
    // A resumed run does not need the file any more.
    fs::remove_file(&weights).unwrap();
    succeed(&mut resume(&run));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("initial weights from "), "{page}");
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&file));
    let exported = WeightsFile::open(&file).unwrap();
    let torchvision = WeightsFile::open(&fixture).unwrap();
    let is_same = |path: &str, name: &str| {
        exported.read_f32(path).unwrap() == torchvision.read_f32(name).unwrap()
    };
    assert!(is_same("model.backbone.stem.conv.weight", "conv1.weight"));
    let last = "model.backbone.stages.3.1.layers.1";
    // Batch norm statistics are frozen; convolutions above stage 1 are trained.
    assert!(is_same(
        &format!("{last}.norm.running_var"),
        "layer4.1.bn2.running_var"
    ));
    assert!(!is_same(
        &format!("{last}.conv.weight"),
        "layer4.1.conv2.weight"
    ));
}
