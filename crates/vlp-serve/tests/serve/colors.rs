//! A model that knows colors: small enough to check its answers by hand.

use std::sync::{Arc, Mutex};

use vlp_data::{Image, ResizedImage};
use vlp_serve::{
    Answer, Attended, Attention, Attribute, Caption, CaptionDefaults, CaptionMethod, Code,
    CodeGrid, CodeWord, Entailment, ExampleImage, Head, Hypotheses, ImageHit, JointTensors,
    LabelSpaceInfo, MatchScore, Model, ModelError, ModelInfo, Object, Patch, QueryAttention,
    SearchHits, SearchInfo, SearchQuery, SearchSubject, SizeRule, Tensor, TextAttention, TextHit,
    WordAttention,
};

use crate::color_images::{fractions, image, order};
use crate::gate::Gate;

pub(crate) const COLORS: [&str; 3] = ["red", "green", "blue"];

/// Names the greatest channel of an image. The text `gate` waits at the gate, the text `panic` panics.
pub(crate) struct Colors {
    info: ModelInfo,
    examples: Vec<ExampleImage>,
    pub(crate) gate: Arc<Gate>,
    /// Images that are twice as wide as high wait here when they are resized.
    pub(crate) resize_gate: Arc<Gate>,
    /// Sizes of the batches of texts and of captions.
    pub(crate) batches: Arc<Mutex<Vec<usize>>>,
}

pub(crate) const ALL_HEADS: [Head; 10] = [
    Head::Detect,
    Head::Caption,
    Head::Answer,
    Head::Match,
    Head::Statement,
    Head::Entail,
    Head::Attention,
    Head::Codes,
    Head::Features,
    Head::Search,
];

impl Colors {
    pub(crate) fn new(name: &str, heads: &[Head]) -> Self {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let example = |color: usize| ExampleImage {
            name: format!("{}.png", COLORS[color]),
            captions: vec![format!("a {} image", COLORS[color])],
            right: (color == 0).then_some(1),
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
                label_spaces: vec![
                    LabelSpaceInfo {
                        name: "colors".into(),
                        classes: strings(&COLORS),
                        attributes: strings(&["light", "dark"]),
                    },
                    LabelSpaceInfo {
                        name: "letters".into(),
                        classes: strings(&["r", "g", "b"]),
                        attributes: vec![],
                    },
                ],
                answers: strings(&COLORS),
                premise: heads.contains(&Head::Entail),
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
                search: heads.contains(&Head::Search).then_some(SearchInfo {
                    images: 4,
                    texts: 3,
                    reranks_images: true,
                    reranks_texts: false,
                    thumbnails: true,
                }),
            },
            examples: (0..3).map(example).collect(),
            gate: Arc::default(),
            resize_gate: Arc::default(),
            batches: Arc::default(),
        }
    }

    /// As a run whose hypotheses have no premise but the image.
    pub(crate) fn without_premise(mut self) -> Self {
        self.info.premise = false;
        self
    }

    /// As a run with these settings of captions.
    pub(crate) fn with_caption_defaults(mut self, num_beams: usize, length_penalty: f64) -> Self {
        let defaults = self.info.caption.as_mut().unwrap();
        (defaults.num_beams, defaults.length_penalty) = (num_beams, length_penalty);
        self
    }

    fn read(&self, text: &str) {
        match text {
            "gate" => self.gate.pass(),
            "panic" => panic!("a text says so"),
            _ => {}
        }
    }
}

