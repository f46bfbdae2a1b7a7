//! Every objective keeps the promises of the trait, and the kit finds those who do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU32, Ordering};

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use vlp_objectives::testing::{CODES, D_MODEL, check};
use vlp_objectives::{
    CaptioningConfig, CellRule, DetectionConfig, Draft, Encoded, HeadKind, ItcConfig, ItmConfig,
    Losses, MlmConfig, MvmConfig, MvmHead, Needs, Objective, ObjectiveError, SnliVeConfig,
};

#[test]
fn matching() {
    check(&Device::flex(), |rig| {
        Ok(ItmConfig::default().init(D_MODEL, &rig.device))
    })
    .unwrap();
}

#[test]
fn contrast() {
    check(&Device::flex(), |rig| {
        Ok(ItcConfig::default().init(D_MODEL, &rig.device))
    })
    .unwrap();
}

#[test]
fn masked_words() {
    for (whole_word, at_least_one, skip_mismatched) in [
        (false, false, false),
        (true, false, true),
        (false, true, false),
    ] {
        let config = MlmConfig {
            whole_word,
            at_least_one,
            skip_mismatched,
            probability: 0.3,
            ..MlmConfig::default()
        };
        check(&Device::flex(), |rig| {
            Ok(config.init(D_MODEL, rig.pieces.vocab_size(), &rig.device))
        })
        .unwrap();
    }
}

#[test]
fn masked_cells() {
    for (head, cell, skip_mismatched) in [
        (MvmHead::Cosine { temperature: 1.0 }, CellRule::Sample, true),
        (MvmHead::Cosine { temperature: 0.1 }, CellRule::Batch, false),
        (MvmHead::Linear, CellRule::Sample, false),
    ] {
        let config = MvmConfig {
            head,
            cell,
            skip_mismatched,
            probability: 0.5,
            ..MvmConfig::default()
        };
        check(&Device::flex(), |rig| {
            config.init(D_MODEL, CODES, &rig.device)
        })
        .unwrap();
    }
}

#[test]
fn downstream_heads() {
    for head in [HeadKind::Norm, HeadKind::Linear] {
        let own = SnliVeConfig { weight: 1.0, head };
        check(&Device::flex(), |rig| Ok(own.init(D_MODEL, &rig.device))).unwrap();
    }
}

#[test]
fn captions() {
    for beams in [1, 3] {
        let config = CaptioningConfig {
            beams,
            ..CaptioningConfig::default()
        };
        check(&Device::flex(), |rig| {
            Ok(config.init(rig.pieces.vocab_size(), &rig.device))
        })
        .unwrap();
    }
}

#[test]
fn detection() {
    for (from_joint, aux_losses, num_queries) in
        [(false, true, 8), (true, true, 2), (false, false, 8)]
    {
        let config = DetectionConfig {
            from_joint,
            aux_losses,
            num_queries,
            ..DetectionConfig::default()
        };
        check(&Device::flex(), |rig| {
            config.init(D_MODEL, vec![rig.vocabulary()], &rig.device)
        })
        .unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Vice {
    None,
    Chance,
    NotFinite,
    Idle,
    Forgets,
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// An objective with one vice.
#[derive(Module, Debug)]
struct Vicious {
    head: Linear,
    idle: Option<Linear>,
    #[module(skip)]
    factor: f32,
    #[module(skip)]
    vice: Skipped,
}

#[derive(Debug, Clone)]
struct Skipped(Vice);

impl Objective for Vicious {
    type Target = ();

    fn name(&self) -> &'static str {
        "vicious"
    }

    fn needs(&self) -> Needs {
        Needs::JOINT
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<(), ObjectiveError> {
        if self.vice.0 == Vice::Chance {
            draft.text.ids[1] = 5 + CALLS.fetch_add(1, Ordering::Relaxed) % 3;
        }
        Ok(())
    }

    fn loss(&self, encoded: &Encoded<'_>, _targets: &[()]) -> Result<Losses, ObjectiveError> {
        let states = encoded.text("vicious")?.states.clone();
        let value = self.head.forward(states).square().mean() * self.factor;
        let value = match self.vice.0 {
            Vice::NotFinite => value.log().mul_scalar(f32::NAN),
            _ => value,
        };
        Ok(Losses::one("vicious", 1.0, value))
    }
}

#[test]
fn vices_are_named() {
    for (vice, message) in [
        (Vice::None, ""),
        (Vice::Chance, "vicious: prepare gives another text"),
        (Vice::NotFinite, "vicious: the same batch has losses"),
        (
            Vice::Idle,
            "vicious: no gradient reaches its parameter idle.",
        ),
        (Vice::Forgets, "vicious: its loss was"),
    ] {
        let result = check(&Device::flex(), |rig| {
            let linear = |out| LinearConfig::new(D_MODEL, out).init(&rig.device);
            let mut head = linear(3);
            head.weight = Param::from_tensor(Tensor::ones([D_MODEL, 3], &rig.device) * 0.1);
            let forgets = (vice == Vice::Forgets).then(|| CALLS.fetch_add(1, Ordering::Relaxed));
            Ok(Vicious {
                head,
                idle: (vice == Vice::Idle).then(|| linear(2)),
                factor: 1.0 + forgets.unwrap_or(0) as f32,
                vice: Skipped(vice),
            })
        });
        match (vice, result) {
            (Vice::None, result) => result.unwrap(),
            (_, Err(fault)) => assert!(fault.to_string().starts_with(message), "{fault}"),
            (vice, Ok(())) => panic!("{vice:?} went unnoticed"),
        }
    }
}
