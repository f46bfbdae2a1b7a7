//! Error messages for invalid input, and handling of bad samples.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{fail, losses, resume, succeed, tiny, vlp, write_scenes};
use vlp_scenes::Split;

#[test]
fn invalid_values_are_named_with_a_hint_and_no_folder_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (entry, parts) in [
        (
            "train.stepz=4",
            [
                "unknown key \"stepz\" in [train]",
                "did you mean \"steps\"?",
            ],
        ),
        (
            "data.scenes.shapes=[\"circl\"]",
            ["unknown value \"circl\"", "did you mean \"circle\"?"],
        ),
        ("train.steps=many", ["train.steps", "expected u64"]),
        ("train", ["--set train", "write key.path=value"]),
        ("seed.x=1", ["seed.x", "is a value, not a table"]),
        (
            "model.n_heads=3",
            ["model.n_heads = 3", "use one of 1, 2, 4"],
        ),
        ("model.d_model=18", ["model.d_model = 18", "multiple of 4"]),
        ("model.backbone.depth=11", ["depth = 11", "use 10, 18"]),
        ("model.dropout=1.0", ["model.dropout = 1", "less than 1"]),
        (
            "model.max_positions=20",
            ["model.max_positions = 20", "up to 28 tokens"],
        ),
        (
            "data.source=coco:/not/there",
            ["coco:/not/there", "use a folder with annotations"],
        ),
        (
            "data.source=tar:x",
            ["data.source = \"tar:x\"", "use \"scenes\", \"coco:DIR\""],
        ),
        (
            "data.tokenizer=/no/vocab.txt",
            ["/no/vocab.txt", "cannot be read"],
        ),
        (
            "data.batch_size=0",
            ["data.batch_size = 0", "use at least 1"],
        ),
        (
            "data.max_text_len=2",
            ["data.max_text_len = 2", "use at least 3"],
        ),
        (
            "data.max_bad_fraction=1.5",
            ["data.max_bad_fraction = 1.5", "between 0 and 1"],
        ),
        (
            "data.validation_fraction=0.0",
            ["data.validation_fraction = 0", "above 0 and below 1"],
        ),
        (
            "data.validation_fraction=1.0",
            ["data.validation_fraction = 1", "above 0 and below 1"],
        ),
        (
            "data.scenes.resolution=8",
            ["error: data.scenes.resolution", "16 to 4096"],
        ),
        (
            "data.scenes.count=0",
            ["error: data.scenes.count = 0", "use at least 1"],
        ),
        (
            "data.images=nothere",
            [
                "data.images: data.source = \"scenes\" does not read it",
                "it reads data.task, data.scenes.",
            ],
        ),
        (
            "data.resize=224",
            [
                "error: data.resize = 224: use a table { kind",
                "one of detr, soho, exact, square, within, keep",
            ],
        ),
        (
            "data.resize={side=3}",
            ["error: data.resize = { side = 3 }", "one of detr, soho"],
        ),
        (
            "data.resize.side=x",
            ["error: data.resize.side: ", "expected usize"],
        ),
        ("data.resize.side=0", ["error: data.resize: ", "0"]),
        (
            "data.eval_resize={kind=\"square\",side=0}",
            ["error: data.eval_resize: ", "0"],
        ),
        (
            "train.schedule.decay=cosine",
            [
                "error: train.schedule.decay = \"cosine\": use a table { kind",
                "cosine",
            ],
        ),
        (
            "train.steps=9223372036854775808",
            [
                "error: train.steps = 9223372036854775808: use a whole number",
                "at most 9223372036854775807",
            ],
        ),
        (
            "train..steps=3",
            ["--set train..steps=3", "a name of the key is empty"],
        ),
        (
            "model.d_model=x",
            ["error: model.d_model: ", "expected usize"],
        ),
        (
            "model.backbone.dept=3",
            ["\"dept\" in [model.backbone]", "did you mean \"depth\"?"],
        ),
        (
            "model.backbone.width=0",
            ["error: model.backbone.width = 0", "use"],
        ),
        (
            "data.batch_size=65536",
            ["error: data.batch_size = 65536", "at most 8 GB"],
        ),
        (
            "objectives.mvm.weight=1.0",
            [
                "error: objectives.mvm is off",
                "--set 'objectives.mvm={ head = { kind = ",
            ],
        ),
        (
            "objectives.vqa.weight=1.0",
            [
                "error: objectives.vqa is off, and its key \"head\" is missing",
                "'objectives.vqa={ head = \"lxmert_mlp\", weight = 1.0 }'",
            ],
        ),
        (
            "model.quantizer.dictionary.codes=9",
            ["error: model.quantizer is off", "--set 'model.quantizer={ "],
        ),
        ("eval.folds=0", ["eval.folds = 0", "use at least 1"]),
        (
            "eval.retrieval_texts=0",
            ["eval.retrieval_texts = 0", "use at least 1"],
        ),
        (
            "objectives.itm.negative_fraction=1.5",
            ["objectives.itm.negative_fraction = 1.5", "between 0 and 1"],
        ),
        (
            "objectives.mlm.probability=-0.1",
            ["objectives.mlm.probability = -0.1", "between 0 and 1"],
        ),
        (
            "objectives.mlm.weight=nan",
            ["objectives.mlm.weight = NaN", "finite weight"],
        ),
        (
            "objectives.caption.max_new_tokens=1",
            ["objectives.caption.max_new_tokens = 1", "use at least 3"],
        ),
        (
            "objectives.caption.max_new_tokens=2",
            ["objectives.caption.max_new_tokens = 2", "use at least 3"],
        ),
        (
            "objectives.caption.length_penalty=1.0",
            [
                "objectives.caption.length_penalty = 1",
                "without beam search (num_beams = 1, or sampling) use 0",
            ],
        ),
        (
            "objectives.caption.min_new_tokens=99",
            [
                "objectives.caption.min_new_tokens = 99",
                "at most max_new_tokens",
            ],
        ),
        (
            "data.texts_per_image=1000000",
            ["data.texts_per_image = 1000000", "use at most 1000"],
        ),
        ("model.d_ff=0", ["model.d_ff = 0", "use at least 1"]),
        (
            "objectives.caption.num_beams=0",
            ["objectives.caption.num_beams = 0", "use at least 1"],
        ),
        (
            "objectives.detection.num_queries=0",
            [
                "error: objectives.detection.num_queries = 0",
                "use at least 1",
            ],
        ),
        ("eval.examples=0", ["eval.examples = 0", "use at least 1"]),
        (
            "checkpoint.keep=0",
            ["checkpoint.keep = 0", "use at least 1"],
        ),
        ("train.steps=0", ["train.steps = 0", "use at least 1"]),
        (
            "train.optimizer.clip_norm=-1.0",
            ["train.optimizer.clip_norm = -1", "use 0 for no clipping"],
        ),
        (
            "train.schedule.warmup_steps=9",
            ["train.schedule.warmup_steps = 9", "longer than the run"],
        ),
    ] {
        let line = fail(&mut tiny(&run, &[entry]));
        for part in parts {
            assert!(line.contains(part), "{entry}: {line}");
        }
        assert!(!run.exists(), "{entry} creates a folder");
    }
    let off = ["itm", "mlm", "detection", "caption"].map(|name| format!("objectives.{name}=off"));
    let line = fail(&mut tiny(&run, &off.each_ref().map(String::as_str)));
    assert!(
        line.contains("all are switched off; configure at least one"),
        "{line}"
    );
    let line = fail(tiny(&run, &[]).args(["--preset", "e2e-vlp-r5"]));
    assert!(line.contains("did you mean \"e2e-vlp-r50\"?"), "{line}");
    assert!(!run.exists());
}

