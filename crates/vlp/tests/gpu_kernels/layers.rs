//! Layers and their gradients.

use burn::nn::DropoutConfig;
use burn::prelude::*;
use vlp_ops::{DropoutMask, LayerNorm};

use super::{assert_close, devices, floats, matrix};

/// Values and gradients of a function of leaves of these shapes on both devices, by the weights of a matrix like its value.
pub(super) fn both(
    shapes: &[[usize; 2]],
    function: impl Fn(&[Tensor<2>]) -> Tensor<2>,
) -> [Vec<Vec<f32>>; 2] {
    devices().map(|device| {
        let device = device.autodiff();
        vlp_ops::seed_random(&device, 7);
        let leaf = |(seed, shape): (usize, &[usize; 2])| {
            matrix(*shape, seed, &device).detach().require_grad()
        };
        let leaves: Vec<Tensor<2>> = shapes.iter().enumerate().map(leaf).collect();
        let y = function(&leaves);
        // Not the gradient of a plain sum, which layer norm and softmax have none of.
        let grads = (y.clone() * matrix(y.dims(), 50, &device)).sum().backward();
        let grads = leaves.iter().map(|leaf| leaf.grad(&grads).unwrap());
        let tensors = std::iter::once(y.inner()).chain(grads);
        tensors.map(|tensor| floats(&tensor.into())).collect()
    })
}

#[test]
fn dropout_drops_what_the_cpu_drops() {
    let layer = DropoutConfig::new(0.3).init();
    for shape in [[33, 65], [700, 300], [1, 1]] {
        let [cpu, gpu] = both(&[shape, [shape[1], shape[0]]], |x| {
            // The second one is read column by column.
            let (x, transposed) = (x[0].clone(), x[1].clone().transpose());
            vlp_ops::dropout(&layer, x) + vlp_ops::dropout(&layer, transposed)
        });
        assert_eq!(cpu, gpu);
    }
    let [cpu, gpu] = devices().map(|device| {
        vlp_ops::seed_random(&device, 3);
        let mask = DropoutMask::sample(&layer, &device.clone().autodiff()).unwrap();
        floats(&mask.factors([40, 50], &device).into())
    });
    assert_eq!(cpu, gpu);
}

#[test]
fn layer_norm_agrees_with_the_cpu() {
    // The last has more rows than one axis of a launch has cubes.
    for [rows, width] in [
        [1, 8],
        [5, 17],
        [33, 768],
        [4200, 3],
        [700, 256],
        [70_000, 2],
    ] {
        let [cpu, gpu] = both(&[[rows, width], [1, width], [1, width]], |x| {
            let [gamma, beta] = [&x[1], &x[2]].map(|line| line.clone().reshape([width]));
            vlp_ops::layer_norm(x[0].clone(), gamma, beta, 1e-5)
        });
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["y", "x", "gamma", "beta"]) {
            // Sums of up to 70,000 values of about 1 in another order.
            let tolerance = 1e-6 * (rows as f32).sqrt().max(4.0);
            assert_close(cpu, gpu, tolerance, &format!("{name} of {rows} x {width}"));
        }
    }
}

#[test]
fn layer_norm_of_a_residual_connection_agrees_with_the_cpu() {
    let layer = DropoutConfig::new(0.3).init();
    for [rows, width] in [[1, 8], [33, 768], [700, 256]] {
        let [cpu, gpu] = both(&[[rows, width], [width, rows]], |x| {
            let norm = LayerNorm::new(width, 1e-5, &x[0].device());
            // The residual is read column by column.
            norm.forward_residual(x[0].clone(), x[1].clone().transpose(), &layer)
        });
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["y", "x", "residual"]) {
            // Sums in another order; products and sums are rounded at once or one after another.
            let what = format!("{name} of {rows} x {width}");
            assert_close(cpu, gpu, 1e-5, &what);
            // The same values are dropped, with the same gradients of exactly zero.
            let zeros = |values: &[f32]| values.iter().map(|v| *v == 0.0).collect::<Vec<_>>();
            assert_eq!(zeros(cpu), zeros(gpu), "{what}");
        }
    }
}

