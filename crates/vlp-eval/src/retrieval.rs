//! Image-text retrieval: recall at K and ranks, both ways.

use serde::Serialize;

use crate::EvalError;

/// Ranks from 1 (found first). Of equal similarities the wrong ones count as found before, so a
/// model that tells nothing apart gains nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    /// Text retrieval: for each image, the rank of the best of its texts among all texts.
    pub of_texts: Vec<usize>,
    /// Image retrieval: for each text, the rank of its image among all images.
    pub of_images: Vec<usize>,
}

/// Figures of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankSummary {
    /// Share of queries found at rank 1, in 0..=1.
    pub r1: f64,
    /// Share found at rank 5 or before.
    pub r5: f64,
    /// Share found at rank 10 or before.
    pub r10: f64,
    /// Mean rank, from 1.
    pub mean_rank: f64,
    /// Median rank, from 1; between two ranks for an even number of queries.
    pub median_rank: f64,
}

/// Figures of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RetrievalSummary {
    /// Image to text.
    pub text: RankSummary,
    /// Text to image.
    pub image: RankSummary,
    /// Mean of the six recalls.
    pub r_mean: f64,
}

/// Figures over all images and texts.
///
/// # Errors
/// As [`ranks`], and [`EvalError::Empty`] without images.
pub fn retrieval(
    similarity: &[f32],
    images: usize,
    text_image: &[usize],
) -> Result<RetrievalSummary, EvalError> {
    retrieval_in_folds(similarity, images, text_image, 1)
}

/// Mean of the figures over `folds` equal runs of consecutive images, each with its own texts
/// alone: COCO's "1k" figures are those of 5,000 images in 5 folds.
///
/// # Errors
/// As [`ranks`]; [`EvalError::BadFolds`] if the images do not divide evenly, [`EvalError::Empty`]
/// without images.
pub fn retrieval_in_folds(
    similarity: &[f32],
    images: usize,
    text_image: &[usize],
    folds: usize,
) -> Result<RetrievalSummary, EvalError> {
    retrieval_with_progress(similarity, images, text_image, folds, |_, _| ())
}

/// As [`retrieval_in_folds`]; `progress` hears how many of how many images are ranked.
///
/// # Errors
/// As [`retrieval_in_folds`].
pub fn retrieval_with_progress(
    similarity: &[f32],
    images: usize,
    text_image: &[usize],
    folds: usize,
    mut progress: impl FnMut(usize, usize),
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
    check(similarity, images, text_image)?;
    let size = images / folds;
    let (mut text, mut image) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let range = fold * size..(fold + 1) * size;
        let ranks = ranks_of_range(similarity, text_image, range, |image| {
            progress(image + 1, images);
        });
        text.push(summarize(&ranks.of_texts));
        image.push(summarize(&ranks.of_images));
    }
    let (text, image) = (mean(&text), mean(&image));
    let r_mean = (text.r1 + text.r5 + text.r10 + image.r1 + image.r5 + image.r10) / 6.0;
    Ok(RetrievalSummary {
        text,
        image,
        r_mean,
    })
}

/// Ranks over all images and texts.
///
/// `similarity` is row-major, `[images, texts]`, higher is closer; `text_image` names the image
/// (a row) each text describes.
///
/// # Errors
/// [`EvalError::BadShape`], [`EvalError::BadSimilarity`] for NaN, [`EvalError::BadTextImage`] for a
/// text of no image, [`EvalError::NoText`] for an image without texts.
pub fn ranks(similarity: &[f32], images: usize, text_image: &[usize]) -> Result<Ranks, EvalError> {
    check(similarity, images, text_image)?;
    Ok(ranks_of_range(similarity, text_image, 0..images, |_| ()))
}

/// Share of ranks that are `k` or before, in 0..=1; 0 without ranks.
#[must_use]
pub fn recall_at(ranks: &[usize], k: usize) -> f64 {
    let found = ranks.iter().filter(|&&r| r <= k).count();
    found as f64 / ranks.len().max(1) as f64
}

fn check(similarity: &[f32], images: usize, text_image: &[usize]) -> Result<(), EvalError> {
    let texts = text_image.len();
    if Some(similarity.len()) != images.checked_mul(texts) {
        return Err(EvalError::BadShape {
            len: similarity.len(),
            images,
            texts,
        });
    }
    if let Some(at) = similarity.iter().position(|s| s.is_nan()) {
        return Err(EvalError::BadSimilarity {
            image: at / texts,
            text: at % texts,
        });
    }
    let mut described = vec![false; images];
    for (text, &image) in text_image.iter().enumerate() {
        *described.get_mut(image).ok_or(EvalError::BadTextImage {
            text,
            image,
            images,
        })? = true;
    }
    match described.iter().position(|d| !d) {
        Some(image) => Err(EvalError::NoText { image }),
        None => Ok(()),
    }
}

/// Ranks among a range of images and their texts; `ranked` hears of each image.
fn ranks_of_range(
    similarity: &[f32],
    text_image: &[usize],
    images: std::ops::Range<usize>,
    mut ranked: impl FnMut(usize),
) -> Ranks {
    let columns = text_image.len();
    let texts: Vec<usize> = (0..columns)
        .filter(|&t| images.contains(&text_image[t]))
        .collect();
    let own: Vec<f32> = texts
        .iter()
        .map(|&t| similarity[text_image[t] * columns + t])
        .collect();
    let mut of_texts = Vec::with_capacity(images.len());
    let mut of_images = vec![1; texts.len()];
    for image in images {
        let row = &similarity[image * columns..(image + 1) * columns];
        let ours = texts.iter().filter(|&&t| text_image[t] == image);
        let best = ours.map(|&t| row[t]).fold(f32::NEG_INFINITY, f32::max);
        let mut rank = 1;
        for ((&text, &own), of_image) in texts.iter().zip(&own).zip(&mut of_images) {
            let other = text_image[text] != image;
            rank += usize::from(other && row[text] >= best);
            *of_image += usize::from(other && row[text] >= own);
        }
        of_texts.push(rank);
        ranked(image);
    }
    Ranks {
        of_texts,
        of_images,
    }
}

fn summarize(ranks: &[usize]) -> RankSummary {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let middle = |at: usize| sorted.get(at).copied().unwrap_or(0) as f64;
    RankSummary {
        r1: recall_at(ranks, 1),
        r5: recall_at(ranks, 5),
        r10: recall_at(ranks, 10),
        mean_rank: ranks.iter().sum::<usize>() as f64 / ranks.len().max(1) as f64,
        median_rank: (middle(ranks.len().saturating_sub(1) / 2) + middle(ranks.len() / 2)) / 2.0,
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
