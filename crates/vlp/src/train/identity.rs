//! Properties that must be equal in all processes of a run.

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::device;
use crate::error::VlpError;

/// Number of evenly spaced samples whose ids are compared.
const COMPARED_SAMPLES: usize = 1024;

/// Version, configuration, data, tokenizer and machine of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    version: String,
    config: String,
    /// Name, number of samples, class names and some image ids of training and validation data.
    data: Vec<(String, usize, Vec<u64>)>,
    labels: String,
    tokenizer: String,
    device: String,
    simd: String,
    threads: usize,
}

impl Identity {
    pub(super) fn new(config: &RunConfig, data: &Datasets, device: &str) -> Result<Self, VlpError> {
        let sources = [&data.train, &data.validation].map(|source| {
            let step = source.len().div_ceil(COMPARED_SAMPLES).max(1);
            let keys = (0..source.len())
                .step_by(step)
                .map(|index| source.key(index));
            (source.name().to_owned(), source.len(), keys.collect())
        });
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            config: config.fingerprint()?,
            data: sources.into(),
            labels: format!("{:?}", data.label_spaces),
            tokenizer: data.tokenizer.sha256(),
            device: device.into(),
            simd: device::simd_level().to_string(),
            threads: device::threads(),
        })
    }
}

/// Checks that all processes train the same model on the same data. Returns warnings about different machines.
///
/// # Errors
/// [`VlpError::Config`] that names what differs, and in which process.
pub(super) fn check_identities(identities: &[Identity]) -> Result<Vec<String>, VlpError> {
    let Some(first) = identities.first() else {
        return Ok(vec![]);
    };
    let mut warnings = vec![];
    for (rank, identity) in identities.iter().enumerate() {
        let differences = [
            (
                "a different version of vlp",
                identity.version != first.version,
            ),
            ("a different configuration", identity.config != first.config),
            ("different data", identity.data != first.data),
            ("different classes", identity.labels != first.labels),
            (
                "a different tokenizer",
                identity.tokenizer != first.tokenizer,
            ),
            ("a different device", identity.device != first.device),
        ];
        if let Some((difference, _)) = differences.iter().find(|(_, differs)| *differs) {
            return Err(VlpError::Config(format!(
                "rank {rank} has {difference} from rank 0: it must be the same in all processes"
            )));
        }
        if identity.simd != first.simd {
            warnings.push(format!(
                "warning: rank {rank} computes with {}, rank 0 with {}: results depend on which process computes a micro-batch",
                identity.simd, first.simd
            ));
        }
    }
    Ok(warnings)
}

/// The line about several processes.
pub(super) fn describe(identities: &[Identity]) -> Option<String> {
    let threads = identities
        .iter()
        .map(|identity| identity.threads.to_string());
    let threads: Vec<String> = threads.collect();
    let count = identities.len();
    (count > 1).then(|| format!("{count} processes, with {} threads", threads.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn identity() -> Identity {
        Identity {
            version: "1".into(),
            config: "a".into(),
            data: vec![("scenes".into(), 8, vec![1, 2])],
            labels: "shapes".into(),
            tokenizer: "b".into(),
            device: "flex".into(),
            simd: "avx2".into(),
            threads: 2,
        }
    }

    #[test]
    fn differences_name_the_rank() {
        type Change = fn(&mut Identity);
        let changes: [(Change, &str); 3] = [
            (
                |other| other.config = "c".into(),
                "a different configuration",
            ),
            (|other| other.data[0].1 = 9, "different data"),
            (|other| other.data[0].2[1] = 3, "different data"),
        ];
        for (change, expected) in changes {
            let mut identities = vec![identity(); 3];
            change(&mut identities[2]);
            let message = check_identities(&identities).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("rank 2 has {expected}")),
                "{message}"
            );
        }
        let mut identities = vec![identity(); 2];
        (identities[1].simd, identities[1].threads) = ("avx512".into(), 4);
        let warnings = check_identities(&identities).unwrap();
        assert!(
            warnings[0].contains("rank 1 computes with avx512"),
            "{warnings:?}"
        );
        let line = describe(&identities).unwrap();
        assert_eq!(line, "2 processes, with 2, 4 threads");
        assert_eq!(describe(&identities[..1]), None);
    }
}
