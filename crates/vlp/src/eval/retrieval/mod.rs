//! Image-text retrieval by the ITM score, by the contrastive head, or by both.

mod rerank;

use burn::prelude::*;
use vlp_data::Example;
use vlp_eval::retrieval::{RankSummary, retrieval};
use vlp_objectives::{
    CapturedEncoder, Collator, EncoderPasses, Inputs, Itc, Itm, ObjectiveError, Pairing, Score,
    VisionLanguage,
};
use vlp_transformer::TextBatch;

use crate::config::EvalConfig;
use crate::error::VlpError;
use rerank::{PairScores, Query};

/// Number of texts encoded in one batch.
const CHUNK: usize = 128;

/// Number of image-text pairs that went through the joint pass.
const PAIRS_ENCODED: &str = "retrieval/pairs_encoded";

/// The metrics that a [`Retriever`] with these heads computes, without values.
pub(super) fn retrieval_metrics(itm: bool, itc: bool) -> Vec<Score> {
    let mut scores = vec![];
    if itm || itc {
        scores.extend(recall_scores("retrieval", [None, None]));
    }
    if itm && itc {
        scores.extend(recall_scores("itc", [None, None]));
    }
    if itm {
        scores.push(Score::diagnostic(PAIRS_ENCODED, None));
    }
    scores
}

/// A model with the heads that compare images with texts.
#[derive(Debug)]
pub struct Retriever<'a, M> {
    /// The model, without autodiff.
    pub encoder: &'a CapturedEncoder<M>,
    /// Image-text matching head.
    pub itm: Option<&'a Itm>,
    /// Contrastive head.
    pub itc: Option<&'a Itc>,
    /// Makes batches of examples.
    pub collator: &'a Collator<'a>,
    /// Device of the model.
    pub device: &'a Device,
}

/// Images, and texts that each belong to one of them.
struct Pool<'a> {
    examples: &'a [Example],
    texts: Vec<Vec<u32>>,
    /// Index of the image of each text.
    image_index: Vec<usize>,
}

