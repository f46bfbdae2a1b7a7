//! Positions, masks and the layers of the backbone.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::MaxPool2dConfig;
use burn::prelude::*;
use vlp_vision::conv::{ConvNorm, ConvSpec, conv2d};
use vlp_vision::{resize_mask, sine_positions};

use super::Op;
use crate::case::Values;
use crate::names::{TorchParam, TorchWeights};

pub(crate) fn sine(op: &mut Op<'_>) -> Result<(), String> {
    let pad = op.input("pad")?.mask(&op.device);
    let pos = sine_positions(pad, op.number("dim")? as usize);
    // PyTorch keeps channels first.
    op.judge("pos", &Values::of(pos.permute([0, 3, 1, 2])))
}

pub(crate) fn mask_resize(op: &mut Op<'_>) -> Result<(), String> {
    let want = op.output("pad")?;
    let size = [want.shape[1], want.shape[2]];
    let got = Values::of_mask(resize_mask(op.input("pad")?.mask(&op.device), size));
    op.report.equal("pad", &got, &want);
    Ok(())
}

/// An identity 1x1 convolution followed by the norm under test.
fn norm(op: &Op<'_>, channels: usize, device: &Device) -> Result<ConvNorm, String> {
    let identity = |name: &str| match name {
        "conv.weight" => Some(
            (0..channels * channels)
                .map(|i| f32::from(i % (channels + 1) == 0))
                .collect(),
        ),
        "norm.weight" | "norm.running_var" => {
            Some(norm_input(op, name).unwrap_or_else(|| vec![1.0; channels]))
        }
        _ => Some(norm_input(op, name).unwrap_or_else(|| vec![0.0; channels])),
    };
    let torch_param = |path: &str| {
        let name = path.replace("gamma", "weight").replace("beta", "bias");
        Some(TorchParam {
            name,
            third: None,
            transposed: false,
        })
    };
    let mut loader = TorchWeights::new(&identity, torch_param);
    let layer = loader.load(ConvSpec::conv1x1(channels, channels, 1).init(device));
    loader
        .problems
        .is_empty()
        .then_some(layer)
        .ok_or_else(|| loader.problems.join("; "))
}

fn norm_input(op: &Op<'_>, name: &str) -> Option<Vec<f32>> {
    op.input(name.strip_prefix("norm.")?)
        .ok()
        .map(Values::floats)
}

pub(crate) fn frozen_norm(op: &mut Op<'_>) -> Result<(), String> {
    let x = op.input("x")?.clone();
    // On an autodiff device: batch statistics must not be used there either.
    let device = op.device.clone().autodiff();
    let layer = norm(op, x.shape[1], &device)?.freeze();
    op.judge("y", &Values::of(layer.forward(x.float::<4>(&device))))
}

pub(crate) fn trained_norm(op: &mut Op<'_>) -> Result<(), String> {
    let x = op.input("x")?.clone();
    let device = op.device.clone().autodiff();
    let layer = norm(op, x.shape[1], &device)?;
    let y = layer.forward(x.float::<4>(&device));
    op.judge("y", &Values::of(y))?;
    let layer = layer.valid();
    op.judge("running_mean", &Values::of(layer.norm.running_mean.value()))?;
    op.judge("running_var", &Values::of(layer.norm.running_var.value()))
}

pub(crate) fn convolution(op: &mut Op<'_>) -> Result<(), String> {
    let device = op.device.clone().autodiff();
    let (x, w) = (op.input("x")?.clone(), op.input("w")?.clone());
    let (stride, padding) = (
        op.number("stride")? as usize,
        op.number("padding")? as usize,
    );
    let (output, input, kernel) = (w.shape[0], w.shape[1], w.shape[2]);
    let spec = ConvSpec {
        input,
        output,
        kernel,
        stride,
        dilation: 1,
    };
    let mut conv = spec.init(&device).conv;
    if conv.padding != PaddingConfig2d::Explicit(padding, padding, padding, padding) {
        return Err(format!(
            "padding {padding} of kernel size {kernel} does not occur in the backbone"
        ));
    }
    conv.weight = conv.weight.map(|_| w.float(&device).require_grad());
    let x = x.float::<4>(&device).require_grad();
    let y = conv2d(&conv, x.clone());
    let dy = op.input("dy")?.float::<4>(&device);
    let grads = (y.clone() * dy).sum().backward();
    op.judge("y", &Values::of(y))?;
    let gradient = |t: Option<Tensor<4>>| t.map(Values::of).ok_or("no gradient".to_owned());
    op.judge_within("dx", "dx", &gradient(x.grad(&grads))?, 1e-5)?;
    op.judge_within("dw", "dw", &gradient(conv.weight.val().grad(&grads))?, 1e-5)
}

pub(crate) fn max_pool(op: &mut Op<'_>) -> Result<(), String> {
    let get = |name: &str| op.number(name).map(|n| n as usize);
    let (kernel, stride, padding) = (get("kernel")?, get("stride")?, get("padding")?);
    let pool = MaxPool2dConfig::new([kernel, kernel])
        .with_strides([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init();
    op.judge(
        "y",
        &Values::of(pool.forward(op.input("x")?.float::<4>(&op.device))),
    )
}
