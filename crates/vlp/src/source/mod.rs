//! Opening what a source names.

mod training;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vlp_data::coco::CocoOptions;
use vlp_data::read::{
    FileSource, GenericOptions, GenomeFiles, KarpathySplit, ReadReport, SnliVeText, VqaFiles,
    cache, generic, karpathy, nlvr2, snli_ve, visual_genome, vqa,
};
#[cfg(feature = "cloud")]
use vlp_data::shards::CacheSize;
use vlp_data::shards::{self, Blobs, ShardOptions};
use vlp_data::{
    AnswerVocabulary, CocoSource, DataError, Limits, Scenes, ScenesConfig, ScenesTask, Source,
    Split, Task,
};
use vlp_eval::vqa::normalize;

use crate::config::{DataConfig, SourceKind, TaskKind};
use crate::error::VlpError;

pub(crate) use training::training;

/// Faults of annotation files named one by one; the rest are counted.
const NAMED: usize = 20;

/// A source with what is known beside its samples.
pub struct Opened {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Consensus answers of questions, each with the number of its sample, ascending.
    pub(crate) consensus: Vec<(usize, String)>,
    /// What reading left out, in words.
    pub(crate) notes: Vec<String>,
    /// What reading left out, of annotation files.
    pub report: Option<ReadReport>,
}

