//! `vlp serve` and `vlp features` on trained runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use vlp::config::other_source;
use vlp::predict::FeatureArray;
use vlp_data::Source;
use vlp_scenes::{Scenes, ScenesConfig, Split};

use crate::support::{fail, succeed, tiny, vlp, write_scenes};

/// A server process and its address.
pub(crate) struct Served {
    process: Child,
    address: String,
}

impl Served {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.args(["--port", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("http://")?.to_owned()));
        let address = address.unwrap().trim_end_matches('/').to_owned();
        Self { process, address }
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call("POST", path, &body.to_string());
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call("GET", path, "");
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&answer).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The greatest difference of the numbers of two answers, which are otherwise equal.
#[track_caller]
pub(crate) fn difference(a: &Value, b: &Value) -> f64 {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs(),
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            let pairs = a.iter().zip(b);
            pairs.map(|(a, b)| difference(a, b)).fold(0.0, f64::max)
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()));
            let pairs = a.values().zip(b.values());
            pairs.map(|(a, b)| difference(a, b)).fold(0.0, f64::max)
        }
        _ => {
            assert_eq!(a, b);
            0.0
        }
    }
}

/// Every request about two images together, and about each alone, with the same results up to rounding.
#[track_caller]
fn compare_with_single(served: &Served, path: &str, mut body: Value) -> Value {
    body["images"] = json!([{ "example": 0 }, { "example": 1 }]);
    let together = served.post(path, &body);
    for image in 0..2 {
        body["images"] = json!([{ "example": image }]);
        let alone = served.post(path, &body);
        let difference = difference(&alone["results"][0], &together["results"][image]);
        // Sums of another order: a few units of f32's last place, of numbers up to some hundred pixels.
        assert!(difference < 1e-3, "{path}: {difference}");
    }
    together
}

#[test]
fn two_runs_are_served_with_the_heads_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let (first, soho) = (folder.path().join("first"), folder.path().join("soho"));
    succeed(&mut tiny(&first, &[]));
    let mut command = vlp(&["pretrain", "--preset", "soho-tiny", "--quick", "--out"]);
    succeed(command.arg(&soho));
    let mut command = vlp(&["serve"]);
    let served = Served::start(command.arg(&first).arg(&soho).args(["--examples", "4"]));
    let models = served.get("/v1/models")["models"].clone();
    assert_eq!(models[0]["name"], "first");
    assert_eq!(models[0]["system"], "e2e-vlp");
    assert_eq!(models[1]["system"], "soho");
    assert_eq!(models[1]["examples"], 4);
    let heads = |model: usize| models[model]["heads"].as_array().unwrap().clone();
    assert!(heads(0).contains(&json!("detect")) && !heads(0).contains(&json!("codes")));
    assert!(heads(1).contains(&json!("codes")) && !heads(1).contains(&json!("detect")));

    let detections = compare_with_single(&served, "/v1/detect", json!({ "floor": 0 }));
    let objects = detections["results"][0]["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 5);
    let search = json!({ "search": { "num_beams": 3 } });
    let captions = compare_with_single(&served, "/v1/caption", search);
    let captions = captions["results"][0]["captions"].as_array().unwrap();
    let scores = captions
        .iter()
        .map(|caption| caption["score"].as_f64().unwrap());
    assert!(captions.len() > 1 && scores.is_sorted_by(|a, b| a >= b));
    let sampling = json!({ "sampling": { "count": 3, "seed": 5 } });
    compare_with_single(&served, "/v1/caption", sampling);
    let texts = json!({ "texts": ["a red circle", "two blue squares and a star"] });
    compare_with_single(&served, "/v1/match", texts.clone());
    let attention = json!({
        "queries": [objects[0]["query"], 0],
        "captions": [captions[0]["text"]],
        "texts": ["a red circle"]
    });
    // An untrained model may generate no word at all.
    let is_empty = captions[0]["text"].as_str().unwrap().trim().is_empty();
    if !is_empty {
        let maps = compare_with_single(&served, "/v1/attention", attention);
        let maps = &maps["results"][0];
        let cells = maps["rows"].as_u64().unwrap() * maps["columns"].as_u64().unwrap();
        let weights = maps["queries"][0]["weights"].as_array().unwrap();
        assert_eq!(weights.len() as u64, cells);
        assert_eq!(maps["texts"][0]["words"].as_array().unwrap().len(), 3);
    }
    let mut soho_texts = texts;
    soho_texts["model"] = json!("soho");
    compare_with_single(&served, "/v1/match", soho_texts);
    let codes = compare_with_single(&served, "/v1/codes", json!({ "model": "soho" }));
    let code = &codes["results"][0]["codes"][0];
    let typical = served.get(&format!("/v1/codes/{code}?model=soho"));
    assert!(typical["uses"].as_u64().unwrap() > 0);
    assert!(!typical["patches"].as_array().unwrap().is_empty());

    let (status, answer) = served.call("POST", "/v1/codes", "{\"images\":[{\"example\":0}]}");
    let text = String::from_utf8(answer).unwrap();
    assert!(
        status == 409 && text.contains("no visual dictionary"),
        "{text}"
    );
    library_gives_the_same(&first, &served);
}

