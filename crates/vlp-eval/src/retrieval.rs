//! Image-text retrieval: recall at K and ranks in both directions.

use serde::Serialize;

use crate::EvalError;

/// Ranks, from 1. Among equal similarities the wrong ones rank first, so a model with constant output has the
/// worst ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    /// Text retrieval: for each image, the best rank of its texts among all texts.
    pub image_to_text: Vec<usize>,
    /// Image retrieval: for each text, the rank of its image among all images.
    pub text_to_image: Vec<usize>,
}

/// Metrics of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankSummary {
    /// Recall at 1, in 0..=1: the fraction of queries with rank 1.
    pub r1: f64,
    /// Recall at 5, in 0..=1.
    pub r5: f64,
    /// Recall at 10, in 0..=1.
    pub r10: f64,
    /// Mean rank, from 1.
    pub mean_rank: f64,
    /// Median rank, from 1; for an even number of queries the mean of the two middle ranks.
    pub median_rank: f64,
}

/// Metrics of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RetrievalSummary {
    /// Text retrieval: the queries are images.
    pub image_to_text: RankSummary,
    /// Image retrieval: the queries are texts.
    pub text_to_image: RankSummary,
    /// Mean of the six recalls.
    pub r_mean: f64,
}

/// Metrics over all images and texts; for the arguments see [`ranks`].
///
/// # Errors
/// As [`ranks`], and [`EvalError::Empty`] without images.
pub fn retrieval(
    similarity: &[f32],
    images: usize,
    image_index: &[usize],
) -> Result<RetrievalSummary, EvalError> {
    retrieval_in_folds(similarity, images, image_index, 1)
}

/// Mean of the metrics over `folds` equal ranges of consecutive images, each with its own texts
/// only. COCO's "1k" metrics are those of 5,000 images in 5 folds.
///
/// # Errors
/// As [`ranks`]; [`EvalError::BadFolds`] if the images do not divide into equal folds, [`EvalError::Empty`]
/// without images.
pub fn retrieval_in_folds(
    similarity: &[f32],
    images: usize,
    image_index: &[usize],
    folds: usize,
) -> Result<RetrievalSummary, EvalError> {
    if images == 0 {
        return Err(EvalError::Empty {
            metric: "retrieval",
            expected: "image",
        });
    }
    if folds == 0 || !images.is_multiple_of(folds) {
        return Err(EvalError::BadFolds { images, folds });
    }
    check(similarity, images, image_index)?;
    let fold_size = images / folds;
    let (mut image_to_text, mut text_to_image) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let range = fold * fold_size..(fold + 1) * fold_size;
        let ranks = ranks_of_range(similarity, image_index, range);
        image_to_text.push(summarize(&ranks.image_to_text));
        text_to_image.push(summarize(&ranks.text_to_image));
    }
    let (image_to_text, text_to_image) = (mean(&image_to_text), mean(&text_to_image));
    let recalls = |summary: &RankSummary| summary.r1 + summary.r5 + summary.r10;
    let r_mean = (recalls(&image_to_text) + recalls(&text_to_image)) / 6.0;
    Ok(RetrievalSummary {
        image_to_text,
        text_to_image,
        r_mean,
    })
}

/// Ranks over all images and texts.
///
/// `similarity` is row-major, `[images, texts]`; higher is more similar. `image_index[i]` is the image of text `i`.
///
/// # Errors
/// [`EvalError::BadShape`], [`EvalError::BadSimilarity`] for NaN, [`EvalError::BadTextImage`] for an
/// image index out of range, [`EvalError::NoText`] for an image without texts.
pub fn ranks(similarity: &[f32], images: usize, image_index: &[usize]) -> Result<Ranks, EvalError> {
    check(similarity, images, image_index)?;
    Ok(ranks_of_range(similarity, image_index, 0..images))
}

/// The fraction of ranks up to `k`, in 0..=1; 0 without ranks.
#[must_use]
pub fn recall_at(ranks: &[usize], k: usize) -> f64 {
    let hits = ranks.iter().filter(|&&rank| rank <= k).count();
    hits as f64 / ranks.len().max(1) as f64
}

fn check(similarity: &[f32], images: usize, image_index: &[usize]) -> Result<(), EvalError> {
    let texts = image_index.len();
    if Some(similarity.len()) != images.checked_mul(texts) {
        return Err(EvalError::BadShape {
            len: similarity.len(),
            images,
            texts,
        });
    }
    if let Some(index) = similarity.iter().position(|s| s.is_nan()) {
        return Err(EvalError::BadSimilarity {
            image: index / texts,
            text: index % texts,
        });
    }
    let mut has_text = vec![false; images];
    for (text, &image) in image_index.iter().enumerate() {
        *has_text.get_mut(image).ok_or(EvalError::BadTextImage {
            text,
            image,
            images,
        })? = true;
    }
    match has_text.iter().position(|has_text| !has_text) {
        Some(image) => Err(EvalError::NoText { image }),
        None => Ok(()),
    }
}

/// Ranks among a range of images and their texts.
fn ranks_of_range(
    similarity: &[f32],
    image_index: &[usize],
    images: std::ops::Range<usize>,
) -> Ranks {
    let row_len = image_index.len();
    let texts: Vec<usize> = (0..row_len)
        .filter(|&t| images.contains(&image_index[t]))
        .collect();
    let true_similarities: Vec<f32> = texts
        .iter()
        .map(|&t| similarity[image_index[t] * row_len + t])
        .collect();
    let mut image_to_text = Vec::with_capacity(images.len());
    let mut text_to_image = vec![1; texts.len()];
    for image in images {
        let row = &similarity[image * row_len..(image + 1) * row_len];
        let image_texts = texts.iter().filter(|&&t| image_index[t] == image);
        let best = image_texts
            .map(|&t| row[t])
            .fold(f32::NEG_INFINITY, f32::max);
        let mut text_rank = 1;
        let columns = texts.iter().zip(&true_similarities);
        for ((&text, &true_similarity), image_rank) in columns.zip(&mut text_to_image) {
            let is_wrong = image_index[text] != image;
            text_rank += usize::from(is_wrong && row[text] >= best);
            *image_rank += usize::from(is_wrong && row[text] >= true_similarity);
        }
        image_to_text.push(text_rank);
    }
    Ranks {
        image_to_text,
        text_to_image,
    }
}

fn summarize(ranks: &[usize]) -> RankSummary {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let sorted_rank = |index: usize| sorted.get(index).copied().unwrap_or(0) as f64;
    RankSummary {
        r1: recall_at(ranks, 1),
        r5: recall_at(ranks, 5),
        r10: recall_at(ranks, 10),
        mean_rank: ranks.iter().sum::<usize>() as f64 / ranks.len().max(1) as f64,
        median_rank: (sorted_rank(ranks.len().saturating_sub(1) / 2)
            + sorted_rank(ranks.len() / 2))
            / 2.0,
    }
}

fn mean(folds: &[RankSummary]) -> RankSummary {
    let mean =
        |value: fn(&RankSummary) -> f64| folds.iter().map(value).sum::<f64>() / folds.len() as f64;
    RankSummary {
        r1: mean(|f| f.r1),
        r5: mean(|f| f.r5),
        r10: mean(|f| f.r10),
        mean_rank: mean(|f| f.mean_rank),
        median_rank: mean(|f| f.median_rank),
    }
}
