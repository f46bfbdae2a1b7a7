//! Label spaces of training and validation data.

use std::collections::BTreeSet;
use std::sync::Arc;

use vlp_data::{LabelSpace, Source, Subset};

use crate::config::RunConfig;
use crate::error::VlpError;

/// Whether these are the same classes and attributes, in the same order; names and ids of the label spaces may differ.
pub(crate) fn have_same_names(spaces: &[LabelSpace], others: &[LabelSpace]) -> bool {
    let mut pairs = spaces.iter().zip(others);
    spaces.len() == others.len() && pairs.all(|(space, other)| space.same_names(other))
}

/// The label spaces, if detection reads them. Without detection no message about other classes is wanted.
pub(super) fn read_label_spaces<'a>(
    config: &RunConfig,
    spaces: &'a [LabelSpace],
) -> &'a [LabelSpace] {
    let has_classes = spaces.iter().any(|space| !space.classes.is_empty());
    match config.objectives.detection.is_some() && has_classes {
        true => spaces,
        false => &[],
    }
}

/// The samples of a source of several label spaces in turn, so that the first ones, which are evaluated, are of all of them.
pub(super) fn alternate(
    source: Arc<dyn Source>,
    label_spaces: usize,
) -> Result<Arc<dyn Source>, VlpError> {
    if label_spaces < 2 {
        return Ok(source);
    }
    let mut of_spaces = vec![vec![]; label_spaces];
    for index in 0..source.len() {
        of_spaces[source.label_space(index)].push(index);
    }
    let rounds = of_spaces.iter().map(Vec::len).max().unwrap_or_default();
    let round = |round| of_spaces.iter().filter_map(move |space| space.get(round));
    let indices = (0..rounds).flat_map(round).copied().collect();
    let name = source.name().to_owned();
    Ok(Arc::new(Subset::new(source, indices, name)?))
}

/// What a run with several class heads says at its start.
pub(super) fn label_space_notes(
    config: &RunConfig,
    label_spaces: &[LabelSpace],
    validation: &dyn Source,
) -> Vec<String> {
    if label_spaces.len() == 1 || config.objectives.detection.is_none() {
        return vec![];
    }
    let sizes = label_spaces.iter().map(|space| {
        let (classes, attributes) = (space.classes.len(), space.attributes.len());
        match attributes {
            0 => format!("{} ({classes} classes)", space.name),
            _ => format!(
                "{} ({classes} classes, {attributes} attributes)",
                space.name
            ),
        }
    });
    let sizes = sizes.collect::<Vec<_>>().join(", ");
    let mut notes = vec![format!("detection has a class head for each of {sizes}")];
    let validated = (0..validation.len()).map(|index| validation.label_space(index));
    let validated: BTreeSet<usize> = validated.collect();
    for (index, space) in label_spaces.iter().enumerate() {
        if !validated.contains(&index) {
            notes.push(format!(
                "no validation image has boxes of the label space {}: its metrics have no values",
                space.name
            ));
        }
    }
    notes
}
