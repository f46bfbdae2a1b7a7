//! Sources on the command line: splits, images elsewhere, and paths of any characters.

use std::fs;

use vlp_scenes::Split;

use crate::support::{fail, losses, set_values, succeed, tiny, vlp, write_scenes};

/// `vlp data check SOURCE` finds `samples` samples and no issues.
fn assert_clean(source: &str, set: &[&str], samples: usize) {
    let mut command = vlp(&["data", "check", source]);
    set_values(&mut command, set);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{source}: {output:?}");
    assert!(
        text.contains(&format!(": {samples} samples")),
        "{source}: {text}"
    );
}

#[test]
fn splits_are_selected_in_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("me@home");
    write_scenes(&dir, Split::Train, 8);
    write_scenes(&dir, Split::Test, 5);
    let name = dir.display().to_string();
    let splits = vlp_data::read::CocoFiles::splits(&dir).unwrap();
    let [test, train] = splits.as_slice() else {
        panic!("{splits:?}");
    };
    for source in [
        format!("coco:{name}"),
        name.clone(),
        format!("{name}@nothing"),
    ] {
        let line = fail(&mut vlp(&["data", "check", &source]));
        let usage = format!("use \"coco:{name}@{test}\" or \"coco:{name}@{train}\"");
        assert!(line.contains(&usage), "{line}");
    }
    for kind in ["coco:", ""] {
        assert_clean(&format!("{kind}{name}@{train}"), &[], 8);
        assert_clean(&format!("{kind}{name}@{test}"), &[], 5);
    }
    let questions = dir.join("vqa");
    let splits = vlp_data::read::VqaFiles::splits(&questions).unwrap();
    let questions = questions.display().to_string();
    let line = fail(&mut vlp(&["data", "check", &format!("vqa:{questions}")]));
    for split in &splits {
        assert!(
            line.contains(&format!("\"vqa:{questions}@{split}\"")),
            "{line}"
        );
        succeed(&mut vlp(&[
            "data",
            "check",
            &format!("vqa:{questions}@{split}"),
        ]));
        succeed(&mut vlp(&[
            "data",
            "check",
            &format!("vqa:{questions}/{split}"),
        ]));
        succeed(&mut vlp(&[
            "data",
            "check",
            &format!("{questions}@{split}"),
        ]));
    }
    let run = folder.path().join("run");
    let source = format!("data.source=coco:{name}@{train}");
    let validation = format!("data.validation=coco:{name}@{test}");
    succeed(&mut tiny(&run, &[&source, &validation]));
    assert_eq!(losses(&run).len(), 4);
}

