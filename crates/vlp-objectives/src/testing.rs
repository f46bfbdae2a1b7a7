//! A conformance kit: does an [`Objective`] keep what the others rely on?
//!
//! ```
//! use burn::tensor::Device;
//! use vlp_objectives::{ItmConfig, testing};
//!
//! let device = Device::flex();
//! testing::check(&device, |rig| Ok(ItmConfig::default().init(testing::D_MODEL, &rig.device)))?;
//! # Ok::<(), testing::Fault>(())
//! ```

use burn::module::{ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::store::ModuleRecord;
use vlp_data::{
    Entailment, Example, Examples, Label, LabelSpace, ResizeRule, Scenes, ScenesConfig,
};
use vlp_text::WordPieces;
use vlp_transformer::{
    Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch, TextEmbedding,
    TextEmbeddingConfig,
};
use vlp_vision::{DictionaryConfig, QuantisedMap, VisualDictionary, resize_mask};

use crate::codes::Codes;
use crate::detection::ClassVocabulary;
use crate::encoded::{Encoded, Needs, TextEncoder, TextStates, VisionLanguage};
use crate::error::ObjectiveError;
use crate::inputs::Inputs;
use crate::objective::Objective;
use crate::pretrain::{Batcher, Pretrain, total};
use crate::tally::Tally;

/// Width of the probing model.
pub const D_MODEL: usize = 16;
/// Codes of the probing model's dictionary.
pub const CODES: usize = 8;
/// Side of a patch, which is one image token.
const PATCH: usize = 8;
const MAX_LEN: usize = 24;
const SEED: u64 = 7;

/// What an objective does wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It breaks a promise of the trait.
    #[error("{objective}: {what}")]
    Broken {
        /// Name of the objective.
        objective: &'static str,
        /// The promise and how it was broken.
        what: String,
    },
    /// It failed where it must not.
    #[error(transparent)]
    Failed(#[from] ObjectiveError),
    /// The kit's own material could not be made.
    #[error("the kit cannot be set up: {0}")]
    Setup(String),
}

/// The smallest model that gives everything: patches and words through one encoder, one decoder.
///
/// Its dictionary only names the patches: it does not learn, and the tokens are the patches themselves.
#[derive(Module, Debug)]
pub struct Probe {
    patches: Linear,
    dictionary: VisualDictionary,
    words: TextEmbedding,
    encoder: Encoder,
    decoder: Decoder,
}

/// Examples, word pieces and a model for trying an objective.
pub struct Rig {
    /// Where the model lives, with autodiff.
    pub device: Device,
    /// Generated scenes with captions, boxes, attributes, and entailment labels that mean nothing.
    pub examples: Vec<Example>,
    /// The same with two texts each.
    pub pairs: Vec<Example>,
    /// Their classes and attributes.
    pub labels: LabelSpace,
    /// The model's word pieces.
    pub pieces: WordPieces,
}

impl Rig {
    /// Eight scenes of 32 x 32 pixels, on the autodiff side of `device`.
    pub fn new(device: &Device) -> Result<Self, Fault> {
        let setup = |e: vlp_data::DataError| Fault::Setup(e.to_string());
        let config = ScenesConfig {
            count: 8,
            ..ScenesConfig::default()
        };
        let source = std::sync::Arc::new(Scenes::new(config).map_err(setup)?);
        let labels = vlp_data::Source::labels(source.as_ref()).clone();
        let examples = Examples::new(source, ResizeRule::Square { side: 32 });
        let two = Examples {
            texts: 2,
            ..examples.clone()
        };
        let load = |of: &Examples| -> Result<Vec<Example>, Fault> {
            let labelled = |i: usize| {
                let mut example = of.load(i, 0).map_err(setup)?;
                example.label = Some(Label::Entailment(Entailment::ALL[i % 3]));
                Ok(example)
            };
            (0..8).map(labelled).collect()
        };
        Ok(Self {
            device: device.clone().autodiff(),
            examples: load(&examples)?,
            pairs: load(&two)?,
            labels,
            pieces: WordPieces::scenes(),
        })
    }

    /// Classes and attributes of the examples.
    pub fn vocabulary(&self) -> ClassVocabulary {
        ClassVocabulary {
            name: self.labels.name.clone(),
            classes: self.labels.classes.len(),
            attributes: self.labels.attributes.len(),
        }
    }

    /// Turns examples into batches.
    pub fn batcher(&self) -> Batcher<'_> {
        Batcher {
            pieces: &self.pieces,
            labels: &self.labels,
            max_len: MAX_LEN,
            seed: SEED,
            size_multiple: PATCH,
            answers: None,
            all_pairs: false,
            blind: false,
        }
    }

    /// A model with random weights and without dropout.
    pub fn model(&self) -> Result<Probe, Fault> {
        let setup = |e: vlp_transformer::TransformerError| Fault::Setup(e.to_string());
        let layer = LayerConfig::detr(D_MODEL, 2, 2 * D_MODEL, 0.0);
        let words = TextEmbeddingConfig {
            vocab_size: self.pieces.vocab_size(),
            d_model: D_MODEL,
            max_len: MAX_LEN,
            types: 1,
            dropout: 0.0,
        };
        let encoder = EncoderConfig {
            layers: 1,
            layer: layer.clone(),
        };
        Ok(Probe {
            dictionary: DictionaryConfig::new(CODES)
                .init(D_MODEL, &self.device)
                .map_err(|e| Fault::Setup(e.to_string()))?,
            patches: LinearConfig::new(3 * PATCH * PATCH, D_MODEL).init(&self.device),
            words: words.init(&self.device),
            encoder: encoder.init(&self.device).map_err(setup)?,
            decoder: DecoderConfig { layers: 2, layer }
                .init(&self.device)
                .map_err(setup)?,
        })
    }
}

