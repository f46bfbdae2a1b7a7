//! Products of matrices, convolutions and activations in a precision that burn would not choose.

use burn::prelude::*;
use burn::tensor::DType;
use vlp_ops::{
    Affine, Conv2dGeometry, batch_norm, conv2d, from_activation_precision, gelu, linear, matmul,
    max_pool2d, set_gpu_operands, tied_logits, to_activation_precision,
};
use vlp_train::Precision;

use super::layers::both;
use super::{assert_close, gpu, matrix};

/// Rows, depth and columns: a single value, vectors, remainders of every tile, and more than one tile along each axis.
const SIZES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [1, 300, 65],
    [70, 33, 1],
    [33, 17, 65],
    [128, 64, 128],
    [200, 520, 90],
];

/// Asserts that values and gradients of products of these sizes agree to this tolerance for sums of 1 value.
fn assert_products(sizes: &[[usize; 3]], tolerance: f32) {
    for &[rows, depth, columns] in sizes {
        let size = format!("{rows} x {depth} x {columns}");
        let check = |name: &str, [cpu, gpu]: [Vec<Vec<f32>>; 2]| {
            for (cpu, gpu) in cpu.iter().zip(&gpu) {
                // Values are about 1, and the longest sum is over the longest axis; its error grows with its square root.
                let longest = rows.max(depth).max(columns) as f32;
                let tolerance = tolerance * longest.sqrt();
                assert_close(cpu, gpu, tolerance, &format!("{name} of {size}"));
            }
        };
        let shapes = [[rows, depth], [depth, columns], [1, columns]];
        check(
            "linear",
            both(&shapes, |x| {
                let bias = x[2].clone().reshape([columns]);
                linear(x[0].clone(), x[1].clone(), Some(bias))
            }),
        );
        check(
            "tied_logits",
            both(&[[rows, depth], [columns, depth]], |x| {
                tied_logits(x[0].clone(), x[1].clone(), None)
            }),
        );
        check(
            "transposed batches",
            both(&[[2 * depth, rows], [2 * depth, columns]], |x| {
                let batches = |x: &Tensor<2>, width| x.clone().reshape([2, depth, width]);
                let product = matmul(batches(&x[0], rows).transpose(), batches(&x[1], columns));
                product.reshape([2 * rows, columns])
            }),
        );
    }
}

#[test]
fn f32_products_agree_with_the_cpu() {
    set_gpu_operands(Some(DType::F32));
    // Both sides add in f32, in another order.
    assert_products(&SIZES, 2e-6);
    set_gpu_operands(None);
}

#[test]
fn bf16_is_refused_where_there_is_none() {
    let device = gpu();
    if device.supports_dtype(DType::BF16) {
        Precision::Bf16.set(&device).unwrap();
        return Precision::F32.set(&device).unwrap();
    }
    let error = Precision::Bf16.set(&device).unwrap_err().to_string();
    let expected = "train.precision = bf16: this GPU does not support bf16; use tf32 or f32";
    assert_eq!(error, expected);
}

/// Runs `check` with operands of each type of 16 bits that the GPU has, and the largest error of one rounding.
fn with_half_operands(check: impl Fn(f32)) {
    for (dtype, rounding) in [(DType::BF16, 1.0 / 256.0), (DType::F16, 1.0 / 2048.0)] {
        if !gpu().supports_dtype(dtype) {
            println!("SKIPPED: {dtype:?}, this GPU has none");
            continue;
        }
        set_gpu_operands(Some(dtype));
        check(rounding);
        set_gpu_operands(None);
    }
}

#[test]
fn half_products_round_their_operands() {
    // Values reach 1.5, and half of a rounding of both operands is at most 2.25 of it: less than three standard deviations.
    with_half_operands(|rounding| assert_products(&SIZES[3..5], 6.0 * rounding));
}

#[test]
fn gelu_stores_its_input_rounded() {
    with_half_operands(|rounding| {
        let [cpu, gpu] = both(&[[33, 65]], |x| gelu(x[0].clone()));
        assert_close(&cpu[0], &gpu[0], 1e-6, "values");
        // The second derivative of GELU is at most 0.8, and inputs reach 4.
        assert_close(&cpu[1], &gpu[1], 4.0 * rounding, "gradients");
    });
}

/// Attention as in f32 of rounded operands, whose rounded copies are what its gradient is computed from.
#[test]
fn attention_rounds_its_operands() {
    // Two heads of 8, five queries, seven keys.
    let shapes = [[5, 16], [7, 16], [7, 16]];
    let attention = |x: &[Tensor<2>]| {
        let [query, key, value] = [0, 1, 2].map(|index| x[index].clone().unsqueeze::<3>());
        vlp_ops::attention(query, key, value, None, None, 2).squeeze_dim(0)
    };
    with_half_operands(|rounding| {
        let [cpu, gpu] = both(&shapes, attention);
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["y", "query", "key", "value"]) {
            // Operands reach 1.5. The sums of 8 products in a score, of 7 in the output, and of the gradients have independent
            // roundings of half a unit of each factor.
            assert_close(cpu, gpu, 12.0 * rounding, name);
            let differs = |(cpu, gpu): (&f32, &f32)| (cpu - gpu).abs() > 0.02 * rounding;
            assert!(
                cpu.iter().zip(gpu).any(differs),
                "{name}: nothing was rounded"
            );
        }
        // Of values that need no rounding only the output is rounded.
        let [cpu, gpu] = both(&shapes, |x| {
            let coarse = |x: &Tensor<2>| {
                let exact = x.clone().mul_scalar(8.0).round().div_scalar(8.0);
                x.clone() + (exact - x.clone()).detach()
            };
            attention(&x.iter().map(coarse).collect::<Vec<_>>())
        });
        assert_close(&cpu[0], &gpu[0], 1.5 * rounding, "y of coarse operands");
        assert_close(&cpu[3], &gpu[3], 1e-5, "value of coarse operands");
    });
}

