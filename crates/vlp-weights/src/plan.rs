//! What of a file goes where, known before any value is read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use crate::arrange::{Fit, expected};
use crate::error::{Misfit, WeightsError};
use crate::file::{TensorInfo, WeightsFile};
use crate::map::{Convention, Source};

/// A parameter that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Path of the parameter.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Name of the tensor in the file.
    pub tensor: String,
    /// What becomes of it.
    pub source: Source,
}

/// Every parameter of a module and every tensor of a file, each in exactly one of these lists.
///
/// Tensors are named as in the file. Values are read by [`WeightsFile::take`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Convention that the names follow.
    pub convention: Convention,
    /// Parameters that the file holds.
    pub taken: Vec<Take>,
    /// Tensors that do not fit their parameter: a vocabulary of another size, say.
    pub misfits: Vec<Misfit>,
    /// Parameters that such a checkpoint holds but this file does not, with the tensor that was looked for.
    pub missing: Vec<(String, String)>,
    /// Parameters that such checkpoints do not have; they stay as they are.
    pub untouched: Vec<String>,
    /// Tensors left aside on purpose, with the reason.
    pub unused: Vec<(String, &'static str)>,
    /// Tensors of layers or heads that such checkpoints have and this module has not.
    pub surplus: Vec<String>,
    /// Tensors that the convention does not know.
    pub unknown: Vec<String>,
}

impl Plan {
    /// Finds the tensor of every parameter, given with its shape, such as
    /// `("model.encoder.layers.0.attention.query.weight", [768, 768])`.
    pub fn new(
        convention: Convention,
        file: &WeightsFile,
        parameters: impl IntoIterator<Item = (String, Vec<usize>)>,
    ) -> Self {
        let mut plan = Self {
            convention,
            taken: vec![],
            misfits: vec![],
            missing: vec![],
            untouched: vec![],
            unused: vec![],
            surplus: vec![],
            unknown: vec![],
        };
        // Name in the file, and whether a parameter was looked for there.
        let mut tensors: BTreeMap<String, (&str, &TensorInfo, bool)> = BTreeMap::new();
        for (name, info) in file.tensors() {
            match tensors.entry(convention.canonical(name)) {
                Entry::Vacant(place) => {
                    place.insert((name, info, false));
                }
                // Two spellings of one name: the file holds two models.
                Entry::Occupied(_) => plan.unknown.push(name.to_owned()),
            }
        }
        for (path, shape) in parameters {
            let Some(source) = convention.source(&path) else {
                plan.untouched.push(path);
                continue;
            };
            let twin = convention.twin(&source.name);
            let present = |name: &&str| tensors.contains_key(*name);
            let name = Some(source.name.as_str())
                .filter(present)
                .or(twin.filter(present));
            let place = name
                .map(str::to_owned)
                .and_then(|name| tensors.get_mut(&name));
            let Some((tensor, info, used)) = place else {
                plan.missing.push((path, source.name));
                continue;
            };
            *used = true;
            let take = Take {
                path,
                shape,
                tensor: (*tensor).to_owned(),
                source,
            };
            match file.fit(info, &take) {
                Ok(_) => plan.taken.push(take),
                Err(misfit) => plan.misfits.push(*misfit),
            }
        }
        let known = convention.patterns();
        for (canonical, (name, _, used)) in tensors {
            let name = name.to_owned();
            if used {
                continue;
            }
            if let Some(reason) = convention.unused(&canonical) {
                plan.unused.push((name, reason));
            } else if known.contains(&Convention::pattern(&canonical)) {
                plan.surplus.push(name);
            } else {
                plan.unknown.push(name);
            }
        }
        plan
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} parameters from the file, {} do not fit, {} missing, {} untouched; of the file's other tensors {} \
             unused, {} for parts that are not there, {} unknown",
            self.convention,
            self.taken.len(),
            self.misfits.len(),
            self.missing.len(),
            self.untouched.len(),
            self.unused.len(),
            self.surplus.len(),
            self.unknown.len()
        )
    }
}

impl WeightsFile {
    /// Values of a parameter, row-major in its own shape: cut out and transposed as its source says.
    ///
    /// # Errors
    /// [`WeightsError::Shape`] with both shapes and what would fit; as [`WeightsFile::f32`].
    pub fn take(&self, take: &Take) -> Result<Vec<f32>, WeightsError> {
        let fit = self.fit(self.info(&take.tensor)?, take)?;
        Ok(fit.arrange(&self.f32(&take.tensor)?))
    }

    fn fit(&self, info: &TensorInfo, take: &Take) -> Result<Fit, Box<Misfit>> {
        Fit::new(&take.source, &info.shape, &take.shape).ok_or_else(|| {
            Box::new(Misfit {
                path: self.path().into(),
                tensor: take.tensor.clone(),
                dtype: info.dtype,
                found: info.shape.clone(),
                parameter: take.path.clone(),
                wanted: take.shape.clone(),
                expected: expected(&take.source, &take.shape),
            })
        })
    }
}
