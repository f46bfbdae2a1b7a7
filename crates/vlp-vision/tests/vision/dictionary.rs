//! The visual dictionary: nearest codes, both update rules, restarts, fusion.

use std::collections::BTreeMap;

use crate::common::{max_abs_diff, random};
use burn::module::{Module, Param};
use burn::prelude::*;
use vlp_ops::params::{ParamMapper, ParamVisitor, map_params, visit_params, with_data};
use vlp_vision::dictionary::CodebookUsage;
use vlp_vision::{
    DictionaryConfig, Fusion, UpdateRule, UpdateTime, VectorQuantizerConfig, VisionError,
    VisualDictionary,
};

/// Rounding of a few f32 operations on values near 1.
const ROUNDING: f64 = 1e-6;

struct SetCodes<'a>(&'a [f32]);

impl ParamMapper for SetCodes<'_> {
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match path {
            "running_codes" => {
                let shape = param.lazy_shape();
                with_data(param, TensorData::new(self.0.to_vec(), shape))
            }
            _ => param,
        }
    }
}

fn dictionary(config: &DictionaryConfig, codes: &[f32], device: &Device) -> VisualDictionary {
    let dictionary = config.init(codes.len() / config.codes, device).unwrap();
    map_params(dictionary, &mut SetCodes(codes))
}

fn matrix(values: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / width, width];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

const CODES: [f32; 8] = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, -1.0];
const FEATURES: [f32; 10] = [0.8, 0.2, 1.4, -0.2, 0.1, 0.9, 0.3, 1.5, 0.2, 0.1];

fn indices(codes: Tensor<1, Int>) -> Vec<i64> {
    codes.into_data().iter().collect()
}

#[test]
fn updates_follow_the_formulas() {
    let device = Device::flex().autodiff();
    for (update, decay, expected) in [
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
        // Code 3 has no feature: running sum and count are zero, and so is the code.
        (
            UpdateRule::Released,
            0.4,
            [
                0.199_999, 0.1, 1.100_005, 0.0, 0.200_001, 1.200_006, 0.0, 0.0,
            ],
        ),
    ] {
        let config = DictionaryConfig::new(4)
            .with_update(update)
            .with_decay(decay);
        let dictionary = dictionary(&config, &CODES, &device);
        let features = matrix(&FEATURES, 2, &device);
        let output = dictionary.forward(features, None).unwrap();
        assert_eq!(indices(output.codes), [1, 1, 2, 2, 0]);
        let plain = Device::flex();
        let codebook = output.codebook;
        let diff = max_abs_diff(codebook.clone(), matrix(&expected, 2, &plain));
        assert!(diff < 2e-6, "{update:?} {decay}: {:?}", codebook.to_data());
        // The output has the updated codes.
        let codes = Tensor::from_ints([1, 1, 2, 2, 0], &plain);
        let states = codebook.clone().select(0, codes);
        assert!(max_abs_diff(output.states.inner(), states) < ROUNDING);
        assert!(max_abs_diff(dictionary.codebook(), codebook) < ROUNDING);
    }
}

/// All states by name.
fn states(dictionary: &VisualDictionary) -> BTreeMap<String, Vec<f32>> {
    #[derive(Default)]
    struct States(BTreeMap<String, Vec<f32>>);
    impl ParamVisitor for States {
        fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            let values = param.val().into_data().iter().collect();
            self.0.insert(path.into(), values);
        }
    }
    let mut states = States::default();
    visit_params(&dictionary.valid(), &mut states);
    states.0
}

/// Updates so far: the first of the totals.
fn updates(dictionary: &VisualDictionary) -> f32 {
    states(dictionary)["running_totals"][0]
}

/// Both threads begin with the state at the start of a step, whichever writes first.
#[test]
fn the_order_of_threads_changes_no_bit() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig::new(4)
            .with_update(update)
            .with_decay(0.4)
            .with_dead_code_threshold(0.5);
        let learn = |order: [usize; 2]| {
            let dictionary = dictionary(&config, &CODES, &device);
            for _ in 0..3 {
                for half in order {
                    let half = [&FEATURES[..4], &FEATURES[4..]][half];
                    let (copy, features) = (dictionary.clone(), matrix(half, 2, &device));
                    let forward = move || drop(copy.forward(features, None).unwrap());
                    std::thread::spawn(forward).join().unwrap();
                }
                // Ends the step: takes the means of both.
                states(&dictionary);
            }
            assert!(dictionary.restarts() > 0, "{update:?}");
            states(&dictionary)
        };
        assert_eq!(learn([0, 1]), learn([1, 0]), "{update:?}");
    }
}

