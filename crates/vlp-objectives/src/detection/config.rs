//! Configuration of detection.

use getset::WithSetters;
use serde::{Deserialize, Serialize};

use super::matcher::MatchCost;
use crate::error::ObjectiveError;
use crate::validate::{Check, RunContext, Validate};

/// Configuration of [`Detection`](super::Detection).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct DetectionConfig {
    /// Weight of the whole objective; 1 in E2E-VLP.
    pub weight: f64,
    /// Number of object queries, and so the maximum number of detected objects in an image; 100 in DETR.
    pub num_queries: usize,
    /// Weight of the class loss; 1 in DETR.
    pub class_weight: f64,
    /// Weight of the L1 box loss; 5 in DETR.
    pub l1_weight: f64,
    /// Weight of the generalized IoU loss; 2 in DETR.
    pub giou_weight: f64,
    /// Weight of the attribute loss; 1 in E2E-VLP's formula.
    pub attribute_weight: f64,
    /// Class weight of no-object; 0.1 in DETR.
    pub no_object: f64,
    /// Compute losses on every decoder layer, not only on the last; true in DETR.
    pub aux_losses: bool,
    /// Let queries attend to the image tokens of the joint pass instead of the image-only pass; false for detection without
    /// text.
    pub from_joint: bool,
    /// Weights of the matching cost.
    pub cost: MatchCost,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            num_queries: 100,
            class_weight: 1.0,
            l1_weight: 5.0,
            giou_weight: 2.0,
            attribute_weight: 1.0,
            no_object: 0.1,
            aux_losses: true,
            from_joint: false,
            cost: MatchCost::default(),
        }
    }
}

impl Validate for DetectionConfig {
    fn validate(&self, check: &Check, run: &RunContext) -> Result<(), ObjectiveError> {
        check.needs_decoder(run)?;
        check.at_least("num_queries", self.num_queries, 1, " (100 in DETR)")?;
        let cost = &self.cost;
        for (key, weight, usual) in [
            ("class_weight", self.class_weight, "1 in DETR"),
            ("l1_weight", self.l1_weight, "5 in DETR"),
            ("giou_weight", self.giou_weight, "2 in DETR"),
            ("attribute_weight", self.attribute_weight, "1 in E2E-VLP"),
            ("no_object", self.no_object, "0.1 in DETR"),
            ("cost.class", cost.class, "1 in DETR"),
            ("cost.l1", cost.l1, "5 in DETR"),
            ("cost.giou", cost.giou, "2 in DETR"),
            ("cost.attribute", cost.attribute, "0 in DETR"),
        ] {
            check.weight(key, weight, usual)?;
        }
        Ok(())
    }
}
