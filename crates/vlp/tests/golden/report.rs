//! Which values agree and which do not.

use crate::case::Values;

/// A ratio above this disagrees.
const LIMIT: f64 = 5.0;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) case: String,
    judged: usize,
    worst: Option<(f64, String)>,
    failures: Vec<String>,
    skipped: usize,
}

impl Report {
    pub(crate) fn begin(&mut self, case: &str) {
        self.case = case.into();
    }

    pub(crate) fn skip(&mut self, name: &str) {
        println!("skipped: {name}");
        self.skipped += 1;
    }

    pub(crate) fn fail(&mut self, name: &str, message: &str) {
        println!("{}/{name}: {message}", self.case);
        self.failures
            .push(format!("{}/{name}: {message}", self.case));
    }

    /// Compares a difference with the tolerance.
    pub(crate) fn judge(&mut self, name: &str, difference: f64, allowed: f64) {
        let ratio = match difference {
            0.0 => 0.0,
            _ => LIMIT * difference / allowed,
        };
        self.judged += 1;
        println!("{}/{name}: {ratio:.3}", self.case);
        // NaN is worse than any number.
        if self
            .worst
            .as_ref()
            .is_none_or(|(worst, _)| ratio.is_nan() || ratio > *worst)
        {
            self.worst = Some((ratio, format!("{}/{name}", self.case)));
        }
        if ratio.is_nan() || ratio > LIMIT {
            let message =
                format!("ratio {ratio:.3}, off by {difference:.3e}, {allowed:.3e} agrees");
            self.failures
                .push(format!("{}/{name}: {message}", self.case));
        }
    }

    /// Compares all values of a tensor with one tolerance.
    pub(crate) fn tensor(&mut self, name: &str, got: &Values, want: &Values, allowed: f64) {
        if got.shape != want.shape {
            let message = format!("shape {:?}, expected {:?}", got.shape, want.shape);
            return self.fail(name, &message);
        }
        self.judge(name, largest_difference(&got.values, &want.values), allowed);
    }

    /// Compares integers, masks and pairs, which must be equal.
    pub(crate) fn equal(&mut self, name: &str, got: &Values, want: &Values) {
        self.tensor(name, got, want, 0.0);
    }

    /// Prints a value that is not judged.
    pub(crate) fn note(&self, name: &str, got: f64, want: f64) {
        println!("{}/{name}: {got} ({want} expected; not judged)", self.case);
    }

    /// Prints the summary and fails the test if anything disagrees.
    pub(crate) fn finish(self) {
        for failure in &self.failures {
            println!("DISAGREES {failure}");
        }
        let (ratio, name) = self
            .worst
            .unwrap_or((f64::NAN, "nothing was judged".into()));
        println!(
            "golden: {} tensors, worst ratio {ratio:.3} ({name}), {} skipped",
            self.judged, self.skipped
        );
        assert!(self.failures.is_empty(), "{} disagree", self.failures.len());
    }
}

/// Maximum difference of two lists of values; NaN if one has a NaN.
pub(crate) fn largest_difference(got: &[f64], want: &[f64]) -> f64 {
    got.iter().zip(want).fold(0.0, |worst, (a, b)| {
        let difference = (a - b).abs();
        if difference <= worst {
            worst
        } else {
            difference
        }
    })
}
