//! Recorded graphs against the same passes without them. On the CPU, which has no graphs, everything runs as it is.

use burn::tensor::TensorData;
use vlp_objectives::{
    Batch, Captioning, CapturedEncoder, EncoderOutput, EncoderPasses, Inputs, ObjectiveError,
    PretrainTargets, VisionLanguage,
};
use vlp_transformer::{GenerationConfig, Memory, TextBatch};
use vlp_vision::PaddedImages;

use crate::report::Report;

/// Passes that are recorded.
const PASSES: [EncoderPasses; 3] = [
    EncoderPasses::JOINT,
    EncoderPasses::IMAGE,
    EncoderPasses::JOINT.union(EncoderPasses::IMAGE),
];

/// The same bits for two inputs in turns, first without a graph, then recorded, then replayed.
pub(crate) fn judge<M: VisionLanguage>(
    model: &M,
    batch: &Batch<PretrainTargets>,
    report: &mut Report,
) -> Result<(), String> {
    let device = batch.images.pixels.device();
    let encoder = CapturedEncoder::new(model, &device);
    let (images, text) = other(batch);
    let [first, second] = both(batch, &images, &text);
    for passes in PASSES {
        for (call, inputs) in [first, second, first, second].into_iter().enumerate() {
            let expected = model.encode(&inputs, passes).map_err(|e| e.to_string())?;
            let output = encoder.encode(&inputs, passes).map_err(|e| e.to_string())?;
            let (output, expected) = (listed(&output), listed(&expected));
            if !output
                .iter()
                .map(|o| &o.0)
                .eq(expected.iter().map(|e| &e.0))
            {
                report.fail(
                    "captured",
                    &format!("call {call} of {passes:?}: other outputs"),
                );
            }
            for ((name, output), (_, expected)) in output.into_iter().zip(expected) {
                if output != expected {
                    report.fail(&name, &format!("call {call} of {passes:?}: other bits"));
                }
            }
        }
    }
    for (call, text) in [batch.text.clone(), text, batch.text.clone()]
        .iter()
        .enumerate()
    {
        let (output, expected) = (encoder.encode_text(text), model.encode_text(text));
        if output.states.into_data() != expected.states.into_data() {
            report.fail("text", &format!("call {call}: other bits"));
        }
    }
    judge_recorded(&encoder, report);
    Ok(())
}

/// Fails for each pass that was not recorded.
fn judge_recorded<M: VisionLanguage>(encoder: &CapturedEncoder<M>, report: &mut Report) {
    for graph in encoder.report() {
        let (name, counts, fallbacks) = (graph.name, graph.counts, graph.fallbacks);
        println!("captured {name}: {counts:?} {fallbacks:?}");
        if counts.fallbacks > 0 {
            report.fail(name, &format!("is not recorded: {fallbacks:?}"));
        }
    }
}

/// The inputs of a batch, and the same with `images` and `text`.
fn both<'a>(
    batch: &'a Batch<PretrainTargets>,
    images: &'a PaddedImages,
    text: &'a TextBatch,
) -> [Inputs<'a>; 2] {
    let first = batch.inputs();
    let second = Inputs {
        images,
        text,
        ..first
    };
    [first, second]
}

/// Other pixels and tokens of the same shapes and padding.
fn other(batch: &Batch<PretrainTargets>) -> (PaddedImages, TextBatch) {
    let (mut images, mut text) = (batch.images.clone(), batch.text.clone());
    images.pixels = images.pixels.clone().sin() + images.pixels * 0.5;
    text.ids = text.ids.flip([1]);
    (images, text)
}

/// Captions by a cache of fixed length, recorded where the device allows it, and by one that grows: the same tokens.
pub(crate) fn judge_captions<M: VisionLanguage>(
    model: &M,
    caption: &Captioning,
    (bos, eos): (u32, u32),
    batch: &Batch<PretrainTargets>,
    report: &mut Report,
) -> Result<(), String> {
    let fail = |e: ObjectiveError| e.to_string();
    let encoder = CapturedEncoder::new(model, &batch.images.pixels.device());
    let (images, text) = other(batch);
    for inputs in both(batch, &images, &text) {
        let output = encoder
            .encode(&inputs, EncoderPasses::IMAGE)
            .map_err(fail)?;
        for (beams, min_new_tokens, ngram) in [(1, 0, 0), (3, 0, 0), (1, 4, 2), (3, 4, 2)] {
            let config = GenerationConfig::greedy(bos, eos, 12)
                .with_num_beams(beams)
                .with_min_new_tokens(min_new_tokens)
                .with_no_repeat_ngram_size(ngram);
            let captions = |fixed| -> Result<_, String> {
                let generator = caption.generator(&output).map_err(fail)?;
                Ok(generator.with_static_cache(fixed).beam_search(&config))
            };
            let (fixed, growing) = (captions(true)?, captions(false)?);
            if fixed.len() != growing.len() {
                let counts = format!("{config:?}: {}, {}", fixed.len(), growing.len());
                report.fail("captions", &counts);
            }
            for (fixed, growing) in fixed.into_iter().zip(growing) {
                // Sums of up to 12 log-probabilities of f32, in another order.
                let difference = (fixed.score - growing.score).abs();
                let agrees = fixed.ids == growing.ids && difference < 1e-4;
                // Random weights of real size make beams that tie within rounding; either may be dropped.
                let ties = beams > 1 && report.case.ends_with("_real");
                if !(agrees || ties && difference < 0.01 * growing.score.abs()) {
                    report.fail("caption", &format!("{config:?}: {fixed:?}, {growing:?}"));
                }
            }
        }
    }
    judge_recorded(&encoder, report);
    Ok(())
}

/// All tensors of an output, copied to the CPU.
fn listed(output: &EncoderOutput<'_>) -> Vec<(String, TensorData)> {
    let mut tensors = vec![];
    let mut add = |name: String, data: TensorData| tensors.push((name, data));
    for (i, map) in output.feature_maps.iter().enumerate() {
        add(format!("feature_maps.{i}"), map.clone().into_data());
    }
    let mut memory = |name: &str, memory: &Memory| {
        add(format!("{name}.states"), memory.states.clone().into_data());
        add(format!("{name}.pos"), memory.pos.clone().into_data());
        let mask = memory.pad_mask.clone().into_data();
        add(format!("{name}.pad_mask"), mask);
    };
    if let Some(joint) = &output.joint {
        memory("joint", &joint.image);
    }
    if let Some(image) = &output.image {
        memory("image", image);
    }
    if let Some(joint) = &output.joint {
        add("joint.text".into(), joint.text.states.clone().into_data());
    }
    if let Some(codes) = &output.codes {
        add("codes.features".into(), codes.features.clone().into_data());
        add("codes.codebook".into(), codes.codebook.clone().into_data());
    }
    tensors
}
