//! A message about a backbone that stays at random weights.

use std::path::PathBuf;

use vlp_vision::NormMode;
use vlp_weights::{CheckpointLayout, WeightsFile};

use crate::config::RunConfig;

/// A message if parts of the backbone are frozen, and neither `weights` nor `from` has trained ones.
pub(super) fn frozen_at_random(config: &RunConfig) -> Option<String> {
    let backbone = config.model.backbone();
    let norm =
        (backbone.norm == NormMode::Frozen).then(|| "model.backbone.norm = \"frozen\"".into());
    let stages = backbone.frozen_stages;
    let stages = (stages > 0).then(|| format!("model.backbone.frozen_stages = {stages}"));
    let frozen: Vec<String> = norm.into_iter().chain(stages).collect();
    if frozen.is_empty() || config.from.is_some() || config.weights.iter().any(has_backbone) {
        return None;
    }
    Some(format!(
        "the backbone starts from random weights, of which {} leaves some as they are: start from a trained ResNet with --weights FILE, or train all of it with --set model.backbone.norm=trained --set model.backbone.frozen_stages=0",
        frozen.join(" and ")
    ))
}

/// Whether a checkpoint of another project has a ResNet; so has one that is gone, as of a resumed run.
fn has_backbone(file: &PathBuf) -> bool {
    let layout = WeightsFile::open(file).and_then(|file| file.detect_layout());
    !matches!(layout, Ok(CheckpointLayout::HfBert))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::config::{Sources, resolve};

    #[test]
    fn message_names_what_stays_random() {
        let message = |preset: &str, weights: &[&str], set: &[&str]| {
            let sources = Sources {
                preset: Some(preset.into()),
                set: set.iter().map(|entry| entry.to_string()).collect(),
                ..Sources::default()
            };
            let mut config = resolve(&sources).unwrap();
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
            config.weights = weights.iter().map(|file| fixtures.join(file)).collect();
            frozen_at_random(&config).unwrap_or_default()
        };
        let (bert, resnet) = (
            "bert_small.weights.safetensors",
            "resnet18_small.weights.pth",
        );
        for preset in ["e2e-vlp-r50", "soho-paper"] {
            for weights in [&[][..], &[bert]] {
                let message = message(preset, weights, &[]);
                let parts = [
                    "norm = \"frozen\" and ",
                    "frozen_stages = 2",
                    "--weights FILE",
                ];
                assert!(parts.iter().all(|part| message.contains(part)), "{message}");
            }
            assert_eq!(message(preset, &[bert, resnet], &[]), "");
            assert_eq!(message(preset, &[], &["from=run"]), "");
        }
        let stages = message("soho-official-r18", &[], &[]);
        assert!(!stages.contains("\"frozen\"") && stages.contains("frozen_stages = 2"));
        for preset in ["e2e-vlp-tiny", "soho-tiny"] {
            assert_eq!(message(preset, &[], &[]), "");
        }
    }
}
