//! Image-text retrieval of a model: every pair through the encoder, or the best few of a contrastive head.

use burn::prelude::*;
use vlp_data::Example;
use vlp_eval::retrieval::{RankSummary, retrieval};
use vlp_objectives::tally::Score;
use vlp_objectives::{Batcher, Inputs, Itc, Itm, Needs, ObjectiveError, VisionLanguage};
use vlp_transformer::TextBatch;

use crate::config::EvalConfig;
use crate::error::VlpError;

/// Texts that go through the encoder at a time.
const CHUNK: usize = 128;

/// A model with the heads that compare pictures with texts.
pub struct Retriever<'a, M> {
    /// The model, without autodiff.
    pub model: &'a M,
    /// Head of the joint pass, if there is one.
    pub itm: Option<&'a Itm>,
    /// Contrastive head, if there is one.
    pub itc: Option<&'a Itc>,
    /// Makes batches of examples.
    pub batcher: &'a Batcher<'a>,
    /// Where the model is.
    pub device: &'a Device,
}

/// What is compared: pictures, and texts that each belong to one of them.
struct Pool<'a> {
    examples: &'a [Example],
    texts: Vec<Vec<u32>>,
    own: Vec<usize>,
}

impl<M: VisionLanguage> Retriever<'_, M> {
    /// Recall at 1, 5 and 10 both ways, mean over `config.folds` runs of consecutive pictures, and how many pairs of picture
    /// and text went through the encoder.
    ///
    /// By the matching score of every pair where there is no contrastive head or `config.rerank` is 0: as many passes as
    /// pictures times texts. Else in two stages: for each picture and each text the `rerank` best of the contrastive head
    /// are matched and put in that order, the rest stay behind them: at most `rerank` times pictures and texts.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for pictures too small for the model, and where the folds do not divide the pictures.
    pub fn scores(
        &self,
        examples: &[Example],
        config: &EvalConfig,
    ) -> Result<Vec<Score>, VlpError> {
        let folds = config.folds.max(1);
        if examples.is_empty() || !examples.len().is_multiple_of(folds) {
            return Err(VlpError::Config(format!(
                "eval.folds = {folds}: {} held-out pictures do not divide evenly",
                examples.len()
            )));
        }
        let mut sums: Vec<Score> = vec![];
        for fold in examples.chunks(examples.len() / folds) {
            for (name, value) in self.fold(fold, config)? {
                let share = value.map(|v| v / folds as f64);
                match sums.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum = sum.zip(share).map(|(a, b)| a + b),
                    None => sums.push((name, share)),
                }
            }
        }
        Ok(sums)
    }

    fn fold(&self, examples: &[Example], config: &EvalConfig) -> Result<Vec<Score>, VlpError> {
        let pool = self.pool(examples, config.retrieval_texts);
        let (images, texts) = (examples.len(), pool.texts.len());
        let contrast = self.itc.map(|itc| self.contrast(itc, &pool)).transpose()?;
        let mut scores = vec![];
        let Some(itm) = self.itm else {
            let Some(contrast) = contrast else {
                return Ok(scores);
            };
            return recalls("", &contrast, &contrast, images, &pool.own);
        };
        let wanted = match (&contrast, config.rerank) {
            (Some(contrast), best @ 1..) => candidates(contrast, images, texts, best),
            _ => vec![(0..texts).collect(); images],
        };
        let pairs: usize = wanted.iter().map(Vec::len).sum();
        let margins = self.margins(itm, &pool, &wanted)?;
        match (&contrast, config.rerank) {
            (Some(contrast), best @ 1..) => {
                let by_text = order(contrast, &margins, images, texts, best, false);
                let by_image = order(contrast, &margins, images, texts, best, true);
                scores.extend(recalls("", &by_text, &by_image, images, &pool.own)?);
            }
            _ => scores.extend(recalls("", &margins, &margins, images, &pool.own)?),
        }
        if let Some(contrast) = &contrast {
            scores.extend(recalls("ITC ", contrast, contrast, images, &pool.own)?);
        }
        scores.push(("retrieval pairs encoded".into(), Some(pairs as f64)));
        Ok(scores)
    }

    /// The first texts of every example: the one drawn for it, or so many of its captions.
    fn pool<'b>(&self, examples: &'b [Example], each: usize) -> Pool<'b> {
        let (mut texts, mut own) = (vec![], vec![]);
        for (image, example) in examples.iter().enumerate() {
            let captions = example.captions.iter().take(each);
            let found: Vec<Vec<u32>> = match each {
                0 | 1 => vec![self.batcher.draft(example, 0).text.ids],
                _ => captions
                    .map(|c| self.batcher.pieces.encode(c, self.batcher.max_len).ids)
                    .collect(),
            };
            own.extend(vec![image; found.len()]);
            texts.extend(found);
        }
        Pool {
            examples,
            texts,
            own,
        }
    }

    fn pack(&self, texts: &[&[u32]]) -> TextBatch {
        TextBatch::pack(texts, self.batcher.pieces.special().pad, self.device)
    }

    /// Products of the contrastive head, `[pictures, texts]`. Every picture and every text is encoded once.
    fn contrast(&self, itc: &Itc, pool: &Pool<'_>) -> Result<Vec<f32>, VlpError> {
        let nothing = self.pack(&[&pool.texts[0]]);
        let mut images = vec![];
        let mut texts = vec![];
        for (at, example) in pool.examples.iter().enumerate() {
            let picture = self.batcher.picture(example, self.device)?;
            let inputs = Inputs {
                images: &picture,
                text: &nothing,
                image_of: &[0],
                cells: &[],
            };
            let encoded = self.model.encode(&inputs, Needs::IMAGE)?;
            images.push(itc.images(&encoded)?);
            if at == 0 {
                let rows: Vec<&[u32]> = pool.texts.iter().map(Vec::as_slice).collect();
                for chunk in rows.chunks(CHUNK) {
                    texts.push(itc.texts(&encoded, &self.pack(chunk))?);
                }
            }
        }
        let products = Tensor::cat(images, 0).matmul(Tensor::cat(texts, 0).transpose());
        Ok(products.into_data().iter().collect())
    }

    /// Matching scores, log odds, of the `wanted` texts of every picture; NaN elsewhere.
    fn margins(
        &self,
        itm: &Itm,
        pool: &Pool<'_>,
        wanted: &[Vec<usize>],
    ) -> Result<Vec<f32>, VlpError> {
        let texts = pool.texts.len();
        let mut margins = vec![f32::NAN; wanted.len() * texts];
        for (image, (example, wanted)) in pool.examples.iter().zip(wanted).enumerate() {
            let picture = self.batcher.picture(example, self.device)?;
            for chunk in wanted.chunks(CHUNK) {
                let rows: Vec<&[u32]> = chunk.iter().map(|&t| pool.texts[t].as_slice()).collect();
                let inputs = Inputs {
                    images: &picture,
                    text: &self.pack(&rows),
                    image_of: &vec![0; rows.len()],
                    cells: &[],
                };
                let logits = itm.logits(&self.model.encode(&inputs, Needs::JOINT)?)?;
                let margin = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
                for (&text, margin) in chunk.iter().zip(margin.into_data().iter::<f32>()) {
                    margins[image * texts + text] = margin;
                }
            }
        }
        Ok(margins)
    }
}