#[test]
fn message_about_missing_images_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("coco");
    write_scenes(&dir, Split::Train, 4);
    let images = folder.path().join("2014");
    fs::rename(dir.join("train"), &images).unwrap();
    let source = format!("coco:{}", dir.display());
    let setting = format!("data.images={}", images.display());
    let line = fail(&mut vlp(&["data", "check", &source]));
    assert!(line.contains("set data.images to the folder"), "{line}");
    assert_clean(&source, &[&setting], 4);
    // A folder without the images.
    fs::create_dir(dir.join("train")).unwrap();
    let line = fail(&mut vlp(&["data", "check", &source]));
    assert!(line.contains("is missing"), "{line}");
    assert!(line.contains("set data.images to the folder"), "{line}");
    // A folder of digits is a path, not a number.
    let output = vlp(&["data", "check", &source, "--set", "data.images=2014"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // One missing image is an issue.
    fs::remove_file(images.join("000000000001.png")).unwrap();
    let line = fail(&mut vlp(&["data", "check", &source, "--set", &setting]));
    assert!(line.contains("1 issues; set data.images"), "{line}");
}

#[test]
fn paths_are_not_quoted() {
    let names = [
        "cafe\u{301} e\u{301}te\u{301}",
        "\u{5199}\u{771f}\u{3000}\u{96c6}\u{3000}",
        "my\u{a0}data\u{200b}set",
        "it's \"1\" [v2] = $x # @home",
        "2024-01-01T12:30:00",
        "json:back\\slash",
        "2014",
        "true",
    ];
    let folder = tempfile::tempdir().unwrap();
    let scenes = folder.path().join("scenes");
    write_scenes(&scenes, Split::Train, 8);
    for name in names {
        let dir = folder.path().join(name);
        fs::create_dir_all(dir.join("data")).unwrap();
        let mut lines = vec![];
        for number in 0..8 {
            let image = scenes.join(format!("train/00000000000{number}.png"));
            fs::copy(image, dir.join(format!("data/{number}.png"))).unwrap();
            lines.push(format!(
                r#"{{"image": "{number}.png", "caption": "a blue square {number}"}}"#
            ));
        }
        fs::write(dir.join("data/own.jsonl"), lines.join("\n")).unwrap();
        let file = dir.join("data/own.jsonl").display().to_string();
        for source in [format!("json:{file}"), file.clone()] {
            let output = vlp(&["data", "stats", &source]).output().unwrap();
            assert!(output.status.success(), "{source}: {output:?}");
        }
        // Relative paths, and the folder of the images alone.
        fs::rename(dir.join("data/own.jsonl"), dir.join("own.jsonl")).unwrap();
        fs::rename(dir.join("data"), dir.join(name)).unwrap();
        let images = format!("data.images={name}");
        for source in ["json:own.jsonl", "own.jsonl"] {
            let mut command = vlp(&["data", "stats", source, "--set", &images]);
            let output = command.current_dir(&dir).output().unwrap();
            assert!(output.status.success(), "{name}: {output:?}");
        }
        fs::rename(dir.join("own.jsonl"), dir.join(name).join("own.jsonl")).unwrap();
        let file = dir.join(name).join("own.jsonl").display().to_string();
        let line = fail(&mut vlp(&["data", "check", &format!("{file}.gone")]));
        assert!(line.contains("own.jsonl.gone"), "{line}");
    }
    let dir = folder.path().join(names[3]).join(names[3]);
    let source = format!("json:{}", dir.join("own.jsonl").display());
    let mut command = tiny(
        &folder.path().join("run"),
        &["data.validation_fraction=0.3"],
    );
    succeed(command.args(["--data", &source]));
    let page = folder.path().join("page.html");
    succeed(vlp(&["data", "view", &source, "--out"]).arg(page));
    succeed(vlp(&["data", "pack", &source, "--out"]).arg(folder.path().join(names[0]).join("set")));
    let weights = folder.path().join(format!("{}.pth", names[0]));
    let mut command = tiny(&folder.path().join("other run"), &[]);
    let line = fail(command.arg("--weights").arg(&weights));
    assert!(line.contains(names[0]), "{line}");
}

#[test]
fn equal_names_in_two_folders_of_images_are_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, colors: [u8; 2]| {
        let dir = folder.path().join(name);
        fs::create_dir(&dir).unwrap();
        let lines = colors.iter().enumerate().map(|(number, &color)| {
            let image = image::RgbImage::from_pixel(8, 8, image::Rgb([color, 0, 0]));
            image.save(dir.join(format!("{number}.png"))).unwrap();
            format!("{{\"image\": \"{number}.png\", \"caption\": \"a dog\"}}")
        });
        let lines: Vec<String> = lines.collect();
        fs::write(dir.join("data.jsonl"), lines.join("\n")).unwrap();
        format!("json:{}", dir.join("data.jsonl").display())
    };
    let (first, second) = (write("first", [0, 40]), write("second", [80, 120]));
    for command in ["check", "stats"] {
        let compare = ["data", command, &first, "--against", &second];
        let output = vlp(&compare).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(
            text.contains("not shared: 2 image ids of different images"),
            "{text}"
        );
    }
    // The second image of the first folder under the name of the first one.
    let third = write("third", [40, 160]);
    let line = fail(&mut vlp(&["data", "check", &first, "--against", &third]));
    assert!(line.contains("1 images of the other source"), "{line}");
}
