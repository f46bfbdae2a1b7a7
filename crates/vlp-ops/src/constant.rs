//! Constants that are copied to a GPU once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use burn::prelude::*;
use burn::tensor::kind::Basic;

use crate::capture::keep_for_graph;

/// Number of constants that are cached.
const MAX_CONSTANTS: usize = 256;

/// The key of a cached constant. It includes the thread, because each thread has its own stream of operations.
#[derive(PartialEq)]
struct Key {
    bits: Vec<u32>,
    device: Device,
    is_autodiff: bool,
    thread: ThreadId,
}

/// The most recently used last.
type Constants<K> = Mutex<VecDeque<(Key, Tensor<1, K>)>>;

static FLOATS: Constants<Float> = Mutex::new(VecDeque::new());
static INTS: Constants<Int> = Mutex::new(VecDeque::new());

/// A tensor of a few values that are the same in every pass. It is cached on a GPU, so that later passes copy nothing to the
/// device, as a recorded graph requires.
pub fn constant_floats(values: &[f32], device: &Device) -> Tensor<1> {
    let bits = || values.iter().map(|value| value.to_bits()).collect();
    let tensor = || Tensor::from_floats(values, device);
    find(&FLOATS, bits, device, tensor)
}

/// [`constant_floats`] for integers.
pub fn constant_ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    let bits = || values.iter().map(|&value| value as u32).collect();
    let tensor = || Tensor::from_ints(values, device);
    find(&INTS, bits, device, tensor)
}

fn find<K: Basic>(
    constants: &Constants<K>,
    bits: impl Fn() -> Vec<u32>,
    device: &Device,
    tensor: impl Fn() -> Tensor<1, K>,
) -> Tensor<1, K> {
    if crate::device::is_cpu(device) {
        return tensor();
    }
    let key = Key {
        bits: bits(),
        device: device.clone(),
        is_autodiff: device.is_autodiff(),
        thread: std::thread::current().id(),
    };
    let mut constants = constants.lock().unwrap_or_else(PoisonError::into_inner);
    let index = constants.iter().position(|(other, _)| *other == key);
    let constant = index.and_then(|index| constants.remove(index));
    let (key, tensor) = constant.unwrap_or_else(|| (key, tensor()));
    constants.push_back((key, tensor.clone()));
    if constants.len() > MAX_CONSTANTS {
        constants.pop_front();
    }
    keep_for_graph(&tensor);
    tensor
}
