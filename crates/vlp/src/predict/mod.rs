//! A trained model on pictures of one's own.

mod look;
mod page;
mod read;

use std::path::Path;

use burn::prelude::*;
use serde::Serialize;
use vlp_data::transform::{normalise, resize};
use vlp_data::{Limits, Picture, decode_picture};
use vlp_objectives::{CaptioningConfig, Encoded, Inputs, Needs, ObjectiveError};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

pub use look::Look;
pub use page::write_folder;

use crate::error::VlpError;
use crate::trained::Trained;
use look::{Cells, Host};
use read::{Reader, hidden};

/// A model of a run, for use.
///
/// ```no_run
/// use vlp::Vlp;
///
/// let model = Vlp::load("runs/first")?;
/// let image = vlp::predict::read_picture("photo.jpg")?;
/// println!("{}", model.caption(&image)?.text);
/// for object in model.detect(&image, 0.5)? {
///     println!("{} {:.2} at {:?}", object.class, object.score, object.bbox);
/// }
/// # Ok::<(), vlp::VlpError>(())
/// ```
pub struct Vlp {
    trained: Trained,
}

/// A generated caption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    /// The words.
    pub text: String,
    /// Sum of the log-probabilities of its tokens in nats, after the length penalty.
    pub log_probability: f64,
}

/// An object found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Name of its class.
    pub class: String,
    /// Probability of that class.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the picture as given.
    pub bbox: [f32; 4],
    /// Names of its most probable attributes with their probabilities, most probable first.
    pub attributes: Vec<(String, f32)>,
}

/// What to ask of pictures.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Questions.
    pub ask: Vec<String>,
    /// Texts to match.
    pub texts: Vec<String>,
    /// Score from which an object counts.
    pub threshold: f32,
    /// How captions are searched or drawn; as the run's configuration says where left out.
    pub caption: Option<CaptioningConfig>,
    /// Seed of captions drawn at random: each is a function of the seed and its picture's pixels.
    pub seed: u64,
    /// Tell where words and objects look.
    pub attention: bool,
}

/// What was found of one picture. A part is `None` where the run trained no head for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// Objects, best first.
    pub objects: Option<Vec<Object>>,
    /// A caption.
    pub caption: Option<Caption>,
    /// For each question the answers with their probabilities, most probable first.
    pub answers: Option<Vec<Vec<(String, f32)>>>,
    /// For each text the probability that it belongs to the picture.
    pub matches: Option<Vec<f32>>,
    /// Where each object looks, then each word of the caption, of the questions and of the texts; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
}

/// Reads a JPEG or PNG file.
///
/// # Errors
/// [`VlpError::Io`], or [`VlpError::Data`] for a file that is no picture or too large a one.
pub fn read_picture(path: impl AsRef<Path>) -> Result<Picture, VlpError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(VlpError::io(path))?;
    let name = path.display().to_string();
    Ok(decode_picture(&bytes, &name, &Limits::default())?)
}

impl Vlp {
    /// The model of a run folder, on the best device compiled in.
    ///
    /// # Errors
    /// As [`Trained::open`].
    pub fn load(run: impl AsRef<Path>) -> Result<Self, VlpError> {
        Self::load_on(run, &crate::device::pick("auto")?)
    }

    /// The model of a run folder on a device.
    ///
    /// # Errors
    /// As [`Trained::open`].
    pub fn load_on(run: impl AsRef<Path>, device: &Device) -> Result<Self, VlpError> {
        Ok(Self {
            trained: Trained::open(run, device)?,
        })
    }

    /// The model with its configuration and names.
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// A caption.
    ///
    /// # Errors
    /// [`VlpError::Config`] where the run trained no captions.
    pub fn caption(&self, picture: &Picture) -> Result<Caption, VlpError> {
        let found = self.one(picture, &Request::default())?.caption;
        found.ok_or_else(|| self.lacks("objectives.caption"))
    }

    /// Objects whose score is at least `threshold`, best first.
    ///
    /// # Errors
    /// [`VlpError::Config`] where the run trained no detection.
    pub fn detect(&self, picture: &Picture, threshold: f32) -> Result<Vec<Object>, VlpError> {
        let request = Request {
            threshold,
            ..Request::default()
        };
        let found = self.one(picture, &request)?.objects;
        found.ok_or_else(|| self.lacks("objectives.detection"))
    }

    /// Answers to a question with their probabilities, most probable first.
    ///
    /// # Errors
    /// [`VlpError::Config`] where the run was not fine-tuned for questions.
    pub fn answer(
        &self,
        picture: &Picture,
        question: &str,
    ) -> Result<Vec<(String, f32)>, VlpError> {
        let request = Request {
            ask: vec![question.into()],
            ..Request::default()
        };
        let found = self.one(picture, &request)?.answers;
        let found = found.and_then(|mut all| all.pop());
        found.ok_or_else(|| self.lacks("objectives.vqa"))
    }

