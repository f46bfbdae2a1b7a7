//! The operations of vlp-ops, forward and both ways. Where they are matrix products, criterion's `Gelem/s` is GFLOP/s.

use std::time::Duration;

use burn::prelude::*;
use burn::tensor::Distribution;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use vlp_ops::{AdamWStep, Affine, Conv2dGeometry, SgdStep};

/// Trainable on a device with autodiff.
fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
    values.set_require_grad(device.is_autodiff())
}

/// Times what `make` makes for a device: forward, and with its gradients from one that is a tensor of its own, as inside
/// a network. `operations` are those of the forward pass.
fn both<const D: usize, F: Fn() -> Tensor<D>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: String,
    operations: Option<usize>,
    make: impl Fn(&Device) -> F,
) {
    let rate = |times| operations.map(|count| Throughput::Elements((times * count) as u64));
    let run = make(&Device::flex());
    rate(1).map(|rate| group.throughput(rate));
    group.bench_function(format!("{name} forward"), |b| b.iter(&run));
    let run = make(&Device::flex().autodiff());
    rate(3).map(|rate| group.throughput(rate));
    group.bench_function(format!("{name} both ways"), |b| {
        b.iter(|| {
            let y = run();
            (y.clone() * y.detach()).sum().backward()
        })
    });
}

fn convolutions(c: &mut Criterion) {
    let mut group = c.benchmark_group("convolution");
    // Images, input and output channels, side, kernel, stride: a ResNet's at 384 pixels, then a tiny backbone's.
    for [n, input, output, side, k, stride] in [
        [1, 3, 64, 384, 7, 2],
        [1, 64, 64, 96, 3, 1],
        [1, 128, 128, 96, 3, 2],
        [1, 256, 256, 24, 3, 1],
        [1, 1024, 256, 24, 1, 1],
        [16, 48, 48, 32, 3, 1],
    ] {
        let geometry = Conv2dGeometry {
            stride: [stride; 2],
            padding: [k / 2; 2],
            dilation: [1; 2],
        };
        let [rows, columns] = geometry.output_size([side; 2], [k; 2]);
        let operations = 2 * n * output * rows * columns * input * k * k;
        let name = format!("{n}x{input}x{side}x{side} to {output}, {k}x{k} by {stride}");
        both(&mut group, name, Some(operations), |device| {
            let x = random([n, input, side, side], device);
            let weight = random([output, input, k, k], device);
            move || vlp_ops::conv2d(x.clone(), weight.clone(), geometry)
        });
    }
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    for [rows, input, output] in [[512, 128, 256], [1024, 256, 1024], [512, 768, 3072]] {
        let name = format!("{rows}x{input} to {output}");
        both(
            &mut group,
            name,
            Some(2 * rows * input * output),
            |device| {
                let x = random([rows, input], device);
                let weight = random([input, output], device);
                let bias = random([output], device);
                move || vlp_ops::linear(x.clone(), weight.clone(), Some(bias.clone()))
            },
        );
    }
    drop(group);
    let mut group = c.benchmark_group("tied scores");
    let (rows, width, words) = (128, 256, 30_522);
    let name = format!("{rows}x{width} over {words} words");
    both(&mut group, name, Some(2 * rows * width * words), |device| {
        let states = random([rows, width], device);
        let table = random([words, width], device);
        move || vlp_ops::tied_logits(states.clone(), table.clone(), None)
    });
    drop(group);
    let mut group = c.benchmark_group("attention");
    // Batch, queries, keys, width, heads.
    for [batch, queries, keys, width, heads] in [
        [16, 92, 92, 128, 4],
        [1, 616, 616, 256, 8],
        [1, 100, 576, 256, 8],
    ] {
        let name = format!(
            "{batch}x{queries} over {keys}, {heads} heads of {}",
            width / heads
        );
        let operations = 4 * batch * queries * keys * width;
        both(&mut group, name, Some(operations), |device| {
            let query = random([batch, queries, width], device);
            let [key, value] = [(); 2].map(|()| random([batch, keys, width], device));
            move || {
                let [query, key, value] = [&query, &key, &value].map(Tensor::clone);
                vlp_ops::attention(query, key, value, None, None, heads)
            }
        });
    }
}

