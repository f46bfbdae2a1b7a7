//! Opening a data source.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use vlp_data::read::{
    CocoFiles, FileSource, GenericOptions, GenomeFiles, ReadReport, SnliVeText, VqaFiles, cache,
    coco, generic, karpathy, nlvr2, snli_ve, visual_genome, vqa,
};
#[cfg(feature = "cloud")]
use vlp_data::shards::BlockCacheSize;
use vlp_data::shards::{self, BlobStore, ShardOptions};
use vlp_data::{AnswerVocabulary, DataError, LabelSpace, Limits, Source};
use vlp_eval::vqa::normalize;
use vlp_scenes::{Scenes, ScenesTask, Split, Task};
use vlp_train::atomic_file::sha256_hex;

use super::source_hint::{IMAGES_HINT, hint, vqa_split};
use super::tokenizer::relative_path_hint;
use crate::config::{DataConfig, SourceKind, TaskKind};
use crate::error::VlpError;

/// Maximum number of skipped records that notes list one by one.
const MAX_LISTED: usize = 20;
/// Number of generated questions whose answers form the vocabulary; all answers occur among them.
const SCENES_QUESTIONS: usize = 4096;

/// A data source with facts about its samples.
#[non_exhaustive]
pub struct OpenedSource {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Sample index and consensus answer of questions, ascending.
    pub(super) consensus: Vec<(usize, String)>,
    /// Messages about skipped records.
    pub notes: Vec<String>,
    /// Records that were skipped while annotation files were read; `None` for generated scenes.
    pub report: Option<ReadReport>,
}

impl fmt::Debug for OpenedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedSource")
            .field("source", &self.source.name())
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// Opens `data.source` only: without `data.mix`, and without removing test images.
///
/// # Errors
/// [`VlpError::Config`] that names the source and the problem.
pub fn open_plain(data: &DataConfig) -> Result<OpenedSource, VlpError> {
    let count = data.scenes.count;
    let split = data.scenes.split;
    open_source("data.source", &data.source, data, None, split, count)
}

/// Opens the source `spec`, the value of `key`; of generated scenes, `count` scenes of `split`. Sources that number classes as
/// they occur have the classes of `labels`, if given; boxes of others are skipped.
pub(super) fn open_source(
    key: &str,
    spec: &str,
    data: &DataConfig,
    labels: Option<&LabelSpace>,
    split: Split,
    count: usize,
) -> Result<OpenedSource, VlpError> {
    let kind = SourceKind::parse(key, spec)?;
    let opener = FileOpener {
        spec,
        data,
        labels,
        limits: Limits::default(),
    };
    // No error: the folder may be that of another machine, and the source is read all the same.
    let index_problem = data.index.as_ref().and_then(|folder| {
        let error = fs::create_dir_all(folder).err()?;
        let folder = folder.display();
        Some(format!(
            "{spec}: not cached in data.index = {folder}: {error}"
        ))
    });
    let source = opener.open(&kind).map_err(|e| {
        let images = data.images.as_deref();
        let paths = kind.path().into_iter().chain(images);
        let relative: String = paths.filter_map(relative_path_hint).collect();
        let hint = hint(&kind, &e);
        VlpError::Config(format!("{key} = \"{spec}\": {e}{hint}{relative}"))
    })?;
    match source {
        Some(mut source) => {
            source.notes.extend(index_problem);
            Ok(source)
        }
        None => open_scenes(data, split, count),
    }
}

/// As [`open_source`]. A source that numbers its classes as they occur has the numbers of one of the label spaces that a model
/// was trained for, if there are any: of that with its classes, or of the first that shares most of them.
pub(super) fn open_for_labels(
    key: &str,
    spec: &str,
    data: &DataConfig,
    trained: &[LabelSpace],
    split: Split,
    count: usize,
) -> Result<OpenedSource, VlpError> {
    let open = |labels| open_source(key, spec, data, labels, split, count);
    if let [] | [_] = trained {
        return open(trained.first());
    }
    let opened = open(None)?;
    if !SourceKind::parse(key, spec)?.numbers_classes_by_occurrence() {
        return Ok(opened);
    }
    let labels = opened.source.labels();
    let shared = |space: &&LabelSpace| {
        let classes = labels.classes.iter();
        classes.filter(|name| space.classes.contains(name)).count()
    };
    if trained.iter().any(|space| space.same_names(labels)) {
        return Ok(opened);
    }
    // The last of several maxima is taken.
    let closest = trained.iter().rev().max_by_key(shared);
    match closest.filter(|space| shared(space) > 0) {
        Some(space) => open(Some(space)),
        None => Ok(opened),
    }
}

impl From<FileSource> for OpenedSource {
    fn from(source: FileSource) -> Self {
        let consensus =
            (0..source.len()).filter_map(|i| Some((i, source.consensus(i)?.to_owned())));
        Self {
            consensus: consensus.collect(),
            notes: skipped_notes(source.report()),
            report: Some(source.report().clone()),
            source: Arc::new(source),
        }
    }
}