#[test]
fn invalid_configuration_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, run) = (folder.path().join("mine.toml"), folder.path().join("run"));
    for (text, part) in [
        (None, "No such file"),
        (Some("train = ["), "mine.toml"),
        (Some("[train]\nstepz = 3\n"), "did you mean \"steps\"?"),
    ] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let line = fail(tiny(&run, &[]).arg("--config").arg(&file));
        assert!(
            line.contains("mine.toml: ") && line.contains(part),
            "{line}"
        );
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn unavailable_device_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let line = fail(tiny(&run, &[]).args(["--device", "cuda"]));
    assert!(
        line.contains("device cuda: not compiled in; build with --features cuda"),
        "{line}"
    );
    let line = fail(tiny(&run, &[]).args(["--device", "tpu"]));
    assert!(
        line.contains("device tpu: unknown; use auto, flex, wgpu or cuda"),
        "{line}"
    );
}

/// It trains as f32 does up to rounding, or the processor does not support it.
#[test]
fn bf16_matmuls_train_like_f32() {
    let folder = tempfile::tempdir().unwrap();
    let [f32, tf32, bf16] = ["f32", "tf32", "bf16"].map(|precision| {
        let run = folder.path().join(precision);
        let set = format!("train.precision={precision}");
        let output = tiny(&run, &[]).args(["--set", &set]).output().unwrap();
        match output.status.success() {
            true => Ok(losses(&run)),
            false => Err(support::stderr(&output)),
        }
    });
    let f32 = f32.unwrap();
    // A CPU has no TF32.
    assert_eq!(f32, tf32.unwrap());
    let bf16 = match bf16 {
        Ok(losses) => losses,
        Err(text) => {
            let line = "error: train.precision = bf16: this processor has no instructions for bf16";
            assert!(text.contains(line), "{text}");
            return;
        }
    };
    let total = |records: &[Value], step: usize| records[step]["train/loss"].as_f64().unwrap();
    assert_ne!(f32, bf16);
    for step in 0..f32.len() {
        let (a, b) = (total(&f32, step), total(&bf16, step));
        // Operands are rounded by up to 1/512. AdamW normalizes gradients, which amplifies the difference with each step.
        let tolerance = if step == 0 { 0.004 } else { 0.05 };
        assert!((a - b).abs() < tolerance * a, "step {step}: {a} and {b}");
    }
}

