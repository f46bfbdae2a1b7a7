//! What the `config.json` beside a checkpoint of Hugging Face says that its tensors do not.

use std::path::Path;

use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::VlpError;

/// How `model` differs from the one that the weights in `file` were trained in, in words; nothing where no
/// configuration of a BERT or a DETR stands beside it.
///
/// # Errors
/// [`VlpError::Config`] for another number of heads: the same tensors, cut otherwise, compute something else.
pub(crate) fn check(file: &Path, model: &ModelConfig) -> Result<Vec<String>, VlpError> {
    let beside = file.with_file_name("config.json");
    let theirs: Value = match std::fs::read(&beside) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let (width, heads, activation) = match theirs["model_type"].as_str() {
        Some("bert") => ("hidden_size", "num_attention_heads", "hidden_act"),
        Some("detr") => ("d_model", "encoder_attention_heads", "activation_function"),
        _ => return Ok(vec![]),
    };
    let own = model.heads();
    // Weights of another width fit nowhere, which the import says.
    if theirs[width] == model.d_model()
        && let Some(heads) = theirs[heads].as_u64()
        && heads != own as u64
    {
        return Err(VlpError::Config(format!(
            "weights {}: {} says {heads} attention heads, model.heads is {own}; set model.heads={heads}",
            file.display(),
            beside.display()
        )));
    }
    let mut notes = vec![];
    let mut differs = |what: String| {
        let shown = file.display();
        notes.push(format!(
            "weights {shown}: a start for training, which does not give the outputs of their own model: {what}"
        ));
    };
    let layers = match model {
        ModelConfig::E2eVlp(_) => "relu",
        ModelConfig::Soho(_) => "gelu",
    };
    if let Some(activation) = theirs[activation].as_str()
        && activation != layers
    {
        differs(format!(
            "its activation is {activation}, that of the encoder here {layers}"
        ));
    }
    let dilates = model.backbone().dilate_last;
    if let Some(dilation) = theirs["dilation"].as_bool()
        && dilation != dilates
    {
        differs(format!(
            "its dilation is {dilation}, model.backbone.dilate_last {dilates}"
        ));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::{Sources, resolve};

    /// The check of a file beside `config` for a preset with 128 or 256 wide tokens.
    fn checked(preset: &str, config: &str) -> Result<Vec<String>, VlpError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let sources = Sources {
            preset: Some(preset.into()),
            ..Sources::default()
        };
        let model = resolve(&sources).unwrap().model;
        check(&folder.path().join("model.safetensors"), &model)
    }

    #[test]
    fn other_heads_are_an_error() {
        let bert = |heads| {
            let sizes = format!(r#""hidden_size": 128, "num_attention_heads": {heads}"#);
            let config = format!(r#"{{"model_type": "bert", {sizes}, "hidden_act": "gelu"}}"#);
            checked("soho-tiny", &config)
        };
        assert_eq!(bert(4).unwrap(), Vec::<String>::new());
        let message = bert(2).unwrap_err().to_string();
        assert!(
            message.ends_with("says 2 attention heads, model.heads is 4; set model.heads=2"),
            "{message}"
        );
    }

    #[test]
    fn other_layers_are_noted() {
        let detr = |dilation| {
            let sizes = r#""d_model": 256, "encoder_attention_heads": 8"#;
            let habits = format!(r#""activation_function": "relu", "dilation": {dilation}"#);
            let config = format!(r#"{{"model_type": "detr", {sizes}, {habits}}}"#);
            checked("e2e-vlp-r50", &config).unwrap()
        };
        assert_eq!(detr(false), Vec::<String>::new());
        let note = &detr(true)[0];
        assert!(note.ends_with("its dilation is true, model.backbone.dilate_last false"));
        // Of another width: that is for the import to say.
        let bert = r#"{"model_type": "bert", "hidden_size": 768, "num_attention_heads": 12, "hidden_act": "gelu"}"#;
        let notes = checked("e2e-vlp-r50", bert).unwrap();
        assert!(notes[0].ends_with("its activation is gelu, that of the encoder here relu"));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn other_files_say_nothing() {
        for config in [
            "",
            "[]",
            r#"{"model_type": "vlp-soho", "hidden_act": "relu"}"#,
        ] {
            assert_eq!(checked("soho-tiny", config).unwrap(), Vec::<String>::new());
        }
    }
}
