//! `/v1/features`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, at_least_one};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::ApiRequest;
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Head, JointTensors, Tensor};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FeatureKind {
    Grid,
    Text,
    Joint,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeaturesRequest {
    model: Option<String>,
    #[serde(default)]
    images: Vec<ImageInput>,
    #[serde(default)]
    texts: Vec<String>,
    kinds: Vec<FeatureKind>,
}

pub(crate) enum FeaturesTask {
    Grid(ResizedImage),
    Text(String),
    /// The image with its number, and all texts.
    Joint(usize, ResizedImage, Vec<String>),
}

pub(crate) enum FeaturesOutput {
    Grid(Tensor),
    Text(Tensor),
    Joint(Vec<JointTensors>),
}

#[derive(Debug, Serialize)]
pub(crate) struct Features {
    model: String,
    grid: Vec<Tensor>,
    text: Vec<Tensor>,
    joint: Vec<JointFeatures>,
}

#[derive(Debug, Serialize)]
struct JointFeatures {
    image: usize,
    text: usize,
    #[serde(flatten)]
    tensors: JointTensors,
}

impl ApiRequest for FeaturesRequest {
    type Task = FeaturesTask;
    type Answer = Features;
    const HEAD: Head = Head::Features;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<FeaturesTask>, ApiError> {
        at_least_one("kinds", &self.kinds)?;
        context.check_texts("texts", &self.texts)?;
        let wants = |kind| self.kinds.contains(&kind);
        if wants(FeatureKind::Text) || wants(FeatureKind::Joint) {
            at_least_one("texts", &self.texts)?;
        }
        if wants(FeatureKind::Joint) {
            context.check_pairs("texts", self.images.len(), self.texts.len())?;
        }
        let images = match wants(FeatureKind::Grid) || wants(FeatureKind::Joint) {
            true => context.images(&self.images)?,
            false => vec![],
        };
        let mut tasks = vec![];
        if wants(FeatureKind::Grid) {
            tasks.extend(images.iter().cloned().map(FeaturesTask::Grid));
        }
        if wants(FeatureKind::Text) {
            tasks.extend(self.texts.iter().cloned().map(FeaturesTask::Text));
        }
        if wants(FeatureKind::Joint) {
            let texts = &self.texts;
            let joint = |(number, image)| FeaturesTask::Joint(number, image, texts.clone());
            tasks.extend(images.into_iter().enumerate().map(joint));
        }
        Ok(tasks)
    }

    fn answer(model: &str, outputs: Vec<FeaturesOutput>) -> Features {
        let mut features = Features {
            model: model.into(),
            grid: vec![],
            text: vec![],
            joint: vec![],
        };
        let mut image = 0;
        for output in outputs {
            match output {
                FeaturesOutput::Grid(tensor) => features.grid.push(tensor),
                FeaturesOutput::Text(tensor) => features.text.push(tensor),
                FeaturesOutput::Joint(texts) => {
                    let texts = texts.into_iter().enumerate();
                    features
                        .joint
                        .extend(texts.map(|(text, tensors)| JointFeatures {
                            image,
                            text,
                            tensors,
                        }));
                    image += 1;
                }
            }
        }
        features
    }
}

impl Task for FeaturesTask {
    type Output = FeaturesOutput;
    const NAME: &'static str = "features";

    fn image_index(&self, place: usize) -> usize {
        match self {
            Self::Grid(_) | Self::Text(_) => place,
            Self::Joint(number, ..) => *number,
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Grid(_) | Self::Text(_) => 1,
            Self::Joint(_, _, texts) => texts.len(),
        }
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        match (self, other) {
            (Self::Grid(image), Self::Grid(other)) => same_size(model, image, other),
            (Self::Text(_), Self::Text(_)) => true,
            (Self::Joint(_, image, _), Self::Joint(_, other, _)) => same_size(model, image, other),
            _ => false,
        }
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<FeaturesOutput>, ModelError> {
        // All are of the first one's kind.
        let (mut images, mut texts, mut pairs) = (vec![], vec![], vec![]);
        for task in batch {
            match task {
                Self::Grid(image) => images.push(image),
                Self::Text(text) => texts.push(text.as_str()),
                Self::Joint(_, image, texts) => pairs.push((image, texts.as_slice())),
            }
        }
        if !images.is_empty() {
            let tensors = model.grid_features(&images)?.into_iter();
            return Ok(tensors.map(FeaturesOutput::Grid).collect());
        }
        if !texts.is_empty() {
            let tensors = model.text_features(&texts)?.into_iter();
            return Ok(tensors.map(FeaturesOutput::Text).collect());
        }
        let tensors = model.joint_features(&pairs)?.into_iter();
        Ok(tensors.map(FeaturesOutput::Joint).collect())
    }
}