/// Opens shards by their indices; `None` if they have none.
fn open_indexed(
    blobs: Arc<dyn BlobStore>,
    options: &ShardOptions,
) -> Result<Option<OpenedSource>, DataError> {
    let Some(source) = shards::open_indexed(blobs, options)? else {
        return Ok(None);
    };
    // Reads all indices.
    let questions = match source.has_answers() {
        true => 0..source.len(),
        false => 0..0,
    };
    let consensus = questions.filter_map(|i| Some((i, source.consensus(i).transpose()?)));
    let consensus = consensus.map(|(i, answer)| Ok((i, answer?)));
    Ok(Some(OpenedSource {
        consensus: consensus.collect::<Result<_, DataError>>()?,
        notes: skipped_notes(source.report()),
        report: Some(source.report().clone()),
        source: Arc::new(source),
    }))
}

/// Opens sources of files.
struct FileOpener<'a> {
    spec: &'a str,
    data: &'a DataConfig,
    labels: Option<&'a LabelSpace>,
    limits: Limits,
}

impl FileOpener<'_> {
    /// The source; `None` for generated scenes.
    fn open(&self, kind: &SourceKind) -> Result<Option<OpenedSource>, DataError> {
        let limits = &self.limits;
        let source = match kind {
            SourceKind::Scenes => return Ok(None),
            SourceKind::Coco(dir, split) => {
                let images = self.data.images.as_deref();
                let files = CocoFiles::find_with_images(dir, split.as_deref(), images)?;
                let inputs = files.inputs();
                let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
                self.cached(&inputs, &|| coco(&files, limits))
            }
            SourceKind::Vqa(path, split) => {
                let (dir, split) = vqa_split(path, split.as_deref());
                let Some(split) = split else {
                    return Err(DataError::Missing {
                        path: dir,
                        reason: "it has several splits".into(),
                    });
                };
                let images = self.data.images.as_deref();
                let files = VqaFiles::find_with_images(dir, &split, images)?;
                let inputs = files.questions.iter().chain(&files.annotations);
                let inputs: Vec<&Path> =
                    inputs.chain(&files.images).map(PathBuf::as_path).collect();
                self.cached(&inputs, &|| vqa(&files, limits))
            }
            SourceKind::Nlvr2(file) => {
                self.cached_file(file, &|images| nlvr2(file, images, limits))
            }
            SourceKind::SnliVe(file) => {
                let text = match self.data.premise {
                    true => SnliVeText::PremiseAndHypothesis,
                    false => SnliVeText::Hypothesis,
                };
                self.cached_file(file, &|images| snli_ve(file, images, text, limits))
            }
            SourceKind::Karpathy(file, splits) => {
                self.cached_file(file, &|images| karpathy(file, images, splits, limits))
            }
            SourceKind::Json(file) => self.cached_file(file, &|_| {
                let options = GenericOptions::default()
                    .with_images(self.data.images.clone())
                    .with_labels(self.labels.cloned());
                generic(file, options)
            }),
            SourceKind::Genome(dir) => {
                let files = genome_files(dir, self.data.images.as_deref());
                let mut inputs = vec![files.image_data.as_path(), &files.regions, &files.images];
                let pairs = files.objects.iter().chain(&files.attributes);
                inputs.extend(pairs.flat_map(|(a, b)| [a.as_path(), b.as_path()]));
                let iou = self.data.duplicate_iou;
                let iou = (iou <= 1.0).then_some(iou);
                self.cached(&inputs, &|| visual_genome(&files, iou, limits))
            }
            SourceKind::Shards(path) => {
                let options = ShardOptions::default().with_index(self.index_file());
                let blobs = open_blobs(&path.to_string_lossy())?;
                let indexed = open_indexed(Arc::clone(&blobs), &options)?;
                // Shards of other classes are read, not their indices.
                if let Some(source) = indexed.filter(|opened| self.fits(opened)) {
                    return Ok(Some(source));
                }
                let options = options.with_labels(self.labels.cloned());
                Ok(shards::open(blobs, options)?.source)
            }
        };
        Ok(Some(source?.into()))
    }

    /// Reads a source of one annotation file and a folder of images.
    fn cached_file(
        &self,
        file: &Path,
        read: &dyn Fn(PathBuf) -> Result<FileSource, DataError>,
    ) -> Result<FileSource, DataError> {
        let parent = || {
            let parent = file
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).to_path_buf()
        };
        let images = self.data.images.clone().unwrap_or_else(parent);
        self.cached(&[file, &images], &|| read(images.clone()))
    }

    /// Reads a source, or its index in `data.index` if the inputs have not changed.
    fn cached(
        &self,
        inputs: &[&Path],
        read: &dyn Fn() -> Result<FileSource, DataError>,
    ) -> Result<FileSource, DataError> {
        let data = self.data;
        let Some(index) = self.index_file() else {
            return read();
        };
        let inputs: Vec<PathBuf> = inputs.iter().map(|path| path.to_path_buf()).collect();
        let premise = if data.premise { " premise" } else { "" };
        let options = format!(
            "{} {:?} {:?}{premise} {}",
            self.identity(),
            data.images,
            self.limits,
            data.duplicate_iou
        );
        Ok(cache::open_or_build(&index, &inputs, &options, read)?.source)
    }

    /// Whether the classes of a source are those that it must have, or it has none.
    fn fits(&self, opened: &OpenedSource) -> bool {
        let labels = opened.source.labels();
        (self.labels).is_none_or(|other| labels.classes.is_empty() || labels.same_names(other))
    }

    /// The source, and the labels that its classes are numbered by.
    fn identity(&self) -> String {
        match self.labels {
            None => self.spec.to_owned(),
            Some(labels) => format!("{} {labels:?}", self.spec),
        }
    }

    /// The index file of the source in `data.index`: the end of its name, and a hash of its [`Self::identity`].
    fn index_file(&self) -> Option<PathBuf> {
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = self.spec.chars().map(safe).collect();
        let hash = sha256_hex(self.identity().as_bytes());
        let start = name.len().saturating_sub(40);
        let folder = self.data.index.as_deref()?;
        Some(folder.join(format!("{}-{}.index", &name[start..], &hash[..8])))
    }
}