/// The library's calls have the answers of the server.
fn library_gives_the_same(run: &Path, served: &Served) {
    let predictor = vlp::Predictor::load(run).unwrap();
    let (_, png) = served.call("GET", "/v1/examples/0", "");
    let image = vlp_data::decode_image(&png, "example", &vlp_data::Limits::default()).unwrap();
    let texts = ["a red circle".to_owned()];
    let resized = predictor.resize(&image).unwrap();
    let body = json!({ "images": [{ "example": 0 }], "texts": texts });
    let answer = served.post("/v1/match", &body);
    let served_match = answer["results"][0]["matches"][0]["probability"].as_f64();
    let matches = predictor.match_batch(&[(&resized, &texts)]).unwrap();
    assert!((f64::from(matches[0][0]) - served_match.unwrap()).abs() < 1e-6);
    let mut body = body;
    body["kinds"] = json!(["grid", "text", "joint"]);
    let answer = served.post("/v1/features", &body);
    let grid = &predictor.grid_features(&[&resized]).unwrap()[0];
    assert_eq!(answer["grid"][0]["shape"], json!(grid.shape));
    let values = json!(grid.values);
    assert!(difference(&answer["grid"][0]["values"], &values) < 1e-5);
    let text = &predictor.text_features(&["a red circle"])[0];
    assert_eq!(answer["text"][0]["shape"], json!(text.shape));
    let joint = &predictor.joint_features(&[(&resized, &texts)]).unwrap()[0][0];
    let tokens = &answer["joint"][0]["text_tokens"];
    assert_eq!(tokens["shape"], json!(joint.text.shape));
    assert!(difference(&tokens["values"], &json!(joint.text.values)) < 1e-5);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_well() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    let mut served = Served::start(vlp(&["serve"]).arg(&run).args(["--examples", "0"]));
    assert_eq!(served.get("/healthz")["status"], "ok");
    let pid = served.process.id().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(kill.success());
    assert!(served.process.wait().unwrap().success());

    let text = fail(
        vlp(&["serve"])
            .arg(&run)
            .args(["--port", "1", "--address", "203.0.113.1"]),
    );
    assert!(text.contains("cannot listen on 203.0.113.1:1"), "{text}");
    let text = fail(vlp(&["serve"]).arg(folder.path()));
    assert!(text.contains("is not a run folder"), "{text}");
    let command = &mut vlp(&["serve", "--allow-host", ""]);
    let output = command.arg(&run).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("it is empty; a host name is needed"),
        "{text}"
    );
}

#[test]
fn features_of_a_source_are_those_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("features"));
    // The run has images elsewhere, with the names of those of another source.
    let trained = folder.path().join("trained");
    write_scenes(&trained, Split::Train, 8);
    let images = folder.path().join("images");
    fs::rename(trained.join("train"), &images).unwrap();
    succeed(&mut tiny(
        &run,
        &[
            &format!("data.source=coco:{}", trained.display()),
            &format!("data.images={}", images.display()),
            "data.validation_fraction=0.5",
        ],
    ));
    let data = folder.path().join("data");
    let others = ScenesConfig::default().with_resolution(32).with_count(3);
    let others = Scenes::new(others.with_seed(9)).unwrap();
    others.write_to(&data).unwrap();
    let source = format!("coco:{}", data.display());
    let features = |out: &Path| {
        let mut command = vlp(&["features"]);
        command.arg(&run).arg(&source).arg("--out").arg(out);
        command
    };
    let text = succeed(&mut features(&out));
    assert!(text.contains("3/3 samples"), "{text}");
    let bytes = fs::read(&out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let samples = &header.metadata().as_ref().unwrap()["samples"];
    let samples: Value = serde_json::from_str(samples).unwrap();
    let predictor = vlp::Predictor::load(&run).unwrap();
    let config = other_source(&predictor.trained().config, &source, &[]).unwrap();
    let opened = vlp::data::open_plain(&config).unwrap();
    for index in 0..3 {
        let sample = opened.source.load(index).unwrap();
        assert_eq!(sample.image, others.load(index).unwrap().image);
        assert_eq!(samples[index.to_string()], json!(sample.name));
        let image = predictor.resize(&sample.image).unwrap();
        let close = |name: String, array: &FeatureArray| {
            let tensor = file.tensor(&name).unwrap();
            assert_eq!(tensor.shape(), array.shape);
            let (values, _) = tensor.data().as_chunks::<4>();
            for (bytes, value) in values.iter().zip(&array.values) {
                // The batch changes the order of sums.
                assert!((f32::from_le_bytes(*bytes) - value).abs() < 1e-4, "{name}");
            }
        };
        let grid = predictor.grid_features(&[&image]).unwrap();
        close(format!("{index}/grid"), &grid[0]);
        let joint = predictor
            .joint_features(&[(&image, &sample.captions)])
            .unwrap();
        for (number, (text, joint)) in sample.captions.iter().zip(&joint[0]).enumerate() {
            let text = predictor.text_features(&[text]);
            close(format!("{index}/text/{number}"), &text[0]);
            close(format!("{index}/joint/{number}/text"), &joint.text);
            close(format!("{index}/joint/{number}/image"), &joint.image);
        }
    }
    let text = fail(&mut features(&out));
    assert!(text.contains("already exists"), "{text}");
    let grids = folder.path().join("grids");
    succeed(features(&grids).args(["--kinds", "grid"]));
    let grid_bytes = fs::read(grids).unwrap();
    let grids = safetensors::SafeTensors::deserialize(&grid_bytes).unwrap();
    assert_eq!(grids.len(), 3);
    // Images elsewhere are set for the source itself.
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(data.join("train"), &elsewhere).unwrap();
    let set = format!("data.images={}", elsewhere.display());
    let moved = folder.path().join("moved");
    succeed(features(&moved).args(["--set", &set]));
    assert!(fs::read(moved).unwrap() == bytes);
}
