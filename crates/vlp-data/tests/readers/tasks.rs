//! VQA v2, NLVR2 and SNLI-VE.

use std::fs;

use serde_json::json;
use vlp_data::{
    AnswerType, Entailment, Label, Source,
    read::{SnliVeText, VqaFiles, name_key, nlvr2, snli_ve, vqa},
};

use crate::{assert_skipped, folder, limits, long_text, put, texts};

#[test]
fn vqa_files_are_read() {
    let dir = folder(&[
        "train2014/COCO_train2014_000000000009.png",
        "train2014/COCO_train2014_000000000010.png",
    ]);
    let answers = |all: [&str; 3]| all.map(|a| json!({ "answer": a, "answer_id": 1 }));
    let questions = json!({ "info": {}, "questions": [
        { "image_id": 9, "question": " What is it? ", "question_id": 90 },
        { "image_id": 10, "question": "How many?", "question_id": 100 },
        { "image_id": 9, "question": "Again?", "question_id": 90 },
        { "image_id": 11, "question": "Without image?", "question_id": 110 },
        { "image_id": 9, "question": "?!", "question_id": 91 },
        { "image_id": 9, "question": long_text(), "question_id": 92 },
        { "image_id": 9, "question": "Without annotation?", "question_id": 93 },
        { "image_id": 9, "question_id": 94 },
        { "image_id": "nine", "question": "Text?", "question_id": 95 },
        { "image_id": 9, "question": "Is it?", "question_id": 96 },
    ]});
    let annotation = |id: u64| {
        let image_id = if id < 100 { 9 } else { id / 10 };
        json!({ "question_id": id, "image_id": image_id, "question_type": "what is", "answer_type": "other",
        "multiple_choice_answer": "cat", "answers": answers(["cat", "A cat", "cat"]) })
    };
    let mut yes = annotation(96);
    yes["answer_type"] = json!("yes/no");
    let mut none = annotation(97);
    none["answers"] = json!([]);
    let mut odd = annotation(98);
    odd["answer_type"] = json!("color");
    let annotations = json!({ "annotations": [
        annotation(90), annotation(100), annotation(90), annotation(110), annotation(91), annotation(92), yes, none, odd,
        annotation(99), { "answers": [] },
    ]});
    put(
        &dir,
        "v2_OpenEnded_mscoco_train2014_questions.json",
        questions.to_string(),
    );
    put(
        &dir,
        "v2_mscoco_train2014_annotations.json",
        annotations.to_string(),
    );
    let files = VqaFiles::find(dir.path(), "train2014").unwrap();
    let source = vqa(&files, &limits()).unwrap();
    assert_eq!(texts(&source), ["What is it?", "How many?", "Is it?"]);
    assert_skipped(
        &source,
        &[
            ("question 90", "occurs twice"),
            ("question 110", "missing"),
            ("question 91", "no words"),
            ("question 92", "9999999 bytes"),
            ("question 93", "no annotation"),
            ("question number 8", "lacks"),
            ("question number 9", "invalid type"),
            ("annotation of question 90", "occurs twice"),
            ("annotation of question 97", "no answers"),
            ("annotation number 9", "color"),
            ("annotation number 11", "lacks question_id"),
            ("annotation of question 99", "no such question"),
        ],
    );
    assert_eq!((source.report().samples, source.report().images), (3, 2));
    let sample = source.load(0).unwrap();
    assert_eq!((sample.key, source.size(0)), (9, (8, 6)));
    assert_eq!(
        sample.label,
        Some(Label::Answers(vec![
            "cat".into(),
            "A cat".into(),
            "cat".into()
        ]))
    );
    assert_eq!(source.label(0).unwrap(), sample.label);
    let record = sample.record.unwrap();
    assert_eq!(
        (record.id.as_str(), record.question_type.as_deref()),
        ("90", Some("what is"))
    );
    assert_eq!(
        source.load(2).unwrap().record.unwrap().answer_type,
        Some(AnswerType::YesNo)
    );
    assert_eq!(
        (source.consensus(1), source.coco_id(1)),
        (Some("cat"), Some(10))
    );

    // A test split: no annotations, no labels.
    let open = VqaFiles {
        annotations: vec![],
        ..files
    };
    let test = vqa(&open, &limits()).unwrap();
    assert_eq!(
        (test.len(), test.label(2).unwrap(), test.consensus(0)),
        (4, None, None)
    );
    let missing = VqaFiles::find(dir.path(), "val2014")
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("available splits: [train2014]"),
        "{missing}"
    );
}

