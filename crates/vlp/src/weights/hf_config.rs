//! Differences between a model and the Hugging Face `config.json` next to a checkpoint that tensor shapes do not show.

use std::path::Path;

use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::VlpError;

/// Messages about the differences between `model` and the `config.json` of a BERT or a DETR in the folder of `file`; none
/// without one.
///
/// # Errors
/// [`VlpError::Config`] for another number of attention heads: the shapes are the same, but the results are wrong.
pub(crate) fn check_hf_config(file: &Path, model: &ModelConfig) -> Result<Vec<String>, VlpError> {
    let config_file = file.with_file_name("config.json");
    let config: Value = match std::fs::read(&config_file) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let (width_key, heads_key, activation_key) = match config["model_type"].as_str() {
        Some("bert") => ("hidden_size", "num_attention_heads", "hidden_act"),
        Some("detr") => ("d_model", "encoder_attention_heads", "activation_function"),
        _ => return Ok(vec![]),
    };
    let n_heads = model.n_heads();
    // The import reports tensors of another width.
    if config[width_key] == model.d_model()
        && let Some(heads) = config[heads_key].as_u64()
        && heads != n_heads as u64
    {
        return Err(VlpError::Config(format!(
            "weights {}: {} says {heads} attention heads, model.n_heads is {n_heads}; set model.n_heads={heads}",
            file.display(),
            config_file.display()
        )));
    }
    let mut notes = vec![];
    let mut note = |difference: String| {
        let shown = file.display();
        notes.push(format!(
            "weights {shown}: usable as initial weights, but outputs differ from those of their own model: {difference}"
        ));
    };
    let encoder_activation = match model {
        ModelConfig::E2eVlp(_) => "relu",
        ModelConfig::Soho(_) => "gelu",
    };
    if let Some(activation) = config[activation_key].as_str()
        && activation != encoder_activation
    {
        note(format!(
            "its activation is {activation}, the encoder of this model has {encoder_activation}"
        ));
    }
    let dilate_last = model.backbone().dilate_last;
    if let Some(dilation) = config["dilation"].as_bool()
        && dilation != dilate_last
    {
        note(format!(
            "its dilation is {dilation}, but model.backbone.dilate_last is {dilate_last}"
        ));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::{Sources, resolve};

    /// Checks a file with `config` next to it against the model of a preset.
    fn check(preset: &str, config: &str) -> Result<Vec<String>, VlpError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let sources = Sources {
            preset: Some(preset.into()),
            ..Sources::default()
        };
        let model = resolve(&sources).unwrap().model;
        check_hf_config(&folder.path().join("model.safetensors"), &model)
    }

    #[test]
    fn different_number_of_heads_is_an_error() {
        let bert = |heads| {
            let sizes = format!(r#""hidden_size": 128, "num_attention_heads": {heads}"#);
            let config = format!(r#"{{"model_type": "bert", {sizes}, "hidden_act": "gelu"}}"#);
            check("soho-tiny", &config)
        };
        assert_eq!(bert(4).unwrap(), Vec::<String>::new());
        let message = bert(2).unwrap_err().to_string();
        assert!(
            message.ends_with("says 2 attention heads, model.n_heads is 4; set model.n_heads=2"),
            "{message}"
        );
    }

    #[test]
    fn different_activation_and_dilation_are_noted() {
        let detr = |dilation| {
            let sizes = r#""d_model": 256, "encoder_attention_heads": 8"#;
            let options = format!(r#""activation_function": "relu", "dilation": {dilation}"#);
            let config = format!(r#"{{"model_type": "detr", {sizes}, {options}}}"#);
            check("e2e-vlp-r50", &config).unwrap()
        };
        assert_eq!(detr(false), Vec::<String>::new());
        let note = &detr(true)[0];
        assert!(note.ends_with("its dilation is true, but model.backbone.dilate_last is false"));
        // Another width is not checked here.
        let bert = r#"{"model_type": "bert", "hidden_size": 768, "num_attention_heads": 12, "hidden_act": "gelu"}"#;
        let notes = check("e2e-vlp-r50", bert).unwrap();
        assert!(notes[0].ends_with("its activation is gelu, the encoder of this model has relu"));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn other_json_files_are_ignored() {
        for config in [
            "",
            "[]",
            r#"{"model_type": "vlp-soho", "hidden_act": "relu"}"#,
        ] {
            assert_eq!(check("soho-tiny", config).unwrap(), Vec::<String>::new());
        }
    }
}
