//! `vlp serve` on runs that were fine-tuned for statements and hypotheses.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vlp::predict::HypothesisRequest;
use vlp_data::{Image, Limits, decode_image};
use vlp_scenes::Split;

use crate::serve::{Served, difference};
use crate::support::{set_values, succeed, tiny, vlp, write_scenes};

/// `vlp finetune TASK --from RUN --out OUT` for two steps.
fn finetune(task: &str, from: &Path, out: &Path, set: &[&str]) {
    let mut command = vlp(&["finetune", task, "--from"]);
    command.arg(from).arg("--out").arg(out);
    let short = ["train.steps=2", "train.schedule.warmup_steps=1"];
    set_values(&mut command, &short);
    set_values(&mut command, set);
    succeed(&mut command);
}

fn serve(runs: &[&Path]) -> Served {
    let mut command: Command = vlp(&["serve", "--examples", "6"]);
    Served::start(command.args(runs))
}

fn example(served: &Served, model: &str, index: usize) -> Image {
    let path = format!("/v1/examples/{index}?model={model}");
    let (status, png) = served.call("GET", &path, "");
    assert_eq!(status, 200);
    decode_image(&png, "example", &Limits::default()).unwrap()
}

#[test]
fn statements_and_hypotheses_are_judged_as_by_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (base, nlvr2, snli_ve, with_premise) = (
        path("base"),
        path("nlvr2"),
        path("snli-ve"),
        path("premise"),
    );
    succeed(&mut tiny(&base, &[]));
    finetune("nlvr2", &base, &nlvr2, &[]);
    finetune("snli-ve", &base, &snli_ve, &[]);
    write_scenes(&path("data"), Split::Train, 8);
    let data = path("data/snli_ve");
    let source = format!("snli-ve:{}", data.join("snli_ve_train.jsonl").display());
    let images = format!("data.images={}", data.join("flickr30k_images").display());
    let set = [
        format!("data.source={source}"),
        format!("data.validation={source}"),
        images,
        "data.premise=true".into(),
    ];
    finetune(
        "snli-ve",
        &base,
        &with_premise,
        &set.each_ref().map(String::as_str),
    );
    let served = serve(&[&nlvr2, &snli_ve, &with_premise]);
    let models = served.get("/v1/models")["models"].clone();
    let has = |model: usize, head: &str| {
        let heads = models[model]["heads"].as_array().unwrap();
        heads.contains(&json!(head))
    };
    for (model, statement, premise) in [(0, true, false), (1, false, false), (2, false, true)] {
        assert_eq!(has(model, "statement"), statement);
        assert_eq!(has(model, "entail"), !statement);
        assert_eq!(models[model]["premise"], premise);
    }
    statements(&served, &nlvr2);
    hypotheses(&served, &snli_ve, "snli-ve", &Value::Null);
    hypotheses(
        &served,
        &with_premise,
        "premise",
        &json!("a red circle and a star"),
    );
    let body = json!({ "model": "snli-ve", "images": [{ "example": 0 }], "hypotheses": ["a star"], "premise": "a circle" });
    let (status, answer) = served.call("POST", "/v1/entail", &body.to_string());
    let text = String::from_utf8(answer).unwrap();
    assert!(status == 400 && text.contains("data.premise"), "{text}");
}

/// Pairs together and alone; the two images of a pair are not the same to a statement.
fn statements(served: &Served, run: &Path) {
    let examples = served.get("/v1/examples?model=nlvr2")["examples"].clone();
    let count = examples.as_array().unwrap().len();
    assert_eq!(count, 6);
    let right = examples[0]["right"].as_u64().unwrap() as usize;
    assert_eq!((right, &examples[right]["right"]), (3, &Value::Null));
    let texts = [
        "both images contain a star",
        "there is a red circle in the left image",
    ];
    let texts = texts.map(str::to_owned);
    let pair = |left: usize, right: usize| json!({ "left": { "example": left }, "right": { "example": right } });
    let pairs = [pair(0, 3), pair(3, 0), pair(1, 4)];
    let ask = |pairs: &[Value]| {
        let body = json!({ "model": "nlvr2", "pairs": pairs, "statements": texts });
        served.post("/v1/statement", &body)["results"].clone()
    };
    let together = ask(&pairs);
    for (index, pair) in pairs.iter().enumerate() {
        let alone = ask(std::slice::from_ref(pair));
        // Sums of another order.
        assert!(difference(&alone[0], &together[index]) < 1e-5);
    }
    let probability = |pair: usize| {
        together[pair]["statements"][0]["probability"]
            .as_f64()
            .unwrap()
    };
    assert_ne!(probability(0), probability(1));
    let predictor = vlp::Predictor::load(run).unwrap();
    let [left, right] = [0, 3].map(|index| example(served, "nlvr2", index));
    let expected = predictor.statement(&left, &right, &texts[0]).unwrap();
    assert!((probability(0) - f64::from(expected)).abs() < 1e-5);
}

/// Images together and alone, with a premise or without one.
fn hypotheses(served: &Served, run: &Path, model: &str, premise: &Value) {
    let texts = ["a circle is red", "there are three stars"].map(str::to_owned);
    let ask = |examples: &[usize], premise: &Value| {
        let images: Vec<Value> = examples.iter().map(|i| json!({ "example": i })).collect();
        let mut body = json!({ "model": model, "images": images, "hypotheses": texts });
        if premise.is_string() {
            body["premise"] = premise.clone();
        }
        served.post("/v1/entail", &body)["results"].clone()
    };
    let together = ask(&[0, 1], premise);
    for index in 0..2 {
        assert!(difference(&ask(&[index], premise)[0], &together[index]) < 1e-5);
    }
    let predictor = vlp::Predictor::load(run).unwrap();
    let image = predictor.resize(&example(served, model, 1)).unwrap();
    let request = HypothesisRequest {
        premise: premise.as_str(),
        hypotheses: &texts,
    };
    let expected = predictor.entail_batch(&[(&image, request)]).unwrap();
    for (answer, expected) in together[1]["hypotheses"]
        .as_array()
        .unwrap()
        .iter()
        .zip(&expected[0])
    {
        let parts =
            ["entailment", "neutral", "contradiction"].map(|name| answer[name].as_f64().unwrap());
        let expected = [
            expected.entailment,
            expected.neutral,
            expected.contradiction,
        ];
        for (part, expected) in parts.iter().zip(expected) {
            assert!((part - f64::from(expected)).abs() < 1e-5);
        }
        assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    }
    if premise.is_string() {
        let without = ask(&[0, 1], &Value::Null);
        assert!(difference(&without, &together) > 0.0);
    }
}
