//! `vlp index`, `vlp search` and search by the server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vlp::Predictor;
use vlp::search::{SearchIndex, SearchOptions};
use vlp_data::{Limits, decode_image};
use vlp_index::Index;
use vlp_scenes::Split;

use crate::serve::Served;
use crate::support::{fail, succeed, tiny, vlp, write_scenes};

/// More than one segment.
const SCENES: usize = 600;

/// A run with both heads, in `folder`.
fn trained(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    succeed(&mut tiny(&run, &["objectives.itc.dim=8"]));
    run
}

/// `vlp index RUN scenes` of `count` scenes.
fn index(run: &Path, out: &Path, count: usize) -> Command {
    let mut command = vlp(&["index"]);
    command.arg(run).args(["scenes", "--set"]);
    command.arg(format!("data.scenes.count={count}"));
    command.arg("--out").arg(out);
    command
}

/// The hits of `vlp search`, without messages.
fn search(index: &Path, args: &[&str]) -> Value {
    let json = index.with_extension("json");
    let mut command = vlp(&["search"]);
    command.arg(index).args(args).arg("--json").arg(&json);
    assert_eq!(succeed(&mut command), "");
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    files.collect()
}

#[test]
fn a_killed_index_is_resumed_and_gives_what_the_heads_say() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let path = |name: &str| folder.path().join(name);
    let (whole, killed) = (path("whole"), path("killed"));
    succeed(&mut index(&run, &whole, SCENES));
    // Killed once the first segment is there.
    let mut process = index(&run, &killed, SCENES)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !killed.join("000000.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_secs(300));
        sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    if Index::open(&killed).is_err() {
        let line = fail(vlp(&["search"]).arg(&killed).args(["--text", "a star"]));
        assert!(
            line.contains(&format!(
                "of {SCENES} samples; run the same vlp index command again to resume it"
            )),
            "{line}"
        );
    }
    succeed(&mut index(&run, &killed, SCENES));
    assert_eq!(files(&killed), files(&whole));

    let text = "a red circle";
    let first_pass = search(&whole, &["--text", text, "--top", "600", "--rerank", "0"]);
    assert_eq!(
        (&first_pass["compared"], &first_pass["reranked"]),
        (&json!(SCENES), &json!(0))
    );
    let similarities = first_pass["hits"].as_array().unwrap();
    let similarities = similarities
        .iter()
        .map(|hit| hit["similarity"].as_f64().unwrap());
    assert!(similarities.clone().is_sorted_by(|a, b| a >= b));
    assert_eq!(similarities.len(), SCENES);

    // The library: naive computation of both passes for each image alone.
    let model = Predictor::load(&run).unwrap();
    let (opened, notes) = SearchIndex::open(&whole, &model).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let query = model.text_embeddings(&[text]).unwrap().concat();
    let mut data = model.trained().config.data.clone();
    data.scenes = data.scenes.with_count(SCENES);
    let source = vlp::data::open_plain(&data).unwrap().source;
    let best = search(&whole, &["--text", text, "--rerank", "8", "--top", "20"]);
    assert_eq!(best["reranked"], 8);
    let hits = best["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 20);
    let mut log_odds = vec![];
    for (place, hit) in hits.iter().enumerate() {
        let number = hit["image"].as_u64().unwrap() as usize;
        let sample = source.load(number).unwrap();
        assert_eq!(hit["name"], json!(sample.name));
        let image = model.resize(&sample.image).unwrap();
        let embedding = model.image_embeddings(&[&image]).unwrap().concat();
        let cosine: f32 = embedding.iter().zip(&query).map(|(a, b)| a * b).sum();
        // 16-bit floats: 2^-11; the batch changes the order of sums.
        assert!((f64::from(cosine) - hit["similarity"].as_f64().unwrap()).abs() < 6e-4);
        assert_eq!(hit["probability"].is_number(), place < 8);
        if place < 8 {
            let probability = model.match_batch(&[(&image, &[text.into()])]).unwrap()[0][0];
            assert!((f64::from(probability) - hit["probability"].as_f64().unwrap()).abs() < 1e-4);
            log_odds.push(model.match_log_odds(&[(&image, &[text.into()])]).unwrap()[0][0]);
        }
    }
    assert!(log_odds.is_sorted_by(|a, b| *a >= b - 1e-4), "{log_odds:?}");
    // Those that are re-ranked are the best by similarity.
    let numbers = |hits: &[Value]| {
        let mut numbers: Vec<u64> = hits
            .iter()
            .map(|hit| hit["image"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(
        numbers(&hits[..8]),
        numbers(&first_pass["hits"].as_array().unwrap()[..8])
    );

    // Texts by image.
    let image = path("query.png");
    let sample = source.load(5).unwrap();
    let pixels = image::RgbImage::from_raw(
        sample.image.width as u32,
        sample.image.height as u32,
        sample.image.rgb.clone(),
    );
    pixels.unwrap().save(&image).unwrap();
    let by_image = search(&whole, &["--image", image.to_str().unwrap(), "--top", "3"]);
    let options = SearchOptions {
        top: 3,
        ..SearchOptions::default()
    };
    let resized = model.resize(&sample.image).unwrap();
    let hits = model.search_texts(&opened, &resized, options).unwrap();
    let hits_json: Value = serde_json::from_slice(&serde_json::to_vec(&hits).unwrap()).unwrap();
    assert_eq!(by_image, hits_json);
    assert_eq!(hits.compared, opened.index().texts().len());
    assert_eq!(hits.hits.len(), 3);
    assert!(hits.hits[0].probability.unwrap() >= hits.hits[1].probability.unwrap());
    assert!(
        hits.hits
            .iter()
            .all(|hit| hit.image_count >= hit.images.len() && !hit.images.is_empty())
    );
    server_gives_the_same(&run, &whole, &best);
}

/// The server's answers are those of the command line, and its thumbnails are the images.
fn server_gives_the_same(run: &Path, index: &Path, best: &Value) {
    let mut command = vlp(&["serve"]);
    let served = Served::start(
        command
            .arg(run)
            .args(["--examples", "2", "--index"])
            .arg(index),
    );
    let info = served.get("/v1/models")["models"][0]["search"].clone();
    assert_eq!(
        (&info["images"], &info["reranks_images"]),
        (&json!(SCENES), &json!(true))
    );
    let body = json!({ "texts": ["a red circle"], "top": 20, "rerank": 8 });
    let answer = served.post("/v1/search", &body)["results"][0].clone();
    assert_eq!(answer["images"], best["hits"]);
    let body = json!({ "images": [{ "example": 0 }] });
    let answer = served.post("/v1/search", &body)["results"][0].clone();
    assert_eq!(answer["texts"].as_array().unwrap().len(), 10);
    let (status, jpeg) = served.call("GET", "/v1/search/images/3", "");
    assert_eq!(status, 200);
    let thumbnail = decode_image(&jpeg, "thumbnail", &Limits::default()).unwrap();
    assert_eq!((thumbnail.width, thumbnail.height), (32, 32));
}

#[test]
fn what_does_not_fit_together_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let path = |name: &str| folder.path().join(name);
    let (plain, made, other) = (path("plain"), path("made"), path("other"));
    succeed(&mut tiny(&plain, &[]));
    succeed(&mut index(&run, &made, 8));
    let line = fail(&mut index(&plain, &path("none"), 8));
    assert!(
        line.contains("no contrastive head") && line.contains("objectives.itc.dim=256"),
        "{line}"
    );
    assert!(!path("none").exists());
    let line = fail(&mut index(&run, &made, 9));
    assert!(
        line.contains("it is an index of") && line.contains("use another folder"),
        "{line}"
    );
    // A run of its own, with the same configuration.
    succeed(&mut tiny(&other, &["objectives.itc.dim=8", "seed=9"]));
    let line = fail(&mut index(&other, &made, 8));
    assert!(line.contains("another run or checkpoint"), "{line}");
    let search = |args: &[&str]| {
        let mut command = vlp(&["search"]);
        command.arg(&made).args(args);
        command
    };
    let other_name = other.to_str().unwrap().to_owned();
    let line = fail(&mut search(&["--text", "a star", "--run", &other_name]));
    assert!(
        line.contains("another run or checkpoint") && line.contains("fingerprint"),
        "{line}"
    );
    let line = fail(vlp(&["serve"]).arg(&other).arg("--index").arg(&made));
    assert!(line.contains("none of the served runs made it"), "{line}");
    let line = fail(
        vlp(&["serve"])
            .arg(&run)
            .arg("--index")
            .arg(&made)
            .arg("--index")
            .arg(&made),
    );
    assert!(line.contains("has an index already"), "{line}");
    let line = fail(&mut search(&["--text", " "]));
    assert!(line.contains("the text is empty"), "{line}");
    let line = fail(vlp(&["search"]).arg(&run).args(["--text", "a star"]));
    assert!(
        line.contains("has no index.json; vlp index RUN SOURCE writes one"),
        "{line}"
    );
    let mut command = index(&run, &path("set"), 8);
    let line = fail(command.args(["--set", "data.images=x"]));
    assert!(
        line.contains("data.images: this source does not read it"),
        "{line}"
    );

    // The exported model is the same one; the run that the index names is gone.
    let exported = path("exported");
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&exported));
    fs::rename(&run, path("moved")).unwrap();
    let line = fail(&mut search(&["--text", "a star"]));
    assert!(
        line.contains("no longer exists at that path; --run"),
        "{line}"
    );
    let by_moved = search(&["--text", "a star", "--run", path("moved").to_str().unwrap()])
        .output()
        .unwrap();
    let by_exported = search(&["--text", "a star", "--run", exported.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(by_moved.status.success());
    assert_eq!(by_moved.stdout, by_exported.stdout);
}

#[test]
fn images_that_cannot_be_read_any_more_keep_their_place_behind() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let path = |name: &str| folder.path().join(name);
    let (data, made) = (path("data"), path("index"));
    write_scenes(&data, Split::Train, 6);
    let images = fs::read_dir(data.join("train")).unwrap();
    let broken = images.map(|entry| entry.unwrap().path()).min().unwrap();
    fs::write(&broken, "no image").unwrap();
    let source = format!("coco:{}", data.display());
    let mut command = vlp(&["index"]);
    let text = succeed(
        command
            .arg(&run)
            .arg(&source)
            .arg("--out")
            .arg(&made)
            .args(["--thumbnails", "0"]),
    );
    let opened = Index::open(&made).unwrap();
    let name = broken.file_name().unwrap().to_str().unwrap();
    assert!(text.contains("skipped: ") && text.contains(name), "{text}");
    assert_eq!((opened.images().len(), opened.skipped().len()), (5, 1));
    assert_eq!(opened.thumbnail(0).unwrap(), None);
    assert!(files(&made).keys().all(|name| !name.ends_with(".jpegs")));
    let count = opened.images().len();
    let first = search(&made, &["--text", "a star"]);
    assert_eq!(first["reranked"], count);
    // The image with the best match is damaged.
    let name = first["hits"][0]["name"].as_str().unwrap();
    fs::write(data.join("train").join(name), "no image").unwrap();
    let json = path("hits.json");
    let mut command = vlp(&["search"]);
    let text = succeed(
        command
            .arg(&made)
            .args(["--text", "a star", "--json"])
            .arg(&json),
    );
    assert!(
        text.contains("not read by the matching head") && text.contains(name),
        "{text}"
    );
    let second: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(second["reranked"], count - 1);
    let last = &second["hits"][count - 1];
    assert_eq!(
        (&last["name"], &last["probability"]),
        (&json!(name), &json!(null))
    );
    // With another source images are ranked by similarity, which is said.
    fs::remove_file(data.join("train").join(name)).unwrap();
    let mut command = vlp(&["search"]);
    let text = succeed(command.arg(&made).args(["--text", "a star"]));
    assert!(text.contains("ranked by similarity alone"), "{text}");
    assert!(
        text.contains("it has 5 samples, and had 6 when it was indexed"),
        "{text}"
    );
    let line = fail(
        vlp(&["search"])
            .arg(&made)
            .args(["--text", "a star", "--rerank", "3"]),
    );
    assert!(
        line.contains("--rerank 3") && line.contains("similarity alone"),
        "{line}"
    );
    // A source without a readable image.
    let source = format!("json:{}", path("none.jsonl").display());
    let record = json!({"image": broken, "caption": "a star", "width": 8, "height": 8});
    fs::write(path("none.jsonl"), record.to_string()).unwrap();
    let mut command = vlp(&["index"]);
    command
        .arg(&run)
        .arg(&source)
        .arg("--out")
        .arg(path("none"));
    let line = fail(&mut command);
    assert!(
        line.contains("nothing to write") && line.contains("delete the folder"),
        "{line}"
    );
}
