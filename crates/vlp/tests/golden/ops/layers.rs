//! Norm, activation and attention of the transformer.

use burn::nn::LayerNormConfig;
use burn::prelude::*;
use burn::tensor::activation;
use vlp_transformer::{AttentionBias, MultiHeadAttentionConfig};

use super::{Op, RELATIVE};
use crate::case::Values;
use crate::names::{TorchParam, TorchWeights, attention as torch_module};

/// A row of almost equal values, whose variance is lost to rounding in f32.
const ILL_CONDITIONED: usize = 7;

pub(crate) fn layer_norm(op: &mut Op<'_>) -> Result<(), String> {
    let x = op.input("x")?.clone();
    let width = x.shape[1];
    let mut norm = LayerNormConfig::new(width)
        .with_epsilon(op.number("eps")?)
        .init(&op.device);
    let (weight, bias) = (
        op.input("weight")?.float(&op.device),
        op.input("bias")?.float(&op.device),
    );
    norm.gamma = norm.gamma.map(|_| weight);
    norm.beta = norm.beta.map(|beta| beta.map(|_| bias));
    let got = Values::of(norm.forward(x.float::<2>(&op.device)));
    let want = op.output("y")?;
    if got.shape != want.shape {
        return Err(format!("shape {:?}, expected {:?}", got.shape, want.shape));
    }
    let well_conditioned = |values: &Values| -> Values {
        let rows = values
            .rows()
            .enumerate()
            .filter(|(i, _)| *i != ILL_CONDITIONED);
        let values: Vec<f64> = rows.flat_map(|(_, row)| row.iter().copied()).collect();
        Values {
            shape: vec![values.len()],
            values,
        }
    };
    let want = well_conditioned(&want);
    let largest = want.values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    op.report
        .tensor("y", &well_conditioned(&got), &want, RELATIVE * largest);
    Ok(())
}

pub(crate) fn gelu(op: &mut Op<'_>) -> Result<(), String> {
    let x: Tensor<1> = op.input("x")?.float(&op.device);
    op.judge("erf", &Values::of(activation::gelu(x.clone())))?;
    op.judge("tanh", &Values::of(activation::gelu_approximate(x)))
}

pub(crate) fn attention(op: &mut Op<'_>) -> Result<(), String> {
    let query = op.input("q")?.clone();
    let keys = op.input("kv").unwrap_or(&query).clone();
    let config = MultiHeadAttentionConfig::new(query.shape[2], op.number("heads")? as usize)
        .with_dropout(0.0);
    let torch_param = |path: &str| {
        let (owner, leaf) = path.rsplit_once('.')?;
        let (torch, third) = torch_module(&format!(".{owner}"));
        let name = match third {
            Some(_) => format!("in_proj_{leaf}"),
            None => format!("{}.{leaf}", torch.trim_start_matches('.')),
        };
        Some(TorchParam {
            name,
            third,
            transposed: leaf == "weight",
        })
    };
    let case = (op.case, op.name);
    let weights = |name: &str| {
        case.0
            .get(&format!("{}.in.{name}", case.1))
            .ok()
            .map(Values::floats)
    };
    // With a graph attention is computed step by step, without one it is fused.
    for (label, device) in [
        ("y", op.device.clone().autodiff()),
        ("y (fused)", op.device.clone()),
    ] {
        let mut loader = TorchWeights::new(&weights, torch_param);
        let layer = loader.load(config.init(&device).map_err(|e| e.to_string())?);
        if !loader.problems.is_empty() {
            return Err(loader.problems.join("; "));
        }
        let bias = match op.input("key_pad") {
            Ok(mask) => AttentionBias::padding(mask.mask(&device)),
            Err(_) => AttentionBias::causal(keys.shape[1], &device),
        };
        let (q, kv) = (query.float::<3>(&device), keys.float::<3>(&device));
        let got = Values::of(layer.forward(q, kv.clone(), kv, Some(&bias)));
        op.judge_within(label, "y", &got, RELATIVE)?;
    }
    Ok(())
}
