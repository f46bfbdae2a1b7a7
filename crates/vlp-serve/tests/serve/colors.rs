//! A model that knows colors: small enough to check its answers by hand.

use std::sync::{Arc, Condvar, Mutex};

use vlp_data::{Image, ResizedImage};
use vlp_serve::{
    Answer, Attended, Attention, Attribute, Caption, CaptionDefaults, CaptionMethod, Code,
    CodeGrid, CodeWord, ExampleImage, Head, JointTensors, MatchScore, Model, ModelError, ModelInfo,
    Object, Patch, QueryAttention, SizeRule, Tensor, TextAttention, WordAttention,
};

pub(crate) const COLORS: [&str; 3] = ["red", "green", "blue"];

/// A gate that a task waits at: closed until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, open)| !*open).unwrap());
    }

    /// Waits until a task is at the gate.
    pub(crate) fn await_arrival(&self) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |(count, _)| *count == 0)
                .unwrap(),
        );
    }

    /// How many came to the gate.
    pub(crate) fn arrivals(&self) -> usize {
        self.state.lock().unwrap().0
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// Names the greatest channel of an image. The text `gate` waits at the gate, the text `panic` panics.
pub(crate) struct Colors {
    info: ModelInfo,
    examples: Vec<ExampleImage>,
    pub(crate) gate: Arc<Gate>,
    /// Images that are twice as wide as high wait here when they are resized.
    pub(crate) resize_gate: Arc<Gate>,
    /// Sizes of the batches of texts.
    pub(crate) batches: Arc<Mutex<Vec<usize>>>,
}

pub(crate) const ALL_HEADS: [Head; 7] = [
    Head::Detect,
    Head::Caption,
    Head::Answer,
    Head::Match,
    Head::Attention,
    Head::Codes,
    Head::Features,
];

impl Colors {
    pub(crate) fn new(name: &str, heads: &[Head]) -> Self {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let example = |color: usize| ExampleImage {
            name: format!("{}.png", COLORS[color]),
            captions: vec![format!("a {} image", COLORS[color])],
            image: image(4, 4, color),
        };
        Self {
            info: ModelInfo {
                name: name.into(),
                system: "soho",
                preset: "colors".into(),
                step: 0,
                device: "none".into(),
                heads: heads.to_vec(),
                classes: strings(&COLORS),
                attributes: strings(&["light", "dark"]),
                answers: strings(&COLORS),
                codes: 3,
                queries: 1,
                image_size: SizeRule {
                    rule: "as it is".into(),
                    max_width: 0,
                    max_height: 0,
                },
                max_text_tokens: 8,
                caption: heads.contains(&Head::Caption).then_some(CaptionDefaults {
                    num_beams: 1,
                    length_penalty: 0.0,
                    min_new_tokens: 0,
                    max_new_tokens: 3,
                    no_repeat_ngram_size: 0,
                }),
            },
            examples: (0..3).map(example).collect(),
            gate: Arc::default(),
            resize_gate: Arc::default(),
            batches: Arc::default(),
        }
    }

    fn read(&self, text: &str) {
        match text {
            "gate" => self.gate.pass(),
            "panic" => panic!("a text says so"),
            _ => {}
        }
    }
}

/// An image of one color.
pub(crate) fn image(width: usize, height: usize, color: usize) -> Image {
    let mut rgb = [20; 3];
    rgb[color] = 200;
    Image::filled(width, height, rgb)
}

/// The fraction of each channel.
fn fractions(image: &Image) -> [f32; 3] {
    let mut sums = [0.0; 3];
    for pixel in image.rgb.chunks_exact(3) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f32::from(*value);
        }
    }
    let total: f32 = sums.iter().sum();
    sums.map(|sum| sum / total)
}

fn order(image: &Image) -> Vec<(usize, f32)> {
    let mut order: Vec<(usize, f32)> = fractions(image).into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order
}

fn quarter(value: f32) -> Vec<f32> {
    vec![value / 4.0; 4]
}

fn tensor(image: &Image) -> Tensor {
    Tensor {
        shape: vec![1, 1, 3],
        values: fractions(image).to_vec(),
    }
}

fn text_tensor(text: &str) -> Tensor {
    Tensor {
        shape: vec![1, 1],
        values: vec![text.len() as f32],
    }
}

impl Model for Colors {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn examples(&self) -> &[ExampleImage] {
        &self.examples
    }

    fn resize(&self, image: &Image) -> Result<ResizedImage, ModelError> {
        if image.width == 2 * image.height {
            self.resize_gate.pass();
        }
        match (image.width, image.height) {
            (1, 1) => Err(ModelError::Image("1x1 is too small".into())),
            _ => Ok(ResizedImage {
                image: image.clone(),
                original_width: image.width,
                original_height: image.height,
                key: image.key(),
            }),
        }
    }

