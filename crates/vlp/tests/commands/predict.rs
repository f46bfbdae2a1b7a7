//! Prediction for image files.

use std::path::PathBuf;
use std::{fs, slice};

use serde_json::Value;
use vlp::predict::{Request, read_image};
use vlp_data::Image;
use vlp_scenes::{Scenes, ScenesConfig};
use vlp_transformer::Sampling;

use crate::support::{fail, succeed, tiny, vlp};

#[test]
fn predict_uses_all_heads_and_names_missing_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    let scenes = ScenesConfig::default().with_count(3);
    Scenes::new(scenes)
        .unwrap()
        .write_to(folder.path().join("data"))
        .unwrap();
    let images: PathBuf = folder.path().join("data/train");
    fs::write(images.join("broken.png"), b"no image").unwrap();
    succeed(&mut tiny(&run, &[]));
    let mut command = vlp(&["predict"]);
    command.arg(&run).arg(&images).arg("--out").arg(&out);
    let text = succeed(command.args(["--text", "a red circle", "--threshold", "0"]));
    assert!(
        text.contains("skipped") && text.contains("broken.png"),
        "{text}"
    );
    let text = fs::read(out.join("predictions.json")).unwrap();
    let predictions: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(predictions.len(), 3);
    for prediction in &predictions {
        assert_eq!(prediction["objects"].as_array().unwrap().len(), 5);
        assert!(prediction["caption"]["text"].is_string());
        let probability = prediction["matches"][0].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&probability));
    }
    assert!(
        fs::read_to_string(out.join("predictions.html"))
            .unwrap()
            .contains("a red circle")
    );
    // Predictions do not depend on the batch.
    let model = vlp::Predictor::load(&run).unwrap();
    let name = predictions[1]["image"].as_str().unwrap();
    let image = read_image(images.join(name)).unwrap();
    assert_eq!(
        model.caption(&image).unwrap().text,
        predictions[1]["caption"]["text"]
    );
    // Nor do sampled captions.
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
    let other = read_image(images.join(predictions[0]["image"].as_str().unwrap())).unwrap();
    let sample = |images: &[Image], index: usize, seed: u64| {
        let request = Request {
            seed,
            ..request.clone()
        };
        let text = model.predict(images, &request).unwrap()[index]
            .caption
            .clone();
        text.unwrap().text
    };
    let alone = sample(slice::from_ref(&image), 0, 3);
    assert_eq!(sample(&[other.clone(), image.clone()], 1, 3), alone);
    assert_ne!(sample(slice::from_ref(&image), 0, 4), alone, "another seed");
    assert_ne!(sample(&[other], 0, 3), alone, "another image");
    for (flags, message) in [
        (&["--threshold", "nan"][..], "between 0 and 1"),
        (&["--length-penalty", "1"], "only beam search has one"),
        (
            &["--length-penalty", "1", "--top-k", "3"],
            "only beam search has one",
        ),
        (
            &["--length-penalty", "nan", "--num-beams", "2"],
            "use a finite number",
        ),
        (
            &["--min-new-tokens", "9", "--max-new-tokens", "5"],
            "more than --max-new-tokens 5",
        ),
        (
            &["--max-new-tokens", "65"],
            "--max-new-tokens 65: use at most 64",
        ),
        (
            &["--num-beams", "1001"],
            "--num-beams 1001: use 1 (greedy) to 1000",
        ),
    ] {
        let line = fail(vlp(&["predict"]).arg(&run).arg(&images).args(flags));
        assert!(line.contains(message), "{line}");
    }
    let beams = ["--length-penalty", "1", "--num-beams", "2"];
    succeed(
        vlp(&["predict"])
            .arg(&run)
            .arg(&images)
            .args(beams)
            .arg("--out")
            .arg(&out),
    );
    let line = fail(
        vlp(&["predict"])
            .arg(&run)
            .arg(&images)
            .args(["--question", "what?"]),
    );
    assert!(
        line.contains("objectives.vqa") && line.contains("finetune"),
        "{line}"
    );
}

#[test]
fn images_of_one_name_have_distinct_names_in_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (run, out) = (path("run"), path("out"));
    succeed(&mut tiny(&run, &[]));
    for (index, name) in ["a/x/i.png", "b/x/i.png", "b/x/i.jpg", "b/j.png"]
        .into_iter()
        .enumerate()
    {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        let color = image::Rgb([40 * index as u8, 0, 0]);
        // The JPEG has another size than the others.
        let width = if name.ends_with("jpg") { 64 } else { 32 };
        let image = image::RgbImage::from_pixel(width, 32, color);
        image.save(path(name)).unwrap();
    }
    let mut command = vlp(&["predict"]);
    command.arg(&run).current_dir(folder.path());
    // One file twice, in two spellings.
    for image in ["a/x/i.png", "b/x", "b/j.png", "./a/x/i.png"] {
        command.arg(image);
    }
    succeed(command.arg("--out").arg(&out));
    let text = fs::read(out.join("predictions.json")).unwrap();
    let predictions: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let names = predictions
        .iter()
        .map(|item| item["image"].as_str().unwrap());
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ["a/x/i.png", "i.jpg", "b/x/i.png", "j.png"]);
    // The other files, also those of other sizes, do not change the predictions of one.
    let model = vlp::Predictor::load(&run).unwrap();
    for (item, file) in predictions
        .iter()
        .zip(["a/x/i.png", "b/x/i.jpg", "b/x/i.png", "b/j.png"])
    {
        let alone = model.caption(&read_image(path(file)).unwrap()).unwrap();
        let caption = &item["caption"];
        assert_eq!(caption["text"], alone.text, "{file}");
        let difference = caption["log_probability"].as_f64().unwrap() - alone.log_probability;
        // The batch changes the order of sums of 32-bit floats.
        assert!(difference.abs() < 1e-4, "{file}: {difference}");
    }
    let page = fs::read_to_string(out.join("predictions.html")).unwrap();
    for name in names {
        assert!(page.contains(name), "{name}");
    }
}
