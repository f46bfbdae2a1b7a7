use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hasher as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use super::{CheckOptions, FaultKind, Found, tally::Tally};
use crate::{
    DataError, Fault, Label, Object, Picture, Source,
    loader::{fault, message},
    read::caption,
};

/// Samples that a thread takes at once.
const BLOCK: usize = 16;

/// A pass over a source: every sample's texts, boxes and label, and the pictures of each image once.
pub(super) struct Scan<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) options: &'a CheckOptions<'a>,
    /// Whether a sample is the first of its image.
    first: Vec<bool>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(source: &'a dyn Source, options: &'a CheckOptions<'a>) -> Self {
        let mut seen = HashSet::new();
        let first = (0..source.len()).map(|index| seen.insert(source.key(index)));
        Self {
            first: first.collect(),
            source,
            options,
        }
    }

    pub(super) fn images(&self) -> usize {
        self.first.iter().filter(|&&first| first).count()
    }

    /// Runs over all samples; `progress` is told how many are done, on this thread.
    pub(super) fn run(&self, progress: &dyn Fn(usize)) -> Tally {
        let (next, len) = (AtomicUsize::new(0), self.source.len());
        let work = |say: &mut dyn FnMut(usize)| {
            let mut tally = Tally::default();
            loop {
                let start = next.fetch_add(BLOCK, Ordering::Relaxed);
                if start >= len {
                    return tally;
                }
                let end = (start + BLOCK).min(len);
                (start..end).for_each(|index| self.sample(index, &mut tally));
                say(end - start);
            }
        };
        let mut done = 0;
        let mut count = |more: usize| {
            done += more;
            progress(done);
        };
        std::thread::scope(|scope| {
            let (sender, counts) = mpsc::channel();
            let threads: Vec<_> = (0..self.options.threads.max(1))
                .map_while(|_| {
                    let sender = sender.clone();
                    let work = &work;
                    // Nobody listens any more only where this thread panicked in `progress`.
                    let run = move || {
                        work(&mut |more| {
                            let _ = sender.send(more);
                        })
                    };
                    std::thread::Builder::new().spawn_scoped(scope, run).ok()
                })
                .collect();
            drop(sender);
            counts.iter().for_each(&mut count);
            // Where the system gave no thread, or one ended out of order, the rest is done here.
            let mut tally = work(&mut count);
            for other in threads.into_iter().filter_map(|thread| thread.join().ok()) {
                tally.merge(other);
            }
            tally
        })
    }

    /// A panic in a source is a fault of that sample.
    fn sample(&self, index: usize, tally: &mut Tally) {
        let inspected = catch_unwind(AssertUnwindSafe(|| self.inspect(index, tally)));
        if let Err(panic) = inspected {
            let reason = format!("panic: {}", message(panic.as_ref()));
            self.fault(index, "", FaultKind::Unreadable, reason, tally);
        }
    }

    fn inspect(&self, index: usize, tally: &mut Tally) {
        let (source, size) = (self.source, self.source.size(index));
        let (mut name, mut readable) = (String::new(), true);
        let mut pictured = size;
        if self.first[index] {
            let limits = &self.options.limits;
            if !self.options.decode {
                tally.size(size);
                if let Err(error) = limits.check(size.0, size.1, source.name()) {
                    self.error(index, &error, tally);
                }
            } else {
                match source.load(index) {
                    Ok(sample) => {
                        pictured = (sample.picture.width, sample.picture.height);
                        name = sample.name;
                        self.pictures(index, &name, &sample.picture, sample.second.as_ref(), tally);
                    }
                    Err(error) => {
                        readable = false;
                        self.error(index, &error, tally);
                    }
                }
            }
        }
        let mut failed = |error: DataError, tally: &mut Tally| {
            // Once is enough.
            if std::mem::take(&mut readable) {
                self.error(index, &error, tally);
            }
        };
        match source.captions(index) {
            Ok(captions) => self.captions(index, &name, &captions, tally),
            Err(error) => failed(error, tally),
        }
        match source.objects(index) {
            Ok(Some(objects)) => self.objects(index, &name, &objects, pictured, tally),
            Ok(None) => {}
            Err(error) => failed(error, tally),
        }
        match source.label(index) {
            Ok(Some(label)) => self.label(index, &name, label, tally),
            Ok(None) => {}
            Err(error) => failed(error, tally),
        }
    }

    fn pictures(
        &self,
        index: usize,
        name: &str,
        picture: &Picture,
        second: Option<&Picture>,
        tally: &mut Tally,
    ) {
        let said = self.source.size(index);
        if said != (picture.width, picture.height) {
            let reason = format!(
                "it is {}x{}, and {}x{} was said",
                picture.width, picture.height, said.0, said.1
            );
            self.fault(index, name, FaultKind::Size, reason, tally);
        }
        for picture in [Some(picture), second].into_iter().flatten() {
            tally.size((picture.width, picture.height));
            let checked = self
                .options
                .limits
                .check(picture.width, picture.height, name);
            if let Err(error) = checked {
                self.error(index, &error, tally);
            }
        }
        let sum = pixels(picture);
        match second.map(pixels) {
            None => tally.sums.alone.push((sum, index)),
            Some(other) => {
                tally.sums.parts.extend([(sum, index), (other, index)]);
                tally.sums.pairs.push((hash(&(sum, other)), index));
            }
        }
    }

    fn captions(&self, index: usize, name: &str, captions: &[String], tally: &mut Tally) {
        tally.captions(captions.len());
        if captions.is_empty() {
            self.fault(
                index,
                name,
                FaultKind::Caption,
                "it has no caption".into(),
                tally,
            );
        }
        for text in captions {
            tally.caption(text);
            if let Err(reason) = caption(text) {
                self.fault(index, name, FaultKind::Caption, reason, tally);
            }
        }
    }

    fn objects(
        &self,
        index: usize,
        name: &str,
        objects: &[Object],
        (width, height): (usize, usize),
        tally: &mut Tally,
    ) {
        tally.boxes(objects.len());
        let space = self.source.labels();
        for (number, object) in objects.iter().enumerate() {
            let [x0, y0, x1, y1] = object.bbox;
            let wrong = if object.bbox.iter().any(|side| !side.is_finite()) {
                Some("is not finite".to_owned())
            } else if x0 >= x1 || y0 >= y1 {
                Some("has no area".to_owned())
            } else if x0.min(y0) < -1.0 || x1 > width as f32 + 1.0 || y1 > height as f32 + 1.0 {
                Some(format!("reaches out of the picture of {width}x{height}"))
            } else if !object.area.is_finite() || object.area < 0.0 {
                Some(format!("has an area of {}", object.area))
            } else {
                None
            };
            if let Some(what) = wrong {
                let reason = format!("box {number}, {:?}, {what}", object.bbox);
                self.fault(index, name, FaultKind::Box, reason, tally);
            }
            let unknown = |what: &str, at: usize, of: usize| {
                format!("box {number} has {what} {at}, and there are {of}")
            };
            if object.class < space.classes.len() {
                tally.class(object.class);
            } else {
                let reason = unknown("class", object.class, space.classes.len());
                self.fault(index, name, FaultKind::Category, reason, tally);
            }
            for &attribute in &object.attributes {
                if attribute < space.attributes.len() {
                    tally.attribute(attribute);
                } else {
                    let reason = unknown("attribute", attribute, space.attributes.len());
                    self.fault(index, name, FaultKind::Category, reason, tally);
                }
            }
        }
    }

    fn label(&self, index: usize, name: &str, label: Label, tally: &mut Tally) {
        if let Label::Answers(answers) = &label
            && (answers.is_empty() || answers.iter().any(|answer| answer.trim().is_empty()))
        {
            let reason = "it has no answer, or an empty one".to_owned();
            self.fault(index, name, FaultKind::Label, reason, tally);
        }
        tally.label(label);
    }

    fn error(&self, index: usize, error: &DataError, tally: &mut Tally) {
        let kind = match error {
            DataError::Limit { .. } => FaultKind::Limit,
            _ => FaultKind::Unreadable,
        };
        let fault = fault(self.source, index, error);
        tally.fault(index, Found { kind, fault });
    }

    fn fault(&self, index: usize, file: &str, kind: FaultKind, reason: String, tally: &mut Tally) {
        let fault = Fault {
            source: self.source.name().into(),
            file: file.into(),
            record: format!("sample {index}, image {}", self.source.key(index)),
            reason,
        };
        tally.fault(index, Found { kind, fault });
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    // Its keys are fixed; the hashes do not outlive the run.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn pixels(picture: &Picture) -> u64 {
    hash(&(picture.width, picture.height, &picture.rgb))
}
