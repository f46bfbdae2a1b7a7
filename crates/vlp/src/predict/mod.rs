//! Applying a trained model to images.

mod attention;
mod attention_map;
mod captions;
mod codes;
mod encoded;
mod feature_file;
mod features;
mod files;
mod objects;
mod outputs;
mod predict_all;
mod prediction;
mod predictor;
mod reader;
mod texts;

pub use attention::{AttentionRequest, ImageAttention};
pub use attention_map::AttentionMap;
pub use captions::CaptionOptions;
pub use codes::ImageCodes;
pub use feature_file::{FeatureKinds, write_features};
pub use features::{FeatureArray, JointFeatures};
pub use files::write_folder;
pub(crate) use objects::has_detection;
pub use outputs::{Caption, Object};
pub use prediction::{Prediction, Request, read_image};
pub use predictor::Predictor;
pub use texts::Answers;
