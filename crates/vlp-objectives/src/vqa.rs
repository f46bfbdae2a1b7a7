//! Visual question answering: soft scores over an answer vocabulary (VQA v2).

use std::collections::HashSet;
use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_data::{AnswerType, Label};
use vlp_eval::vqa::{VqaResult, answer_accuracy};
use vlp_ops::init_weights;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::argmax;
use crate::metrics::{MetricContext, Metrics, Predictions, Score};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{TargetTensors, floats};
use crate::targets::Unit;
use crate::validate::Validate;

/// Configuration of [`Vqa`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct VqaConfig {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// `lxmert_mlp` for E2E-VLP, `soho_mlp` for SOHO.
    pub head: HeadKind,
}

impl Default for VqaConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::LxmertMlp,
        }
    }
}

/// A sigmoid for each answer, on the `[CLS]` state of question and image.
#[derive(Module, Debug)]
pub struct Vqa {
    head: ClsHead,
    #[module(skip)]
    config: VqaConfig,
}

init_weights!(Vqa { head; config });

impl Validate for VqaConfig {}

impl VqaConfig {
    /// Builds the head for `answers` answers.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Errors
    /// [`ObjectiveError::Config`] without answers.
    pub fn init(
        &self,
        d_model: usize,
        answers: usize,
        device: &Device,
    ) -> Result<Vqa, ObjectiveError> {
        if answers == 0 {
            return Err(ObjectiveError::Config {
                objective: Vqa::NAME,
                key: "answers",
                value: "0".into(),
                hint: "read a data set of questions with answers (data.task = \"vqa\", or vqa:DIR), or lower data.min_answers".into(),
            });
        }
        Ok(Vqa {
            head: self.head.init(d_model, d_model, answers, device),
            config: self.clone(),
        })
    }
}

/// Answers to a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VqaTarget {
    /// (index in the vocabulary, score) of every answer with a score above 0; scores are 0.3 to 1.
    pub scores: Vec<(usize, f32)>,
    /// Answers of the annotators; none in a test set.
    pub human: Vec<String>,
    /// The official id of the question.
    pub question: Option<u64>,
    /// Type of the answer.
    pub answer_type: Option<AnswerType>,
    /// The answer vocabulary.
    pub answers: Arc<Vec<String>>,
}

impl Vqa {
    /// Logits `[rows, answers]` of `[CLS]` states `[rows, d_model]` of the joint pass.
    pub fn logits(&self, cls: Tensor<2>) -> Tensor<2> {
        self.head.forward(cls)
    }

    /// Probability of every answer, for each row of `[CLS]` states `[rows, d_model]`.
    pub fn answer_probabilities(&self, cls: Tensor<2>) -> Vec<Vec<f32>> {
        let logits = self.logits(cls);
        let answers = logits.dims()[1];
        let probabilities: Vec<f32> = sigmoid(logits).into_data().iter().collect();
        probabilities.chunks(answers).map(<[f32]>::to_vec).collect()
    }
}

/// The scores of all answers for each question, `[questions, answers]`, and 1 for a question that has a label.
fn scores_and_labeled(targets: &[&VqaTarget], answers: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = targets.len();
    let (mut scores, mut labeled) = (vec![0.0f32; rows * answers], vec![0.0f32; rows]);
    for (row, target) in targets.iter().enumerate() {
        labeled[row] = f32::from(u8::from(!target.human.is_empty()));
        for &(answer, score) in &target.scores {
            scores[row * answers + answer] = score;
        }
    }
    (scores, labeled)
}

impl Objective for Vqa {
    const NAME: &'static str = "vqa";

    type Target = VqaTarget;

    type Metrics = VqaMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<VqaTarget, ObjectiveError> {
        let Some(vocabulary) = pair.answers else {
            return Ok(VqaTarget::default());
        };
        let human = match &pair.example.label {
            Some(Label::Answers(human)) => human.clone(),
            _ => vec![],
        };
        let record = pair.example.record.as_ref();
        Ok(VqaTarget {
            scores: vocabulary.soft_scores(&human),
            human,
            question: record.and_then(|record| record.id.parse().ok()),
            answer_type: record.and_then(|record| record.answer_type),
            answers: vocabulary.shared_answers(),
        })
    }

