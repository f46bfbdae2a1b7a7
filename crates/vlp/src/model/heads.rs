//! The heads that reports and retrieval use.

use vlp_objectives::{Captioning, Detection, Itc, Itm, Mlm, PretrainObjectives};

/// The heads that reports and retrieval use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heads<'a> {
    /// Image-text matching; ranks pairs in retrieval.
    pub itm: Option<&'a Itm>,
    /// Image-text contrast; selects candidates in retrieval.
    pub itc: Option<&'a Itc>,
    /// Masked language modeling.
    pub mlm: Option<&'a Mlm>,
    /// Detection.
    pub detection: Option<&'a Detection>,
    /// Captioning.
    pub caption: Option<&'a Captioning>,
}

impl<'a> From<&'a PretrainObjectives> for Heads<'a> {
    fn from(objectives: &'a PretrainObjectives) -> Self {
        Self {
            itm: objectives.itm.as_ref(),
            itc: objectives.itc.as_ref(),
            mlm: objectives.mlm.as_ref(),
            detection: objectives.detection.as_ref(),
            caption: objectives.caption.as_ref(),
        }
    }
}