#[test]
fn one_update_at_the_end_of_a_step_is_that_of_all_its_features() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig::new(4).with_update(update).with_decay(0.4);
        let in_one = dictionary(&config, &CODES, &device);
        let in_parts = dictionary(&config.with_follow(UpdateTime::Step), &CODES, &device);
        for step in 0..3 {
            let features = FEATURES.map(|feature| feature + 0.1 * step as f32);
            in_one.forward(matrix(&features, 2, &device), None).unwrap();
            let before = in_parts.codebook();
            for (index, part) in [&features[..4], &features[4..]].into_iter().enumerate() {
                let output = vlp_ops::with_micro_batch(index, 2, || {
                    in_parts.forward(matrix(part, 2, &device), None)
                });
                // All micro-batches use the codebook at the start of the step.
                assert!(max_abs_diff(output.unwrap().codebook, before.clone()) == 0.0);
            }
            // The sum over both is in the dictionary: the mean over one.
            in_parts.end_step(1);
            let diff = max_abs_diff(in_one.codebook(), in_parts.codebook());
            assert!(diff < ROUNDING, "{update:?}, step {step}: {diff}");
        }
        assert_eq!(updates(&in_parts), updates(&in_one));
    }
}

#[test]
fn a_dead_code_is_replaced_by_a_feature_of_the_step() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(4)
        .with_follow(UpdateTime::Step)
        .with_dead_code_threshold(0.5);
    let dictionary = dictionary(&config, &CODES, &device);
    for _ in 0..2 {
        for (index, part) in [&FEATURES[..4], &FEATURES[4..]].into_iter().enumerate() {
            let forward = || dictionary.forward(matrix(part, 2, &device), None);
            vlp_ops::with_micro_batch(index, 2, forward).unwrap();
        }
        dictionary.end_step(1);
    }
    let codebook: Vec<f32> = dictionary.codebook().into_data().iter().collect();
    let mut features = FEATURES.chunks(2);
    assert!(
        features.any(|feature| feature == &codebook[6..]),
        "{codebook:?}"
    );
    assert_eq!(dictionary.restarts(), 1);
}

#[test]
fn micro_batches_share_the_initial_codes() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(4)
        .with_init_from_data(true)
        .with_follow(UpdateTime::Step)
        .with_decay(1.0);
    let dictionary = dictionary(&config, &CODES, &device);
    let parts = [[10.0, 11.0, 12.0, 13.0], [20.0, 21.0, 22.0, 23.0]];
    for (index, part) in parts.iter().enumerate() {
        let features: Vec<f32> = part.iter().flat_map(|value| [*value, 0.0]).collect();
        let forward = || dictionary.forward(matrix(&features, 2, &device), None);
        vlp_ops::with_micro_batch(index, 2, forward).unwrap();
    }
    dictionary.end_step(1);
    // Every other code from each micro-batch.
    let expected = [10.0, 0.0, 21.0, 0.0, 12.0, 0.0, 23.0, 0.0];
    let diff = max_abs_diff(dictionary.codebook(), matrix(&expected, 2, &Device::flex()));
    assert!(diff < ROUNDING, "{:?}", dictionary.codebook().to_data());
    assert_eq!(updates(&dictionary), 1.0);
}

#[test]
fn a_frozen_dictionary_is_not_updated_at_the_end_of_a_step() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(4).with_follow(UpdateTime::Step);
    let frozen = dictionary(&config, &CODES, &device).freeze();
    frozen.forward(matrix(&FEATURES, 2, &device), None).unwrap();
    frozen.end_step(1);
    assert_eq!(updates(&frozen), 0.0);
}

#[test]
fn unused_code_of_the_released_rule_decays_to_zero() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(2)
        .with_update(UpdateRule::Released)
        .with_decay(0.4);
    let dictionary = dictionary(&config, &[1.0, 0.0, -1.0, 0.0], &device);
    // Code 0 has ten features in the first step only, code 1 in every step. Smoothing outweighs code 0 in the end.
    let both: Vec<f32> = (0..20)
        .flat_map(|i| [if i < 10 { 1.0 } else { -1.0 }, 0.0])
        .collect();
    let later: Vec<f32> = (0..10).flat_map(|_| [-1.0, 0.0]).collect();
    let learn = |features: &[f32]| {
        drop(
            dictionary
                .forward(matrix(features, 2, &device), None)
                .unwrap(),
        )
    };
    learn(&both);
    let mut values = vec![];
    for _ in 1..=20 {
        learn(&later);
        let codebook = dictionary.codebook().into_data();
        values.push(codebook.iter::<f32>().next().unwrap());
    }
    assert!(values[9] > 0.95, "{values:?}");
    assert!(values[19] < 0.05, "{values:?}");
    assert!(values.windows(2).all(|w| w[1] <= w[0] + 1e-6), "{values:?}");
}

