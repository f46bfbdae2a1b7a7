//! Information that codes have about annotated objects.

use std::collections::BTreeMap;

use vlp_data::{Example, LabelSpace, Object};

use super::code_usage::CodeUsage;

/// Information that codes have about a label.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LabelInformation {
    /// The label: `class`, or a group of attributes such as `color`.
    pub label: String,
    /// Fraction of visual tokens whose label is the most frequent one of their code.
    pub purity: f64,
    /// Mutual information of code and label in bits.
    pub mutual_information: f64,
    /// Entropy of the label in bits, the upper bound of the mutual information.
    pub entropy: f64,
}

impl LabelInformation {
    /// About the class and each attribute group, over visual tokens on objects; empty if no object is annotated.
    ///
    /// A token belongs to the object with the smallest box around its center. Attributes are grouped by their index in the
    /// object's list, which for generated scenes is color, size, texture. Labels of a label space
    /// other than the first start with its name.
    pub fn all(usage: &CodeUsage, examples: &[Example], label_spaces: &[LabelSpace]) -> Vec<Self> {
        let mut pairs: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        for (image, example) in examples.iter().enumerate() {
            let [rows, columns] = usage.grids[image];
            let space = label_spaces.get(example.label_space);
            let space = space.map_or("", |space| space.name.as_str());
            let in_space = |label: &str| match example.label_space {
                0 => label.to_owned(),
                _ => format!("{space} {label}"),
            };
            for (index, code) in usage.codes[image].iter().enumerate() {
                let x = (index % columns) as f32 + 0.5;
                let y = (index / columns) as f32 + 0.5;
                let x = x * example.width as f32 / columns as f32;
                let y = y * example.height as f32 / rows as f32;
                let (Some(code), Some(object)) = (*code, object_at(example, x, y)) else {
                    continue;
                };
                let class_pairs = pairs.entry(in_space("class")).or_default();
                class_pairs.push((code, object.class));
                for (group, &attribute) in object.attributes.iter().enumerate() {
                    let name = group_name(group, space == "scenes");
                    pairs
                        .entry(in_space(&name))
                        .or_default()
                        .push((code, attribute));
                }
            }
        }
        let information = pairs.into_iter().map(|(label, pairs)| {
            let (purity, mutual_information, entropy) = measure(&pairs);
            Self {
                label,
                purity,
                mutual_information,
                entropy,
            }
        });
        information.collect()
    }
}

fn group_name(group: usize, scenes: bool) -> String {
    match (scenes, group) {
        (true, 0) => "color".into(),
        (true, 1) => "size".into(),
        (true, 2) => "texture".into(),
        _ => format!("attribute {}", group + 1),
    }
}

/// The object with the smallest box around a point.
fn object_at(example: &Example, x: f32, y: f32) -> Option<&Object> {
    let objects = example.objects.iter().flatten();
    let around = objects.filter(|object| {
        let [x0, y0, x1, y1] = object.bbox;
        x0 <= x && x < x1 && y0 <= y && y < y1
    });
    let area = |object: &&Object| {
        let [x0, y0, x1, y1] = object.bbox;
        (x1 - x0) * (y1 - y0)
    };
    around.min_by(|a, b| area(a).total_cmp(&area(b)))
}

/// Purity, mutual information, and entropy of the label, of (code, label) pairs.
fn measure(pairs: &[(usize, usize)]) -> (f64, f64, f64) {
    let total = pairs.len().max(1) as f64;
    let mut joint = BTreeMap::<(usize, usize), f64>::new();
    let (mut codes, mut labels) = (BTreeMap::<usize, f64>::new(), BTreeMap::<usize, f64>::new());
    for &(code, label) in pairs {
        *joint.entry((code, label)).or_default() += 1.0;
        *codes.entry(code).or_default() += 1.0;
        *labels.entry(label).or_default() += 1.0;
    }
    let mut mutual_information = 0.0;
    let mut most_frequent = BTreeMap::<usize, f64>::new();
    for (&(code, label), &count) in &joint {
        let lift = count * total / (codes[&code] * labels[&label]);
        mutual_information += count / total * lift.log2();
        let maximum = most_frequent.entry(code).or_default();
        *maximum = maximum.max(count);
    }
    let entropy = labels.values();
    let entropy = entropy.map(|count| -count / total * (count / total).log2());
    let purity = most_frequent.values().sum::<f64>() / total;
    (purity, mutual_information, entropy.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_equal_to_labels_have_all_information_and_constant_codes_none() {
        let equal: Vec<_> = (0..12).map(|i| (i % 4, i % 4)).collect();
        let (purity, information, entropy) = measure(&equal);
        assert!((purity - 1.0).abs() < 1e-12 && (information - 2.0).abs() < 1e-12);
        assert!((entropy - 2.0).abs() < 1e-12);
        let constant: Vec<_> = (0..12).map(|i| (7, i % 4)).collect();
        let (purity, information, _) = measure(&constant);
        assert!((purity - 0.25).abs() < 1e-12 && information.abs() < 1e-12);
    }
}