impl TextEncoder for Probe {
    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let bias = vlp_transformer::AttentionBias::padding(text.pad_mask.clone());
        let words = self.words.forward(text.ids.clone());
        TextStates {
            states: self.encoder.forward(words, None, Some(&bias)),
            pad_mask: text.pad_mask.clone(),
        }
    }
}

impl VisionLanguage for Probe {
    fn encode(&self, inputs: &Inputs<'_>, needs: Needs) -> Result<Encoded<'_>, ObjectiveError> {
        let (images, text) = (inputs.images, inputs.text);
        let [batch, _, height, width] = images.pixels.dims();
        let (h, w) = (height / PATCH, width / PATCH);
        let patches = images
            .pixels
            .clone()
            .reshape([batch, 3, h, PATCH, w, PATCH])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, h * w, 3 * PATCH * PATCH]);
        let cells = self.patches.forward(patches);
        let grid = resize_mask(images.pad_mask.clone(), [h, w]);
        let pad_mask = grid.reshape([batch, h * w]);
        let flat = cells.clone().reshape([batch * h * w, D_MODEL]);
        let map = QuantisedMap {
            tokens: cells.clone(),
            quantised: cells.clone(),
            codes: self.dictionary.nearest(flat).reshape([batch, h * w]),
            table: self.dictionary.table(),
            features: cells.clone(),
            grid: [h, w],
        };
        let codes = Codes::read(&map, pad_mask.clone(), inputs, &self.dictionary);
        let memory = |states: Tensor<3>, pad_mask: &Tensor<2, Bool>| Memory {
            pos: states.zeros_like(),
            states,
            pad_mask: pad_mask.clone(),
        };
        let encode = |states: Tensor<3>, pad_mask: Tensor<2, Bool>| {
            let bias = vlp_transformer::AttentionBias::padding(pad_mask);
            self.encoder.forward(states, None, Some(&bias))
        };
        let (mut text_states, mut joint_image) = (None, None);
        if needs.joint {
            let mut beside = inputs.beside_texts(cells.clone());
            if let Some(hidden) = codes.hidden(inputs.image_of.len(), &beside.device()) {
                let shape = beside.dims();
                beside = beside.mask_fill(hidden.unsqueeze_dim::<3>(2).expand(shape), 0.0);
            }
            let cell_mask = inputs.mask_beside_texts(pad_mask.clone());
            let both = Tensor::cat(vec![beside, self.words.forward(text.ids.clone())], 1);
            let mask = Tensor::cat(vec![cell_mask.clone(), text.pad_mask.clone()], 1);
            let states = encode(both, mask);
            let length = states.dims()[1];
            text_states = Some(TextStates {
                states: states.clone().slice(s![.., h * w..length]),
                pad_mask: text.pad_mask.clone(),
            });
            joint_image = Some(memory(states.slice(s![.., 0..h * w]), &cell_mask));
        }
        let alone = || memory(encode(cells.clone(), pad_mask.clone()), &pad_mask);
        Ok(Encoded {
            maps: vec![images.pixels.clone()],
            text: text_states,
            joint_image,
            looks: None,
            image: needs.image.then(alone),
            grid: [h, w],
            codes: Some(codes),
            text_encoder: Some(self),
            words: &self.words,
            decoder: Some(&self.decoder),
            caption_decoder: None,
        })
    }
}

