//! What the program does beside pre-training E2E-VLP: SOHO, downstream tasks, prediction, dictionaries, weights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use safetensors::SafeTensors;
use serde_json::Value;
use support::{fail, hashes, losses, resume, succeed, tiny, vlp};
use vlp::predict::{Request, read_picture};
use vlp_data::{Picture, Scenes, ScenesConfig};
use vlp_transformer::Sampling;
use vlp_weights::WeightsFile;

/// SOHO in a size whose step takes some ten milliseconds.
const SOHO: [&str; 17] = [
    "data.batch_size=4",
    "data.scenes.resolution=32",
    "data.scenes.count=40",
    "model.d_model=16",
    "model.heads=2",
    "model.ffn=32",
    "model.encoder_layers=1",
    "model.backbone.width=8",
    "model.quantiser.dictionary.codes=12",
    "objectives.mvm.probability=1.0",
    "eval.examples=4",
    "eval.pictures=1",
    "eval.retrieval=3",
    "train.schedule.warmup_steps=2",
    "train.steps=6",
    "checkpoint.every=2",
    "train.side_by_side=true",
];

fn soho(out: &Path, set: &[&str]) -> Command {
    let mut command = vlp(&["pretrain", "--preset", "soho-tiny", "--out"]);
    command.arg(out);
    for entry in SOHO.iter().chain(set) {
        command.args(["--set", entry]);
    }
    command
}

fn results(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("results.json")).unwrap()).unwrap()
}

fn figures(run: &Path) -> Vec<String> {
    let results = results(run);
    let rows = results["trained"].as_array().unwrap().iter();
    rows.map(|row| row[0].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn a_dictionary_resumes_to_the_same_bytes_with_restarts_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    for (name, set) in [
        (
            "paper",
            vec!["model.quantiser.dictionary.restart_below=2.0"],
        ),
        (
            "released",
            vec![
                "model.quantiser.dictionary.update=released",
                "model.quantiser.dictionary.start_from_batch=false",
                "train.side_by_side=false",
                "train.accumulate=1",
                "model.dropout=0.1",
            ],
        ),
    ] {
        let (whole, run) = (
            folder.path().join(name),
            folder.path().join(format!("{name}-broken")),
        );
        succeed(&mut soho(&whole, &set));
        succeed(soho(&run, &set).args(["--stop-at", "3"]));
        succeed(&mut support::resume(&run));
        assert_eq!(hashes(&run), hashes(&whole), "{name}");
        let metrics = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(metrics(&run) == metrics(&whole), "{name}");
    }
    let found = figures(&folder.path().join("paper"));
    for figure in [
        "MVM accuracy",
        "dictionary perplexity",
        "dictionary restarts",
        "text retrieval R@1",
    ] {
        assert!(found.iter().any(|f| f == figure), "{found:?}");
    }
}

#[test]
fn impossible_soho_configurations_say_what_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (set, parts) in [
        (
            vec!["model.quantiser=off"],
            ["objectives.mvm", "needs a visual dictionary"],
        ),
        (
            vec!["objectives.caption={weight=1.0, max_len=28, beams=1, length_penalty=0.0}"],
            ["objectives.caption", "model.decoder_layers"],
        ),
        (
            vec!["model.quantiser.dictionary.codes=0"],
            ["model.quantiser.dictionary.codes = 0", "use at least 1"],
        ),
        (
            vec!["data.texts=3"],
            ["objectives.itm.mismatch = 0.5", "no whole number of texts"],
        ),
        (
            vec![
                "model.pool=before",
                "data.scenes.resolution=16",
                "model.backbone.stages=4",
            ],
            ["16 x 16", "at least 32 x 32"],
        ),
        (
            vec!["model.quantiser.dictionary.codes=900"],
            ["dictionary.codes = 900", "a larger batch"],
        ),
        (vec!["model.kodebook=1"], ["unknown key", "kodebook"]),
    ] {
        let line = fail(&mut soho(&run, &set));
        for part in parts {
            assert!(line.contains(part), "{set:?}: {line}");
        }
        let _ = fs::remove_dir_all(&run);
    }
}

#[test]
fn parts_of_both_systems_recombine_by_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let config = root.join("docs/e2e-with-dictionary.toml");
    succeed(tiny(&one, &[]).arg("--config").arg(config));
    let names = |run: &Path| -> Vec<String> {
        let last = losses(run).pop().unwrap();
        let keys = last.as_object().unwrap().keys();
        keys.filter_map(|k| k.strip_prefix("loss/").map(str::to_string))
            .collect()
    };
    for name in ["itm", "mlm", "mvm", "detection", "caption"] {
        assert!(names(&one).iter().any(|n| n == name), "{name}");
    }
    succeed(&mut soho(
        &two,
        &[
            "model.decoder_layers=1",
            "objectives.detection={num_queries=5}",
            "objectives.caption={weight=1.0, max_len=28, beams=1, length_penalty=0.0}",
        ],
    ));
    for name in ["itm", "mlm", "mvm", "detection", "caption"] {
        assert!(names(&two).iter().any(|n| n == name), "{name}");
    }
}

