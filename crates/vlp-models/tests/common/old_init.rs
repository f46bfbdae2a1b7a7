//! First weights, drawn on the host: the same on every backend, whatever the order of construction.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Redraws every weight of `module` as a pure function of (seed, path of the parameter).
///
/// Xavier-uniform for matrices (DETR), Kaiming-normal over outgoing connections for convolutions
/// (torchvision), N(0, 0.02) for embedding tables (BERT), N(0, 1) for object queries (DETR) and the
/// rows of a visual dictionary (SOHO);
/// gains and running variances 1, biases, shifts and running means 0.
pub fn initialize<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Draw { path: vec![], seed })
}

struct Draw {
    path: Vec<String>,
    seed: u64,
}

impl Draw {
    fn values(&self, shape: &[usize]) -> Vec<f32> {
        let path = self.path.join(".");
        let leaf = self.path.last().map_or("", String::as_str);
        let count = shape.iter().product();
        let mut rng = vlp_data::rng(self.seed, 0, 0, &path);
        let mut normal = |std: f64| -> Vec<f32> {
            let draw = StandardNormal;
            (0..count)
                .map(|_| (std * Distribution::<f64>::sample(&draw, &mut rng)) as f32)
                .collect()
        };
        match (shape, leaf) {
            ([_], "gamma" | "running_var") => vec![1.0; count],
            ([_], "modality" | "mask") => normal(0.02),
            ([_], _) => vec![0.0; count],
            ([out, _, kh, kw], _) => normal((2.0 / (out * kh * kw) as f64).sqrt()),
            (_, "running_sums") => vec![0.0; count],
            (_, "query_embed" | "running_codes") => normal(1.0),
            _ if ["words.word.", "words.position.", "words.token_type."]
                .iter()
                .any(|t| path.contains(t)) =>
            {
                normal(0.02)
            }
            _ => {
                let fans = shape.first().copied().unwrap_or(1) + shape.last().copied().unwrap_or(1);
                let bound = (6.0 / fans as f64).sqrt();
                (0..count)
                    .map(|_| rng.random_range(-bound..=bound) as f32)
                    .collect()
            }
        }
    }
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape: [usize; D] = param.lazy_shape().dims();
        let values = self.values(&shape);
        param.map(|old| {
            let fresh = Tensor::from_data(TensorData::new(values, shape), &old.device());
            fresh.set_require_grad(old.is_require_grad())
        })
    }
}