fn element_wise(c: &mut Criterion) {
    let mut group = c.benchmark_group("element-wise");
    let (rows, width) = (1024, 768);
    let size = format!("{rows}x{width}");
    both(&mut group, format!("layer norm {size}"), None, |device| {
        let x = random([rows, width], device);
        let [gain, shift] = [(); 2].map(|()| random([width], device));
        move || vlp_ops::layer_norm(x.clone(), gain.clone(), shift.clone(), 1e-5)
    });
    both(&mut group, format!("softmax {size}"), None, |device| {
        let x = random([rows, width], device);
        move || vlp_ops::softmax(x.clone())
    });
    both(&mut group, format!("gelu {size}"), None, |device| {
        let x = random([rows, width], device);
        move || vlp_ops::gelu(x.clone())
    });
    both(&mut group, "log_prob 128x30522".into(), None, |device| {
        let logits = random([128, 30_522], device);
        let classes: Vec<i32> = (0..128).map(|row| row * 31).collect();
        move || vlp_ops::log_prob(logits.clone(), &classes)
    });
    both(
        &mut group,
        "affine, shortcut, ReLU 1x256x96x96".into(),
        None,
        |device| {
            let [x, shortcut] = [(); 2].map(|()| random([1, 256, 96, 96], device));
            let [scale, shift] = [(); 2].map(|()| random([256], &device.clone().inner()));
            let [scale, shift] = [scale, shift].map(|row| match device.is_autodiff() {
                true => Tensor::from_inner(row),
                false => row,
            });
            move || {
                let norm = Affine {
                    scale: scale.clone(),
                    shift: shift.clone(),
                    shortcut: Some(shortcut.clone()),
                    relu: true,
                };
                vlp_ops::affine(x.clone(), norm)
            }
        },
    );
    both(
        &mut group,
        "batch norm, shortcut, ReLU 32x64x16x16".into(),
        None,
        |device| {
            let [x, shortcut] = [(); 2].map(|()| random([32, 64, 16, 16], device));
            let [gamma, beta] = [(); 2].map(|()| random([64], device));
            move || {
                let (gamma, beta) = (gamma.clone(), beta.clone());
                let shortcut = Some(shortcut.clone());
                vlp_ops::batch_norm(x.clone(), gamma, beta, 1e-5, shortcut, true).output
            }
        },
    );
    both(
        &mut group,
        "max pool 1x64x192x192, 3x3 by 2".into(),
        None,
        |device| {
            let geometry = Conv2dGeometry {
                stride: [2; 2],
                padding: [1; 2],
                dilation: [1; 2],
            };
            let x = random([1, 64, 192, 192], device);
            move || vlp_ops::max_pool2d(x.clone(), [3; 2], geometry)
        },
    );
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("update of 2048x1024");
    let device = Device::flex();
    let tensor = || random([2048, 1024], &device);
    let grad = tensor();
    let mut state = Some((tensor(), tensor().square(), tensor().square()));
    let step = AdamWStep {
        learning_rate: 1e-4,
        weight_decay: 1e-4,
        ..Default::default()
    };
    group.bench_function("adamw", |b| {
        b.iter(|| {
            if let Some((parameter, first, second)) = state.take() {
                let moments = Some((first, second));
                state = Some(vlp_ops::adamw(parameter, grad.clone(), moments, step));
            }
        })
    });
    let mut state = Some((tensor(), tensor()));
    let step = SgdStep {
        learning_rate: 1e-4,
        weight_decay: 1e-4,
        momentum: 0.9,
        ..Default::default()
    };
    group.bench_function("sgd", |b| {
        b.iter(|| {
            if let Some((parameter, velocity)) = state.take() {
                state = Some(vlp_ops::sgd(parameter, grad.clone(), Some(velocity), step));
            }
        })
    });
    group.bench_function("sum_of_squares", |b| {
        b.iter(|| vlp_ops::sum_of_squares([grad.clone().reshape([-1])]))
    });
}

fn criterion() -> Criterion {
    vlp_ops::tune_allocator();
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = convolutions, products, element_wise, updates
}
criterion_main!(benches);
