//! SOHO and its visual dictionary.

use std::fs;
use std::path::Path;

use crate::support::{fail, hashes, losses, resume, succeed, tiny};
use crate::{metric_names, soho_command};

#[test]
fn resumed_dictionary_run_is_bit_identical_with_restarts_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    for (name, set) in [
        (
            "paper",
            vec!["model.quantizer.dictionary.dead_code_threshold=2.0"],
        ),
        (
            "released",
            vec![
                "model.quantizer.dictionary.update=released",
                "model.quantizer.dictionary.init_from_data=false",
                "train.data_parallel_halves=false",
                "train.accumulate=1",
                "model.dropout=0.1",
            ],
        ),
        (
            "released-halves",
            vec![
                "model.quantizer.dictionary.update=released",
                "model.quantizer.dictionary.init_from_data=false",
                "model.quantizer.dictionary.dead_code_threshold=2.0",
            ],
        ),
    ] {
        let uninterrupted = folder.path().join(name);
        let resumed = folder.path().join(format!("{name}-resumed"));
        succeed(&mut soho_command(&uninterrupted, &set));
        succeed(soho_command(&resumed, &set).args(["--stop-at", "3"]));
        succeed(&mut resume(&resumed));
        assert_eq!(hashes(&resumed), hashes(&uninterrupted), "{name}");
        let metrics = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(metrics(&resumed) == metrics(&uninterrupted), "{name}");
    }
    for record in losses(&folder.path().join("paper")) {
        let masked = record["stats/mvm/masked_tokens"].as_f64();
        assert!(masked.is_some_and(|count| count > 0.0), "{record}");
    }
    let names = metric_names(&folder.path().join("paper"));
    for metric in [
        "mvm/accuracy",
        "dictionary/perplexity",
        "dictionary/restarts",
        "retrieval/i2t_r1",
    ] {
        assert!(names.iter().any(|name| name == metric), "{names:?}");
    }
}

#[test]
fn invalid_soho_configurations_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (set, parts) in [
        (
            vec!["model.quantizer=off"],
            ["objectives.mvm", "needs a visual dictionary"],
        ),
        (
            vec![
                "objectives.caption={weight=1.0, max_new_tokens=28, num_beams=1, length_penalty=0.0}",
            ],
            ["objectives.caption", "model.decoder_layers"],
        ),
        (
            vec!["model.quantizer.dictionary.codes=0"],
            ["model.quantizer.dictionary.codes = 0", "use at least 1"],
        ),
        (
            vec!["data.texts_per_image=3"],
            [
                "objectives.itm.negative_fraction = 0.5",
                "not a whole number of texts",
            ],
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
            vec!["model.quantizer.dictionary.codes=900"],
            ["dictionary.codes = 900", "a larger batch"],
        ),
        (vec!["model.kodebook=1"], ["unknown key", "kodebook"]),
        (
            vec![r#"objectives.vqa={weight=1.0, head="soho_mlp"}"#],
            [
                "objectives.vqa.head = \"soho_mlp\"",
                "set train.data_parallel_halves=false",
            ],
        ),
        (
            vec![r#"objectives.nlvr2={weight=1.0, head="soho_mlp"}"#],
            ["objectives.nlvr2.head = \"soho_mlp\"", "it has dropout"],
        ),
        (
            vec![r#"objectives.snli_ve={weight=1.0, head="soho_mlp"}"#],
            ["objectives.snli_ve.head = \"soho_mlp\"", "it has dropout"],
        ),
    ] {
        let line = fail(&mut soho_command(&run, &set));
        for part in parts {
            assert!(line.contains(part), "{set:?}: {line}");
        }
        let _ = fs::remove_dir_all(&run);
    }
}

#[test]
fn objectives_of_both_systems_can_be_combined() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (e2e, soho) = (folder.path().join("e2e"), folder.path().join("soho"));
    let config = root.join("docs/e2e-with-dictionary.toml");
    succeed(tiny(&e2e, &[]).arg("--config").arg(config));
    let loss_names = |run: &Path| -> Vec<String> {
        let last = losses(run).pop().unwrap();
        let keys = last.as_object().unwrap().keys();
        keys.filter_map(|key| key.strip_prefix("train/").map(str::to_string))
            .collect()
    };
    for name in ["itm", "mlm", "mvm", "detection", "caption"] {
        assert!(loss_names(&e2e).iter().any(|n| n == name), "{name}");
    }
    succeed(&mut soho_command(
        &soho,
        &[
            "model.decoder_layers=1",
            "objectives.detection={num_queries=5}",
            "objectives.caption={weight=1.0, max_new_tokens=28, num_beams=1, length_penalty=0.0}",
        ],
    ));
    for name in ["itm", "mlm", "mvm", "detection", "caption"] {
        assert!(loss_names(&soho).iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn recomputed_layers_train_alike() {
    let folder = tempfile::tempdir().unwrap();
    let set = ["train.steps=3", "checkpoint.every=0"];
    for system in ["e2e", "soho"] {
        let run = |name: &str, recompute: &str| {
            let run = folder.path().join(format!("{system}-{name}"));
            let recompute = format!("model.recompute={recompute}");
            let set = [set[0], set[1], recompute.as_str()];
            succeed(&mut match system {
                "soho" => soho_command(&run, &set),
                _ => tiny(&run, &set),
            });
            losses(&run)
        };
        let stored = run("stored", "[]");
        let recomputed = run("recomputed", "[\"backbone\",\"encoder\"]");
        // The same forward pass; gradients differ by the order of sums.
        assert_eq!(stored[0]["train/loss"], recomputed[0]["train/loss"]);
        for (stored, recomputed) in stored.iter().zip(&recomputed) {
            for key in ["train/loss", "train/grad_norm"] {
                let [a, b] = [stored, recomputed].map(|record| record[key].as_f64().unwrap());
                assert!((a - b).abs() <= 1e-3 * a, "{system} {key}: {a} and {b}");
            }
        }
    }
    let invalid = folder.path().join("invalid");
    let error = fail(&mut tiny(&invalid, &["model.recompute=[\"encode\"]"]));
    assert!(error.contains("encoder"), "{error}");
}
