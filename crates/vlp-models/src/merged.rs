//! The joint and the image-only pass as one batch, which takes half as many kernels.

use burn::prelude::*;
use vlp_objectives::{EncoderPasses, PassInputs, merges_passes};
use vlp_transformer::Memory;

/// Whether the joint and the image-only pass run as one batch.
pub(crate) fn merges(inputs: &PassInputs<'_>, device: &Device) -> bool {
    let both = EncoderPasses::JOINT.union(EncoderPasses::IMAGE);
    inputs.passes.contains(both) && !inputs.with_attention && merges_passes(device)
}

/// The rows of the joint pass, and after them those of the image-only pass with padding in place of a text.
pub(crate) fn stack(joint: Memory, image: &Memory) -> Memory {
    let ([_, length, _], [rows, tokens, width]) = (joint.states.dims(), image.states.dims());
    let device = image.states.device();
    let text_length = length - tokens;
    let options = (&device, image.states.dtype());
    let padding = Tensor::zeros([rows, text_length, width], options);
    let pad = |x: &Tensor<3>| Tensor::cat(vec![x.clone(), padding.clone()], 1);
    let padded = Tensor::<2, Int>::ones([rows, text_length], &device).greater_elem(0);
    let pad_mask = Tensor::cat(vec![image.pad_mask.clone(), padded], 1);
    Memory {
        states: Tensor::cat(vec![joint.states, pad(&image.states)], 0),
        pos: Tensor::cat(vec![joint.pos, pad(&image.pos)], 0),
        pad_mask: Tensor::cat(vec![joint.pad_mask, pad_mask], 0),
    }
}

/// The states of the joint pass, and those of the image-only pass: `images` rows of `tokens` tokens.
pub(crate) fn split(states: Tensor<3>, images: usize, tokens: usize) -> (Tensor<3>, Tensor<3>) {
    let texts = states.dims()[0] - images;
    let image = states.clone().slice(s![texts.., ..tokens]);
    (states.slice(s![..texts]), image)
}