#[test]
fn log_prob_agrees_with_the_cpu() {
    for [rows, width] in [[1, 1], [7, 5], [40, 300], [12, 30_522]] {
        let classes: Vec<i32> = (0..rows).map(|row| (row * 13 % width) as i32).collect();
        let [cpu, gpu] = both(&[[rows, width]], |x| {
            vlp_ops::log_prob(x[0].clone() * 8.0, &classes).reshape([rows, 1])
        });
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["y", "logits"]) {
            // Exponentials of differences of up to 24, and sums in another order.
            assert_close(cpu, gpu, 1e-5, &format!("{name} of {rows} x {width}"));
        }
    }
}

/// More rows than a cube has units, segments without rows, and one with most of them.
#[test]
fn sums_of_segments_equal_those_of_the_cpu() {
    for (rows, width, segments) in [(1, 1, 1), (70, 300, 9), (1000, 3, 2048), (700, 768, 5)] {
        let ids: Vec<i32> = (0..rows)
            .map(|row| match row % 3 {
                0 => (row * 7 % segments) as i32,
                _ => (segments - 1) as i32,
            })
            .collect();
        let [cpu, gpu] = devices().map(|device| {
            let data = matrix([rows, width], 3, &device);
            // As a product's gradient may lie in memory.
            let transposed = matrix([width, rows], 4, &device).transpose();
            let ids = Tensor::<1, Int>::from_ints(ids.as_slice(), &device);
            [data, transposed].map(|data| {
                let sums = vlp_ops::segment_sum(data, ids.clone(), segments);
                floats(&sums.into())
            })
        });
        // Rows are added in the same order.
        assert_eq!(cpu, gpu, "{rows} x {width} in {segments}");
    }
}

#[test]
fn the_gradient_of_an_embedding_equals_that_of_the_cpu() {
    let ids = [[0, 5, 5, 39], [5, 0, 1, 38]];
    let [cpu, gpu] = both(&[[40, 24]], |x| {
        let ids = Tensor::<2, Int>::from_ints(ids, &x[0].device());
        vlp_ops::embedding(x[0].clone(), ids).reshape([8, 24])
    });
    assert_eq!(cpu, gpu);
}

/// Lengths that no block divides, heads of one and of several loads, a padding mask and a bias for each query.
#[test]
fn attention_agrees_with_the_cpu() {
    for (batch, queries, keys, heads, width, bias_rows, probability) in [
        (2, 5, 7, 3, 4, None, 0.2),
        (2, 70, 45, 2, 32, Some(1), 0.2),
        (1, 33, 65, 1, 64, Some(33), 0.0),
    ] {
        let layer = DropoutConfig::new(probability).init();
        let columns = heads * width;
        let shapes = [queries, keys, keys].map(|length| [batch * length, columns]);
        let [cpu, gpu] = both(&shapes, |x| {
            let device = x[0].device();
            let [query, key, value] = [(0, queries), (1, keys), (2, keys)]
                .map(|(i, length)| x[i].clone().reshape([batch, length, columns]));
            let bias = bias_rows.map(|rows| {
                let scores = matrix([batch * rows, keys], 9, &device);
                let masked = scores.clone().greater_elem(1.0).float().mul_scalar(-1e9);
                (scores + masked).reshape([batch, 1, rows, keys])
            });
            let mask = DropoutMask::sample(&layer, &device);
            let output = vlp_ops::attention(query, key, value, bias, mask, heads);
            output.reshape([batch * queries, columns])
        });
        for ((cpu, gpu), name) in cpu.iter().zip(&gpu).zip(["y", "query", "key", "value"]) {
            // Sums of up to 70 terms in another order.
            let what = format!("{name}, {queries} x {keys}, heads of {width}");
            assert_close(cpu, gpu, 1e-5, &what);
        }
    }
}

/// Keys and values that lie side by side in one matrix, and a query whose values do not: the first are read in place.
#[test]
fn attention_reads_tensors_by_their_strides() {
    let [cpu, gpu] = both(&[[6, 2 * 8], [8, 2 * 5]], |x| {
        let both = x[0].clone().reshape([2, 3, 16]);
        let [key, value] = [0, 1].map(|i| both.clone().narrow(2, 8 * i, 8));
        let query = x[1].clone().transpose().reshape([2, 5, 8]);
        vlp_ops::attention(query, key, value, None, None, 2).reshape([10, 8])
    });
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        assert_close(cpu, gpu, 1e-5, "attention");
    }
}
