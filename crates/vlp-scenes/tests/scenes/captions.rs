//! How predictable captions are: the numbers in the README.
//!
//! `cargo test -p vlp-scenes --test captions -- --nocapture` prints them.

use std::collections::HashMap;

use vlp_scenes::{Scenes, ScenesConfig};

const SCENE_COUNT: usize = 2000;

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// The only word index at which two texts of the same length differ.
fn difference(a: &str, b: &str) -> Option<usize> {
    let (a, b) = (words(a), words(b));
    if a.len() != b.len() {
        return None;
    }
    let mut differing = (0..a.len()).filter(|&index| a[index] != b[index]);
    let index = differing.next()?;
    differing.next().is_none().then_some(index)
}

/// A masked word is determined if no other word in its position makes a caption that is true of the scene.
#[test]
fn masked_words_are_determined() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let (mut total, mut ambiguous) = (0, 0);
    for index in 0..SCENE_COUNT {
        let scene = scenes.scene(index);
        let choices: Vec<_> = scenes
            .caption_choices(&scene)
            .into_iter()
            .flatten()
            .collect();
        for caption in scenes.scene_captions(&scene) {
            let mut undetermined: Vec<usize> = caption
                .variants()
                .iter()
                .filter(|variant| variant.holds(&scene))
                .chain(&choices)
                .filter_map(|other| difference(&caption.text, &other.text))
                .collect();
            undetermined.sort_unstable();
            undetermined.dedup();
            total += words(&caption.text).len();
            ambiguous += undetermined.len();
        }
    }
    let fraction = 1.0 - ambiguous as f64 / total as f64;
    println!(
        "determined by the scene and the other words: {:.2} %",
        100.0 * fraction
    );
    assert!(fraction > 0.97, "{fraction}");
}

/// Best possible accuracy of next-word prediction (including the end) given the scene and the preceding words.
#[test]
fn most_next_words_are_determined() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let (mut correct, mut total, mut first_word) = (0.0, 0.0, 0.0);
    for index in 0..SCENE_COUNT {
        let mut next: HashMap<Vec<String>, HashMap<String, f64>> = HashMap::new();
        let choices = scenes.caption_choices(&scenes.scene(index));
        for captions in &choices {
            for caption in captions {
                let mut prefix = Vec::new();
                for word in words(&caption.text).into_iter().chain(["[SEP]"]) {
                    let weight = 1.0 / captions.len() as f64;
                    *next
                        .entry(prefix.clone())
                        .or_default()
                        .entry(word.into())
                        .or_default() += weight;
                    prefix.push(word.to_owned());
                }
            }
        }
        for (prefix, words) in next {
            let most = words.values().copied().fold(0.0, f64::max);
            correct += most;
            total += words.values().sum::<f64>();
            first_word += if prefix.is_empty() {
                most / words.values().sum::<f64>()
            } else {
                0.0
            };
        }
    }
    let (accuracy, first_word) = (correct / total, first_word / SCENE_COUNT as f64);
    println!(
        "next words determined by the scene and the preceding words: {:.2} %, the first word {:.2} %",
        100.0 * accuracy,
        100.0 * first_word
    );
    assert!(accuracy > 0.85, "{accuracy}");
}

/// Fraction of captions that are also true of another random scene.
#[test]
fn captions_are_rarely_true_of_another_scene() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let all: Vec<_> = (0..SCENE_COUNT).map(|index| scenes.scene(index)).collect();
    let (mut fitting, mut pairs) = (0_u64, 0_u64);
    let mut by_first: HashMap<String, (u64, u64)> = HashMap::new();
    for (index, scene) in all.iter().enumerate() {
        for caption in scenes.scene_captions(scene) {
            // Fifty other scenes each.
            let others = (1..=50).map(|step| &all[(index + step * 7) % SCENE_COUNT]);
            let fits = others.filter(|other| caption.holds(other)).count() as u64;
            fitting += fits;
            pairs += 50;
            let words = words(&caption.text);
            let kind = if scene.objects.len() == 1 {
                "one: "
            } else {
                "more: "
            }
            .to_owned()
                + words[0];
            let entry = by_first.entry(kind).or_default();
            *entry = (entry.0 + fits, entry.1 + 50);
        }
    }
    let fraction = fitting as f64 / pairs as f64;
    println!("captions true of another scene: {:.2} %", 100.0 * fraction);
    let mut kinds: Vec<_> = by_first.into_iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1.1));
    for (kind, (fits, of)) in kinds {
        println!("  {kind}: {:.2} % of {of}", 100.0 * fits as f64 / of as f64);
    }
    assert!(fraction < 0.03, "{fraction}");
}
