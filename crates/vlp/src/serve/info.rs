//! What a run is and can do.

use vlp_data::ResizeRule;
use vlp_serve::{CaptionDefaults, Head, LabelSpaceInfo, ModelInfo, SizeRule};

use crate::config::ModelConfig;
use crate::predict::{has_detection, reads_premise};
use crate::run::TrainedModel;

pub(super) fn model_info(trained: &TrainedModel, name: String, device: &str) -> ModelInfo {
    let config = &trained.config;
    let objectives = trained.model().objectives();
    let codes = config.model.quantizer().map_or(0, |q| q.dictionary.codes);
    let has_detection = has_detection(trained);
    let heads = [
        (Head::Detect, has_detection),
        (Head::Caption, objectives.caption.is_some()),
        (Head::Answer, objectives.vqa.is_some()),
        (Head::Match, objectives.itm.is_some()),
        (Head::Statement, objectives.nlvr2.is_some()),
        (Head::Entail, objectives.snli_ve.is_some()),
        (Head::Attention, true),
        (Head::Codes, codes > 0),
        (Head::Features, true),
    ];
    let label_spaces = trained.vocabulary.label_spaces.iter();
    let label_spaces = label_spaces.filter(|_| has_detection);
    let label_spaces = label_spaces.map(|labels| LabelSpaceInfo {
        name: labels.name.clone(),
        classes: labels.classes.clone(),
        attributes: labels.attributes.clone(),
    });
    let caption = config.objectives.caption.as_ref();
    let detection = config.objectives.detection.as_ref();
    let rule = config.data.eval_resize.as_ref();
    ModelInfo {
        name,
        system: match &config.model {
            ModelConfig::E2eVlp(_) => "e2e-vlp",
            ModelConfig::Soho(_) => "soho",
        },
        preset: config.preset.clone(),
        step: trained.step,
        device: device.into(),
        heads: heads
            .into_iter()
            .filter_map(|(head, is_there)| is_there.then_some(head))
            .collect(),
        label_spaces: label_spaces.collect(),
        answers: match objectives.vqa {
            Some(_) => trained.vocabulary.answers.clone(),
            None => vec![],
        },
        premise: reads_premise(trained),
        codes,
        queries: detection
            .filter(|_| has_detection)
            .map_or(0, |detection| detection.num_queries),
        image_size: size_rule(rule.unwrap_or(&config.data.resize)),
        max_text_tokens: config.data.max_text_len,
        caption: caption.map(|caption| CaptionDefaults {
            num_beams: caption.num_beams,
            length_penalty: caption.length_penalty,
            min_new_tokens: caption.min_new_tokens,
            max_new_tokens: caption.max_new_tokens,
            no_repeat_ngram_size: caption.no_repeat_ngram_size,
        }),
        // Until it gets one.
        search: None,
    }
}

fn size_rule(rule: &ResizeRule) -> SizeRule {
    let (rule, [max_width, max_height]) = match rule {
        ResizeRule::Detr { short, max } => {
            let short = short.first().copied().unwrap_or_default();
            (
                format!("short side {short}, long side at most {max} pixels"),
                [*max; 2],
            )
        }
        ResizeRule::Soho { short, max } => (
            format!("short side at most {short}, long side at most {max} pixels"),
            [*max; 2],
        ),
        ResizeRule::Exact { width, height } => {
            (format!("{width} x {height} pixels"), [*width, *height])
        }
        ResizeRule::Square { side } => (format!("{side} x {side} pixels"), [*side; 2]),
        ResizeRule::Within { side } => (format!("long side at most {side} pixels"), [*side; 2]),
        ResizeRule::Keep => ("as it is".into(), [0; 2]),
    };
    SizeRule {
        rule,
        max_width,
        max_height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_words() {
        let rule = size_rule(&ResizeRule::Detr {
            short: vec![800],
            max: 1333,
        });
        assert_eq!(rule.rule, "short side 800, long side at most 1333 pixels");
        assert_eq!((rule.max_width, rule.max_height), (1333, 1333));
        assert_eq!(size_rule(&ResizeRule::Keep).max_width, 0);
    }
}
