//! VQA accuracy against the official tool (`scripts/metrics/vqa_fixture.py`).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::vqa::{VqaAnnotation, VqaResult, answer_accuracy, normalize, vqa_accuracy};

#[derive(Deserialize)]
struct Fixture {
    normalized: Vec<(String, String)>,
    questions: Vec<serde_json::Value>,
    overall: f64,
    by_question_type: BTreeMap<String, f64>,
    by_answer_type: BTreeMap<String, f64>,
    by_question: Vec<f64>,
}

/// The tool gives percentages; those of the fixture are rounded to 14 decimals.
const TOLERANCE: f64 = 1e-11;

#[test]
fn equals_the_official_tool() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/vqa.json")).unwrap();
    for (text, normalized) in &fixture.normalized {
        // The tool cleans white space before it normalizes.
        let cleaned = text.replace(['\n', '\t'], " ");
        assert_eq!(&normalize(cleaned.trim()), normalized, "{text:?}");
    }
    let mut annotations: Vec<VqaAnnotation> = Vec::new();
    let mut results: Vec<VqaResult> = Vec::new();
    for question in fixture.questions {
        let answer = question["result"].as_str().unwrap().to_owned();
        let annotation: VqaAnnotation = serde_json::from_value(question).unwrap();
        results.push(VqaResult {
            question_id: annotation.question_id,
            answer,
        });
        annotations.push(annotation);
    }
    for ((annotation, result), official) in
        annotations.iter().zip(&results).zip(&fixture.by_question)
    {
        let ours = 100.0 * answer_accuracy(&result.answer, &annotation.answers);
        assert!(
            (ours - official).abs() < TOLERANCE,
            "{annotation:?} {result:?}: {official}"
        );
    }
    results.reverse(); // the order of results does not matter
    let ours = vqa_accuracy(&annotations, &results).unwrap();
    assert!((100.0 * ours.overall - fixture.overall).abs() < TOLERANCE);
    for (ours, official) in [
        (&ours.by_question_type, &fixture.by_question_type),
        (&ours.by_answer_type, &fixture.by_answer_type),
    ] {
        assert_eq!(ours.len(), official.len());
        for (kind, official) in official {
            assert!((100.0 * ours[kind] - official).abs() < TOLERANCE, "{kind}");
        }
    }
}

#[test]
fn annotations_are_read_from_json() {
    let text = r#"{"question_type":"is the","multiple_choice_answer":"yes","answers":[
        {"answer":"yes","answer_confidence":"yes","answer_id":1},
        {"answer":"no","answer_confidence":"maybe","answer_id":2}],
        "image_id":3,"answer_type":"yes/no","question_id":30}"#;
    let annotation: VqaAnnotation = serde_json::from_str(text).unwrap();
    assert_eq!(annotation.answers, ["yes", "no"]);
}

#[test]
fn errors_name_the_record() {
    let annotation = |question_id| VqaAnnotation {
        question_id,
        question_type: "what".into(),
        answer_type: "other".into(),
        answers: vec!["a".into(), "b".into()],
    };
    let result = |question_id| VqaResult {
        question_id,
        answer: "a".into(),
    };
    let error = |a: &[u64], r: &[u64]| {
        let annotations: Vec<_> = a.iter().copied().map(annotation).collect();
        let results: Vec<_> = r.iter().copied().map(result).collect();
        vqa_accuracy(&annotations, &results).unwrap_err()
    };
    assert_eq!(
        error(&[1, 2], &[1]),
        EvalError::Missing {
            list: "results",
            id: "2".into()
        }
    );
    let duplicate = EvalError::Duplicate {
        list: "results",
        index: 1,
        id: "1".into(),
    };
    assert_eq!(error(&[1, 2], &[1, 1, 2]), duplicate);
    assert_eq!(
        duplicate.to_string(),
        "results[1]: duplicate id 1: expected each id once"
    );
    let duplicate = EvalError::Duplicate {
        list: "annotations",
        index: 1,
        id: "1".into(),
    };
    assert_eq!(error(&[1, 1], &[1]), duplicate);
    let unknown = EvalError::UnknownId {
        list: "results",
        index: 1,
        id: "9".into(),
    };
    assert_eq!(error(&[1], &[1, 9]), unknown);
    assert!(matches!(error(&[], &[]), EvalError::Empty { .. }));
    let few = VqaAnnotation {
        answers: vec!["a".into()],
        ..annotation(5)
    };
    let error = vqa_accuracy(&[few], &[result(5)]).unwrap_err();
    assert_eq!(
        error,
        EvalError::FewAnswers {
            question_id: 5,
            count: 1
        }
    );
}

proptest! {
    /// With ten answers, k equal ones give 0, 0.3, 0.6, 0.9 and from four on 1.
    #[test]
    fn accuracy_by_number_of_equal_answers(k in 0_usize..=10) {
        let mut human = vec!["cat".to_owned(); k];
        human.resize(10, "dog".to_owned());
        let expected = [0.0, 0.3, 0.6, 0.9, 1.0][k.min(4)];
        prop_assert!((answer_accuracy("cat", &human) - expected).abs() < 1e-12);
    }

    #[test]
    fn normalized_answer_has_no_punctuation(answer in "\\PC{0,30}") {
        let normalized = normalize(&answer);
        prop_assert!(!normalized.contains([';', '/', '[', ']', '"', '(', ')', '=', '?', '!', ',']));
        prop_assert_eq!(normalized.trim(), &normalized);
    }
}
