//! A model that a GPU runs as recorded graphs.

use std::convert::Infallible;
use std::sync::Mutex;

use burn::prelude::*;
use burn::tensor::kind::Basic;
use vlp_ops::capture::{CaptureReport, Captured, Value};
use vlp_transformer::{Memory, TextBatch};
use vlp_vision::{PaddedImages, QuantizedMap};

use crate::caption_graphs::{CaptionGraphs, lock};
use crate::encoder_output::{EncoderOutput, JointOutput, TextStates};
use crate::encoding::{EncodedPasses, ImageTokens, PassInputs};
use crate::error::ObjectiveError;
use crate::inputs::Inputs;
use crate::pairing::Pairing;
use crate::passes::EncoderPasses;
use crate::vision_language::{VisionLanguage, assemble};

/// A model without autodiff whose weights do not change. On a GPU it is recorded as graphs for each shape of its inputs (see
/// [`Captured`]), decoding of captions included; on the CPU it runs without graphs.
#[derive(Debug)]
pub struct CapturedEncoder<M> {
    model: M,
    graphs: Option<Graphs>,
}

#[derive(Debug)]
struct Graphs {
    /// The graph from images to image tokens, for a number of texts per image.
    image_tokens: Mutex<Captured<usize, ObjectiveError>>,
    passes: Mutex<Captured<PassArgs, Infallible>>,
    text: Mutex<Captured<(), Infallible>>,
    captions: CaptionGraphs,
}

/// What the passes of an encoder depend on in addition to tensors.
#[derive(Debug, Clone, PartialEq)]
struct PassArgs {
    pairing: Pairing,
    passes: EncoderPasses,
    with_attention: bool,
    has_image_texts: bool,
    is_masked: bool,
    grid: [usize; 2],
}

impl<M: VisionLanguage> CapturedEncoder<M> {
    /// Shares the weights of `model`.
    pub fn new(model: &M, device: &Device) -> Self {
        let graphs = || {
            let [first, second, third] = std::array::from_fn(|_| model.clone());
            Graphs {
                image_tokens: Mutex::new(Captured::new(
                    "backbone",
                    device,
                    move |texts_per_image, values| {
                        let mut values = Reader::new(values);
                        let images = PaddedImages {
                            pixels: values.next(),
                            pad_mask: values.next(),
                        };
                        let tokens = first.image_tokens(&images, *texts_per_image)?;
                        Ok(values_of_image_tokens(tokens))
                    },
                )),
                passes: Mutex::new(Captured::new("encoder", device, move |args, values| {
                    Ok(encode_passes(&second, args, values))
                })),
                text: Mutex::new(Captured::new("text encoder", device, move |(), values| {
                    let text = Reader::new(values).text_batch();
                    Ok(values_of_text(third.encode_text(&text)).into())
                })),
                captions: CaptionGraphs::default(),
            }
        };
        Self {
            graphs: (!vlp_ops::is_cpu(device)).then(graphs),
            model: model.clone(),
        }
    }

    /// As [`VisionLanguage::encode`].
    ///
    /// # Errors
    /// As [`VisionLanguage::encode`].
    pub fn encode(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<EncoderOutput<'_>, ObjectiveError> {
        match &self.graphs {
            None => self.model.encode(inputs, passes),
            Some(graphs) => Ok(self.replay(graphs, inputs, passes, false)?.0),
        }
    }

