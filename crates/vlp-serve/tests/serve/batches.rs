//! Requests that wait are computed together, and none notices.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use vlp_serve::ServeConfig;

use crate::colors::{ALL_HEADS, Colors};
use crate::running::{Running, config};

/// Sends all requests while the model is busy. Returns their answers and the sizes of the batches they were in.
fn send_together(config: ServeConfig, requests: &[Value]) -> (Vec<Value>, Vec<usize>) {
    send_to(Running::start(config), "/v1/match", requests)
}

/// As [`send_together`], to a route of a server.
fn send_to(
    (server, model): (Running, Arc<Colors>),
    path: &str,
    requests: &[Value],
) -> (Vec<Value>, Vec<usize>) {
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    let answers = thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/v1/match", &gate));
        model.gate.await_arrival();
        let requests = requests.iter().enumerate().map(|(index, request)| {
            let thread = scope.spawn(|| server.post(path, request).ok());
            // In this order.
            server.await_tasks(index + 1);
            thread
        });
        let requests: Vec<_> = requests.collect();
        model.gate.open();
        waiting.join().unwrap().ok();
        requests
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let batches = model.batches.lock().unwrap()[1..].to_vec();
    (answers, batches)
}

/// A request about an uploaded image of one color and a text.
fn request(side: usize, color: usize, texts: &[&str]) -> Value {
    let file = crate::color_images::base64_png(side, side, color);
    json!({ "images": [{ "base64": file }], "texts": texts })
}

#[test]
fn requests_that_wait_become_one_batch_with_the_answers_of_single_ones() {
    let requests: Vec<Value> = (0..6)
        .map(|i| request(4, i % 3, &["red", "green"]))
        .collect();
    let (answers, batches) = send_together(config(), &requests);
    assert_eq!(batches, [6]);
    let (server, _) = Running::start(config());
    for (request, answer) in requests.iter().zip(answers) {
        assert_eq!(server.post("/v1/match", request).ok(), answer);
    }
}

#[test]
fn detections_of_two_label_spaces_are_not_one_batch() {
    let requests = ["colors", "letters", "colors"];
    let requests =
        requests.map(|space| json!({ "images": [{ "example": 2 }], "label_space": space }));
    let (answers, _) = send_to(Running::start(config()), "/v1/detect", &requests);
    let classes = answers
        .iter()
        .map(|answer| &answer["results"][0]["objects"][0]["class"]);
    assert_eq!(classes.collect::<Vec<_>>(), ["blue", "b", "blue"]);
}

#[test]
fn a_batch_has_images_of_one_padded_size_and_no_more_rows_than_the_most() {
    // Sides of 3 and 4 are padded to 4.
    let requests = [3, 8, 4, 8].map(|side| request(side, 0, &["red"]));
    assert_eq!(send_together(config(), &requests).1, [2, 2]);
    let requests: Vec<Value> = (0..4).map(|_| request(4, 0, &["red", "blue"])).collect();
    assert_eq!(
        send_together(config().with_max_batch(5), &requests).1,
        [2, 2]
    );
    // A single request may have more.
    let requests = [request(4, 0, &["a", "b", "c"])];
    assert_eq!(send_together(config().with_max_batch(2), &requests).1, [1]);
}

#[test]
fn captions_take_as_many_rows_as_the_run_has_beams() {
    // More beams and a greater penalty than a request may ask for.
    let model = Colors::new("colors", &ALL_HEADS).with_caption_defaults(20, 12.0);
    let model = Arc::new(model);
    let server = Running::serve(vec![model.clone()], config().with_max_batch(32));
    let request = json!({ "images": [{ "example": 0 }] });
    let search = json!({ "images": [{ "example": 0 }], "search": { "min_new_tokens": 1 } });
    let requests = [request.clone(), request, search];
    let (_, batches) = send_to((server, model), "/v1/caption", &requests);
    assert_eq!(batches, [1, 1, 1]);
}
