//! What codes tell of the annotated objects under their cells.

use std::collections::BTreeMap;

use vlp_data::{Example, LabelSpace, Object};

use super::Survey;

/// How much a code says of a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// What the label is: `class`, or a group of attributes such as `colour`.
    pub of: String,
    /// Share of cells whose label is the most frequent one of their code.
    pub purity: Option<f64>,
    /// Mutual information of code and label in bits.
    pub information: Option<f64>,
    /// Entropy of the label in bits: the most that a code can tell.
    pub entropy: Option<f64>,
}

impl Meaning {
    /// Of the class and of each place among the attributes of an object, over cells on objects alone; nothing where no
    /// object is annotated.
    ///
    /// A cell belongs to the smallest box around its centre. Attributes are grouped by their place in the object's
    /// list, which for generated scenes is colour, size, texture.
    pub fn all(survey: &Survey, examples: &[Example], labels: &LabelSpace) -> Vec<Self> {
        let mut pairs: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        for (i, example) in examples.iter().enumerate() {
            let [rows, columns] = survey.grids[i];
            for (cell, code) in survey.codes[i].iter().enumerate() {
                let x = (cell % columns) as f32 + 0.5;
                let y = (cell / columns) as f32 + 0.5;
                let x = x * example.width as f32 / columns as f32;
                let y = y * example.height as f32 / rows as f32;
                let (Some(code), Some(object)) = (*code, at(example, x, y)) else {
                    continue;
                };
                pairs
                    .entry("class".into())
                    .or_default()
                    .push((code, object.class));
                for (place, &attribute) in object.attributes.iter().enumerate() {
                    let group = group(place, labels.name == "scenes");
                    pairs.entry(group).or_default().push((code, attribute));
                }
            }
        }
        pairs
            .into_iter()
            .map(|(of, pairs)| {
                let (purity, information, entropy) = measure(&pairs);
                Self {
                    of,
                    purity: Some(purity),
                    information: Some(information),
                    entropy: Some(entropy),
                }
            })
            .collect()
    }
}

fn group(place: usize, scenes: bool) -> String {
    match (scenes, place) {
        (true, 0) => "colour".into(),
        (true, 1) => "size".into(),
        (true, 2) => "texture".into(),
        _ => format!("attribute {}", place + 1),
    }
}

/// The object with the smallest box around a point.
fn at(example: &Example, x: f32, y: f32) -> Option<&Object> {
    let objects = example.objects.iter().flatten();
    let around = objects.filter(|o| {
        let [x0, y0, x1, y1] = o.bbox;
        x0 <= x && x < x1 && y0 <= y && y < y1
    });
    let size = |o: &&Object| (o.bbox[2] - o.bbox[0]) * (o.bbox[3] - o.bbox[1]);
    around.min_by(|a, b| size(a).total_cmp(&size(b)))
}

/// Purity, mutual information and entropy of the second, of pairs.
fn measure(pairs: &[(usize, usize)]) -> (f64, f64, f64) {
    let total = pairs.len().max(1) as f64;
    let mut joint = BTreeMap::<(usize, usize), f64>::new();
    let (mut codes, mut labels) = (BTreeMap::<usize, f64>::new(), BTreeMap::<usize, f64>::new());
    let mut best = BTreeMap::<usize, f64>::new();
    for &(code, label) in pairs {
        *joint.entry((code, label)).or_default() += 1.0;
        *codes.entry(code).or_default() += 1.0;
        *labels.entry(label).or_default() += 1.0;
    }
    let mut information = 0.0;
    for (&(code, label), &count) in &joint {
        information += count / total * (count * total / (codes[&code] * labels[&label])).log2();
        let most = best.entry(code).or_default();
        *most = most.max(count);
    }
    let entropy = labels
        .values()
        .map(|c| -c / total * (c / total).log2())
        .sum();
    (best.values().sum::<f64>() / total, information, entropy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_labels_tell_all_and_constant_ones_nothing() {
        let same: Vec<_> = (0..12).map(|i| (i % 4, i % 4)).collect();
        let (purity, information, entropy) = measure(&same);
        assert!((purity - 1.0).abs() < 1e-12 && (information - 2.0).abs() < 1e-12);
        assert!((entropy - 2.0).abs() < 1e-12);
        let constant: Vec<_> = (0..12).map(|i| (7, i % 4)).collect();
        let (purity, information, _) = measure(&constant);
        assert!((purity - 0.25).abs() < 1e-12 && information.abs() < 1e-12);
    }
}
