use std::{fmt, sync::Arc};

use crate::{
    AnnotatedObject, DataError, LabelSpace, Object, Sample, Source, hash::fnv1a,
    source::wrapped_block_starts,
};

/// Samples in a block of a component without blocks, if others have them.
const BLOCK_SAMPLES: usize = 1024;

/// One source of a [`Mixture`].
#[derive(Clone)]
pub struct MixtureComponent {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Number of times that each sample occurs per epoch, above 0. The fractional part selects evenly spaced samples, the
    /// same in every epoch: 2.5 takes each sample twice and every second one a third time, 0.5 takes every second one. The
    /// occurrences of a sample in an epoch are equal, because random choices are a function of the epoch and the image.
    pub weight: f64,
    /// Name of the image set that the keys belong to, such as `coco`. Equal keys of components with the same name are the
    /// same image; with different names they are not.
    pub image_set: String,
    /// Name of the image set that a [COCO id](Source::coco_id) belongs to. An image that has one is then known by it
    /// instead of its key, so that it is the same image as in a component whose keys are COCO's ids. `None` if the
    /// source's COCO ids are not known to be COCO's own, as those of other files in COCO's format.
    pub coco_image_set: Option<String>,
    /// Whether to keep the boxes. Components with equal classes and attributes share a [label space](Source::label_spaces);
    /// each other component has its own, because an image annotated for other classes may contain unannotated objects of
    /// these.
    pub keep_boxes: bool,
}

impl MixtureComponent {
    /// A component of weight 1 that keeps its boxes, with the name of the source as `image_set` and no `coco_image_set`.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self {
            image_set: source.name().to_owned(),
            source,
            weight: 1.0,
            coco_image_set: None,
            keep_boxes: true,
        }
    }

    fn key(&self, inner_index: usize) -> u64 {
        let coco_set = self.coco_image_set.as_ref();
        let coco = coco_set.and_then(|set| Some((set, self.source.coco_id(inner_index)?)));
        let (set, key) = coco.unwrap_or_else(|| (&self.image_set, self.source.key(inner_index)));
        fnv1a(set.bytes().chain([0]).chain(key.to_le_bytes()))
    }
}

impl fmt::Debug for MixtureComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MixtureComponent")
            .field("source", &self.source.name())
            .field("weight", &self.weight)
            .field("image_set", &self.image_set)
            .field("coco_image_set", &self.coco_image_set)
            .field("keep_boxes", &self.keep_boxes)
            .finish()
    }
}

/// The weighted concatenation of several sources.
///
/// A key is the hash of the component's `image_set` and the source's key (or `coco_image_set` and the COCO id), so that
/// image sets with overlapping ids do not collide.
#[derive(Debug, Clone)]
pub struct Mixture {
    components: Vec<MixtureComponent>,
    /// Index of the first sample of each component, and the length.
    starts: Vec<usize>,
    /// At least one.
    label_spaces: Vec<LabelSpace>,
    /// For each label space of each component its index in `label_spaces`.
    space_indices: Vec<Vec<usize>>,
    name: String,
}

impl Mixture {
    /// A mixture of `components`, in this order.
    ///
    /// # Errors
    /// [`DataError::Config`] if there is no component, a weight is not above 0, or two components keep boxes of the same
    /// classes in different orders.
    pub fn new(
        components: Vec<MixtureComponent>,
        name: impl Into<String>,
    ) -> Result<Self, DataError> {
        let config_error = |field, reason| Err(DataError::Config { field, reason });
        if components.is_empty() {
            return config_error("mixture", "it has no components".into());
        }
        let (mut label_spaces, mut space_indices) = (vec![], vec![]);
        let mut starts = vec![0];
        for component in &components {
            let name = component.source.name();
            let len = component.source.len() as f64 * component.weight;
            if !(component.weight > 0.0 && len <= 1e12) {
                let weight = component.weight;
                let reason = format!("{weight} of {name}; it must be above 0, and finite");
                return config_error("mixture.weight", reason);
            }
            starts.push(starts.last().copied().unwrap_or_default() + len.round() as usize);
            let spaces = match component.keep_boxes {
                true => component.source.label_spaces(),
                false => &[],
            };
            let indices = spaces
                .iter()
                .map(|space| index_or_push(&mut label_spaces, space));
            let indices: Result<Vec<usize>, String> = indices.collect();
            match indices {
                Ok(indices) => space_indices.push(indices),
                Err(reason) => return config_error("mixture", reason),
            }
        }
        if label_spaces.is_empty() {
            label_spaces.push(LabelSpace::default());
        }
        Ok(Self {
            label_spaces,
            space_indices,
            starts,
            name: name.into(),
            components,
        })
    }

