//! `vlp predict`.

use std::path::PathBuf;

use clap::Args;
use vlp::predict::{Request, write_folder};
use vlp::{Vlp, VlpError};
use vlp_objectives::CaptioningConfig;

use super::output::{print, warn};

/// A run, pictures, and what to ask of them.
#[derive(Args)]
pub(crate) struct PredictArgs {
    /// Folder of the run.
    run: PathBuf,
    /// Pictures, or folders of pictures.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// A question to answer; repeat for more.
    #[arg(long, value_name = "QUESTION")]
    ask: Vec<String>,
    /// A text to match; repeat for more.
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// Score from which an object counts.
    #[arg(long, default_value_t = 0.5)]
    threshold: f32,
    /// Show where words and objects look.
    #[arg(long)]
    attention: bool,
    #[command(flatten)]
    caption: CaptionArgs,
    /// Folder for pictures, JSON and page.
    #[arg(long, value_name = "DIR", default_value = "predictions")]
    out: PathBuf,
    /// Device: auto, flex (CPU), flex-bf16 (CPU, products in bf16), wgpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
}

/// How captions are written; what is not given is as the run was configured.
#[derive(Args)]
#[command(next_help_heading = "Captions")]
struct CaptionArgs {
    /// Beams of the search; 1 is greedy.
    #[arg(long, value_name = "N")]
    beams: Option<usize>,
    /// Exponent of the length by which beams are compared.
    #[arg(long, value_name = "X")]
    length_penalty: Option<f64>,
    /// Fewest tokens.
    #[arg(long, value_name = "N")]
    min_len: Option<usize>,
    /// Most tokens.
    #[arg(long, value_name = "N")]
    max_len: Option<usize>,
    /// No run of so many tokens twice.
    #[arg(long, value_name = "N")]
    no_repeat: Option<usize>,
    /// Draw at random, from the most probable tokens that have this share together.
    #[arg(long, value_name = "SHARE")]
    top_p: Option<f64>,
    /// Draw at random, from so many most probable tokens.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Draw at random, log-probabilities divided by this.
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl CaptionArgs {
    /// The configuration `run` with what was given laid over.
    fn over(&self, run: &CaptioningConfig) -> Result<CaptioningConfig, VlpError> {
        let wrong = |flag: &str, value: f64, hint: &str| {
            Err(VlpError::Config(format!("{flag} {value}: {hint}")))
        };
        let mut config = run.clone();
        config.beams = self.beams.unwrap_or(config.beams);
        config.length_penalty = self.length_penalty.unwrap_or(config.length_penalty);
        config.min_len = self.min_len.unwrap_or(config.min_len);
        config.max_len = self.max_len.unwrap_or(config.max_len);
        config.no_repeat = self.no_repeat.unwrap_or(config.no_repeat);
        if self.top_p.is_some() || self.top_k.is_some() || self.temperature.is_some() {
            let mut sampling = config.sampling.unwrap_or_default();
            sampling.top_p = self.top_p.unwrap_or(sampling.top_p);
            sampling.top_k = self.top_k.unwrap_or(sampling.top_k);
            sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
            if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
                return wrong("--top-p", sampling.top_p, "use a share above 0, at most 1");
            }
            if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
                return wrong("--temperature", sampling.temperature, "use a value above 0");
            }
            config.sampling = Some(sampling);
        } else if self.beams.is_some() {
            config.sampling = None;
        }
        if config.beams == 0 {
            return wrong("--beams", 0.0, "use at least 1 (greedy)");
        }
        Ok(config)
    }
}

impl PredictArgs {
    pub(crate) fn run(self) -> Result<(), VlpError> {
        let device = vlp::device::pick(&self.device)?;
        let model = Vlp::load_on(&self.run, &device)?;
        let caption = model.trained().config.objectives.caption.as_ref();
        let request = Request {
            ask: self.ask,
            texts: self.text,
            threshold: self.threshold,
            caption: caption.map(|own| self.caption.over(own)).transpose()?,
            seed: self.caption.seed,
            attention: self.attention,
        };
        for problem in write_folder(&model, &self.pictures, &request, &self.out)? {
            warn(format_args!("left out: {problem}"));
        }
        print(format_args!(
            "{}\n",
            self.out.join("predictions.html").display()
        ))
    }
}