    fn target_tensors(&self, targets: &[&VqaTarget], _: usize, device: &Device) -> TargetTensors {
        let (rows, answers) = (targets.len(), self.head.classes());
        let (scores, labeled) = scores_and_labeled(targets, answers);
        let count = labeled.iter().sum::<f32>().max(1.0);
        let weights: Vec<f32> = labeled.iter().map(|labeled| labeled / count).collect();
        let matrix = |values: Vec<f32>, width: usize| {
            Tensor::<2>::from_data(TensorData::new(values, [rows, width]), device).into()
        };
        vec![matrix(scores, answers), matrix(weights, 1)].into()
    }

    /// Binary cross entropy, summed over answers and averaged over questions that have a label.
    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&VqaTarget],
    ) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        let [rows, answers] = logits.dims();
        let device = logits.device();
        let log_likelihood = |scores: Tensor<2>| {
            // log(1 - sigmoid(x)) = log(sigmoid(-x))
            let positive = scores.clone() * log_sigmoid(logits.clone());
            positive + (scores.neg() + 1.0) * log_sigmoid(logits.clone().neg())
        };
        let value = match output.target_tensors(Self::NAME) {
            [scores, weights] => {
                let scores = floats(scores.tensor::<2, Float>(), &device);
                let weights = floats(weights.tensor::<2, Float>(), &device);
                let weighted = log_likelihood(scores) * weights;
                weighted.reshape([rows * answers]).sum_dim(0).neg()
            }
            _ => {
                let (scores, labeled) = scores_and_labeled(targets, answers);
                let count = labeled.iter().sum::<f32>().max(1.0);
                let matrix = |values: Vec<f32>, width: usize| {
                    Tensor::from_data(TensorData::new(values, [rows, width]), &device)
                };
                let sum = (log_likelihood(matrix(scores, answers)) * matrix(labeled, 1)).sum();
                sum.neg().div_scalar(f64::from(count))
            }
        };
        Ok(Losses::single(Self::NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&VqaTarget],
        metrics: &mut VqaMetrics,
    ) -> Result<(), ObjectiveError> {
        let logits = self.logits(output.joint().text.cls());
        for (answer, target) in argmax(logits).into_iter().zip(targets) {
            let answer = target.answers.get(answer).map_or("", String::as_str);
            metrics.record(answer, target);
        }
        Ok(())
    }
}

crate::mean_metrics! {
    /// Accuracies of the official tool, over all questions and by type of the answer.
    pub struct VqaAccuracies {
        /// All questions.
        pub all: "vqa/accuracy",
        /// Questions whose answer is yes or no.
        pub yes_no: "vqa/accuracy_yes_no",
        /// Questions whose answer is a number.
        pub number: "vqa/accuracy_number",
        /// Other questions.
        pub other: "vqa/accuracy_other",
    }
}

/// Metrics of [`Vqa`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VqaMetrics {
    /// Accuracies.
    pub accuracies: VqaAccuracies,
    answers: Vec<VqaResult>,
    /// Number of answers to questions whose id is not a number.
    without_id: usize,
}

impl VqaMetrics {
    /// Records the answer to a question. It is scored only if the target has the answers of several annotators.
    pub fn record(&mut self, answer: &str, target: &VqaTarget) {
        match target.question {
            Some(question_id) => self.answers.push(VqaResult {
                question_id,
                answer: answer.into(),
            }),
            None => self.without_id += 1,
        }
        if target.human.len() > 1 {
            let accuracy = answer_accuracy(answer, &target.human);
            self.accuracies.all.record_fraction(accuracy);
            let by_type = match target.answer_type {
                Some(AnswerType::YesNo) => &mut self.accuracies.yes_no,
                Some(AnswerType::Number) => &mut self.accuracies.number,
                Some(AnswerType::Other) => &mut self.accuracies.other,
                None => return,
            };
            by_type.record_fraction(accuracy);
        }
    }
}

impl Metrics for VqaMetrics {
    fn merge(&mut self, other: Self) {
        self.accuracies.merge(other.accuracies);
        self.answers.extend(other.answers);
        self.without_id += other.without_id;
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        self.accuracies.scores(context)
    }

    /// The first answer to each question.
    fn predictions(&self, _context: &MetricContext<'_>, predictions: &mut Predictions) {
        let mut questions = HashSet::new();
        let answers = self.answers.iter();
        let answers = answers.filter(|answer| questions.insert(answer.question_id));
        predictions.answers.extend(answers.cloned());
        predictions.answers_without_id += self.without_id;
    }
}
