//! Weights after each of several gradients.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_train::{GroupConfig, OptimizerConfig, OptimizerKind};

use super::Op;
use crate::case::Values;

#[derive(Module, Debug)]
struct Weights {
    weight: Param<Tensor<2>>,
}

pub(crate) fn trace(op: &mut Op<'_>) -> Result<(), String> {
    let device = op.device.clone().autodiff();
    let (learning_rate, weight_decay) = (op.number("lr")?, op.number("weight_decay")?);
    let adamw = op.attributes["betas"].is_array();
    let beta = |i: usize| op.attributes["betas"][i].as_f64().unwrap_or(0.0);
    let groups = match adamw {
        true => vec![],
        false => vec![
            GroupConfig::new("^weight$", learning_rate)
                .with_weight_decay(weight_decay)
                .with_kind(OptimizerKind::Sgd {
                    momentum: op.number("momentum")?,
                }),
        ],
    };
    let config = OptimizerConfig::default()
        .with_learning_rate(learning_rate)
        .with_weight_decay(weight_decay)
        .with_beta1(beta(0))
        .with_beta2(beta(1))
        .with_epsilon(op.number("eps").unwrap_or(1e-8))
        .with_decay_norms_and_biases(true)
        .with_clip_norm(0.0)
        .with_groups(groups);
    let fail = |e: vlp_train::TrainError| e.to_string();
    let mut optimizer = config.init(&Default::default()).map_err(fail)?;
    let mut module = Weights {
        weight: Param::from_tensor(op.input("w")?.float(&device)),
    };
    let gradients = op.input("grads")?.float::<3>(&op.device);
    let mut steps = vec![];
    for gradient in gradients.iter_dim(0) {
        let mut grads = GradientsParams::new();
        grads.register(module.weight.id, gradient.squeeze_dim::<2>(0));
        module = optimizer.step(config.learning_rates(1.0).map_err(fail)?, module, grads);
        steps.push(module.weight.val().inner());
    }
    op.judge("trace", &Values::of(Tensor::stack::<3>(steps, 0)))
}