    /// As [`VisionLanguage::encode_with_attention`].
    ///
    /// # Errors
    /// As [`VisionLanguage::encode_with_attention`].
    pub fn encode_with_attention(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<(EncoderOutput<'_>, Option<Tensor<3>>), ObjectiveError> {
        match &self.graphs {
            None => self.model.encode_with_attention(inputs, passes),
            Some(graphs) => self.replay(graphs, inputs, passes, true),
        }
    }

    /// As [`VisionLanguage::encode_text`].
    pub fn encode_text(&self, text: &TextBatch) -> TextStates {
        let Some(graphs) = &self.graphs else {
            return self.model.encode_text(text);
        };
        let Ok(values) = lock(&graphs.text).call(&(), &values_of_text_batch(text));
        Reader::new(&values).text()
    }

    /// How often the graphs of backbone, encoder, text encoder and, once there are any, captions were recorded and replayed;
    /// empty on the CPU.
    pub fn report(&self) -> Vec<CaptureReport> {
        let Some(graphs) = &self.graphs else {
            return vec![];
        };
        let backbone = lock(&graphs.image_tokens).report();
        let encoder = lock(&graphs.passes).report();
        let text = lock(&graphs.text).report();
        let captions = graphs.captions.report();
        let reports = [backbone, encoder, text].into_iter();
        reports.chain(captions).collect()
    }

    fn replay<'a>(
        &'a self,
        graphs: &'a Graphs,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
        with_attention: bool,
    ) -> Result<(EncoderOutput<'a>, Option<Tensor<3>>), ObjectiveError> {
        let images = inputs.images;
        let values = [images.pixels.clone().into(), images.pad_mask.clone().into()];
        let texts_per_image = inputs.pairing.texts_per_image();
        let values = lock(&graphs.image_tokens).call(&texts_per_image, &values)?;
        let parts = self.model.parts();
        let image_tokens = image_tokens_of(&mut Reader::new(&values), parts.dictionary.is_some());
        let encode = |pass_inputs: &PassInputs<'_>| {
            let args = PassArgs {
                pairing: pass_inputs.pairing.clone(),
                passes,
                with_attention,
                has_image_texts: pass_inputs.image_texts.is_some(),
                is_masked: pass_inputs.mask.is_some(),
                grid: image_tokens.grid,
            };
            if passes == EncoderPasses::NONE {
                return EncodedPasses::default();
            }
            let values = values_of_pass_inputs(&image_tokens, pass_inputs);
            let Ok(values) = lock(&graphs.passes).call(&args, &values);
            passes_of(&mut Reader::new(&values), &args)
        };
        let (mut output, attention) =
            assemble(parts, &image_tokens, inputs, passes, with_attention, encode);
        output.caption_graphs = Some(&graphs.captions);
        Ok((output, attention))
    }
}

/// Takes values in the order in which they were listed.
struct Reader<'a>(std::slice::Iter<'a, Value>);

impl<'a> Reader<'a> {
    fn new(values: &'a [Value]) -> Self {
        Self(values.iter())
    }

    #[allow(
        clippy::expect_used,
        reason = "values are listed and read by pairs of functions"
    )]
    fn next<const D: usize, K: Basic>(&mut self) -> Tensor<D, K> {
        self.0.next().expect("as many values as listed").tensor()
    }

    fn memory(&mut self) -> Memory {
        Memory {
            states: self.next(),
            pos: self.next(),
            pad_mask: self.next(),
        }
    }

    fn text_batch(&mut self) -> TextBatch {
        TextBatch {
            ids: self.next(),
            pad_mask: self.next(),
        }
    }

    fn text(&mut self) -> TextStates {
        TextStates {
            states: self.next(),
            pad_mask: self.next(),
        }
    }

    fn quantized(&mut self, grid: [usize; 2]) -> QuantizedMap {
        QuantizedMap {
            tokens: self.next(),
            quantized: self.next(),
            codes: self.next(),
            codebook: self.next(),
            features: self.next(),
            grid,
        }
    }
}

fn values_of_memory(memory: Memory) -> [Value; 3] {
    [
        memory.states.into(),
        memory.pos.into(),
        memory.pad_mask.into(),
    ]
}

fn values_of_text_batch(text: &TextBatch) -> [Value; 2] {
    [text.ids.clone().into(), text.pad_mask.clone().into()]
}

fn values_of_text(text: TextStates) -> [Value; 2] {
    [text.states.into(), text.pad_mask.into()]
}

