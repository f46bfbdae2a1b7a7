//! Requests and answers: one file for each route.

mod answer;
mod attention;
mod caption;
mod codes;
mod context;
mod detect;
mod entail;
mod error;
mod examples;
mod features;
mod image_input;
mod matching;
mod models;
mod request;
mod search;
mod statement;

pub(crate) use answer::AnswerRequest;
pub(crate) use attention::AttentionRequest;
pub(crate) use caption::CaptionRequest;
pub(crate) use codes::{CodeTask, CodesRequest};
pub(crate) use context::{Context, find_model};
pub(crate) use detect::DetectRequest;
pub(crate) use entail::EntailRequest;
pub(crate) use error::{ApiError, ErrorCode};
pub(crate) use examples::Examples;
pub(crate) use features::FeaturesRequest;
pub(crate) use matching::MatchRequest;
pub(crate) use models::Models;
pub(crate) use request::ApiRequest;
pub(crate) use search::SearchRequest;
pub(crate) use statement::StatementRequest;
