//! `vlp predict`.

use std::path::PathBuf;

use clap::Args;
use vlp::predict::{Request, has_detection, write_folder};
use vlp::{Predictor, VlpError};
use vlp_objectives::{CaptioningConfig, ObjectivesConfig};

use super::common_args::{CheckpointArgs, InferenceArgs};
use super::output::{check_text, one_line, print, warn};

/// A run, images, and what to predict.
#[derive(Args)]
pub(super) struct PredictArgs {
    /// Folder of the run.
    run: PathBuf,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images, or folders of images.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// A question to answer; may be repeated.
    #[arg(long, value_name = "QUESTION")]
    question: Vec<String>,
    /// A text to match; may be repeated.
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// Minimum score of an object, 0 to 1; 0.5 by default.
    #[arg(long, value_name = "SCORE")]
    threshold: Option<f32>,
    /// Detect the classes of this label space of vocabulary.json, which has several if the boxes of the training data have
    /// different classes; those of the first by default.
    #[arg(long, value_name = "NAME")]
    label_space: Option<String>,
    /// Include attention maps of words and objects.
    #[arg(long)]
    attention: bool,
    /// Folder for predictions.json and predictions.html.
    #[arg(long, value_name = "DIR", default_value = "predictions")]
    out: PathBuf,
    #[command(flatten)]
    device: InferenceArgs,
    // Last: its heading applies to all arguments after it.
    #[command(flatten)]
    caption: CaptionArgs,
}

/// Maximum of `--num-beams`.
const MAX_BEAMS: usize = 1000;

/// Options of caption generation; the defaults are those of the run's configuration.
#[derive(Args, Default, PartialEq)]
#[command(next_help_heading = "Captions")]
struct CaptionArgs {
    /// Number of beams; 1 is greedy search.
    #[arg(long, value_name = "N", conflicts_with_all = ["top_p", "top_k", "temperature", "seed"])]
    num_beams: Option<usize>,
    /// Exponent of the length penalty of beam search, which needs at least two beams.
    #[arg(long, value_name = "X")]
    length_penalty: Option<f64>,
    /// Minimum number of generated tokens.
    #[arg(long, value_name = "N")]
    min_new_tokens: Option<usize>,
    /// Maximum number of generated tokens.
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// No n-gram of this size occurs twice.
    #[arg(long, value_name = "N")]
    no_repeat_ngram_size: Option<usize>,
    /// Sample from the most probable tokens whose probabilities sum to this, above 0 and at most 1.
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Sample from this many of the most probable tokens; 0 for all.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Sample with log-probabilities divided by this, above 0.
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Seed of sampling; 0 by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl CaptionArgs {
    /// `config` with the given flags applied, for a model with `max_positions` positions.
    fn apply_to(
        &self,
        config: &CaptioningConfig,
        max_positions: usize,
    ) -> Result<CaptioningConfig, VlpError> {
        let invalid = |flag: &str, value: f64, hint: &str| {
            Err(VlpError::Config(format!("{flag} {value}: {hint}")))
        };
        let mut config = config.clone();
        config.num_beams = self.num_beams.unwrap_or(config.num_beams);
        config.length_penalty = self.length_penalty.unwrap_or(config.length_penalty);
        config.min_new_tokens = self.min_new_tokens.unwrap_or(config.min_new_tokens);
        config.max_new_tokens = self.max_new_tokens.unwrap_or(config.max_new_tokens);
        config.no_repeat_ngram_size =
            (self.no_repeat_ngram_size).unwrap_or(config.no_repeat_ngram_size);
        if self.top_p.is_some() || self.top_k.is_some() || self.temperature.is_some() {
            let mut sampling = config.sampling.unwrap_or_default();
            sampling.top_p = self.top_p.unwrap_or(sampling.top_p);
            sampling.top_k = self.top_k.unwrap_or(sampling.top_k);
            sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
            if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
                return invalid("--top-p", sampling.top_p, "use a value in (0, 1]");
            }
            if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
                return invalid("--temperature", sampling.temperature, "use a value above 0");
            }
            config.sampling = Some(sampling);
        } else if self.num_beams.is_some() {
            config.sampling = None;
        }
        if !(1..=MAX_BEAMS).contains(&config.num_beams) {
            let hint = format!("use 1 (greedy) to {MAX_BEAMS}");
            return invalid("--num-beams", config.num_beams as f64, &hint);
        }
        if self.max_new_tokens == Some(0) {
            return invalid("--max-new-tokens", 0.0, "use at least 1");
        }
        if config.max_new_tokens > max_positions {
            let hint = format!("use at most {max_positions}, the model's positions");
            return invalid("--max-new-tokens", config.max_new_tokens as f64, &hint);
        }
        if let Some(penalty) = self.length_penalty {
            if !penalty.is_finite() {
                return invalid(
                    "--length-penalty",
                    penalty,
                    "use a finite number, such as 1",
                );
            }
            if config.num_beams == 1 || config.sampling.is_some() {
                let hint = "only beam search has one; add --num-beams with at least 2";
                return invalid("--length-penalty", penalty, hint);
            }
        }
        if config.min_new_tokens > config.max_new_tokens {
            let (least, most) = (config.min_new_tokens, config.max_new_tokens);
            let message = format!("--min-new-tokens {least}: more than --max-new-tokens {most}");
            return Err(VlpError::Config(message));
        }
        if self.seed.is_some() && config.sampling.is_none() {
            let message = "--seed: captions are not sampled; use --top-p, --top-k or --temperature";
            return Err(VlpError::Config(message.into()));
        }
        Ok(config)
    }
}

