//! The checks of the conformance kit.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::store::ModuleRecord;
use vlp_data::Example;

use super::ConformanceError;
use super::probe::Probe;
use super::rig::Rig;
use crate::error::ObjectiveError;
use crate::metrics::{Metrics, Score};
use crate::objective::Objective;
use crate::pretrain::{Pretrain, total};

/// Checks an objective on captioned scenes. See [`check_with`].
///
/// # Errors
/// As [`check_with`].
pub fn check<O: Objective>(
    device: &Device,
    build: impl Fn(&Rig) -> Result<O, ObjectiveError>,
) -> Result<(), ConformanceError> {
    check_with(&Rig::new(device)?, build)
}

/// Checks an objective on the examples of `rig`:
///
/// - `prepare` is deterministic and depends on the example alone, not on other examples;
/// - losses are finite for one example, for all, and for one with nothing to predict, which also supports a backward pass;
/// - a gradient reaches every parameter of the objective;
/// - after it is saved and loaded into fresh weights, its loss is the same;
/// - `evaluate` works without gradients, metrics have the same names with and without records, the scores of merged metrics
///   are those of all records, and metrics that another process sends have the same scores.
///
/// # Errors
/// [`ConformanceError::Violation`] names the first rule that is broken; [`ConformanceError::Objective`] if a method
/// fails.
pub fn check_with<O: Objective>(
    rig: &Rig,
    build: impl Fn(&Rig) -> Result<O, ObjectiveError>,
) -> Result<(), ConformanceError> {
    let assemble = || -> Result<Pretrain<Probe, Option<O>>, ConformanceError> {
        Ok(Pretrain {
            model: rig.model()?,
            objectives: Some(build(rig)?),
        })
    };
    let pretrain = assemble()?;
    check_prepare(rig, &pretrain)?;
    check_losses(rig, &pretrain)?;
    check_gradients(rig, &pretrain)?;
    check_record(rig, &pretrain, assemble()?)?;
    check_metrics(rig, &pretrain.valid())
}

fn violation<T>(
    objective: &'static str,
    violation: impl Into<String>,
) -> Result<T, ConformanceError> {
    Err(ConformanceError::Violation {
        objective,
        violation: violation.into(),
    })
}

/// The weighted loss of examples, `[1]`; `None` without any term.
fn loss<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
    examples: &[Example],
    device: &Device,
) -> Result<Option<Tensor<1>>, ConformanceError> {
    let collator = rig.collator();
    let batch = collator.collate(&pretrain.objectives, examples, device)?;
    Ok(total(&pretrain.losses(&batch)?))
}

fn loss_value<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
    examples: &[Example],
    device: &Device,
) -> Result<Option<f64>, ConformanceError> {
    let loss = loss(rig, pretrain, examples, device)?;
    Ok(loss.map(|loss| f64::from(loss.into_scalar::<f32>())))
}

/// Prepares examples alone, together and in another order, and computes one loss twice.
fn check_prepare<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<(), ConformanceError> {
    let device = rig.device.clone().inner();
    let pretrain = pretrain.valid();
    let ids = |examples: &[Example]| {
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, examples, &device);
        batch.map(|batch| batch.ids)
    };
    let together = ids(&rig.examples)?;
    let mut reversed = rig.examples.clone();
    reversed.reverse();
    let mut in_reverse = ids(&reversed)?;
    in_reverse.reverse();
    let mut alone = vec![];
    for example in &rig.examples {
        alone.extend(ids(std::slice::from_ref(example))?);
    }
    if alone != together || in_reverse != together {
        let broken_rule = "prepare gives another text among other examples: use no random numbers but those of PairBuilder::rng";
        return violation(O::NAME, broken_rule);
    }
    let loss = || loss_value(rig, &pretrain, &rig.examples, &device);
    let (first, second) = (loss()?, loss()?);
    if first != second {
        let broken_rule = format!("the same batch has losses {first:?} and {second:?}");
        return violation(O::NAME, broken_rule);
    }
    Ok(())
}

fn check_losses<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<(), ConformanceError> {
    for (examples, description) in [
        (&rig.examples[..1], "one example"),
        (&rig.examples[..], "all examples"),
        (&rig.two_text_examples[..], "examples of two texts each"),
    ] {
        let value = loss_value(rig, pretrain, examples, &rig.device)?;
        if !value.is_some_and(f64::is_finite) {
            return violation(O::NAME, format!("the loss of {description} is {value:?}"));
        }
    }
    let bare = "an example without text, objects and label";
    let Some(loss) = loss(rig, pretrain, &[rig.bare_example()], &rig.device)? else {
        return violation(
            O::NAME,
            format!("there is no loss of {bare}: use loss::zero"),
        );
    };
    let value = loss.clone().into_scalar::<f32>();
    if !value.is_finite() {
        return violation(O::NAME, format!("the loss of {bare} is {value}"));
    }
    if !loss.is_tracked() {
        let broken_rule = format!("the loss of {bare} has no backward pass: use loss::zero");
        return violation(O::NAME, broken_rule);
    }
    loss.backward();
    Ok(())
}

