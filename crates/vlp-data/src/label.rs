use serde::{Deserialize, Serialize};

/// What is to be predicted of a sample by a downstream task; its text is the sample's first caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// Annotators' answers to a question as they were given, at least one, usually ten (VQA v2).
    Answers(Vec<String>),
    /// Whether a statement about two pictures is true (NLVR2).
    Truth(bool),
    /// How a hypothesis stands to the picture (SNLI-VE).
    Entailment(Entailment),
}

/// How a hypothesis stands to a picture: SNLI-VE's three labels. As a number (`as usize`) 0, 1, 2, as METER counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entailment {
    /// 0: the picture shows it to be false.
    Contradiction,
    /// 1: the picture does not tell.
    Neutral,
    /// 2: the picture shows it to be true.
    Entailment,
}

impl Entailment {
    /// All three, by number.
    pub const ALL: [Self; 3] = [Self::Contradiction, Self::Neutral, Self::Entailment];

    /// `contradiction`, `neutral` or `entailment`.
    pub fn word(self) -> &'static str {
        ["contradiction", "neutral", "entailment"][self as usize]
    }
}

/// VQA v2's three kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnswerType {
    /// `yes` or `no`.
    #[serde(rename = "yes/no")]
    YesNo,
    /// A number, in digits.
    #[serde(rename = "number")]
    Number,
    /// Any other word.
    #[serde(rename = "other")]
    Other,
}

/// What official evaluation tools know a downstream sample by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// VQA's `question_id` in digits, NLVR2's `identifier` or SNLI-VE's `pairID`; unique in its source.
    pub id: String,
    /// VQA's `question_type`, such as `how many`, by which accuracy is reported.
    pub question_type: Option<String>,
    /// VQA's `answer_type`, by which accuracy is reported.
    pub answer_type: Option<AnswerType>,
}