#[test]
fn nlvr2_files_are_read() {
    let pair = |pair: &str| [format!("{pair}-img0.png"), format!("{pair}-img1.png")];
    let mut images: Vec<String> = [
        pair("dev-1-0"),
        pair("images/train/7/train-2-1"),
        pair("images/dev/dev-3-0"),
        pair("odd/dev-5-0"),
    ]
    .concat();
    images.push("dev-4-0-img0.png".into());
    let names: Vec<&str> = images.iter().map(String::as_str).collect();
    let dir = folder(&names);
    // Distinguishes the right image from the left one.
    let right = image::RgbImage::from_raw(2, 3, vec![7; 18]).unwrap();
    right.save(dir.path().join("dev-1-0-img1.png")).unwrap();
    let line = |id: &str, sentence: &str, label: &str| json!({ "identifier": id, "sentence": sentence, "label": label, "left_url": "", "writer": "1" });
    let mut train = line("train-2-1-0", "a train one", "False");
    train["directory"] = json!(7);
    let mut named = line("dev-5-0-0", "in a named folder", "True");
    named["directory"] = json!("odd");
    let unlabeled = json!({ "identifier": "dev-1-0-2", "sentence": "without label" });
    let lines = [
        line("dev-1-0-0", "both have dogs", "True").to_string(),
        train.to_string(),
        "{\"identifier\": \"dev-1-0-1\", ".into(),
        line("dev-1-0-0", "again", "True").to_string(),
        line("dev-9-0-0", "no images", "True").to_string(),
        line("dev-4-0-0", "no right image", "True").to_string(),
        line("dev-1-0-3", "odd label", "Maybe").to_string(),
        line("dev-1-0-4", "...", "True").to_string(),
        line("dev1", "odd identifier", "True").to_string(),
        String::new(),
        unlabeled.to_string(),
        line("dev-3-0-0", "nested", "True").to_string(),
        named.to_string(),
    ];
    let file = put(&dir, "dev.json", lines.join("\r\n"));
    let source = nlvr2(&file, dir.path(), &limits()).unwrap();
    assert_eq!(
        texts(&source),
        [
            "both have dogs",
            "a train one",
            "without label",
            "nested",
            "in a named folder"
        ]
    );
    assert_skipped(
        &source,
        &[
            ("line 3", "EOF"),
            ("line 4", "occurs twice"),
            ("line 5", "dev-9-0-img0.png is missing"),
            ("line 6", "dev-4-0-img1.png is missing"),
            ("line 7", "Maybe"),
            ("line 8", "no words"),
            ("line 9", "PAIR-SENTENCE"),
        ],
    );
    assert_eq!(source.report().missing_images, 2);
    let sample = source.load(0).unwrap();
    let right = sample.second_image.unwrap();
    assert_eq!((sample.image.width, right.width, right.height), (8, 2, 3));
    assert_eq!(
        (sample.label, sample.key),
        (Some(Label::Truth(true)), name_key("dev-1-0"))
    );
    assert_eq!(sample.record.unwrap().id, "dev-1-0-0");
    assert_eq!(source.load(1).unwrap().label, Some(Label::Truth(false)));
    assert_eq!(source.load(2).unwrap().label, None);
    assert_eq!(source.key(0), source.key(2));
}