    fn padded_size(&self, image: &ResizedImage) -> (usize, usize) {
        image.padded_size(4)
    }

    fn detect(&self, images: &[&ResizedImage]) -> Result<Vec<Vec<Object>>, ModelError> {
        let detected = images.iter().map(|resized| {
            let objects = order(&resized.image)
                .into_iter()
                .map(|(color, score)| Object {
                    query: 0,
                    class: COLORS[color].into(),
                    score,
                    bbox: [0.0, 0.0, resized.original_width as f32, 4.0],
                    attributes: vec![Attribute {
                        name: "light".into(),
                        probability: 0.75,
                    }],
                });
            objects.collect()
        });
        Ok(detected.collect())
    }

    fn caption(
        &self,
        images: &[&ResizedImage],
        method: &CaptionMethod,
    ) -> Result<Vec<Vec<Caption>>, ModelError> {
        let count = match method {
            CaptionMethod::Search { num_beams, .. } => *num_beams,
            CaptionMethod::Sampling { count, .. } => *count,
            _ => 1,
        };
        let captions = images.iter().map(|resized| {
            let order = order(&resized.image).into_iter().take(count);
            order
                .map(|(color, fraction)| Caption {
                    text: format!("a {} image", COLORS[color]),
                    score: f64::from(fraction.ln()),
                })
                .collect()
        });
        Ok(captions.collect())
    }

    fn answer(
        &self,
        asked: &[(&ResizedImage, &[String])],
        top: usize,
    ) -> Result<Vec<Vec<Vec<Answer>>>, ModelError> {
        let answers = asked.iter().map(|(resized, questions)| {
            let answers = |_: &String| {
                let order = order(&resized.image).into_iter().take(top);
                order
                    .map(|(color, probability)| Answer {
                        answer: COLORS[color].into(),
                        probability,
                    })
                    .collect()
            };
            questions.iter().map(answers).collect()
        });
        Ok(answers.collect())
    }

    fn match_texts(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<MatchScore>>, ModelError> {
        self.batches.lock().unwrap().push(pairs.len());
        let scores = pairs.iter().map(|(resized, texts)| {
            let fractions = fractions(&resized.image);
            let score = |text: &String| {
                self.read(text);
                let color = COLORS.iter().position(|color| text.contains(color));
                MatchScore {
                    text: text.clone(),
                    probability: color.map_or(0.0, |color| fractions[color]),
                }
            };
            texts.iter().map(score).collect()
        });
        Ok(scores.collect())
    }

    fn attention(
        &self,
        attended: &[(&ResizedImage, &Attended)],
    ) -> Result<Vec<Attention>, ModelError> {
        let words = |text: &String| TextAttention {
            text: text.clone(),
            words: text
                .split(' ')
                .map(|word| WordAttention {
                    word: word.into(),
                    weights: quarter(1.0),
                })
                .collect(),
        };
        let maps = attended.iter().map(|(_, attended)| Attention {
            rows: 2,
            columns: 2,
            queries: attended
                .queries
                .iter()
                .map(|&query| QueryAttention {
                    query,
                    weights: quarter(0.5),
                })
                .collect(),
            captions: attended.captions.iter().map(words).collect(),
            texts: attended.texts.iter().map(words).collect(),
        });
        Ok(maps.collect())
    }

    fn codes(&self, images: &[&ResizedImage]) -> Result<Vec<CodeGrid>, ModelError> {
        let grids = images.iter().map(|resized| CodeGrid {
            rows: 1,
            columns: 1,
            codes: vec![order(&resized.image)[0].0],
        });
        Ok(grids.collect())
    }

    fn code(&self, code: usize) -> Result<Code, ModelError> {
        Ok(Code {
            model: self.info.name.clone(),
            code,
            uses: 1,
            cells: 3,
            words: vec![CodeWord {
                word: COLORS[code].into(),
                pmi: 3f64.ln(),
            }],
            patches: vec![Patch {
                example: code,
                row: 0,
                column: 0,
                image: self.examples[code].image.clone(),
            }],
        })
    }

    fn grid_features(&self, images: &[&ResizedImage]) -> Result<Vec<Tensor>, ModelError> {
        Ok(images
            .iter()
            .map(|resized| tensor(&resized.image))
            .collect())
    }

    fn text_features(&self, texts: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        Ok(texts.iter().map(|text| text_tensor(text)).collect())
    }

    fn joint_features(
        &self,
        pairs: &[(&ResizedImage, &[String])],
    ) -> Result<Vec<Vec<JointTensors>>, ModelError> {
        let features = pairs.iter().map(|(resized, texts)| {
            let joint = |text: &String| JointTensors {
                text_tokens: text_tensor(text),
                image_tokens: tensor(&resized.image),
            };
            texts.iter().map(joint).collect()
        });
        Ok(features.collect())
    }
}
