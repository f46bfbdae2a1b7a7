//! How much of a caption can be known: the figures of the scenes' documentation.
//!
//! `cargo test -p vlp-data --test captions -- --nocapture` prints them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::HashMap;

use vlp_data::{Scenes, ScenesConfig};

const SCENES: usize = 2000;

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// The one position at which two texts of the same length differ.
fn difference(a: &str, b: &str) -> Option<usize> {
    let (a, b) = (words(a), words(b));
    if a.len() != b.len() {
        return None;
    }
    let mut differing = (0..a.len()).filter(|&at| a[at] != b[at]);
    let only = differing.next()?;
    differing.next().is_none().then_some(only)
}

/// A masked word is determined when no other word in its place makes a caption that is true of the scene.
#[test]
fn masked_words_are_determined() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let (mut tokens, mut open) = (0, 0);
    for index in 0..SCENES {
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
            tokens += words(&caption.text).len();
            open += undetermined.len();
        }
    }
    let share = 1.0 - open as f64 / tokens as f64;
    println!(
        "determined given the scene and the other words: {:.2} %",
        100.0 * share
    );
    assert!(share > 0.97, "{share}");
}

/// Best possible share of right next words (the end included) for one who knows the scene and the words before.
#[test]
fn next_words_are_mostly_determined() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let (mut best, mut total, mut first) = (0.0, 0.0, 0.0);
    for index in 0..SCENES {
        let mut next: HashMap<Vec<String>, HashMap<String, f64>> = HashMap::new();
        let choices = scenes.caption_choices(&scenes.scene(index));
        for some in &choices {
            for caption in some {
                let mut prefix = Vec::new();
                for word in words(&caption.text).into_iter().chain(["[SEP]"]) {
                    let weight = 1.0 / some.len() as f64;
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
            best += most;
            total += words.values().sum::<f64>();
            first += if prefix.is_empty() {
                most / words.values().sum::<f64>()
            } else {
                0.0
            };
        }
    }
    let (share, first) = (best / total, first / SCENES as f64);
    println!(
        "next words determined given the scene and the words before: {:.2} %, the first word {:.2} %",
        100.0 * share,
        100.0 * first
    );
    assert!(share > 0.85, "{share}");
}

/// Share of random captions that are also true of another random scene.
#[test]
fn captions_seldom_fit_another_scene() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let all: Vec<_> = (0..SCENES).map(|index| scenes.scene(index)).collect();
    let (mut fitting, mut pairs) = (0_u64, 0_u64);
    let mut by_first: HashMap<String, (u64, u64)> = HashMap::new();
    for (index, scene) in all.iter().enumerate() {
        for caption in scenes.scene_captions(scene) {
            // Fifty others each; 7 and 2,000 have no common factor, so they spread over all.
            let others = (1..=50).map(|step| &all[(index + step * 7) % SCENES]);
            let fits = others.filter(|other| caption.holds(other)).count() as u64;
            fitting += fits;
            pairs += 50;
            let words = words(&caption.text);
            let kind = if scene.things.len() == 1 {
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
    let share = fitting as f64 / pairs as f64;
    println!("captions true of another scene: {:.2} %", 100.0 * share);
    let mut kinds: Vec<_> = by_first.into_iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1.1));
    for (kind, (fits, of)) in kinds {
        println!("  {kind}: {:.2} % of {of}", 100.0 * fits as f64 / of as f64);
    }
    assert!(share < 0.03, "{share}");
}
