//! Applying a trained model to images.

mod attention;
mod attention_map;
mod batches;
mod captions;
mod codes;
mod embeddings;
mod encoded;
mod entailment;
mod feature_file;
mod features;
mod files;
mod objects;
mod outputs;
mod predict_all;
mod prediction;
mod predictor;
mod reader;
mod statements;
mod texts;

pub use attention::{AttentionRequest, ImageAttention};
pub use attention_map::AttentionMap;
pub use captions::CaptionOptions;
pub use codes::ImageCodes;
pub(crate) use entailment::reads_premise;
pub use entailment::{EntailmentProbabilities, HypothesisRequest};
pub use feature_file::{FeatureKinds, write_features};
pub use features::{FeatureArray, JointFeatures};
pub use files::{WrittenPredictions, write_folder};
pub use objects::has_detection;
pub use outputs::{Caption, Object};
pub use prediction::{Prediction, Request, read_image};
pub use predictor::Predictor;
pub use texts::Answers;
