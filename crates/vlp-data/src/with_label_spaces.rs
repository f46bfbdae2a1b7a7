use std::{fmt, sync::Arc};

use crate::{DataError, LabelSpace, Sample, Source};

/// A source that numbers its [label spaces](Source::label_spaces) as a trained model does, which may have more of them.
#[derive(Clone)]
pub struct WithLabelSpaces {
    source: Arc<dyn Source>,
    label_spaces: Vec<LabelSpace>,
    /// For each label space of the source its index in `label_spaces`.
    indices: Vec<usize>,
}

impl WithLabelSpaces {
    /// `source` with these label spaces, among which its own must be, in any order. Their ids are replaced by the source's, so
    /// that results can be compared with its annotations.
    ///
    /// # Errors
    /// [`DataError::Config`] if they do not have one of the source's.
    pub fn new(
        source: Arc<dyn Source>,
        mut label_spaces: Vec<LabelSpace>,
    ) -> Result<Self, DataError> {
        let index = |space: &LabelSpace| {
            // Without classes there are no boxes.
            if space.classes.is_empty() {
                return Ok(0);
            }
            let index = (label_spaces.iter()).position(|other| other.same_names(space));
            index.ok_or_else(|| DataError::Config {
                field: "label_spaces",
                reason: format!("they do not have the classes of {}", source.name()),
            })
        };
        let indices = source.label_spaces().iter().map(index);
        let indices: Vec<usize> = indices.collect::<Result<_, _>>()?;
        if label_spaces.is_empty() {
            return Err(DataError::Config {
                field: "label_spaces",
                reason: "there must be at least one".into(),
            });
        }
        for (&index, space) in indices.iter().zip(source.label_spaces()) {
            if !space.classes.is_empty() {
                label_spaces[index].ids.clone_from(&space.ids);
            }
        }
        Ok(Self {
            source,
            label_spaces,
            indices,
        })
    }
}

impl fmt::Debug for WithLabelSpaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithLabelSpaces")
            .field("source", &self.source.name())
            .field("indices", &self.indices)
            .finish_non_exhaustive()
    }
}

impl Source for WithLabelSpaces {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn labels(&self) -> &LabelSpace {
        &self.label_spaces[0]
    }

    fn label_spaces(&self) -> &[LabelSpace] {
        &self.label_spaces
    }

    fn label_space(&self, index: usize) -> usize {
        let inner_space = self.source.label_space(index);
        self.indices.get(inner_space).copied().unwrap_or_default()
    }

    fn inner(&self, index: usize) -> Option<(&dyn Source, usize)> {
        (index < self.len()).then(|| (self.source.as_ref(), index))
    }

    fn block_starts(&self) -> Vec<usize> {
        self.source.block_starts()
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.source.load(index)
    }
}
