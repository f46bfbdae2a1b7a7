//! Updates of lists of tensors: optimizers, moving averages, the gradient norm.

use burn::prelude::*;
use burn::tensor::DType;
use vlp_ops::capture::Value;
use vlp_ops::{
    AdamWStep, AdamWUpdate, SgdStep, SgdUpdate, UpdateControl, adamw_all, moving_averages, sgd_all,
    sum_of_squares,
};

use super::{assert_close, devices, floats, gpu, matrix};

/// A value, a row, a column, lengths that no cube divides, and one that needs many cubes; more tensors than one launch takes.
fn shapes() -> Vec<[usize; 2]> {
    let large = [[1, 1], [1, 513], [77, 1], [33, 65], [700, 1100]];
    let small = (1..90).map(|i| [i % 5 + 1, i]);
    large.into_iter().chain(small).collect()
}

fn grad(shape: [usize; 2], seed: usize, device: &Device) -> Tensor<2> {
    match seed % 2 {
        0 => matrix(shape, seed, device),
        // As a product's gradient may lie in memory.
        _ => matrix([shape[1], shape[0]], seed, device).transpose(),
    }
}

fn control(device: &Device, norm: f32, max_norm: f32) -> UpdateControl {
    UpdateControl::new(Tensor::from_floats([3.5, norm], device), max_norm)
}

/// Parameters and moments after each of four updates, the third of which does not take place.
fn adamw_updates(device: &Device, bf16_moments: bool) -> Vec<Vec<[Vec<f32>; 3]>> {
    let shapes = shapes();
    let parameter = |(seed, shape): (usize, &[usize; 2])| matrix(*shape, seed, device);
    let mut parameters: Vec<Value> = (shapes.iter().enumerate())
        .map(|case| parameter(case).into())
        .collect();
    let mut moments: Vec<Option<[Value; 2]>> = shapes.iter().map(|_| None).collect();
    let mut results = vec![];
    for (number, norm) in [(1, 0.05), (2, 4.0), (3, f32::NAN), (3, 0.3)] {
        let tensors = parameters.drain(..).zip(moments.drain(..)).zip(&shapes);
        let updates = tensors
            .enumerate()
            .map(|(seed, ((parameter, moments), shape))| AdamWUpdate {
                parameter,
                grad: grad(*shape, seed + number, device).into(),
                moments,
                step: AdamWStep {
                    learning_rate: 1e-2 / (1.0 + (seed % 3) as f64),
                    step_number: number as i32,
                    epsilon_before_correction: seed % 2 == 1,
                    decay_after_update: seed % 2 == 1,
                    bf16_moments,
                    ..AdamWStep::default()
                },
            });
        let updated = adamw_all(updates.collect(), &control(device, norm, 0.1));
        results.push(
            updated
                .iter()
                .map(|all| all.each_ref().map(floats))
                .collect(),
        );
        // Nothing else holds them: the next update is in place.
        for [parameter, first, second] in updated {
            parameters.push(parameter);
            moments.push(Some([first, second]));
        }
    }
    results
}

#[test]
fn adamw_agrees_with_the_cpu() {
    let [cpu, gpu] = devices().map(|device| adamw_updates(&device, false));
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        assert_eq!(cpu.len(), gpu.len());
        for (i, (cpu, gpu)) in cpu.iter().zip(gpu).enumerate() {
            for (cpu, gpu) in cpu.iter().zip(gpu) {
                // The GPU may round a product and a sum at once, and its division is off by 2.5 units in the last place.
                assert_close(cpu, gpu, 2e-6, &format!("tensor {i}"));
            }
        }
    }
    // What does not take place changes nothing.
    assert_eq!(gpu[1], gpu[2]);
}

#[test]
fn moments_in_bf16_are_rounded_as_on_the_cpu() {
    let [cpu, gpu] = devices().map(|device| adamw_updates(&device, true));
    let (mut different, mut all) = (0, 0);
    for (cpu, gpu) in cpu.iter().flatten().zip(gpu.iter().flatten()) {
        for (i, (cpu, gpu)) in cpu.iter().zip(gpu).enumerate() {
            // Where the last bit of f32 differs, bf16 may be rounded to the other side, by 1/128 of the moment, which moves the
            // parameter by as much of the learning rate.
            assert_close(cpu, gpu, 1e-2, ["parameter", "first", "second"][i]);
            if i > 0 {
                all += cpu.len();
                different += cpu.iter().zip(gpu).filter(|(cpu, gpu)| cpu != gpu).count();
            }
        }
    }
    // With other random bits every second value would differ.
    assert!(different * 1000 < all, "{different} of {all}");
}