fn values_of_quantized(map: QuantizedMap) -> [Value; 5] {
    [
        map.tokens.into(),
        map.quantized.into(),
        map.codes.into(),
        map.codebook.into(),
        map.features.into(),
    ]
}

/// Position embeddings are listed as a grid, which gives its height and width.
fn values_of_image_tokens(tokens: ImageTokens) -> Vec<Value> {
    let [images, _, width] = tokens.tokens.pos.dims();
    let [h, w] = tokens.grid;
    let pos = tokens.tokens.pos.reshape([images, h, w, width]);
    let mut values = vec![
        pos.into(),
        tokens.tokens.states.into(),
        tokens.tokens.pad_mask.into(),
    ];
    values.extend(tokens.quantized.into_iter().flat_map(values_of_quantized));
    values.extend(tokens.feature_maps.into_iter().map(Value::from));
    values
}

fn image_tokens_of(values: &mut Reader<'_>, has_dictionary: bool) -> ImageTokens {
    let pos: Tensor<4> = values.next();
    let [images, h, w, width] = pos.dims();
    let grid = [h, w];
    ImageTokens {
        tokens: Memory {
            pos: pos.reshape([images, h * w, width]),
            states: values.next(),
            pad_mask: values.next(),
        },
        grid,
        quantized: has_dictionary.then(|| values.quantized(grid)),
        feature_maps: values.0.by_ref().map(Value::tensor).collect(),
    }
}

fn values_of_pass_inputs(tokens: &ImageTokens, inputs: &PassInputs<'_>) -> Vec<Value> {
    let mut values = values_of_memory(tokens.tokens.clone()).to_vec();
    values.extend(values_of_text_batch(inputs.text));
    values.extend(
        inputs
            .image_texts
            .into_iter()
            .flat_map(values_of_text_batch),
    );
    if let (Some(mask), Some(map)) = (&inputs.mask, &tokens.quantized) {
        values.push(mask.clone().into());
        values.extend(values_of_quantized(map.clone()));
    }
    values
}

/// The passes over listed inputs, and their outputs in the order of [`passes_of`].
fn encode_passes(model: &impl VisionLanguage, args: &PassArgs, values: &[Value]) -> Vec<Value> {
    let mut values = Reader::new(values);
    let tokens = values.memory();
    let joint_text = values.text_batch();
    let image_texts = args.has_image_texts.then(|| values.text_batch());
    let mask = args.is_masked.then(|| values.next());
    let image_tokens = ImageTokens {
        feature_maps: vec![],
        tokens,
        grid: args.grid,
        quantized: args.is_masked.then(|| values.quantized(args.grid)),
    };
    let inputs = PassInputs {
        text: &joint_text,
        pairing: &args.pairing,
        image_texts: image_texts.as_ref(),
        mask,
        passes: args.passes,
        with_attention: args.with_attention,
    };
    let encoded = model.encode_passes(&image_tokens, &inputs);
    let mut outputs = vec![];
    if let Some(joint) = encoded.joint {
        outputs.extend(values_of_text(joint.text));
        outputs.extend(values_of_memory(joint.image));
    }
    outputs.extend(encoded.image.into_iter().flat_map(values_of_memory));
    outputs.extend(encoded.text.into_iter().flat_map(values_of_text));
    outputs.extend(encoded.attention.map(Value::from));
    outputs
}

fn passes_of(values: &mut Reader<'_>, args: &PassArgs) -> EncodedPasses {
    let runs = |pass| args.passes.contains(pass);
    EncodedPasses {
        joint: runs(EncoderPasses::JOINT).then(|| JointOutput {
            text: values.text(),
            image: values.memory(),
        }),
        image: runs(EncoderPasses::IMAGE).then(|| values.memory()),
        text: args.has_image_texts.then(|| values.text()),
        attention: values.0.next().map(Value::tensor),
    }
}