#[test]
fn existing_run_folders_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(tiny(&run, &["checkpoint.every=2"]).args(["--stop-at", "2"]));
    let line = fail(&mut tiny(&run, &[]));
    assert!(
        line.contains("already exists; use another --out, or --resume it"),
        "{line}"
    );
    assert!(line.contains(run.to_str().unwrap()));
    let line = fail(&mut resume(folder.path()));
    assert!(
        line.contains("is not a run folder: it has no config.toml"),
        "{line}"
    );
    // Conflicting options are clap's error, exit code 2.
    let output = resume(&run).args(["--seed", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));

    let path = run.join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("seed = 1", "seed = 2")).unwrap();
    let line = fail(&mut resume(&run));
    assert!(
        line.contains("step-00000002: saved with another configuration"),
        "{line}"
    );
    assert!(line.contains("start a new run"), "{line}");
    fs::write(&path, "seed = 2").unwrap();
    let line = fail(&mut resume(&run));
    assert!(line.contains("config.toml: "), "{line}");
    fs::write(&path, config).unwrap();
    succeed(&mut resume(&run));
    assert!(run.join("report.html").exists());
}

#[test]
fn running_run_is_locked_and_killed_run_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let null = std::process::Stdio::null;
    let mut first = tiny(&run, &["train.steps=1000000", "checkpoint.every=1"]);
    let mut first = first.stdout(null()).stderr(null()).spawn().unwrap();
    // Until the first step is logged.
    while logged_steps(&run) == 0 {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for second in [&mut tiny(&run, &[]), &mut resume(&run)] {
        let line = fail(second);
        assert!(line.contains(run.to_str().unwrap()), "{line}");
        assert!(line.contains("another process trains there"), "{line}");
    }
    assert!(first.try_wait().unwrap().is_none(), "it still runs");
    first.kill().unwrap();
    first.wait().unwrap();
    let next = logged_steps(&run) + 1;
    succeed(resume(&run).args(["--stop-at", &next.to_string()]));
}

fn logged_steps(run: &Path) -> usize {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    text.matches("train/loss").count()
}

#[test]
fn closed_pipe_is_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let scenes = ["scenes", "--count", "1", "--out", &out];
    for args in [
        &["config", "list"][..],
        &["config", "show"],
        &["data", "stats", "scenes", "--set", "data.scenes.count=8"],
        &scenes,
    ] {
        let mut child = vlp(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Closes the pipe.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let text = support::stderr(&output);
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        assert!(output.status.success(), "{args:?}: {text}");
    }
}

#[test]
fn objects_beyond_the_queries_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let set = [
        "objectives.detection.num_queries=1",
        "data.scenes.min_objects=2",
        "data.max_text_len=3",
    ];
    succeed(&mut tiny(&run, &set));
    let records = losses(&run);
    assert_eq!(records.len(), 4);
    for record in records {
        let count = |name: &str| record[name].as_f64().unwrap();
        assert_eq!(count("stats/detection/objects"), 4.0);
        assert!(count("stats/detection/dropped_objects") >= 4.0);
        assert_eq!(count("train/skipped_steps"), 0.0);
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// Twelve scenes as COCO files: image 3 is half a JPEG, image 5 is missing, caption 1 is empty, box 1 has no area.
fn damaged_coco(dir: &Path) {
    write_scenes(dir, Split::Train, 12);
    let mut images = fs::read_dir(dir.join("snli_ve/flickr30k_images")).unwrap();
    let jpeg = fs::read(images.next().unwrap().unwrap().path()).unwrap();
    fs::write(dir.join("train/half.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    fs::remove_file(dir.join("train/000000000005.png")).unwrap();
    edit(&dir.join("annotations/captions_train.json"), |file| {
        file["images"][3]["file_name"] = json!("half.jpg");
        file["annotations"][0]["caption"] = json!("  ");
    });
    edit(&dir.join("annotations/instances_train.json"), |file| {
        file["annotations"][0]["bbox"] = json!([5.0, 5.0, 0.0, 0.0]);
    });
}

#[test]
fn bad_records_are_skipped_and_named_and_training_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, run) = (folder.path().join("coco"), folder.path().join("run"));
    damaged_coco(&dir);
    let source = format!("data.source=coco:{}", dir.display());
    let set = [
        "data.max_bad_fraction=0.5",
        "data.validation_fraction=0.2",
        "train.steps=6",
    ];
    let text = succeed(tiny(&run, &set).args(["--set", &source]));
    assert!(
        text.contains("skipped a sample") && text.contains("half.jpg"),
        "{text}"
    );
    assert_eq!(losses(&run).len(), 6);
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    for part in [
        "half.jpg",
        "image 5",
        "000000000005.png is missing",
        "1 captions without words",
        "1 boxes without area",
    ] {
        assert!(report.contains(part), "the report does not say: {part}");
    }
    // If no bad sample is allowed, the run stops and names it.
    let run = folder.path().join("strict");
    let line = fail(
        tiny(
            &run,
            &["data.max_bad_fraction=0.0", "data.validation_fraction=0.2"],
        )
        .args(["--set", &source]),
    );
    assert!(
        line.contains("data.max_bad_fraction: ")
            && line.contains("half.jpg")
            && line.contains("allowed fraction of 0"),
        "{line}"
    );
}
