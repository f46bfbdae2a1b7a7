//! The answer vocabulary, the test image filter and mixtures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::json;
use vlp_data::{
    AnswerVocabulary, DataError, Examples, Image, Label, LabelSpace, Mixture, MixtureComponent,
    RemovedSamples, ResizeRule, Sample, Source, Subset, TestImageFilter, WithLabelSpaces,
    shards::{PackOptions, pack},
    split_by_key,
};

#[test]
fn the_answer_vocabulary_follows_the_published_rule() {
    let normalize = |text: &str| text.to_lowercase().trim_start_matches("a ").to_owned();
    let consensus = [
        "Yes", "yes", "no", "A cat", "cat", "cat", "a dog", "Dog", "two",
    ];
    let vocabulary = AnswerVocabulary::build(consensus, 2, normalize);
    // By count, then by text; `no` and `two` are too rare.
    assert_eq!(vocabulary.answers(), ["cat", "dog", "yes"]);
    assert_eq!(
        (vocabulary.index("dog"), vocabulary.index("Dog")),
        (Some(1), None)
    );
    let answers = |counts: &[(&str, usize)]| -> Vec<String> {
        counts
            .iter()
            .flat_map(|(text, n)| vec![(*text).to_owned(); *n])
            .collect()
    };
    type AnswerCounts = &'static [(&'static str, usize)];
    type Scores = &'static [(usize, f32)];
    let cases: [(AnswerCounts, Scores); 6] = [
        (&[("cat", 10)], &[(0, 1.0)]),
        (
            &[("cat", 4), ("dog", 3), ("yes", 2), ("no", 1)],
            &[(0, 1.0), (1, 0.9), (2, 0.6)],
        ),
        (&[("yes", 1), ("dog", 9)], &[(1, 1.0), (2, 0.3)]),
        // Raw answers are compared with the normalized vocabulary.
        (&[("Cat", 9), ("cat", 1)], &[(0, 0.3)]),
        (&[("no", 10)], &[]),
        (&[], &[]),
    ];
    for (counts, expected) in cases {
        let scores = vocabulary.soft_scores(&answers(counts));
        assert_eq!(scores, expected, "{counts:?}");
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("answers.json");
    vocabulary.write(&path).unwrap();
    assert_eq!(AnswerVocabulary::read(&path).unwrap(), vocabulary);
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        written,
        json!({ "ans2label": { "cat": 0, "dog": 1, "yes": 2 }, "label2ans": ["cat", "dog", "yes"] })
    );
    for text in [
        r#"["cat", "dog", "yes"]"#,
        r#"{"yes": 2, "cat": 0, "dog": 1}"#,
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(AnswerVocabulary::read(&path).unwrap(), vocabulary, "{text}");
    }
    for (text, expected) in [
        ("[1]", "label2ans"),
        (r#"["a", "b", "a"]"#, "twice"),
        (r#"{"a": 0, "b": 2}"#, "each once"),
        (r#"{"a": 0, "b": 0}"#, "each once"),
        (
            r#"{"ans2label": {"a": 1}, "label2ans": ["a"]}"#,
            "each once",
        ),
        (
            r#"{"ans2label": {"a": 0}, "label2ans": ["a", "a"]}"#,
            "twice",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = AnswerVocabulary::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    let mut questions = common::samples(50, 4);
    for (number, sample) in questions.iter_mut().enumerate() {
        let answer = ["yes", "red", "no"][number % 3];
        sample.label = Some(Label::Answers(vec![answer.into(); 10]));
    }
    let questions: Arc<dyn Source> = Arc::new(common::source(questions));
    let yes_no = AnswerVocabulary::build(["yes", "no"], 1, str::to_owned);
    let (answerable, skipped) = yes_no.answerable(&questions).unwrap();
    assert_eq!((answerable.len(), skipped), (33, 17));
    assert_eq!(answerable.indices()[..4], [0, 2, 3, 5]);
}

/// A source of equal images with some keys, which may be COCO ids.
struct KeyedSource {
    name: String,
    keys: Vec<u64>,
    keys_are_coco_ids: bool,
    /// Added to a key that is not the COCO id itself.
    coco_offset: u64,
    labels: LabelSpace,
}

fn keyed(
    name: &str,
    keys: impl IntoIterator<Item = u64>,
    keys_are_coco_ids: bool,
    classes: &[&str],
) -> Arc<dyn Source> {
    Arc::new(KeyedSource {
        name: name.into(),
        keys: keys.into_iter().collect(),
        keys_are_coco_ids,
        coco_offset: 0,
        labels: LabelSpace {
            name: name.into(),
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            attributes: vec![],
            ids: vec![],
        },
    })
}

impl Source for KeyedSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> usize {
        self.keys.len()
    }
    fn labels(&self) -> &LabelSpace {
        &self.labels
    }
    fn key(&self, index: usize) -> u64 {
        self.keys[index]
    }
    fn size(&self, _: usize) -> (usize, usize) {
        (2, 3)
    }
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(vec![format!("{} {}", self.name, self.keys[index])])
    }
    fn coco_id(&self, index: usize) -> Option<u64> {
        self.keys_are_coco_ids
            .then(|| self.keys[index] + self.coco_offset)
    }
    fn load(&self, index: usize) -> Result<Sample, DataError> {
        Ok(Sample {
            key: self.key(index),
            name: self.name.clone(),
            image: Image::filled(2, 3, [1; 3]),
            second_image: None,
            captions: self.captions(index)?,
            objects: Some(vec![]),
            label: Some(Label::Truth(true)),
            record: None,
        })
    }
}

#[test]
fn evaluation_images_are_removed_from_any_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dataset_coco.json");
    let image = |id: u64, split: &str| json!({ "cocoid": id, "filename": "x.jpg", "split": split, "sentences": [] });
    let images = [
        image(1, "train"),
        image(2, "val"),
        image(3, "test"),
        image(4, "restval"),
    ];
    fs::write(&path, json!({ "images": images }).to_string()).unwrap();
    let filter = TestImageFilter::from_karpathy(&path).unwrap();
    assert!(filter.len() == 2 && filter.contains(2) && !filter.contains(4));
    let source = keyed("coco", [3, 1, 2, 3, 9], true, &[]);
    let (subset, removed) = filter.remove(&source).unwrap();
    assert_eq!(subset.indices(), [1, 4]);
    assert_eq!(
        removed,
        RemovedSamples {
            samples: 3,
            images: 2,
            unknown: 0
        }
    );
    // COCO ids are known in wrapped sources too.
    let subset: Arc<dyn Source> = Arc::new(Subset::new(source, vec![0, 1], "subset").unwrap());
    let other = keyed("other", 0..9, false, &[]);
    let components = [subset, other].map(MixtureComponent::new).to_vec();
    let mixture: Arc<dyn Source> = Arc::new(Mixture::new(components, "mixture").unwrap());
    let (subset, removed) = filter.remove(&mixture).unwrap();
    assert_eq!(
        (subset.len(), removed),
        (
            10,
            RemovedSamples {
                samples: 1,
                images: 1,
                unknown: 9
            }
        )
    );
    // An invalid image might be one that leaks.
    for invalid in [json!({ "split": "val" }), json!({ "cocoid": 7 }), json!(3)] {
        fs::write(
            &path,
            json!({ "images": [image(1, "val"), invalid] }).to_string(),
        )
        .unwrap();
        let error = TestImageFilter::from_karpathy(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains("image number 2"), "{error}");
    }
}

#[test]
fn a_mixture_separates_image_sets_and_label_spaces() {
    let component = |source, weight, image_set: &str, keep_boxes| MixtureComponent {
        source,
        weight,
        image_set: image_set.into(),
        coco_image_set: None,
        keep_boxes,
    };
    let dogs = || keyed("dogs", 0..10, true, &["dog"]);
    let cats = keyed("cats", 0..10, false, &["cat"]);
    let plain = keyed("plain", 0..10, false, &[]);
    let components = vec![
        component(dogs(), 2.5, "coco", true),
        component(cats.clone(), 0.5, "cats", false),
        component(plain, 1.0, "coco", true),
    ];
    let mixture = Mixture::new(components, "mixture").unwrap();
    assert_eq!(
        (mixture.len(), mixture.labels().classes.as_slice()),
        (25 + 5 + 10, &["dog".to_owned()][..])
    );
    let caption = |index: usize| mixture.captions(index).unwrap().swap_remove(0);
    let counts = (0..25).fold(HashMap::new(), |mut counts, index| {
        *counts.entry(caption(index)).or_insert(0) += 1;
        counts
    });
    assert!(counts.len() == 10 && counts.values().all(|count| [2, 3].contains(count)));
    assert_eq!(
        (25..30).map(caption).collect::<Vec<_>>(),
        ["cats 0", "cats 2", "cats 4", "cats 6", "cats 8"]
    );
    // Key 3 is the same image in both components of `coco`, and another one in `cats`.
    assert_eq!(
        (mixture.key(3), mixture.key(3)),
        (mixture.key(13), mixture.key(33))
    );
    let keys: HashSet<u64> = (0..mixture.len()).map(|index| mixture.key(index)).collect();
    assert_eq!(keys.len(), 15);
    assert_eq!(mixture.load(3).unwrap().key, mixture.key(3));
    assert_eq!(
        (
            mixture.load(0).unwrap().objects,
            mixture.load(25).unwrap().objects
        ),
        (Some(vec![]), None)
    );
    assert!(mixture.load(40).is_err() && mixture.locate(40).is_none());
    let error = |components: Vec<MixtureComponent>| {
        let mixture = Mixture::new(components, "mixture");
        mixture.err().unwrap().to_string()
    };
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let components = vec![component(dogs(), weight, "x", true)];
        assert!(error(components).contains("mixture.weight"));
    }
    assert!(error(vec![]).contains("no components"));
}

