//! The trait an objective implements.

use burn::module::ModuleDisplay;
use burn::prelude::*;
use vlp_ops::init::InitWeights;
use vlp_transformer::DecoderInput;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::metrics::Metrics;
use crate::miner::NegativeMiner;
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::TargetTensors;
use crate::targets::Unit;

/// One term of a loss.
#[derive(Debug, Clone)]
pub struct Term {
    /// Name of the term within its objective.
    pub name: &'static str,
    /// The decoder layer of an auxiliary loss; `None` for the last layer and for losses without layers.
    pub layer: Option<usize>,
    /// Weight in the total.
    pub weight: f64,
    /// Unweighted value, `[1]`.
    pub value: Tensor<1>,
}

/// Losses of one objective on one batch.
#[derive(Debug, Default)]
pub struct Losses {
    /// Terms; the objective's loss is their weighted sum.
    pub terms: Vec<Term>,
    /// The weighted sum, if the objective has it by fewer operations: its gradient is then used instead of theirs.
    pub total: Option<Tensor<1>>,
    /// (name, value) pairs that are logged but not optimized, other than [`Objective::diagnostics`]. A step that has them
    /// cannot be recorded.
    pub diagnostics: Vec<(&'static str, f64)>,
    /// Diagnostics that are read from the device together with the losses: (name, value `[1]`) pairs.
    pub measured: Vec<(&'static str, Tensor<1>)>,
}

impl Losses {
    /// A single term.
    pub fn single(name: &'static str, weight: f64, value: Tensor<1>) -> Self {
        Self {
            terms: vec![Term {
                name,
                layer: None,
                weight,
                value,
            }],
            total: None,
            diagnostics: vec![],
            measured: vec![],
        }
    }
}

/// A pre-training or downstream objective: how it prepares an example, the parameters of its head, the encoder passes
/// it reads, its losses and its metrics.
pub trait Objective: Module + ModuleDisplay + InitWeights + 'static {
    /// Name of the objective in logs, metrics and error messages.
    const NAME: &'static str;

    /// Target of one [`Unit`], such as labels, boxes or token ids.
    type Target: Send;

    /// Metrics that record validation batches.
    type Metrics: Metrics + Default;

    /// What there is one target for.
    fn unit(&self) -> Unit;

    /// Passes of the encoder that [`Self::loss`] and [`Self::evaluate`] read.
    fn passes(&self) -> EncoderPasses;

    /// Returns the target of one example, and may change the text that enters the encoder.
    ///
    /// Runs on the CPU. Random decisions must come from [`PairBuilder::rng`].
    ///
    /// # Errors
    /// [`ObjectiveError::Example`] for an example that cannot be used.
    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Self::Target, ObjectiveError>;

    /// Tensors on `device`, a GPU, that [`Self::loss`] reads instead of the targets, so that a training step with this
    /// objective can be [recorded](EncoderOutput::target_tensors). `text_length` is the padded length of the joint pass's
    /// texts.
    fn target_tensors(
        &self,
        targets: &[&Self::Target],
        text_length: usize,
        device: &Device,
    ) -> TargetTensors {
        let _ = (targets, text_length, device);
        TargetTensors::default()
    }

    /// (name, value) pairs that are logged, and depend on the targets alone.
    fn diagnostics(&self, targets: &[&Self::Target]) -> Vec<(&'static str, f64)> {
        let _ = targets;
        vec![]
    }

    /// Input of the shared decoder that [`Self::loss`] needs decoded over the image-only pass, one row per image. On a
    /// GPU the inputs of all objectives are decoded together, and [`EncoderOutput::decoded`] has the outputs.
    fn decoder_input<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
        targets: &[&Self::Target],
    ) -> Option<DecoderInput<'a>> {
        let _ = (output, targets);
        None
    }

    /// Losses of a batch. They are finite even if no target has anything to predict: then
    /// [`loss::zero`](crate::loss::zero) is the value of a term.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`] for a model without a module that the objective needs, [`ObjectiveError::NonFinite`]
    /// for predictions that cannot be matched.
    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Self::Target],
    ) -> Result<Losses, ObjectiveError>;

    /// Records a validation batch. Runs without gradients.
    ///
    /// # Errors
    /// As [`Self::loss`].
    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Self::Target],
        metrics: &mut Self::Metrics,
    ) -> Result<(), ObjectiveError> {
        let _ = (output, targets, metrics);
        Ok(())
    }

    /// The miner that chooses hard negatives of a batch of all pairs with these targets, if the objective has one.
    fn miner<'a>(&'a self, targets: Vec<&'a Self::Target>) -> Option<Box<dyn NegativeMiner + 'a>> {
        let _ = targets;
        None
    }
}