/// Visual Genome's files in a folder; objects and attributes if they exist.
fn genome_files(dir: &Path, images: Option<&Path>) -> GenomeFiles {
    let if_both_exist = |annotations: &str, vocabulary: &str| {
        let files = (dir.join(annotations), dir.join(vocabulary));
        (files.0.is_file() && files.1.is_file()).then_some(files)
    };
    GenomeFiles {
        image_data: dir.join("image_data.json"),
        regions: dir.join("region_descriptions.json"),
        images: images.unwrap_or(dir).to_path_buf(),
        objects: if_both_exist("objects.json", "objects_vocab.txt"),
        attributes: if_both_exist("attributes.json", "attributes_vocab.txt"),
    }
}

#[cfg(feature = "cloud")]
fn open_blobs(path: &str) -> Result<Arc<dyn BlobStore>, DataError> {
    vlp_store::open(path, BlockCacheSize::default())
}

#[cfg(not(feature = "cloud"))]
fn open_blobs(path: &str) -> Result<Arc<dyn BlobStore>, DataError> {
    match path.contains("://") {
        false => Ok(Arc::new(shards::Folder::open(path)?)),
        true => Err(DataError::Config {
            field: "shards",
            reason: format!(
                "{path}: this build reads only local folders; build with --features cloud"
            ),
        }),
    }
}

fn open_scenes(data: &DataConfig, split: Split, count: usize) -> Result<OpenedSource, VlpError> {
    let opened = generate_scenes(data, split, count);
    opened.map_err(|error| match error {
        // Its key is that of the scenes.
        error @ DataError::Config { .. } => VlpError::Config(format!("data.{error}")),
        error => error.into(),
    })
}

fn generate_scenes(
    data: &DataConfig,
    split: Split,
    count: usize,
) -> Result<OpenedSource, DataError> {
    let config = data.scenes.clone().with_split(split).with_count(count);
    let task = match data.task {
        TaskKind::Captions => None,
        TaskKind::Vqa => Some(Task::Vqa),
        TaskKind::Nlvr2 => Some(Task::Nlvr2),
        TaskKind::SnliVe => Some(Task::SnliVe),
    };
    let mut consensus = vec![];
    let source: Arc<dyn Source> = match task {
        None => Arc::new(Scenes::new(config)?),
        Some(task) => {
            let source = ScenesTask::new(config, task)?;
            let questions = 0..source.len().min(SCENES_QUESTIONS);
            consensus.extend(questions.filter_map(|i| Some((i, source.consensus(i)?))));
            Arc::new(source)
        }
    };
    Ok(OpenedSource {
        source,
        consensus,
        notes: vec![],
        report: None,
    })
}

/// The vocabulary of the consensus answers of at least `min_count` questions; empty without questions.
pub(super) fn answer_vocabulary(
    consensus: &[(usize, String)],
    min_count: usize,
) -> AnswerVocabulary {
    let answers = consensus.iter().map(|(_, answer)| answer.as_str());
    AnswerVocabulary::build(answers, min_count, normalize)
}

/// Messages about records that a reader skipped or corrected.
fn skipped_notes(report: &ReadReport) -> Vec<String> {
    let mut notes: Vec<String> = match report.skipped {
        0 => vec![],
        _ => vec![report.to_string()],
    };
    let records = &report.skipped_records;
    notes.extend(records.iter().take(MAX_LISTED).map(ToString::to_string));
    if records.len() > MAX_LISTED {
        notes.push(format!("... and {} more", records.len() - MAX_LISTED));
    }
    if report.missing_images > 0 {
        notes.push(format!(
            "{} images are missing{IMAGES_HINT}",
            report.missing_images
        ));
    }
    notes
}
