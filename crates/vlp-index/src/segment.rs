//! A part of an index, before it is written.

use std::collections::HashMap;
use std::sync::Arc;

use crate::records::IndexedImage;

/// Indices of the texts that an index has.
pub(crate) type TextIndices = HashMap<String, usize>;

/// Images of consecutive samples, and the texts that no earlier segment contains, with embeddings of Euclidean length 1.
/// [`IndexWriter::segment`](crate::IndexWriter::segment) begins one.
#[derive(Debug)]
pub struct Segment {
    pub(crate) images: Vec<IndexedImage>,
    pub(crate) image_embeddings: Vec<f32>,
    pub(crate) thumbnails: Vec<Option<Vec<u8>>>,
    /// Indices of the texts of each image among those of the whole index.
    pub(crate) image_texts: Vec<Vec<usize>>,
    /// Those of the segments before.
    pub(crate) written: Arc<TextIndices>,
    /// Those that are new here.
    pub(crate) texts: Vec<String>,
    pub(crate) new_texts: TextIndices,
    pub(crate) text_embeddings: Vec<f32>,
    pub(crate) skipped: Vec<String>,
}

impl Segment {
    pub(crate) fn new(written: Arc<TextIndices>) -> Self {
        Self {
            images: vec![],
            image_embeddings: vec![],
            thumbnails: vec![],
            image_texts: vec![],
            written,
            texts: vec![],
            new_texts: TextIndices::new(),
            text_embeddings: vec![],
            skipped: vec![],
        }
    }

    /// Adds an image, its texts and its embedding, and the bytes of its thumbnail if the index has them.
    pub fn push_image(
        &mut self,
        image: IndexedImage,
        texts: &[String],
        embedding: &[f32],
        thumbnail: Option<Vec<u8>>,
    ) {
        let mut indices = vec![];
        for text in texts {
            let index = self.index_of(text);
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        self.image_texts.push(indices);
        self.images.push(image);
        self.image_embeddings.extend_from_slice(embedding);
        self.thumbnails.push(thumbnail);
    }

    /// The index of a text, which is added if the index does not have it.
    fn index_of(&mut self, text: &str) -> usize {
        let index = self.written.get(text).or_else(|| self.new_texts.get(text));
        if let Some(&index) = index {
            return index;
        }
        let index = self.written.len() + self.texts.len();
        self.texts.push(text.to_owned());
        self.new_texts.insert(text.to_owned(), index);
        index
    }

    /// Adds a message about a sample that cannot be read.
    pub fn push_skipped(&mut self, message: String) {
        self.skipped.push(message);
    }

    /// The texts that are new to the index, in the order in which they occur first.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The embeddings of [`Self::texts`], row after row.
    pub fn set_text_embeddings(&mut self, rows: Vec<f32>) {
        self.text_embeddings = rows;
    }
}
