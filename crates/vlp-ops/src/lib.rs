#![doc = include_str!("../README.md")]

mod adamw;
mod affine;
mod attention;
#[cfg(feature = "flex")]
mod awake;
mod batch_norm;
#[cfg(feature = "flex")]
mod bf16;
mod conv;
mod count;
mod dropout;
mod embedding;
#[cfg(feature = "flex")]
mod finish;
#[cfg(feature = "flex")]
mod flex;
mod gelu;
#[cfg(any(feature = "wgpu", feature = "cuda", test))]
mod gradient;
mod layer_norm;
mod linear;
mod log_prob;
#[cfg(feature = "flex")]
mod maps;
#[cfg(feature = "flex")]
mod matrix;
mod narrow;
mod nearest;
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
mod node;
mod norm;
mod pool;
#[cfg(feature = "flex")]
mod products;
mod recompute;
#[cfg(feature = "flex")]
mod residual;
mod route;
mod sgd;
mod softmax;
#[cfg(feature = "flex")]
mod square;
mod square_sum;
mod threads;

pub use adamw::{AdamWStep, adamw};
pub use affine::{Affine, affine};
pub use attention::attention;
pub use batch_norm::{BatchNormOutput, batch_norm};
pub use conv::{conv2d, conv2d_affine};
pub use count::{count_operations, operations};
pub use dropout::{Drops, dropout};
pub use embedding::embedding;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::{apply, linear, tied};
pub use log_prob::log_prob;
pub use nearest::nearest;
pub use norm::LayerNorm;
pub use pool::max_pool2d;
pub use recompute::{recompute, recomputing};
pub use route::{use_bf16_products, use_fast_paths};
pub use sgd::{SgdStep, sgd};
pub use softmax::softmax;
pub use square_sum::square_sum;
pub use threads::{share_main_thread, side_by_side};

/// How a window moves over a map: `[rows, columns]` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Steps between two positions.
    pub stride: [usize; 2],
    /// Zeros (convolution) or nothing (pooling) around the map, on both sides.
    pub padding: [usize; 2],
    /// Distance of two taps of the kernel.
    pub dilation: [usize; 2],
}

impl Window {
    /// Positions along `[rows, columns]` of a map of this size; 0 where the kernel does not fit.
    pub fn positions(&self, size: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let taps = kernel[axis].max(1) - 1;
            let reach = self.dilation[axis].saturating_mul(taps).saturating_add(1);
            let padded = size[axis].saturating_add(self.padding[axis].saturating_mul(2));
            let steps = padded
                .checked_sub(reach)
                .and_then(|room| room.checked_div(self.stride[axis]));
            steps.map_or(0, |steps| steps.saturating_add(1))
        })
    }
}
