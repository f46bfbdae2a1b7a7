//! Files of others are not replaced, changed data are noticed, and what cannot be done is refused before the work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vlp_scenes::Split;

use crate::support::{fail, stderr, succeed, tiny, vlp, write_scenes};

fn args(command: &[&str], more: &[&Path]) -> Command {
    let mut command = vlp(command);
    command.args(more);
    command
}

/// A run with both heads of a search, in `folder`.
fn trained(folder: &Path, set: &[&str]) -> PathBuf {
    let run = folder.join("run");
    let set = [&["objectives.itc.dim=8", "train.steps=2"], set].concat();
    succeed(&mut tiny(&run, &set));
    run
}

#[test]
fn files_of_others_are_not_replaced_and_earlier_outputs_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = trained(folder.path(), &[]);
    write_scenes(&path("data"), Split::Train, 2);
    let image = path("data/train/000000000001.png");
    fs::create_dir(path("out")).unwrap();
    fs::create_dir(path("full")).unwrap();
    let (json, page, weights) = (path("a.json"), path("a.html"), path("a.safetensors"));
    let predictions = path("out/predictions.json");
    let others = [&json, &page, &weights, &predictions, &path("full/notes")];
    others
        .iter()
        .for_each(|file| fs::write(file, "mine").unwrap());
    let scenes = ["--set", "data.scenes.count=3"];
    let stats = || {
        let mut command = args(&["data", "stats", "scenes", "--json"], &[&json]);
        command.args(scenes);
        command
    };
    let view = || {
        let mut command = args(
            &["data", "view", "scenes", "--count", "1", "--out"],
            &[&page],
        );
        command.args(scenes);
        command
    };
    let predict = || {
        let mut command = args(&["predict"], &[&run, &image]);
        command.arg("--out").arg(path("out"));
        command
    };
    for (mut command, name) in [
        (stats(), "a.json: it exists and is not a report"),
        (view(), "a.html: it exists and is not a page"),
        (
            predict(),
            "predictions.json: it exists and is not an output",
        ),
        (
            args(&["weights", "export"], &[&run, &weights]),
            "a.safetensors: already exists; export to another file",
        ),
        (
            args(&["weights", "export"], &[&run, &path("full")]),
            "full: already exists and is not empty; export to a new folder",
        ),
    ] {
        let line = fail(&mut command);
        assert!(line.contains(name), "{line}");
    }
    for file in others {
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
        fs::remove_file(file).unwrap();
    }
    for mut command in [stats(), view(), predict()] {
        succeed(&mut command);
        succeed(&mut command);
    }
    // A page of another command is not one of this command.
    fs::copy(path("out/predictions.html"), &page).unwrap();
    let line = fail(&mut view());
    assert!(line.contains("is not a page of vlp data view"), "{line}");

    // An export is recognized.
    succeed(&mut args(&["weights", "export"], &[&run, &weights]));
    let output = args(&["weights", "inspect"], &[&weights]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("model and heads of a vlp run"), "{text}");
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn generated_scenes_replace_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let instances = folder.path().join("annotations/instances_train.json");
    fs::create_dir(instances.parent().unwrap()).unwrap();
    fs::write(&instances, "mine").unwrap();
    let mut command = args(&["scenes", "--count", "2", "--out"], &[folder.path()]);
    let line = fail(&mut command);
    assert!(line.contains("instances_train.json: it exists"), "{line}");
    assert_eq!(fs::read_to_string(&instances).unwrap(), "mine");
    assert!(!folder.path().join("train").exists());
}

#[test]
fn an_index_notices_that_its_source_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = trained(folder.path(), &[]);
    write_scenes(&path("data"), Split::Train, 6);
    let made = path("index");
    let index = || {
        let mut command = args(&["index"], &[&run]);
        // Relative, unlike the search's working directory.
        command.arg("coco:data").current_dir(folder.path());
        command.arg("--out").arg(&made);
        command
    };
    let search = |rerank: &str| {
        let mut command = args(&["search"], &[&made]);
        command.args(["--text", "a star", "--rerank", rerank]);
        command.current_dir(path("data"));
        command
    };
    succeed(&mut index());
    assert_eq!(succeed(&mut search("6")), "");
    // Complete: nothing is done, and no progress is shown.
    let text = succeed(&mut index());
    assert!(!text.contains("0/0"), "{text}");

    let images = path("data/train");
    let (first, second) = (
        images.join("000000000000.png"),
        images.join("000000000001.png"),
    );
    let first_image = fs::read(&first).unwrap();
    fs::copy(&second, &first).unwrap();
    for (mut command, what) in [
        (search("6"), "index the source anew"),
        (index(), "its source has changed since it was begun"),
    ] {
        let line = fail(&mut command);
        assert!(
            line.contains(what) && line.contains("000000000000.png, has other pixels"),
            "{line}"
        );
    }
    succeed(&mut search("0"));
    fs::write(&first, first_image).unwrap();
    succeed(&mut search("6"));

    let captions = path("data/annotations/captions_train.json");
    let mut content: Value = serde_json::from_slice(&fs::read(&captions).unwrap()).unwrap();
    content["annotations"][0]["caption"] = json!("another text");
    fs::write(&captions, content.to_string()).unwrap();
    for mut command in [search("6"), index()] {
        let line = fail(&mut command);
        assert!(line.contains("has other texts"), "{line}");
    }
}

