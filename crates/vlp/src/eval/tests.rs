//! Evaluations by several processes equal those by one.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;
use std::sync::Arc;

use burn::prelude::*;
use vlp_data::{DataError, Image, LabelSpace, Sample, Source};
use vlp_distributed::testing::run_ranks;
use vlp_models::initialize;
use vlp_objectives::Pretrain;

use super::evaluate::evaluate_shared;
use crate::config::{Sources, resolve};
use crate::model::{Model, build_model, build_objectives};
use crate::processes::Processes;
use crate::{Datasets, RunConfig, VlpError};

/// Sizes with which an evaluation takes some ten milliseconds: three batches, the last of two examples.
const TINY: [&str; 12] = [
    "data.batch_size=4",
    "data.scenes.resolution=32",
    "data.scenes.count=40",
    "model.d_model=16",
    "model.n_heads=2",
    "model.d_ff=32",
    "model.encoder_layers=1",
    "model.backbone.width=8",
    "objectives.itc.dim=8",
    "eval.examples=10",
    "eval.images=1",
    "eval.retrieval=6",
];

const SOHO: [&str; 1] = ["model.quantizer.dictionary.codes=12"];

/// What is wrong with samples of [`Damaged`].
#[derive(Clone, Copy)]
enum Damage {
    Unreadable,
    /// Too small for SOHO with pooling.
    Tiny,
}

/// Validation samples, some of them damaged.
struct Damaged {
    source: Arc<dyn Source>,
    samples: Range<usize>,
    damage: Damage,
}

impl Source for Damaged {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn labels(&self) -> &LabelSpace {
        self.source.labels()
    }

    fn label_spaces(&self) -> &[LabelSpace] {
        self.source.label_spaces()
    }

    fn inner(&self, index: usize) -> Option<(&dyn Source, usize)> {
        Some((self.source.as_ref(), index))
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let sample = self.source.load(index)?;
        match self.damage {
            _ if !self.samples.contains(&index) => Ok(sample),
            Damage::Unreadable => Err(DataError::Worker(format!("sample {index} is lost"))),
            Damage::Tiny => Ok(Sample {
                image: Image::filled(8, 8, [0; 3]),
                objects: None,
                ..sample
            }),
        }
    }
}

fn config(preset: &str, set: &[&[&str]]) -> RunConfig {
    let set = TINY.into_iter().chain(set.concat()).map(String::from);
    let sources = Sources {
        preset: Some(preset.into()),
        set: set.collect(),
        ..Sources::default()
    };
    resolve(&sources).unwrap()
}

/// Scores, examples, messages and predictions as text, or the error, of each of `world_size` processes; the validation samples
/// `samples` are damaged in the processes `ranks`.
fn outcomes(
    config: &RunConfig,
    world_size: usize,
    (samples, damage, ranks): (Range<usize>, Damage, Range<usize>),
) -> Vec<Result<[String; 2], VlpError>> {
    let device = Device::flex();
    run_ranks(world_size, |group| {
        let mut data = Datasets::open(config)?;
        if ranks.contains(&group.rank()) {
            data.validation = Arc::new(Damaged {
                source: data.validation,
                samples: samples.clone(),
                damage,
            });
        }
        let processes = Processes::new(group, None);
        let objectives = build_objectives(config, &data, &device)?;
        let validation = match build_model(config, &data.tokenizer, &device)? {
            Model::E2eVlp(model) => {
                let model = initialize(Pretrain { model, objectives }, 1);
                evaluate_shared(&model, config, &data, &device, &processes)
            }
            Model::Soho(model) => {
                let model = initialize(Pretrain { model, objectives }, 1);
                evaluate_shared(&model, config, &data, &device, &processes)
            }
        }?;
        let (scores, unreadable) = (validation.scores, validation.unreadable);
        let shared = format!("{scores:#?} {} {unreadable:?}", validation.examples);
        Ok([shared, format!("{:#?}", validation.predictions)])
    })
}

fn check_equal(config: &RunConfig) {
    let damage = || (5..7, Damage::Unreadable, 0..3);
    let [alone] = &outcomes(config, 1, damage())[..] else {
        panic!("one process");
    };
    let [shared, predictions] = alone.as_ref().unwrap();
    assert!(
        shared.contains("sample 5 is lost") && shared.contains("] 8 ["),
        "{shared}"
    );
    for world_size in [2, 3] {
        for (rank, outcome) in outcomes(config, world_size, damage())
            .into_iter()
            .enumerate()
        {
            let [of_rank, predictions_of_rank] = outcome.unwrap();
            assert_eq!(&of_rank, shared, "rank {rank} of {world_size}");
            if rank == 0 {
                assert_eq!(&predictions_of_rank, predictions, "{world_size}");
            }
        }
    }
}

#[test]
fn all_processes_have_the_scores_of_one() {
    let e2e = [
        "model.decoder_layers=1",
        "objectives.detection.num_queries=5",
    ];
    check_equal(&config("e2e-vlp-tiny", &[&e2e]));
    check_equal(&config("soho-tiny", &[&SOHO, &["eval.rerank=2"]]));
    let itc = ["objectives.itm=off", "eval.folds=2", "eval.retrieval=4"];
    check_equal(&config("soho-tiny", &[&SOHO, &itc]));
}

#[test]
fn an_image_that_one_process_cannot_read_is_left_out_of_all() {
    let config = config("soho-tiny", &[&SOHO, &["eval.rerank=2", "eval.folds=2"]]);
    // Sample 5 is in the second batch, that of rank 1; retrieval reads it in all processes.
    let damage = |ranks| (5..6, Damage::Unreadable, ranks);
    let alone = outcomes(&config, 1, damage(0..1)).remove(0).unwrap();
    // Two folds of the other five images.
    assert!(alone[0].contains("1 more images left out"), "{}", alone[0]);
    for outcome in outcomes(&config, 2, damage(1..2)) {
        assert_eq!(outcome.unwrap()[0], alone[0]);
    }
}

#[test]
fn the_error_of_a_batch_reaches_all_processes() {
    let config = config("soho-tiny", &[&SOHO, &["model.pool=before"]]);
    let outcomes = outcomes(&config, 3, (4..8, Damage::Tiny, 0..3));
    for (rank, outcome) in outcomes.into_iter().enumerate() {
        let error = outcome.unwrap_err();
        assert!(
            error.to_string().contains("leaves no grid feature"),
            "{error}"
        );
        match error {
            VlpError::Rank { rank: 1, .. } => assert_ne!(rank, 1),
            VlpError::Objective(_) => assert_eq!(rank, 1),
            error => panic!("{error}"),
        }
    }
}
