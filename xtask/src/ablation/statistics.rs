//! Tests of differences between two variants, paired by seed.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::mean::{deviation, mean};

/// Most differences whose signs are flipped in every way: a million ways.
const MOST_FLIPPED: usize = 20;

/// Student's distribution for the mean of so many values.
fn student(count: usize) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, count.checked_sub(1)? as f64).ok()
}

/// Two-sided p-value of the t-test that the differences have mean 0; `None` for fewer than two.
pub(super) fn t_test(differences: &[f64]) -> Option<f64> {
    let distribution = student(differences.len())?;
    let center = mean(differences);
    let error = deviation(differences) / (differences.len() as f64).sqrt();
    if error == 0.0 {
        return Some(if center == 0.0 { 1.0 } else { 0.0 });
    }
    Some(2.0 * distribution.sf((center / error).abs()))
}

/// Half the width of the 95 % confidence interval of the mean; `None` for fewer than two values.
pub(super) fn half_width(values: &[f64]) -> Option<f64> {
    let quantile = student(values.len())?.inverse_cdf(0.975);
    Some(quantile * deviation(values) / (values.len() as f64).sqrt())
}

/// Two-sided p-value of the exact permutation test: the fraction of all ways to flip signs that give a mean at least as far
/// from 0. `None` for no differences, or more than 20.
pub(super) fn sign_flip_test(differences: &[f64]) -> Option<f64> {
    let count = differences.len();
    if !(1..=MOST_FLIPPED).contains(&count) {
        return None;
    }
    let sum = |signs: u32| -> f64 {
        let signed = differences.iter().enumerate();
        let signed = signed.map(|(at, value)| match signs >> at & 1 {
            0 => *value,
            _ => -value,
        });
        signed.sum::<f64>().abs()
    };
    // Sums in another order round otherwise.
    let observed = sum(0) * (1.0 - 1e-12);
    let ways = 1_u32 << count;
    let extreme = (0..ways).filter(|&signs| sum(signs) >= observed).count();
    Some(extreme as f64 / f64::from(ways))
}

/// Holm's correction for so many tests: the probability that any of their p-values is as low by chance stays below the corrected
/// one. Those that are not there yet are taken to be higher.
pub(super) fn holm(p_values: &[f64], tests: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        let factor = (tests - rank) as f64;
        least = least.max((factor * p_values[at]).min(1.0));
        corrected[at] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Relative; SciPy's and ours are both good to about 1e-12.
    const TOLERANCE: f64 = 1e-9;

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
    }

    /// Differences, p of the t-test, half the width of the interval, p of the permutation test. SciPy 1.17:
    /// `r = stats.ttest_1samp(x, 0); r.pvalue; r.confidence_interval().high - x.mean()`,
    /// `stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue`.
    const EXPECTED: [(&[f64], f64, f64, f64); 4] = [
        (
            &[0.021, 0.034, -0.005, 0.018, 0.027],
            0.04497813973962851,
            0.018311913140485633,
            0.125,
        ),
        (&[0.1, 0.2], 0.20483276469913342, 0.6353102368087348, 0.5),
        (
            &[-0.4, -0.1, -0.3, -0.2, -0.25, -0.35, -0.15, 0.05],
            0.004442222838201249,
            0.12186994442767696,
            0.015625,
        ),
        (
            &[3.0, -2.5, 0.5, 1.0, -0.75, 0.25, 2.0, -1.0, 0.125, 0.5],
            0.5377174986134622,
            1.1034459178710296,
            0.552734375,
        ),
    ];

    #[test]
    fn tests_of_differences_agree_with_scipy() {
        for (differences, p, half, flips) in EXPECTED {
            assert!(
                is_near(t_test(differences).unwrap(), p),
                "{differences:?}: {:?}",
                t_test(differences)
            );
            let interval = half_width(differences).unwrap();
            assert!(is_near(interval, half), "{differences:?}: {interval}");
            assert_eq!(sign_flip_test(differences), Some(flips), "{differences:?}");
        }
    }

    #[test]
    fn differences_without_spread_are_certain() {
        assert_eq!(t_test(&[0.0, 0.0]), Some(1.0));
        assert_eq!(t_test(&[0.5, 0.5, 0.5]), Some(0.0));
        assert_eq!((t_test(&[0.5]), half_width(&[])), (None, None));
        assert_eq!(sign_flip_test(&[0.5]), Some(1.0));
        assert_eq!(sign_flip_test(&[0.1; 21]), None);
    }

    /// R 4: `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")` is 0.03 0.06 0.06 0.02.
    #[test]
    fn holm_multiplies_by_the_number_of_those_not_lower() {
        let close = |corrected: Vec<f64>, expected: &[f64]| {
            let pairs = corrected.iter().zip(expected);
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-12),
                "{corrected:?}"
            );
        };
        let values = [0.01, 0.04, 0.03, 0.005];
        close(holm(&values, 4), &[0.03, 0.06, 0.06, 0.02]);
        close(holm(&[0.5, 0.7], 2), &[1.0, 1.0]);
        close(holm(&[], 0), &[]);
        // With p-values of 1 for the tests that are missing.
        close(holm(&values, 6), &[0.05, 0.12, 0.12, 0.03]);
        close(holm(&[], 3), &[]);
    }
}
