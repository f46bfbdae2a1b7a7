//! How long the steps of a run take, from when its log grows.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::distributed::job::Job;

/// Steps before those that are timed.
const WARM_UP: usize = 2;
const INTERVAL: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(300);

/// Median of the steps of a run that has `steps`, after the first ones.
pub(super) fn seconds_per_step(job: &mut Job, run: &Path, steps: usize) -> Result<f64, String> {
    let log = run.join("metrics.jsonl");
    let start = Instant::now();
    let (mut length, mut ends) = (0, vec![]);
    while ends.len() < steps {
        let new = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if new > length {
            length = new;
            ends.push(Instant::now());
        } else if let Some(ended) = job.poll()? {
            ended.expect(0)?;
            break;
        }
        if start.elapsed() > LIMIT {
            return Err(format!(
                "{} steps of {steps} after {} s",
                ends.len(),
                LIMIT.as_secs()
            ));
        }
        std::thread::sleep(INTERVAL);
    }
    let ends = ends.get(WARM_UP - 1..).unwrap_or_default();
    let pairs = ends.windows(2);
    median(
        pairs
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect(),
    )
    .ok_or_else(|| format!("{}: too few steps", run.display()))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_an_outlier() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