/// `vlp finetune TASK --from RUN --out OUT` for two steps.
fn finetune(task: &str, from: &Path, out: &Path) -> Command {
    let mut command = vlp(&["finetune", task, "--from"]);
    command.arg(from).arg("--out").arg(out);
    for entry in [
        "train.steps=2",
        "train.schedule.warmup_steps=1",
        "data.batch_size=4",
        "data.min_answers=1",
        "eval.examples=6",
        "eval.retrieval=3",
    ] {
        command.args(["--set", entry]);
    }
    command
}

#[test]
fn every_task_trains_from_a_run_of_either_system_and_is_scored_again() {
    let folder = tempfile::tempdir().unwrap();
    let (e2e, other) = (folder.path().join("e2e"), folder.path().join("soho"));
    succeed(&mut tiny(&e2e, &[]));
    succeed(&mut soho(&other, &[]));
    let mut tuned = String::new();
    for (from, task, figure) in [
        (&e2e, "vqa", "VQA accuracy"),
        (&e2e, "nlvr2", "NLVR2 consistency"),
        (&e2e, "snli-ve", "SNLI-VE accuracy"),
        (&e2e, "retrieval", "text retrieval R@1"),
        (&e2e, "caption", "caption CIDEr-D"),
        (&e2e, "detection", "detection AP"),
        (&other, "vqa", "VQA accuracy"),
        (&other, "nlvr2", "NLVR2 accuracy"),
        (&other, "retrieval", "image retrieval R@10"),
    ] {
        tuned = format!("{task}-{}", from.display().to_string().len());
        let out = folder.path().join(&tuned);
        succeed(&mut finetune(task, from, &out));
        let found = results(&out);
        let row = found["trained"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r[0] == figure);
        let value = row.unwrap_or_else(|| panic!("{task}: no {figure}"))[1].as_f64();
        let report = fs::read_to_string(out.join("report.html")).unwrap();
        assert!(
            report.contains("start from"),
            "{task}: the report does not say where it started"
        );
        // The saved model scores what the run said.
        let output = vlp(&["evaluate"]).arg(&out).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|l| l.starts_with(figure)).unwrap();
        let shown = vlp::results::figure(value);
        assert!(line.ends_with(&shown), "{task}: {line}, not {shown}");
    }
    // A task leaves the dictionary as pre-training made it.
    let file = folder.path().join("weights.safetensors");
    let codes = |run: &Path| {
        let _ = fs::remove_file(&file);
        succeed(vlp(&["weights", "export"]).arg(run).arg(&file));
        let bytes = fs::read(&file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let part = |name: &str| tensors.tensor(name).unwrap().data().to_vec();
        (
            part("model.quantiser.dictionary.running_codes"),
            part("model.input_proj.conv.weight"),
        )
    };
    let (before, after) = (codes(&other), codes(&folder.path().join(&tuned)));
    assert!(before.0 == after.0 && before.1 != after.1);
    let out = folder.path().join("never");
    let line = fail(&mut finetune("vqaa", &e2e, &out));
    assert!(line.contains("did you mean \"vqa\"?"), "{line}");
    let line = fail(finetune("vqa", &e2e, &out).args(["--set", "model.d_model=32"]));
    assert!(
        line.contains("model.") && line.contains("there and"),
        "{line}"
    );
    let line = fail(&mut finetune("vqa", &out.join("nothing"), &out));
    assert!(line.contains("is not a run folder"), "{line}");
}

#[test]
fn pictures_are_predicted_and_what_the_run_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    let scenes = ScenesConfig {
        count: 3,
        ..ScenesConfig::default()
    };
    Scenes::new(scenes)
        .unwrap()
        .write_to(folder.path().join("data"))
        .unwrap();
    let pictures: PathBuf = folder.path().join("data/train");
    fs::write(pictures.join("broken.png"), b"no picture").unwrap();
    succeed(&mut tiny(&run, &[]));
    let mut command = vlp(&["predict"]);
    command.arg(&run).arg(&pictures).arg("--out").arg(&out);
    let text = succeed(command.args(["--text", "a red circle", "--threshold", "0"]));
    assert!(
        text.contains("left out") && text.contains("broken.png"),
        "{text}"
    );
    let found: Value =
        serde_json::from_slice(&fs::read(out.join("predictions.json")).unwrap()).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    for one in found {
        assert_eq!(one["objects"].as_array().unwrap().len(), 5);
        assert!(one["caption"]["text"].is_string());
        let share = one["matches"][0].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share));
        let stem = one["image"].as_str().unwrap().trim_end_matches(".png");
        assert!(out.join(format!("{stem}.boxes.png")).is_file());
    }
    assert!(
        fs::read_to_string(out.join("predictions.html"))
            .unwrap()
            .contains("a red circle")
    );
    // A picture alone gives what it gives in a batch.
    let model = vlp::Vlp::load(&run).unwrap();
    let name = found[1]["image"].as_str().unwrap();
    let picture = read_picture(pictures.join(name)).unwrap();
    assert_eq!(
        model.caption(&picture).unwrap().text,
        found[1]["caption"]["text"]
    );
    // So does one whose caption is drawn.
    let mut request = Request {
        caption: model.trained().config.objectives.caption.clone(),
        seed: 3,
        ..Request::default()
    };
    let sampling = request
        .caption
        .as_mut()
        .unwrap()
        .sampling
        .insert(Sampling::default());
    sampling.temperature = 5.0;
    let other = read_picture(pictures.join(found[0]["image"].as_str().unwrap())).unwrap();
    let drawn = |of: &[Picture], at: usize, seed: u64| {
        let request = Request {
            seed,
            ..request.clone()
        };
        let text = model.predict(of, &request).unwrap()[at].caption.clone();
        text.unwrap().text
    };
    let alone = drawn(slice::from_ref(&picture), 0, 3);
    assert_eq!(drawn(&[other.clone(), picture.clone()], 1, 3), alone);
    assert_ne!(
        drawn(slice::from_ref(&picture), 0, 4),
        alone,
        "another seed"
    );
    assert_ne!(drawn(&[other], 0, 3), alone, "another picture");
    let line = fail(
        vlp(&["predict"])
            .arg(&run)
            .arg(&pictures)
            .args(["--ask", "what?"]),
    );
    assert!(
        line.contains("objectives.vqa") && line.contains("finetune"),
        "{line}"
    );
}

