//! Targets as tables of fixed size, from which each query takes label, box and weights of its object.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::capture::Value;

use super::target::DetectionTarget;

/// A box for queries without an object, with finite losses; their weights are zero.
const ANY_BOX: [f32; 4] = [0.5, 0.5, 1.0, 1.0];

/// Divisors of the means over all vocabularies.
struct Divisors {
    class: f64,
    boxes: f64,
    attribute: f64,
}

/// What tables are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableShape {
    /// Index of the vocabulary.
    pub(super) vocabulary: usize,
    pub(super) queries: usize,
    /// Number of classes, without no-object.
    pub(super) classes: usize,
    pub(super) attributes: usize,
    /// Whether attributes are in the cost of a match.
    pub(super) matches_attributes: bool,
}

impl TableShape {
    /// Number of tensors in [`Tables::into_values`].
    fn value_count(&self) -> usize {
        5 + usize::from(self.attributes > 0) + usize::from(self.has_fractions())
    }

    fn has_fractions(&self) -> bool {
        self.attributes > 0 && self.matches_attributes
    }
}

impl Divisors {
    fn new(shapes: &[TableShape], targets: &[&DetectionTarget], no_object: f64) -> Self {
        let (mut class, mut boxes, mut attributed) = (0.0, 0, 0);
        for shape in shapes {
            let members = targets.iter();
            for target in members.filter(|target| target.vocabulary == Some(shape.vocabulary)) {
                let objects = target.objects.len();
                class += objects as f64 + no_object * (shape.queries - objects) as f64;
                boxes += objects;
                if shape.attributes > 0 {
                    let objects = target.objects.iter();
                    attributed += objects
                        .filter(|object| !object.attributes.is_empty())
                        .count();
                }
            }
        }
        Self {
            class: class.max(f64::MIN_POSITIVE),
            boxes: boxes.max(1) as f64,
            attribute: attributed.max(1) as f64,
        }
    }
}

/// Objects of a batch, padded to one more than there are queries, without autodiff. Images of other vocabularies have none, and
/// no weight.
pub(super) struct Tables {
    /// Number of objects, `[batch]`.
    pub(super) counts: Tensor<1, Int>,
    /// `[batch, rows]`; no-object for padding.
    pub(super) classes: Tensor<2, Int>,
    /// `[batch, rows, 4]`.
    pub(super) boxes: Tensor<3>,
    /// Weight of a query in the mean class loss, `[batch * rows]`.
    pub(super) class_weights: Tensor<1>,
    /// Weight of a query in the mean box losses, `[batch * rows]`.
    pub(super) box_weights: Tensor<1>,
    /// Weight of each attribute in the mean attribute loss, `[batch * rows, attributes]`.
    pub(super) attribute_weights: Option<Tensor<2>>,
    /// Weight of each attribute in the gain of a match, `[batch, rows, attributes]`.
    pub(super) attribute_fractions: Option<Tensor<3>>,
}

/// The tensors of all tables, for [`from_values`]; `None` if an image has more objects than there are queries.
pub(super) fn values(
    shapes: &[TableShape],
    targets: &[&DetectionTarget],
    no_object: f64,
    device: &Device,
) -> Option<Vec<Value>> {
    let fits = |shape: &TableShape| {
        let mut targets = targets.iter();
        targets.all(|target| target.objects.len() <= shape.queries)
    };
    if !shapes.iter().all(fits) {
        return None;
    }
    let divisors = Divisors::new(shapes, targets, no_object);
    let tables = shapes
        .iter()
        .map(|shape| Tables::new(shape, targets, &divisors, no_object, device));
    Some(tables.flat_map(Tables::into_values).collect())
}

/// The tables that [`values`] has made tensors of.
pub(super) fn from_values(shapes: &[TableShape], mut values: &[Value]) -> Option<Vec<Tables>> {
    let tables = shapes.iter().map(|shape| {
        let (table, rest) = values.split_at_checked(shape.value_count())?;
        values = rest;
        Tables::from_values(shape, table)
    });
    tables.collect()
}

impl Tables {
    fn new(
        shape: &TableShape,
        targets: &[&DetectionTarget],
        divisors: &Divisors,
        no_object: f64,
        device: &Device,
    ) -> Self {
        let (batch, rows, attributes) = (targets.len(), shape.queries + 1, shape.attributes);
        let device = device.clone().inner();
        let mut counts = vec![0i32; batch];
        let mut labels = vec![shape.classes as i32; batch * rows];
        let mut boxes = ANY_BOX.repeat(batch * rows);
        let mut class_weights = vec![0f32; batch * rows];
        let mut box_weights = vec![0f32; batch * rows];
        let mut fractions = vec![0f32; batch * rows * attributes];
        let members = targets.iter().enumerate();
        let is_member = |target: &DetectionTarget| target.vocabulary == Some(shape.vocabulary);
        for (image, target) in members.filter(|(_, target)| is_member(target)) {
            counts[image] = target.objects.len() as i32;
            let first = image * rows;
            class_weights[first + shape.queries] = (no_object / divisors.class) as f32;
            for (row, object) in (first..).zip(&target.objects) {
                labels[row] = object.class as i32;
                boxes[4 * row..4 * row + 4].copy_from_slice(&object.bbox);
                class_weights[row] = (1.0 / divisors.class) as f32;
                box_weights[row] = (1.0 / divisors.boxes) as f32;
                for &attribute in object.attributes.iter().filter(|&&a| a < attributes) {
                    fractions[row * attributes + attribute] = 1.0 / object.attributes.len() as f32;
                }
            }
        }
        let floats = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let weights = || -> Vec<f32> {
            let fractions = fractions.iter();
            let divisor = divisors.attribute as f32;
            fractions.map(|fraction| fraction / divisor).collect()
        };
        Self {
            counts: Tensor::from_ints(counts.as_slice(), &device),
            classes: Tensor::from_data(TensorData::new(labels, [batch, rows]), &device),
            boxes: Tensor::from_data(TensorData::new(boxes, [batch, rows, 4]), &device),
            class_weights: floats(&class_weights),
            box_weights: floats(&box_weights),
            attribute_weights: (attributes > 0)
                .then(|| floats(&weights()).reshape([batch * rows, attributes])),
            attribute_fractions: (shape.has_fractions())
                .then(|| floats(&fractions).reshape([batch, rows, attributes])),
        }
    }