const STRIDES: Conv2dGeometry = Conv2dGeometry {
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
};

/// Constants of 8 channels.
fn line(seed: usize, device: &Device) -> Tensor<1> {
    matrix([1, 8], seed, device).reshape([8])
}

/// Two convolutions of 3 to 8 to 8 channels with norms between and behind them, the second one with a shortcut, on leaves:
/// pixels `[2, 3, 16, 12]` and two weights. No ReLU, which a rounding switches.
fn assert_backbone(rounding: f32, norm: impl Fn(Tensor<4>, Option<Tensor<4>>) -> Tensor<4>) {
    let shapes = [[6, 16 * 12], [8, 27], [8, 72]];
    let [cpu, gpu] = both(&shapes, |x| {
        let pixels = to_activation_precision(x[0].clone().reshape([2, 3, 16, 12]));
        let dtype = pixels.dtype();
        let x1 = norm(
            conv2d(pixels, x[1].clone().reshape([8, 3, 3, 3]), STRIDES),
            None,
        );
        let x2 = conv2d(x1.clone(), x[2].clone().reshape([8, 8, 3, 3]), STRIDES);
        let y = norm(x2, Some(x1));
        assert_eq!(y.dtype(), dtype);
        from_activation_precision(y).reshape([16, 16 * 12])
    });
    for ((cpu, gpu), name) in cpu
        .iter()
        .zip(&gpu)
        .zip(["map", "pixels", "first", "second"])
    {
        let size = |values: Vec<f32>| values.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
        let difference = cpu.iter().zip(gpu).map(|(cpu, gpu)| cpu - gpu).collect();
        let error = size(difference) / size(cpu.clone());
        // Some ten roundings, whose errors add up as their squares do; norms make differences larger.
        assert!(error < 8.0 * f64::from(rounding), "{name}: {error}");
        assert!(
            error > 0.1 * f64::from(rounding),
            "{name}: {error}, nothing was rounded"
        );
    }
}

#[test]
fn frozen_norms_keep_activations_of_half_the_size() {
    with_half_operands(|rounding| {
        assert_backbone(rounding, |x, shortcut| {
            let device = x.device();
            let affine = Affine {
                scale: line(3, &device),
                shift: line(4, &device),
                shortcut,
                relu: false,
            };
            vlp_ops::affine(x, affine)
        });
    });
}

#[test]
fn gradients_of_a_frozen_norm_have_the_types_of_its_inputs() {
    with_half_operands(|_| {
        let device = gpu().autodiff();
        let leaf = |seed| matrix([16, 48], seed, &device).detach().require_grad();
        let [x, shortcut] = [1, 2].map(leaf);
        let affine = Affine {
            scale: line(3, &device),
            shift: line(4, &device),
            // Not rounded, as the input is.
            shortcut: Some(shortcut.clone().reshape([2, 8, 8, 6])),
            relu: true,
        };
        let rounded = to_activation_precision(x.clone().reshape([2, 8, 8, 6]));
        let y = from_activation_precision(vlp_ops::affine(rounded, affine));
        let grads = y.sum().backward();
        for leaf in [x, shortcut] {
            assert_eq!(leaf.grad(&grads).unwrap().dtype(), DType::F32);
        }
    });
}

#[test]
fn trained_norms_are_computed_in_f32() {
    with_half_operands(|rounding| {
        assert_backbone(rounding, |x, shortcut| {
            let (gamma, beta) = (line(3, &x.device()), line(4, &x.device()));
            let result = batch_norm(x, gamma, beta, 1e-5, shortcut, false);
            assert_eq!(result.mean.dtype(), DType::F32);
            result.output
        });
    });
}

#[test]
fn relu_and_max_pool_of_half_the_size_have_their_gradients() {
    // Of 8 bits, so that neither is rounded before the ReLU and the pool choose.
    let rounded = |x: &Tensor<2>| {
        let exact = x.clone().mul_scalar(64.0).round().div_scalar(64.0);
        // The gradient of rounding is 0.
        let exact = x.clone() + (exact - x.clone()).detach();
        to_activation_precision(exact.reshape([2, 8, 8, 6]))
    };
    with_half_operands(|rounding| {
        let [cpu, gpu] = both(&[[16, 48], [16, 48]], |x| {
            let device = x[0].device();
            let affine = Affine {
                scale: line(3, &device),
                shift: line(4, &device),
                shortcut: Some(rounded(&x[1])),
                relu: true,
            };
            from_activation_precision(vlp_ops::affine(rounded(&x[0]), affine)).reshape([16, 48])
        });
        for ((cpu, gpu), name) in cpu
            .iter()
            .zip(&gpu)
            .zip(["values", "of x", "of the shortcut"])
        {
            // The output, its gradient and that of the input are rounded, and reach 6.
            assert_close(cpu, gpu, 6.0 * rounding, &format!("{name}, ReLU"));
        }
        let [cpu, gpu] = both(&[[16, 48]], |x| {
            from_activation_precision(max_pool2d(rounded(&x[0]), [3, 3], STRIDES)).reshape([16, 48])
        });
        assert_close(&cpu[0], &gpu[0], 0.0, "values, pool");
        // Up to nine outputs have the same maximum.
        assert_close(&cpu[1], &gpu[1], 9.0 * rounding, "gradient, pool");
    });
}