    /// Probability that a text belongs to a picture.
    ///
    /// # Errors
    /// [`VlpError::Config`] where the run trained no matching.
    pub fn matches(&self, picture: &Picture, text: &str) -> Result<f32, VlpError> {
        let request = Request {
            texts: vec![text.into()],
            ..Request::default()
        };
        let found = self.one(picture, &request)?.matches;
        let found = found.and_then(|mut all| all.pop());
        found.ok_or_else(|| self.lacks("objectives.itm"))
    }

    fn lacks(&self, objective: &str) -> VlpError {
        VlpError::Config(format!(
            "this run has no {objective}: train it with one, or fine-tune it for the task (vlp finetune)"
        ))
    }

    fn one(&self, picture: &Picture, request: &Request) -> Result<Prediction, VlpError> {
        let found = self.predict(std::slice::from_ref(picture), request)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Everything the run has heads for, of a batch of pictures.
    ///
    /// # Errors
    /// [`VlpError::Config`] for questions or texts that the run has no head for, [`VlpError::Objective`] for pictures too
    /// small for the model.
    pub fn predict(
        &self,
        pictures: &[Picture],
        request: &Request,
    ) -> Result<Vec<Prediction>, VlpError> {
        let heads = self.trained.system().objectives();
        if !request.ask.is_empty() && heads.vqa.is_none() {
            return Err(self.lacks("objectives.vqa"));
        }
        if !request.texts.is_empty() && heads.itm.is_none() {
            return Err(self.lacks("objectives.itm"));
        }
        if pictures.is_empty() {
            return Ok(vec![]);
        }
        let sized = self.sized(pictures)?;
        let images = self.pack(&sized)?;
        let questions: Vec<&String> = request.ask.iter().chain(&request.texts).collect();
        let config = &self.trained.config;
        let pieces = &self.trained.pieces;
        let encode = |text: &str| pieces.encode(text, config.data.max_text).ids;
        let mut texts: Vec<Vec<u32>> = questions.iter().map(|q| encode(q)).collect();
        if texts.is_empty() {
            texts.push(encode(""));
        }
        let rows: Vec<&[u32]> = (0..pictures.len())
            .flat_map(|_| texts.iter().map(Vec::as_slice))
            .collect();
        let image_of: Vec<usize> = (0..rows.len()).map(|row| row / texts.len()).collect();
        let text = TextBatch::pack(&rows, pieces.special().pad, &self.trained.device);
        let inputs = Inputs {
            images: &images,
            text: &text,
            image_of: &image_of,
            cells: &[],
        };
        let needs = Needs {
            joint: !questions.is_empty(),
            image: heads.detection.is_some() || heads.caption.is_some(),
            looks: request.attention,
        };
        let encoded = self.trained.system().encode(&inputs, needs)?;
        let reader = Reader {
            model: self,
            encoded: &encoded,
            pictures,
            request,
        };
        let mut all = reader.read()?;
        if let Some(weights) = &encoded.looks {
            self.look(weights, &encoded, &questions, &texts, &mut all)?;
        }
        Ok(all)
    }

    /// Adds where the words of texts look in the joint pass.
    fn look(
        &self,
        weights: &Tensor<3>,
        encoded: &Encoded<'_>,
        names: &[&String],
        texts: &[Vec<u32>],
        all: &mut [Prediction],
    ) -> Result<(), VlpError> {
        let memory = encoded.joint_image("predict")?;
        let width = encoded.grid[1];
        for (image, prediction) in all.iter_mut().enumerate() {
            for (number, (ids, name)) in texts.iter().zip(names).enumerate() {
                let row = image * texts.len() + number;
                let cells = Cells::new(&hidden(memory, row), width);
                let host = Host::of(weights, row);
                let looks = cells.words(name, ids, 0, &host, &self.trained.pieces);
                prediction.looks.extend(looks);
            }
        }
        Ok(())
    }

    /// Pictures in the size of held-out ones.
    fn sized(&self, pictures: &[Picture]) -> Result<Vec<Picture>, VlpError> {
        let data = &self.trained.config.data;
        let rule = data.eval_resize.as_ref().unwrap_or(&data.resize);
        let size = |picture: &Picture| {
            let mut draw = vlp_data::rng(0, 0, 0, "resize");
            let (width, height) = rule.target(picture.width, picture.height, &mut draw);
            Ok(resize(picture, width, height)?)
        };
        pictures.iter().map(size).collect()
    }

    fn pack(&self, pictures: &[Picture]) -> Result<PaddedImages, VlpError> {
        let pixels: Vec<Vec<f32>> = pictures.iter().map(normalise).collect();
        let views: Vec<ImageView<'_>> = pictures
            .iter()
            .zip(&pixels)
            .map(|(picture, pixels)| ImageView {
                pixels,
                height: picture.height,
                width: picture.width,
            })
            .collect();
        let multiple = self.trained.config.data.pad_multiple;
        let packed = PaddedImages::pack(&views, multiple, &self.trained.device);
        Ok(packed.map_err(ObjectiveError::from)?)
    }
}
