//! What losses read from targets, on the device: a recorded training step must copy nothing to a GPU in its middle.

use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::log_prob_at;

/// The smallest capacity of [`PaddedLabels`].
const MIN_CAPACITY: usize = 16;
/// On a GPU, lengths of texts are multiples of this, so that batches have few shapes.
pub(crate) const TEXT_MULTIPLE: usize = 8;

/// Tensors that an objective's loss reads instead of its targets.
#[derive(Debug, Clone, Default)]
pub struct TargetTensors {
    /// Tensors without autodiff; none if the loss reads the targets.
    pub values: Vec<Value>,
    /// Numbers that determine everything in the loss that depends on the targets but is not a value of a tensor.
    pub key: Vec<usize>,
}

/// Tensors of targets with the name of their objective.
pub type NamedTargetTensors = Vec<(&'static str, TargetTensors)>;

impl From<Vec<Value>> for TargetTensors {
    fn from(values: Vec<Value>) -> Self {
        Self {
            values,
            key: vec![],
        }
    }
}

/// Rows of a matrix with a class each. Their number differs from batch to batch; here it is padded to a power of two, by rows of
/// weight 0.
#[derive(Debug, Clone)]
pub struct PaddedLabels {
    rows: Tensor<1, Int>,
    classes: Tensor<1, Int>,
    /// 1 / number of labels, or 0.
    weights: Tensor<1>,
}

impl PaddedLabels {
    /// The tensors on `device`, for [`Self::from_values`]; none without labels. `labels` has pairs of a row and its class.
    pub fn values(labels: &[(usize, usize)], device: &Device) -> Vec<Value> {
        if labels.is_empty() {
            return vec![];
        }
        let capacity = labels.len().next_power_of_two().max(MIN_CAPACITY);
        // Rows, then classes: one copy to the device.
        let (mut ints, mut weights) = (vec![0; 2 * capacity], vec![0.0; capacity]);
        for (index, &(row, class)) in labels.iter().enumerate() {
            (ints[index], ints[capacity + index]) = (row as i32, class as i32);
            weights[index] = 1.0 / labels.len() as f32;
        }
        let device = device.clone().inner();
        let ints = Tensor::<1, Int>::from_ints(ints.as_slice(), &device);
        let weights = Tensor::<1>::from_floats(weights.as_slice(), &device);
        vec![ints.into(), weights.into()]
    }

    /// [`Self::values`] of rows of which some have a class.
    pub fn of_rows(
        classes: impl IntoIterator<Item = Option<usize>>,
        device: &Device,
    ) -> TargetTensors {
        let rows = classes.into_iter().enumerate();
        let labels = rows.filter_map(|(row, class)| Some((row, class?)));
        Self::values(&labels.collect::<Vec<_>>(), device).into()
    }

    /// The last of the values that [`Self::values`] has made, for a loss on `device`; `None` without them.
    pub fn from_values(values: &[Value], device: &Device) -> Option<Self> {
        let [.., rows_and_classes, weights] = values else {
            return None;
        };
        let rows_and_classes = ints(rows_and_classes.tensor::<1, Int>(), device);
        let weights = floats(weights.tensor::<1, Float>(), device);
        let capacity = weights.dims()[0];
        Some(Self {
            rows: rows_and_classes.clone().narrow(0, 0, capacity),
            classes: rows_and_classes.narrow(0, capacity, capacity),
            weights,
        })
    }

    /// The rows of `matrix` `[rows, width]`, `[capacity, width]`.
    pub fn select(&self, matrix: Tensor<2>) -> Tensor<2> {
        matrix.select(0, self.rows.clone())
    }

    /// Mean cross entropy, `[1]`, of the logits of [`Self::select`]ed rows.
    pub fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        let log_probs = log_prob_at(logits, self.classes.clone());
        // Along an axis, since burn adds up a whole tensor in no fixed order.
        (log_probs * self.weights.clone()).sum_dim(0).neg()
    }
}

/// A tensor for a loss on `device`, which may have autodiff.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    match device.is_autodiff() && !tensor.is_autodiff() {
        true => Tensor::from_inner(tensor),
        false => tensor,
    }
}

/// [`floats`] for integers.
pub(crate) fn ints<const D: usize>(tensor: Tensor<D, Int>, device: &Device) -> Tensor<D, Int> {
    match device.is_autodiff() && !tensor.device().is_autodiff() {
        true => Tensor::from_inner(tensor),
        false => tensor,
    }
}

/// [`floats`] for masks.
pub(crate) fn bools<const D: usize>(tensor: Tensor<D, Bool>, device: &Device) -> Tensor<D, Bool> {
    match device.is_autodiff() && !tensor.device().is_autodiff() {
        true => Tensor::from_inner(tensor),
        false => tensor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{cross_entropy, gather_positions};

    #[test]
    fn padding_changes_neither_loss_nor_gradient() {
        let device = Device::flex().autodiff();
        let states = Tensor::<3>::random(
            [3, 7, 5],
            burn::tensor::Distribution::Normal(0.0, 1.0),
            &device,
        );
        let labels = [(0, 2, 1), (1, 0, 4), (2, 6, 0)];
        let positions = labels.map(|(row, position, _)| (row, position));
        let classes = labels.map(|(_, _, class)| class as i32);
        let run = |loss: &dyn Fn(Tensor<3>) -> Tensor<1>| {
            let states = states.clone().detach().require_grad();
            let loss = loss(states.clone());
            let value = loss.clone().into_scalar::<f32>();
            let grad = states.grad(&loss.backward()).map(Tensor::into_data);
            (
                value,
                grad.map(|grad| grad.iter::<f32>().collect::<Vec<_>>()),
            )
        };
        let (value, grad) =
            run(&|states| cross_entropy(gather_positions(states, &positions), &classes));
        let rows = labels.map(|(row, position, class)| (row * 7 + position, class));
        let values = PaddedLabels::values(&rows, &device);
        let (padded_value, padded_grad) = run(&|states| {
            #[allow(clippy::unwrap_used)]
            let labels = PaddedLabels::from_values(&values, &device).unwrap();
            labels.cross_entropy(labels.select(states.reshape([21, 5])))
        });
        // One more rounding of each term.
        assert!(
            (value - padded_value).abs() < 1e-6,
            "{value} {padded_value}"
        );
        let pairs = grad.iter().flatten().zip(padded_grad.iter().flatten());
        assert_eq!(pairs.clone().count(), 3 * 7 * 5);
        for (a, b) in pairs {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        assert!(PaddedLabels::values(&[], &device).is_empty());
    }
}
