//! Evaluating a model on validation examples.

mod codebook;
mod evaluate;
mod image_ids;
mod overrides;
mod retrieval;
#[cfg(test)]
mod tests;

pub(crate) use codebook::patch as typical_patch;
pub use codebook::{CodeUsage, CodebookMetric, LabelInformation, VisualToken, codebook};
pub use evaluate::{Validation, evaluate, evaluate_run, evaluate_trained, write_results};
pub(crate) use evaluate::{evaluate_shared, list_metrics};
pub use retrieval::Retriever;
