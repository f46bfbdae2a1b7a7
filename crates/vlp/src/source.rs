//! Opening what a source names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vlp_data::coco::CocoOptions;
use vlp_data::read::{
    FileSource, GenericOptions, KarpathySplit, ReadReport, VqaFiles, generic, karpathy, nlvr2,
    snli_ve, vqa,
};
use vlp_data::{
    AnswerVocabulary, CocoSource, DataError, Limits, Scenes, ScenesConfig, ScenesTask, Source,
    Split, Task,
};
use vlp_eval::vqa::normalize;

use crate::config::{DataConfig, SourceKind, TaskKind};
use crate::error::VlpError;

/// Faults of annotation files named one by one; the rest are counted.
const NAMED: usize = 20;

/// A source with what is known beside its samples.
pub(crate) struct Opened {
    pub(crate) source: Arc<dyn Source>,
    /// Consensus answers of questions, by sample.
    pub(crate) consensus: Vec<String>,
    /// What reading left out, in words.
    pub(crate) notes: Vec<String>,
}

/// Opens `spec`; generated scenes are those of `split`, `count` of them.
pub(crate) fn open(
    key: &str,
    spec: &str,
    data: &DataConfig,
    split: Split,
    count: usize,
) -> Result<Opened, VlpError> {
    let wrong = |e: DataError| VlpError::Config(format!("{key} = \"{spec}\": {e}"));
    let limits = Limits::default();
    let images = |file: &Path| -> PathBuf {
        let beside = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        data.images.clone().unwrap_or(beside)
    };
    let files = |source: Result<FileSource, DataError>| -> Result<Opened, VlpError> {
        let source = source.map_err(wrong)?;
        let consensus = (0..source.len()).filter_map(|i| source.consensus(i));
        Ok(Opened {
            consensus: consensus.map(str::to_string).collect(),
            notes: left_out(source.report()),
            source: Arc::new(source),
        })
    };
    match SourceKind::parse(key, spec)? {
        SourceKind::Scenes => scenes(data, split, count),
        SourceKind::Coco(dir) => {
            let source = CocoSource::open(dir, CocoOptions::default()).map_err(|e| {
                VlpError::Config(format!(
                    "{key} = \"{spec}\": {e}; give a folder with annotations/captions_SPLIT.json and pictures"
                ))
            })?;
            Ok(Opened {
                notes: left_out(source.report()),
                source: Arc::new(source),
                consensus: vec![],
            })
        }
        SourceKind::Vqa(path) => {
            let split = path
                .file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into());
            let dir = path.parent().unwrap_or(Path::new("."));
            let found = VqaFiles::find(dir, &split).map_err(wrong)?;
            files(vqa(&found, &limits))
        }
        SourceKind::Nlvr2(file) => files(nlvr2(&file, images(&file), &limits)),
        SourceKind::SnliVe(file) => files(snli_ve(&file, images(&file), &limits)),
        SourceKind::Karpathy(file) => files(karpathy(
            &file,
            images(&file),
            &KarpathySplit::TRAINING,
            &limits,
        )),
        SourceKind::KarpathyTest(file) => files(karpathy(
            &file,
            images(&file),
            &[KarpathySplit::Test],
            &limits,
        )),
        SourceKind::Json(file) => {
            let options = GenericOptions {
                images: data.images.clone(),
                ..GenericOptions::default()
            };
            files(generic(&file, options))
        }
    }
}

fn scenes(data: &DataConfig, split: Split, count: usize) -> Result<Opened, VlpError> {
    let config = ScenesConfig {
        split,
        count,
        ..data.scenes.clone()
    };
    let task = match data.task {
        TaskKind::Captions => {
            return Ok(Opened {
                source: Arc::new(Scenes::new(config)?),
                consensus: vec![],
                notes: vec![],
            });
        }
        TaskKind::Vqa => Task::Vqa,
        TaskKind::Nlvr2 => Task::Nlvr2,
        TaskKind::SnliVe => Task::SnliVe,
    };
    let source = ScenesTask::new(config, task)?;
    // All answers of scenes occur early; a hundred thousand questions need not be asked for them.
    let asked = source.len().min(4096);
    let consensus = (0..asked).filter_map(|i| source.consensus(i)).collect();
    Ok(Opened {
        source: Arc::new(source),
        consensus,
        notes: vec![],
    })
}

/// The vocabulary of consensus answers, by the published rule; none without questions.
pub(crate) fn answers(consensus: &[String], least: usize) -> AnswerVocabulary {
    let texts = consensus.iter().map(String::as_str);
    AnswerVocabulary::build(texts, least, normalize)
}

/// What a reader left out or mended, in words.
fn left_out(report: &ReadReport) -> Vec<String> {
    let mut notes: Vec<String> = match report.left_out {
        0 => vec![],
        _ => vec![report.to_string()],
    };
    let named = report.faults.iter().take(NAMED);
    notes.extend(named.map(ToString::to_string));
    if report.faults.len() > NAMED {
        notes.push(format!("... and {} more", report.faults.len() - NAMED));
    }
    notes
}
