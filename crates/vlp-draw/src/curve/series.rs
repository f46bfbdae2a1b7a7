//! Recorded points in order, smoothed and reduced to what a chart can show.

/// The points of a curve in order of steps, with their moving average.
#[derive(Debug)]
pub(crate) struct Series {
    /// Points in order of step; values may be NaN or infinite.
    points: Vec<(f64, f64)>,
    /// Exponential moving average at each point; NaN where the value is not finite.
    smooth: Vec<f64>,
    /// Span of the moving average in points; 1 for a curve too short to smooth.
    pub(crate) span: usize,
    /// Points whose step or value is not finite.
    pub(crate) not_finite: usize,
}

/// The points in one interval of steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bucket {
    /// Lowest and highest raw point, in order of step; at most two points.
    pub(crate) raw: Vec<(f64, f64)>,
    /// Last point of the moving average.
    pub(crate) smooth: Option<(f64, f64)>,
    /// Step of the first value that is not finite.
    pub(crate) gap: Option<f64>,
}

impl Series {
    pub(crate) fn new(recorded: &[(f64, f64)]) -> Self {
        let mut points: Vec<_> = recorded
            .iter()
            .copied()
            .filter(|(step, _)| step.is_finite())
            .collect();
        // A resumed run may have recorded a step twice; the stable sort keeps the order of those.
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let finite = points.iter().filter(|(_, value)| value.is_finite()).count();
        let span = (finite / 40).clamp(1, 500);
        let smooth = average(&points, span);
        Self {
            not_finite: recorded.len() - finite,
            points,
            smooth,
            span,
        }
    }

    /// The points in order of step.
    pub(crate) fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// First and last finite value.
    pub(crate) fn first_and_last(&self) -> Option<(f64, f64)> {
        let mut finite = self
            .points
            .iter()
            .map(|point| point.1)
            .filter(|value| value.is_finite());
        let first = finite.next()?;
        Some((first, finite.next_back().unwrap_or(first)))
    }

    /// First and last step with any value, and lowest and highest finite value.
    pub(crate) fn ranges(&self) -> Option<((f64, f64), (f64, f64))> {
        let steps = (self.points.first()?.0, self.points.last()?.0);
        let mut finite = self
            .points
            .iter()
            .map(|point| point.1)
            .filter(|value| value.is_finite());
        let first = finite.next()?;
        let values = finite.fold((first, first), |(lo, hi), value| {
            (lo.min(value), hi.max(value))
        });
        Some((steps, values))
    }

    /// The curve in at most `count` intervals of steps, each with its extremes, so that no peak is
    /// lost. A curve of at most `count` points keeps all of them.
    pub(crate) fn buckets(&self, count: usize) -> Vec<Bucket> {
        let Some(first) = self.points.first().map(|point| point.0) else {
            return Vec::new();
        };
        let last = self.points[self.points.len() - 1].0;
        let width = (last / 2.0 - first / 2.0) / count as f64;
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut current = None;
        for (i, (&point, &smooth)) in self.points.iter().zip(&self.smooth).enumerate() {
            let key = if self.points.len() <= count {
                i
            } else if width > 0.0 {
                (((point.0 / 2.0 - first / 2.0) / width) as usize).min(count - 1)
            } else {
                0
            };
            if current != Some(key) {
                current = Some(key);
                buckets.push(Bucket::default());
            }
            if let Some(bucket) = buckets.last_mut() {
                bucket.add(point, smooth);
            }
        }
        buckets
    }
}

impl Bucket {
    fn add(&mut self, point: (f64, f64), smooth: f64) {
        if !point.1.is_finite() {
            self.gap.get_or_insert(point.0);
            return;
        }
        self.smooth = Some((point.0, smooth));
        match self.raw.as_mut_slice() {
            [] => self.raw.push(point),
            [only] => {
                if only.1 != point.1 {
                    self.raw.push(point);
                }
            }
            [a, b, ..] => {
                let (low, high) = (a.1.min(b.1), a.1.max(b.1));
                if point.1 < low || point.1 > high {
                    // The point replaces the extreme on its side; the other extreme came before it.
                    let keeps_a = (point.1 < low) == (a.1 > b.1);
                    if !keeps_a {
                        *a = *b;
                    }
                    *b = point;
                }
            }
        }
    }
}

/// Exponential moving average of the finite values with bias correction, as Adam's moments have.
fn average(points: &[(f64, f64)], span: usize) -> Vec<f64> {
    let decay = 1.0 - 2.0 / (span as f64 + 1.0);
    let (mut mean, mut weight) = (0.0, 0.0);
    points
        .iter()
        .map(|&(_, value)| {
            if !value.is_finite() {
                return f64::NAN;
            }
            weight = decay * weight + (1.0 - decay);
            // As a step towards the value, which does not overflow between finite values of one sign.
            mean += (value / 2.0 - mean / 2.0) * (2.0 * (1.0 - decay) / weight);
            mean
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn average_starts_at_the_first_value() {
        // Span 3 means decay 1/2: weights 1/2, 1/4, ... divided by their sum.
        let points = [(0.0, 8.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0)];
        let smooth = average(&points, 3);
        assert_eq!(smooth[0], 8.0);
        assert!((smooth[1] - (2.0 / 2.0 + 8.0 / 4.0) / 0.75).abs() < 1e-12);
        assert!(smooth[2].is_nan());
        assert!((smooth[3] - (1.0 / 2.0 + 2.0 / 4.0 + 8.0 / 8.0) / 0.875).abs() < 1e-12);
    }

    #[test]
    fn points_are_sorted_and_gaps_are_counted() {
        let series = Series::new(&[
            (2.0, 5.0),
            (0.0, 1.0),
            (1.0, f64::INFINITY),
            (f64::NAN, 7.0),
        ]);
        assert_eq!(
            (series.not_finite, series.first_and_last()),
            (2, Some((1.0, 5.0)))
        );
        assert_eq!(series.ranges(), Some(((0.0, 2.0), (1.0, 5.0))));
        let buckets = series.buckets(10);
        assert_eq!(buckets.len(), 3);
        assert_eq!((buckets[1].gap, buckets[1].raw.len()), (Some(1.0), 0));
    }

    #[test]
    fn curve_without_finite_values_has_no_range() {
        let series = Series::new(&[(0.0, f64::NAN), (1.0, f64::NAN)]);
        assert_eq!(
            (series.first_and_last(), series.ranges(), series.not_finite),
            (None, None, 2)
        );
        assert!(Series::new(&[]).buckets(10).is_empty());
    }

    proptest! {
        #[test]
        fn buckets_keep_the_extremes(
            points in prop::collection::vec((0.0..1e6, -1e3..1e3), 1..400), count in 1_usize..50,
        ) {
            let series = Series::new(&points);
            let buckets = series.buckets(count);
            prop_assert!(buckets.len() <= count && buckets.iter().all(|bucket| bucket.raw.len() <= 2));
            let shown: Vec<_> = buckets.iter().flat_map(|bucket| bucket.raw.clone()).collect();
            prop_assert!(shown.windows(2).all(|pair| pair[0].0 <= pair[1].0), "steps in order");
            let range = |values: &[(f64, f64)]| values.iter().fold((f64::MAX, f64::MIN), |(lo, hi), point| {
                (lo.min(point.1), hi.max(point.1))
            });
            prop_assert_eq!(range(&shown), range(&points));
            let (_, (lo, hi)) = series.ranges().unwrap();
            // Rounding of the average: a few ulps of the largest value.
            prop_assert!(series.smooth.iter().all(|mean| *mean >= lo - 1e-9 && *mean <= hi + 1e-9));
        }
    }
}
