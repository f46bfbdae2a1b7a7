//! The visual dictionary: look-up, both update rules, restarts, and what it must not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use common::{distance, random};
use vlp_vision::dictionary::Health;
use vlp_vision::{
    DictionaryConfig, Fusion, QuantiserConfig, UpdateRule, VisionError, VisualDictionary,
};

/// Rounding of a few f32 operations on values near 1.
const ROUNDING: f64 = 1e-6;

struct Rows(Vec<f32>, bool);

impl ModuleMapper for Rows {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.1 = name == "running_codes";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.1 {
            true => param.map(|old| {
                Tensor::from_data(TensorData::new(self.0.clone(), old.shape()), &old.device())
            }),
            false => param,
        }
    }
}

fn dictionary(config: &DictionaryConfig, rows: &[f32], device: &Device) -> VisualDictionary {
    let width = rows.len() / config.codes;
    let fresh = config.init(width, device).unwrap();
    fresh.map(&mut Rows(rows.to_vec(), false))
}

fn table(rows: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let shape = [rows.len() / width, width];
    Tensor::from_data(TensorData::new(rows.to_vec(), shape), device)
}

const ROWS: [f32; 8] = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, -1.0];
const FEATURES: [f32; 10] = [0.8, 0.2, 1.4, -0.2, 0.1, 0.9, 0.3, 1.5, 0.2, 0.1];

fn indices(codes: Tensor<1, Int>) -> Vec<i64> {
    codes.into_data().iter().collect()
}

#[test]
fn one_update_by_each_rule_is_what_the_formulas_say() {
    let device = Device::flex().autodiff();
    for (update, decay, want) in [
        (
            UpdateRule::Paper,
            0.99,
            [0.002, 0.001, 1.001, 0.0, 0.002, 1.002, -1.0, -1.0],
        ),
        (
            UpdateRule::Paper,
            0.4,
            [0.12, 0.06, 1.06, 0.0, 0.12, 1.12, -1.0, -1.0],
        ),
        // Row 3 has no feature: running sum and count are zero, so it becomes zero.
        (
            UpdateRule::Released,
            0.4,
            [
                0.199_999, 0.1, 1.100_005, 0.0, 0.200_001, 1.200_006, 0.0, 0.0,
            ],
        ),
    ] {
        let config = DictionaryConfig {
            update,
            decay,
            ..DictionaryConfig::new(4)
        };
        let own = dictionary(&config, &ROWS, &device);
        let found = own.forward(table(&FEATURES, 2, &device), None).unwrap();
        assert_eq!(indices(found.codes), [1, 1, 2, 2, 0]);
        let plain = Device::flex();
        let gap = distance(found.table.clone(), table(&want, 2, &plain));
        assert!(
            gap < 2e-6,
            "{update:?} {decay}: {:?}",
            found.table.to_data()
        );
        // The output is the updated row, and the next look-up reads it.
        let rows = found
            .table
            .clone()
            .select(0, Tensor::from_ints([1, 1, 2, 2, 0], &plain));
        assert!(distance(found.states.inner(), rows) < ROUNDING);
        assert!(distance(own.table(), found.table) < ROUNDING);
    }
}

#[test]
fn an_unused_row_of_the_released_rule_drifts_to_zero_when_the_smoothing_outweighs_it() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig {
        update: UpdateRule::Released,
        decay: 0.4,
        ..DictionaryConfig::new(2)
    };
    let own = dictionary(&config, &[1.0, 0.0, -1.0, 0.0], &device);
    // Ten features take row 0 once; then it is left alone while row 1 takes ten in every step.
    let both: Vec<f32> = (0..20)
        .flat_map(|i| [if i < 10 { 1.0 } else { -1.0 }, 0.0])
        .collect();
    let later: Vec<f32> = (0..10).flat_map(|_| [-1.0, 0.0]).collect();
    own.forward(table(&both, 2, &device), None).unwrap();
    let mut radius = vec![];
    for _ in 1..=20 {
        own.forward(table(&later, 2, &device), None).unwrap();
        radius.push(own.table().into_data().iter::<f32>().next().unwrap());
    }
    assert!(radius[9] > 0.95, "{radius:?}");
    assert!(radius[19] < 0.05, "{radius:?}");
    assert!(radius.windows(2).all(|w| w[1] <= w[0] + 1e-6), "{radius:?}");
}