#[test]
fn snli_ve_files_are_read() {
    let dir = folder(&["12.png", "13.png"]);
    for name in ["12", "13"] {
        // The format is detected by the header, not by the file name.
        fs::rename(
            dir.path().join(format!("{name}.png")),
            dir.path().join(format!("{name}.jpg")),
        )
        .unwrap();
    }
    let line = |key: &str, image: &str, label: &str, id: &str, text: &str| {
        json!({ key: image, "gold_label": label, "pairID": id, "sentence1": "", "sentence2": text })
            .to_string()
    };
    let lines = [
        line(
            "Flickr30K_ID",
            "12",
            "entailment",
            "12.jpg#0",
            "people are outdoors",
        ),
        line(
            "Flikr30kID",
            "13.jpg",
            "neutral",
            "13.jpg#0",
            "a dog sleeps",
        ),
        line("Flickr30K_ID", "12", "-", "12.jpg#1", "nobody agreed"),
        line(
            "Flickr30K_ID",
            "12",
            "contradiction",
            "12.jpg#2",
            "nobody is there",
        ),
        line(
            "Flickr30K_ID",
            "12",
            "contradiction",
            "12.jpg#0",
            "the same pair",
        ),
        line("Flickr30K_ID", "14", "neutral", "14.jpg#0", "no image"),
        line("Flickr30K_ID", "12", "maybe", "12.jpg#3", "odd label"),
        line("Image", "12", "neutral", "12.jpg#4", "no image"),
        line("Flickr30K_ID", "12", "neutral", "12.jpg#5", " "),
        "not JSON".into(),
    ];
    let file = put(&dir, "snli_ve_dev.jsonl", lines.join("\n"));
    let source = snli_ve(&file, dir.path(), SnliVeText::default(), &limits()).unwrap();
    assert_eq!(
        texts(&source),
        ["people are outdoors", "a dog sleeps", "nobody is there"]
    );
    assert_skipped(
        &source,
        &[
            ("line 5", "occurs twice"),
            ("line 6", "14.jpg is missing"),
            ("line 7", "maybe"),
            ("line 8", "Flickr30K_ID"),
            ("line 9", "no words"),
            ("line 10", "expected"),
        ],
    );
    assert_eq!(source.report().unlabeled, 1);
    let labels: Vec<Label> = (0..3).map(|i| source.label(i).unwrap().unwrap()).collect();
    assert_eq!(
        labels,
        [
            Entailment::Entailment,
            Entailment::Neutral,
            Entailment::Contradiction
        ]
        .map(Label::Entailment)
    );
    assert_eq!(
        [
            Entailment::Contradiction,
            Entailment::Neutral,
            Entailment::Entailment
        ]
        .map(|l| l as usize),
        [0, 1, 2]
    );
    let sample = source.load(0).unwrap();
    assert_eq!(
        (sample.record.unwrap().id.as_str(), sample.key),
        ("12.jpg#0", name_key("12.jpg"))
    );
    assert_eq!(source.key(0), source.key(2));

    // With the premise the text is a sentence pair in BERT's form.
    let premise = lines.map(|line| match line.contains("people are outdoors") {
        true => line.replace(r#""sentence1":"""#, r#""sentence1":"Two men talk. ""#),
        false => line,
    });
    let file = put(&dir, "snli_ve_dev.jsonl", premise.join("\n"));
    let read = |text| texts(&snli_ve(&file, dir.path(), text, &limits()).unwrap());
    assert_eq!(read(SnliVeText::Hypothesis), texts(&source));
    let sentence_pairs = read(SnliVeText::PremiseAndHypothesis);
    assert_eq!(sentence_pairs[0], "Two men talk. [SEP] people are outdoors");
    assert_eq!(
        sentence_pairs[1], "a dog sleeps",
        "without a premise, the hypothesis alone"
    );
    let pieces = vlp_text::WordPieceTokenizer::bert_uncased();
    let ids = |text: &str| pieces.encode(text, 40).ids;
    let (first, second) = (ids("Two men talk."), ids("people are outdoors"));
    assert_eq!(ids(&sentence_pairs[0]), [&first[..], &second[1..]].concat());
}
