//! The metric by which the best checkpoint is chosen.

use vlp_objectives::{Direction, Score};
use vlp_train::CheckpointScore;

use crate::config::suggest;
use crate::error::VlpError;

/// The first of `scores` that ranks checkpoints, if none of those is called `best_by`.
pub(super) fn replacement_metric<'a>(scores: &'a [Score], best_by: &str) -> Option<&'a str> {
    let ranking = scores
        .iter()
        .filter(|score| score.direction != Direction::Diagnostic);
    let mut names = ranking.map(|score| score.name.as_str());
    match names.clone().any(|name| name == best_by) {
        true => None,
        false => names.next(),
    }
}

/// The score of a checkpoint by the metric `best_by`; `None` if the metric is undefined.
///
/// # Errors
/// [`VlpError::Config`] if there is no such metric, with the names of those that exist.
pub(super) fn checkpoint_score(
    scores: &[Score],
    best_by: &str,
) -> Result<Option<CheckpointScore>, VlpError> {
    let ranking = || {
        scores
            .iter()
            .filter(|score| score.direction != Direction::Diagnostic)
    };
    let Some(score) = ranking().find(|score| score.name == best_by) else {
        let names: Vec<&str> = ranking().map(|score| score.name.as_str()).collect();
        let suggestion = suggest(best_by, &names);
        return Err(VlpError::Config(format!(
            "checkpoint.best_by = \"{best_by}\": no such validation metric{suggestion}"
        )));
    };
    Ok(score.value.map(|value| CheckpointScore {
        metric: score.name.clone(),
        higher_is_better: score.direction == Direction::Higher,
        value,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use vlp_train::{CheckpointWriter, TrainState};

    use super::*;

    /// Metrics of a model with a dictionary.
    fn scores(accuracy: f64, loss: f64, dead_codes: f64) -> Vec<Score> {
        vec![
            Score::higher("itm/accuracy", Some(accuracy)),
            Score::lower("itm/loss", Some(loss)),
            Score::higher("mlm/accuracy", None),
            Score::diagnostic("dictionary/dead_codes", Some(dead_codes)),
            Score::diagnostic("dictionary/restarts", Some(10.0 * dead_codes)),
        ]
    }

    #[test]
    fn best_checkpoint_is_chosen_by_the_metric_and_not_by_dead_codes() {
        let history = [
            (2, scores(0.5, 0.7, 9.0)),
            (4, scores(0.9, 0.6, 0.0)),
            (6, scores(0.8, 0.5, 5.0)),
        ];
        for (best_by, best_step) in [("itm/accuracy", 4), ("itm/loss", 6)] {
            let folder = tempfile::tempdir().unwrap();
            let writer = CheckpointWriter::open(folder.path(), 3).unwrap();
            for (step, scores) in &history {
                let state = TrainState {
                    step: *step,
                    skipped: 0,
                    skipped_in_row: 0,
                    config_hash: String::new(),
                };
                let score = checkpoint_score(scores, best_by).unwrap();
                writer.save(&state, &[], score.as_ref()).unwrap();
            }
            let best = writer.store().best().unwrap();
            assert_eq!(best.state.step, best_step, "{best_by}");
        }
    }

    #[test]
    fn undefined_metric_gives_no_score_and_unknown_or_diagnostic_ones_are_errors() {
        let scores = scores(0.5, 0.7, 9.0);
        assert_eq!(checkpoint_score(&scores, "mlm/accuracy").unwrap(), None);
        for name in ["itm/acuracy", "dictionary/dead_codes"] {
            let message = checkpoint_score(&scores, name).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            let names = "Known: itm/accuracy, itm/loss, mlm/accuracy";
            assert!(message.ends_with(names), "{message}");
        }
    }
}