/// The places of the `best` greatest of `values`; of equals the first.
fn top(values: &[f32], best: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(best);
    order
}

fn row(matrix: &[f32], texts: usize, image: usize) -> Vec<f32> {
    matrix[image * texts..(image + 1) * texts].to_vec()
}

fn column(matrix: &[f32], texts: usize, text: usize) -> Vec<f32> {
    matrix.iter().skip(text).step_by(texts).copied().collect()
}

/// Texts to match with each picture: its own best, and those whose best it is among.
fn candidates(contrast: &[f32], images: usize, texts: usize, best: usize) -> Vec<Vec<usize>> {
    let mut wanted: Vec<Vec<usize>> = (0..images)
        .map(|image| top(&row(contrast, texts, image), best))
        .collect();
    for text in 0..texts {
        for image in top(&column(contrast, texts, text), best) {
            wanted[image].push(text);
        }
    }
    for texts in &mut wanted {
        texts.sort_unstable();
        texts.dedup();
    }
    wanted
}

/// The order of two stages as scores: the best of each query by their margins, above all others.
fn order(
    contrast: &[f32],
    margins: &[f32],
    images: usize,
    texts: usize,
    best: usize,
    by_text: bool,
) -> Vec<f32> {
    let mut scores = contrast.to_vec();
    let queries = if by_text { texts } else { images };
    for query in 0..queries {
        let place = |found: usize| match by_text {
            true => found * texts + query,
            false => query * texts + found,
        };
        let seen = match by_text {
            true => column(contrast, texts, query),
            false => row(contrast, texts, query),
        };
        let chosen = top(&seen, best);
        let mut values: Vec<f32> = chosen.iter().map(|&at| margins[place(at)]).collect();
        values.sort_by(f32::total_cmp);
        values.dedup();
        for at in chosen {
            // Places instead of margins: exact, and above any product of unit vectors. Equal margins stay equal.
            let rank = values.partition_point(|&v| v < margins[place(at)]);
            scores[place(at)] = 2.0 + rank as f32;
        }
    }
    scores
}

fn recalls(
    kind: &str,
    for_texts: &[f32],
    for_images: &[f32],
    images: usize,
    own: &[usize],
) -> Result<Vec<Score>, VlpError> {
    let summary = |scores| retrieval(scores, images, own).map_err(ObjectiveError::from);
    let (texts, pictures) = (summary(for_texts)?.text, summary(for_images)?.image);
    let named = |name: &str, found: &RankSummary| {
        [(1, found.r1), (5, found.r5), (10, found.r10)]
            .map(|(k, value)| (format!("{kind}{name} retrieval R@{k}"), Some(value)))
    };
    let mut scores = named("text", &texts).to_vec();
    scores.extend(named("image", &pictures));
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stages_put_the_matched_first_and_leave_the_rest_in_order() {
        // 2 pictures, 3 texts.
        let contrast = [0.9, 0.8, 0.1, 0.2, 0.3, 0.4];
        assert_eq!(candidates(&contrast, 2, 3, 1), [vec![0, 1], vec![2]]);
        let wanted = candidates(&contrast, 2, 3, 2);
        assert_eq!(wanted, [vec![0, 1, 2], vec![0, 1, 2]]);
        let margins = [-1.0, 5.0, 3.0, 0.0, 7.0, 7.0];
        // Each picture's two best texts by margin; the third keeps its product.
        let rows = order(&contrast, &margins, 2, 3, 2, false);
        assert_eq!(rows, [2.0, 3.0, 0.1, 0.2, 2.0, 2.0]);
        // Each text's one best picture.
        let columns = order(&contrast, &margins, 2, 3, 1, true);
        assert_eq!(columns, [2.0, 2.0, 0.1, 0.2, 0.3, 2.0]);
    }
}
