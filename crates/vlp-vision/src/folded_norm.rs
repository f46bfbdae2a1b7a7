//! A frozen batch norm, as a scale and a shift for each channel.

use std::sync::{Arc, Mutex, PoisonError};

use burn::nn::BatchNorm;
use burn::prelude::*;
use vlp_ops::capture::keep_for_graph;
use vlp_ops::is_same_tensor;

/// Scale and shift of a norm, recomputed only when the norm has changed. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoldedNorm(Arc<Mutex<Option<Folded>>>);

#[derive(Debug)]
struct Folded {
    /// Weight, bias, running mean and running variance.
    norm: [Tensor<1>; 4],
    scale_and_shift: [Tensor<1>; 2],
}

impl FoldedNorm {
    /// Scale and shift of `norm` on `device`.
    ///
    /// # Shapes
    /// Both are `[channels]`.
    pub(crate) fn scale_and_shift(&self, norm: &BatchNorm, device: &Device) -> [Tensor<1>; 2] {
        let [mean, variance] =
            [&norm.running_mean, &norm.running_var].map(|state| state.value().to_device(device));
        let lines = [norm.gamma.val(), norm.beta.val(), mean, variance];
        if lines
            .iter()
            .any(|line| line.is_tracked() || line.is_require_grad())
        {
            return fold(lines, norm.epsilon);
        }
        let is_autodiff = lines[0].is_autodiff();
        let lines = lines.map(Tensor::without_autodiff);
        // A panic while the lock is held leaves the previous value.
        let mut folded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |folded: &Folded| {
            let mut pairs = folded.norm.iter().zip(&lines);
            pairs.all(|(old, new)| is_same_tensor(old, new))
        };
        let scale_and_shift = match &*folded {
            Some(folded) if same(folded) => folded.scale_and_shift.clone(),
            _ => {
                let scale_and_shift = fold(lines.clone(), norm.epsilon);
                *folded = Some(Folded {
                    norm: lines,
                    scale_and_shift: scale_and_shift.clone(),
                });
                scale_and_shift
            }
        };
        scale_and_shift.iter().for_each(keep_for_graph);
        match is_autodiff {
            true => scale_and_shift.map(Tensor::from_inner),
            false => scale_and_shift,
        }
    }
}

/// In the order of torchvision's `FrozenBatchNorm2d`, so that rounding is the same as when pre-trained weights were made.
fn fold([weight, bias, mean, variance]: [Tensor<1>; 4], epsilon: f64) -> [Tensor<1>; 2] {
    let scale = weight * variance.add_scalar(epsilon).sqrt().recip();
    let shift = bias - mean * scale.clone();
    [scale, shift]
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::nn::BatchNormConfig;

    use super::*;

    #[test]
    fn only_a_changed_norm_is_folded_again() {
        let device = Device::flex().autodiff();
        let norm = BatchNormConfig::new(3).init(&device).freeze();
        let folded = FoldedNorm::default();
        let [scale, _] = folded.scale_and_shift(&norm, &device);
        assert!(scale.is_autodiff());
        let [same, _] = folded.clone().scale_and_shift(&norm, &device);
        assert!(is_same_tensor(&scale, &same));
        let inner = device.clone().inner();
        let [same, _] = folded.scale_and_shift(&norm.valid(), &inner);
        assert!(!same.is_autodiff() && is_same_tensor(&scale, &same));

        norm.running_var.update(Tensor::full([3], 4.0, &device));
        // Until the statistics are merged, the norm is unchanged.
        let norm = norm.valid();
        let [scale, shift] = folded.scale_and_shift(&norm, &inner);
        let expected = 1.0 / (4.0 + norm.epsilon).sqrt();
        let error = (scale - expected).abs().max().into_scalar::<f32>();
        assert!(error < 1e-6, "{error}");
        assert_eq!(shift.abs().max().into_scalar::<f32>(), 0.0);
    }
}
