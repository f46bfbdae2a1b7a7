//! Detection of the layout from all tensor names of a file.

use std::collections::BTreeSet;

use super::CheckpointLayout;
use crate::error::WeightsError;
use crate::weights_file::WeightsFile;

/// How well the names of a file fit a layout.
struct Fit {
    layout: CheckpointLayout,
    /// Number of tensors that correspond to a parameter.
    matches: usize,
    /// Why the names do not fit; `None` if they do.
    problem: Option<String>,
}

impl Fit {
    fn new(layout: CheckpointLayout, file: &WeightsFile) -> Self {
        let patterns = layout.patterns();
        let (mut canonical_names, mut matches, mut problem) = (BTreeSet::new(), 0, None);
        for name in file.names() {
            let canonical = layout.canonical_name(name);
            let has_parameter = patterns.contains(&CheckpointLayout::pattern(&canonical));
            matches += usize::from(has_parameter);
            if problem.is_some() {
                continue;
            }
            if !has_parameter && layout.unused_reason(&canonical).is_none() {
                problem = Some(format!("has no tensor {name:?}"));
            } else if !canonical_names.insert(canonical) {
                problem = Some(format!("has {name:?} once, under another spelling"));
            }
        }
        let is_missing = |name: &&&str| {
            let alias = layout.alias(name);
            !canonical_names.contains(**name)
                && !alias.is_some_and(|alias| canonical_names.contains(alias))
        };
        let missing = || layout.required_names().iter().find(is_missing);
        let problem =
            problem.or_else(|| missing().map(|name| format!("requires a tensor {name:?}")));
        Self {
            layout,
            matches,
            problem,
        }
    }
}

impl WeightsFile {
    /// The layout that the names fit as a whole: the required tensors are there, and every other one corresponds to a
    /// parameter or has an [`unused_reason`](CheckpointLayout::unused_reason).
    ///
    /// # Errors
    /// [`WeightsError::UnknownNames`] with the first name that does not fit.
    pub fn detect_layout(&self) -> Result<CheckpointLayout, WeightsError> {
        let fits = CheckpointLayout::ALL.map(|layout| Fit::new(layout, self));
        if let Some(fit) = fits.iter().find(|fit| fit.problem.is_none()) {
            return Ok(fit.layout);
        }
        let nearest = fits.iter().max_by_key(|fit| fit.matches);
        let nearest = nearest.filter(|fit| fit.matches > 0);
        let reason = match (nearest, self.names().next()) {
            (Some(fit), _) => {
                let problem = fit.problem.as_deref().unwrap_or_default();
                format!("the nearest, {}, {problem}", fit.layout)
            }
            (None, Some(name)) => format!("the first name is {name:?}"),
            (None, None) => "it has no tensors".into(),
        };
        Err(WeightsError::UnknownNames {
            path: self.path().into(),
            layouts: CheckpointLayout::names(),
            reason,
        })
    }
}