    /// The component of a sample and the sample's index in it; `None` if `index` is out of range.
    pub fn locate(&self, index: usize) -> Option<(usize, usize)> {
        // The first start is 0, so the partition point is at least 1.
        let component = self.starts.partition_point(|&start| start <= index) - 1;
        let end = *self.starts.get(component + 1)?;
        let (start, inner_len) = (
            self.starts[component],
            self.components[component].source.len(),
        );
        // Whole rounds over the component first, then `remainder` evenly spaced samples.
        let (count, offset) = (end - start, index - start);
        let (rounds, remainder) = (count / inner_len, count % inner_len);
        let inner_index = if offset < rounds * inner_len {
            offset % inner_len
        } else {
            let rest = (offset - rounds * inner_len) as u128;
            (rest * inner_len as u128 / remainder.max(1) as u128) as usize
        };
        Some((component, inner_index))
    }

    fn component(&self, index: usize) -> Result<(&MixtureComponent, usize), DataError> {
        match self.locate(index) {
            Some((component, inner_index)) => Ok((&self.components[component], inner_index)),
            None => Err(DataError::Index {
                name: self.name.clone(),
                index,
                len: self.len(),
            }),
        }
    }
}

/// The index of `space` among `spaces`, to which it is added if it is new, with a name that no other has.
///
/// # Errors
/// If one of them has the same classes in another order.
fn index_or_push(spaces: &mut Vec<LabelSpace>, space: &LabelSpace) -> Result<usize, String> {
    // Without classes there are no boxes.
    if space.classes.is_empty() {
        return Ok(0);
    }
    if let Some(index) = spaces.iter().position(|other| other.same_names(space)) {
        return Ok(index);
    }
    let sorted = |space: &LabelSpace| {
        let mut classes = space.classes.clone();
        classes.sort_unstable();
        classes
    };
    let permuted =
        |other: &&LabelSpace| other.classes != space.classes && sorted(other) == sorted(space);
    if let Some(other) = spaces.iter().find(permuted) {
        return Err(format!(
            "{} and {} have the same classes in different orders; use one order, or leave out the boxes of one of them",
            other.name, space.name
        ));
    }
    let is_free = |name: &String| spaces.iter().all(|other| other.name != *name);
    let numbered = (2..).map(|number| format!("{}-{number}", space.name));
    let mut names = std::iter::once(space.name.clone()).chain(numbered);
    let name = names.find(is_free).unwrap_or_default();
    spaces.push(LabelSpace {
        name,
        ..space.clone()
    });
    Ok(spaces.len() - 1)
}

impl Source for Mixture {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    fn labels(&self) -> &LabelSpace {
        &self.label_spaces[0]
    }

    fn label_spaces(&self) -> &[LabelSpace] {
        &self.label_spaces
    }

    fn label_space(&self, index: usize) -> usize {
        let Some((component, inner_index)) = self.locate(index) else {
            return 0;
        };
        let inner_space = self.components[component].source.label_space(inner_index);
        let indices = &self.space_indices[component];
        indices.get(inner_space).copied().unwrap_or_default()
    }

    fn inner(&self, index: usize) -> Option<(&dyn Source, usize)> {
        let (component, inner_index) = self.component(index).ok()?;
        Some((component.source.as_ref(), inner_index))
    }

    fn key(&self, index: usize) -> u64 {
        self.component(index)
            .map_or(0, |(component, inner_index)| component.key(inner_index))
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        let (component, inner_index) = self.component(index)?;
        if !component.keep_boxes {
            return Ok(None);
        }
        component.source.objects(inner_index)
    }

    fn annotated_objects(&self, index: usize) -> Result<Option<Vec<AnnotatedObject>>, DataError> {
        let (component, inner_index) = self.component(index)?;
        match component.keep_boxes {
            true => component.source.annotated_objects(inner_index),
            false => Ok(None),
        }
    }

    fn block_starts(&self) -> Vec<usize> {
        let components = self.components.iter();
        let block_starts: Vec<_> = components.map(|c| c.source.block_starts()).collect();
        if block_starts.iter().all(Vec::is_empty) {
            return Vec::new();
        }
        let mut mixture_starts = Vec::new();
        for (block_starts, ends) in block_starts.iter().zip(self.starts.windows(2)) {
            let (start, end) = (ends[0], ends[1]);
            if block_starts.is_empty() {
                mixture_starts.extend((start..end).step_by(BLOCK_SAMPLES));
                continue;
            }
            let inner_indices = (start..end).filter_map(|index| Some(self.locate(index)?.1));
            let starts = wrapped_block_starts(block_starts, inner_indices);
            mixture_starts.extend(starts.into_iter().map(|index| start + index));
        }
        mixture_starts
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let (component, inner_index) = self.component(index)?;
        let sample = component.source.load(inner_index)?;
        Ok(Sample {
            key: component.key(inner_index),
            objects: sample.objects.filter(|_| component.keep_boxes),
            ..sample
        })
    }
}
