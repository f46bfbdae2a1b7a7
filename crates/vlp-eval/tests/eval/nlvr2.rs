//! NLVR2 scores against the official script (`scripts/metrics/nlvr2_fixture.py`).

use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::nlvr2::{Nlvr2Label, nlvr2};

#[derive(Deserialize)]
struct Fixture {
    records: Vec<(String, bool, bool)>,
    accuracy: f64,
    consistency: f64,
}

fn label(identifier: &str, label: bool) -> Nlvr2Label {
    Nlvr2Label {
        identifier: identifier.to_owned(),
        label,
    }
}

#[test]
fn equals_the_official_script() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/nlvr2.json")).unwrap();
    let annotations: Vec<_> = fixture.records.iter().map(|r| label(&r.0, r.1)).collect();
    let mut predictions: Vec<_> = fixture.records.iter().map(|r| label(&r.0, r.2)).collect();
    predictions.reverse();
    let scores = nlvr2(&annotations, &predictions).unwrap();
    assert_eq!(scores.accuracy, fixture.accuracy);
    assert_eq!(scores.consistency, fixture.consistency);
}

#[test]
fn sentence_is_consistent_if_all_predictions_are_correct() {
    let truth = [
        ("dev-1-0-0", true),
        ("dev-1-1-0", false),
        ("dev-1-0-1", true),
    ]
    .map(|(i, l)| label(i, l));
    let mut predictions = truth.clone();
    predictions[1].label = true;
    let scores = nlvr2(&truth, &predictions).unwrap();
    assert_eq!((scores.accuracy, scores.consistency), (2.0 / 3.0, 0.5));
}

#[test]
fn errors_name_the_record() {
    let [a, b] = ["dev-1-0-0", "dev-1-1-0"].map(|i| label(i, true));
    let error = |annotations: &[&Nlvr2Label], predictions: &[&Nlvr2Label]| {
        let list = |labels: &[&Nlvr2Label]| labels.iter().copied().cloned().collect::<Vec<_>>();
        nlvr2(&list(annotations), &list(predictions)).unwrap_err()
    };
    let missing = error(&[&a, &b], &[&a]);
    assert_eq!(
        missing.to_string(),
        "predictions: no record with id dev-1-1-0: expected one for each annotation"
    );
    assert!(matches!(
        error(&[&a], &[&a, &a]),
        EvalError::Duplicate { index: 1, .. }
    ));
    assert!(matches!(
        error(&[&a], &[&a, &b]),
        EvalError::UnknownId { index: 1, .. }
    ));
    assert!(matches!(error(&[], &[]), EvalError::Empty { .. }));
}

#[test]
fn identifiers_without_an_image_pair_are_sentences_of_their_own() {
    let truth = [
        "",
        "17",
        "mine-2",
        "mine-2-",
        "été",
        "dev-1-0-0",
        "dev-1-1-0",
    ]
    .map(|i| label(i, true));
    let mut predictions = truth.clone();
    (predictions[1].label, predictions[6].label) = (false, false);
    let scores = nlvr2(&truth, &predictions).unwrap();
    // The sentences: five of their own, one of them wrong, and dev-1-*-0, which is wrong for one of its pairs.
    assert_eq!(
        (scores.accuracy, scores.consistency),
        (5.0 / 7.0, 4.0 / 6.0)
    );
}