impl<M: VisionLanguage> Retriever<'_, M> {
    /// Recall at 1, 5 and 10 in both directions, and the number of image-text pairs encoded, averaged over `config.folds`
    /// folds of consecutive images. Each example is an image of its own: one that occurs twice counts twice.
    ///
    /// Without a contrastive head, or with `config.rerank` = 0, the ITM score of every pair ranks: the joint pass runs images
    /// x texts times. Else the `rerank` best candidates by the contrastive head for each image and each text are reordered
    /// by the ITM score and the others follow: the joint pass runs at most `rerank` x (images + texts) times.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for images too small for the model, [`VlpError::Config`] if the folds do not divide the images.
    pub fn scores(
        &self,
        examples: &[Example],
        config: &EvalConfig,
    ) -> Result<Vec<Score>, VlpError> {
        let folds = config.folds.max(1);
        if examples.is_empty() || !examples.len().is_multiple_of(folds) {
            return Err(VlpError::Config(format!(
                "eval.folds = {folds}: {} validation images do not divide evenly",
                examples.len()
            )));
        }
        let mut means: Vec<Score> = vec![];
        for fold in examples.chunks(examples.len() / folds) {
            for mut score in self.fold_scores(fold, config)? {
                score.value = score.value.map(|value| value / folds as f64);
                match means.iter_mut().find(|mean| mean.name == score.name) {
                    Some(mean) => mean.value = mean.value.zip(score.value).map(|(a, b)| a + b),
                    None => means.push(score),
                }
            }
        }
        Ok(means)
    }

    fn fold_scores(
        &self,
        examples: &[Example],
        config: &EvalConfig,
    ) -> Result<Vec<Score>, VlpError> {
        let pool = self.pool(examples, config.retrieval_texts);
        let similarities = self.itc.map(|itc| self.similarities(itc, &pool));
        let similarities = similarities.transpose()?;
        let Some(itm) = self.itm else {
            return match &similarities {
                Some(scores) => recalls("retrieval", scores, scores, &pool.image_index),
                None => Ok(vec![]),
            };
        };
        let (images, texts) = (examples.len(), pool.texts.len());
        let two_stage = similarities.as_ref().filter(|_| config.rerank > 0);
        let candidates = match two_stage {
            Some(similarities) => similarities.candidates(config.rerank),
            None => vec![(0..texts).collect(); images],
        };
        let pairs: usize = candidates.iter().map(Vec::len).sum();
        let margins = self.margins(itm, &pool, &candidates)?;
        let mut scores = match two_stage {
            Some(similarities) => {
                let by_image = similarities.rerank(&margins.values, Query::Image, config.rerank);
                let by_text = similarities.rerank(&margins.values, Query::Text, config.rerank);
                recalls("retrieval", &by_image, &by_text, &pool.image_index)?
            }
            None => recalls("retrieval", &margins, &margins, &pool.image_index)?,
        };
        if let Some(similarities) = &similarities {
            let itc = recalls("itc", similarities, similarities, &pool.image_index)?;
            scores.extend(itc);
        }
        scores.push(Score::diagnostic(PAIRS_ENCODED, Some(pairs as f64)));
        Ok(scores)
    }

    /// The first `texts_per_image` captions of every example; the sampled one if it is 1.
    fn pool<'b>(&self, examples: &'b [Example], texts_per_image: usize) -> Pool<'b> {
        let (mut texts, mut image_index) = (vec![], vec![]);
        for (image, example) in examples.iter().enumerate() {
            let captions = example.captions.iter().take(texts_per_image);
            let ids: Vec<Vec<u32>> = match texts_per_image {
                0 | 1 => vec![self.collator.pair(example, 0).text.ids],
                _ => captions.map(|caption| self.encode(caption)).collect(),
            };
            image_index.extend(vec![image; ids.len()]);
            texts.extend(ids);
        }
        Pool {
            examples,
            texts,
            image_index,
        }
    }

    fn encode(&self, caption: &str) -> Vec<u32> {
        let collator = self.collator;
        collator
            .tokenizer
            .encode(caption, collator.max_text_len)
            .ids
    }

    fn collate(&self, texts: &[&[u32]]) -> TextBatch {
        let pad = self.collator.tokenizer.special_tokens().pad;
        TextBatch::collate(texts, pad, self.device)
    }

    /// Cosine similarities of the contrastive head. Every image and every text is encoded once.
    fn similarities(&self, itc: &Itc, pool: &Pool<'_>) -> Result<PairScores, VlpError> {
        // The image pass reads no text.
        let any_text = self.collate(&[&pool.texts[0]]);
        let (mut images, mut texts) = (vec![], vec![]);
        let pairing = Pairing::one_to_one(1);
        for example in pool.examples {
            let image = self.collator.image(example, self.device)?;
            let inputs = Inputs::new(&image, &any_text, &pairing);
            let output = self.encoder.encode(&inputs, EncoderPasses::IMAGE)?;
            images.push(itc.image_embeddings(output.image()));
        }
        let rows: Vec<&[u32]> = pool.texts.iter().map(Vec::as_slice).collect();
        for chunk in rows.chunks(CHUNK) {
            let states = self.encoder.encode_text(&self.collate(chunk));
            texts.push(itc.text_embeddings(&states));
        }
        let similarities = Tensor::cat(images, 0).matmul(Tensor::cat(texts, 0).transpose());
        Ok(PairScores {
            values: similarities.into_data().iter().collect(),
            images: pool.examples.len(),
            texts: pool.texts.len(),
        })
    }

    /// ITM log odds of each image with its candidate texts; NaN for other pairs.
    fn margins(
        &self,
        itm: &Itm,
        pool: &Pool<'_>,
        candidates: &[Vec<usize>],
    ) -> Result<PairScores, VlpError> {
        let (images, texts) = (pool.examples.len(), pool.texts.len());
        let mut values = vec![f32::NAN; images * texts];
        for (number, (example, candidates)) in pool.examples.iter().zip(candidates).enumerate() {
            let image = self.collator.image(example, self.device)?;
            for chunk in candidates.chunks(CHUNK) {
                let rows = chunk.iter().map(|&text| pool.texts[text].as_slice());
                let text = self.collate(&rows.collect::<Vec<_>>());
                let pairing = Pairing::new(1, vec![0; chunk.len()]);
                let inputs = Inputs::new(&image, &text, &pairing);
                let output = self.encoder.encode(&inputs, EncoderPasses::JOINT)?;
                let logits = itm.logits(output.joint().text.cls());
                let margins = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
                for (&text, margin) in chunk.iter().zip(margins.into_data().iter::<f32>()) {
                    values[number * texts + text] = margin;
                }
            }
        }
        Ok(PairScores {
            values,
            images,
            texts,
        })
    }
}

/// Recalls `GROUP/i2t_r1` and so on: images as queries are ranked by `by_image`, texts by `by_text`.
fn recalls(
    group: &str,
    by_image: &PairScores,
    by_text: &PairScores,
    image_index: &[usize],
) -> Result<Vec<Score>, VlpError> {
    let summary = |scores: &PairScores| {
        retrieval(&scores.values, scores.images, image_index).map_err(ObjectiveError::from)
    };
    let i2t = summary(by_image)?.image_to_text;
    let t2i = summary(by_text)?.text_to_image;
    Ok(recall_scores(group, [Some(i2t), Some(t2i)]))
}

/// Recalls of image-to-text and of text-to-image retrieval.
fn recall_scores(group: &str, ranks: [Option<RankSummary>; 2]) -> Vec<Score> {
    let directions = ["i2t", "t2i"].into_iter().zip(ranks);
    let recalls = directions.flat_map(|(direction, ranks)| {
        let recall = |value: fn(&RankSummary) -> f64| ranks.as_ref().map(value);
        let recalls = [
            (1, recall(|ranks| ranks.r1)),
            (5, recall(|ranks| ranks.r5)),
            (10, recall(|ranks| ranks.r10)),
        ];
        recalls.map(|(k, value)| Score::higher(format!("{group}/{direction}_r{k}"), value))
    });
    recalls.collect()
}
