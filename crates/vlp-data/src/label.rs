use serde::{Deserialize, Serialize};

/// The target of a downstream task. The task's text is the sample's first caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// The annotators' raw answers to a question, at least one, usually ten (VQA v2).
    Answers(Vec<String>),
    /// Whether a statement about an image pair is true (NLVR2).
    Truth(bool),
    /// The relation of a hypothesis to the image (SNLI-VE).
    Entailment(Entailment),
}

/// The relation of a hypothesis to an image: SNLI-VE's three labels. As an index (`as usize`) 0, 1, 2, in METER's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entailment {
    /// 0: the image contradicts the hypothesis.
    Contradiction,
    /// 1: the image neither proves nor contradicts the hypothesis.
    Neutral,
    /// 2: the image proves the hypothesis.
    Entailment,
}

impl Entailment {
    /// All three, by index.
    pub const ALL: [Self; 3] = [Self::Contradiction, Self::Neutral, Self::Entailment];

    /// `contradiction`, `neutral` or `entailment`.
    pub fn name(self) -> &'static str {
        ["contradiction", "neutral", "entailment"][self as usize]
    }

    /// The label with this [`name`](Self::name).
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.name() == name)
    }
}

/// VQA v2's answer types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnswerType {
    /// `yes` or `no`.
    #[serde(rename = "yes/no")]
    YesNo,
    /// A number, in digits.
    #[serde(rename = "number")]
    Number,
    /// Any other answer.
    #[serde(rename = "other")]
    Other,
}

/// Identification of a downstream sample for official evaluation tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// VQA's `question_id` in digits, NLVR2's `identifier` or SNLI-VE's `pairID`; unique within a source.
    pub id: String,
    /// VQA's `question_type`, such as `how many`; accuracy is reported per type.
    pub question_type: Option<String>,
    /// VQA's `answer_type`; accuracy is reported per type.
    pub answer_type: Option<AnswerType>,
}
