//! What a GPU can record as a graph, and what it cannot. On the CPU everything runs as it is.

use std::convert::Infallible;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::capture::{Captured, Value};
use vlp_vision::{Depth, ResNet, ResNetConfig};

type Function = Captured<(), Infallible>;

fn vector(length: usize, seed: usize, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = (0..length).map(|i| ((i + seed) as f32).sin()).collect();
    Tensor::from_floats(values.as_slice(), device)
}

fn call(function: &mut Function, input: Tensor<1>) -> Vec<f32> {
    let Ok(outputs) = function.call(&(), &[input.into()]);
    let output: Tensor<1> = outputs[0].tensor();
    output.into_data().iter().collect()
}

fn plus_one(values: &[Value]) -> Tensor<1> {
    values[0].tensor::<1, Float>() * 2.0 + 1.0
}

#[test]
fn what_cannot_be_recorded_runs_as_it_is() {
    let device = Device::default();
    let is_gpu = !vlp_ops::is_cpu(&device);
    let captured = |function: fn(&Device, &[Value]) -> Tensor<1>| -> Function {
        let function_device = device.clone();
        Captured::new("a test", &device, move |(): &(), values| {
            Ok(vec![function(&function_device, values).into()])
        })
    };
    let mut plain = captured(|_, values| plus_one(values));
    // Reads a value on the CPU.
    let mut reads = captured(|_, values| {
        let sum = plus_one(values).sum().into_scalar::<f32>();
        plus_one(values) + f64::from(sum)
    });
    // Copies values to the device.
    let mut uploads = captured(|device, values| {
        plus_one(values) + vector(values[0].tensor::<1, Float>().dims()[0], 5, device)
    });
    for seed in 0..4 {
        let input = vector(100, seed, &device);
        let expected = input.clone() * 2.0 + 1.0;
        let sum = f64::from(expected.clone().sum().into_scalar::<f32>());
        let data = |tensor: Tensor<1>| -> Vec<f32> { tensor.into_data().iter().collect() };
        assert_eq!(
            call(&mut reads, input.clone()),
            data(expected.clone() + sum)
        );
        let sum = expected.clone() + vector(100, 5, &device);
        assert_eq!(call(&mut uploads, input.clone()), data(sum));
        assert_eq!(call(&mut plain, input), data(expected));
    }
    println!("{reads:?}\n{uploads:?}\n{plain:?}");
    for function in [&reads, &uploads] {
        let counts = function.report().counts;
        assert_eq!((counts.first_calls, counts.fallbacks), (1, 3));
        assert_eq!(
            (counts.recordings, function.report().fallbacks.len()),
            (0, 1)
        );
    }
    let counts = plain.report().counts;
    let expected = if is_gpu { (1, 3, 0) } else { (0, 0, 3) };
    assert_eq!(
        (counts.recordings, counts.replays, counts.fallbacks),
        expected
    );
}

#[test]
fn many_shapes_are_not_recorded_forever() {
    let device = Device::default();
    let is_gpu = !vlp_ops::is_cpu(&device);
    let mut function: Function = Captured::new("a test", &device, |(): &(), values| {
        Ok(vec![plus_one(values).into()])
    });
    for round in 0..3 {
        for length in 0..20 {
            let input = vector(64 + length, round, &device);
            let expected: Vec<f32> = (input.clone() * 2.0 + 1.0).into_data().iter().collect();
            assert_eq!(call(&mut function, input), expected, "{length}, {round}");
        }
    }
    let counts = function.report().counts;
    assert_eq!(counts.first_calls, 20);
    if is_gpu {
        // Of 16 graphs the last four are left in the third round.
        assert_eq!((counts.recordings, counts.replays), (16, 20));
    }
    assert_eq!(counts.replays + counts.fallbacks, 40);
}

#[test]
fn states_stay_on_the_device_from_call_to_call() {
    let device = Device::default();
    // Adds the input to a running sum and returns its double.
    let mut function: Function = Captured::new("a test", &device, |(): &(), values| {
        let sum = values[1].tensor::<1, Float>() + values[0].tensor::<1, Float>();
        Ok(vec![(sum.clone() * 2.0).into(), sum.into()])
    });
    for start in [0.0, 100.0] {
        let mut states: Vec<Value> = vec![Tensor::<1>::full([8], start, &device).into()];
        for step in 1..6 {
            let input = Tensor::<1>::ones([8], &device).into();
            let Ok((outputs, next)) = function.call_with_states(&(), &[input], &states);
            states = next;
            let output: Tensor<1> = outputs[0].tensor();
            let sums: Vec<f32> = output.into_data().iter().collect();
            assert_eq!(sums, vec![2.0 * (start as f32 + step as f32); 8]);
        }
    }
}

#[test]
fn training_steps_replay_a_frozen_backbone() {
    let device = Device::default().autodiff();
    let is_gpu = !vlp_ops::is_cpu(&device);
    let mut config = ResNetConfig::new(Depth::R10)
        .with_width(8)
        .with_frozen_stages(5);
    let backbone = config.init(&device).unwrap();
    let pixels = |seed| vector(2 * 3 * 32 * 48, seed, &device).reshape([2, 3, 32, 48]);
    let maps = |backbone: &ResNet, pixels: Tensor<4>| -> Vec<TensorData> {
        let maps = backbone.forward(pixels).into_iter();
        maps.map(Tensor::into_data).collect()
    };
    let check = |backbone: &ResNet| {
        for seed in 0..4 {
            let expected = maps(&backbone.valid(), pixels(seed).inner());
            assert_eq!(maps(backbone, pixels(seed)), expected, "pixels {seed}");
        }
        backbone.frozen_report().map(|report| report.counts)
    };
    // A clone shares the graph, as the clones of a model from step to step do.
    assert_eq!(check(&backbone).is_some(), is_gpu);
    let counts = check(&backbone.clone());
    assert_eq!(
        counts.map(|counts| (counts.first_calls, counts.recordings, counts.replays)),
        is_gpu.then_some((1, 1, 7))
    );
    // Other weights are not those that were recorded.
    let other = backbone.map(&mut Double);
    let counts = check(&other);
    assert_eq!(counts.map(|counts| counts.replays), is_gpu.then_some(3));
    // A weight that may have a gradient is not part of a graph.
    config.frozen_stages = 4;
    let backbone = config.init(&device).unwrap();
    assert!(check(&backbone).is_none());
    let loss = backbone.forward(pixels(0)).pop().unwrap().sum();
    assert!(loss.is_tracked());
}

/// Doubles weights.
struct Double;

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| (value * 2.0).detach().set_require_grad(false))
    }
}
