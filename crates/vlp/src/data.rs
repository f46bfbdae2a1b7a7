//! Training and held-out samples of a configuration.

use std::ops::Range;
use std::sync::Arc;

use vlp_data::coco::CocoOptions;
use vlp_data::{
    CaptionChoice, CocoSource, Example, Examples, LabelSpace, Limits, Loader, LoaderConfig, Plan,
    Scenes, ScenesConfig, Source, Split, split_by_key,
};
use vlp_text::WordPieces;

use crate::config::{RunConfig, SourceKind};
use crate::error::VlpError;

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
    /// What reading the annotation files left out, in words.
    pub notes: Vec<String>,
}

/// The word pieces that `data.pieces` names.
pub fn word_pieces(name: &str) -> Result<WordPieces, VlpError> {
    Ok(match name {
        "scenes" => WordPieces::scenes(),
        "bert-base-uncased" => WordPieces::bert_uncased(),
        path => WordPieces::from_vocab_file(path)?,
    })
}

/// What a COCO reader left out or mended, in words.
fn left_out(source: &CocoSource) -> Vec<String> {
    let (report, files) = (source.report(), source.files());
    let captions = files.captions.display().to_string();
    let instances = files.instances.as_ref().map(|f| f.display().to_string());
    let instances = instances.unwrap_or_default();
    let counted = [
        (&captions, report.empty_captions, "empty captions left out"),
        (
            &instances,
            report.empty_boxes,
            "boxes without area left out",
        ),
        (
            &instances,
            report.clipped_boxes,
            "boxes clipped to their picture",
        ),
    ];
    let counted = counted
        .iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(file, count, what)| format!("{file}: {count} {what}"));
    let faults = report.faults.iter().map(ToString::to_string);
    counted.chain(faults).collect()
}

impl Datasets {
    /// Opens what `config.data` names.
    pub fn open(config: &RunConfig) -> Result<Self, VlpError> {
        let data = &config.data;
        let pieces = word_pieces(&data.pieces)?;
        let mut notes = vec![];
        let (train, heldout): (Arc<dyn Source>, Arc<dyn Source>) = match data.kind()? {
            SourceKind::Scenes => {
                let train = Scenes::new(ScenesConfig {
                    split: Split::Train,
                    ..data.scenes.clone()
                })?;
                let count = config.eval.examples.max(config.eval.pictures).max(1);
                let test = Scenes::new(ScenesConfig {
                    split: Split::Test,
                    count,
                    ..data.scenes.clone()
                })?;
                (Arc::new(train), Arc::new(test))
            }
            SourceKind::Coco(dir) => {
                let source = CocoSource::open(dir, CocoOptions::default()).map_err(|e| {
                    VlpError::Config(format!(
                        "data.source = \"{}\": {e}; give a folder with annotations/captions_SPLIT.json and pictures",
                        data.source
                    ))
                })?;
                notes.extend(left_out(&source));
                let source: Arc<dyn Source> = Arc::new(source);
                let (heldout, train) = split_by_key(&source, data.heldout_share, config.seed)?;
                (Arc::new(train), Arc::new(heldout))
            }
        };
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
            notes,
        })
    }

    /// The stream of training batches from `step` on.
    pub fn loader(&self, config: &RunConfig, start_step: u64) -> Result<Loader, VlpError> {
        let data = &config.data;
        let plan = Plan {
            seed: config.seed,
            batch_size: data.batch_size.min(self.train.len()),
            bucket_by_shape: data.bucket_by_shape,
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
