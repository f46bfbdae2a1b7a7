use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use super::{
    issue::{Issue, IssueKind},
    options::CheckOptions,
    statistics::Statistics,
};
use crate::{
    DataError, Image, Label, Object, SkippedRecord, Source,
    loader::panic_message,
    read::trim_caption,
    skipped_sample::{sample_name, skipped_sample},
};

/// Number of samples that a thread claims at a time.
const CHUNK: usize = 16;

/// A pass over a source: the texts, boxes and label of every sample, and every image once.
pub(super) struct Scan<'a> {
    source: &'a dyn Source,
    options: &'a CheckOptions<'a>,
    /// Whether a sample is the first with its image files.
    is_first_of_files: Vec<bool>,
    /// Of a store; the scan then stops.
    failure: Mutex<Option<DataError>>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(source: &'a dyn Source, options: &'a CheckOptions<'a>) -> Self {
        let mut files = HashSet::new();
        let is_first = (0..source.len()).map(|index| files.insert(file_key(source, index)));
        Self {
            is_first_of_files: is_first.collect(),
            source,
            options,
            failure: Mutex::default(),
        }
    }

    pub(super) fn image_count(&self) -> usize {
        let keys: HashSet<u64> = (0..self.source.len()).map(|i| self.source.key(i)).collect();
        keys.len()
    }

    /// Scans all samples; calls `progress` on this thread with the number of samples done.
    ///
    /// # Errors
    /// If a store of samples cannot be read.
    pub(super) fn run(self, progress: &dyn Fn(usize)) -> Result<Statistics, DataError> {
        let statistics = self.scan(progress);
        let failure = self.failure.into_inner();
        match failure.unwrap_or_else(PoisonError::into_inner) {
            None => Ok(statistics),
            Some(error) => Err(error),
        }
    }

    fn scan(&self, progress: &dyn Fn(usize)) -> Statistics {
        let (next, len) = (AtomicUsize::new(0), self.source.len());
        let scan_chunks = |report_done: &mut dyn FnMut(usize)| {
            let mut statistics = Statistics::default();
            loop {
                let start = next.fetch_add(CHUNK, Ordering::Relaxed);
                if start >= len || self.has_failed() {
                    return statistics;
                }
                let end = (start + CHUNK).min(len);
                // A store that does not answer is waited for once.
                (start..end)
                    .take_while(|_| !self.has_failed())
                    .for_each(|index| self.sample(index, &mut statistics));
                report_done(end - start);
            }
        };
        let mut done = 0;
        let mut add_done = |count: usize| {
            done += count;
            progress(done);
        };
        std::thread::scope(|scope| {
            let (sender, counts) = mpsc::channel();
            let threads: Vec<_> = (0..self.options.threads.max(1))
                .map_while(|_| {
                    let sender = sender.clone();
                    let scan_chunks = &scan_chunks;
                    // Sending fails only if this thread panicked in `progress`.
                    let run = move || {
                        scan_chunks(&mut |count| {
                            let _ = sender.send(count);
                        })
                    };
                    std::thread::Builder::new().spawn_scoped(scope, run).ok()
                })
                .collect();
            drop(sender);
            counts.iter().for_each(&mut add_done);
            // Scans here what is left if threads could not be spawned or panicked.
            let mut statistics = scan_chunks(&mut add_done);
            for other in threads.into_iter().filter_map(|thread| thread.join().ok()) {
                statistics.merge(other);
            }
            statistics
        })
    }

    /// Turns a panic in the source into an issue of that sample.
    fn sample(&self, index: usize, statistics: &mut Statistics) {
        let inspected = catch_unwind(AssertUnwindSafe(|| self.inspect(index, statistics)));
        if let Err(panic) = inspected {
            let reason = format!("panic: {}", panic_message(panic.as_ref()));
            self.issue(index, "", IssueKind::Unreadable, reason, statistics);
        }
    }

    fn inspect(&self, index: usize, statistics: &mut Statistics) {
        let (source, annotated_size) = (self.source, self.source.size(index));
        let (mut name, mut readable) = (String::new(), true);
        let mut image_size = annotated_size;
        if self.is_first_of_files[index] {
            let limits = &self.options.limits;
            if !self.options.decode {
                statistics.add_size(annotated_size);
                let (width, height) = annotated_size;
                if let Err(error) = limits.check(width, height, source.name()) {
                    self.error(index, error, statistics);
                }
            } else {
                match source.load(index) {
                    Ok(sample) => {
                        image_size = (sample.image.width, sample.image.height);
                        name = sample.name;
                        let second = sample.second_image.as_ref();
                        self.images(index, &name, &sample.image, second, statistics);
                    }
                    Err(error) => {
                        readable = false;
                        self.error(index, error, statistics);
                        if self.has_failed() {
                            return;
                        }
                    }
                }
            }
        }
        let mut failed = |error: DataError, statistics: &mut Statistics| {
            // An unreadable sample is one issue.
            if std::mem::take(&mut readable) {
                self.error(index, error, statistics);
            }
        };
        match source.captions(index) {
            Ok(captions) => self.captions(index, &name, &captions, statistics),
            Err(error) => failed(error, statistics),
        }
        match source.objects(index) {
            Ok(Some(objects)) => self.objects(index, &name, &objects, image_size, statistics),
            Ok(None) => {}
            Err(error) => failed(error, statistics),
        }
        match source.label(index) {
            Ok(Some(label)) => self.label(index, &name, label, statistics),
            Ok(None) => {}
            Err(error) => failed(error, statistics),
        }
    }

    fn images(
        &self,
        index: usize,
        name: &str,
        image: &Image,
        second: Option<&Image>,
        statistics: &mut Statistics,
    ) {
        let annotated_size = self.source.size(index);
        if annotated_size != (image.width, image.height) {
            let reason = format!(
                "it is {}x{}, its annotation says {}x{}",
                image.width, image.height, annotated_size.0, annotated_size.1
            );
            self.issue(index, name, IssueKind::Size, reason, statistics);
        }
        let limits = &self.options.limits;
        for image in [Some(image), second].into_iter().flatten() {
            statistics.add_size((image.width, image.height));
            if let Err(error) = limits.check(image.width, image.height, name) {
                self.error(index, error, statistics);
            }
        }
        let hashes = &mut statistics.pixel_hashes;
        let hash = hash_pixels(image);
        match second.map(hash_pixels) {
            None => hashes.single.push((hash, index)),
            Some(second) => {
                let images = [(hash, index), (second, index)];
                hashes.paired_images.extend(images);
                hashes.pairs.push((hash_of(&(hash, second)), index));
            }
        }
    }

    fn captions(&self, index: usize, name: &str, captions: &[String], statistics: &mut Statistics) {
        statistics.add_caption_count(captions.len());
        if captions.is_empty() {
            let reason = "it has no caption".into();
            self.issue(index, name, IssueKind::Caption, reason, statistics);
        }
        for text in captions {
            statistics.add_caption(text);
            if let Err(reason) = trim_caption(text) {
                self.issue(index, name, IssueKind::Caption, reason, statistics);
            }
        }
    }

    fn objects(
        &self,
        index: usize,
        name: &str,
        objects: &[Object],
        (width, height): (usize, usize),
        statistics: &mut Statistics,
    ) {
        statistics.add_box_count(objects.len());
        let label_space = self.source.label_space(index);
        let labels = self.source.labels_of(index);
        for (number, object) in objects.iter().enumerate() {
            let [x0, y0, x1, y1] = object.bbox;
            let problem = if object.bbox.iter().any(|side| !side.is_finite()) {
                Some("is not finite".to_owned())
            } else if x0 >= x1 || y0 >= y1 {
                Some("has no area".to_owned())
            } else if x0.min(y0) < -1.0 || x1 > width as f32 + 1.0 || y1 > height as f32 + 1.0 {
                Some(format!("extends beyond the image of {width}x{height}"))
            } else if !object.area.is_finite() || object.area < 0.0 {
                Some(format!("has an area of {}", object.area))
            } else {
                None
            };
            if let Some(problem) = problem {
                let reason = format!("box {number}, {:?}, {problem}", object.bbox);
                self.issue(index, name, IssueKind::Box, reason, statistics);
            }
            let unknown = |kind: &str, label: usize, count: usize| {
                format!("box {number} has {kind} {label}, but there are {count}")
            };
            if object.class < labels.classes.len() {
                statistics.add_class(label_space, object.class);
            } else {
                let reason = unknown("class", object.class, labels.classes.len());
                self.issue(index, name, IssueKind::Category, reason, statistics);
            }
            for &attribute in &object.attributes {
                if attribute < labels.attributes.len() {
                    statistics.add_attribute(label_space, attribute);
                } else {
                    let reason = unknown("attribute", attribute, labels.attributes.len());
                    self.issue(index, name, IssueKind::Category, reason, statistics);
                }
            }
        }
    }

    fn label(&self, index: usize, name: &str, label: Label, statistics: &mut Statistics) {
        if let Label::Answers(answers) = &label
            && (answers.is_empty() || answers.iter().any(|answer| answer.trim().is_empty()))
        {
            let reason = "it has no answer, or an empty one".to_owned();
            self.issue(index, name, IssueKind::Label, reason, statistics);
        }
        statistics.add_label(label);
    }

    fn error(&self, index: usize, error: DataError, statistics: &mut Statistics) {
        let kind = match error {
            DataError::Limit { .. } => IssueKind::Limit,
            _ if error.is_of_store() => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
                return;
            }
            _ => IssueKind::Unreadable,
        };
        let record = skipped_sample(self.source, index, &error);
        statistics.add_issue(index, Issue::new(kind, record));
    }

    fn has_failed(&self) -> bool {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn issue(
        &self,
        index: usize,
        file: &str,
        kind: IssueKind,
        reason: String,
        statistics: &mut Statistics,
    ) {
        let record = SkippedRecord {
            source: self.source.name().into(),
            file: file.into(),
            record: sample_name(self.source, index),
            reason,
        };
        statistics.add_issue(index, Issue::new(kind, record));
    }
}

/// The innermost source of a sample, by address, and its image files. Ids are not used: two images may have the same one.
fn file_key(mut source: &dyn Source, mut index: usize) -> (*const (), u64) {
    while let Some((inner, inner_index)) = source.inner(index) {
        (source, index) = (inner, inner_index);
    }
    (std::ptr::from_ref(source).cast(), source.file_key(index))
}

fn hash_of(value: &impl Hash) -> u64 {
    // Its keys are fixed within a run, and the hashes are not stored.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn hash_pixels(image: &Image) -> u64 {
    hash_of(&(image.width, image.height, &image.rgb))
}