#[test]
fn inference_and_frozen_dictionaries_do_not_learn() {
    let features = |device: &Device| matrix(&FEATURES, 2, device);
    let plain = Device::flex();
    let autodiff = plain.clone().autodiff();
    let config = DictionaryConfig::new(4);
    let inference = dictionary(&config, &CODES, &plain);
    let frozen = dictionary(&config, &CODES, &autodiff).freeze();
    inference.forward(features(&plain), None).unwrap();
    frozen.forward(features(&autodiff), None).unwrap();
    for dictionary in [inference, frozen] {
        let codes = matrix(&CODES, 2, &plain);
        assert_eq!(max_abs_diff(dictionary.codebook(), codes), 0.0);
    }
}

#[test]
fn first_of_equally_near_codes_is_assigned() {
    let device = Device::flex();
    let dictionary = dictionary(
        &DictionaryConfig::new(3),
        &[5.0, 5.0, 1.0, 1.0, 1.0, 1.0],
        &device,
    );
    let codes = dictionary.nearest_codes(matrix(&[0.0, 0.0], 2, &device));
    assert_eq!(indices(codes), [1]);
}

#[test]
fn gradient_is_straight_through() {
    let device = Device::flex().autodiff();
    let features = matrix(&FEATURES, 2, &device).require_grad();
    let dictionary = dictionary(&DictionaryConfig::new(4), &CODES, &device);
    let weights = random::<2>([5, 2], 3, &device);
    let states = dictionary.forward(features.clone(), None).unwrap().states;
    let grads = (states * weights.clone()).sum().backward();
    assert_eq!(
        max_abs_diff(features.grad(&grads).unwrap(), weights.inner()),
        0.0
    );
}

#[test]
fn weights_count_features() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig::new(4).with_update(update).with_decay(0.5);
        let run = |features: &[f32], weights: Option<&[f32]>| {
            let dictionary = dictionary(&config, &CODES, &device);
            let weights = weights.map(|weights| Tensor::from_floats(weights, &device));
            let features = matrix(features, 2, &device);
            dictionary.forward(features, weights).unwrap();
            dictionary.codebook()
        };
        // The second feature counts twice, the third not at all.
        let weighted = run(&FEATURES[..6], Some(&[1.0, 2.0, 0.0]));
        let repeated = [&FEATURES[..4], &FEATURES[2..4]].concat();
        assert!(
            max_abs_diff(weighted, run(&repeated, None)) < 2e-5,
            "{update:?}"
        );
    }
}

#[test]
fn ramp_raises_decay_from_zero() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(1).with_decay(0.99).with_ramp(0.4);
    let dictionary = dictionary(&config, &[4.0], &device);
    let mut expected = 4.0;
    for (feature, decay) in [(1.0f32, 0.0), (2.0, 0.4), (3.0, 0.8), (4.0, 0.99)] {
        let features = matrix(&[feature], 1, &device);
        dictionary.forward(features, None).unwrap();
        let code = f64::from(dictionary.codebook().into_scalar::<f32>());
        expected = decay * expected + (1.0 - decay) * f64::from(feature);
        assert!((code - expected).abs() < ROUNDING, "{code} {expected}");
    }
}

#[test]
fn init_from_data_needs_a_feature_for_each_code() {
    let device = Device::flex().autodiff();
    let config = DictionaryConfig::new(4)
        .with_init_from_data(true)
        .with_decay(1.0);
    let learn = |weights: [f32; 5]| {
        let dictionary = config.init(2, &device).unwrap();
        let weights = Tensor::from_floats(weights, &device);
        let features = matrix(&FEATURES, 2, &device);
        dictionary.forward(features, Some(weights))?;
        Ok::<_, VisionError>(dictionary.codebook())
    };
    let expected = [&FEATURES[..4], &FEATURES[6..]].concat();
    let expected = matrix(&expected, 2, &Device::flex());
    let codebook = learn([1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
    assert!(max_abs_diff(codebook, expected) < ROUNDING);
    let error = learn([1.0, 1.0, 0.0, 0.0, 1.0]).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("dictionary.codes = 4") && message.contains("has 3"),
        "{message}"
    );
}

#[test]
fn dead_codes_are_replaced_by_features() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig::new(4)
            .with_update(update)
            .with_dead_code_threshold(0.5);
        // Codes 0 and 3 are far from all features.
        let codes = [9.0, 9.0, 1.0, 0.0, 0.0, 1.0, -9.0, -9.0];
        let learn = |config: &DictionaryConfig| {
            let dictionary = dictionary(config, &codes, &device);
            for _ in 0..3 {
                let features = matrix(&FEATURES, 2, &device);
                dictionary.forward(features, None).unwrap();
            }
            dictionary
        };
        let dictionary = learn(&config);
        assert_eq!(dictionary.restarts(), 2, "{update:?}");
        let codes = indices(dictionary.nearest_codes(matrix(&FEATURES, 2, &Device::flex())));
        let used: std::collections::BTreeSet<i64> = codes.iter().copied().collect();
        assert!(used.len() >= 3, "{update:?}: {codes:?}");
        let dictionary = learn(&config.with_dead_code_threshold(0.0));
        assert_eq!(dictionary.restarts(), 0);
    }
}