#[test]
fn dictionaries_are_drawn_and_weights_written_and_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let (run, e2e) = (folder.path().join("run"), folder.path().join("e2e"));
    succeed(&mut soho(&run, &[]));
    let output = vlp(&["dictionary"])
        .arg(&run)
        .args(["--pictures", "6"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("mutual information with colour"), "{text}");
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
        .tensor("model.quantiser.dictionary.running_codes")
        .unwrap();
    assert_eq!(codes.shape(), [12, 16]);
    let line = fail(
        tiny(&folder.path().join("x"), &[])
            .arg("--weights")
            .arg(&file),
    );
    assert!(line.contains("of no known kind"), "{line}");
    let line = fail(vlp(&["weights", "inspect"]).arg(run.join("config.toml")));
    assert!(line.contains("config.toml"), "{line}");
}

#[test]
fn a_run_starts_from_the_weights_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (
        folder.path().join("run"),
        folder.path().join("run.safetensors"),
    );
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/resnet18_small.weights.pth");
    let weights = folder.path().join("resnet18.pth");
    fs::copy(&fixture, &weights).unwrap();
    let trunk = [
        "data.scenes.resolution=64",
        "model.backbone.depth=18",
        "model.backbone.width=4",
        "model.backbone.stem=standard",
        "model.backbone.stages=4",
        "model.backbone.norm=frozen",
        "model.backbone.frozen_stages=2",
        "checkpoint.every=2",
    ];
    let mut command = tiny(&run, &trunk);
    command.arg("--weights").arg(&weights);
    succeed(command.args(["--stop-at", "2"]));
    // What it started from is in the checkpoint.
    fs::remove_file(&weights).unwrap();
    succeed(&mut resume(&run));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("started from "), "{page}");
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&file));
    let (own, theirs) = (
        WeightsFile::open(&file).unwrap(),
        WeightsFile::open(&fixture).unwrap(),
    );
    let same = |path: &str, name: &str| own.f32(path).unwrap() == theirs.f32(name).unwrap();
    assert!(same("model.backbone.stem.conv.weight", "conv1.weight"));
    let last = "model.backbone.stages.3.1.layers.1";
    // Frozen everywhere: statistics. Trained: what is above stage 1.
    assert!(same(
        &format!("{last}.norm.running_var"),
        "layer4.1.bn2.running_var"
    ));
    assert!(!same(
        &format!("{last}.conv.weight"),
        "layer4.1.conv2.weight"
    ));
}

#[test]
fn layers_that_are_computed_again_train_alike() {
    let folder = tempfile::tempdir().unwrap();
    let set = ["train.steps=3", "checkpoint.every=0"];
    for system in ["e2e", "soho"] {
        let run = |name: &str, recompute: &str| {
            let run = folder.path().join(format!("{system}-{name}"));
            let more = format!("model.recompute={recompute}");
            let set = [set[0], set[1], more.as_str()];
            succeed(&mut match system {
                "soho" => soho(&run, &set),
                _ => tiny(&run, &set),
            });
            losses(&run)
        };
        let kept = run("kept", "[]");
        let again = run("again", "[\"backbone\",\"encoder\"]");
        // The same forward pass; gradients differ by the order of sums.
        assert_eq!(kept[0]["loss/total"], again[0]["loss/total"]);
        for (kept, again) in kept.iter().zip(&again) {
            for key in ["loss/total", "train/grad_norm"] {
                let [a, b] = [kept, again].map(|record| record[key].as_f64().unwrap());
                assert!((a - b).abs() <= 1e-3 * a, "{system} {key}: {a} and {b}");
            }
        }
    }
    let bad = folder.path().join("bad");
    let error = fail(&mut tiny(&bad, &["model.recompute=[\"encode\"]"]));
    assert!(error.contains("encoder"), "{error}");
}