#[test]
fn components_with_other_classes_have_label_spaces_of_their_own() {
    let dogs = || keyed("dogs", 0..10, true, &["dog", "puppy"]);
    let cats = || keyed("cats", 0..10, false, &["cat"]);
    let plain = keyed("plain", 0..10, false, &[]);
    // Of a set with the same name, but other classes.
    let more_cats = keyed("cats", 20..30, false, &["cat", "kitten"]);
    let sources = [plain, dogs(), cats(), dogs(), more_cats];
    let mixture = |sources: Vec<Arc<dyn Source>>| -> Result<Arc<dyn Source>, _> {
        let components = sources.into_iter().map(MixtureComponent::new);
        let mixture = Mixture::new(components.collect(), "mixture")?;
        Ok::<_, DataError>(Arc::new(mixture))
    };
    let source = mixture(sources.to_vec()).unwrap();
    let spaces = |source: &dyn Source| -> Vec<(String, usize)> {
        let spaces = source.label_spaces().iter();
        spaces
            .map(|space| (space.name.clone(), space.classes.len()))
            .collect()
    };
    let names = |spaces: &[(&str, usize)]| -> Vec<(String, usize)> {
        let spaces = spaces.iter();
        spaces.map(|(name, len)| ((*name).into(), *len)).collect()
    };
    let expected = names(&[("dogs", 2), ("cats", 1), ("cats-2", 2)]);
    assert_eq!(spaces(source.as_ref()), expected);
    let of_components = |source: &dyn Source| -> Vec<usize> {
        (0..5)
            .map(|number| source.label_space(10 * number + 3))
            .collect()
    };
    assert_eq!(of_components(source.as_ref()), [0, 0, 1, 0, 2]);
    assert_eq!(source.label_space(50), 0);

    // A mixture within a mixture, and a part of it.
    let outer = mixture(vec![cats(), Arc::clone(&source)]).unwrap();
    assert_eq!(
        spaces(outer.as_ref()),
        names(&[("cats", 1), ("dogs", 2), ("cats-2", 2)])
    );
    let part = Subset::new(Arc::clone(&outer), vec![0, 13, 23, 33, 53], "part").unwrap();
    assert_eq!(part.label_spaces(), outer.label_spaces());
    let of_part: Vec<usize> = (0..5).map(|index| part.label_space(index)).collect();
    assert_eq!(of_part, [0, 1, 1, 0, 2]);
    let example = Examples::new(Arc::new(part), ResizeRule::Keep)
        .load(4, 0)
        .unwrap();
    assert_eq!(example.label_space, 2);

    // As numbered by a model that was trained for more.
    let trained = outer.label_spaces().to_vec();
    let numbered = |source| WithLabelSpaces::new(source, trained.clone());
    let alone = numbered(dogs()).unwrap();
    assert_eq!(
        (alone.label_space(5), alone.label_spaces()),
        (1, trained.as_slice())
    );
    assert_eq!(alone.key(5), dogs().key(5));
    assert_eq!(of_components(&numbered(source).unwrap()), [1, 1, 0, 1, 2]);
    let other = numbered(keyed("birds", 0..2, false, &["bird"]));
    let message = other.unwrap_err().to_string();
    assert!(message.contains("classes of birds"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let message = pack(
        outer.as_ref(),
        folder.path().join("shards"),
        &PackOptions::default(),
    );
    let message = message.unwrap_err().to_string();
    assert!(message.contains("boxes of cats and of dogs"), "{message}");
    let permuted = keyed("other", 0..10, true, &["puppy", "dog"]);
    let message = mixture(vec![dogs(), permuted]).err().unwrap().to_string();
    assert!(
        message.contains("same classes in different orders"),
        "{message}"
    );
}

/// Visual Genome has ids of its own, and COCO's id of an image that is COCO's.
#[test]
fn an_image_with_a_coco_id_is_the_same_in_a_source_with_other_keys() {
    let coco = MixtureComponent {
        image_set: "coco".into(),
        ..MixtureComponent::new(keyed("coco", 1000..1100, true, &[]))
    };
    let genome = KeyedSource {
        name: "genome".into(),
        keys: (0..100).collect(),
        keys_are_coco_ids: true,
        coco_offset: 1000,
        labels: LabelSpace::default(),
    };
    let genome = MixtureComponent {
        coco_image_set: Some("coco".into()),
        ..MixtureComponent::new(Arc::new(genome))
    };
    // Without COCO ids, keys are those of the set.
    let other = MixtureComponent {
        coco_image_set: Some("coco".into()),
        ..MixtureComponent::new(keyed("other", 1000..1100, false, &[]))
    };
    let mixture: Arc<dyn Source> =
        Arc::new(Mixture::new(vec![coco, genome, other], "mixture").unwrap());
    let keys: Vec<u64> = (0..300).map(|index| mixture.key(index)).collect();
    assert_eq!(keys[..100], keys[100..200]);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(mixture.load(150).unwrap().key, keys[50]);
    let (validation, train) = split_by_key(&mixture, 0.3, 1).unwrap();
    let images = |subset: &Subset| -> HashSet<u64> {
        (0..subset.len()).map(|index| subset.key(index)).collect()
    };
    assert!(images(&validation).is_disjoint(&images(&train)));
    assert!(
        validation
            .indices()
            .iter()
            .any(|index| (100..200).contains(index))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// The count of every sample is its component's weight, rounded down or up.
    #[test]
    fn a_mixture_repeats_samples_by_their_weight(sizes in prop::collection::vec((0usize..40, 1u32..40), 1..5)) {
        let components: Vec<MixtureComponent> = sizes
            .iter()
            .enumerate()
            .map(|(number, &(size, tenths))| MixtureComponent {
                weight: f64::from(tenths) / 10.0,
                ..MixtureComponent::new(keyed(&number.to_string(), 0..size as u64, false, &[]))
            })
            .collect();
        let mixture = Mixture::new(components, "mixture").unwrap();
        let mut counts: Vec<Vec<u32>> = sizes.iter().map(|&(size, _)| vec![0; size]).collect();
        let mut previous = 0;
        for index in 0..mixture.len() {
            let (component, inner_index) = mixture.locate(index).unwrap();
            prop_assert!(component >= previous);
            previous = component;
            counts[component][inner_index] += 1;
        }
        for (counts, (_, tenths)) in counts.iter().zip(sizes) {
            prop_assert!(counts.iter().all(|&count| count == tenths / 10 || count == tenths.div_ceil(10)));
        }
    }
}
