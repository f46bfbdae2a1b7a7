//! Layers that are computed again: the same values and gradients, and nothing kept meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use burn::backend::Flex;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::{Bytes, Gradients};
use vlp_ops::{LayerNorm, linear_layer, dropout, gelu, recompute, is_recomputing};
use vlp_testing::{to_cpu, random, randomize_weights};

/// A layer with what its second pass could get wrong: dropout, two inputs, several parameters.
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

    fn forward(&self, x: Tensor<3>, beside: Option<Tensor<3>>) -> Tensor<3> {
        let query = match beside {
            Some(beside) => x.clone() + beside,
            None => x.clone(),
        };
        let y = gelu(self.norm.forward(linear_layer(&self.inner, query)));
        x + linear_layer(&self.outer, dropout(&self.dropout, y))
    }

    fn slopes(&self, grads: &Gradients) -> Vec<Option<Vec<f64>>> {
        let [a, b] = [&self.inner, &self.outer];
        let weight = |l: &Linear| l.weight.val().grad(grads).map(to_cpu);
        let bias = |l: &Linear| l.bias.as_ref().unwrap().val().grad(grads).map(to_cpu);
        vec![weight(a), bias(a), weight(b), bias(b)]
    }
}

/// Two layers, one after the other, then gradients of everything.
fn outcome(
    layers: &[Layer; 2],
    inputs: [Tensor<3>; 2],
    again: bool,
) -> (Vec<f64>, Vec<Option<Vec<f64>>>) {
    let [x, beside] = inputs;
    // What falls out is drawn from the device's stream.
    x.device().seed(9);
    let mut y = x.clone();
    for layer in layers {
        let beside = Some(beside.clone());
        y = match again {
            true => recompute(layer, y, beside, |l: &Layer, x, beside| {
                l.forward(x, beside)
            }),
            false => layer.forward(y, beside),
        };
    }
    let weights = random(y.dims(), 5, &y.device());
    let grads = (y.clone() * weights).sum().backward();
    let mut slopes = vec![x.grad(&grads).map(to_cpu), beside.grad(&grads).map(to_cpu)];
    layers.iter().for_each(|l| slopes.extend(l.slopes(&grads)));
    (to_cpu(y), slopes)
}

/// Tests that draw from the device's stream take turns.
static STREAM: Mutex<()> = Mutex::new(());

#[test]
fn values_and_gradients_are_the_same_bits() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let layers = [Layer::new(&device), Layer::new(&device)];
    let half_frozen = {
        let [a, mut b] = layers.clone();
        b.inner = b.inner.no_grad();
        [a, b]
    };
    let frozen = layers.clone().map(|layer| layer.no_grad());
    for (layers, wants) in [(&layers, 8), (&half_frozen, 6), (&frozen, 0)] {
        for tracked in [[true, true], [true, false], [false, true], [false, false]] {
            if wants == 0 && tracked == [false; 2] {
                continue;
            }
            let input = |at: usize| {
                let x = random([2, 3, 6], at as u64, &device);
                if tracked[at] { x.require_grad() } else { x }
            };
            let wanted = outcome(layers, [input(0), input(1)], false);
            let found = outcome(layers, [input(0), input(1)], true);
            assert!(wanted == found, "{wants} {tracked:?}");
            let some = found.1.iter().flatten().count();
            assert_eq!(
                some,
                wants + usize::from(tracked[0]) + usize::from(tracked[1])
            );
        }
    }
}

#[test]
fn without_gradients_a_layer_runs_once() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static AGAIN: AtomicUsize = AtomicUsize::new(0);
    let count = |l: &Layer, x, beside| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        AGAIN.fetch_add(usize::from(is_recomputing()), Ordering::Relaxed);
        l.forward(x, beside)
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
        assert_eq!(AGAIN.load(Ordering::Relaxed), runs - 1);
        assert!(!is_recomputing());
    }
}

#[test]
fn nothing_inside_is_kept_until_the_backward_pass() {
    let _turn = STREAM.lock().unwrap();
    let device = Device::flex().autodiff();
    let layer = Layer::new(&device);
    // The memory of a value inside of the layer.
    let inside: Arc<Mutex<Weak<Bytes>>> = Arc::default();
    let alive = || inside.lock().unwrap().upgrade().is_some();
    let note = Arc::clone(&inside);
    let f = move |l: &Layer, x: Tensor<3>, _: Option<Tensor<3>>| {
        let y = linear_layer(&l.inner, x);
        let kept = y.clone().inner().try_into_primitive::<Flex>().unwrap();
        *note.lock().unwrap() = Arc::downgrade(&kept.data_arc());
        linear_layer(&l.outer, gelu(y))
    };
    let x = || random([1, 2, 6], 1, &device);
    let y = f(&layer, x(), None);
    assert!(alive());
    drop(y.sum().backward());
    assert!(!alive());
    let y = recompute(&layer, x(), None, f.clone());
    assert!(!alive());
    drop(y.sum().backward());
    assert!(!alive());
}
