//! Sizes whose memory cannot be allocated.

use std::fs;

use crate::soho_command;
use crate::support::{fail, succeed, tiny, vlp};

#[test]
fn absurd_sizes_are_refused_with_the_most_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (key, most) in [
        ("model.d_model", "16384"),
        ("model.d_ff", "65536"),
        ("model.encoder_layers", "1000"),
        ("model.decoder_layers", "1000"),
        ("model.caption_layers", "1000"),
        ("model.max_positions", "65536"),
        ("model.backbone.width", "512"),
        ("objectives.detection.num_queries", "10000"),
        ("objectives.caption.num_beams", "1000"),
        ("data.batch_size", "65536"),
        ("data.workers", "1024"),
        ("data.texts_per_image", "1000"),
        ("data.pad_multiple", "16384"),
        ("train.accumulate", "65536"),
        ("eval.examples", "100000000"),
        ("eval.images", "10000"),
        ("eval.retrieval", "100000"),
        ("eval.retrieval_texts", "1000"),
    ] {
        let line = fail(&mut tiny(&run, &[&format!("{key}=1000000000")]));
        let expected = format!("error: {key} = 1000000000: use at most {most}");
        assert_eq!(line, expected);
        assert!(!run.exists(), "{key}");
    }
    let codes = "model.quantizer.dictionary.codes";
    let line = fail(&mut soho_command(&run, &[&format!("{codes}=1000000000")]));
    assert_eq!(
        line,
        format!("error: {codes} = 1000000000: use at most 65536")
    );
    let line = fail(&mut tiny(&run, &["objectives.itc={dim=1000000000}"]));
    assert!(
        line.contains("objectives.itc.dim = 1000000000: use at most 16384"),
        "{line}"
    );
    let reward = "objectives.caption.self_critical={samples=1000000000}";
    let line = fail(&mut tiny(&run, &[reward]));
    assert!(
        line.contains("self_critical.samples = 1000000000: use at most 1000"),
        "{line}"
    );
    // Each size is allowed, but not all of them at once.
    let large = [
        "model.d_model=16384",
        "model.encoder_layers=1000",
        "model.d_ff=65536",
    ];
    let line = fail(&mut tiny(&run, &large));
    assert!(line.contains("billion parameters; use at most 4"), "{line}");
    let resize = "data.resize={kind=\"square\", side=16384}";
    for set in [resize, "data.pad_multiple=16384"] {
        let line = fail(&mut tiny(&run, &[set]));
        assert!(
            line.contains("data.batch_size = 4: a batch of images of 16384x16384 pixels"),
            "{line}"
        );
    }
}

#[test]
fn absurd_size_in_an_edited_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &["train.steps=2"]));
    let file = run.join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("d_ff = 32", "d_ff = 1000000000")).unwrap();
    for command in [
        vlp(&["evaluate"]).arg(&run),
        vlp(&["predict"]).arg(&run).arg("x.png"),
        vlp(&["pretrain", "--resume"]).arg(&run),
    ] {
        let line = fail(command);
        let expected = format!(
            "error: {}: model.d_ff = 1000000000: use at most 65536",
            file.display()
        );
        assert_eq!(line, expected);
    }
}
