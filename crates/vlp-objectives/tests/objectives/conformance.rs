//! Every objective passes the conformance kit, and the kit finds objectives that break a rule.

use std::sync::atomic::{AtomicU32, Ordering};

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::testing::{CODES, D_MODEL, Rig, check, check_with};
use vlp_objectives::{
    CaptioningConfig, DetectionConfig, EncoderOutput, EncoderPasses, HeadKind, ItcConfig,
    ItmConfig, Losses, MaskSampling, MetricContext, Metrics, MlmConfig, MvmConfig, MvmHead,
    Nlvr2Config, Objective, ObjectiveError, PairBuilder, Score, SnliVeConfig, Unit, VqaConfig,
    init_weights,
};
use vlp_scenes::Task;

const HEADS: [HeadKind; 2] = [HeadKind::LxmertMlp, HeadKind::Linear];

#[test]
fn itm_conforms() {
    check(&Device::flex(), |rig| {
        Ok(ItmConfig::default().init(D_MODEL, &rig.device))
    })
    .unwrap();
}

#[test]
fn itc_conforms() {
    check(&Device::flex(), |rig| {
        Ok(ItcConfig::default().init(D_MODEL, &rig.device))
    })
    .unwrap();
}

#[test]
fn mlm_conforms() {
    for (whole_word, at_least_one, skip_negatives) in [
        (false, false, false),
        (true, false, true),
        (false, true, false),
    ] {
        let config = MlmConfig::default()
            .with_whole_word(whole_word)
            .with_at_least_one(at_least_one)
            .with_skip_negatives(skip_negatives)
            .with_probability(0.3);
        check(&Device::flex(), |rig| {
            Ok(config.init(D_MODEL, rig.tokenizer.vocab_size(), &rig.device))
        })
        .unwrap();
    }
}

#[test]
fn mvm_conforms() {
    let cosine = |temperature| MvmHead::Cosine { temperature };
    for (head, mask_sampling, skip_negatives) in [
        (cosine(1.0), MaskSampling::Sample, true),
        (cosine(0.1), MaskSampling::Batch, false),
        (MvmHead::Linear, MaskSampling::Sample, false),
    ] {
        let config = MvmConfig::default()
            .with_head(head)
            .with_mask_sampling(mask_sampling)
            .with_skip_negatives(skip_negatives)
            .with_probability(0.5);
        check(&Device::flex(), |rig| {
            config.init(D_MODEL, CODES, &rig.device)
        })
        .unwrap();
    }
}

#[test]
fn captioning_conforms() {
    for num_beams in [1, 3] {
        let config = CaptioningConfig::default().with_num_beams(num_beams);
        check(&Device::flex(), |rig| {
            Ok(config.init(rig.tokenizer.vocab_size(), &rig.device))
        })
        .unwrap();
    }
}

#[test]
fn detection_conforms() {
    for (from_joint, aux_losses, num_queries) in
        [(false, true, 8), (true, true, 2), (false, false, 8)]
    {
        let config = DetectionConfig::default()
            .with_from_joint(from_joint)
            .with_aux_losses(aux_losses)
            .with_num_queries(num_queries);
        check(&Device::flex(), |rig| {
            config.init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        })
        .unwrap();
    }
}

#[test]
fn vqa_conforms() {
    let rig = Rig::for_task(Task::Vqa, &Device::flex()).unwrap();
    let answers = rig.answers.as_ref().unwrap().len();
    for head in HEADS {
        let config = VqaConfig::default().with_head(head);
        check_with(&rig, |rig| config.init(D_MODEL, answers, &rig.device)).unwrap();
    }
}

#[test]
fn nlvr2_conforms() {
    let rig = Rig::for_task(Task::Nlvr2, &Device::flex()).unwrap();
    for head in HEADS {
        let config = Nlvr2Config::default().with_head(head);
        check_with(&rig, |rig| Ok(config.init(D_MODEL, &rig.device))).unwrap();
    }
}

#[test]
fn snli_ve_conforms() {
    let hypotheses = Rig::for_task(Task::SnliVe, &Device::flex()).unwrap();
    let captions = Rig::new(&Device::flex()).unwrap();
    for head in HEADS {
        let config = SnliVeConfig::default().with_head(head);
        for rig in [&hypotheses, &captions] {
            check_with(rig, |rig| Ok(config.init(D_MODEL, &rig.device))).unwrap();
        }
    }
}