#[test]
fn inference_and_frozen_dictionaries_do_not_learn_and_ties_take_the_first_row() {
    let features = |device: &Device| table(&FEATURES, 2, device);
    let plain = Device::flex();
    let autodiff = plain.clone().autodiff();
    let config = DictionaryConfig::new(4);
    let inference = dictionary(&config, &ROWS, &plain);
    let frozen = dictionary(&config, &ROWS, &autodiff).freeze();
    inference.forward(features(&plain), None).unwrap();
    frozen.forward(features(&autodiff), None).unwrap();
    for own in [inference, frozen] {
        assert_eq!(distance(own.table(), table(&ROWS, 2, &plain)), 0.0);
    }
    let twins = dictionary(
        &DictionaryConfig::new(3),
        &[5.0, 5.0, 1.0, 1.0, 1.0, 1.0],
        &plain,
    );
    assert_eq!(indices(twins.nearest(table(&[0.0, 0.0], 2, &plain))), [1]);
}

#[test]
fn the_gradient_of_the_output_reaches_the_features_unchanged() {
    let device = Device::flex().autodiff();
    let features = table(&FEATURES, 2, &device).require_grad();
    let own = dictionary(&DictionaryConfig::new(4), &ROWS, &device);
    let weights = random::<2>([5, 2], 3, &device);
    let states = own.forward(features.clone(), None).unwrap().states;
    let grads = (states * weights.clone()).sum().backward();
    assert_eq!(
        distance(features.grad(&grads).unwrap(), weights.inner()),
        0.0
    );
}

#[test]
fn weights_count_features_and_zero_leaves_padding_out() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig {
            update,
            decay: 0.5,
            ..DictionaryConfig::new(4)
        };
        let run = |features: &[f32], weights: Option<&[f32]>| {
            let own = dictionary(&config, &ROWS, &device);
            let weights = weights.map(|w| Tensor::from_floats(w, &device));
            own.forward(table(features, 2, &device), weights).unwrap();
            own.table()
        };
        // The second feature counts twice, the third not at all.
        let weighted = run(&FEATURES[..6], Some(&[1.0, 2.0, 0.0]));
        let twice = [&FEATURES[..4], &FEATURES[2..4]].concat();
        assert!(distance(weighted, run(&twice, None)) < 2e-5, "{update:?}");
    }
}

#[test]
fn the_ramp_starts_from_zero() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig {
        decay: 0.99,
        ramp: 0.4,
        ..DictionaryConfig::new(1)
    };
    let own = dictionary(&config, &[4.0], &device);
    let mut rows = vec![];
    for feature in [1.0f32, 2.0, 3.0, 4.0] {
        own.forward(table(&[feature], 1, &device), None).unwrap();
        rows.push(f64::from(own.table().into_scalar::<f32>()));
    }
    // Shares kept: 0, 0.4, 0.8, 0.99.
    let mut want = 4.0;
    for (row, (kept, feature)) in rows
        .iter()
        .zip([(0.0, 1.0), (0.4, 2.0), (0.8, 3.0), (0.99, 4.0)])
    {
        want = kept * want + (1.0 - kept) * feature;
        assert!((row - want).abs() < ROUNDING, "{rows:?}");
    }
}

#[test]
fn a_dictionary_that_starts_from_the_batch_needs_a_real_feature_for_each_row() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig {
        start_from_batch: true,
        decay: 1.0,
        ..DictionaryConfig::new(4)
    };
    let own = config.init(2, &device).unwrap();
    let weights = Tensor::from_floats([1.0, 1.0, 0.0, 1.0, 1.0], &device);
    own.forward(table(&FEATURES, 2, &device), Some(weights))
        .unwrap();
    let want = [&FEATURES[..4], &FEATURES[6..]].concat();
    assert!(distance(own.table(), table(&want, 2, &Device::flex())) < ROUNDING);
    let own = config.init(2, &device).unwrap();
    let weights = Tensor::from_floats([1.0, 1.0, 0.0, 0.0, 1.0], &device);
    let error = own
        .forward(table(&FEATURES, 2, &device), Some(weights))
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("dictionary.codes = 4") && message.contains("has 3"),
        "{message}"
    );
}

