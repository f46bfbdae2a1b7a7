//! What a model does for the server.

use vlp_data::{Image, ResizedImage};

use crate::outputs::{
    Answer, Attention, Caption, CaptionMethod, Code, CodeGrid, Entailment, Head, JointTensors,
    MatchScore, ModelInfo, Object, SearchHits, SearchQuery, Tensor,
};

/// Why a model has no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An image that the model cannot read, such as one that is smaller than its stride.
    #[error("{0}")]
    Image(String),
    /// A head that is among [`ModelInfo::heads`], but whose methods the model does not implement.
    #[error("the model has no head `{}`", .0.name())]
    MissingHead(Head),
    /// Anything else, which is not the client's fault.
    #[error("{0}")]
    Failed(String),
}

/// A validation image that clients may choose.
#[derive(Debug, Clone)]
pub struct ExampleImage {
    /// Its name in its data set.
    pub name: String,
    /// Its captions.
    pub captions: Vec<String>,
    /// Index of the image on its right, for the left one of a pair.
    pub right: Option<usize>,
    /// The image.
    pub image: Image,
}

/// Queries, captions and texts whose attention maps are requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attended {
    /// Object queries.
    pub queries: Vec<usize>,
    /// Captions, read by the caption decoder.
    pub captions: Vec<String>,
    /// Texts, read by the encoder with the image.
    pub texts: Vec<String>,
}

/// Hypotheses about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hypotheses {
    /// A text that is taken as true of the image.
    pub premise: Option<String>,
    /// The hypotheses, each with the premise.
    pub hypotheses: Vec<String>,
}

/// A trained model.
///
/// Methods get batches whose images have the same [`Model::padded_size`]; the outputs are in the order of the batch, one for
/// each of its members, and do not depend on the other members (up to rounding). A method is only called if
/// [`ModelInfo::heads`] has its head, so that a model implements those of its own heads; by default they fail with
/// [`ModelError::MissingHead`]. All but [`Model::resize`] and [`Model::thumbnail`] are called by one thread.
pub trait Model: Send + Sync {
    /// Names, heads and sizes.
    fn info(&self) -> &ModelInfo;

    /// Validation images that clients may choose; none by default.
    fn examples(&self) -> &[ExampleImage] {
        &[]
    }

    /// An image as the model reads it.
    ///
    /// # Errors
    /// [`ModelError::Image`] for an image that it cannot read.
    fn resize(&self, image: &Image) -> Result<ResizedImage, ModelError>;

    /// Width and height of the batch that an image would be in alone.
    fn padded_size(&self, image: &ResizedImage) -> (usize, usize);

    /// The object of every query, greatest score first, with the classes of a label space, an index into
    /// [`ModelInfo::label_spaces`].
    ///
    /// # Errors
    /// As [`ModelError`]; so do the methods below.
    fn detect(
        &self,
        images: &[&ResizedImage],
        label_space: usize,
    ) -> Result<Vec<Vec<Object>>, ModelError> {
        let _ = (images, label_space);
        Err(ModelError::MissingHead(Head::Detect))
    }

    /// Captions: beams with the best score first, or samples.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn caption(
        &self,
        images: &[&ResizedImage],
        method: &CaptionMethod,
    ) -> Result<Vec<Vec<Caption>>, ModelError> {
        let _ = (images, method);
        Err(ModelError::MissingHead(Head::Caption))
    }

    /// The `top` most probable answers to each question about each image, most probable first.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn answer(
        &self,
        asked: &[(&ResizedImage, &[String])],
        top: usize,
    ) -> Result<Vec<Vec<Vec<Answer>>>, ModelError> {
        let _ = (asked, top);
        Err(ModelError::MissingHead(Head::Answer))
    }

    /// The score of each text for its image.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn match_texts(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<MatchScore>>, ModelError> {
        let _ = pairs;
        Err(ModelError::MissingHead(Head::Match))
    }

    /// The probability that each statement is true of its images, left and right. Left images have the same
    /// [`Model::padded_size`], and so have right ones.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn judge_statements(
        &self,
        asked: &[([&ResizedImage; 2], &[String])],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let _ = asked;
        Err(ModelError::MissingHead(Head::Statement))
    }

    /// The relation of each hypothesis to its image. There is a premise only where [`ModelInfo::premise`] allows one.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn entail(
        &self,
        asked: &[(&ResizedImage, &Hypotheses)],
    ) -> Result<Vec<Vec<Entailment>>, ModelError> {
        let _ = asked;
        Err(ModelError::MissingHead(Head::Entail))
    }

    /// Attention over each image.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn attention(
        &self,
        attended: &[(&ResizedImage, &Attended)],
    ) -> Result<Vec<Attention>, ModelError> {
        let _ = attended;
        Err(ModelError::MissingHead(Head::Attention))
    }

    /// The code of each cell of each image.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn codes(&self, images: &[&ResizedImage]) -> Result<Vec<CodeGrid>, ModelError> {
        let _ = images;
        Err(ModelError::MissingHead(Head::Codes))
    }

    /// What a code stands for, below [`ModelInfo::codes`].
    ///
    /// # Errors
    /// As [`ModelError`].
    fn code(&self, code: usize) -> Result<Code, ModelError> {
        let _ = code;
        Err(ModelError::MissingHead(Head::Codes))
    }

    /// Image tokens after the encoder has read each image alone, `[rows, columns, width]`.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn grid_features(&self, images: &[&ResizedImage]) -> Result<Vec<Tensor>, ModelError> {
        let _ = images;
        Err(ModelError::MissingHead(Head::Features))
    }

    /// Tokens after the encoder has read each text alone, `[tokens, width]`.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn text_features(&self, texts: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        let _ = texts;
        Err(ModelError::MissingHead(Head::Features))
    }

    /// Tokens of each text and its image after the encoder has read them together.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn joint_features(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<JointTensors>>, ModelError> {
        let _ = pairs;
        Err(ModelError::MissingHead(Head::Features))
    }

    /// The hits of a search in the model's index.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn search(&self, query: &SearchQuery) -> Result<SearchHits, ModelError> {
        let _ = query;
        Err(ModelError::MissingHead(Head::Search))
    }

    /// The thumbnail of an image of the model's index, a JPEG file; `None` if the index has none, and by default.
    ///
    /// # Errors
    /// As [`ModelError`].
    fn thumbnail(&self, image: usize) -> Result<Option<Vec<u8>>, ModelError> {
        let _ = image;
        Ok(None)
    }
}