/// A rule that an objective breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Violation {
    None,
    RandomText,
    NotFinite,
    UntrackedZero,
    UnusedParameter,
    SkippedState,
    MetricNames,
    Merge,
    UnsentRecords,
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// An objective that breaks one rule.
#[derive(Module, Debug)]
struct Violating {
    head: Linear,
    unused: Option<Linear>,
    #[module(skip)]
    factor: f32,
    #[module(skip)]
    violation: SkippedViolation,
}

init_weights!(Violating { head, unused; factor, violation });

#[derive(Debug, Clone)]
struct SkippedViolation(Violation);

#[derive(Debug, Default, Serialize, Deserialize)]
struct ViolatingMetrics {
    names: usize,
    merges: usize,
    #[serde(skip)]
    unsent: usize,
}

impl Metrics for ViolatingMetrics {
    fn merge(&mut self, other: Self) {
        (self.names, self.merges) = (other.names, self.merges + other.merges);
        self.unsent += other.unsent;
    }

    fn scores(&self, _context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let merges = Score::higher("violating/merges", Some(self.merges as f64));
        let unsent = Score::higher("violating/unsent", Some(self.unsent as f64));
        let mut scores = vec![merges, unsent];
        scores.extend((0..self.names).map(|name| Score::lower(format!("violating/{name}"), None)));
        Ok(scores)
    }
}

impl Objective for Violating {
    const NAME: &'static str = "violating";

    type Target = ();

    type Metrics = ViolatingMetrics;

    fn unit(&self) -> Unit {
        Unit::Text
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::JOINT
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<(), ObjectiveError> {
        if self.violation.0 == Violation::RandomText {
            pair.text.ids[1] = 5 + CALLS.fetch_add(1, Ordering::Relaxed) % 3;
        }
        Ok(())
    }

    fn loss(&self, output: &EncoderOutput<'_>, _targets: &[&()]) -> Result<Losses, ObjectiveError> {
        let states = output.joint().text.states.clone();
        // The bare example alone has an empty text.
        let is_bare = states.dims()[1] == 2;
        let value = self.head.forward(states).square().mean() * self.factor;
        let value = match self.violation.0 {
            Violation::NotFinite => value.log().mul_scalar(f32::NAN),
            Violation::UntrackedZero if is_bare => Tensor::zeros([1], &value.device()),
            _ => value,
        };
        Ok(Losses::single(Self::NAME, 1.0, value))
    }

    fn evaluate(
        &self,
        _output: &EncoderOutput<'_>,
        _targets: &[&()],
        metrics: &mut ViolatingMetrics,
    ) -> Result<(), ObjectiveError> {
        metrics.names = usize::from(self.violation.0 == Violation::MetricNames);
        metrics.unsent += usize::from(self.violation.0 == Violation::UnsentRecords);
        if self.violation.0 == Violation::Merge {
            metrics.merges = metrics.merges * 2 + 1;
        }
        Ok(())
    }
}

#[test]
fn each_violation_is_reported() {
    for (violation, message) in [
        (Violation::None, ""),
        (Violation::RandomText, "prepare gives another text"),
        (Violation::NotFinite, "the same batch has losses"),
        (
            Violation::UntrackedZero,
            "has no backward pass: use loss::zero",
        ),
        (
            Violation::UnusedParameter,
            "no gradient reaches its parameter unused.",
        ),
        (Violation::SkippedState, "its loss was"),
        (Violation::MetricNames, "its metrics are"),
        (Violation::Merge, "merged metrics give"),
        (Violation::UnsentRecords, "in another process"),
    ] {
        let result = check(&Device::flex(), |rig| {
            let linear = |out| LinearConfig::new(D_MODEL, out).init(&rig.device);
            let mut head = linear(3);
            head.weight = Param::from_tensor(Tensor::ones([D_MODEL, 3], &rig.device) * 0.1);
            let skipped_state = (violation == Violation::SkippedState)
                .then(|| CALLS.fetch_add(1, Ordering::Relaxed));
            Ok(Violating {
                head,
                unused: (violation == Violation::UnusedParameter).then(|| linear(2)),
                factor: 1.0 + skipped_state.unwrap_or(0) as f32,
                violation: SkippedViolation(violation),
            })
        });
        match (violation, result) {
            (Violation::None, result) => result.unwrap(),
            (_, Err(error)) => assert!(error.to_string().contains(message), "{error}"),
            (violation, Ok(())) => panic!("{violation:?} was not reported"),
        }
    }
}