#[test]
fn an_update_that_does_not_take_place_leaves_new_moments_zero() {
    for (device, bf16_moments) in devices()
        .into_iter()
        .flat_map(|d| [(d.clone(), false), (d, true)])
    {
        let (parameter, grad) = (matrix([3, 5], 1, &device), matrix([3, 5], 2, &device));
        let before: Value = parameter.clone().into();
        let step = AdamWStep {
            bf16_moments,
            ..AdamWStep::default()
        };
        let update = AdamWUpdate::new(parameter, grad, None, step);
        let control = control(&device, f32::INFINITY, 0.1);
        let [parameter, first, second] = adamw_all(vec![update], &control).remove(0);
        assert_eq!(floats(&parameter), floats(&before));
        for moment in [first, second] {
            assert_eq!(floats(&moment), [0.0; 15]);
            let dtype = moment.tensor::<2, Float>().dtype();
            assert_eq!(dtype == DType::BF16, bf16_moments);
        }
    }
}

/// Parameters and velocities after each of three updates.
fn sgd_updates(device: &Device) -> Vec<Vec<[Vec<f32>; 2]>> {
    let shapes = shapes();
    let parameter = |(seed, shape): (usize, &[usize; 2])| matrix(*shape, seed, device).into();
    let mut parameters: Vec<Value> = shapes.iter().enumerate().map(parameter).collect();
    let mut velocities: Vec<Option<Value>> = shapes.iter().map(|_| None).collect();
    let mut results = vec![];
    for (number, norm) in [(1, f32::NAN), (1, 0.05), (2, 4.0)] {
        let tensors = parameters.drain(..).zip(velocities.drain(..)).zip(&shapes);
        let updates = tensors
            .enumerate()
            .map(|(seed, ((parameter, velocity), shape))| SgdUpdate {
                parameter,
                grad: grad(*shape, seed + number, device).into(),
                velocity,
                step: SgdStep {
                    learning_rate: 0.1 / (1.0 + (seed % 3) as f64),
                    weight_decay: 1e-2,
                    momentum: 0.9,
                    ..SgdStep::default()
                },
            });
        let updated = sgd_all(updates.collect(), &control(device, norm, 0.1));
        results.push(
            updated
                .iter()
                .map(|all| all.each_ref().map(floats))
                .collect(),
        );
        for [parameter, velocity] in updated {
            parameters.push(parameter);
            velocities.push(Some(velocity));
        }
    }
    results
}

#[test]
fn sgd_agrees_with_the_cpu() {
    let [cpu, gpu] = devices().map(|device| sgd_updates(&device));
    for (cpu, gpu) in cpu.iter().flatten().zip(gpu.iter().flatten()) {
        for (cpu, gpu) in cpu.iter().zip(gpu) {
            // Products and sums are rounded at once or one after another.
            assert_close(cpu, gpu, 1e-6, "sgd");
        }
    }
}

#[test]
fn moving_averages_agree_with_the_cpu() {
    let [cpu, gpu] = devices().map(|device| {
        let pair = |(seed, shape): (usize, [usize; 2])| -> [Value; 2] {
            [
                matrix(shape, seed, &device).into(),
                grad(shape, seed + 1, &device).into(),
            ]
        };
        moving_averages(
            shapes().into_iter().enumerate().map(pair).collect(),
            0.99,
            None,
        )
    });
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        assert_close(&floats(cpu), &floats(gpu), 1e-6, "average");
    }
}

#[test]
fn what_something_else_holds_is_not_written() {
    let device = gpu();
    let parameter = matrix([9, 30], 1, &device);
    let transposed = parameter.clone().transpose();
    let values = |tensor: Tensor<2>| floats(&tensor.into());
    let (before, before_transposed) = (values(parameter.clone()), values(transposed.clone()));
    let update = SgdUpdate {
        parameter: parameter.clone().into(),
        grad: matrix([9, 30], 2, &device).into(),
        velocity: None,
        step: SgdStep::default(),
    };
    let [updated, _] = sgd_all(vec![update], &control(&device, 1.0, 0.0)).remove(0);
    assert_ne!(floats(&updated), before);
    assert_eq!(values(parameter), before);
    assert_eq!(values(transposed), before_transposed);
}