/// Checks an objective on generated scenes:
///
/// - `prepare` depends on the example alone, not on its neighbours or on chance,
/// - losses are finite for one example, for all, and for one with nothing to learn from,
/// - some gradient reaches every parameter of its own,
/// - saved and loaded into fresh weights it has the same loss,
/// - `evaluate` works without gradients.
pub fn check<O: Objective>(
    device: &Device,
    build: impl Fn(&Rig) -> Result<O, ObjectiveError>,
) -> Result<(), Fault> {
    let rig = Rig::new(device)?;
    let assemble = || -> Result<Pretrain<Probe, Option<O>>, Fault> {
        Ok(Pretrain {
            model: rig.model()?,
            objectives: Some(build(&rig)?),
        })
    };
    let pretrain = assemble()?;
    let objective = pretrain.objectives.as_ref().map_or("", Objective::name);
    let broken = |what: String| Fault::Broken { objective, what };
    if let Some(what) = chance(&rig, &pretrain)? {
        return Err(broken(what));
    }

    let mut bare = rig.examples[0].clone();
    bare.objects = None;
    bare.label = None;
    (bare.texts, bare.distractors) = (vec![String::new()], vec![String::new()]);
    bare.captions = vec![String::new()];
    let one = rig.examples[..1].to_vec();
    for (examples, called) in [
        (&one, "one example"),
        (&vec![bare], "an example without text and objects"),
        (&rig.examples, "all examples"),
        (&rig.pairs, "examples of two texts each"),
    ] {
        let value = value(&rig, &pretrain, examples, &rig.device)?;
        if !value.is_some_and(f64::is_finite) {
            return Err(broken(format!("the loss of {called} is {value:?}")));
        }
    }

    if let Some(name) = untouched(&rig, &pretrain)? {
        return Err(broken(format!("no gradient reaches its parameter {name}")));
    }

    let store = |e: burn::store::RecordError| broken(format!("cannot be saved and loaded: {e:?}"));
    let valid = pretrain.valid();
    let bytes = valid.clone().into_record().into_bytes().map_err(store)?;
    let record = ModuleRecord::from_bytes(bytes).map_err(store)?;
    let loaded = assemble()?.valid().try_load_record(record).map_err(store)?;
    let inner = rig.device.clone().inner();
    let [before, after] =
        [&valid, &loaded].map(|module| value(&rig, module, &rig.examples, &inner));
    let (before, after) = (before?, after?);
    if before != after {
        let what = format!("its loss was {before:?} before saving and {after:?} after loading");
        return Err(broken(what));
    }

    let mut tally = Tally::default();
    let batch = rig
        .batcher()
        .batch(&valid.objectives, &rig.examples, &inner)?;
    valid.evaluate(&batch, &mut tally)?;
    tally.scores(&rig.pieces)?;
    Ok(())
}

/// The objective's loss on a batch; `None` without any term.
fn value<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
    examples: &[Example],
    device: &Device,
) -> Result<Option<f64>, Fault> {
    let batch = rig
        .batcher()
        .batch(&pretrain.objectives, examples, device)?;
    let sum = total(&pretrain.losses(&batch)?);
    Ok(sum
        .map(|sum| f64::from(sum.into_scalar::<f32>()))
        .or(Some(0.0)))
}

/// Prepares examples alone, together and in another order; what differs, if anything.
fn chance<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<Option<String>, Fault> {
    let device = rig.device.clone().inner();
    let valid = pretrain.valid();
    let ids = |examples: &[Example]| {
        let batch = rig.batcher().batch(&valid.objectives, examples, &device);
        batch.map(|b| b.ids)
    };
    let together = ids(&rig.examples)?;
    let mut backwards = rig.examples.clone();
    backwards.reverse();
    let mut found = ids(&backwards)?;
    found.reverse();
    for (i, example) in rig.examples.iter().enumerate() {
        let alone = ids(std::slice::from_ref(example))?;
        if alone[0] != together[i] || found[i] != together[i] {
            let what =
                "prepare gives another text among other examples: draw from Draft::rng alone";
            return Ok(Some(what.into()));
        }
    }
    let loss = || value(rig, &valid, &rig.examples, &device);
    let (first, second) = (loss()?, loss()?);
    Ok((first != second).then(|| format!("the same batch has losses {first:?} and {second:?}")))
}

struct Untouched {
    grads: GradientsParams,
    path: Vec<String>,
    found: Option<String>,
}

impl ModuleVisitor for Untouched {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let own = self.path.first().is_some_and(|part| part == "objectives");
        if !own || !param.val().is_require_grad() {
            return;
        }
        let norm = self
            .grads
            .get::<D>(param.id)
            .map(|g| g.abs().sum().into_scalar::<f32>());
        if norm.is_none_or(|norm| norm == 0.0) {
            self.found = Some(self.path[1..].join("."));
        }
    }
}

/// A parameter of the objective that the loss of all examples does not train.
fn untouched<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<Option<String>, Fault> {
    let batch = rig
        .batcher()
        .batch(&pretrain.objectives, &rig.examples, &rig.device)?;
    let Some(sum) = total(&pretrain.losses(&batch)?) else {
        return Ok(None);
    };
    let mut visitor = Untouched {
        grads: GradientsParams::from_grads(sum.backward(), pretrain),
        path: vec![],
        found: None,
    };
    pretrain.visit(&mut visitor);
    Ok(visitor.found)
}
