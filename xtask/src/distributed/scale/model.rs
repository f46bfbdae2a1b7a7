//! The time of a step from its parts: T(P) = M/P t + t_sum(P) + t_update.

use std::fmt;

use super::two_bound;
use crate::distributed::job::Job;
use crate::distributed::lab::{LIMIT, Lab};

/// Bytes that are exchanged at once.
const BUCKET: f64 = 25e6;

/// What a sum of values costs between two processes.
pub(super) struct Network {
    /// Seconds of a sum of one value.
    latency: f64,
    /// Bytes a second that a process sends, with the additions.
    bandwidth: f64,
}

impl Network {
    /// Times a short and a long sum of `vlp-distributed` on two cores.
    pub(super) fn measure(lab: &Lab) -> Result<Self, String> {
        let short = sum_seconds(lab, 1)?;
        let long = sum_seconds(lab, super::LONG)?;
        Ok(Self {
            latency: short,
            bandwidth: traffic(super::LONG, 2) / (long - short),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latency, bandwidth) = (self.latency * 1e6, self.bandwidth / 1e9);
        writeln!(
            f,
            "a sum of one value between two processes takes {latency:.0} us, a long one passes {bandwidth:.2} GB/s"
        )
    }
}

/// A step of one process, in parts.
pub(super) struct Step {
    pub(super) micro_batches: usize,
    /// Seconds of a micro-batch.
    pub(super) micro_batch: f64,
    /// Seconds of all that is done once.
    pub(super) update: f64,
    /// Number of values that are summed.
    pub(super) values: usize,
}

impl Step {
    /// Seconds of the step on several processes.
    pub(super) fn predict(&self, processes: usize, network: &Network) -> f64 {
        let micro_batches = self.micro_batches as f64 / processes as f64;
        micro_batches * self.micro_batch + self.sum(processes, network) + self.update
    }

    /// Seconds of the sum.
    pub(super) fn sum(&self, processes: usize, network: &Network) -> f64 {
        let buckets = (self.values as f64 * 4.0 / BUCKET).ceil();
        buckets * network.latency + traffic(self.values, processes) / network.bandwidth
    }
}

/// Bytes that a process sends for a sum whose micro-batches the processes share evenly.
fn traffic(values: usize, processes: usize) -> f64 {
    2.0 * 4.0 * values as f64 * (processes - 1) as f64 / processes as f64
}

/// Best of several sums.
fn sum_seconds(lab: &Lab, values: usize) -> Result<f64, String> {
    let folder = lab.fresh("scale")?;
    let mut command = two_bound(lab);
    command.arg(&lab.tree_sum).args([&values.to_string(), "8"]);
    let mut job = Job::start(command, &lab.tree_sum, &folder, folder.join("sum.log"))?;
    let output = job.wait(LIMIT)?.expect(0)?;
    let words: Vec<&str> = output.split_whitespace().collect();
    let milliseconds = words.iter().position(|word| *word == "ms");
    let milliseconds = milliseconds.and_then(|index| words[index - 1].parse::<f64>().ok());
    Ok(milliseconds.ok_or_else(|| format!("no time in {output}"))? / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_halve_the_micro_batches_and_add_the_sum() {
        let network = Network {
            latency: 1e-3,
            bandwidth: 1e9,
        };
        let step = Step {
            micro_batches: 8,
            micro_batch: 0.1,
            update: 0.05,
            values: 10_000_000,
        };
        // 40 MB in 2 buckets; a process sends 20 MB twice.
        assert!((step.sum(2, &network) - 0.042).abs() < 1e-9);
        assert!((step.predict(2, &network) - 0.492).abs() < 1e-9);
        assert!((step.predict(1, &network) - 0.852).abs() < 1e-9);
    }
}