/// A type of 16 bits, and gradients of one row for all rows: kernels would read other values than those of the tensors.
#[test]
fn tensors_that_the_kernels_do_not_take_are_updated_by_burn() {
    for (dtype, grad_rows) in [(DType::F16, 3), (DType::F32, 1)] {
        if !gpu().supports_dtype(dtype) {
            println!("SKIPPED: {dtype:?}, this GPU has none");
            continue;
        }
        let [cpu, gpu] = devices().map(|device| {
            let parameter = || matrix([3, 5], 1, &device).cast(dtype);
            let grad = || matrix([grad_rows, 5], 2, &device).cast(dtype);
            let norms = Tensor::<1>::from_floats([3.5, 0.25], &device).cast(dtype);
            let control = UpdateControl::new(norms, 0.125);
            let sgd = SgdUpdate {
                parameter: parameter().into(),
                grad: grad().into(),
                velocity: None,
                step: SgdStep {
                    learning_rate: 0.25,
                    ..SgdStep::default()
                },
            };
            let step = AdamWStep {
                learning_rate: 0.25,
                ..AdamWStep::default()
            };
            let adamw = AdamWUpdate::new(parameter(), grad(), None, step);
            let pair = [parameter().into(), grad().into()];
            let [sgd, _] = sgd_all(vec![sgd], &control).remove(0);
            let [adamw, ..] = adamw_all(vec![adamw], &control).remove(0);
            let average = moving_averages(vec![pair], 0.75, None).remove(0);
            [sgd, adamw, average].map(|value| floats(&value))
        });
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["sgd", "adamw", "average"]) {
            // A few roundings to 11 bits of values up to 1.5.
            assert_close(cpu, gpu, 4e-3, &format!("{name}, {dtype:?}"));
        }
    }
}

#[test]
#[should_panic(expected = "an update without constants")]
fn constants_of_fewer_updates_are_refused() {
    let device = gpu();
    let [adamw, sgd] = [0, 3].map(|count| Tensor::<1>::ones([count], &device));
    let update = SgdUpdate {
        parameter: matrix([2, 3], 1, &device).into(),
        grad: matrix([2, 3], 2, &device).into(),
        velocity: None,
        step: SgdStep::default(),
    };
    let control = UpdateControl::always(&device).with_constants(adamw, sgd);
    sgd_all(vec![update], &control);
}

#[test]
fn the_sum_of_squares_agrees_with_f64() {
    let device = gpu();
    let tensors = || shapes().into_iter().enumerate();
    let list = tensors().map(|(seed, shape)| grad(shape, seed, &device));
    let sum = || {
        let sum: Tensor<1> = sum_of_squares(list.clone()).unwrap();
        sum.into_scalar::<f32>()
    };
    let values =
        tensors().flat_map(|(seed, shape)| floats(&matrix(shape, seed, &Device::flex()).into()));
    // A transposed matrix has the squares of the matrix that it is made of.
    let expected: f64 = values.map(|value| f64::from(value).powi(2)).sum();
    // Sums of some thousand values in f32, most of them in a tree.
    assert!((f64::from(sum()) / expected - 1.0).abs() < 1e-5);
    assert_eq!(sum().to_bits(), sum().to_bits());
}

#[test]
fn control_is_computed_as_on_the_cpu() {
    for (values, max_norm, expected) in [
        (vec![0.2], 0.1, Some(0.1 / (0.2 + 1e-6))),
        (vec![0.2], 0.0, Some(1.0)),
        (vec![1.0, -2.0, 0.05], 0.1, Some(1.0)),
        (vec![f32::NAN, 1.0], 0.1, None),
        (vec![1.0, f32::NEG_INFINITY], 0.1, None),
        (
            (0..1000)
                .map(|i| if i == 777 { f32::NAN } else { 1.0 })
                .collect(),
            0.1,
            None,
        ),
        (vec![f32::MAX; 600], 0.0, Some(1.0)),
    ] {
        // Seen by an update of 0 by 1: it changes it by the factor, or not at all.
        for device in devices() {
            let one = Tensor::<2>::ones([1, 1], &device);
            let control =
                UpdateControl::new(Tensor::from_floats(values.as_slice(), &device), max_norm);
            let update = SgdUpdate {
                parameter: one.zeros_like().into(),
                grad: one.into(),
                velocity: None,
                step: SgdStep {
                    learning_rate: 1.0,
                    ..SgdStep::default()
                },
            };
            let [updated, _] = sgd_all(vec![update], &control).remove(0);
            let expected = expected.map_or(0.0, |factor| -factor);
            assert_close(&[expected], &floats(&updated), 1e-6, "factor");
        }
    }
}