impl PredictArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        for (flag, texts) in [("--question", &self.question), ("--text", &self.text)] {
            texts.iter().try_for_each(|text| check_text(flag, text))?;
        }
        let device = self.device.pick()?;
        let mut model = Predictor::load_checkpoint(&self.run, self.checkpoint.choice, &device)?;
        let has_detection = has_detection(model.trained());
        if let Some(name) = self.label_space.as_ref().filter(|_| has_detection) {
            model = model.with_label_space(name)?;
        }
        let caption = model.trained().config.objectives.caption.as_ref();
        let has_caption_flags = self.caption != CaptionArgs::default();
        for (flags, is_given, has_head) in [
            ("--threshold", self.threshold.is_some(), has_detection),
            ("--label-space", self.label_space.is_some(), has_detection),
            ("caption flags", has_caption_flags, caption.is_some()),
        ] {
            if is_given && !has_head {
                let message = format!("{flags}: this run has no head for them");
                return Err(VlpError::Config(message));
            }
        }
        let has_texts = !(self.question.is_empty() && self.text.is_empty());
        if self.attention && !has_texts && !has_detection && caption.is_none() {
            let message = "--attention: nothing attends to the image; add --question or --text";
            return Err(VlpError::Config(message.into()));
        }
        if !has_texts && !has_detection && caption.is_none() {
            return Err(nothing_to_predict(&model.trained().config.objectives));
        }
        if let Some(threshold) = self.threshold
            && !(0.0..=1.0).contains(&threshold)
        {
            let message = format!("--threshold {threshold}: use a value between 0 and 1");
            return Err(VlpError::Config(message));
        }
        let max_positions = model.trained().config.model.max_positions();
        let request = Request {
            questions: self.question,
            texts: self.text,
            threshold: self.threshold.unwrap_or(0.5),
            caption: caption
                .map(|config| self.caption.apply_to(config, max_positions))
                .transpose()?,
            seed: self.caption.seed.unwrap_or(0),
            attention: self.attention,
        };
        for (flag, texts) in [
            ("--question", &request.questions),
            ("--text", &request.texts),
        ] {
            for text in texts.iter().filter(|text| model.truncates(text)) {
                let most = model.trained().config.data.max_text_len;
                let text = one_line(text);
                warn(format_args!(
                    "note: {flag} {text:?}: its end is cut, as the model reads {most} tokens (data.max_text_len)"
                ));
            }
        }
        let written = write_folder(&model, &self.images, &request, &self.out)?;
        for problem in &written.skipped {
            warn(format_args!("skipped: {problem}"));
        }
        let page = self.out.join("predictions.html");
        print(format_args!("{}\n", page.display()))?;
        match written.skipped_named {
            0 => Ok(()),
            count => Err(VlpError::Config(format!(
                "{count} of the named files cannot be read (above); {} has the others",
                page.display()
            ))),
        }
    }
}

/// What a run needs that has no head for an image alone.
fn nothing_to_predict(objectives: &ObjectivesConfig) -> VlpError {
    let flags = [
        ("--question", objectives.vqa.is_some()),
        ("--text", objectives.itm.is_some()),
    ];
    let flags = flags.iter().filter(|(_, has_head)| *has_head);
    let flags: Vec<&str> = flags.map(|(flag, _)| *flag).collect();
    let reason = if !flags.is_empty() {
        format!(
            "this run predicts nothing of an image alone: add {}",
            flags.join(" or ")
        )
    } else if objectives.nlvr2.is_some() {
        "this run judges statements about two images, which vlp predict does not read: use vlp serve, or vlp evaluate".into()
    } else if objectives.snli_ve.is_some() {
        "this run judges hypotheses about an image, which vlp predict does not read: use vlp serve, or vlp evaluate".into()
    } else {
        "this run has no head whose predictions vlp predict writes: objectives.detection, caption, vqa or itm".into()
    };
    VlpError::Config(reason)
}