#[test]
fn dead_rows_restart_from_features_of_the_batch() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig {
            update,
            restart_below: 0.5,
            ..DictionaryConfig::new(4)
        };
        let far = [9.0, 9.0, 1.0, 0.0, 0.0, 1.0, -9.0, -9.0];
        let own = dictionary(&config, &far, &device);
        for _ in 0..3 {
            own.forward(table(&FEATURES, 2, &device), None).unwrap();
        }
        assert_eq!(own.restarts(), 2, "{update:?}");
        let codes = indices(own.nearest(table(&FEATURES, 2, &Device::flex())));
        let used: std::collections::BTreeSet<i64> = codes.iter().copied().collect();
        assert!(used.len() >= 3, "{update:?}: {codes:?}");
        let without = DictionaryConfig {
            restart_below: 0.0,
            ..config
        };
        let own = dictionary(&without, &far, &device);
        for _ in 0..3 {
            own.forward(table(&FEATURES, 2, &device), None).unwrap();
        }
        assert_eq!(own.restarts(), 0);
    }
}

#[test]
fn saved_and_loaded_a_dictionary_goes_on_as_if_nothing_had_happened() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig {
            update,
            restart_below: 0.5,
            ramp: 0.1,
            ..DictionaryConfig::new(8)
        };
        let batch = |seed| random::<2>([30, 6], seed, &device);
        let own = config.init(6, &device).unwrap();
        (0..5).for_each(|seed| drop(own.forward(batch(seed), None).unwrap()));
        let bytes = own.valid().into_record().into_bytes().unwrap();
        let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
        let again = config
            .init(6, &device)
            .unwrap()
            .try_load_record(record)
            .unwrap();
        for seed in 5..9 {
            let (a, b) = (
                own.forward(batch(seed), None),
                again.forward(batch(seed), None),
            );
            assert_eq!(distance(a.unwrap().table, b.unwrap().table), 0.0);
        }
        assert_eq!(own.restarts(), again.restarts());
    }
}

#[test]
fn impossible_values_say_what_would_do() {
    let fine = DictionaryConfig::new(4);
    for (config, start) in [
        (
            DictionaryConfig {
                codes: 0,
                ..fine.clone()
            },
            "dictionary.codes = 0: use at least 1",
        ),
        (
            DictionaryConfig {
                decay: 1.5,
                ..fine.clone()
            },
            "dictionary.decay = 1.5",
        ),
        (
            DictionaryConfig {
                ramp: f64::NAN,
                ..fine.clone()
            },
            "dictionary.ramp = NaN",
        ),
        (
            DictionaryConfig {
                restart_below: -1.0,
                ..fine
            },
            "dictionary.restart_below = -1",
        ),
    ] {
        let error: VisionError = config.init(2, &Device::flex()).unwrap_err();
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn health_counts_codes_and_their_perplexity() {
    let health = Health::of(&[5, 5, 0, 5, 5, 0]);
    assert_eq!((health.codes, health.used, health.dead()), (6, 4, 2));
    assert!((health.perplexity - 4.0).abs() < 1e-12);
    assert_eq!(Health::of(&[0, 0]).perplexity, 0.0);
    assert!((Health::of(&[7]).perplexity - 1.0).abs() < 1e-12);
}

#[test]
fn each_fusion_keeps_the_shape_and_copies_count_as_if_they_stood_in_the_batch() {
    let device = Device::flex().autodiff();
    for fusion in [Fusion::Quantised, Fusion::Sum, Fusion::Gate] {
        let mut config = QuantiserConfig {
            fusion,
            linear: true,
            ..QuantiserConfig::new(6)
        };
        config.dictionary.update = UpdateRule::Released;
        let quantiser = config.init(4, &device).unwrap();
        let record = || {
            let bytes = quantiser.valid().into_record().into_bytes().unwrap();
            burn::store::ModuleRecord::from_bytes(bytes).unwrap()
        };
        let fresh = || {
            config
                .init(4, &device)
                .unwrap()
                .try_load_record(record())
                .unwrap()
        };
        let (one, two) = (fresh(), fresh());
        let map = random::<4>([2, 4, 3, 5], 1, &device);
        let mask = Tensor::<3, Int>::zeros([2, 3, 5], &device).greater_elem(0);
        let a = one.forward(map.clone(), mask.clone(), 2).unwrap();
        let double = |x: Tensor<4>| Tensor::cat(vec![x.clone(), x], 0);
        let masks = Tensor::cat(vec![mask.clone().int(), mask.int()], 0).greater_elem(0);
        let b = two.forward(double(map), masks, 1).unwrap();
        assert_eq!(a.tokens.dims(), [2, 15, 4]);
        let half = b.tokens.slice(s![0..2, .., ..]);
        // Sums of twice as many values in another order.
        assert!(distance(a.tokens, half) < 1e-5, "{fusion:?}");
        assert!(distance(a.table, b.table) < 1e-5, "{fusion:?}");
    }
}