    fn into_values(self) -> Vec<Value> {
        let values = [
            self.counts.into(),
            self.classes.into(),
            self.boxes.into(),
            self.class_weights.into(),
            self.box_weights.into(),
        ];
        let weights = self.attribute_weights.map(Value::from);
        let fractions = self.attribute_fractions.map(Value::from);
        values.into_iter().chain(weights).chain(fractions).collect()
    }

    fn from_values(shape: &TableShape, values: &[Value]) -> Option<Self> {
        let [
            counts,
            classes,
            boxes,
            class_weights,
            box_weights,
            attributes @ ..,
        ] = values
        else {
            return None;
        };
        let mut attributes = attributes.iter();
        Some(Self {
            counts: counts.tensor(),
            classes: classes.tensor(),
            boxes: boxes.tensor(),
            class_weights: class_weights.tensor(),
            box_weights: box_weights.tensor(),
            attribute_weights: match shape.attributes > 0 {
                true => Some(attributes.next()?.tensor()),
                false => None,
            },
            attribute_fractions: match shape.has_fractions() {
                true => Some(attributes.next()?.tensor()),
                false => None,
            },
        })
    }

    /// One more than there are queries.
    pub(super) fn rows(&self) -> usize {
        self.classes.dims()[1]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::detection::TargetObject;

    const QUERIES: usize = 6;

    fn target(vocabulary: Option<usize>, count: usize) -> DetectionTarget {
        let object = |class| TargetObject {
            class,
            bbox: [0.5, 0.5, 0.25, 0.25],
            attributes: vec![0; class % 2],
        };
        DetectionTarget {
            vocabulary,
            objects: (0..count).map(object).collect(),
            dropped: 0,
            ground_truth: vec![],
            image_id: 1,
            size: (8, 8),
        }
    }

    fn shape(vocabulary: usize) -> TableShape {
        TableShape {
            vocabulary,
            queries: QUERIES,
            classes: 9,
            attributes: 3 * (1 - vocabulary),
            matches_attributes: true,
        }
    }

    fn tables(targets: &[DetectionTarget]) -> Option<Vec<Tables>> {
        let targets: Vec<&DetectionTarget> = targets.iter().collect();
        let shapes = [shape(0), shape(1)];
        let values = values(&shapes, &targets, 0.1, &Device::flex())?;
        Some(from_values(&shapes, &values).unwrap())
    }

    #[test]
    fn sizes_depend_on_the_number_of_queries_alone() {
        for counts in [[0, 0], [1, 3], [QUERIES, QUERIES]] {
            let [first, second] = [0, 1].map(|i| target(Some(i), counts[i]));
            for (i, tables) in tables(&[first, second]).unwrap().into_iter().enumerate() {
                assert_eq!(tables.counts.dims(), [2]);
                assert_eq!(tables.classes.dims(), [2, QUERIES + 1]);
                assert_eq!(tables.boxes.dims(), [2, QUERIES + 1, 4]);
                let weights = tables.attribute_weights.map(|weights| weights.dims());
                assert_eq!(weights, (i == 0).then_some([2 * (QUERIES + 1), 3]));
                let fractions = tables.attribute_fractions.map(|fractions| fractions.dims());
                assert_eq!(fractions, (i == 0).then_some([2, QUERIES + 1, 3]));
            }
        }
        assert!(tables(&[target(Some(0), QUERIES + 1)]).is_none());
    }

    /// The weights of all matched queries, and of those without an object, add up to the whole of a mean.
    #[test]
    fn weights_are_those_of_a_mean_over_all_vocabularies() {
        let targets = [
            target(Some(0), 4),
            target(Some(1), 2),
            target(None, 0),
            target(Some(0), 1),
        ];
        let (mut class, mut boxes, mut attribute) = (0.0, 0.0, 0.0);
        for tables in tables(&targets).unwrap() {
            let values = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
            let counts: Vec<i32> = tables.counts.into_data().iter().collect();
            for (image, row) in values(tables.class_weights).chunks(QUERIES + 1).enumerate() {
                let matched = counts[image] as usize;
                let others = (QUERIES - matched) as f32;
                class += row[..matched].iter().sum::<f32>() + others * row[QUERIES];
                assert!(row[matched..QUERIES].iter().all(|weight| *weight == 0.0));
            }
            boxes += values(tables.box_weights).iter().sum::<f32>();
            if let Some(weights) = tables.attribute_weights {
                attribute += values(weights.reshape([-1])).iter().sum::<f32>();
            }
        }
        for sum in [class, boxes, attribute] {
            assert!((sum - 1.0).abs() < 1e-6, "{class} {boxes} {attribute}");
        }
    }
}
