//! Times the fast paths of `vlp-ops` against burn's own operations, alternately in one process, and matmuls in bf16 where
//! the processor supports it.
//!
//! `cargo run -p vlp-ops --example ops [word...]`: everything, or the cases whose name contains one of the words.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use burn::prelude::*;
use burn::tensor::Distribution;
use vlp_ops::{
    AdamWStep, Affine, Conv2dGeometry, MatmulPrecision, join_thread_pool, set_matmul_precision,
    use_fast_paths,
};

const ROUNDS: usize = 9;

fn is_selected(filters: &[String], name: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

/// Prints the shortest time of `f` with burn's own operations, with the fast paths, and for matmuls (`flops > 0`) in bf16.
fn compare(filters: &[String], name: &str, flops: f64, mut f: impl FnMut()) {
    if !is_selected(filters, name) {
        return;
    }
    let cpu = Device::flex();
    let with_bf16 = flops > 0.0 && set_matmul_precision(MatmulPrecision::Bf16, &cpu);
    let variants = if with_bf16 { 3 } else { 2 };
    let mut best = [f64::INFINITY; 3];
    for round in 0..variants * ROUNDS {
        let variant = round % variants;
        use_fast_paths(variant > 0);
        let precision = [MatmulPrecision::F32, MatmulPrecision::Bf16][usize::from(variant == 2)];
        let _ = set_matmul_precision(precision, &cpu);
        let start = Instant::now();
        f();
        best[variant] = best[variant].min(start.elapsed().as_secs_f64() * 1e3);
    }
    use_fast_paths(true);
    let _ = set_matmul_precision(MatmulPrecision::F32, &cpu);
    let [burn, fast, bf16] = best;
    let ratio = burn / fast;
    print!("{name:48} burn {burn:9.2} ms   fast {fast:9.2} ms   {ratio:6.2} x");
    if flops > 0.0 {
        print!("   {:6.0} GFLOP/s", flops / fast / 1e6);
    }
    if with_bf16 {
        print!("   bf16 {bf16:9.2} ms   {:6.2} x", burn / bf16);
    }
    println!();
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Runs the backward pass from a gradient that is a separate tensor, as inside a network.
fn backward<const D: usize>(y: Tensor<D>) {
    black_box((y.clone() * y.detach()).sum().backward());
}

fn convolutions(filters: &[String], device: &Device, grad: &Device) {
    // Images, input, output, side, kernel, stride.
    let cases = [
        [1, 3, 64, 384, 7, 2],
        [1, 64, 64, 96, 3, 1],
        [1, 128, 128, 96, 3, 2],
        [1, 128, 128, 48, 3, 1],
        [1, 256, 256, 24, 3, 1],
        [1, 512, 512, 12, 3, 1],
        [2, 512, 512, 8, 3, 1],
        [16, 32, 32, 32, 3, 1],
        [16, 64, 64, 16, 3, 2],
        [16, 512, 512, 4, 3, 1],
        [16, 1024, 256, 4, 1, 1],
        [16, 256, 256, 8, 3, 1],
    ];
    for [n, input, output, side, k, stride] in cases {
        let geometry = Conv2dGeometry {
            stride: [stride; 2],
            padding: [k / 2; 2],
            dilation: [1; 2],
        };
        let [h, w] = geometry.output_size([side; 2], [k; 2]);
        let flops = 2.0 * (n * output * h * w * input * k * k) as f64;
        let name = format!("convolution {n}x{input}x{side}x{side} to {output}, {k}/{stride}");
        if is_selected(filters, &name) {
            let (x, weight) = ([n, input, side, side], [output, input, k, k]);
            if let Some(algorithms) = vlp_ops::conv2d_algorithms(x, weight, geometry) {
                println!("{name}: {algorithms}");
            }
        }
        let (x, weight) = (
            random([n, input, side, side], device),
            random([output, input, k, k], device),
        );
        compare(filters, &format!("{name} forward"), flops, || {
            black_box(vlp_ops::conv2d(x.clone(), weight.clone(), geometry));
        });
        let x = random([n, input, side, side], grad).require_grad();
        let weight = random([output, input, k, k], grad).require_grad();
        compare(
            filters,
            &format!("{name} forward and backward"),
            3.0 * flops,
            || {
                backward(vlp_ops::conv2d(x.clone(), weight.clone(), geometry));
            },
        );
    }
}

fn norms(filters: &[String], shape: [usize; 4], device: &Device) {
    let tracked = device.is_autodiff();
    let leaf = |x: Tensor<4>| if tracked { x.require_grad() } else { x };
    let [x, shortcut] = [(); 2].map(|()| leaf(random(shape, device)));
    let [scale, shift] = [(); 2].map(|()| random([shape[1]], device));
    let run = |y: Tensor<4>| {
        if tracked {
            backward(y);
        } else {
            black_box(y);
        }
    };
    let pass = if tracked {
        "forward and backward"
    } else {
        "forward"
    };
    let [n, c, h, w] = shape;
    let case = format!("{n}x{c}x{h}x{w} with shortcut {pass}");
    let arguments = || (x.clone(), scale.clone(), shift.clone());
    compare(filters, &format!("affine {case}"), 0.0, || {
        let (x, scale, shift) = arguments();
        let shortcut = Some(shortcut.clone());
        let after = Affine {
            scale,
            shift,
            shortcut,
            relu: true,
        };
        run(vlp_ops::affine(x, after));
    });
    compare(filters, &format!("batch norm {case}"), 0.0, || {
        let (x, scale, shift) = arguments();
        let shortcut = Some(shortcut.clone());
        run(vlp_ops::batch_norm(x, scale, shift, 1e-5, shortcut, true).output);
    });
}

fn others(filters: &[String], device: &Device, grad: &Device) {
    let geometry = Conv2dGeometry {
        stride: [2; 2],
        padding: [1; 2],
        dilation: [1; 2],
    };
    let wide = random([1, 64, 400, 667], device);
    compare(filters, "max pool 64x400x667, 3/2 forward", 0.0, || {
        black_box(vlp_ops::max_pool2d(wide.clone(), [3; 2], geometry));
    });
    let small = random([2, 64, 128, 128], grad).require_grad();
    compare(
        filters,
        "max pool 2x64x128x128, 3/2 forward and backward",
        0.0,
        || {
            backward(vlp_ops::max_pool2d(small.clone(), [3; 2], geometry));
        },
    );
    for (device, pass) in [(device, "forward"), (grad, "forward and backward")] {
        let x = random([4096, 768], device);
        let tracked = device.is_autodiff();
        let x = if tracked { x.require_grad() } else { x };
        let run = |y: Tensor<2>| {
            if tracked {
                backward(y);
            } else {
                black_box(y);
            }
        };
        compare(filters, &format!("gelu 4096x768 {pass}"), 0.0, || {
            run(vlp_ops::gelu(x.clone()))
        });
        compare(filters, &format!("softmax 4096x768 {pass}"), 0.0, || {
            run(vlp_ops::softmax(x.clone()))
        });
        let (gamma, beta) = (random([768], device), random([768], device));
        compare(filters, &format!("layer norm 4096x768 {pass}"), 0.0, || {
            run(vlp_ops::layer_norm(
                x.clone(),
                gamma.clone(),
                beta.clone(),
                1e-5,
            ))
        });
        for shape in [
            [1, 64, 192, 192],
            [2, 256, 64, 64],
            [32, 64, 16, 16],
            [32, 256, 4, 4],
        ] {
            norms(filters, shape, device);
        }
    }
    for (name, bf16) in [("adamw 2048x1024", false), ("adamw 2048x1024 bf16", true)] {
        let step = AdamWStep {
            learning_rate: 1e-4,
            weight_decay: 1e-4,
            bf16_moments: bf16,
            ..Default::default()
        };
        let shape = [2048, 1024];
        let gradient = random(shape, device);
        let moments = || random(shape, device).square();
        let mut state = Some((random(shape, device), moments(), moments()));
        compare(filters, name, 0.0, || {
            if let Some((parameter, first, second)) = state.take() {
                let moments = Some((first, second));
                state = Some(vlp_ops::adamw(parameter, gradient.clone(), moments, step));
            }
        });
    }
}

fn main() {
    vlp_ops::tune_allocator();
    match vlp_ops::init_simd() {
        Ok(level) => println!("instruction set: {level}"),
        Err(error) => println!("{error}"),
    }
    join_thread_pool();
    let filters: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::flex();
    let grad = device.clone().autodiff();
    convolutions(&filters, &device, &grad);
    others(&filters, &device, &grad);
}
