//! Predictions as the server's answers.

use vlp_objectives::{CaptioningConfig, ObjectiveError};
use vlp_serve::{
    Answer, Attribute, Caption, CaptionMethod, Entailment, JointTensors, ModelError, Object,
    Tensor, TextAttention, WordAttention,
};
use vlp_transformer::Sampling;

use crate::error::VlpError;
use crate::predict::{self, AttentionMap, CaptionOptions, FeatureArray};

pub(super) fn error(error: VlpError) -> ModelError {
    match error {
        VlpError::Objective(ObjectiveError::Vision(error)) => ModelError::Image(error.to_string()),
        VlpError::Data(error) => ModelError::Image(error.to_string()),
        error => ModelError::Failed(error.to_string()),
    }
}

pub(super) fn object(object: predict::Object) -> Object {
    let attributes = object.attributes.into_iter();
    Object {
        query: object.query,
        class: object.class,
        score: object.score,
        bbox: object.bbox,
        attributes: attributes
            .map(|(name, probability)| Attribute { name, probability })
            .collect(),
    }
}

pub(super) fn caption(caption: predict::Caption) -> Caption {
    Caption {
        text: caption.text,
        score: caption.log_probability,
    }
}

pub(super) fn answers(answers: predict::Answers) -> Vec<Answer> {
    let answers = answers.into_iter();
    answers
        .map(|(answer, probability)| Answer {
            answer,
            probability,
        })
        .collect()
}

pub(super) fn entailment(probabilities: predict::EntailmentProbabilities) -> Entailment {
    Entailment {
        entailment: probabilities.entailment,
        neutral: probabilities.neutral,
        contradiction: probabilities.contradiction,
    }
}

/// The run's settings with those of a request.
pub(super) fn caption_options(defaults: CaptionOptions, method: &CaptionMethod) -> CaptionOptions {
    let config = defaults.config.clone();
    match *method {
        CaptionMethod::Search {
            num_beams,
            length_penalty,
            min_new_tokens,
            max_new_tokens,
            no_repeat_ngram_size,
        } => CaptionOptions {
            config: config
                .with_num_beams(num_beams)
                .with_length_penalty(length_penalty)
                .with_min_new_tokens(min_new_tokens)
                .with_max_new_tokens(max_new_tokens)
                .with_no_repeat_ngram_size(no_repeat_ngram_size)
                .with_sampling(None),
            ..defaults
        },
        CaptionMethod::Sampling {
            count,
            seed,
            temperature,
            top_p,
            top_k,
            max_new_tokens,
        } => {
            let sampling = Sampling::default()
                .with_temperature(temperature)
                .with_top_p(top_p)
                .with_top_k(top_k);
            let config: CaptioningConfig = config
                .with_max_new_tokens(max_new_tokens)
                .with_sampling(Some(sampling));
            let min_new_tokens = config.min_new_tokens.min(max_new_tokens);
            CaptionOptions {
                config: config.with_min_new_tokens(min_new_tokens),
                count,
                seed,
            }
        }
        _ => defaults,
    }
}

pub(super) fn text_attention(text: &str, maps: Vec<AttentionMap>) -> TextAttention {
    let words = maps.into_iter().map(|map| WordAttention {
        word: map.query,
        weights: map.weights,
    });
    TextAttention {
        text: text.into(),
        words: words.collect(),
    }
}

pub(super) fn tensor(array: FeatureArray) -> Tensor {
    Tensor {
        shape: array.shape,
        values: array.values,
    }
}

pub(super) fn joint(features: predict::JointFeatures) -> JointTensors {
    JointTensors {
        text_tokens: tensor(features.text),
        image_tokens: tensor(features.image),
    }
}
