//! `/v1/statement`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, at_least_one};
use super::error::ApiError;
use super::image_input::PairInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::Head;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatementRequest {
    model: Option<String>,
    pairs: Vec<PairInput>,
    statements: Vec<String>,
}

pub(crate) struct StatementTask {
    pair: [ResizedImage; 2],
    statements: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    statements: Vec<JudgedStatement>,
}

#[derive(Debug, Serialize)]
struct JudgedStatement {
    statement: String,
    probability: f32,
}

impl ApiRequest for StatementRequest {
    type Task = StatementTask;
    type Answer = Results<Judged>;
    const HEAD: Head = Head::Statement;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<StatementTask>, ApiError> {
        at_least_one("statements", &self.statements)?;
        context.check_texts("statements", &self.statements)?;
        let pairs = context.pairs(&self.pairs)?.into_iter();
        let task = |pair| StatementTask {
            pair,
            statements: self.statements.clone(),
        };
        Ok(pairs.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Judged>) -> Results<Judged> {
        Results::new(model, outputs)
    }
}

impl Task for StatementTask {
    type Output = Judged;
    const NAME: &'static str = "statement";
    const FIELD: &'static str = "pairs";

    /// A statement is read with each of the two images.
    fn rows(&self) -> usize {
        2 * self.statements.len()
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        let mut sides = self.pair.iter().zip(&other.pair);
        sides.all(|(image, other)| same_size(model, image, other))
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Judged>, ModelError> {
        let asked = batch
            .iter()
            .map(|task| (task.pair.each_ref(), task.statements.as_slice()));
        let asked: Vec<([&ResizedImage; 2], &[String])> = asked.collect();
        let outputs = batch.iter().zip(model.judge_statements(&asked)?);
        let judged = outputs.map(|(task, probabilities)| {
            let statements = task.statements.iter().zip(probabilities);
            let statements = statements.map(|(statement, probability)| JudgedStatement {
                statement: statement.clone(),
                probability,
            });
            Judged {
                statements: statements.collect(),
            }
        });
        Ok(judged.collect())
    }
}
