//! Gradients on the GPU against finite differences there.

use burn::nn::DropoutConfig;
use burn::prelude::*;
use burn::tensor::activation::sigmoid;
use vlp_ops::{DropoutMask, LayerNorm};

use super::{gpu, matrix};

/// The directional derivative of `sum(weights * function(leaves))`, by autodiff and by a central difference.
fn directional_derivatives(
    shapes: &[[usize; 2]],
    function: impl Fn(&[Tensor<2>]) -> Tensor<2>,
) -> [f64; 2] {
    const STEP: f32 = 1e-2;
    let device = gpu().autodiff();
    let direction = |i: usize| matrix(shapes[i], i + 20, &device);
    let leaves = |step: f32| -> Vec<Tensor<2>> {
        let leaf = |i: usize| matrix(shapes[i], i, &device) + direction(i) * step;
        (0..shapes.len())
            .map(|i| leaf(i).detach().require_grad())
            .collect()
    };
    let loss = |leaves: &[Tensor<2>]| {
        // The same dropout masks in every evaluation.
        vlp_ops::seed_random(&device, 7);
        let y = function(leaves);
        let weights = matrix(y.dims(), 50, &device);
        (y * weights).sum()
    };
    let at = |step: f32| f64::from(loss(&leaves(step)).into_scalar::<f32>());
    let center = leaves(0.0);
    let grads = loss(&center).backward();
    let products = center.iter().enumerate().map(|(i, leaf)| {
        let product = leaf.grad(&grads).unwrap() * direction(i).inner();
        f64::from(product.sum().into_scalar::<f32>())
    });
    [
        products.sum(),
        (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP),
    ]
}

#[test]
fn gradients_agree_with_finite_differences() {
    type Function = Box<dyn Fn(&[Tensor<2>]) -> Tensor<2>>;
    let layer = || DropoutConfig::new(0.3).init();
    let cases: [(&str, Vec<[usize; 2]>, Function); 7] = [
        (
            "dropout",
            vec![[9, 11]],
            Box::new(move |x| vlp_ops::dropout(&layer(), x[0].clone().powi_scalar(2))),
        ),
        (
            "layer norm",
            vec![[9, 16], [1, 16], [1, 16]],
            Box::new(|x| {
                let [gamma, beta] = [&x[1], &x[2]].map(|line| line.clone().reshape([16]));
                vlp_ops::layer_norm(x[0].clone(), gamma, beta, 1e-5)
            }),
        ),
        (
            "layer norm of a residual connection",
            vec![[9, 16], [9, 16]],
            Box::new(move |x| {
                let norm = LayerNorm::new(16, 1e-5, &x[0].device());
                norm.forward_residual(x[0].clone(), x[1].clone(), &layer())
            }),
        ),
        (
            "log-probability",
            vec![[7, 300]],
            Box::new(|x| {
                let classes: Vec<i32> = (0..7).map(|row| row * 40).collect();
                vlp_ops::log_prob(x[0].clone() * 4.0, &classes).reshape([7, 1])
            }),
        ),
        (
            "embedding",
            vec![[40, 6]],
            Box::new(|x| {
                let ids = Tensor::<2, Int>::from_ints([[0, 5, 5, 39]], &x[0].device());
                let rows = vlp_ops::embedding(x[0].clone(), ids).reshape([4, 6]);
                rows.powi_scalar(2)
            }),
        ),
        (
            "boxes",
            vec![[6, 4]],
            Box::new(|x| {
                let objects = matrix([6, 4], 31, &x[0].device());
                let [predicted, objects] = [x[0].clone(), objects].map(sigmoid);
                vlp_ops::box_losses(predicted, objects).unwrap()
            }),
        ),
        (
            "attention",
            vec![[10, 12], [14, 12], [14, 12]],
            Box::new(move |x| {
                let [query, key, value] =
                    [(0, 5), (1, 7), (2, 7)].map(|(i, n)| x[i].clone().reshape([2, n, 12]));
                let mask = DropoutMask::sample(&layer(), &query.device());
                let bias = matrix([5, 7], 9, &query.device()).reshape([1, 1, 5, 7]);
                vlp_ops::attention(query, key, value, Some(bias), mask, 3).reshape([10, 12])
            }),
        ),
    ];
    for (name, shapes, function) in cases {
        let [exact, difference] = directional_derivatives(&shapes, function);
        // The difference of two sums of f32 of about 10, over 0.02, and the third derivative.
        assert!(
            (exact - difference).abs() < 1e-3 * exact.abs().max(5.0),
            "{name}: {exact} {difference}"
        );
        // One that is nearly zero would show nothing.
        assert!(exact.abs() > 0.1, "{name}: {exact}");
    }
}
