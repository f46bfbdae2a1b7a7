//! Training and held-out samples of a configuration.

use std::ops::Range;
use std::sync::Arc;

use vlp_data::{
    AnswerVocabulary, CaptionChoice, Example, Examples, LabelSpace, Limits, Loader, LoaderConfig,
    Plan, Source, Split, split_by_key,
};
use vlp_objectives::Batcher;
use vlp_text::WordPieces;

use crate::config::{RunConfig, SourceKind, TaskKind};
use crate::error::VlpError;
use crate::source;

/// What a run reads.
pub struct Datasets {
    /// Samples to learn from.
    pub train: Arc<dyn Source>,
    /// Samples to report on, never trained on.
    pub heldout: Arc<dyn Source>,
    /// Names of classes and attributes.
    pub labels: LabelSpace,
    /// Word pieces.
    pub pieces: WordPieces,
    /// Answers to questions; none in data without questions.
    pub answers: AnswerVocabulary,
    /// What reading the annotation files left out, in words.
    pub notes: Vec<String>,
}

/// The word pieces that `data.pieces` names.
pub fn word_pieces(name: &str) -> Result<WordPieces, VlpError> {
    Ok(match name {
        "scenes" => WordPieces::scenes(),
        "bert-base-uncased" => WordPieces::bert_uncased(),
        path if path.ends_with(".json") => WordPieces::from_tokenizer_json(path)?,
        path => WordPieces::from_vocab_file(path)?,
    })
}

impl Datasets {
    /// Opens what `config.data` names.
    pub fn open(config: &RunConfig) -> Result<Self, VlpError> {
        let data = &config.data;
        let pieces = word_pieces(&data.pieces)?;
        let opened = source::training(data)?;
        let mut notes = opened.notes;
        let scenes = data.kind()? == SourceKind::Scenes;
        // Scenes split themselves; a question of a scene is not counted as one here, so that some are left over.
        let count = config.eval.examples.max(config.eval.pictures).max(1);
        let count = if data.task == TaskKind::Nlvr2 {
            4 * count.max(64)
        } else {
            count
        };
        let (train, heldout): (Arc<dyn Source>, Arc<dyn Source>) = match &data.heldout {
            Some(spec) => {
                let own = source::open("data.heldout", spec, data, Split::Test, count)?;
                notes.extend(own.notes);
                (opened.source, own.source)
            }
            None if scenes => {
                let own = source::open("data.source", &data.source, data, Split::Test, count)?;
                (opened.source, own.source)
            }
            None => {
                let (heldout, train) =
                    split_by_key(&opened.source, data.heldout_share, config.seed)?;
                (Arc::new(train), Arc::new(heldout))
            }
        };
        let answers = source::answers(&opened.consensus, data.min_answers);
        for (part, source) in [("train", &train), ("held-out", &heldout)] {
            if source.is_empty() {
                return Err(VlpError::Config(format!(
                    "data.source = \"{}\" leaves no {part} pictures (data.heldout_share = {})",
                    data.source, data.heldout_share
                )));
            }
        }
        Ok(Self {
            labels: train.labels().clone(),
            train,
            heldout,
            pieces,
            answers,
            notes,
        })
    }

    /// What turns examples of these data into batches.
    pub fn batcher<'a>(&'a self, config: &RunConfig) -> Batcher<'a> {
        Batcher {
            pieces: &self.pieces,
            labels: &self.labels,
            max_len: config.data.max_text,
            seed: config.seed,
            size_multiple: config.data.pad_multiple,
            answers: Some(&self.answers),
            all_pairs: config.data.all_pairs,
            blind: config.data.blind,
        }
    }

    /// The stream of training batches from `step` on.
    pub fn loader(&self, config: &RunConfig, start_step: u64) -> Result<Loader, VlpError> {
        let data = &config.data;
        let plan = Plan {
            seed: config.seed,
            batch_size: data.batch_size.min(self.train.len()),
            bucket_by_shape: data.bucket_by_shape,
            window: data.window,
        };
        let loader = LoaderConfig {
            limits: Limits::default(),
            workers: data.workers,
            start_step,
            caption: CaptionChoice::Random,
            foreign: data.foreign_caption,
            texts: data.texts,
            max_bad_share: data.max_bad_share,
            ..LoaderConfig::new(plan, data.resize.clone())
        };
        Ok(Loader::start(Arc::clone(&self.train), loader)?)
    }

    /// The held-out examples of these numbers that can be read, with the faults of the others.
    pub fn heldout(&self, config: &RunConfig, range: Range<usize>) -> (Vec<Example>, Vec<String>) {
        let rule = config
            .data
            .eval_resize
            .clone()
            .unwrap_or_else(|| config.data.resize.clone());
        let examples = Examples {
            texts: config.data.texts,
            ..Examples::new(Arc::clone(&self.heldout), rule)
        };
        let (mut found, mut faults) = (vec![], vec![]);
        for index in range.start..range.end.min(self.heldout.len()) {
            match examples.load(index, 0) {
                Ok(example) => found.push(example),
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        (found, faults)
    }
}
