use std::collections::{BTreeMap, HashMap};

use super::{
    distribution::Distribution,
    issue::{Issue, IssueKind},
    report::{CheckReport, Count, MAX_ANSWERS, MAX_LISTED},
};
use crate::{Entailment, Label, LabelSpace};

/// Counts over some samples; merging is commutative.
#[derive(Default)]
pub(super) struct Statistics {
    captions: u64,
    boxes: u64,
    boxes_annotated: bool,
    issue_counts: BTreeMap<IssueKind, u64>,
    /// Sample index, a number that increases within the sample, and the issue; sorted by the first two.
    issues: Vec<(usize, u64, Issue)>,
    /// By label space and class.
    classes: BTreeMap<(usize, usize), u64>,
    /// By label space and attribute.
    attributes: BTreeMap<(usize, usize), u64>,
    captions_per_sample: BTreeMap<u64, u64>,
    caption_words: BTreeMap<u64, u64>,
    boxes_per_sample: BTreeMap<u64, u64>,
    sizes: BTreeMap<(usize, usize), u64>,
    answers: HashMap<String, u64>,
    labels: BTreeMap<&'static str, u64>,
    pub(super) pixel_hashes: PixelHashes,
}

/// Hashes of decoded pixels, each with its sample index.
#[derive(Default)]
pub(super) struct PixelHashes {
    /// Images of samples with one image.
    pub(super) single: Vec<(u64, usize)>,
    /// Each image of samples with two images.
    pub(super) paired_images: Vec<(u64, usize)>,
    /// Both images together of samples with two images.
    pub(super) pairs: Vec<(u64, usize)>,
}

fn increment<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn add_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, other: BTreeMap<K, u64>) {
    for (key, count) in other {
        *counts.entry(key).or_default() += count;
    }
}

impl Statistics {
    pub(super) fn add_issue(&mut self, index: usize, issue: Issue) {
        let number = self.issue_counts.values().sum();
        increment(&mut self.issue_counts, issue.kind);
        self.issues.push((index, number, issue));
        if self.issues.len() >= 2 * MAX_LISTED {
            self.truncate_issues();
        }
    }

    pub(super) fn unreadable(&self) -> u64 {
        let count = self.issue_counts.get(&IssueKind::Unreadable);
        count.copied().unwrap_or_default()
    }

    fn truncate_issues(&mut self) {
        self.issues
            .sort_by_key(|&(index, number, _)| (index, number));
        self.issues.truncate(MAX_LISTED);
    }

    pub(super) fn add_caption(&mut self, text: &str) {
        self.captions += 1;
        let words = text.split_whitespace().count() as u64;
        increment(&mut self.caption_words, words);
    }

    pub(super) fn add_caption_count(&mut self, count: usize) {
        increment(&mut self.captions_per_sample, count as u64);
    }

    pub(super) fn add_box_count(&mut self, count: usize) {
        self.boxes_annotated = true;
        self.boxes += count as u64;
        increment(&mut self.boxes_per_sample, count as u64);
    }

    pub(super) fn add_class(&mut self, label_space: usize, class: usize) {
        increment(&mut self.classes, (label_space, class));
    }

    pub(super) fn add_attribute(&mut self, label_space: usize, attribute: usize) {
        increment(&mut self.attributes, (label_space, attribute));
    }

    pub(super) fn add_size(&mut self, size: (usize, usize)) {
        increment(&mut self.sizes, size);
    }

    pub(super) fn add_label(&mut self, label: Label) {
        let name = match label {
            Label::Truth(true) => "true",
            Label::Truth(false) => "false",
            Label::Entailment(entailment) => Entailment::name(entailment),
            Label::Answers(answers) => {
                for answer in answers {
                    *self.answers.entry(answer).or_default() += 1;
                }
                "with answers"
            }
        };
        increment(&mut self.labels, name);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.captions += other.captions;
        self.boxes += other.boxes;
        self.boxes_annotated |= other.boxes_annotated;
        add_counts(&mut self.issue_counts, other.issue_counts);
        self.issues.extend(other.issues);
        self.truncate_issues();
        add_counts(&mut self.classes, other.classes);
        add_counts(&mut self.attributes, other.attributes);
        add_counts(&mut self.captions_per_sample, other.captions_per_sample);
        add_counts(&mut self.caption_words, other.caption_words);
        add_counts(&mut self.boxes_per_sample, other.boxes_per_sample);
        add_counts(&mut self.sizes, other.sizes);
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        add_counts(&mut self.labels, other.labels);
        let (hashes, other) = (&mut self.pixel_hashes, other.pixel_hashes);
        hashes.single.extend(other.single);
        hashes.paired_images.extend(other.paired_images);
        hashes.pairs.extend(other.pairs);
    }

    /// Writes the counts to a report that already has the reader's issues.
    pub(super) fn write(mut self, label_spaces: &[LabelSpace], report: &mut CheckReport) {
        self.truncate_issues();
        let sides = |side: fn(&(usize, usize)) -> usize| {
            let mut counts = BTreeMap::new();
            for (size, count) in &self.sizes {
                *counts.entry(side(size) as u64).or_default() += count;
            }
            Distribution::of_integers(&counts)
        };
        (report.width, report.height) = (sides(|size| size.0), sides(|size| size.1));
        let mut aspects: Vec<(f64, u64)> = self
            .sizes
            .iter()
            .filter(|(size, _)| size.1 > 0)
            .map(|(&(width, height), &count)| (width as f64 / height as f64, count))
            .collect();
        aspects.sort_by(|a, b| a.0.total_cmp(&b.0));
        report.aspect = Distribution::of_sorted(&aspects);
        report.captions = self.captions;
        report.boxes = self.boxes_annotated.then_some(self.boxes);
        report.captions_per_sample = Distribution::of_integers(&self.captions_per_sample);
        report.caption_words = Distribution::of_integers(&self.caption_words);
        report.boxes_per_sample = Distribution::of_integers(&self.boxes_per_sample);
        type Names = fn(&LabelSpace) -> &[String];
        let named = |names: Names, counts: &BTreeMap<(usize, usize), u64>| {
            let spaces = label_spaces.iter().enumerate();
            let spaces = spaces.flat_map(|(number, space)| {
                let names = names(space).iter().enumerate();
                names.map(move |(index, name)| {
                    let count = counts.get(&(number, index)).copied();
                    let name = match label_spaces.len() {
                        1 => name.clone(),
                        _ => format!("{name} ({})", space.name),
                    };
                    (name, count.unwrap_or_default())
                })
            });
            ranked(spaces)
        };
        if self.boxes_annotated {
            report.classes = named(|space| &space.classes, &self.classes);
            report.attributes = named(|space| &space.attributes, &self.attributes);
        }
        report.different_answers = self.answers.len();
        report.answers = ranked(self.answers);
        report.answers.truncate(MAX_ANSWERS);
        let label_counts = self.labels.into_iter();
        report.labels = ranked(label_counts.map(|(name, count)| (name.to_owned(), count)));
        add_counts(&mut report.issue_counts, self.issue_counts);
        let room = MAX_LISTED.saturating_sub(report.issues.len());
        let issues = self.issues.into_iter().map(|(_, _, issue)| issue);
        report.issues.extend(issues.take(room));
    }
}

/// Sorts by descending count, then by name.
fn ranked(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Count> {
    let counts = counts.into_iter();
    let mut counts: Vec<Count> = counts.map(|(name, count)| Count { name, count }).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts
}