/// Opens `data.source` alone, as it is: nothing mixed in, nothing kept out.
///
/// # Errors
/// [`VlpError::Config`] that names the source and what is wrong with it.
pub fn open_plain(data: &DataConfig) -> Result<Opened, VlpError> {
    let count = data.scenes.count;
    open("data.source", &data.source, data, Split::Train, count)
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
        let consensus =
            (0..source.len()).filter_map(|i| Some((i, source.consensus(i)?.to_owned())));
        Ok(Opened {
            consensus: consensus.collect(),
            notes: left_out(source.report()),
            report: Some(source.report().clone()),
            source: Arc::new(source),
        })
    };
    if let Some(folder) = &data.index {
        fs::create_dir_all(folder).map_err(VlpError::io(folder))?;
    }
    // The index of files, kept where the configuration says.
    let kept = |inputs: &[&Path], build: &dyn Fn() -> Result<FileSource, DataError>| {
        let Some(folder) = &data.index else {
            return build();
        };
        let inputs: Vec<PathBuf> = inputs.iter().map(|p| p.to_path_buf()).collect();
        let premise = if data.premise { " premise" } else { "" };
        let options = format!("{spec} {:?} {limits:?}{premise}", data.images);
        Ok(cache::open_or_build(&index_file(folder, spec), &inputs, &options, build)?.source)
    };
    match SourceKind::parse(key, spec)? {
        SourceKind::Scenes => scenes(data, split, count),
        SourceKind::Coco(dir) => {
            let options = CocoOptions::default();
            let found = match &data.index {
                Some(folder) => {
                    CocoSource::open_cached(dir, options, index_file(folder, spec)).map(|f| f.0)
                }
                None => CocoSource::open(dir, options),
            };
            let source = found.map_err(|e| {
                VlpError::Config(format!(
                    "{key} = \"{spec}\": {e}; give a folder with annotations/captions_SPLIT.json and pictures"
                ))
            })?;
            Ok(Opened {
                notes: left_out(source.report()),
                report: Some(source.report().clone()),
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
            let inputs = found.questions.iter().chain(&found.annotations);
            let inputs: Vec<&Path> = inputs.chain(&found.images).map(PathBuf::as_path).collect();
            files(kept(&inputs, &|| vqa(&found, &limits)))
        }
        SourceKind::Nlvr2(file) => files(kept(&[&file, &images(&file)], &|| {
            nlvr2(&file, images(&file), &limits)
        })),
        SourceKind::SnliVe(file) => {
            let text = match data.premise {
                true => SnliVeText::PremiseAndHypothesis,
                false => SnliVeText::Hypothesis,
            };
            files(kept(&[&file, &images(&file)], &|| {
                snli_ve(&file, images(&file), text, &limits)
            }))
        }
        SourceKind::Karpathy(file) => files(kept(&[&file, &images(&file)], &|| {
            karpathy(&file, images(&file), &KarpathySplit::TRAINING, &limits)
        })),
        SourceKind::KarpathyTest(file) => files(kept(&[&file, &images(&file)], &|| {
            karpathy(&file, images(&file), &[KarpathySplit::Test], &limits)
        })),
        SourceKind::Json(file) => files(kept(&[&file, &images(&file)], &|| {
            let options = GenericOptions {
                images: data.images.clone(),
                ..GenericOptions::default()
            };
            generic(&file, options)
        })),
        SourceKind::Genome(dir) => {
            let found = genome_files(&dir, data.images.as_deref());
            let mut inputs = vec![found.image_data.as_path(), &found.regions, &found.images];
            let pairs = found.objects.iter().chain(&found.attributes);
            inputs.extend(pairs.flat_map(|(a, b)| [a.as_path(), b.as_path()]));
            files(kept(&inputs, &|| visual_genome(&found, &limits)))
        }
        SourceKind::Shards(place) => {
            let place = place.to_string_lossy();
            let options = ShardOptions {
                index: data.index.as_deref().map(|folder| index_file(folder, spec)),
                ..ShardOptions::default()
            };
            let blobs = blobs(&place).map_err(wrong)?;
            files(shards::open(blobs, options).map(|opened| opened.source))
        }
    }
}

/// The file of a source's index.
fn index_file(folder: &Path, spec: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = spec.chars().map(safe).collect();
    let hash = vlp_train::files::sha256(spec.as_bytes());
    let start = name.len().saturating_sub(40);
    folder.join(format!("{}-{}.index", &name[start..], &hash[..8]))
}

/// Visual Genome's files in a folder; objects and attributes where they are there.
fn genome_files(dir: &Path, images: Option<&Path>) -> GenomeFiles {
    let both = |a: &str, b: &str| {
        let pair = (dir.join(a), dir.join(b));
        (pair.0.is_file() && pair.1.is_file()).then_some(pair)
    };
    GenomeFiles {
        image_data: dir.join("image_data.json"),
        regions: dir.join("region_descriptions.json"),
        images: images.unwrap_or(dir).to_path_buf(),
        objects: both("objects.json", "objects_vocab.txt"),
        attributes: both("attributes.json", "attributes_vocab.txt"),
    }
}

#[cfg(feature = "cloud")]
fn blobs(place: &str) -> Result<Arc<dyn Blobs>, DataError> {
    vlp_store::open(place, CacheSize::default())
}

#[cfg(not(feature = "cloud"))]
fn blobs(place: &str) -> Result<Arc<dyn Blobs>, DataError> {
    match place.contains("://") {
        false => Ok(Arc::new(shards::Folder::open(place)?)),
        true => Err(DataError::Config {
            field: "shards",
            reason: format!(
                "{place}: this build reads local folders; build it with the feature cloud"
            ),
        }),
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
                report: None,
            });
        }
        TaskKind::Vqa => Task::Vqa,
        TaskKind::Nlvr2 => Task::Nlvr2,
        TaskKind::SnliVe => Task::SnliVe,
    };
    let source = ScenesTask::new(config, task)?;
    // All answers of scenes occur early; a hundred thousand questions need not be asked for them.
    let asked = source.len().min(4096);
    let consensus = (0..asked).filter_map(|i| Some((i, source.consensus(i)?)));
    let consensus = consensus.collect();
    Ok(Opened {
        source: Arc::new(source),
        consensus,
        notes: vec![],
        report: None,
    })
}

/// The vocabulary of consensus answers, by the published rule; none without questions.
pub(crate) fn answers(consensus: &[(usize, String)], least: usize) -> AnswerVocabulary {
    let texts = consensus.iter().map(|(_, answer)| answer.as_str());
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
