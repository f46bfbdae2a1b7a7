use std::collections::{BTreeMap, HashMap};

use super::{CheckReport, Count, FaultKind, Found, MAX_ANSWERS, MAX_LISTED, Spread};
use crate::{Entailment, Label, LabelSpace};

/// What was counted so far; the sum of two does not depend on their order.
#[derive(Default)]
pub(super) struct Tally {
    captions: u64,
    boxes: u64,
    boxed: bool,
    fault_counts: BTreeMap<FaultKind, u64>,
    /// With the sample and the number of the fault in it, by which they are sorted.
    faults: Vec<(usize, u64, Found)>,
    classes: BTreeMap<usize, u64>,
    attributes: BTreeMap<usize, u64>,
    captions_per_sample: BTreeMap<u64, u64>,
    caption_words: BTreeMap<u64, u64>,
    boxes_per_sample: BTreeMap<u64, u64>,
    sizes: BTreeMap<(usize, usize), u64>,
    answers: HashMap<String, u64>,
    labels: BTreeMap<&'static str, u64>,
    pub(super) sums: Sums,
}

/// Hashes of pixels, each with its sample.
#[derive(Default)]
pub(super) struct Sums {
    /// Of samples of one picture.
    pub(super) alone: Vec<(u64, usize)>,
    /// Of the pictures of samples of two, one by one.
    pub(super) parts: Vec<(u64, usize)>,
    /// Of both pictures of samples of two.
    pub(super) pairs: Vec<(u64, usize)>,
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, key: K) {
    *to.entry(key).or_default() += 1;
}

fn sum<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *to.entry(key).or_default() += count;
    }
}

impl Tally {
    pub(super) fn fault(&mut self, index: usize, found: Found) {
        let all = self.fault_counts.values().sum();
        add(&mut self.fault_counts, found.kind);
        self.faults.push((index, all, found));
        if self.faults.len() >= 2 * MAX_LISTED {
            self.cut();
        }
    }

    pub(super) fn unreadable(&self) -> u64 {
        let kind = self.fault_counts.get(&FaultKind::Unreadable);
        kind.copied().unwrap_or_default()
    }

    /// Keeps the first faults.
    fn cut(&mut self) {
        self.faults
            .sort_by_key(|&(index, number, _)| (index, number));
        self.faults.truncate(MAX_LISTED);
    }

    pub(super) fn caption(&mut self, text: &str) {
        self.captions += 1;
        add(
            &mut self.caption_words,
            text.split_whitespace().count() as u64,
        );
    }

    pub(super) fn captions(&mut self, count: usize) {
        add(&mut self.captions_per_sample, count as u64);
    }

    pub(super) fn boxes(&mut self, count: usize) {
        self.boxed = true;
        self.boxes += count as u64;
        add(&mut self.boxes_per_sample, count as u64);
    }

    pub(super) fn class(&mut self, class: usize) {
        add(&mut self.classes, class);
    }

    pub(super) fn attribute(&mut self, attribute: usize) {
        add(&mut self.attributes, attribute);
    }

    pub(super) fn size(&mut self, size: (usize, usize)) {
        add(&mut self.sizes, size);
    }

    pub(super) fn label(&mut self, label: Label) {
        let name = match label {
            Label::Truth(true) => "true",
            Label::Truth(false) => "false",
            Label::Entailment(word) => Entailment::word(word),
            Label::Answers(answers) => {
                for answer in answers {
                    *self.answers.entry(answer).or_default() += 1;
                }
                "with answers"
            }
        };
        add(&mut self.labels, name);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.captions += other.captions;
        self.boxes += other.boxes;
        self.boxed |= other.boxed;
        sum(&mut self.fault_counts, other.fault_counts);
        self.faults.extend(other.faults);
        self.cut();
        sum(&mut self.classes, other.classes);
        sum(&mut self.attributes, other.attributes);
        sum(&mut self.captions_per_sample, other.captions_per_sample);
        sum(&mut self.caption_words, other.caption_words);
        sum(&mut self.boxes_per_sample, other.boxes_per_sample);
        sum(&mut self.sizes, other.sizes);
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        sum(&mut self.labels, other.labels);
        self.sums.alone.extend(other.sums.alone);
        self.sums.parts.extend(other.sums.parts);
        self.sums.pairs.extend(other.sums.pairs);
    }

    /// The counts as a report shows them.
    pub(super) fn write(mut self, labels: &LabelSpace, report: &mut CheckReport) {
        self.cut();
        let sides = |side: fn(&(usize, usize)) -> usize| {
            let mut counts = BTreeMap::new();
            for (size, n) in &self.sizes {
                *counts.entry(side(size) as u64).or_default() += n;
            }
            Spread::whole(&counts)
        };
        (report.width, report.height) = (sides(|size| size.0), sides(|size| size.1));
        let mut aspects: Vec<(f64, u64)> = self
            .sizes
            .iter()
            .filter(|(size, _)| size.1 > 0)
            .map(|(&(width, height), &n)| (width as f64 / height as f64, n))
            .collect();
        aspects.sort_by(|a, b| a.0.total_cmp(&b.0));
        report.aspect = Spread::of(&aspects);
        report.captions = self.captions;
        report.boxes = self.boxed.then_some(self.boxes);
        report.captions_per_sample = Spread::whole(&self.captions_per_sample);
        report.caption_words = Spread::whole(&self.caption_words);
        report.boxes_per_sample = Spread::whole(&self.boxes_per_sample);
        let named = |names: &[String], counts: &BTreeMap<usize, u64>| {
            let of = |number| counts.get(&number).copied().unwrap_or_default();
            let all = names
                .iter()
                .enumerate()
                .map(|(i, name)| (name.clone(), of(i)));
            ranked(all)
        };
        if self.boxed {
            report.classes = named(&labels.classes, &self.classes);
            report.attributes = named(&labels.attributes, &self.attributes);
        }
        report.different_answers = self.answers.len();
        report.answers = ranked(self.answers);
        report.answers.truncate(MAX_ANSWERS);
        report.labels = ranked(
            self.labels
                .into_iter()
                .map(|(name, n)| (name.to_owned(), n)),
        );
        sum(&mut report.fault_counts, self.fault_counts);
        let room = MAX_LISTED.saturating_sub(report.faults.len());
        let listed = self.faults.into_iter().map(|(_, _, found)| found);
        report.faults.extend(listed.take(room));
    }
}

/// Most first, of as many by name.
fn ranked(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Count> {
    let counts = counts.into_iter();
    let mut all: Vec<Count> = counts.map(|(name, count)| Count { name, count }).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all
}