#[test]
fn hits_are_printed_without_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = trained(folder.path(), &[]);
    write_scenes(&path("data"), Split::Train, 1);
    let record = json!({
        "image": path("data/train/000000000000.png"),
        "caption": "a star\u{1b}[31m red",
    });
    let list = path("list.jsonl");
    fs::write(&list, record.to_string()).unwrap();
    let source = format!("json:{}", list.display());
    let mut command = args(&["index"], &[&run]);
    succeed(command.arg(source).arg("--out").arg(path("index")));
    let mut command = args(&["search"], &[&path("index")]);
    let output = command.args(["--text", "a star"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a star\\u{1b}[31m red"), "{text:?}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn predictions_of_nothing_are_refused_and_missing_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = trained(folder.path(), &[]);
    let bare = path("bare");
    let without_heads = ["objectives.detection=off", "objectives.caption=off"];
    succeed(&mut tiny(
        &bare,
        &[&without_heads[..], &["train.steps=2"]].concat(),
    ));
    write_scenes(&path("data"), Split::Train, 1);
    let image = path("data/train/000000000000.png");
    let out = path("out");
    let predict = |run: &Path, images: &[&Path], flags: &[&str]| {
        let mut command = args(&["predict"], &[run]);
        command.args(images).args(flags).arg("--out").arg(&out);
        command
    };
    let missing = path("missing.png");
    for (run, images, flags, message) in [
        (&bare, &[&*image][..], &[][..], "add --text"),
        (
            &run,
            &[&image],
            &["--text", "  "],
            "--text: the text is empty",
        ),
        (
            &run,
            &[&image],
            &["--question", ""],
            "--question: the text is empty",
        ),
        (
            &run,
            &[&image],
            &["--max-new-tokens", "0"],
            "--max-new-tokens 0: use at least 1",
        ),
        (&run, &[&missing], &[], "nothing to write"),
    ] {
        let line = fail(&mut predict(run, images, flags));
        assert!(line.contains(message), "{line}");
        assert!(!out.exists(), "{line}");
    }
    let line = fail(&mut predict(&run, &[&missing, &image], &[]));
    assert!(
        line.contains("1 of the named files cannot be read"),
        "{line}"
    );
    let text = fs::read(out.join("predictions.json")).unwrap();
    let predictions: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(predictions.len(), 1);
    let long = "red ".repeat(300);
    let text = succeed(&mut predict(
        &run,
        &[&image],
        &["--text", &long, "--text", "a star"],
    ));
    assert_eq!(text.matches("its end is cut").count(), 1, "{text}");
}

#[test]
fn places_that_cannot_be_written_are_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "").unwrap();
    let none = path("none/x");
    // There is no run: nothing was read before.
    for (mut command, message) in [
        (
            args(&["evaluate", "norun", "--results"], &[&path("file")]),
            "is a file; name a folder",
        ),
        (
            args(&["dictionary", "norun", "--out"], &[&none]),
            "there is no folder",
        ),
        (
            args(&["search", "noindex", "--text", "a", "--json"], &[&none]),
            "there is no folder",
        ),
        (
            args(&["data", "check", "coco:none", "--json"], &[&none]),
            "there is no folder",
        ),
        (
            args(&["data", "view", "coco:none", "--out"], &[folder.path()]),
            "it is a folder; name a file",
        ),
    ] {
        let line = fail(&mut command);
        assert!(line.contains(message), "{line}");
    }
    write_scenes(&path("data"), Split::Train, 1);
    let line = fail(&mut args(&["data", "check"], &[&path("data/train")]));
    assert!(
        line.contains("a folder without annotations") && line.contains("json:"),
        "{line}"
    );
    let mut command = args(&["data", "pack", "scenes", "--out"], &[&path("shards")]);
    let output = command.args(["--threads", "18446744073709551615"]).output();
    let output = output.unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("1..=1024"), "{text}");
}

#[test]
fn flags_are_listed_under_their_headings() {
    for (command, heading, flags) in [
        (
            "predict",
            "Captions:",
            &["--out", "--device", "--precision"][..],
        ),
        ("serve", "Network:", &["--device", "--precision"]),
    ] {
        let output = vlp(&[command, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let place = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name}: {text}"));
        for flag in flags {
            assert!(
                place(&format!("{flag} <")) < place(heading),
                "{flag}: {text}"
            );
        }
    }
}
