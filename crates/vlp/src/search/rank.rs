//! The order of hits.

use vlp_index::Scored;

/// A hit with its log odds from the matching head, if that has read it.
pub(super) type Ranked = (Scored, Option<f32>);

/// The candidates of the first pass, the best first, with the log odds of the first ones: those that have them come first, by
/// their log odds, and the others stay in their order behind them. So does the evaluation of retrieval.
pub(super) fn rank(candidates: Vec<Scored>, log_odds: &[Option<f32>]) -> Vec<Ranked> {
    let log_odds = log_odds.iter().copied().chain(std::iter::repeat(None));
    let mut ranked: Vec<Ranked> = candidates.into_iter().zip(log_odds).collect();
    // Stable: candidates with equal log odds stay in their order.
    ranked.sort_by(|(_, a), (_, b)| match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    ranked
}

/// The probability with these log odds.
pub(super) fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matched_candidates_come_first_and_others_keep_their_order() {
        let candidates = (0..5).map(|index| Scored {
            index,
            score: 1.0 - index as f32 / 10.0,
        });
        let candidates: Vec<Scored> = candidates.collect();
        let order = |log_odds: &[Option<f32>]| {
            let ranked = rank(candidates.clone(), log_odds);
            ranked.iter().map(|(hit, _)| hit.index).collect::<Vec<_>>()
        };
        assert_eq!(order(&[]), [0, 1, 2, 3, 4]);
        assert_eq!(
            order(&[Some(-1.0), Some(40.0), Some(50.0)]),
            [2, 1, 0, 3, 4]
        );
        // The second could not be read.
        assert_eq!(
            order(&[Some(0.0), None, Some(0.0), Some(9.0)]),
            [3, 0, 2, 1, 4]
        );
    }

    #[test]
    fn log_odds_become_probabilities() {
        assert_eq!(probability(0.0), 0.5);
        assert_eq!((probability(200.0), probability(-200.0)), (1.0, 0.0));
    }
}
