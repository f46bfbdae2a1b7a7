//! Image-text retrieval by the ITM score, by the contrastive head, or by both.

mod rerank;

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_data::Example;
use vlp_eval::retrieval::{RankSummary, retrieval};
use vlp_objectives::{
    CapturedEncoder, Collator, EncoderPasses, Inputs, Itc, Itm, ObjectiveError, Pairing, Score,
    VisionLanguage,
};
use vlp_transformer::TextBatch;

use crate::config::EvalConfig;
use crate::error::VlpError;
use crate::processes::Processes;
use rerank::{PairScores, Query};

/// Number of texts encoded in one batch.
const CHUNK: usize = 128;

/// Number of images whose embeddings are read from the device at once.
const IMAGES: usize = 16;

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
    /// Collator of the examples.
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
    /// Without a contrastive head, or with `config.rerank` = 0, the ITM score of every pair ranks: the joint pass runs
    /// images x texts times. Else the `rerank` best candidates by the contrastive head for each image and each text are
    /// reordered by the ITM score and the others follow: the joint pass runs at most `rerank` x (images + texts) times.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for images too small for the model, [`VlpError::Config`] if the folds do not divide the
    /// images.
    pub fn scores(
        &self,
        examples: &[Example],
        config: &EvalConfig,
    ) -> Result<Vec<Score>, VlpError> {
        self.scores_shared(examples, config, &Processes::single())
    }

    /// As [`Self::scores`], but every process calls it with the same model and the same examples, and they share the model's
    /// computations.
    pub(crate) fn scores_shared(
        &self,
        examples: &[Example],
        config: &EvalConfig,
        processes: &Processes,
    ) -> Result<Vec<Score>, VlpError> {
        let folds = config.folds.max(1);
        if examples.is_empty() || !examples.len().is_multiple_of(folds) {
            return Err(VlpError::Config(format!(
                "eval.folds = {folds}: must divide the number of validation images, {}",
                examples.len()
            )));
        }
        let mut means: Vec<Score> = vec![];
        for fold in examples.chunks(examples.len() / folds) {
            for mut score in self.fold_scores(fold, config, processes)? {
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
        processes: &Processes,
    ) -> Result<Vec<Score>, VlpError> {
        // Those of the first process, as a process may fail to read a caption.
        let (texts, image_index) =
            processes.on_first(|| Ok(self.texts(examples, config.retrieval_texts)))?;
        let pool = Pool {
            examples,
            texts,
            image_index,
        };
        let embeddings = self.itc.map(|itc| self.embeddings(itc, &pool, processes));
        let embeddings = embeddings.transpose()?;
        let is_two_stage = embeddings.is_some() && config.rerank > 0;
        // Only the first process compares and ranks.
        let similarities = embeddings.filter(|_| processes.is_first());
        let similarities = similarities.map(|embeddings| self.similarities(embeddings, &pool));
        let index = &pool.image_index;
        let Some(itm) = self.itm else {
            return processes.on_first(|| match &similarities {
                Some(scores) => recalls("retrieval", scores, scores, index),
                None => Ok(vec![]),
            });
        };
        let candidates = match is_two_stage {
            true => processes.on_first(|| {
                let candidates = similarities.as_ref().map(|s| s.candidates(config.rerank));
                Ok(candidates.unwrap_or_default())
            })?,
            false => vec![(0..pool.texts.len()).collect(); examples.len()],
        };
        let rows = self.margins(itm, &pool, &candidates, processes)?;
        processes.on_first(|| {
            let margins = PairScores::of_candidates(&candidates, &rows, pool.texts.len());
            let mut scores = match similarities.as_ref().filter(|_| is_two_stage) {
                Some(similarities) => {
                    let rerank = |query| similarities.rerank(&margins.values, query, config.rerank);
                    recalls(
                        "retrieval",
                        &rerank(Query::Image),
                        &rerank(Query::Text),
                        index,
                    )?
                }
                None => recalls("retrieval", &margins, &margins, index)?,
            };
            if let Some(similarities) = &similarities {
                scores.extend(recalls("itc", similarities, similarities, index)?);
            }
            let pairs: usize = candidates.iter().map(Vec::len).sum();
            scores.push(Score::diagnostic(PAIRS_ENCODED, Some(pairs as f64)));
            Ok(scores)
        })
    }

    /// The first `texts_per_image` captions of every example, or the sampled one if it is 1, and the index of each
    /// text's image.
    fn texts(&self, examples: &[Example], texts_per_image: usize) -> (Vec<Vec<u32>>, Vec<usize>) {
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
        (texts, image_index)
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

    /// Embeddings of images and texts by the contrastive head, row-major. Every image and every text is encoded once.
    fn embeddings(
        &self,
        itc: &Itc,
        pool: &Pool<'_>,
        processes: &Processes,
    ) -> Result<[Vec<f32>; 2], VlpError> {
        // The image pass reads no text.
        let any_text = self.collate(&[&pool.texts[0]]);
        let pairing = Pairing::one_to_one(1);
        let chunks: Vec<&[Example]> = pool.examples.chunks(IMAGES).collect();
        let images = processes.distribute(chunks.len(), |number| {
            let mut embeddings = vec![];
            for example in chunks[number] {
                let image = self.collator.image(example, self.device)?;
                let inputs = Inputs::new(&image, &any_text, &pairing);
                let output = self.encoder.encode(&inputs, EncoderPasses::IMAGE)?;
                embeddings.push(itc.image_embeddings(output.image()));
            }
            Ok(to_cpu(Tensor::cat(embeddings, 0)))
        })?;
        let rows: Vec<&[u32]> = pool.texts.iter().map(Vec::as_slice).collect();
        let chunks: Vec<&[&[u32]]> = rows.chunks(CHUNK).collect();
        let texts = processes.distribute(chunks.len(), |number| {
            let states = self.encoder.encode_text(&self.collate(chunks[number]));
            Ok(to_cpu(itc.text_embeddings(&states)))
        })?;
        Ok([images.concat(), texts.concat()])
    }

    /// Cosine similarities of [`Self::embeddings`].
    fn similarities(&self, [images, texts]: [Vec<f32>; 2], pool: &Pool<'_>) -> PairScores {
        let matrix = |values: Vec<f32>, rows: usize| {
            let width = values.len() / rows;
            Tensor::<2>::from_data(TensorData::new(values, [rows, width]), self.device)
        };
        let images = matrix(images, pool.examples.len());
        let texts = matrix(texts, pool.texts.len());
        PairScores {
            values: to_cpu(images.matmul(texts.transpose())),
            images: pool.examples.len(),
            texts: pool.texts.len(),
        }
    }

    /// ITM log odds of each image with its candidate texts.
    fn margins(
        &self,
        itm: &Itm,
        pool: &Pool<'_>,
        candidates: &[Vec<usize>],
        processes: &Processes,
    ) -> Result<Vec<Vec<f32>>, VlpError> {
        processes.distribute(candidates.len(), |number| {
            let image = self.collator.image(&pool.examples[number], self.device)?;
            let mut margins = vec![];
            for chunk in candidates[number].chunks(CHUNK) {
                let rows = chunk.iter().map(|&text| pool.texts[text].as_slice());
                let text = self.collate(&rows.collect::<Vec<_>>());
                let pairing = Pairing::new(1, vec![0; chunk.len()]);
                let inputs = Inputs::new(&image, &text, &pairing);
                let output = self.encoder.encode(&inputs, EncoderPasses::JOINT)?;
                let logits = itm.logits(output.joint().text.cls());
                let difference = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
                margins.extend(to_cpu(difference));
            }
            Ok(margins)
        })
    }
}

fn to_cpu(values: Tensor<2>) -> Vec<f32> {
    values.into_data().iter().collect()
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