fn color(name: &str) -> Option<usize> {
    COLORS.iter().position(|color| *color == name)
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

    fn detect(
        &self,
        images: &[&ResizedImage],
        label_space: usize,
    ) -> Result<Vec<Vec<Object>>, ModelError> {
        let space = &self.info.label_spaces[label_space];
        let detected = images.iter().map(|resized| {
            let objects = order(&resized.image)
                .into_iter()
                .map(|(color, score)| Object {
                    query: 0,
                    class: space.classes[color].clone(),
                    score,
                    bbox: [0.0, 0.0, resized.original_width as f32, 4.0],
                    attributes: space
                        .attributes
                        .first()
                        .map(|name| Attribute {
                            name: name.clone(),
                            probability: 0.75,
                        })
                        .into_iter()
                        .collect(),
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
        self.batches.lock().unwrap().push(images.len());
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

    /// A statement is true as far as the left image has its first color and the right image its last.
    fn judge_statements(
        &self,
        asked: &[([&ResizedImage; 2], &[String])],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let judged = asked.iter().map(|([left, right], statements)| {
            let of = |image: &ResizedImage, color: usize| fractions(&image.image)[color];
            let probability = |text: &String| {
                let colors: Vec<usize> = text.split(' ').filter_map(color).collect();
                match colors.as_slice() {
                    [first, .., last] => of(left, *first) * of(right, *last),
                    _ => 0.0,
                }
            };
            statements.iter().map(probability).collect()
        });
        Ok(judged.collect())
    }

    /// An image entails its color. A premise leaves nothing open.
    fn entail(
        &self,
        asked: &[(&ResizedImage, &Hypotheses)],
    ) -> Result<Vec<Vec<Entailment>>, ModelError> {
        let entailed = asked.iter().map(|(resized, asked)| {
            let fractions = fractions(&resized.image);
            let neutral = if asked.premise.is_some() { 0.0 } else { 0.1 };
            let probabilities = |text: &String| {
                let entailment =
                    color(text).map_or(0.0, |color| fractions[color] * (1.0 - neutral));
                Entailment {
                    entailment,
                    neutral,
                    contradiction: 1.0 - neutral - entailment,
                }
            };
            asked.hypotheses.iter().map(probabilities).collect()
        });
        Ok(entailed.collect())
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
        if pairs.iter().any(|(resized, _)| resized.image.width == 1) {
            return Err(ModelError::Image("too narrow for a text".into()));
        }
        let features = pairs.iter().map(|(resized, texts)| {
            let joint = |text: &String| JointTensors {
                text_tokens: text_tensor(text),
                image_tokens: tensor(&resized.image),
            };
            texts.iter().map(joint).collect()
        });
        Ok(features.collect())
    }

    /// The index has the examples and a second red one without a thumbnail; the matching head is as sure as the fraction of the
    /// color that a text names.
    fn search(&self, query: &SearchQuery) -> Result<SearchHits, ModelError> {
        let colors = match &query.subject {
            SearchSubject::Images(text) => {
                self.read(text);
                let mut colors: Vec<usize> = vec![0, 1, 2, 0];
                let of_text = COLORS.iter().position(|color| text.contains(color));
                colors.sort_by_key(|&color| Some(color) != of_text);
                colors
            }
            SearchSubject::Texts(resized) => {
                order(&resized.image).iter().map(|hit| hit.0).collect()
            }
        };
        let compared = colors.len();
        let reranked = query.rerank.min(compared);
        let probability = |place: usize| (place < reranked).then_some(0.75);
        let hits = colors.into_iter().enumerate().take(query.top);
        let similarity = |place: usize| 0.5 - place as f32 / 4.0;
        Ok(match query.subject {
            SearchSubject::Images(_) => SearchHits {
                images: hits
                    .map(|(place, color)| ImageHit {
                        image: color,
                        name: self.examples[color].name.clone(),
                        similarity: similarity(place),
                        probability: probability(place),
                        texts: self.examples[color].captions.clone(),
                    })
                    .collect(),
                texts: vec![],
                compared,
                reranked,
            },
            SearchSubject::Texts(_) => SearchHits {
                images: vec![],
                texts: hits
                    .map(|(place, color)| TextHit {
                        text: self.examples[color].captions[0].clone(),
                        similarity: similarity(place),
                        probability: probability(place),
                        images: vec![color],
                        image_count: 1,
                    })
                    .collect(),
                compared,
                reranked,
            },
        })
    }

    fn thumbnail(&self, image: usize) -> Result<Option<Vec<u8>>, ModelError> {
        match image {
            0..3 => Ok(Some(vec![0xff, 0xd8, image as u8])),
            _ => Ok(None),
        }
    }
}
