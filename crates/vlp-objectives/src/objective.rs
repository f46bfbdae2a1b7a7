//! The trait a pre-training objective implements.

use burn::module::ModuleDisplay;
use burn::prelude::*;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::tally::Tally;

/// Losses of one objective on one batch: terms to optimise apart from scalars to report.
#[derive(Debug, Default)]
pub struct Losses {
    /// (name, weight, unweighted value of shape `[1]`); the objective's loss is their weighted sum.
    pub terms: Vec<(String, f64, Tensor<1>)>,
    /// (name, value) of what is only watched.
    pub report: Vec<(String, f64)>,
}

impl Losses {
    /// A single term.
    pub fn one(name: &str, weight: f64, value: Tensor<1>) -> Self {
        Self {
            terms: vec![(name.into(), weight, value)],
            report: vec![],
        }
    }
}

/// One pre-training objective: what it does to an example, the parameters it owns, what it reads of
/// the encoder, and its losses. All of it in one file.
pub trait Objective: Module + ModuleDisplay {
    /// What rides beside an example (labels, boxes, ids).
    type Target: Clone + Send;

    /// Key in logs, metrics and checkpoints.
    fn name(&self) -> &'static str;

    /// Passes of the encoder that [`Self::loss`] reads.
    fn needs(&self) -> Needs;

    /// Draws the target of one example and changes the text that enters the encoder if it must.
    ///
    /// Runs on the CPU; random only through [`Draft::rng`].
    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Self::Target, ObjectiveError>;

    /// Losses of a batch, finite (zero) when no example has anything to predict.
    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Target],
    ) -> Result<Losses, ObjectiveError>;

    /// Whether [`Self::hard_pairs`] is to choose the pairs of a batch of all pairs.
    fn mines(&self) -> bool {
        false
    }

    /// The false pairs (picture, text) of a batch of all pairs that are worth the joint pass, besides the true ones; of an
    /// objective that reads the image-only pass. Runs without gradients, before [`Self::loss`].
    fn hard_pairs(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Target],
    ) -> Result<Vec<(usize, usize)>, ObjectiveError> {
        let _ = (encoded, targets);
        Ok(vec![])
    }

    /// Adds a held-out batch to the scores. Runs without gradients.
    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Target],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let _ = (encoded, targets, tally);
        Ok(())
    }
}