/// `target` with the saved and loaded record of `source`.
fn reload<M: Module>(source: &M, target: M) -> M {
    let bytes = source.valid().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    target.try_load_record(record).unwrap()
}

#[test]
fn loaded_dictionary_resumes_exactly() {
    let device = Device::flex().autodiff();
    for update in [UpdateRule::Paper, UpdateRule::Released] {
        let config = DictionaryConfig::new(8)
            .with_update(update)
            .with_dead_code_threshold(0.5)
            .with_ramp(0.1);
        let batch = |seed| random::<2>([30, 6], seed, &device);
        let saved = config.init(6, &device).unwrap();
        (0..5).for_each(|seed| drop(saved.forward(batch(seed), None).unwrap()));
        let loaded = reload(&saved, config.init(6, &device).unwrap());
        for seed in 5..9 {
            let expected = saved.forward(batch(seed), None).unwrap().codebook;
            let codebook = loaded.forward(batch(seed), None).unwrap().codebook;
            assert_eq!(max_abs_diff(codebook, expected), 0.0);
        }
        assert_eq!(saved.restarts(), loaded.restarts());
    }
}

#[test]
fn invalid_values_are_errors() {
    let valid = DictionaryConfig::new(4);
    for (config, start) in [
        (
            valid.clone().with_codes(0),
            "dictionary.codes = 0: use at least 1",
        ),
        (valid.clone().with_decay(1.5), "dictionary.decay = 1.5"),
        (valid.clone().with_ramp(f64::NAN), "dictionary.ramp = NaN"),
        (
            valid.with_dead_code_threshold(-1.0),
            "dictionary.dead_code_threshold = -1",
        ),
    ] {
        let error: VisionError = config.init(2, &Device::flex()).unwrap_err();
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn usage_has_dead_codes_and_perplexity() {
    let usage = CodebookUsage::from_counts(&[5, 5, 0, 5, 5, 0]);
    assert_eq!((usage.codes, usage.used, usage.dead_codes()), (6, 4, 2));
    assert!((usage.perplexity - 4.0).abs() < 1e-12);
    assert_eq!(CodebookUsage::from_counts(&[0, 0]).perplexity, 0.0);
    assert!((CodebookUsage::from_counts(&[7]).perplexity - 1.0).abs() < 1e-12);
}

#[test]
fn repeats_count_like_repeated_images_in_every_fusion() {
    let device = Device::flex().autodiff();
    for fusion in [Fusion::Quantized, Fusion::Sum, Fusion::Gate] {
        let mut config = VectorQuantizerConfig::new(6)
            .with_fusion(fusion)
            .with_linear(true);
        config.dictionary.update = UpdateRule::Released;
        let init = || config.init(4, &device).unwrap();
        let repeating = init();
        let reference = reload(&repeating, init());
        let map = random::<4>([2, 4, 3, 5], 1, &device);
        let pad_mask = |images| Tensor::<3, Int>::zeros([images, 3, 5], &device).greater_elem(0);
        let twice = Tensor::cat(vec![map.clone(), map.clone()], 0);
        let expected = reference.forward(twice, pad_mask(4), 1).unwrap();
        let actual = repeating.forward(map, pad_mask(2), 2).unwrap();
        assert_eq!(actual.tokens.dims(), [2, 15, 4]);
        // Sums of twice as many values in another order.
        let expected_tokens = expected.tokens.slice(s![0..2, .., ..]);
        assert!(
            max_abs_diff(actual.tokens, expected_tokens) < 1e-5,
            "{fusion:?}"
        );
        assert!(
            max_abs_diff(actual.codebook, expected.codebook) < 1e-5,
            "{fusion:?}"
        );
    }
}
