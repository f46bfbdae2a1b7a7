//! Learning-rate schedule: a pure function of the step, so resuming needs no state.

use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Linear warm-up followed by a decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Steps of linear warm-up; 0 in DETR.
    pub warmup_steps: u64,
    /// Factor of the learning rates before the first step of the warm-up; it rises in equal increments to 1 at the last
    /// step. 1/3 in SOHO.
    pub warmup_from: f64,
    /// Decay after the warm-up.
    pub decay: Decay,
}

/// Decay of the factor after the warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Decay {
    /// No decay.
    Constant,
    /// Multiplies by `factor` at each of the given fractions of the run (DETR: 0.1 at 2/3).
    Step {
        /// Fractions of the run in `0..1`.
        at: Vec<f64>,
        /// The multiplier.
        factor: f64,
    },
    /// Linear decay to `floor`.
    Linear {
        /// Factor at the end.
        floor: f64,
    },
    /// Cosine decay to `floor`.
    Cosine {
        /// Factor at the end.
        floor: f64,
    },
}

impl Default for ScheduleConfig {
    /// No warm-up and no decay.
    fn default() -> Self {
        Self {
            warmup_steps: 0,
            warmup_from: 0.0,
            decay: Decay::Constant,
        }
    }
}

impl ScheduleConfig {
    /// Checks the factors, which must be finite and not negative, since the learning rates are multiplied by them, and the
    /// fractions of the run.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a value out of range.
    pub fn validate(&self) -> Result<(), TrainError> {
        let (key, factor) = match self.decay {
            Decay::Constant => ("decay", 1.0),
            Decay::Step { factor, .. } => ("decay.factor", factor),
            Decay::Linear { floor } | Decay::Cosine { floor } => ("decay.floor", floor),
        };
        let fail = |key: &str, value: f64, hint: &str| {
            Err(TrainError::Config {
                key: format!("schedule.{key}"),
                value: value.to_string(),
                hint: hint.into(),
            })
        };
        for (key, factor) in [("warmup_from", self.warmup_from), (key, factor)] {
            if !factor.is_finite() || factor < 0.0 {
                return fail(key, factor, "use a finite number of at least 0");
            }
        }
        if let Decay::Step { at, .. } = &self.decay
            && let Some(&fraction) = at.iter().find(|fraction| !(0.0..1.0).contains(*fraction))
        {
            let hint = "use fractions of the run, at least 0 and below 1 (0.6667 in DETR)";
            return fail("decay.at", fraction, hint);
        }
        Ok(())
    }

    /// Factor of all learning rates at `step` (from 0) of `total_steps`.
    pub fn lr_factor(&self, step: u64, total_steps: u64) -> f64 {
        if step < self.warmup_steps {
            let progress = (step + 1) as f64 / self.warmup_steps as f64;
            return self.warmup_from + (1.0 - self.warmup_from) * progress;
        }
        let decay_steps = total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / decay_steps).min(1.0);
        match &self.decay {
            Decay::Constant => 1.0,
            Decay::Step { at, factor } => {
                let progress = step as f64 / total_steps.max(1) as f64;
                factor.powi(at.iter().filter(|&&fraction| progress >= fraction).count() as i32)
            }
            Decay::Linear { floor } => 1.0 - (1.0 - floor) * progress,
            Decay::Cosine { floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_and_fractions_out_of_range_are_rejected() {
        let schedule = |warmup_from, decay| ScheduleConfig {
            warmup_steps: 1,
            warmup_from,
            decay,
        };
        let step_at = |at, factor| Decay::Step {
            at: vec![0.5, at],
            factor,
        };
        let step = |factor| step_at(0.75, factor);
        for good in [
            schedule(0.0, Decay::Constant),
            schedule(1.0, step(0.1)),
            schedule(1.0, step_at(0.0, 0.1)),
            schedule(0.5, Decay::Linear { floor: 0.0 }),
        ] {
            assert!(good.validate().is_ok());
        }
        for bad in [
            schedule(f64::NAN, Decay::Constant),
            schedule(-0.1, Decay::Constant),
            schedule(0.0, step(f64::INFINITY)),
            schedule(0.0, Decay::Cosine { floor: f64::NAN }),
            // A step instead of a fraction: it would never be reached.
            schedule(0.0, step_at(16_000.0, 0.1)),
            schedule(0.0, step_at(1.0, 0.1)),
            schedule(0.0, step_at(-0.1, 0.1)),
            schedule(0.0, step_at(f64::NAN, 0.1)),
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn factor_warms_up_then_decays() {
        let schedule = |decay| ScheduleConfig {
            warmup_steps: 10,
            warmup_from: 0.0,
            decay,
        };
        let step = schedule(Decay::Step {
            at: vec![0.5, 0.75],
            factor: 0.1,
        });
        let factors: Vec<f64> = [0, 9, 10, 49, 50, 75, 99]
            .iter()
            .map(|&s| step.lr_factor(s, 100))
            .collect();
        for (actual, expected) in factors.iter().zip([0.1, 1.0, 1.0, 1.0, 0.1, 0.01, 0.01]) {
            assert!((actual - expected).abs() < 1e-12, "{factors:?}");
        }
        for decay in [Decay::Linear { floor: 0.1 }, Decay::Cosine { floor: 0.1 }] {
            let schedule = schedule(decay);
            assert!((schedule.lr_factor(10, 100) - 1.0).abs() < 1e-12);
            assert!((schedule.lr_factor(100, 100) - 0.1).abs() < 1e-12);
            let all: Vec<f64> = (10..=100).map(|s| schedule.lr_factor(s, 100)).collect();
            assert!(all.windows(2).all(|w| w[1] < w[0]));
        }
    }
}
