//! Evaluating a model on validation examples.

mod codebook;
mod evaluate;
mod retrieval;

pub use codebook::{CodeUsage, Codebook, LabelInformation, VisualToken, codebook};
pub(crate) use evaluate::list_metrics;
pub use evaluate::{Validation, evaluate, evaluate_run, write_results};
pub use retrieval::Retriever;
