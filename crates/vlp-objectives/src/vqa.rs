//! Visual question answering: soft scores over an answer vocabulary (VQA v2).

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use serde::{Deserialize, Serialize};
use vlp_data::{AnswerType, Label};
use vlp_eval::vqa::answer_accuracy;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::head::{ClsHead, HeadKind};
use crate::loss::argmax;
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "vqa";

/// Configuration of [`Vqa`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VqaConfig {
    /// Weight of the loss; 1.
    pub weight: f64,
    /// `norm` for E2E-VLP, `wide` for SOHO.
    pub head: HeadKind,
}

impl Default for VqaConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            head: HeadKind::Norm,
        }
    }
}

/// A sigmoid for each answer, on the `[CLS]` state of question and picture.
#[derive(Module, Debug)]
pub struct Vqa {
    head: ClsHead,
    #[module(skip)]
    config: VqaConfig,
}

impl VqaConfig {
    /// Builds the head for `answers` answers.
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
                objective: NAME,
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

/// What a question asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VqaTarget {
    /// (number in the vocabulary, score) of every answer that scores, 0.3 to 1.
    pub scores: Vec<(usize, f32)>,
    /// Annotators' answers as they were given; none in a test set.
    pub human: Vec<String>,
    /// The official id of the question, and what kind of answer it asks for, where they are known.
    pub question: Option<u64>,
    /// Kind of answer.
    pub kind: Option<AnswerType>,
    /// The vocabulary's answers by number.
    pub answers: std::sync::Arc<Vec<String>>,
}

impl Vqa {
    /// Logits `[rows, answers]`.
    pub fn logits(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        Ok(self.head.forward(encoded.cls(NAME)?))
    }

    /// Probability of every answer, for each row.
    pub fn answer(&self, encoded: &Encoded<'_>) -> Result<Vec<Vec<f32>>, ObjectiveError> {
        let logits = self.logits(encoded)?;
        let answers = logits.dims()[1];
        let flat: Vec<f32> = sigmoid(logits).into_data().iter().collect();
        Ok(flat.chunks(answers).map(<[f32]>::to_vec).collect())
    }
}

impl Objective for Vqa {
    type Target = VqaTarget;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<VqaTarget, ObjectiveError> {
        let Some(vocabulary) = draft.answers else {
            return Ok(VqaTarget::default());
        };
        let human = match &draft.example.label {
            Some(Label::Answers(human)) => human.clone(),
            _ => vec![],
        };
        let record = draft.example.record.as_ref();
        Ok(VqaTarget {
            scores: vocabulary.scores(&human),
            human,
            question: record.and_then(|r| r.id.parse().ok()),
            kind: record.and_then(|r| r.answer_type),
            answers: vocabulary.shared(),
        })
    }

    /// Binary cross entropy, summed over answers and averaged over questions that have a label.
    fn loss(&self, encoded: &Encoded<'_>, targets: &[VqaTarget]) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(encoded)?;
        let [rows, answers] = logits.dims();
        let (mut truth, mut known) = (vec![0.0f32; rows * answers], vec![0.0f32; rows]);
        for (row, target) in targets.iter().enumerate() {
            known[row] = f32::from(u8::from(!target.human.is_empty()));
            for &(answer, score) in &target.scores {
                truth[row * answers + answer] = score;
            }
        }
        let device = logits.device();
        let count = known.iter().sum::<f32>().max(1.0);
        let truth = Tensor::<2>::from_data(TensorData::new(truth, [rows, answers]), &device);
        let known = Tensor::<2>::from_data(TensorData::new(known, [rows, 1]), &device);
        // log(1 - p) = log p(-x)
        let right = truth.clone() * log_sigmoid(logits.clone());
        let wrong = (truth.neg() + 1.0) * log_sigmoid(logits.neg());
        let sum = ((right + wrong) * known).sum().neg();
        let value = sum.div_scalar(f64::from(count));
        Ok(Losses::one(NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[VqaTarget],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        for (best, target) in argmax(self.logits(encoded)?).into_iter().zip(targets) {
            let answer = target.answers.get(best).map_or("", String::as_str);
            if let Some(question) = target.question {
                tally.answer(question, answer);
            }
            if target.human.len() > 1 {
                let accuracy = answer_accuracy(answer, &target.human);
                tally.share("VQA accuracy", accuracy);
                if let Some(kind) = target.kind {
                    tally.share(accuracy_of(kind), accuracy);
                }
            }
        }
        Ok(())
    }
}

/// Name of the figure of the official tool's answer types.
fn accuracy_of(kind: AnswerType) -> &'static str {
    match kind {
        AnswerType::YesNo => "VQA accuracy, yes/no",
        AnswerType::Number => "VQA accuracy, number",
        AnswerType::Other => "VQA accuracy, other",
    }
}
