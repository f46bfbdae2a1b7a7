//! Layer norm over the last axis (Ba et al. 2016), its gradient in two passes.
//!
//! Needed as long as burn composes the gradient of element-wise operations.

use burn::module::Param;
use burn::nn::Dropout;
use burn::prelude::*;

use super::dropout;
use crate::DropoutMask;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis, with the biased variance.
///
/// # Shapes
/// - `x`, output: `[.., width]`
/// - `gamma`, `beta`: `[width]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    cpu_path! {
        use crate::dispatch::takes_fast_path;
        let width = [x.dims()[D - 1]];
        let fits = gamma.dims() == width && beta.dims() == width;
        if fits && takes_fast_path(&x) && takes_fast_path(&gamma) && takes_fast_path(&beta) {
            return crate::autodiff::layer_norm::layer_norm(x, gamma, beta, epsilon);
        }
    }
    gpu_path! {
        use crate::custom_grad::layer_norm::{Normalized, layer_norm};
        let normalized = Normalized { x: &x, residual: None };
        if let Some(y) = layer_norm(&normalized, &gamma, &beta, epsilon) {
            return y;
        }
    }
    burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// burn's layer norm module with [`layer_norm`]; its parameters have the same names and shapes.
#[derive(Module, Debug)]
pub struct LayerNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    epsilon: f64,
}

crate::init_weights!(LayerNorm { gamma = Ones, beta = Zeros; epsilon });

impl LayerNorm {
    /// `gamma` 1 and `beta` 0.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gamma: Param::from_tensor(Tensor::ones([width], device)),
            beta: Param::from_tensor(Tensor::zeros([width], device)),
            epsilon,
        }
    }

    /// Normalizes each row to mean 0 and variance 1, then applies `gamma` and `beta`.
    ///
    /// # Shapes
    /// - `x`, output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.gamma.val(), self.beta.val(), self.epsilon)
    }

    /// `forward(residual + dropout(x))`: the end of a post-norm Transformer sublayer. With dropout on a GPU it is one kernel.
    ///
    /// # Shapes
    /// - `x`, `residual`, output: `[.., width]`
    pub fn forward_residual<const D: usize>(
        &self,
        x: Tensor<D>,
        residual: Tensor<D>,
        layer: &Dropout,
    ) -> Tensor<D> {
        let Some(mask) = DropoutMask::sample(layer, &x.device()) else {
            return self.forward(residual + x);
        };
        gpu_path! {
            use crate::custom_grad::layer_norm::{Normalized, layer_norm};
            let normalized = Normalized { x: &x, residual: Some((&residual, mask)) };
            let [gamma, beta] = [self.gamma.val(), self.beta.val()];
            if let Some(y) = layer_norm(&normalized, &gamma, &beta, self.epsilon) {
                return y;
            }
        }
        self.forward(residual + dropout::apply(x, mask))
    }
}
