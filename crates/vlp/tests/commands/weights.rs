//! Dictionary pages, exported weights, and checkpoints of other projects.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use vlp_weights::WeightsFile;

use crate::readers::tree;
use crate::soho_command;
use crate::support::{fail, resume, succeed, tiny, vlp};

#[test]
fn dictionary_page_and_weight_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (run, e2e) = (folder.path().join("run"), folder.path().join("e2e"));
    succeed(&mut soho_command(&run, &[]));
    let before = tree(&run);
    let output = vlp(&["dictionary"])
        .arg(&run)
        .args(["--images", "6"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("mutual information with color"), "{text}");
    let page = fs::read_to_string(folder.path().join("dictionary.html")).unwrap();
    assert!(page.contains("Perplexity"));
    assert!(tree(&run) == before, "the run has changed");
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
    let random = folder.path().join("random");
    let message = "the backbone starts from random weights";
    let mut command = tiny(&random, &backbone);
    let text = succeed(&mut command);
    assert!(
        text.contains(message) && text.contains("--weights FILE"),
        "{text}"
    );
    let page = fs::read_to_string(random.join("report.html")).unwrap();
    assert!(page.contains(message));
    let mut command = tiny(&folder.path().join("trial"), &backbone);
    let text = succeed(command.arg("--quick"));
    assert!(!text.contains(message), "{text}");

    let mut command = tiny(&run, &backbone);
    command.arg("--weights").arg(&weights);
    let text = succeed(command.args(["--stop-at", "2"]));
    assert!(!text.contains(message), "{text}");
    // A resumed run does not need the file any more.
    fs::remove_file(&weights).unwrap();
    succeed(&mut resume(&run));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("initial weights from "), "{page}");
    assert!(!page.contains(message));
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

/// A safetensors file of the tensors of `weights`, renamed, in half precision if `half`.
fn write_renamed(weights: &WeightsFile, file: &Path, prefix: &str, half: bool) {
    let tensors = weights.tensors().map(|(name, info)| {
        let values = weights.read_f32(name).unwrap();
        let (dtype, bytes) = match half {
            // The upper half of an f32 is its bf16, rounded toward zero.
            true => (
                safetensors::Dtype::BF16,
                values
                    .iter()
                    .flat_map(|v| v.to_le_bytes()[2..].to_vec())
                    .collect(),
            ),
            false => (
                safetensors::Dtype::F32,
                values
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect::<Vec<_>>(),
            ),
        };
        (format!("{prefix}{name}"), dtype, info.shape.clone(), bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.unwrap())
    });
    safetensors::serialize_to_file(views, None, file).unwrap();
}

#[test]
fn prefixed_checkpoints_start_a_run_and_other_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/resnet18_small.weights.pth");
    let weights = WeightsFile::open(&fixture).unwrap();
    let set = [
        "data.scenes.resolution=64",
        "model.backbone.depth=18",
        "model.backbone.width=4",
        "model.backbone.stem=standard",
        "model.backbone.stages=4",
        "model.backbone.norm=frozen",
        "model.backbone.frozen_stages=2",
    ];
    let file = folder.path().join("w.safetensors");
    for (index, (prefix, half)) in [("_orig_mod.module.", false), ("model._orig_mod.", true)]
        .into_iter()
        .enumerate()
    {
        write_renamed(&weights, &file, prefix, half);
        let output = vlp(&["weights", "inspect"]).arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let first = text.lines().next().unwrap();
        assert!(first.contains("torchvision-resnet"), "{first}");
        assert_eq!(text.contains("BF16"), half);
        let run = folder.path().join(format!("run{index}"));
        let mut command = tiny(&run, &set);
        succeed(command.args(["--stop-at", "1", "--weights"]).arg(&file));
    }
    // A ResNet in a larger model, such as CLIP's image encoder.
    write_renamed(&weights, &file, "visual.", false);
    let run = folder.path().join("refused");
    let line = fail(tiny(&run, &set).arg("--weights").arg(&file));
    assert!(line.contains("match no known layout"), "{line}");
    assert!(line.contains("\"visual.bn1.bias\""), "{line}");
    let output = vlp(&["weights", "inspect"]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("unknown layout") && text.contains("\"visual.bn1.bias\""));
}
