//! Hard negatives of a batch that pairs all images with all texts.

use crate::encoder_output::EncoderOutput;
use crate::passes::EncoderPasses;

/// Chooses the negative pairs of the joint pass.
pub trait NegativeMiner {
    /// Passes that [`Self::mine_hard_negatives`] reads; the joint pass is not available.
    fn passes(&self) -> EncoderPasses;

    /// Negative pairs (image, text), in addition to the positive ones. Runs without gradients.
    fn mine_hard_negatives(&self, output: &EncoderOutput<'_>) -> Vec<(usize, usize)>;
}
