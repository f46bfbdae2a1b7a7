//! The class heads of detection in the parameters of another run.

use std::collections::{BTreeMap, HashMap, HashSet};

use burn::tensor::TensorData;
use vlp_data::LabelSpace;

/// Path of the class and attribute heads of detection, before the number of the label space.
pub(super) const CLASS_HEADS: &str = "objectives.detection.heads.";

/// The parameters of a run that was trained for the label spaces `trained`, with the class heads numbered by `wanted` and their
/// outputs in its order, and without those of other classes.
pub(super) fn with_class_heads(
    params: BTreeMap<String, TensorData>,
    trained: &[LabelSpace],
    wanted: &[LabelSpace],
) -> BTreeMap<String, TensorData> {
    let (heads, mut params): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (params.into_iter()).partition(|(path, _)| path.starts_with(CLASS_HEADS));
    for (index, space) in wanted.iter().enumerate() {
        let order_of = |trained| OutputOrder::new(trained, space);
        // The same classes in another order are only taken if no head has them in this one.
        let same = trained.iter().position(|trained| trained.same_names(space));
        let source = same.or_else(|| trained.iter().position(|t| order_of(t).is_some()));
        let Some(source) = source else { continue };
        let order = order_of(&trained[source]);
        let prefix = format!("{CLASS_HEADS}{source}.");
        for (path, value) in &heads {
            if let Some(rest) = path.strip_prefix(&prefix) {
                let value = match &order {
                    Some(order) => order.apply(rest, value),
                    None => value.clone(),
                };
                params.insert(format!("{CLASS_HEADS}{index}.{rest}"), value);
            }
        }
    }
    params
}

/// Where a head for some classes and attributes, in their order, has its outputs in a head for the same ones in another order.
struct OutputOrder {
    classes: Vec<usize>,
    attributes: Vec<usize>,
}

impl OutputOrder {
    /// `None` if the classes or the attributes are not the same ones.
    fn new(trained: &LabelSpace, wanted: &LabelSpace) -> Option<Self> {
        let mut classes = order(&trained.classes, &wanted.classes)?;
        // No-object is the last one in every head.
        classes.push(classes.len());
        let attributes = order(&trained.attributes, &wanted.attributes)?;
        Some(Self {
            classes,
            attributes,
        })
    }

    /// The weight `[inputs, outputs]` or bias `[outputs]` of the linear layer that the path begins with.
    fn apply(&self, path: &str, value: &TensorData) -> TensorData {
        let order = match path.starts_with("attribute.") {
            true => &self.attributes,
            false => &self.classes,
        };
        if value.shape().last() != Some(&order.len()) {
            return value.clone();
        }
        let outputs: Vec<f32> = value.iter::<f32>().collect();
        let rows = outputs.chunks(order.len().max(1));
        let rows = rows.flat_map(|row| order.iter().map(|&index| row[index]));
        TensorData::new(rows.collect(), value.shape().clone())
    }
}

/// The index of each of the names `wanted` among the names `trained`; `None` if these are not the same names, each once.
fn order(trained: &[String], wanted: &[String]) -> Option<Vec<usize>> {
    let distinct: HashSet<&String> = wanted.iter().collect();
    if [distinct.len(), wanted.len()] != [trained.len(); 2] {
        return None;
    }
    let indices: HashMap<&String, usize> = trained.iter().zip(0..).collect();
    let order = wanted.iter().map(|name| indices.get(name).copied());
    order.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn space(classes: &[&str], attributes: &[&str]) -> LabelSpace {
        LabelSpace {
            classes: names(classes),
            attributes: names(attributes),
            ..LabelSpace::default()
        }
    }

    fn params(values: &[(&str, TensorData)]) -> BTreeMap<String, TensorData> {
        let values = values.iter().cloned();
        let values = values.map(|(path, data)| (format!("objectives.detection.{path}"), data));
        values.collect()
    }

    #[test]
    fn class_heads_follow_their_classes() {
        let value = |value: f32| TensorData::from([value]);
        let params = params(&[
            ("box_head.weight", value(0.0)),
            ("heads.0.class.weight", value(1.0)),
            ("heads.1.class.weight", value(2.0)),
        ]);
        let trained = [space(&["dog"], &[]), space(&["cat"], &[])];
        let wanted = [
            space(&["cat"], &[]),
            space(&["bird"], &[]),
            space(&["dog"], &[]),
        ];
        let loaded = with_class_heads(params, &trained, &wanted);
        let loaded = loaded.iter().map(|(path, data)| {
            let path = path.trim_start_matches("objectives.detection.");
            (path, data.iter::<f32>().sum::<f32>())
        });
        let expected = [
            ("box_head.weight", 0.0),
            ("heads.0.class.weight", 2.0),
            ("heads.2.class.weight", 1.0),
        ];
        assert_eq!(loaded.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn outputs_follow_the_order_of_the_classes() {
        let params = params(&[
            (
                "heads.0.class.weight",
                TensorData::from([[1.0, 2.0, 9.0], [3.0, 4.0, 8.0]]),
            ),
            ("heads.0.class.bias", TensorData::from([5.0, 6.0, 7.0])),
            ("heads.0.attribute.bias", TensorData::from([0.1, 0.2, 0.3])),
        ]);
        let trained = [space(&["dog", "cat"], &["red", "wet", "old"])];
        let wanted = [space(&["cat", "dog"], &["old", "red", "wet"])];
        let loaded = with_class_heads(params, &trained, &wanted);
        let of = |path: &str| {
            let data = &loaded[&format!("objectives.detection.heads.0.{path}")];
            (
                data.shape().to_vec(),
                data.iter::<f32>().collect::<Vec<_>>(),
            )
        };
        let weight = vec![2.0, 1.0, 9.0, 4.0, 3.0, 8.0];
        assert_eq!(of("class.weight"), (vec![2, 3], weight));
        assert_eq!(of("class.bias"), (vec![3], vec![6.0, 5.0, 7.0]));
        assert_eq!(of("attribute.bias"), (vec![3], vec![0.3, 0.1, 0.2]));
    }

    #[test]
    fn other_names_and_names_that_occur_twice_have_no_order() {
        let order =
            |trained: &[&str], wanted: &[&str]| super::order(&names(trained), &names(wanted));
        assert_eq!(order(&["a", "b"], &["b", "a"]), Some(vec![1, 0]));
        assert_eq!(order(&[], &[]), Some(vec![]));
        for (trained, wanted) in [
            (&["a", "b"][..], &["a", "c"][..]),
            (&["a", "b"], &["a"]),
            (&["a"], &["a", "b"]),
            (&["a", "a"], &["a", "a"]),
            (&["a", "b"], &["a", "a"]),
        ] {
            assert_eq!(order(trained, wanted), None, "{trained:?} {wanted:?}");
        }
    }
}
