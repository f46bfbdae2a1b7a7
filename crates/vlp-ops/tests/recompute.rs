//! Recomputed layers: the same values and gradients, and no activations kept meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use burn::backend::Flex;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::{Bytes, Gradients};
use vlp_ops::{LayerNorm, dropout, gelu, is_recomputing, linear_layer, recompute};
use vlp_testing::{random, randomize_weights, to_cpu};

/// A layer with dropout, two inputs and several parameters.
#[derive(Module, Debug)]
struct Layer {
    inner: Linear,
    norm: LayerNorm,
    outer: Linear,
    dropout: Dropout,
}

impl Layer {
    fn new(device: &Device) -> Self {
        let layer = Self {
            inner: LinearConfig::new(6, 10).init(device),
            norm: LayerNorm::new(10, 1e-5, device),
            outer: LinearConfig::new(10, 6).init(device),
            dropout: DropoutConfig::new(0.3).init(),
        };
        randomize_weights(layer, 4)
    }

    fn forward(&self, x: Tensor<3>, second: Option<Tensor<3>>) -> Tensor<3> {
        let query = match second {
            Some(second) => x.clone() + second,
            None => x.clone(),
        };
        let y = gelu(self.norm.forward(linear_layer(&self.inner, query)));
        x + linear_layer(&self.outer, dropout(&self.dropout, y))
    }

    fn gradients(&self, grads: &Gradients) -> Vec<Option<Vec<f64>>> {
        let [a, b] = [&self.inner, &self.outer];
        let weight = |l: &Linear| l.weight.val().grad(grads).map(to_cpu);
        let bias = |l: &Linear| l.bias.as_ref().unwrap().val().grad(grads).map(to_cpu);
        vec![weight(a), bias(a), weight(b), bias(b)]
    }
}

/// The output of two layers in sequence, and all gradients.
fn output_and_gradients(
    layers: &[Layer; 2],
    inputs: [Tensor<3>; 2],
    recomputed: bool,
) -> (Vec<f64>, Vec<Option<Vec<f64>>>) {
    let [x, second] = inputs;
    // Dropout takes its seed from the device's stream.
    x.device().seed(9);
    let mut y = x.clone();
    for layer in layers {
        let second = Some(second.clone());
        y = match recomputed {
            true => recompute(layer, y, second, |l: &Layer, x, second| {
                l.forward(x, second)
            }),
            false => layer.forward(y, second),
        };
    }
    let weights = random(y.dims(), 5, &y.device());
    let grads = (y.clone() * weights).sum().backward();
    let mut gradients = vec![x.grad(&grads).map(to_cpu), second.grad(&grads).map(to_cpu)];
    layers
        .iter()
        .for_each(|l| gradients.extend(l.gradients(&grads)));
    (to_cpu(y), gradients)
}

/// Tests that use the device's random stream take turns.
static STREAM: Mutex<()> = Mutex::new(());

#[test]
fn values_and_gradients_have_the_same_bits() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let layers = [Layer::new(&device), Layer::new(&device)];
    let half_frozen = {
        let [a, mut b] = layers.clone();
        b.inner = b.inner.no_grad();
        [a, b]
    };
    let frozen = layers.clone().map(|layer| layer.no_grad());
    for (layers, parameter_grads) in [(&layers, 8), (&half_frozen, 6), (&frozen, 0)] {
        for tracked in [[true, true], [true, false], [false, true], [false, false]] {
            if parameter_grads == 0 && tracked == [false; 2] {
                continue;
            }
            let input = |index: usize| {
                let x = random([2, 3, 6], index as u64, &device);
                if tracked[index] { x.require_grad() } else { x }
            };
            let expected = output_and_gradients(layers, [input(0), input(1)], false);
            let recomputed = output_and_gradients(layers, [input(0), input(1)], true);
            assert!(expected == recomputed, "{parameter_grads} {tracked:?}");
            let grads = recomputed.1.iter().flatten().count();
            assert_eq!(
                grads,
                parameter_grads + usize::from(tracked[0]) + usize::from(tracked[1])
            );
        }
    }
}

#[test]
fn layer_runs_once_without_gradients_and_twice_with() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static RECOMPUTATIONS: AtomicUsize = AtomicUsize::new(0);
    let count = |l: &Layer, x, second| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        RECOMPUTATIONS.fetch_add(usize::from(is_recomputing()), Ordering::Relaxed);
        l.forward(x, second)
    };
    let _turn = STREAM.lock().unwrap();
    for (device, runs) in [(Device::flex(), 1), (Device::flex().autodiff(), 2)] {
        RUNS.store(0, Ordering::Relaxed);
        let layer = Layer::new(&device);
        let y = recompute(&layer, random([1, 2, 6], 1, &device), None, count).sum();
        assert_eq!(RUNS.load(Ordering::Relaxed), 1);
        if device.is_autodiff() {
            y.backward();
        }
        assert_eq!(RUNS.load(Ordering::Relaxed), runs);
        assert_eq!(RECOMPUTATIONS.load(Ordering::Relaxed), runs - 1);
        assert!(!is_recomputing());
    }
}

#[test]
fn activations_are_not_kept_until_the_backward_pass() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let layer = Layer::new(&device);
    // The memory of an activation inside the layer.
    let activation: Arc<Mutex<Weak<Bytes>>> = Arc::default();
    let is_alive = || activation.lock().unwrap().upgrade().is_some();
    let activation_of_f = Arc::clone(&activation);
    let f = move |l: &Layer, x: Tensor<3>, _: Option<Tensor<3>>| {
        let y = linear_layer(&l.inner, x);
        let primitive = y.clone().inner().try_into_primitive::<Flex>().unwrap();
        *activation_of_f.lock().unwrap() = Arc::downgrade(&primitive.data_arc());
        linear_layer(&l.outer, gelu(y))
    };
    let x = || random([1, 2, 6], 1, &device);
    let y = f(&layer, x(), None);
    assert!(is_alive());
    drop(y.sum().backward());
    assert!(!is_alive());
    let y = recompute(&layer, x(), None, f.clone());
    assert!(!is_alive());
    drop(y.sum().backward());
    assert!(!is_alive());
}
