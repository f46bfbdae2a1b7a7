use crate::{DataError, SkippedRecord, Source};

/// The entry for a sample that failed to load.
pub(crate) fn skipped_sample(
    source: &dyn Source,
    index: usize,
    error: &DataError,
) -> SkippedRecord {
    let file = match error {
        DataError::Io { path, .. }
        | DataError::Missing { path, .. }
        | DataError::Format { path, .. } => path.display().to_string(),
        DataError::Decode { name, .. } | DataError::Limit { name, .. } => name.clone(),
        _ => String::new(),
    };
    SkippedRecord {
        source: source.name().into(),
        file,
        record: sample_name(source, index),
        reason: error.to_string(),
    }
}

/// `sample INDEX, image KEY`.
pub(crate) fn sample_name(source: &dyn Source, index: usize) -> String {
    format!("sample {index}, image {}", source.key(index))
}
