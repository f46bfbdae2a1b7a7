//! Searches and their hits.

use serde::Serialize;
use vlp_data::ResizedImage;

/// What a model searches in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SearchInfo {
    /// Images of its index.
    pub images: usize,
    /// Different texts of its index.
    pub texts: usize,
    /// Whether the matching head can put images in order.
    pub reranks_images: bool,
    /// Whether the matching head can put texts in order.
    pub reranks_texts: bool,
    /// Whether the images have thumbnails.
    pub thumbnails: bool,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// What is searched for.
    pub subject: SearchSubject,
    /// Maximum number of hits.
    pub top: usize,
    /// Of the best hits by similarity, how many the matching head puts in order.
    pub rerank: usize,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchSubject {
    /// Images that this text describes.
    Images(String),
    /// Texts that describe this image.
    Texts(ResizedImage),
}

/// The hits of a search, the best first, in one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SearchHits {
    /// Images, for a text.
    pub images: Vec<ImageHit>,
    /// Texts, for an image.
    pub texts: Vec<TextHit>,
    /// Images or texts that the query was compared with.
    pub compared: usize,
    /// Those of them that the matching head has read.
    pub reranked: usize,
}

/// An image that a text describes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageHit {
    /// Its index among the images of the search index.
    pub image: usize,
    /// Its name in its data set.
    pub name: String,
    /// Cosine of its embedding and the text's.
    pub similarity: f32,
    /// Probability that the text describes it, if the matching head has read both.
    pub probability: Option<f32>,
    /// Its texts in its data set.
    pub texts: Vec<String>,
}

/// A text that describes an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextHit {
    /// The text.
    pub text: String,
    /// Cosine of its embedding and the image's.
    pub similarity: f32,
    /// Probability that it describes the image, if the matching head has read both.
    pub probability: Option<f32>,
    /// Indices of the first images of the search index that have it.
    pub images: Vec<usize>,
    /// Number of images of the search index that have it.
    pub image_count: usize,
}