/// Finds a parameter of the objective without gradient.
struct MissingGradient {
    grads: GradientsParams,
    path: Vec<String>,
    missing: Option<String>,
}

impl ModuleVisitor for MissingGradient {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let in_objective = self.path.first().is_some_and(|name| name == "objectives");
        if !in_objective || !param.val().is_require_grad() {
            return;
        }
        let grad = self.grads.get::<D>(param.id);
        let norm = grad.map(|grad| grad.abs().sum().into_scalar::<f32>());
        if norm.is_none_or(|norm| norm == 0.0) {
            self.missing = Some(self.path[1..].join("."));
        }
    }
}

fn check_gradients<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<(), ConformanceError> {
    let Some(loss) = loss(rig, pretrain, &rig.examples, &rig.device)? else {
        return Ok(());
    };
    let mut visitor = MissingGradient {
        grads: GradientsParams::from_grads(loss.backward(), pretrain),
        path: vec![],
        missing: None,
    };
    pretrain.visit(&mut visitor);
    match visitor.missing {
        Some(path) => violation(O::NAME, format!("no gradient reaches its parameter {path}")),
        None => Ok(()),
    }
}

/// Saves `pretrain` and loads it into the weights of `fresh`.
fn check_record<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
    fresh: Pretrain<Probe, Option<O>>,
) -> Result<(), ConformanceError> {
    let pretrain = pretrain.valid();
    let bytes = pretrain.clone().into_record().into_bytes();
    let record = bytes.and_then(ModuleRecord::from_bytes);
    let loaded = match record.and_then(|record| fresh.valid().try_load_record(record)) {
        Ok(loaded) => loaded,
        Err(error) => {
            return violation(O::NAME, format!("it cannot be saved and loaded: {error:?}"));
        }
    };
    let device = rig.device.clone().inner();
    let before = loss_value(rig, &pretrain, &rig.examples, &device)?;
    let after = loss_value(rig, &loaded, &rig.examples, &device)?;
    if before != after {
        let broken_rule =
            format!("its loss was {before:?} before saving and {after:?} after loading");
        return violation(O::NAME, broken_rule);
    }
    Ok(())
}

fn check_metrics<O: Objective>(
    rig: &Rig,
    pretrain: &Pretrain<Probe, Option<O>>,
) -> Result<(), ConformanceError> {
    let device = rig.device.clone().inner();
    let context = rig.metric_context();
    let (mut all, mut merged) = (pretrain.metrics(), pretrain.metrics());
    let empty = all.scores(&context)?;
    for half in rig.examples.chunks(rig.examples.len().div_ceil(2)) {
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, half, &device)?;
        pretrain.evaluate(&batch, &mut all)?;
        let mut part = pretrain.metrics();
        pretrain.evaluate(&batch, &mut part)?;
        merged.merge(part);
    }
    let sent = rmp_serde::to_vec_named(&all).map_err(|e| e.to_string());
    let received = sent.and_then(|bytes| rmp_serde::from_slice(&bytes).map_err(|e| e.to_string()));
    let received: Option<O::Metrics> = match received {
        Ok(metrics) => metrics,
        Err(error) => return violation(O::NAME, format!("its metrics cannot be sent: {error}")),
    };
    let received = received.scores(&context)?;
    let (all, merged) = (all.scores(&context)?, merged.scores(&context)?);
    // As text, so that NaN equals itself.
    if format!("{received:?}") != format!("{all:?}") {
        let broken_rule =
            format!("its metrics are {all:?} here and {received:?} in another process");
        return violation(O::NAME, broken_rule);
    }
    let names = |scores: &[Score]| -> Vec<String> {
        scores.iter().map(|score| score.name.clone()).collect()
    };
    if names(&empty) != names(&all) {
        let broken_rule = format!(
            "its metrics are {:?} without records and {:?} with records",
            names(&empty),
            names(&all)
        );
        return violation(O::NAME, broken_rule);
    }
    for (all, merged) in all.iter().zip(&merged) {
        let equal = match (all.value, merged.value) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        };
        if !equal {
            let broken_rule = format!("merged metrics give {merged:?} instead of {all:?}");
            return violation(O::NAME, broken_rule);
        }
    }
    Ok(())
}
