//! What models return, as it is written into answers.

mod answer;
mod attention;
mod caption;
mod codes;
mod entailment;
mod head;
mod info;
mod match_score;
mod object;
mod search;
mod tensor;

pub use answer::Answer;
pub use attention::{Attention, QueryAttention, TextAttention, WordAttention};
pub use caption::{Caption, CaptionMethod};
pub use codes::{Code, CodeGrid, CodeWord, Patch};
pub use entailment::Entailment;
pub use head::Head;
pub use info::{CaptionDefaults, LabelSpaceInfo, ModelInfo, SizeRule};
pub use match_score::MatchScore;
pub use object::{Attribute, Object};
pub use search::{ImageHit, SearchHits, SearchInfo, SearchQuery, SearchSubject, TextHit};
pub use tensor::{JointTensors, Tensor};
