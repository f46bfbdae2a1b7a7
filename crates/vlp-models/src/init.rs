//! Initial values of parameters, sampled on the CPU: the same on every backend and for every order of construction.

use rand::RngExt;
use rand_distr::{Distribution as _, StandardNormal};
use vlp_ops::init::{Distribution, InitScope, InitWeights};

/// Sets every parameter of `module` to its initial value, a pure function of (`seed`, path of the parameter).
///
/// Distributions are declared next to the modules by [`vlp_ops::init_weights!`]: Xavier-uniform with zero biases for linear
/// layers (as in DETR's transformer, but with separate matrices of query, key and value, and in the heads too),
/// Kaiming-normal over fan out for convolutions (torchvision), N(0, 0.02²) for embeddings (BERT), N(0, 1) for object
/// queries (DETR) and the visual dictionary (SOHO).
pub fn initialize<M: InitWeights>(module: M, seed: u64) -> M {
    module.init_weights(&InitScope::new(&|path, shape, distribution| {
        sample(seed, path, shape, distribution)
    }))
}

fn sample(seed: u64, path: &str, shape: &[usize], distribution: Distribution) -> Vec<f32> {
    let count = shape.iter().product();
    let mut rng = vlp_data::rng(seed, 0, 0, path);
    let mut normal = |std: f64| {
        let sample = |z: f64| (std * z) as f32;
        StandardNormal
            .sample_iter(&mut rng)
            .take(count)
            .map(sample)
            .collect()
    };
    match distribution {
        Distribution::Zeros => vec![0.0; count],
        Distribution::Ones => vec![1.0; count],
        Distribution::Normal(std) => normal(std),
        Distribution::KaimingNormal => {
            let fan_out = count / shape.get(1).copied().unwrap_or(1).max(1);
            normal((2.0 / fan_out as f64).sqrt())
        }
        Distribution::XavierUniform => {
            let fans = shape.first().copied().unwrap_or(1) + shape.last().copied().unwrap_or(1);
            let bound = (6.0 / fans as f64).sqrt();
            (0..count)
                .map(|_| rng.random_range(-bound..=bound) as f32)
                .collect()
        }
    }
}
