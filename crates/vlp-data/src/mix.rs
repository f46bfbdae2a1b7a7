use std::sync::Arc;

use crate::{
    DataError, Encoded, Label, LabelSpace, Object, Sample, Source, order::runs, read::fnv,
};

/// One source of a [`Mix`].
#[derive(Clone)]
pub struct Part {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// How many times an epoch has each sample, above 0. Of a fraction the samples that stand evenly through the source
    /// are taken, in every epoch the same: 2.5 takes each twice and every other one a third time, 0.5 every other one.
    pub weight: f64,
    /// Name of the set of images that the source's keys count in, such as `coco`. Equal keys of parts with the same name
    /// are the same image; of others they are not.
    pub images: String,
    /// Whether its boxes are kept. Parts that keep them must have equal classes and attributes; those of another label
    /// space must leave them out, as an image annotated for other classes says nothing of these.
    pub boxes: bool,
}

/// Several sources as one, by weights; the order of its samples is the parts' one after another.
///
/// A key is the hash of the part's `images` and the source's key: it stays one for one image, also where two parts have
/// it, and parts that count their images anew do not collide.
pub struct Mix {
    parts: Vec<Part>,
    /// Number of the first sample of each part, and the length.
    starts: Vec<usize>,
    labels: LabelSpace,
    name: String,
}

impl Mix {
    /// The mixture of some parts.
    ///
    /// # Errors
    /// [`DataError::Config`] where there is no part, a weight is not above 0, or two parts keep boxes of different label
    /// spaces.
    pub fn new(parts: Vec<Part>, name: impl Into<String>) -> Result<Self, DataError> {
        let bad = |field, reason| Err(DataError::Config { field, reason });
        if parts.is_empty() {
            return bad("mix", "it has no parts".into());
        }
        let mut labels: Option<(&LabelSpace, &str)> = None;
        let mut starts = vec![0];
        for part in &parts {
            let name = part.source.name();
            let len = part.source.len() as f64 * part.weight;
            if !(part.weight > 0.0 && len <= 1e12) {
                let reason = format!("{} of {name}; it must be above 0, and finite", part.weight);
                return bad("mix.weight", reason);
            }
            starts.push(starts.last().copied().unwrap_or_default() + len.round() as usize);
            let space = part.source.labels();
            if !part.boxes || (space.classes.is_empty() && space.attributes.is_empty()) {
                continue;
            }
            match labels {
                Some((first, of))
                    if (&first.classes, &first.attributes)
                        != (&space.classes, &space.attributes) =>
                {
                    let reason = format!(
                        "{of} has {} classes and {} attributes, {name} has {} and {} others; of one of them \
                         `boxes` must be false",
                        first.classes.len(),
                        first.attributes.len(),
                        space.classes.len(),
                        space.attributes.len()
                    );
                    return bad("mix.boxes", reason);
                }
                Some(_) => {}
                None => labels = Some((space, name)),
            }
        }
        let labels = labels.map_or_else(LabelSpace::default, |(space, _)| space.clone());
        Ok(Self {
            labels,
            starts,
            name: name.into(),
            parts,
        })
    }

    /// The part and the number in it of a sample; `None` outside.
    pub fn part(&self, index: usize) -> Option<(usize, usize)> {
        let at = self.starts.partition_point(|&start| start <= index);
        // The first start is 0: there is one before every index.
        let (at, end) = (at.checked_sub(1)?, *self.starts.get(at)?);
        let (start, inner) = (self.starts[at], self.parts[at].source.len());
        // Evenly: the samples of a part of length n stand at k * n / count, whole rounds first.
        let (count, k) = (end - start, index - start);
        let (rounds, rest) = (count / inner, count % inner);
        let inner_index = if k < rounds * inner {
            k % inner
        } else {
            ((k - rounds * inner) as u128 * inner as u128 / rest.max(1) as u128) as usize
        };
        Some((at, inner_index))
    }

    fn inner(&self, index: usize) -> Result<(&Part, usize), DataError> {
        match self.part(index) {
            Some((part, inner)) => Ok((&self.parts[part], inner)),
            None => Err(DataError::Index {
                name: self.name.clone(),
                index,
                len: self.len(),
            }),
        }
    }
}

impl Part {
    /// A part of weight 1 that keeps its boxes, with image keys of its own: `images` is the source's name.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self {
            images: source.name().to_owned(),
            source,
            weight: 1.0,
            boxes: true,
        }
    }

    fn key(&self, inner: usize) -> u64 {
        let key = self.source.key(inner).to_le_bytes();
        fnv(self.images.bytes().chain([0]).chain(key))
    }
}

impl Source for Mix {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        self.inner(index).map_or(0, |(part, inner)| part.key(inner))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.inner(index)
            .map_or((0, 0), |(part, inner)| part.source.size(inner))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        let (part, inner) = self.inner(index)?;
        part.source.captions(inner)
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        let (part, inner) = self.inner(index)?;
        part.source.label(inner)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        let (part, inner) = self.inner(index)?;
        if !part.boxes {
            return Ok(None);
        }
        part.source.objects(inner)
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        let (part, inner) = self.inner(index).ok()?;
        part.source.coco_id(inner)
    }

    fn encoded(&self, index: usize) -> Result<Option<Encoded>, DataError> {
        let (part, inner) = self.inner(index)?;
        part.source.encoded(inner)
    }

    fn blocks(&self) -> Vec<usize> {
        let of_parts: Vec<Vec<usize>> = self.parts.iter().map(|p| p.source.blocks()).collect();
        if of_parts.iter().all(Vec::is_empty) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (blocks, ends) in of_parts.iter().zip(self.starts.windows(2)) {
            let (start, end) = (ends[0], ends[1]);
            let blocks = if blocks.is_empty() { &[0][..] } else { blocks };
            let inner = (start..end).filter_map(|index| Some(self.part(index)?.1));
            all.extend(runs(blocks, inner).into_iter().map(|run| start + run));
        }
        all
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let (part, inner) = self.inner(index)?;
        let sample = part.source.load(inner)?;
        Ok(Sample {
            key: part.key(inner),
            objects: sample.objects.filter(|_| part.boxes),
            ..sample
        })
    }
}
